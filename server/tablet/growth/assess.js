/**
 * From a child's whole timeline, all that is derived of it: scores, statuses, gain, flags. The same as the server's assessment,
 * but at once, while the child is still on the scale. Pure: the day is an argument.
 */

import { ageDays, monthsCompleted } from "./calendar.js";
import { flagsOf } from "./flags.js";
import { gains } from "./gain.js";
import { muacStatus, statusOf } from "./status.js";
import { canScore, scores } from "./zscores.js";

/** The arm's classes hold from 6 to 59 months; where the age is unknown, a thin arm is flagged all the same. */
const ASSUMED_MONTHS = 12;
/** The scores that have a status of their own. @type {Array<"haz"|"waz"|"whz"|"baz">} */
const STATUS_INDICES = ["haz", "waz", "whz", "baz"];

/**
 * @typedef {object} Child
 * @property {'M'|'F'|null} sex
 * @property {string|null} born_on ISO date
 * @property {string|null} [known_since] ISO date from which a child without measurements counts as missed; left out: never missed
 */

/**
 * What was measured on one day; null where something was not.
 * @typedef {object} Measurement
 * @property {string} on ISO date
 * @property {'cadre'|'staff'} source
 * @property {number|null} weight_g
 * @property {'n'|'1'|'2'|'3'|null} oedema
 * @property {number|null} length_mm as read, before the 0.7 cm rule
 * @property {'lying'|'standing'|null} position
 * @property {number|null} muac_mm
 * @property {number|null} head_mm
 */

/**
 * A measurement and what is derived of it.
 * @typedef {object} Visit
 * @property {string} on
 * @property {'cadre'|'staff'} source
 * @property {Measurement} measurement as given
 * @property {number|null} age_days
 * @property {number|null} age_months completed calendar months; null also before birth
 * @property {import('./zscores.js').Scores} scores
 * @property {number|null} corrected_mm length or height by the 0.7 cm rule, whole millimetres
 * @property {boolean} oedema of both feet
 * @property {{haz: string|null, waz: string|null, whz: string|null, baz: string|null, muac: string|null}} status codes
 * @property {import('./gain.js').Gain} gain
 */

/**
 * @typedef {object} Assessment
 * @property {Visit[]} visits in order of day, on one day cadre before staff
 * @property {Object<string, {code: string, z: number|null, value: number|null, visit: Visit}|null>} latest by index (haz, waz,
 *   whz, baz, muac): the newest status; null where there never was one
 * @property {import('./flags.js').Flag[]} flags most urgent first
 */

/**
 * Assess a child.
 * @param {import('./tables.js').Tables} tables
 * @param {Child} child
 * @param {Measurement[]} measurements in any order; at most one for a day and source
 * @param {string} today ISO date in the district
 * @returns {Assessment}
 */
export function assess(tables, child, measurements, today) {
  const inOrder = [...measurements].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  const gain = gains(tables, child, inOrder);
  const visits = inOrder.map((measurement, at) => visitOf(tables, child, measurement, gain[at]));
  /** @type {Assessment["latest"]} */
  const latest = {};
  for (const index of [...STATUS_INDICES, "muac"]) latest[index] = latestOf(visits, index);
  return { visits, latest, flags: flagsOf(tables, child, visits, today) };
}

/**
 * Tell whether a grade of oedema is oedema.
 * @param {string|null} grade
 * @returns {boolean}
 */
export function isSwollen(grade) {
  return grade != null && grade !== "n";
}

/**
 * Derive what a measurement tells by itself; `gain` comes from the timeline.
 * @param {import('./tables.js').Tables} tables
 * @param {Child} child
 * @param {Measurement} measurement
 * @param {import('./gain.js').Gain} gain
 * @returns {Visit}
 */
export function visitOf(tables, child, measurement, gain) {
  const age_days = ageDays(child.born_on, measurement.on);
  const oedema = isSwollen(measurement.oedema);
  const months = child.born_on ? monthsCompleted(child.born_on, measurement.on) : ASSUMED_MONTHS;
  let found = null;
  // scored on first use: a list of 150 children needs only the newest visit of each
  const derived = () => (found ??= derivedOf(tables, { ...measurement, sex: child.sex, age_days, oedema }, months));
  return {
    on: measurement.on,
    source: measurement.source,
    measurement,
    age_days,
    age_months: age_days === null ? null : months,
    get scores() {
      return derived().scores;
    },
    get corrected_mm() {
      return derived().corrected_mm;
    },
    oedema,
    get status() {
      return derived().status;
    },
    gain,
  };
}

function derivedOf(tables, body, months) {
  const scored = scores(tables, body);
  const status = { muac: muacStatus(tables, body.muac_mm, months) };
  for (const index of STATUS_INDICES) status[index] = statusOf(tables, index, scored[index].z, body.oedema);
  return { scores: scored, corrected_mm: scored.lenhei_cm === null ? null : Math.round(scored.lenhei_cm * 10), status };
}

const key = ({ on, source }) => `${on}/${source}`;

function latestOf(visits, index) {
  const may = (visit) => visit.oedema || canScore(index, visit.measurement);
  const visit = [...visits].reverse().find((one) => may(one) && one.status[index] !== null);
  if (!visit) return null;
  const [z, value] = index === "muac" ? [null, visit.measurement.muac_mm] : [visit.scores[index].z, null];
  return { code: visit.status[index], z, value, visit };
}
