/**
 * The most that a length or a head grows between two visits, by the rules of the server's `growth/growth_limits.py`. More is
 * probably a mistake in one of the values.
 */

import { rowOf } from "./tables.js";
import { DAYS_PER_MONTH } from "./zscores.js";

const READINGS_MM = { length_mm: 17, head_mm: 10 };
const TABLES = { length_mm: "lhfa", head_mm: "hcfa" };
const HEAD_SDS = 3;
const DAYS_OF_SPREAD = 3 * DAYS_PER_MONTH;

/**
 * Give the most that a measure grows between two ages.
 * @param {import('./tables.js').Tables} tables
 * @param {'length_mm'|'head_mm'} part the length after the 0.7 cm rule
 * @param {'M'|'F'|null} sex a boy's where it is unknown
 * @param {number|null} before age in days
 * @param {number|null} after age in days, not less
 * @returns {number} millimetres; Infinity where there is no limit
 */
export function mostGrowth(tables, part, sex, before, after) {
  if (before === null || after === null) return Infinity;
  const table = tables.lms[TABLES[part]][sex || "M"];
  const [first, last] = [rowOf(table, before), rowOf(table, after)];
  if (first < 0 || last < 0) return Infinity;
  const { m, s } = table;
  const spread = part === "length_mm" ? lengthSpread(tables, before, after) : m[first] * s[first] * (HEAD_SDS * 10);
  return (m[last] - m[first]) * 10 + spread + READINGS_MM[part];
}

function lengthSpread({ length_spread_mm }, before, after) {
  const month = Math.min(Math.floor(before / DAYS_PER_MONTH), length_spread_mm.length - 1);
  return length_spread_mm[month] * Math.max((after - before) / DAYS_OF_SPREAD, 1);
}
