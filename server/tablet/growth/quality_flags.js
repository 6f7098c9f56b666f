/**
 * Unlikely values of a child's newest measurement, by themselves or compared with the last earlier measurement of the same
 * kind. Both the flags and the questions of the measuring form (`value_checks.js`) use these rules.
 */

import { monthNumber } from "./calendar.js";
import { mostGrowth } from "./growth_limits.js";
import { roundHalfEven } from "./lms.js";
import { FIRST_STANDING_DAY } from "./zscores.js";

/** Two readings may differ by 1 cm, and by 0.7 cm more if the child was measured lying before and standing now. */
const SHRINKS_MM = 10;
const SHRINKS_AT_STANDING_MM = 17;
const JUMP_G = 2000;
/** Up to the age of half a year a change of 2 kg a month is possible. */
const HALF_YEAR_DAYS = 183;
/** The measures that are compared with an earlier visit. @type {Array<"length_mm"|"weight_g"|"head_mm">} */
export const COMPARED = ["length_mm", "weight_g", "head_mm"];

/** @typedef {{rule: string, details: Object<string, number>}} Oddity */

/**
 * Find the oddities of the newest visit.
 * @param {import('./tables.js').Tables} tables
 * @param {import('./assess.js').Child} child
 * @param {import('./assess.js').Visit[]} visits in order
 * @returns {Oddity[]}
 */
export function oddities(tables, child, visits) {
  const visit = visits[visits.length - 1];
  if (!visit) return [];
  const found = COMPARED.flatMap((part) => {
    const before = predecessor(visits, part);
    return before ? compared(tables, child, part, before, visit) : [];
  });
  return [...unlikely(child, visit), ...found];
}

/**
 * Find what is unlikely in a visit by itself.
 * @param {import('./assess.js').Child} child
 * @param {import('./assess.js').Visit} visit
 * @returns {Oddity[]}
 */
export function unlikely(child, visit) {
  const found = [];
  if (child.born_on && visit.on < child.born_on) found.push({ rule: "measured_before_birth", details: {} });
  if (visit.scores.standing_before_9_months) found.push({ rule: "position_unlikely", details: {} });
  return found;
}

/**
 * Find the visit that the newest one is compared with: the last one before it with this measure, if on an earlier day.
 * @param {import('./assess.js').Visit[]} visits in order
 * @param {'weight_g'|'length_mm'|'head_mm'} part
 * @returns {import('./assess.js').Visit|null} null also where the newest has no such measure
 */
export function predecessor(visits, part) {
  const having = visits.filter(({ measurement }) => measurement[part] != null);
  const [before, after] = having.slice(-2);
  return after && after === visits[visits.length - 1] && before.on < after.on ? before : null;
}

/**
 * Find what is odd in a measure of two visits.
 * @param {import('./tables.js').Tables} tables
 * @param {import('./assess.js').Child} child
 * @param {'weight_g'|'length_mm'|'head_mm'} part that both have
 * @param {import('./assess.js').Visit} before
 * @param {import('./assess.js').Visit} after on a later day
 * @returns {Oddity[]}
 */
export function compared(tables, child, part, before, after) {
  if (part === "weight_g") return [...jump(before, after), ...copy(before, after)];
  const [was, is] = [before, after].map((visit) =>
    part === "head_mm" ? Number(visit.measurement.head_mm) / 10 : Number(visit.scores.lenhei_cm),
  );
  const change_mm = roundHalfEven((is - was) * 10);
  const found = part === "length_mm" && shrank(before, after, change_mm) ? ["length_shrank"] : [];
  if (change_mm > mostGrowth(tables, part, child.sex, before.scores.age_days, after.scores.age_days))
    found.push(part === "length_mm" ? "length_jumped" : "head_jumped");
  return found.map((rule) => ({ rule, details: { change_mm } }));
}

function shrank(before, after, change_mm) {
  const stoodUp =
    before.age_days !== null && before.age_days < FIRST_STANDING_DAY && after.age_days >= FIRST_STANDING_DAY;
  return change_mm < -(stoodUp ? SHRINKS_AT_STANDING_MM : SHRINKS_MM);
}

function jump(before, after) {
  const young = after.age_days !== null && after.age_days < HALF_YEAR_DAYS;
  const change_g = Number(after.measurement.weight_g) - Number(before.measurement.weight_g);
  const holds = monthsApart(before, after) <= 1 && Math.abs(change_g) > JUMP_G && !young;
  return holds ? [{ rule: "weight_jumped", details: { change_g } }] : [];
}

function copy(before, after) {
  const same = (part) => after.measurement[part] === before.measurement[part];
  const holds =
    monthsApart(before, after) === 1 && same("weight_g") && after.measurement.length_mm != null && same("length_mm");
  return holds ? [{ rule: "copied", details: {} }] : [];
}

/** Calendar months between two visits. */
export const monthsApart = (before, after) => monthNumber(after.on) - monthNumber(before.on);
