/**
 * The decimal comma that may be left out on the number pad: "98" is 9.8 kg, "765" is 76.5 cm. Pure.
 *
 * One rule for each field: the digits are read as they are, and with a comma before the last one (kilograms: also before the
 * last two or three). The reading that is expected at the child's age is meant. Where none is, or several are (only where the
 * age is unknown), the digits stay as they are; and nobody is asked here about a text with a comma of its own.
 */

import { expected } from "./typing_slips.js";

/** Most decimals that are implied, and record units in one unit of the screen. @type {Object<string, {most: number, unit: number}>} */
const READINGS = {
  weight_g: { most: 3, unit: 1000 },
  length_mm: { most: 1, unit: 10 },
  muac_mm: { most: 1, unit: 10 },
  head_mm: { most: 1, unit: 10 },
};

/**
 * Find how many of the typed digits are decimals.
 * @param {import('./tables.js').Tables} tables
 * @param {import('./assess.js').Child} child
 * @param {string} on day of measuring
 * @param {string} field weight_g, length_mm, muac_mm or head_mm
 * @param {string} digits as typed
 * @returns {number} 0: no comma is implied
 */
export function impliedDecimals(tables, child, on, field, digits) {
  if (!/^[1-9]\d*$/.test(digits)) return 0;
  const { most, unit } = READINGS[field];
  const [low, high] = expected(tables, child, on, field);
  const fitting = [];
  for (let decimals = 0; decimals <= Math.min(most, digits.length - 1); decimals += 1) {
    const value = (Number(digits) * unit) / 10 ** decimals;
    if (value >= low && value <= high) fitting.push(decimals);
  }
  return fitting.length === 1 ? fitting[0] : 0;
}
