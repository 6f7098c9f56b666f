/**
 * WHO z-scores of children under 60 months, as the server's `growth/zscores.py` computes them, to the last digit.
 *
 * Rules that are often got wrong: the age decides the table (lying to day 730, standing from 731), and a length measured the
 * other way is corrected by 0.7 cm first; there are no scores from 60 months on; outside a table there is no score, never that
 * of the nearest row; beyond 3 SD the indices of weight, BMI and arm go on linearly (`lms.js`); a score is rounded once, and
 * cut-offs apply to the rounded value. A missing number is NaN inside this module and null outside.
 */

import { round2, zForAge, zForLength } from "./lms.js";

export const INDICES = ["haz", "waz", "whz", "baz", "hcz", "acz"];
/** The measures that each index needs. */
const NEEDS = {
  haz: ["length_mm"],
  waz: ["weight_g"],
  whz: ["weight_g", "length_mm"],
  baz: ["weight_g", "length_mm"],
  hcz: ["head_mm"],
  acz: ["muac_mm"],
  muac: ["muac_mm"],
};

/**
 * Tell whether a measurement has all measures that an index needs.
 * @param {string} index or "muac"
 * @param {object} measurement
 * @returns {boolean}
 */
export const canScore = (index, measurement) => NEEDS[index].every((part) => measurement[part] != null);

export const DAYS_PER_MONTH = 30.4375;
export const FIRST_STANDING_DAY = 731;
export const LAST_SCORED_DAY = 1826;

/** Why a score is undefined; where several reasons apply, the last in this order is given. */
export const REASONS = [
  "defined",
  "value_missing",
  "no_sex",
  "no_age",
  "age_out_of_range",
  "length_out_of_range",
  "oedema",
  "value_refused",
];
const [, MISSING, NO_SEX, NO_AGE, AGE_RANGE, LENGTH_RANGE, OEDEMA, REFUSED] = REASONS.keys();

/** By index: its table, whether oedema makes it invalid, and the limits of plausibility. */
const RULES = {
  haz: { table: "lhfa", oedema: false, lowest: -6, highest: 6 },
  waz: { table: "wfa", oedema: true, lowest: -6, highest: 5 },
  whz: { table: null, oedema: true, lowest: -5, highest: 5 }, // wfl or wfh, by child
  baz: { table: "bfa", oedema: true, lowest: -5, highest: 5 },
  hcz: { table: "hcfa", oedema: false, lowest: -5, highest: 5 },
  acz: { table: "acfa", oedema: false, lowest: -5, highest: 5, firstDay: 91 },
};
/** L is 1 in all rows of these two tables, so their tails are not restricted. */
const PLAIN = new Set(["lhfa", "hcfa"]);

/**
 * One index. `z` has two decimals; `implausible` says whether it lies beyond the WHO's limits (null without a score);
 * `reason` is null if and only if z is a number.
 * @typedef {{z: number|null, implausible: boolean|null, reason: string|null}} Score
 */

/**
 * All scores of one measurement, and what they were computed from.
 * @typedef {object} Scores
 * @property {number|null} age_days completed days, halves rounded up
 * @property {number|null} lenhei_cm after the 0.7 cm rule, unrounded
 * @property {'lying'|'standing'|null} position null also where standing was recorded under 9 months of age
 * @property {boolean} standing_before_9_months
 * @property {number|null} bmi kg/m2, of the corrected length, unrounded
 * @property {Score} haz length/height-for-age
 * @property {Score} waz weight-for-age
 * @property {Score} whz weight-for-length/height
 * @property {Score} baz BMI-for-age
 * @property {Score} hcz head circumference-for-age
 * @property {Score} acz arm circumference-for-age
 */

/**
 * Score whole grams and millimetres, as records hold them.
 * @param {import('./tables.js').Tables} tables
 * @param {{sex: 'M'|'F'|null, age_days: number|null, weight_g: number|null, length_mm: number|null,
 *   position: 'lying'|'standing'|null, muac_mm: number|null, head_mm: number|null, oedema: boolean}} body
 * @returns {Scores}
 */
export function scores(tables, body) {
  const per = (value, unit) => (value == null ? null : value / unit);
  return rawScores(tables, {
    sex: body.sex,
    age_days: body.age_days,
    weight_kg: per(body.weight_g, 1000),
    lenhei_cm: per(body.length_mm, 10),
    position: body.position,
    headc_cm: per(body.head_mm, 10),
    armc_cm: per(body.muac_mm, 10),
    oedema: body.oedema,
  });
}

/**
 * Score doubles in the units of the standard. The age may be given in days or, where these are missing, in months.
 * @param {import('./tables.js').Tables} tables
 * @param {{sex: 'M'|'F'|null, age_days?: number|null, age_months?: number|null, weight_kg?: number|null,
 *   lenhei_cm?: number|null, position?: 'lying'|'standing'|null, headc_cm?: number|null, armc_cm?: number|null,
 *   oedema?: boolean}} body
 * @returns {Scores}
 */
export function rawScores(tables, body) {
  const age = ageOf(number(body.age_days), number(body.age_months));
  const tooYoung = body.position === "standing" && age.months < 9;
  const position = tooYoung ? null : body.position || null;
  const weight = accepted(number(body.weight_kg));
  const length = accepted(number(body.lenhei_cm));
  const standing = onHeightTable(age.day, position, length.value);
  length.value = moved(length.value, age.day, position, standing);
  const metres = length.value / 100;
  const bmi = weight.value / (metres * metres);
  const both = Math.max(weight.reason, length.reason);
  const measured = {
    // metres typed as centimetres can become negative by the 0.7 cm rule
    haz: { value: length.value, reason: Math.max(length.reason, length.value <= 0 ? REFUSED : 0) },
    waz: weight,
    whz: { value: weight.value, reason: both },
    baz: { value: bmi, reason: both },
    hcz: accepted(number(body.headc_cm)),
    acz: accepted(number(body.armc_cm)),
  };
  const out = {
    age_days: known(age.day),
    lenhei_cm: known(length.value),
    position,
    standing_before_9_months: tooYoung,
    bmi: known(bmi),
  };
  const child = { sex: body.sex, age, lenhei_cm: length.value, standing, oedema: Boolean(body.oedema) };
  const scored = INDICES.map((index) => [index, scoreOf(tables, index, measured[index], child)]);
  return { ...out, ...Object.fromEntries(scored) };
}

const number = (value) => (value == null ? NaN : value);
const known = (value) => (Number.isFinite(value) ? value : null);

/** Both ages are needed: the limits of the standard are in months as given, its tables in whole days. */
function ageOf(days, inMonths) {
  const months = Number.isNaN(days) ? inMonths : days / DAYS_PER_MONTH;
  const exact = Number.isNaN(days) ? inMonths * DAYS_PER_MONTH : days;
  if (Number.isNaN(exact)) return { day: NaN, months: NaN, reason: NO_AGE };
  if (exact < 0 || exact === Infinity) return { day: NaN, months, reason: REFUSED };
  return { day: Math.floor(exact + 0.5), months, reason: months < 60 ? 0 : AGE_RANGE };
}

function accepted(value) {
  if (Number.isNaN(value)) return { value: NaN, reason: MISSING };
  return value > 0 && value < Infinity ? { value, reason: 0 } : { value: NaN, reason: REFUSED };
}

/** Choose between lying and standing tables: by age; without an age by position; without that by length. */
function onHeightTable(day, position, lenhei_cm) {
  if (!Number.isNaN(day)) return day >= FIRST_STANDING_DAY;
  return position ? position === "standing" : lenhei_cm >= 87;
}

/** Length (lying) is 0.7 cm more than height (standing). Without an age the position chose the table, so both agree. */
function moved(lenhei_cm, day, position, standing) {
  if (!(day >= 0) || !position || (position === "standing") === standing) return lenhei_cm;
  return standing ? lenhei_cm - 0.7 : lenhei_cm + 0.7;
}

function scoreOf(tables, index, measured, child) {
  const rule = RULES[index];
  let reason = Math.max(measured.reason, child.sex ? 0 : NO_SEX, rule.oedema && child.oedema ? OEDEMA : 0);
  let z = NaN;
  if (rule.table) {
    reason = Math.max(reason, child.age.reason, child.age.day < (rule.firstDay || 0) ? AGE_RANGE : 0);
    if (!reason) z = zForAge(tables.lms[rule.table][child.sex], measured.value, child.age.day, PLAIN.has(rule.table));
  } else {
    const [shortest, longest] = child.standing ? [65, 120] : [45, 110];
    const outside = child.lenhei_cm < shortest || child.lenhei_cm > longest;
    // the age is not required: without one the position chooses the table
    reason = Math.max(reason, outside ? LENGTH_RANGE : 0, child.age.reason === NO_AGE ? 0 : child.age.reason);
    if (!reason) z = zForLength(tables.lms[child.standing ? "wfh" : "wfl"][child.sex], measured.value, child.lenhei_cm);
  }
  if (!reason && !Number.isFinite(z)) reason = REFUSED;
  if (reason) return { z: null, implausible: null, reason: REASONS[reason] };
  z = round2(z);
  return { z, implausible: z < rule.lowest || z > rule.highest, reason: null };
}
