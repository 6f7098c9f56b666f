/**
 * Typing mistakes: a lost decimal mark (95 for 9.5), grams for kilograms (9500), two fields swapped. Hides what is expected at
 * a child's age, and when another reading of the typed value is likely enough to be proposed.
 */

import { ageDays } from "./calendar.js";
import { rowOf } from "./tables.js";

/** By field: its table by age, record units in one unit of the table, and the usual range under five where the age is unknown. */
/** @type {{[field: string]: {table: string, unit: number, usual: [number, number]}}} */
const FIELDS = {
  weight_g: { table: "wfa", unit: 1000, usual: [2000, 25000] },
  length_mm: { table: "lhfa", unit: 10, usual: [450, 1200] },
  muac_mm: { table: "acfa", unit: 10, usual: [90, 200] },
  head_mm: { table: "hcfa", unit: 10, usual: [320, 560] },
};
/** @type {Array<"weight_g"|"length_mm"|"muac_mm"|"head_mm">} */
export const MEASURES = ["weight_g", "length_mm", "muac_mm", "head_mm"];
const FACTORS = [0.1, 10, 0.001, 1000, 0.01, 100];
/** A value outside 0.45 to 2.2 times the median is doubted; for weight this is about -6 and +5 SD. */
/** @type {[number, number]} */
const DOUBTED = [0.45, 2.2];
/** Another reading is proposed if it is 0.6 to 1.67 times the median; nine in ten wasted or heavy children are in this range. */
/** @type {[number, number]} */
const LIKELY = [0.6, 1.67];
/** No child is both heavier and shorter than this: weight and length were swapped. */
const SWAPPED = { weight_g: 30000, length_mm: 300 };

/**
 * Find the likelier reading of a value.
 * @param {import('./tables.js').Tables} tables
 * @param {import('./assess.js').Child} child
 * @param {string} on day of measuring
 * @param {'weight_g'|'length_mm'|'muac_mm'|'head_mm'} field
 * @param {number} value as typed
 * @returns {number|null} null where the value may be right, or no other reading is likely
 */
export function likelyMeant(tables, child, on, field, value) {
  const [least, greatest] = tables.ranges[field];
  const outside = value < least || value > greatest;
  const median = medianOf(tables, child, on, field);
  if (!outside && (median === null || within(value, median, DOUBTED))) return null;
  const readings = FACTORS.map((factor) => Math.round(value * factor)).filter((other) => {
    const [low, high] = FIELDS[field].usual;
    return median === null ? other >= low && other <= high : within(other, median, LIKELY);
  });
  return readings.length ? readings[0] : null;
}

/**
 * Find whether weight and length were swapped.
 * @param {{weight_g: number|null, length_mm: number|null}} draft
 * @returns {{weight_g: number, length_mm: number}|null} what was meant
 */
export function swappedBack({ weight_g, length_mm }) {
  if (weight_g === null || length_mm === null) return null;
  if (weight_g <= SWAPPED.weight_g || length_mm >= SWAPPED.length_mm) return null;
  return { weight_g: length_mm * 100, length_mm: Math.round(weight_g / 100) };
}

/**
 * The range in which a value is not doubted at this age; the usual one under five where the age is unknown.
 * @returns {[number, number]} in the record's unit
 */
export function expected(tables, child, on, field) {
  const median = medianOf(tables, child, on, field);
  return median === null ? FIELDS[field].usual : [median * DOUBTED[0], median * DOUBTED[1]];
}

function within(value, median, [low, high]) {
  return value >= median * low && value <= median * high;
}

/** The median at this age; the boys' where the sex is unknown, as the two differ less than any typing mistake. */
function medianOf(tables, child, on, field) {
  const age_days = ageDays(child.born_on, on);
  if (age_days === null) return null;
  const { table: name, unit } = FIELDS[field];
  const table = tables.lms[name][child.sex || "M"];
  const row = rowOf(table, age_days);
  return row < 0 ? null : table.m[row] * unit;
}
