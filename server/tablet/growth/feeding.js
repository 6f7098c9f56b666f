/**
 * What a mother is told about feeding, by the child's age. How often and how much: WHO/PAHO guiding principles (2003, 2005),
 * which the Buku KIA follows: milk alone to 6 months; 2-3 meals at 6-8 months, 3-4 from 9 months; animal food every day.
 */

import { later } from "./text.js";

const BY_AGE = [
  {
    below: 6,
    words: later("Breast milk alone, day and night, whenever the baby wants it; no water or other food yet."),
  },
  {
    below: 9,
    words: later(
      "Go on breastfeeding. Mashed food 2–3 times a day and 1–2 snacks, every day with egg, fish, chicken or liver.",
    ),
  },
  {
    below: 12,
    words: later(
      "Go on breastfeeding. Chopped food 3–4 times a day and 1–2 snacks, every day with egg, fish, chicken or liver.",
    ),
  },
  {
    below: 24,
    words: later(
      "Breastfeed until 2 years. Family food 3–4 times a day and 1–2 snacks, every day with egg, fish or meat.",
    ),
  },
  {
    below: 60,
    words: later("Family food 3 times a day and 2 snacks, every day with vegetables, fruit, and egg, fish or meat."),
  },
];

/**
 * Say how to feed a child.
 * @param {number|null} age_months completed calendar months
 * @returns {import('./text.js').Text|null} null where the age is unknown or five years and more
 */
export function feeding(age_months) {
  if (age_months === null) return null;
  const fits = BY_AGE.find(({ below }) => age_months < below);
  return fits ? fits.words : null;
}

/**
 * Say what a mother can do where a child does not gain enough.
 * @param {number|null} age_months
 * @returns {import('./text.js').Text}
 */
export function catchingUp(age_months) {
  if (age_months !== null && age_months < 6)
    return later("Breastfeed more often; let the midwife look at how it is done.");
  return later("One more meal a day, with egg, fish or meat.");
}

/** Advice for a child that is too heavy for its length or age; it never says to eat less of the main meals. */
export const LIGHTER_SNACKS = later(
  "Fewer sweet drinks and bought snacks, and active play. The main meals stay as they are.",
);
