// Children as the screens show them: flattened records of the replica with their growth assessment, computed on first use and
// cached until the child changes.

import { assess } from "../growth/assess.js";
import { monthNumber, monthsCompleted } from "../growth/calendar.js";
import { disputed, siblings, value } from "../sync/states.js";
import { plain } from "../words/words.js";

const TAKEN = ["weight", "length", "muac", "head", "services", "note"];

/** A measurement, flat. @returns {object} */
function measurement({ place, state }) {
  const [on, source] = place.split("/");
  const of = Object.assign({}, ...TAKEN.slice(0, 4).map((register) => value(state, register)));
  const { weight_g = null, oedema = null, length_mm = null, position = null, muac_mm = null, head_mm = null } = of;
  const figures = { on, source, weight_g, oedema, length_mm, position, muac_mm, head_mm };
  return { ...figures, services: value(state, "services"), note: value(state, "note").text || "", state };
}

/** A follow-up, flat. */
function followUp({ place, state }) {
  const result = state.set.result === undefined ? null : value(state, "result");
  return {
    task: place,
    ...value(state, "task"),
    result,
    note: value(state, "note").text || "",
    state,
    known: "task" in state.set,
  };
}

/** An aid, flat; `delivered` is an empty object while two values of it differ. */
function aidOf({ place, state }) {
  const given = siblings(state, "delivered");
  const delivered = given.length > 1 ? {} : given.length ? given[0].value : null;
  return { delivery: place, ...value(state, "aid"), delivered, note: value(state, "note").text || "", state };
}

/** @typedef {{id: string, state: object|null, name: string, sex: "M"|"F"|null, born_on: string|null, mother: string,
 *   post: string, parents: any, known_since: string|null, measurements: any[], tasks: any[], aid: any[], search: string}} Child */

/** Today's date in the tablet's time zone. @param {Date} [now] */
export const localDay = (now = new Date()) =>
  [now.getFullYear(), String(now.getMonth() + 1).padStart(2, "0"), String(now.getDate()).padStart(2, "0")].join("-");

export class Model {
  /** @param {import("../sync/replica.js").Replica} replica @param {object} tables of growth
   * @param {() => string|null} [shown] the post whose children are shown; null: of a tablet of one post, all */
  constructor(replica, tables, shown = () => null) {
    this.shown = shown;
    this.replica = replica;
    this.tables = tables;
    /** @type {Map<string, Child>} */
    this.known = new Map();
    this.growth = new Map();
  }

  /** Drop cached children. @param {Iterable<string>|null} ids null: all */
  forget(ids) {
    for (const cache of [this.known, this.growth]) ids ? [...ids].forEach((id) => cache.delete(id)) : cache.clear();
  }

  /** @param {string} id @returns {Child} */
  child(id) {
    const found = this.known.get(id) || this.#flat(this.replica.child(id));
    this.known.set(id, found);
    return found;
  }

  #flat({ id, state, since, measurements, follow_ups, deliveries }) {
    const { name = "", sex = null, born_on = null } = value(state, "identity");
    const parents = value(state, "parents");
    const mother = parents.mother || "";
    const taken = measurements.filter((one) => !one.state.removed).map(measurement);
    const tasks = follow_ups.filter((one) => !one.state.removed).map(followUp);
    const aid = deliveries.filter((one) => !one.state.removed).map(aidOf);
    const search = plain(`${name} ${mother} ${parents.father || ""}`);
    // a child never measured is missed from the second calendar month after this; the server counts from when it received it
    const known_since = since && localDay(new Date(since));
    const post = this.replica.postOf(id, state);
    return { id, post, state, name, sex, born_on, known_since, mother, parents, measurements: taken, tasks, aid, search };
  }

  /** The children of the post that is shown. @returns {Child[]} */
  children() {
    const shown = this.shown();
    return this.everybody().filter(({ post }) => shown === null || post === shown);
  }

  /** All children by name, without those that were removed or linked to another record. @returns {Child[]} */
  everybody() {
    const all = this.replica.children().map((id) => this.child(id));
    const present = all.filter(({ state }) => state && !state.removed && !value(state, "same_as").child);
    return present.sort((one, other) => one.name.localeCompare(other.name, "id"));
  }

  /** The growth assessment of a child on a day. @param {Child} child @param {string} today */
  assessment(child, today) {
    const held = this.growth.get(child.id);
    if (held && held.today === today) return held.found;
    const found = assess(this.tables, child, child.measurements, today);
    this.growth.set(child.id, { today, found });
    return found;
  }

  /** Follow-ups of a child that are not done. @param {Child} child @param {string} author */
  openTasks(child, author) {
    return child.tasks.filter(
      ({ result, known, assigned_to }) => known && !result && (!assigned_to || assigned_to === author),
    );
  }

  /** Conflicts of a child's records: [record kind, place, registers]. @param {Child} child */
  disputes(child) {
    const found = [];
    const look = (kind, place, state) => {
      const registers = disputed(state);
      if (registers.length || (state && state.removal_contested)) found.push({ kind, place, state, registers });
    };
    look("child", "", child.state);
    for (const one of child.measurements) look("measurement", `${one.on}/${one.source}`, one.state);
    for (const one of child.tasks) look("follow_up", one.task, one.state);
    for (const one of child.aid) look("delivery", one.delivery, one.state);
    return found;
  }
}

/** Whether a record has a figure: one with a vaccine or a capsule alone does not make the child measured. */
const hasFigures = ({ weight_g, oedema, length_mm, muac_mm, head_mm }) =>
  [weight_g, oedema, length_mm, muac_mm, head_mm].some((figure) => figure !== null);

/** Whether somebody measured on a day, or in the calendar month of it. @param {any[]} measurements of a child, with those of
 * linked records (`measurementsOf` in persons.js) @param {string} day */
export const measuredOn = (measurements, day) => measurements.some((one) => one.on === day && hasFigures(one));
export const measuredInMonth = (measurements, day) =>
  measurements.some((one) => monthNumber(one.on) === monthNumber(day) && hasFigures(one));

/** Whether a child comes to the posyandu: under five, or of unknown age. */
export const isExpected = ({ born_on }, day) => !born_on || (monthsCompleted(born_on, day) ?? 0) < 60;
