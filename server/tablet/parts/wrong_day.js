// A whole morning under a wrong date: which records this tablet wrote on a day, and what sets them right. The day is a part of a
// measurement's key, so each is written anew under the right day and removed from the wrong one. Answers to tasks, aid and
// consents have the day in a register, which is set anew.

import { siblings } from "../sync/states.js";
import { say } from "../words/words.js";
import { changesTo, inConflict, RECORDED, registersOf } from "./measurement_changes.js";

const OF_THE_DAY = ["date-in-future", "before-birth"];
/** Where the day of recording stands in records of other kinds: the field by register. @type {Object<string, Object<string, string>>} */
const DATED = {
  child: { consent: "on" },
  follow_up: { result: "done_on" },
  delivery: { aid: "starts_on", delivered: "given_on" },
};

/** The screen that mends a change which the server set aside for its day; null: its day is not what is wrong.
 * @param {any} change @param {Array<{code: string}>|undefined} reasons */
export function addressForWrongDay({ kind, key, set }, reasons) {
  const isDay = (reasons || []).some(({ code }) => OF_THE_DAY.includes(code));
  const day = kind === "measurement" ? key.measured_on : Object.values(daysOf(kind, set))[0];
  return isDay && day ? `#/ubah-tanggal/${day}` : null;
}

/** A record as this tablet holds it, also if the server set it aside: then its values are those of the changes set aside.
 * @param {import("../sync/replica.js").Replica} replica @param {import("../sync/replica.js").Form} form */
export function heldRegisters(replica, form) {
  const state = replica.view(form);
  const shown = registersOf(state);
  if (Object.keys(shown).length || (state && state.removed)) return shown;
  const aside = (replica.ofRecord.get(form.id) || []).filter(({ outcome }) => outcome === "quarantined");
  const registers = Object.assign({}, ...aside.map(({ change }) => change.set));
  return Object.fromEntries(RECORDED.filter((name) => registers[name]).map((name) => [name, registers[name]]));
}

/** @typedef {{child: import("./model.js").Child, wrong: import("../sync/replica.js").Form,
 *   right: import("../sync/replica.js").Form, values: object, there: object, why: ""|"taken"|"shared"|"early"}} Misdated
 *   `values` and `there`: registers under the wrong and the right day; `why`: why it is not moved without asking */

/** The records that this tablet wrote on a day, and what is under the other day.
 * @param {import("../app.js").OpenApp} app @param {string} wrong @param {string} right @returns {Promise<Misdated[]>} */
export async function misdated(app, wrong, right) {
  const { replica } = app.tablet;
  const mine = replica.log.filter(
    ({ change: { kind, key }, erased }) =>
      !erased && kind === "measurement" && key.measured_on === wrong && key.source === "cadre",
  );
  const children = [...new Set(mine.map(({ change }) => change.key.child))];
  const found = await Promise.all(children.map((id) => one(app, id, wrong, right)));
  return found.filter(({ values }) => Object.keys(values).length);
}

/** @returns {Promise<Misdated>} */
async function one(app, id, wrong, right) {
  const { replica } = app.tablet;
  const child = app.model.child(id);
  const opened = (measured_on) => replica.open("measurement", { child: id, measured_on, source: "cadre" });
  const [from, to] = await Promise.all([opened(wrong), opened(right)]);
  const values = heldRegisters(replica, from);
  const there = heldRegisters(replica, to);
  return { child, wrong: from, right: to, values, there, why: obstacle(app, child, from, to, there, right) };
}

/** @returns {Misdated["why"]} */
function obstacle(app, child, from, to, there, right) {
  const { replica } = app.tablet;
  const state = replica.view(from);
  const authors = state ? Object.keys(state.vector) : [];
  if (child.born_on && child.born_on > right) return "early";
  if (authors.some((actor) => actor !== replica.facts.tablet) || inConflict(state) || inConflict(replica.view(to)))
    return "shared";
  return Object.keys(there).length ? "taken" : "";
}

/** The days of recording in the registers of a change, by register. @returns {Object<string, string>} */
function daysOf(kind, set) {
  const named = Object.entries(DATED[kind] || {}).filter(([register]) => set[register]);
  return Object.fromEntries(named.map(([register, name]) => [register, set[register][name]]).filter(([, day]) => day));
}

/** What this tablet wrote under a day in other records, each with what dates it anew; nothing that somebody else has changed since.
 * @param {import("../app.js").OpenApp} app @param {string} wrong @param {string} right
 * @returns {Promise<Array<{child: import("./model.js").Child, form: import("../sync/replica.js").Form, set: object}>>} */
export async function otherwiseDated(app, wrong, right) {
  const { replica } = app.tablet;
  const mine = replica.log.filter(({ change, erased }) => !erased && Object.values(daysOf(change.kind, change.set)).includes(wrong));
  const records = new Map(mine.map(({ change }) => [change.id, change]));
  const found = [...records.values()].map(async ({ kind, key, id }) => {
    const form = await replica.open(kind, key, kind === "child" ? id : undefined);
    return { child: app.model.child(key.child || id), form, set: redatedRegisters(replica, form, wrong, right) };
  });
  return (await Promise.all(found)).filter(({ set }) => Object.keys(set).length);
}

/** The registers of a record that have the wrong day, with the right one; of a change that was set aside all registers. */
function redatedRegisters(replica, form, wrong, right) {
  const state = replica.view(form);
  if (state && state.removed) return {};
  const aside = (replica.ofRecord.get(form.id) || []).filter(({ outcome }) => outcome === "quarantined");
  const lost = Object.entries(Object.assign({}, ...aside.map(({ change }) => change.set)));
  const unwritten = Object.fromEntries(lost.filter(([register]) => !siblings(state, register).length));
  const found = {};
  for (const [register, name] of Object.entries(DATED[form.kind])) {
    const held = [...siblings(state, register).map((one) => one.value), unwritten[register]].filter(Boolean);
    if (held.length === 1 && held[0][name] === wrong) found[register] = { ...held[0], [name]: right };
  }
  return Object.keys(found).length ? { ...unwritten, ...found } : {};
}

/** What sets one record right. @param {import("../sync/replica.js").Replica} replica @param {Misdated} record */
export function redated(replica, { wrong, right, values }) {
  const reason = say("Wrong date");
  return moved(replica, { from: wrong, to: right, values, reason });
}

/** Write values under one record and remove another: first the one, so that nothing is lost if only a part is sent.
 * @param {import("../sync/replica.js").Replica} replica
 * @param {{from: import("../sync/replica.js").Form, to: import("../sync/replica.js").Form, values: object, reason: string}} what */
export function moved(replica, { from, to, values, reason }) {
  const set = changesTo(values, replica.view(to));
  const written = Object.keys(set).length ? [{ form: to, set }] : [];
  return [...written, { form: from, set: { removed: { reason } } }];
}
