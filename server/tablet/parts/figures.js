// Figures as they are typed, and as records hold them: whole grams and millimetres. Text is read digit by digit, so no binary
// fraction ever decides a gram.

import { cm, decimalMark, kg, later, laterIn, say } from "../words/words.js";

/** What is read from a scale, a board or a tape. `digits`: decimals of the unit on the screen that the record's unit is. */
export const FIGURES = {
  weight_g: { register: "weight", digits: 3, name: later("Weight"), unit: "kg" },
  length_mm: { register: "length", digits: 1, name: later("Length / height"), unit: "cm" },
  muac_mm: { register: "muac", digits: 1, name: later("Arm"), unit: "cm" },
  head_mm: { register: "head", digits: 1, name: laterIn("short", "Head"), unit: "cm" },
};

/** @param {string} text such as "9,5" @param {number} digits @returns {number|null|undefined} null: empty; undefined: no figure */
export function toUnits(text, digits) {
  if (!text) return null;
  const parts = /^(\d{1,6})(?:[.,](\d*))?$/.exec(text.trim());
  if (!parts || (parts[2] || "").length > digits) return undefined;
  return Number(parts[1] + (parts[2] || "").padEnd(digits, "0"));
}

/** @param {number|null} units @param {number} digits @returns {string} as it would be typed */
export function toText(units, digits) {
  if (units === null || units === undefined) return "";
  const whole = String(units).padStart(digits + 1, "0");
  const fraction = whole.slice(-digits).replace(/0+$/, "");
  return whole.slice(0, -digits) + (fraction ? decimalMark() + fraction : "");
}

/** The figures of a record in one line. @param {object} registers by name */
export function figuresText({ weight = {}, length = {}, muac = {}, head = {} }) {
  const parts = [
    weight.weight_g && kg(weight.weight_g),
    length.length_mm && cm(length.length_mm),
    muac.muac_mm && `${say("arm")} ${cm(muac.muac_mm)}`,
    head.head_mm && `${say("head")} ${cm(head.head_mm)}`,
  ];
  return parts.filter(Boolean).join(" · ") || say("no figures");
}
