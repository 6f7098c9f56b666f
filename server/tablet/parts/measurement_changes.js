// What a measurement's form shows of a record, and which registers it writes. Pure.

import { equal } from "../sync/bytes.js";
import { disputed, siblings, value } from "../sync/states.js";
import { say } from "../words/words.js";

/** A record's registers while they hold nothing. */
const EMPTY = {
  weight: { weight_g: null, oedema: null },
  length: { length_mm: null, position: null },
  muac: { muac_mm: null },
  head: { head_mm: null },
  services: {},
  doses: { given: {} },
  note: { text: null },
  removed: { reason: null },
};
const FIGURES_OF = { weight_g: null, oedema: null, length_mm: null, position: null, muac_mm: null, head_mm: null };
/** The registers that are recorded of a visit. */
export const RECORDED = ["weight", "length", "muac", "head", "services", "doses", "note"];

/** @typedef {{figures: object, services: object, doses: Array<[string, string|null]>,
 *   note: string}} Recorded `doses`: codes with batch numbers */

/** A record's values as the form has them. @param {object} registers by name, as one change sets them @returns {Recorded} */
export function recorded(registers) {
  const of = (name) => registers[name] || {};
  const figures = Object.assign({ ...FIGURES_OF }, of("weight"), of("length"), of("muac"), of("head"));
  const doses = Object.entries(of("doses").given || {});
  return { figures, services: { ...of("services") }, doses, note: of("note").text || "" };
}

/** The registers that a record shows; none if it was removed. @param {object|null} state */
export function registersOf(state) {
  if (!state || state.removed) return {};
  return Object.fromEntries(RECORDED.filter((name) => state.set[name]).map((name) => [name, value(state, name)]));
}

/** The form's values as registers, all of them. @param {Recorded} values */
export function registers({ figures, services, doses, note }) {
  const { weight_g, oedema, length_mm, position, muac_mm, head_mm } = figures;
  return {
    weight: { weight_g, oedema },
    length: { length_mm, position: length_mm === null ? null : position },
    muac: { muac_mm },
    head: { head_mm },
    services,
    doses: { given: Object.fromEntries(doses) },
    note: { text: note.trim() || null },
  };
}

/** Missing, null and no dose mean the same. */
const full = (register) => Object.fromEntries(Object.entries(register).filter(([, held]) => saysSomething(held)));
const saysSomething = (held) =>
  held !== null && held !== undefined && !(typeof held === "object" && !Object.keys(held).length);

/** Whether registers say nothing at all. @param {object} wanted by name */
export const saysNothing = (wanted) => Object.values(wanted).every((register) => !Object.keys(full(register)).length);

/** What must be set for a record to hold these registers and no others: a register that holds something and is not wanted is
 * cleared. Where two values conflict, one that differs from the first, which the form shows, resolves it.
 * @param {object} wanted registers by name @param {object|null} state of the record */
export function changesTo(wanted, state) {
  const set = {};
  for (const name of RECORDED) {
    const [held] = siblings(state, name);
    const register = wanted[name] || EMPTY[name];
    if (!equal(full(held ? held.value : EMPTY[name]), full(register))) set[name] = register;
  }
  const isBack = Boolean(state && state.removed) && !saysNothing(wanted);
  return isBack ? { ...set, removed: EMPTY.removed } : set;
}

/** Whether two values of a register of a visit are live, so that it cannot be copied. @param {object|null} state */
export const inConflict = (state) => disputed(state).some((name) => RECORDED.includes(name));

/** The registers that undo a change of a measurement. @param {object|null} before the record's state before the change
 * @param {object} set what the change set @returns {object|null} null: values that were in conflict cannot be brought back */
export function takenBack(before, set) {
  if (set.removed && set.removed.reason !== null) return { removed: EMPTY.removed };
  if (!before || before.removed) return { removed: { reason: say("Undone") } };
  const found = {};
  for (const name of Object.keys(set)) {
    const held = siblings(before, name);
    if (held.length > 1) return null;
    found[name] = held.length ? held[0].value : EMPTY[name];
    if (!found[name]) return null;
  }
  return found;
}
