// The figures of a post for the paper register, by the server's rules (server/reports/counting.py): of a month, and of one day of it.
//
// S counts linked records as one child, under five at the month's end. Everything else of the month is counted among them. D = N + T
// + O + B, each child by the code of its last weighing of the month; weights in conflict are O if they would give another code.

import { ageDays, monthNumber, monthsCompleted } from "../growth/calendar.js";
import { gains } from "../growth/gain.js";
import { assess, visitOf } from "../growth/assess.js";
import { siblings, value } from "../sync/states.js";
import { localDay } from "./model.js";
import { persons as personsOf } from "./persons.js";
import { dosesIn } from "./services_due.js";

const UNDER_MONTHS = 60;
const VITAMIN_MONTHS = [1, 7]; // February and August, counted from 0
/** Services with a yes or no: the ages in completed months at the month's end. @type {Object<string, [number, number]>} */
export const YES_NO = {
  exclusive_breastfeeding: [0, 5],
  mbg: [6, 59],
  mother_class: [0, 59],
  deworming: [12, 59],
  immunised: [0, 59],
};
const STATE_FUNDS = ["dak", "apbd", "village"];
const REFERRALS = ["refer_puskesmas", "refer_hospital"];
/** WHO limits of weight for age; beyond them a score is in no count. */
const PLAUSIBLE = [-6, 5];

/** @typedef {import("./persons.js").Person} Person */

/** Whether a person is counted in a month: on the register, and under five at its end. This tablet knows since when it holds a child,
 * not since when the server does: in the present month all count. */
function isOf({ head, since }, month, isPresent) {
  if (!head.state || head.state.removed || !(isPresent || since <= month)) return false;
  const age = ageAtEnd(head, month);
  return age === null || (age >= 0 && age < UNDER_MONTHS);
}

const ageAtEnd = ({ born_on }, month) => monthsCompleted(born_on, lastDay(month));
const lastDay = (month) => new Date(Date.UTC(Math.floor(month / 12), (month % 12) + 1, 0)).toISOString().slice(0, 10);

// -- weights -----------------------------------------------------------------------------------------

/** The weights that a measurement may have: one, or several in conflict. */
const weightsOf = ({ state, weight_g }) => {
  const held = siblings(state, "weight").map(({ value: { weight_g: grams = null } }) => grams);
  return held.length ? held : [weight_g];
};
const lightest = (weights) => Math.min(...weights.map((grams) => grams || 0));
const heaviest = (weights) => Math.max(...weights.map((grams) => grams || 0));
/** Choices among weights in conflict: two neighbours are compared with the least and the greatest gain between them too. */
const CHOICES = [
  (weights) => weights[0],
  (weights) => weights[weights.length - 1],
  lightest,
  heaviest,
  (weights, at) => (at % 2 ? lightest(weights) : heaviest(weights)),
  (weights, at) => (at % 2 ? heaviest(weights) : lightest(weights)),
];

/** The code of each visit: "?" where weights in conflict would give another, null where it is not its month's weighing. */
function codesOf(tables, { head, visits }) {
  const weights = visits.map(weightsOf);
  const choices = weights.some(({ length }) => length > 1) ? CHOICES : CHOICES.slice(0, 1);
  const judged = choices.map((choose) =>
    gains(
      tables,
      head,
      visits.map((visit, at) => ({ on: visit.on, weight_g: choose(weights[at], at) })),
    ),
  );
  const told = ({ code, gain_g, two_t }) => `${code} ${gain_g} ${two_t}`;
  return visits.map((_, at) =>
    judged.every((one) => told(one[at]) === told(judged[0][at])) ? judged[0][at].code : "?",
  );
}

/** The code of a month's weighing; null without one. */
function codeOfMonth(visits, codes, month) {
  const inside = codes.filter((_, at) => monthNumber(visits[at].on) === month);
  return inside.filter((code) => code && code !== "?").pop() || (inside.includes("?") ? "O" : null);
}

/** Below the red line by the cadre's newest weighing of the month, or with swollen feet. */
function isBelowRedLine(tables, { head, visits }, month) {
  const mine = visits.filter(({ on, source }) => source === "cadre" && monthNumber(on) === month);
  const swollen = mine.filter(({ weight_g, oedema }) => weight_g || isSwollen(oedema)).pop();
  if (swollen && isSwollen(swollen.oedema)) return true;
  const scored = mine.map((visit) => waz(tables, head, visit)).filter((z) => z !== null);
  const z = scored.pop();
  return z !== undefined && z !== null && z >= PLAUSIBLE[0] && z <= PLAUSIBLE[1] && z < -3;
}

const isSwollen = (grade) => Boolean(grade) && grade !== "n";

/** Weight for age; null where weights in conflict give several. */
function waz(tables, head, visit) {
  if (ageDays(head.born_on, visit.on) === null) return null;
  const none = { code: null, gain_g: null, kbm_g: null, reason: null, two_t: false };
  const found = weightsOf(visit).map((weight_g) => visitOf(tables, head, { ...visit, weight_g }, none).scores.waz.z);
  return new Set(found).size === 1 ? found[0] : null;
}

// -- services, PMT, referrals --------------------------------------------------------------------------

/** The services of a measurement, `immunised` also for doses by antigen; of values in conflict everything that any of them has. */
function servicesOf({ state }) {
  const found = {};
  for (const { value: services } of siblings(state, "services"))
    for (const [name, answer] of Object.entries(services)) if (answer || (found[name] ?? null) === null) found[name] = answer;
  if (Object.keys(dosesIn(state, "doses")).length) found.immunised = true;
  return found;
}

/** Count those who got each service at some visits. @param {Array<{age: number|null, answers: Object<string, any[]>}>} asked
 * @param {boolean} isSeason of vitamin A */
function servicesCount(asked, isSeason) {
  const gave = (name, answer, [from, to] = [-1, Infinity]) =>
    asked.filter(({ age, answers }) => (age ?? -1) >= from && (age ?? -1) <= to && (answers[name] || []).includes(answer))
      .length;
  const some = (name, least = -1) =>
    asked.filter(({ age, answers }) => (age ?? -1) >= least && (answers[name] || []).some((one) => one != null)).length;
  const yes = Object.entries(YES_NO).map(([name, ages]) => [name, gave(name, true, ages)]);
  return {
    ...Object.fromEntries(yes),
    vitamin_a: isSeason ? some("vitamin_a", 6) : 0,
    kpsp: some("kpsp"),
    kpsp_doubt: gave("kpsp", "M"),
    kpsp_deviation: gave("kpsp", "P"),
  };
}

/** What was answered for a person at some visits. */
function answersOf(visits) {
  /** @type {Object<string, any[]>} */
  const found = {};
  for (const visit of visits)
    for (const [name, answer] of Object.entries(servicesOf(visit))) found[name] = [...(found[name] || []), answer];
  return found;
}

/** Whether a PMT course of the present month, or food that the state pays for, reaches a person. */
function hasPmt({ members }, month) {
  const inMonth = (on) => Boolean(on) && monthNumber(on) === month;
  const course = ({ action, result }) =>
    action === "pmt" && (!result || (result.outcome !== "cancelled" && inMonth(result.done_on)));
  const food = ({ menu, funds, delivered, starts_on, ends_on, state }) => {
    const days = delivered && [starts_on, delivered.given_on, ends_on].filter(Boolean).map(monthNumber);
    const isFood = menu === "food" && STATE_FUNDS.includes(funds);
    const found = value(state, "verified").outcome !== "not_received";
    return Boolean(days && days.length && isFood && found && Math.min(...days) <= month && month <= Math.max(...days));
  };
  return members.some(({ tasks, aid }) => tasks.some(course) || aid.some(food));
}

/** Referrals that the health centre wrote down: open ones, and those done in a period. */
function referrals(persons, isDone) {
  const all = persons.flatMap(({ members }) => members.flatMap(({ tasks }) => tasks));
  const these = all.filter(({ action, known }) => known && REFERRALS.includes(action));
  return {
    open: these.filter(({ result }) => !result).length,
    done: these.filter(({ result }) => result && isDone(result.done_on)).length,
  };
}

/** The day on which a record was made by a device, from its id (UUIDv7); null for other ids. @param {string} id */
export function madeOn(id) {
  const digits = id.replace(/-/g, "");
  return digits[12] === "7" ? localDay(new Date(parseInt(digits.slice(0, 12), 16))) : null;
}

/** How many children got each dose at some visits, by code; of values in conflict every dose counts.
 * @returns {Object<string, number>} */
function dosesCount(persons, isThen) {
  /** @type {Object<string, number>} */
  const found = {};
  for (const { visits } of persons) {
    const codes = visits.filter(isThen).flatMap(({ state }) => Object.keys(dosesIn(state, "doses")));
    for (const code of new Set(codes)) found[code] = (found[code] || 0) + 1;
  }
  return found;
}

// -- the sheet -----------------------------------------------------------------------------------------

/**
 * Count a month.
 * @param {import("../app.js").OpenApp} app
 * @param {string} day of the month
 */
export function countMonth(app, day) {
  const month = monthNumber(day);
  const isPresent = month === monthNumber(localDay());
  const persons = personsOf(app.model).filter((person) => isOf(person, month, isPresent));
  const found = persons.map((person) => ofMonth(app.tables, person, month));
  const number = (holds) => found.filter(holds).length;
  const asked = persons.map(({ head, visits }) => ({
    age: ageAtEnd(head, month),
    answers: answersOf(visits.filter(({ on }) => monthNumber(on) === month)),
  }));
  return {
    S: persons.length,
    K: number(({ book }) => book),
    D: number(({ code }) => code !== null),
    ...lettersOf(found.map(({ code }) => code)),
    two_t: number(({ code, before }) => code === "T" && before === "T"),
    bgm: number(({ bgm }) => bgm),
    pmt: isPresent ? persons.filter((person) => hasPmt(person, month)).length : null,
    fresh: persons.filter(({ head }) => sameMonth(madeOn(head.id), month)).length,
    isVitaminMonth: VITAMIN_MONTHS.includes(month % 12),
    services: servicesCount(asked, VITAMIN_MONTHS.includes(month % 12)),
    doses: dosesCount(persons, ({ on }) => monthNumber(on) === month),
    referrals: referrals(persons, (on) => sameMonth(on, month)),
    urgency: urgencies(app, persons, ({ on }) => monthNumber(on) === month),
  };
}

/** How often each code was given. @param {Array<string|null>} codes */
function lettersOf(codes) {
  const times = (letter) => codes.filter((code) => code === letter).length;
  return { N: times("N"), T: times("T"), O: times("O"), B: times("B") };
}

const sameMonth = (on, month) => on !== null && monthNumber(on) === month;

function ofMonth(tables, person, month) {
  const codes = codesOf(tables, person);
  const isHolding = ({ state }) => siblings(state, "books").some(({ value: { kia, kms } }) => kia || kms);
  return {
    code: codeOfMonth(person.visits, codes, month),
    before: codeOfMonth(person.visits, codes, month - 1),
    book: person.members.some((member) => member.state && !member.state.removed && isHolding(member)),
    bgm: isBelowRedLine(tables, person, month),
  };
}

/** All measurements that this tablet holds, of linked records and of children over five too. */
const recordsOf = ({ model }) => model.replica.children().flatMap((id) => model.child(id).measurements);

/** Those to be seen at the health centre today, and this week, of those measured at some visits. */
function urgencies(app, persons, isThen) {
  const seen = persons.filter(({ visits }) => visits.some(isThen));
  const most = seen.map(({ head, members, visits }) => {
    const { flags } =
      members.length > 1 ? assess(app.tables, head, visits, app.day) : app.model.assessment(head, app.day);
    return flags.length ? flags[0].urgency : null;
  });
  return { today: most.filter((one) => one === 1).length, week: most.filter((one) => one === 2).length };
}

/**
 * Count one day: its weighings have the codes that they have in the month; a child weighed again later in the month has none here.
 * @param {import("../app.js").OpenApp} app
 * @param {string} day
 */
export function countDay(app, day) {
  const month = monthNumber(day);
  const isPresent = month === monthNumber(localDay());
  const persons = personsOf(app.model).filter((person) => isOf(person, month, isPresent));
  const isThen = ({ on }) => on === day;
  const there = persons.filter(({ visits }) => visits.some(isThen));
  const coded = there.map((person) => {
    const codes = codesOf(app.tables, person).filter((_, at) => isThen(person.visits[at]));
    return codes.filter((code) => code && code !== "?").pop() || (codes.includes("?") ? "O" : null);
  });
  const asked = there.map(({ head, visits }) => ({
    age: ageAtEnd(head, month),
    answers: answersOf(visits.filter(isThen)),
  }));
  return {
    records: recordsOf(app).filter(isThen).length,
    D: coded.filter(Boolean).length,
    ...lettersOf(coded),
    fresh: persons.filter(({ head }) => madeOn(head.id) === day).length,
    services: servicesCount(asked, VITAMIN_MONTHS.includes(month % 12)),
    doses: dosesCount(persons, isThen),
    referrals: referrals(persons, (on) => on === day),
    urgency: urgencies(app, persons, isThen),
  };
}
