/**
 * The LMS method: from a measurement to a z-score and back, by one row of a table (Cole and Green 1992). Beyond 3 SD, where the
 * power misleads, WHO 2006 applies: the score goes on linearly, in steps of the distance between 2 and 3 SD.
 */

import { rowOf } from "./tables.js";

/**
 * Score by age: the row of the child's day, no interpolation.
 * @param {import('./tables.js').Lms} table
 * @param {number} value kg, cm or kg/m2
 * @param {number} day
 * @param {boolean} plain whether to go on by the plain formula beyond 3 SD
 * @returns {number} unrounded; NaN where the standard has no row
 */
export function zForAge(table, value, day, plain) {
  const row = rowOf(table, day);
  if (row < 0) return NaN;
  if (plain) return (value / table.m[row] - 1) / table.s[row];
  return restrictedZ(value, table.l[row], table.m[row], table.s[row]);
}

/**
 * Score weight by length or height: between two rows 0.1 cm apart M and S are interpolated; L is the same in all of them.
 * @param {import('./tables.js').Lms} table wfl or wfh
 * @param {number} weight_kg
 * @param {number} lenhei_cm within the table
 * @returns {number} unrounded
 */
export function zForLength(table, weight_kg, lenhei_cm) {
  const steps = lenhei_cm * 10;
  const lower = Math.trunc(steps);
  const fraction = Math.max((lenhei_cm - lower / 10) / 0.1, 0);
  const at = rowOf(table, lower);
  // not lower + 1: for a length a rounding error below a row (51.9 - 0.7) the reference takes one row further
  const next = Math.min(Math.trunc(steps + 1) - table.first, table.m.length - 1);
  const between = (column) => column[at] + fraction * (column[next] - column[at]);
  return restrictedZ(weight_kg, table.l[at], between(table.m), between(table.s));
}

function restrictedZ(value, l, m, s) {
  const z = ((value / m) ** l - 1) / (s * l);
  if (!(Math.abs(z) > 3)) return z;
  const edge = z > 0 ? 3 : -3;
  const atEdge = valueAt(edge, l, m, s);
  return edge + (value - atEdge) / Math.abs(atEdge - valueAt(edge * (2 / 3), l, m, s));
}

function valueAt(z, l, m, s) {
  return m * (1 + l * s * z) ** (1 / l);
}

/**
 * Give the measurement that lies on a z line, to draw the growth chart from.
 * @param {import('./tables.js').Tables} tables
 * @param {'lhfa'|'wfa'|'bfa'|'hcfa'|'acfa'} name
 * @param {'M'|'F'} sex
 * @param {number} day age in whole days
 * @param {number} z standard deviations, -3 to 3
 * @returns {number|null} kg or cm; null where the standard has no row
 */
export function valueOnLine(tables, name, sex, day, z) {
  const table = tables.lms[name][sex];
  const row = rowOf(table, day);
  return row < 0 ? null : valueAt(z, table.l[row], table.m[row], table.s[row]);
}

/**
 * Round to two decimals, halves to even, as R and NumPy do; never -0.
 * @param {number} value
 * @returns {number}
 */
export function round2(value) {
  return roundHalfEven(value * 100) / 100 + 0;
}

/**
 * Round to a whole number, halves to even.
 * @param {number} value
 * @returns {number}
 */
export function roundHalfEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}
