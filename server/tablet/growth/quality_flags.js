/**
 * Unlikely values of a child's newest measurement, by themselves or compared with the last earlier measurement of the same
 * kind. Both the flags and the questions of the measuring form (`value_checks.js`) use these rules.
 */

import { monthNumber } from "./calendar.js";
import { roundHalfEven } from "./lms.js";
import { FIRST_STANDING_DAY } from "./zscores.js";

/** Two readings may differ by 1 cm, and by 0.7 cm more if the child was measured lying before and standing now. */
const SHRINKS_MM = 10;
const SHRINKS_AT_STANDING_MM = 17;
const JUMP_G = 2000;
/** Up to the age of half a year a change of 2 kg a month is possible. */
const HALF_YEAR_DAYS = 183;

/**
 * Find the oddities of the newest visit.
 * @param {import('./assess.js').Child} child
 * @param {import('./assess.js').Visit[]} visits in order
 * @returns {Array<{rule: string, details: Object<string, number>}>}
 */
export function oddities(child, visits) {
  const visit = visits[visits.length - 1];
  if (!visit) return [];
  /** @type {Array<[string, {[name: string]: number}]>} */
  const rules = [];
  if (child.born_on && visit.on < child.born_on) rules.push(["measured_before_birth", {}]);
  if (visit.scores.standing_before_9_months) rules.push(["position_unlikely", {}]);
  const change_mm = shrinkage(visits);
  if (change_mm !== null) rules.push(["length_shrank", { change_mm }]);
  const change_g = jump(visits);
  if (change_g !== null) rules.push(["weight_jumped", { change_g }]);
  if (isCopy(visits)) rules.push(["copied", {}]);
  return rules.map(([rule, details]) => ({ rule, details }));
}

/**
 * Find the visit that the newest one is compared with: the last one before it with this measure, if on an earlier day.
 * @param {import('./assess.js').Visit[]} visits in order
 * @param {'weight_g'|'length_mm'} part
 * @returns {import('./assess.js').Visit|null} null also where the newest has no such measure
 */
export function predecessor(visits, part) {
  const having = visits.filter(({ measurement }) => measurement[part] != null);
  const [before, after] = having.slice(-2);
  return after && after === visits[visits.length - 1] && before.on < after.on ? before : null;
}

function shrinkage(visits) {
  const before = predecessor(visits, "length_mm");
  if (!before) return null;
  const after = visits[visits.length - 1];
  const change_mm = roundHalfEven((Number(after.scores.lenhei_cm) - Number(before.scores.lenhei_cm)) * 10);
  const stoodUp =
    before.age_days !== null && before.age_days < FIRST_STANDING_DAY && after.age_days >= FIRST_STANDING_DAY;
  return change_mm < -(stoodUp ? SHRINKS_AT_STANDING_MM : SHRINKS_MM) ? change_mm : null;
}

function jump(visits) {
  const before = predecessor(visits, "weight_g");
  if (!before) return null;
  const after = visits[visits.length - 1];
  const young = after.age_days !== null && after.age_days < HALF_YEAR_DAYS;
  const change_g = Number(after.measurement.weight_g) - Number(before.measurement.weight_g);
  return monthsApart(before, after) <= 1 && Math.abs(change_g) > JUMP_G && !young ? change_g : null;
}

function isCopy(visits) {
  const before = predecessor(visits, "weight_g");
  if (!before) return false;
  const after = visits[visits.length - 1];
  const same = (part) => after.measurement[part] === before.measurement[part];
  return (
    monthsApart(before, after) === 1 && same("weight_g") && after.measurement.length_mm != null && same("length_mm")
  );
}

const monthsApart = (before, after) => monthNumber(after.on) - monthNumber(before.on);
