/**
 * The flags that follow from a child's growth, with the server's names, urgency and words.
 *
 * Flags about growth are about the newest value of each index; flags about unlikely values (`quality_flags.js`) are about the newest
 * measurement. Only the server raises flags about conflicts, duplicates and clocks, as it sees every tablet.
 */

import { monthNumber } from "./calendar.js";
import { oddities } from "./quality_flags.js";
import { MUAC_MODERATE_BELOW_MM, MUAC_SEVERE_BELOW_MM } from "./status.js";
import { INDICES, canScore } from "./zscores.js";

/** By index: rules for scores below and above a limit; of each the first that applies counts. */
const GROWTH_RULES = {
  haz: {
    below: [
      ["severely_stunted", -3],
      ["stunted", -2],
    ],
  },
  waz: {
    below: [
      ["below_red_line", -3],
      ["underweight", -2],
    ],
    above: [["above_orange_line", 1]],
  },
  whz: {
    below: [
      ["severely_wasted", -3],
      ["wasted", -2],
    ],
    above: [["overweight", 2]],
  },
  hcz: {
    below: [
      ["head_very_small", -3],
      ["head_small", -2],
    ],
    above: [
      ["head_very_large", 3],
      ["head_large", 2],
    ],
  },
  acz: {
    below: [
      ["muac_for_age_severe", -3],
      ["muac_for_age_moderate", -2],
    ],
  },
};
/** An infant under this age, in completed months, that does not gain is seen today. */
const INFANT_MONTHS = 6;

/**
 * A rule that applies. `subject` is the measurement ("2026-11-03/cadre"; for implausible also the index) or "".
 * @typedef {object} Flag
 * @property {string} rule as in the server's flags
 * @property {1|2|3|4} urgency 1 today, 2 this week, 3 next posyandu day, 4 to know
 * @property {string} subject
 * @property {Object<string, string|number>} details as the server's: index and z, gain_g, muac_mm, change_mm, change_g, last
 * @property {import('./tables.js').Words} words
 */

/**
 * Find a child's flags.
 * @param {import('./tables.js').Tables} tables
 * @param {import('./assess.js').Child} child
 * @param {import('./assess.js').Visit[]} visits in order
 * @param {string} today
 * @returns {Flag[]} most urgent first, within an urgency in the server's order
 */
export function flagsOf(tables, child, visits, today) {
  /** @type {Array<Pick<Flag, "rule"|"subject"|"details">>} */
  const found = [
    ...aboutChild(child),
    ...aboutAbsence(child, visits, today),
    ...aboutGrowth(visits),
    ...aboutArms(visits),
    ...aboutGain(tables, visits),
    ...oddities(tables, child, visits).map((odd) => ({ ...odd, subject: subjectOf(visits[visits.length - 1]) })),
  ];
  const order = Object.keys(tables.rules);
  return found
    .sort((a, b) => order.indexOf(a.rule) - order.indexOf(b.rule))
    .map((flag) => {
      const { urgency, id, en } = tables.rules[flag.rule];
      return { ...flag, urgency, words: { id, en } };
    });
}

/**
 * Name a measurement within its child.
 * @param {{on: string, source: string}} visit
 * @returns {string}
 */
export function subjectOf({ on, source }) {
  return `${on}/${source}`;
}

function newest(visits, holds) {
  for (let at = visits.length - 1; at >= 0; at -= 1) if (holds(visits[at])) return at;
  return -1;
}

function* aboutChild({ born_on, sex }) {
  if (!born_on) yield { rule: "birth_date_unknown", subject: "", details: {} };
  if (!sex) yield { rule: "sex_unknown", subject: "", details: {} };
}

/** A child under five is missed if it was measured neither in this calendar month nor in the last.
 * @param {import("./assess.js").Child} child */
function* aboutAbsence({ born_on, known_since }, visits, today) {
  const last = visits.length ? visits[visits.length - 1].on : null;
  const since = last || known_since;
  const young = born_on && firstOfMonthAfter(born_on) > monthNumber(today) - 60;
  if (!since || !young || monthNumber(since) >= monthNumber(today) - 1) return;
  yield { rule: "not_seen", subject: "", details: last ? { last } : {} };
}

/** The number of the first month that begins on or after a date. */
function firstOfMonthAfter(on) {
  return monthNumber(on) + (on.endsWith("-01") ? 0 : 1);
}

function* aboutGrowth(visits) {
  for (const index of INDICES) {
    const at = newest(visits, (visit) => canScore(index, visit.measurement) && visit.scores[index].z !== null);
    if (at < 0) continue;
    const { z, implausible } = visits[at].scores[index];
    const subject = subjectOf(visits[at]);
    const details = { index, z: z.toFixed(2) };
    const { below = [], above = [] } = GROWTH_RULES[index] || {};
    const rules = [below.find(([, limit]) => z < limit), above.find(([, limit]) => z > limit)];
    for (const rule of rules) if (rule) yield { rule: rule[0], subject, details };
    if (implausible) yield { rule: "implausible", subject: `${subject}/${index}`, details };
  }
  const swollen = newest(visits, ({ oedema }) => oedema);
  // a later weighing without oedema means that the oedema is gone
  if (swollen >= 0 && swollen >= newest(visits, ({ measurement }) => measurement.weight_g != null)) {
    yield { rule: "oedema", subject: subjectOf(visits[swollen]), details: {} };
  }
}

function* aboutArms(visits) {
  const at = newest(visits, (visit) => canScore("muac", visit.measurement) && visit.status.muac !== null);
  if (at < 0) return;
  const { muac_mm } = visits[at].measurement;
  if (muac_mm >= MUAC_MODERATE_BELOW_MM) return;
  const rule = muac_mm < MUAC_SEVERE_BELOW_MM ? "muac_severe" : "muac_moderate";
  yield { rule, subject: subjectOf(visits[at]), details: { muac_mm } };
}

function* aboutGain(tables, visits) {
  const at = newest(visits, ({ gain }) => gain.code !== null);
  if (at < 0) return;
  const subject = subjectOf(visits[at]);
  const short = infantGain(tables, visits, at);
  if (short !== null) yield { rule: "infant_not_gaining", subject, details: { gain_g: short } };
  const { code, gain_g, two_t } = visits[at].gain;
  if (two_t) yield { rule: "two_t", subject, details: { gain_g } };
  else if (code === "T" && short === null) yield { rule: "not_gaining", subject, details: { gain_g } };
}

/**
 * The gain of an infant since its last weighing of an earlier month, if below the KBM of its age. Months without a weighing in
 * between change nothing: what is too little for one month is too little for several.
 * @returns {number|null} grams; null if it is no infant or gains enough
 */
function infantGain(tables, visits, at) {
  const { age_months, measurement } = visits[at];
  const before = newest(visits.slice(0, at), ({ gain }) => gain.code !== null);
  if (before < 0 || age_months === null || age_months < 1 || age_months >= INFANT_MONTHS) return null;
  const gain_g = measurement.weight_g - visits[before].measurement.weight_g;
  // of these ages the KBM is the same for both sexes
  return gain_g < Math.min(tables.kbm.M[age_months], tables.kbm.F[age_months]) ? gain_g : null;
}
