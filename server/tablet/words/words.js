// Texts in the chosen language, from the catalogues that the server makes of its .po files (docs/tablet.md, Words); numbers, ages
// and days in that language.

import { ageDays, monthsCompleted } from "../growth/calendar.js";
import { later, laterIn } from "../growth/text.js";

export { later, laterIn };
/** @typedef {import("../growth/text.js").Text} Text */

/** Texts by language and by their English, after its context and U+0004 if it has one, as in gettext.
 * @type {Object<string, Object<string, string>>} */
let catalogues = {};
let language = "id";

/** Take the catalogues, once at the start. @param {Object<string, Object<string, string>>} words words.json */
export function learn(words) {
  catalogues = words;
}

/** @param {string} chosen a code of `languages` */
export function speak(chosen) {
  language = chosen;
  document.documentElement.lang = chosen;
}

/** Codes and own names of the languages; English is in the code. */
export function languages() {
  const name = laterIn("name of this language", "English");
  return [...Object.keys(catalogues), "en"].map((code) => [code, written(name, code)]);
}

/** A text in the chosen language. @param {string} text in English @param {Object<string, any>} [values] of its {placeholders} */
export const say = (text, values) => written(later(text, values), language);

/** The same, where one English text has several meanings. @param {string} context @param {string} text
 * @param {Object<string, any>} [values] */
export const sayIn = (context, text, values) => written(laterIn(context, text, values), language);

/** Words that were given before the language was known: a text of ours, or the server's `{id, en}`.
 * @param {Text|import("../growth/tables.js").Words|null|undefined} words */
export function message(words) {
  if (!words) return "";
  if ("text" in words) return written(words, language);
  return (words[language] || words.id || words.en || "").replace(ISO_DAY, (day) => dayWords(day));
}

/** The server's words may hold a day as it was recorded. */
const ISO_DAY = /\b\d{4}-\d{2}-\d{2}\b/g;

/** @param {Text} words @param {string} code */
function written({ text, values, context }, code) {
  const known = catalogues[code]?.[context ? `${context}\u0004${text}` : text] ?? text;
  const value = (held) => (held && typeof held === "object" ? message(held) : String(held));
  return values ? known.replace(/\{(\w+)\}/g, (_, name) => value(values[name])) : known;
}

/** The other members' words of a problem of the server: `title` and `title_en`. */
export const titleOf = ({ title = "", title_en = "" }) => (language === "en" && title_en) || title;

/** Languages that the browser does not know write numbers and days as Indonesian does. */
const locale = () => (language === "en" ? "en-GB" : [language, "id"]);

/** The mark before a decimal fraction: a comma in Indonesian. */
export const decimalMark = () => decimal(0.5).charAt(1);

/** Formatters by language and options: making one costs more than using it a hundred times, and a list has hundreds of days. */
const formatters = new Map();

/** @template Made @param {new (locale: string|string[], how: object) => Made} Kind of Intl @param {object} how @returns {Made} */
function formatter(Kind, how) {
  const name = JSON.stringify([Kind.name, language, how]);
  if (!formatters.has(name)) formatters.set(name, new Kind(locale(), how));
  return formatters.get(name);
}

/** A decimal in the chosen language: 9,5 in Indonesian. @param {number} value @param {number} least digits @param {number} most */
export const decimal = (value, least = 1, most = least) =>
  formatter(Intl.NumberFormat, { minimumFractionDigits: least, maximumFractionDigits: most }).format(value);

/** @param {number|null} weight_g */
export const kg = (weight_g) =>
  weight_g === null || weight_g === undefined ? "–" : `${decimal(weight_g / 1000, 1, 3)} kg`;

/** @param {number|null} mm */
export const cm = (mm) => (mm === null || mm === undefined ? "–" : `${decimal(mm / 10)} cm`);

/** @param {string|null} day ISO @param {object} [how] of Intl */
export function dayWords(day, how = { day: "numeric", month: "long", year: "numeric" }) {
  if (!day) return say("not known");
  return formatter(Intl.DateTimeFormat, { timeZone: "UTC", ...how }).format(new Date(`${day}T00:00:00Z`));
}

/** A day in few letters, without the year where it is that of `today`. @param {string} day ISO @param {string} today ISO */
export const shortDay = (day, today) =>
  dayWords(day, {
    day: "numeric",
    month: "short",
    ...(day.slice(0, 4) === today.slice(0, 4) ? {} : { year: "numeric" }),
  });

/** @param {string} instant ISO */
export const timeWords = (instant) =>
  formatter(Intl.DateTimeFormat, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).format(
    new Date(instant),
  );

/** An age as the KMS writes it. @param {string|null} born_on @param {string} on */
export function ageWords(born_on, on) {
  const months = monthsCompleted(born_on, on);
  if (months === null) return say("age not known");
  if (months < 1) return `${Math.max(ageDays(born_on, on) || 0, 0)} ${say("days")}`;
  const years = Math.floor(months / 12);
  const rest = months % 12;
  const parts = [years && `${years} ${say("y")}`, (rest || !years) && `${rest} ${say("mo")}`];
  return parts.filter(Boolean).join(" ");
}

/** @param {"M"|"F"|null} sex */
export const sexWord = (sex) => (sex === "M" ? say("boy") : sex === "F" ? say("girl") : say("sex?"));

/** A mother's name with "Ibu" before it, unless it has that already. @param {string} name */
export const motherWords = (name) => (/^(ibu|bu|ny)\b/i.test(name) ? name : `${say("Mother")} ${name}`);

/** A text for searching: without case and accents. */
export const plain = (text) =>
  (text || "")
    .normalize("NFD")
    .replace(/[\u0300-\u036f]/g, "")
    .toLowerCase();
