// Two languages, side by side where they are used, so that none can be forgotten; numbers, ages and days as people here write them.

import { ageDays, monthsCompleted } from "../growth/calendar.js";

let language = "id";

/** @param {"id"|"en"} chosen */
export function speak(chosen) {
  language = chosen;
  document.documentElement.lang = chosen;
}

/** The words of the chosen language. @param {...string} words in Indonesian, then in English @returns {string} */
export const say = (...words) => words[language === "en" ? 1 : 0];

/** Words that come in both: `{id, en}`. */
export const message = (words) => (words ? words[language] || words.id || words.en || "" : "");

/** The other members' words of a problem of the server: `title` and `title_en`. */
export const titleOf = ({ title = "", title_en = "" }) => say(title, title_en || title);

export const isIndonesian = () => language === "id";

/** A decimal as it is written here: 9,5 in Indonesian. @param {number} value @param {number} least digits @param {number} most */
export const decimal = (value, least = 1, most = least) =>
  new Intl.NumberFormat(language === "en" ? "en" : "id-ID", {
    minimumFractionDigits: least,
    maximumFractionDigits: most,
  }).format(value);

/** @param {number|null} weight_g */
export const kg = (weight_g) =>
  weight_g === null || weight_g === undefined ? "–" : `${decimal(weight_g / 1000, 1, 3)} kg`;

/** @param {number|null} mm */
export const cm = (mm) => (mm === null || mm === undefined ? "–" : `${decimal(mm / 10)} cm`);

/** @param {string|null} day ISO @param {object} [how] of Intl */
export function dayWords(day, how = { day: "numeric", month: "long", year: "numeric" }) {
  if (!day) return say("belum diketahui", "not known");
  return new Intl.DateTimeFormat(language === "en" ? "en-GB" : "id-ID", { timeZone: "UTC", ...how }).format(
    new Date(`${day}T00:00:00Z`),
  );
}

/** @param {string} instant ISO */
export const timeWords = (instant) =>
  new Intl.DateTimeFormat(language === "en" ? "en-GB" : "id-ID", {
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
  }).format(new Date(instant));

/** An age in the words of the KMS. @param {string|null} born_on @param {string} on */
export function ageWords(born_on, on) {
  const months = monthsCompleted(born_on, on);
  if (months === null) return say("umur belum diketahui", "age not known");
  if (months < 1) return `${Math.max(ageDays(born_on, on) || 0, 0)} ${say("hari", "days")}`;
  const years = Math.floor(months / 12);
  const rest = months % 12;
  const parts = [years && `${years} ${say("th", "y")}`, (rest || !years) && `${rest} ${say("bln", "mo")}`];
  return parts.filter(Boolean).join(" ");
}

/** @param {"M"|"F"|null} sex */
export const sexWord = (sex) =>
  sex === "M" ? say("laki-laki", "boy") : sex === "F" ? say("perempuan", "girl") : say("jenis kelamin?", "sex?");

/** A mother's name, called what she is called. @param {string} name */
export const motherWords = (name) => (/^(ibu|bu|ny)\b/i.test(name) ? name : `${say("Ibu", "Mother")} ${name}`);

/** A name as it is searched: without case and accents. */
export const plain = (text) =>
  (text || "")
    .normalize("NFD")
    .replace(/[\u0300-\u036f]/g, "")
    .toLowerCase();
