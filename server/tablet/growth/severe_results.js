/**
 * Results that send a child to the health centre the same day (urgency 1 of the server's rules), by the values of one visit.
 * Before such a result the child is measured once more. Oedema needs no scale and is no question of measuring.
 */

import { canScore } from "./zscores.js";

/** @typedef {'whz'|'muac'|'waz'|'haz'} Index @typedef {'weight_g'|'length_mm'|'muac_mm'} Field */

/** The severe class of each index is its first code. The order is that of the server's rules. @type {Index[]} */
const INDICES = ["whz", "muac", "waz", "haz"];
/** @type {{[index: string]: Field}} */
const FIELDS = { muac: "muac_mm", waz: "weight_g", haz: "length_mm" };

/**
 * Find the severe results of the newest visit that the earlier ones do not show.
 * @param {import('./tables.js').Tables} tables
 * @param {import('./assess.js').Visit[]} visits in order
 * @returns {Array<{index: Index, code: string, field: Field}>}
 */
export function newlySevere(tables, visits) {
  const visit = visits[visits.length - 1];
  const earlier = visits.slice(0, -1).reverse();
  const severe = INDICES.filter((index) => isSevere(tables, visit, index));
  return severe
    .filter((index) => {
      const last = earlier.find((one) => one.status[index] !== null);
      return !last || !isSevere(tables, last, index);
    })
    .map((index) => ({ index, code: tables.codes[index][0], field: index === "whz" ? doubtfulPart(visit) : FIELDS[index] }));
}

function isSevere(tables, visit, index) {
  if (!canScore(index, visit.measurement) || visit.status[index] !== tables.codes[index][0]) return false;
  return index !== "whz" || !visit.oedema;
}

/** The part of weight for length that is further from the median of the age, in the direction that makes the child thin. @returns {Field} */
function doubtfulPart({ scores }) {
  return (scores.haz.z ?? 0) > -(scores.waz.z ?? 0) ? "length_mm" : "weight_g";
}
