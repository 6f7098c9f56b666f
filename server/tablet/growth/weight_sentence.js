/** One sentence for the mother about the weight: how many grams were gained this month, and how many should have been. */

import { kg } from "./number_text.js";
import { later } from "./text.js";

/**
 * Whole grams, with the thousands apart.
 * @param {number} weight_g
 * @returns {import('./tables.js').Words} "1.200" in Indonesian
 */
function grams(weight_g) {
  const en = String(weight_g).replace(/\B(?=(\d{3})+$)/g, ",");
  return { id: en.replace(",", "."), en };
}

/**
 * Say what the newest visit's month tells about the weight.
 * @param {import('./assess.js').Visit[]} visits in order
 * @returns {import('./text.js').Text|import('./tables.js').Words}
 */
export function weightSentence(visits) {
  const newest = visits[visits.length - 1];
  if (!newest) return later("Not weighed yet.");
  if (newest.oedema) return later("Both feet are swollen, so the weight says nothing.");
  const at = visits.map(({ on, gain }) => Boolean(gain.code) && on.startsWith(newest.on.slice(0, 7))).lastIndexOf(true);
  if (at < 0) return later("Not weighed this time.");
  return visits[at].gain.kbm_g === null ? unjudged(visits, at) : judged(visits[at].gain);
}

/** N and T: the gain beside the least gain for the age (KBM). @param {import('./gain.js').Gain} gain */
function judged({ code, gain_g, kbm_g, two_t }) {
  const [gain, kbm] = [grams(Math.abs(Number(gain_g))), grams(Number(kbm_g))];
  if (code === "N") return later("Gained {gain} g, enough (at least {kbm} g)", { gain, kbm });
  const short = shortfall(Number(gain_g), { gain, kbm });
  return two_t ? later("{short}. Too little last month as well (2T)", { short }) : short;
}

function shortfall(gain_g, { gain, kbm }) {
  if (gain_g > 0) return later("Gained {gain} g this month, should be {kbm} g", { gain, kbm });
  if (gain_g === 0) return later("The same weight as last month, should be {kbm} g more", { kbm });
  return later("Lost {gain} g this month, should have gained {kbm} g", { gain, kbm });
}

/** B and O: there is nothing to compare with, or something is not known.
 * @param {import('./assess.js').Visit[]} visits @param {number} at */
function unjudged(visits, at) {
  const { gain, age_months, measurement } = visits[at];
  const weight = kg(Number(measurement.weight_g));
  if (gain.reason === "first_weighing") {
    return age_months === 0
      ? later("First weighing of a newborn: {weight}. From next month we look at the gain.", { weight })
      : later("First weighing: {weight}. Next month we look at the gain.", { weight });
  }
  if (gain.reason === "under_one_month")
    return later("{weight}. Not one month old yet: from next month we look at the gain.", { weight });
  if (gain.reason === "no_weighing_last_month") {
    const [before] = visits.slice(0, at).filter((visit) => visit.gain.code).slice(-1);
    return later("{weight}, last time {before}. Not weighed last month, so the gain cannot be judged.", {
      weight,
      before: kg(Number(before.measurement.weight_g)),
    });
  }
  if (gain.reason === "no_kbm_for_age") return weight;
  return later("{weight}. The gain cannot be judged before birth date and sex are known.", { weight });
}
