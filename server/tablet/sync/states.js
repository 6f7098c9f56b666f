// The state of a record to show: the pulled state with the tablet's own changes applied (docs/protocol.md, "What to show").
// A published register is its bare value if exactly the vector's dots set it, else a list of {dots, value}; inside this file
// it is always the list.

import { canonical, equal } from "./bytes.js";
import { tagOf } from "./chain.js";

const MOST_NAMED = 1000; // actors in a context; the server takes 1,024, and each new enrolment may add one
const MARKS = ["removed", "removal_contested", "incomplete"];

/** @typedef {[actor: string, number: number]} Dot */
/** @param {Dot} one @param {Dot} other */
const byDot = ([one, first], [other, second]) => (one === other ? first - second : one < other ? -1 : 1);
const vectorDots = (vector) =>
  Object.entries(vector)
    .map(([actor, [counter]]) => /** @type {Dot} */ ([actor, counter]))
    .sort(byDot);
const mapped = (object, change) =>
  Object.fromEntries(Object.entries(object).map(([name, held]) => [name, change(held)]));

function opened(state) {
  const dots = vectorDots(state.vector);
  const set = mapped(state.set, (held) => (Array.isArray(held) ? held : [{ dots, value: held }]));
  return { ...state, vector: { ...state.vector }, set };
}

function published(state) {
  const dots = vectorDots(state.vector);
  const bare = (values) => values.length === 1 && equal(values[0].dots, dots);
  const shown = { ...state, set: mapped(state.set, (values) => (bare(values) ? values[0].value : values)) };
  for (const mark of MARKS) if (!shown[mark]) delete shown[mark];
  return shown;
}

/** Equal values become one with several dots; all in the order of their dots. */
function gathered(values) {
  const found = new Map();
  for (const { dots, value } of values) {
    const text = canonical(value);
    const held = found.get(text);
    found.set(text, { dots: [...(held ? held.dots : []), ...dots].sort(byDot), value });
  }
  return [...found.values()].sort((one, other) => byDot(one.dots[0], other.dots[0]));
}

/** Whether a change's context covers a dot, as far as a vector can tell: others' entries must name what is held. */
const covering =
  (state, tablet, context) =>
  ([actor, number]) => {
    const entry = context[actor];
    if (!entry || entry[0] < number) return false;
    const held = state.vector[actor];
    return actor === tablet || (held && held[0] > entry[0]) || equal(held || null, entry);
  };

function lay(state, tablet, { counter, hash, change }) {
  const covers = covering(state, tablet, change.context);
  for (const [name, value] of Object.entries(change.set)) {
    const left = (state.set[name] || []).map((held) => ({ ...held, dots: held.dots.filter((dot) => !covers(dot)) }));
    state.set[name] = gathered([...left.filter(({ dots }) => dots.length), { dots: [[tablet, counter]], value }]);
  }
  state.vector[tablet] = [counter, tagOf(hash)];
  markRemoval(state, covers, canonical([tablet, counter]));
}

function markRemoval(state, covers, mine) {
  const dotsOf = (values) => [].concat(...values.map(({ dots }) => dots));
  const removals = (state.set.removed || []).filter(({ value }) => value.reason !== null);
  const removing = new Set(dotsOf(removals).map(canonical));
  const standing = dotsOf([].concat(...Object.values(state.set))).filter((dot) => !removing.has(canonical(dot)));
  state.removed = removing.has(mine) && (Boolean(state.removed) || standing.every(covers));
  state.removal_contested = removing.size > 0 && !state.removed;
}

/** @param {string} tablet @param {object|null} pulled @param {Array<object>} own journal entries of this record, in order
 * @returns {object|null} a published state; null if nothing is known */
export function view(tablet, pulled, own) {
  const contained = pulled && pulled.vector[tablet] ? pulled.vector[tablet][0] : 0;
  const over = own.filter(({ counter, outcome }) => counter > contained && outcome !== "quarantined");
  if (!over.length) return pulled;
  const state = opened(pulled || { ...named(over[0].change.key), vector: {}, set: {} });
  for (const entry of over) lay(state, tablet, entry);
  return published(state);
}

/** What a change names that is made on sight of a state: its vector. Of one with more than `most` actors those of live values
 * first, of registers with few of them before others; a value that is left out stays beside the new one until the next change.
 * @param {object|null} state @param {number} [most] */
export function contextOf(state, most = MOST_NAMED) {
  if (!state) return {};
  const { vector, set } = state;
  const actors = Object.keys(vector).sort();
  if (actors.length <= most) return vector;
  const dotsOf = (held) => (Array.isArray(held) ? held.flatMap(({ dots }) => dots) : vectorDots(vector));
  const names = Object.keys(set).sort();
  const lives = names.map((name) => dotsOf(set[name])).sort((one, other) => one.length - other.length);
  const named = new Set([...lives.flatMap((several) => several.map(([actor]) => actor)), ...actors]);
  return Object.fromEntries([...named].slice(0, most).map((actor) => [actor, vector[actor]]));
}

/** How a published state names its record beside its child. */
const named = ({ measured_on: on, source, task }) => (task ? { task } : on ? { on, source } : {});

/** The live values of a register, in order; none if it was never set. @param {object|null} state @param {string} register
 * @returns {Array<{dots: Array<[string, number]>|null, value: any}>} */
export function siblings(state, register) {
  const held = state ? state.set[register] : undefined;
  if (held === undefined) return [];
  return Array.isArray(held) ? held : [{ dots: null, value: held }];
}

/** The register's only value, or the first of several; {} if it was never set. */
export function value(state, register) {
  const [first] = siblings(state, register);
  return first ? first.value : {};
}

/** The registers of which several values are live. @param {object|null} state @returns {string[]} */
export const disputed = (state) =>
  Object.keys(state ? state.set : {}).filter((name) => siblings(state, name).length > 1);
