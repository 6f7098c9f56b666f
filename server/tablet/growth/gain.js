/**
 * N, T, O and B: does a child gain enough from month to month? The rules of the server's `growth/weight_gain.py`.
 *
 * Months are calendar months. The weighing of a month is its last one (of several on that day the lightest, which is the
 * cautious choice); the others get no code. B (the first weighing ever) and O (no weighing in the month before) are decided
 * before any gain. The KBM is that of the completed age in months at this weighing. 2T is T in two consecutive calendar months.
 */

import { monthNumber, monthsCompleted } from "./calendar.js";

const KBM_LAST_MONTH = 60;

/**
 * A weighing compared with the month before. `code` is null where this is not the weighing of its month; `gain_g` is null
 * where the month before had none; `kbm_g`, the least gain required, is null except for N and T; `reason` is one of
 * `tables.gain_reasons`, and null for N and T.
 * @typedef {{code: 'N'|'T'|'O'|'B'|null, gain_g: number|null, kbm_g: number|null, reason: string|null, two_t: boolean}} Gain
 */

/**
 * Judge a child's whole timeline, as a corrected weight also changes later months.
 * @param {import('./tables.js').Tables} tables
 * @param {{sex: 'M'|'F'|null, born_on: string|null}} child
 * @param {Array<{on: string, weight_g: number|null}>} measurements in order of day, on one day in order of source
 * @returns {Gain[]} one for each measurement, in the same order
 */
export function gains(tables, child, measurements) {
  const result = measurements.map(({ weight_g }) => uncoded(weight_g && weight_g > 0 ? "later_in_month" : "not_weighed"));
  let before = null;
  for (const at of monthly(measurements)) {
    const { on, weight_g } = measurements[at];
    const follows = before !== null && monthNumber(on) - monthNumber(measurements[before].on) === 1;
    const gain_g = follows ? Number(weight_g) - Number(measurements[before].weight_g) : null;
    const fellShort = before !== null && result[before].code === "T";
    result[at] = judged(tables, child, on, gain_g, before === null);
    result[at].two_t = result[at].code === "T" && follows && fellShort;
    before = at;
  }
  return result;
}

/** No code for a weighing. @param {string} reason @returns {Gain} */
export const uncoded = (reason) => ({ code: null, gain_g: null, kbm_g: null, reason, two_t: false });

/** Pick the index of each month's weighing: on the last day, the lightest of that day, the last of equals. */
function monthly(measurements) {
  const chosen = new Map();
  measurements.forEach(({ on, weight_g }, at) => {
    if (!(weight_g > 0)) return;
    const other = measurements[chosen.get(monthNumber(on))];
    if (!other || other.on < on || weight_g <= other.weight_g) chosen.set(monthNumber(on), at);
  });
  return chosen.values();
}

/** @returns {Gain} */
function judged(tables, child, on, gain_g, first) {
  const months = monthsCompleted(child.born_on, on);
  const reason = obstacle(child, months, gain_g, first);
  if (reason || months === null) return { ...uncoded(reason || "no_birth_date"), code: first ? "B" : "O", gain_g };
  const kbm_g = tables.kbm[child.sex][months];
  return { code: gain_g >= kbm_g ? "N" : "T", gain_g, kbm_g, reason: null, two_t: false };
}

/** Say why a weighing cannot be compared; of several reasons the first in this order. */
function obstacle(child, months, gain_g, first) {
  if (first) return "first_weighing";
  if (gain_g === null) return "no_weighing_last_month";
  if (months === null) return "no_birth_date";
  if (!child.sex) return "no_sex";
  if (months === 0) return "under_one_month";
  return months < 0 || months > KBM_LAST_MONTH ? "no_kbm_for_age" : null;
}
