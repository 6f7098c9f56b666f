/**
 * What a mother is told about feeding, by the child's age. How often and how much: WHO/PAHO guiding principles (2003, 2005),
 * which the Buku KIA follows: milk alone to 6 months; 2-3 meals at 6-8 months, 3-4 from 9 months; animal food every day.
 */

const BY_AGE = [
  {
    below: 6,
    id: "Beri ASI saja, siang dan malam, kapan pun bayi mau; belum perlu air putih atau makanan lain.",
    en: "Breast milk alone, day and night, whenever the baby wants it; no water or other food yet.",
  },
  {
    below: 9,
    id: "Teruskan ASI. Beri makanan lumat 2–3 kali sehari dan 1–2 kali selingan, tiap hari dengan telur, ikan, ayam, atau hati.",
    en: "Go on breastfeeding. Mashed food 2–3 times a day and 1–2 snacks, every day with egg, fish, chicken or liver.",
  },
  {
    below: 12,
    id: "Teruskan ASI. Beri makanan cincang 3–4 kali sehari dan 1–2 kali selingan, tiap hari dengan telur, ikan, ayam, atau hati.",
    en: "Go on breastfeeding. Chopped food 3–4 times a day and 1–2 snacks, every day with egg, fish, chicken or liver.",
  },
  {
    below: 24,
    id: "Teruskan ASI sampai 2 tahun. Beri makanan keluarga 3–4 kali sehari dan 1–2 kali selingan, tiap hari dengan lauk hewani.",
    en: "Breastfeed until 2 years. Family food 3–4 times a day and 1–2 snacks, every day with egg, fish or meat.",
  },
  {
    below: 60,
    id: "Beri makanan keluarga 3 kali sehari dan 2 kali selingan, tiap hari dengan sayur, buah, dan lauk hewani.",
    en: "Family food 3 times a day and 2 snacks, every day with vegetables, fruit, and egg, fish or meat.",
  },
];

/**
 * Say how to feed a child.
 * @param {number|null} age_months completed calendar months
 * @returns {import('./tables.js').Words|null} null where the age is unknown or five years and more
 */
export function feeding(age_months) {
  if (age_months === null) return null;
  const fits = BY_AGE.find(({ below }) => age_months < below);
  return fits ? { id: fits.id, en: fits.en } : null;
}

/**
 * Say what to ask and do where a child does not gain enough.
 * @param {number|null} age_months
 * @returns {import('./tables.js').Words}
 */
export function catchingUp(age_months) {
  if (age_months !== null && age_months < 6) {
    return {
      id: "Tanyakan apakah bayi sakit. Susui lebih sering; minta bidan melihat cara menyusui.",
      en: "Ask whether the baby was ill. Breastfeed more often; let the midwife look at how it is done.",
    };
  }
  return {
    id: "Tanyakan apakah anak sakit atau sulit makan. Tambah satu kali makan sehari dengan lauk hewani.",
    en: "Ask whether the child was ill or ate badly. One more meal a day, with egg, fish or meat.",
  };
}

/** What is said where a child is heavier than its length or age asks for: never to eat less of the main meals. */
export const LIGHTER_SNACKS = {
  id: "Kurangi minuman manis dan jajanan; ajak anak bermain aktif. Makan utama tetap seperti biasa.",
  en: "Fewer sweet drinks and bought snacks, and active play. The main meals stay as they are.",
};
