// What a child was given, and what is due on a day: vaccines, vitamin A, deworming, KPSP. The rules are in growth/schedule.js.

import { KPSP, calendarOf } from "../growth/schedule.js";
import { siblings } from "../sync/states.js";
import { say } from "../words/words.js";

/** @typedef {import("../growth/schedule.js").Schedule} Schedule */
/** @typedef {import("../growth/schedule.js").Item} Item */

const live = (state, register) => siblings(state, register).map((held) => held.value);

/** What a child was given. Of values that differ all count, so that nothing is given twice because of a difference.
 * @param {import("./model.js").Child} child @returns {import("../growth/schedule.js").Given} */
export function givenOf(child) {
  /** @type {Object<string, string>} */
  const doses = {};
  const note = (code, day) => {
    doses[code] = doses[code] && doses[code] < day ? doses[code] : day;
  };
  for (const { on, state } of child.measurements)
    for (const { given } of live(state, "doses")) Object.keys(given).forEach((code) => note(code, on));
  for (const { given } of live(child.state, "book_doses"))
    Object.entries(given).forEach(([code, day]) => note(code, day));
  const services = child.measurements.flatMap(({ on, state }) => live(state, "services").map((held) => ({ on, held })));
  const days = (name) => services.filter(({ held }) => held[name]).map(({ on }) => on);
  const kpsp = services.filter(({ held }) => held.kpsp).map(({ on, held }) => [on, held.kpsp]);
  return {
    doses,
    rounds: { vitamin_a: days("vitamin_a"), deworming: days("deworming") },
    kpsp: /** @type {Array<[string, string]>} */ (kpsp),
  };
}

/** A child's calendar on a day. @param {Schedule} plan @param {import("./model.js").Child} child @param {string} on */
export const calendar = (plan, child, on) => calendarOf(plan, child.born_on, givenOf(child), on);

/** The name of a line of the calendar. @param {Schedule} plan @param {{code: string, value?: any}} item
 * @returns {import("../growth/tables.js").Words} */
export function nameOf(plan, { code, value: held }) {
  const round = plan.rounds.find(({ service }) => service === code);
  if (round) return (round.ages.find(({ value: one }) => one === held) || round).words;
  if (code === KPSP) {
    const filled = (text) => text.replace("{months}", String(held));
    return { id: filled(plan.kpsp.words.id), en: filled(plan.kpsp.words.en) };
  }
  const dose = plan.doses.find((one) => one.code === code);
  return dose ? dose.words : { id: code, en: code };
}

/**
 * What a child is to be given on a day, and what it was given on that day.
 * @typedef {object} Service
 * @property {string} name code of the dose, or the field of the register `services`
 * @property {import("../growth/tables.js").Words} words
 * @property {'due'|'overdue'|'done'} state
 * @property {'doses'|'services'} register where it is recorded: a dose as `given: {[name]: null}`, a service as `{[name]: value}`
 * @property {string|boolean|null} value of the register `services`; null: a dose, or a KPSP, whose result (S, M, P) is asked for
 */

/** @param {Schedule} plan `app.tables.schedule` @param {import("./model.js").Child} child @param {string} on @returns {Service[]} */
export function servicesDue(plan, child, on) {
  return calendar(plan, child, on)
    .filter(({ state, given_on }) => state === "due" || state === "overdue" || given_on === on)
    .map((item) => service(plan, item));
}

/** @param {Schedule} plan @param {Item} item @returns {Service} */
function service(plan, item) {
  const state = item.state === "due" || item.state === "overdue" ? item.state : "done";
  const words = nameOf(plan, item);
  if (item.code === KPSP) return { name: "kpsp", words, state, register: "services", value: null };
  if (plan.doses.some(({ code }) => code === item.code))
    return { name: item.code, words, state, register: "doses", value: null };
  return { name: item.code, words, state, register: "services", value: /** @type {string|true} */ (item.value) };
}

/** The doses in a register (`doses` or `book_doses`); of values that differ all of them, so that writing loses none.
 * @param {object|null} state @param {string} register @returns {Object<string, string|null>} */
export const dosesIn = (state, register) => Object.assign({}, ...live(state, register).map(({ given }) => given));

/** The link to a child's calendar, with how much is due. */
export function scheduleWords(app, child) {
  const open = servicesDue(app.tables.schedule, child, app.day).filter(({ state }) => state !== "done").length;
  return open ? say("Schedule ({count} due)", { count: open }) : say("Schedule");
}
