/**
 * Typing mistakes: a lost decimal mark (95 for 9.5), grams for kilograms (9500), weight and length swapped. Hides what is
 * expected at a child's age, and which other readings of a typed value there are. Whether one of them is proposed is decided in
 * `proposals.js`.
 */

import { ageDays } from "./calendar.js";
import { rowOf } from "./tables.js";

/** By field: its table by age, record units in one unit of the table, how much of the median a reading must have to be proposed,
 * and the usual range under five where the age is unknown.
 * @type {{[field: string]: {table: string, unit: number, likely: [number, number], usual: [number, number]}}} */
const FIELDS = {
  weight_g: { table: "wfa", unit: 1000, likely: [0.6, 1.5], usual: [2000, 25000] },
  length_mm: { table: "lhfa", unit: 10, likely: [0.8, 1.2], usual: [450, 1200] },
  muac_mm: { table: "acfa", unit: 10, likely: [0.65, 1.25], usual: [90, 200] },
  head_mm: { table: "hcfa", unit: 10, likely: [0.85, 1.15], usual: [320, 560] },
};
/** @typedef {'weight_g'|'length_mm'|'muac_mm'|'head_mm'} Measure */
/** @type {Measure[]} */
export const MEASURES = ["weight_g", "length_mm", "muac_mm", "head_mm"];
const FACTORS = [0.1, 10, 0.001, 1000, 0.01, 100];
/** A value outside 0.45 to 2.2 times the median is doubted; for weight this is about -6 and +5 SD. */
/** @type {[number, number]} */
const DOUBTED = [0.45, 2.2];
/** A figure in kg was typed as one in cm, or the other way round: grams in a millimetre. */
const GRAMS_PER_MM = 100;

/**
 * Tell whether a value is beyond what a record may hold.
 * @param {import('./tables.js').Tables} tables
 * @param {Measure} field
 * @param {number} value
 * @returns {boolean}
 */
export function outOfRange(tables, field, value) {
  const [least, greatest] = tables.ranges[field];
  return value < least || value > greatest;
}

/**
 * Tell whether a value is so far from the median of the age that a typing mistake is likelier.
 * @param {import('./tables.js').Tables} tables
 * @param {import('./assess.js').Child} child
 * @param {string} on day of measuring
 * @param {Measure} field
 * @param {number|null} value as typed
 * @returns {boolean} false where the age is unknown, or nothing was typed
 */
export function isDoubted(tables, child, on, field, value) {
  const median = medianOf(tables, child, on, field);
  return value !== null && median !== null && !within(value, median, DOUBTED);
}

/**
 * Tell whether a value is near enough to the median of the age, or to what is usual under five, to be proposed.
 * @param {import('./tables.js').Tables} tables
 * @param {import('./assess.js').Child} child
 * @param {string} on day of measuring
 * @param {Measure} field
 * @param {number} value
 * @returns {boolean}
 */
export function isLikely(tables, child, on, field, value) {
  const median = medianOf(tables, child, on, field);
  const { likely, usual } = FIELDS[field];
  return median === null ? within(value, 1, usual) : within(value, median, likely);
}

/**
 * Give the readings of a value with the decimal mark elsewhere.
 * @param {number} value as typed
 * @returns {number[]} whole units
 */
export function readings(value) {
  return FACTORS.map((factor) => Math.round(value * factor));
}

/**
 * Read a figure as one whose leading 1 was lost: 2.5 as 12.5.
 * @param {Measure} field
 * @param {number} value as typed
 * @returns {number|null} null where figures do not begin with 1
 */
export function withoutLoss(field, value) {
  const ten = { weight_g: 10_000, muac_mm: 100 }[field];
  return ten && value < ten ? value + ten : null;
}

/**
 * Read a figure that stands in the field of weight or length as one of the other field.
 * @param {'weight_g'|'length_mm'} field where it stands
 * @param {number} value
 * @returns {number|null} in the units of the other field; null where that takes whole millimetres only
 */
export function asOther(field, value) {
  const other = field === "weight_g" ? value / GRAMS_PER_MM : Math.round(value * GRAMS_PER_MM);
  return Number.isInteger(other) ? other : null;
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
