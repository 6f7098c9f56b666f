// Where two people recorded something differently: who wrote what and when, how the child would be doing by each, and one
// answer for all that one of them wrote of a visit. An answer ends the conflict for everybody and cannot be undone, so it is
// asked once more before it is saved.

import { canonical } from "../sync/bytes.js";
import { siblings, value } from "../sync/states.js";
import { dayWords, later, message, say, timeWords } from "../words/words.js";
import { h, notice, refill } from "./dom.js";
import { REGISTERS, registerName, valueWords } from "./register_words.js";
import { failure } from "./save_failure.js";
import { assessedWith } from "./verdict.js";

const INDICES = { whz: later("WHZ"), waz: later("WAZ"), haz: later("HAZ"), muac: later("MUAC") };
const FIRST_CLOCK = "2020"; // an earlier time is that of a clock that was never set
const OFFICE = "hub:"; // actors of the server, for its signed-in people
const STAFF = "account:"; // their authors

/** @typedef {{dots: Array<[string, number]>, set: {[register: string]: any}}} Side what one side wrote, by register */

/** @param {import("../app.js").OpenApp} app @param {import("./model.js").Child} child
 * @param {{kind: string, place: string, state: any, registers: string[]}} conflict as the model finds it */
export function conflictCard(app, child, { kind, place, state, registers }) {
  const [on, source] = kind === "measurement" ? place.split("/") : [];
  const card = h("section", { class: "card look conflict" });
  const key = keyOf(kind, child.id, place);
  const opened = app.tablet.replica.open(kind, key, kind === "child" ? child.id : undefined);
  /** Ask once more, then save. @param {{[register: string]: any}} set @param {any} words */
  const answer = (set, words) => {
    const feedback = h("div", {});
    const yes = h("button", { class: "main", onclick: () => save(set, yes, feedback) }, say("Yes, use this"));
    const no = h("button", { onclick: () => draw() }, say("Cancel"));
    const kept = h("p", { class: "hint" }, say("The other value stays in the history."));
    refill(card, title, h("p", {}, words), kept, feedback, h("div", { class: "answers" }, yes, no));
    yes.focus();
  };
  const save = async (set, button, feedback) => {
    button.disabled = true;
    try {
      await app.tablet.write(await opened, set);
    } catch (error) {
      button.disabled = false;
      refill(feedback, notice("bad", say("NOT saved: "), failure(error)));
      return;
    }
    app.saved();
    app.draw();
  };
  const title = h("h2", {}, [say("Data differs"), on && dayWords(on)].filter(Boolean).join(" · "));
  const sides = sidesOf(state, inOrder(registers));
  const draw = () =>
    refill(
      card,
      title,
      on ? before(child, on) : null,
      sides.map((side) => sideOf(app, child, { on, source, state, side }, answer)),
      registers.length > 1 ? oneByOne(app, child, state, registers, answer) : null,
      state.removal_contested && !registers.includes("removed") ? contested(answer) : null,
    );
  draw();
  return card;
}

/** Registers as a form has them. */
function inOrder(registers) {
  const known = Object.keys(REGISTERS);
  return [...known.filter((name) => registers.includes(name)), ...registers.filter((name) => !known.includes(name))];
}

function keyOf(kind, child, place) {
  const [measured_on, source] = place.split("/");
  return {
    child: {},
    measurement: { child, measured_on, source },
    follow_up: { child, task: place },
    delivery: { child, delivery: place },
  }[kind];
}

/** The values in conflict by who wrote them; two who wrote the same are one side. @param {object} state
 * @param {string[]} registers @returns {Side[]} */
export function sidesOf(state, registers) {
  /** @type {Map<string, Side[]>} several of one actor only where it has two values of one register in conflict */
  const ofActor = new Map();
  for (const register of registers)
    for (const { value: held, dots } of siblings(state, register))
      for (const dot of dots || []) {
        const sides = ofActor.get(dot[0]) || [];
        const open = sides.find(({ set }) => !(register in set) || set[register] === held);
        const side = open || { dots: [], set: {} };
        side.dots.push(dot);
        side.set[register] = held;
        ofActor.set(dot[0], open ? sides : [...sides, side]);
      }
  const found = new Map();
  for (const { dots, set } of [...ofActor.values()].flat()) {
    const same = found.get(canonical(set)) || { dots: [], set };
    found.set(canonical(set), { dots: [...same.dots, ...dots], set });
  }
  return [...found.values()];
}

/** One side: who and when, what, how the child would be doing, and its button. */
function sideOf(app, child, { on, source, state, side }, answer) {
  const words = Object.entries(side.set).map((one) => inWords(...one)).join(" · ");
  const effect = effectWords(app, child, { on, source, state, set: side.set });
  return h(
    "div",
    { class: "side" },
    h("p", { class: "hint" }, whose(app, child, side.dots)),
    h("p", { class: "wrote" }, words),
    effect ? h("p", {}, say("Nutritional status by this: "), effect) : null,
    h("button", { onclick: () => answer(side.set, say("Use “{values}”?", { values: words })) }, say("Use this")),
  );
}

/** A value with its register's name; its unit stays on the line. */
const inWords = (register, held) =>
  `${registerName(register)} ${valueWords(register, held)}`.replace(/(\d) (kg|cm)/g, "$1\u00a0$2");

/** The values of each register by themselves, where none of the sides is right in all. */
const oneByOne = (app, child, state, registers, answer) =>
  h(
    "details",
    {},
    h("summary", {}, say("Choose one by one")),
    registers.map((register) => [
      h("h3", {}, registerName(register)),
      siblings(state, register).map(({ value: held, dots }) => {
        const asked = say("Use “{values}”?", { values: inWords(register, held) });
        return h(
          "div",
          { class: "value" },
          h("span", {}, valueWords(register, held)),
          h("span", { class: "hint" }, whose(app, child, dots)),
          h("button", { onclick: () => answer({ [register]: held }, asked) }, say("Use this")),
        );
      }),
    ]),
  );

const contested = (answer) => [
  h("p", {}, say("Somebody removed this, somebody else changed it.")),
  h("button", { onclick: () => answer({ removed: { reason: null } }, say("Keep this record?")) }, say("Keep it")),
];

// -- who, when, what before ----------------------------------------------------------------------------

/** Who wrote a value, and when. @param {import("../app.js").OpenApp} app @param {import("./model.js").Child} child
 * @param {Array<[string, number]>|null} dots */
function whose(app, child, dots) {
  const known = (dots || []).map((dot) => writer(app, child, dot));
  return [...new Set(known)].join("; ") || say("another tablet");
}

function writer(app, child, [actor, counter]) {
  const { replica } = app.tablet;
  const isOurs = actor === replica.facts.tablet;
  const entry = isOurs && (replica.ofChild.get(child.id) || []).find((one) => one.counter === counter);
  const told = (replica.held.get(child.id) || {}).written || {};
  const [author, at] = entry ? [entry.change.author, entry.change.recorded_at] : told[`${actor} ${counter}`] || ["", ""];
  const when = at > FIRST_CLOCK ? timeWords(at < new Date().toISOString() ? at : new Date().toISOString()) : "";
  const name = nameOf(app, actor, author, isOurs);
  return [name, when].filter(Boolean).join(", ");
}

/** Authors of cadres are made of their names alike on every tablet, so one who uses this tablet too is known here. */
function nameOf(app, actor, author, isOurs) {
  if (actor.startsWith(OFFICE) || author.startsWith(STAFF)) return say("health centre staff");
  const cadre = app.device.cadres.find((one) => one.author === author);
  if (isOurs) return cadre ? say("{name}, on this tablet", { name: cadre.name }) : say("this tablet");
  return cadre ? say("{name}, on another tablet", { name: cadre.name }) : say("another tablet");
}

const TAKEN = { weight: ["weight_g", "oedema"], length: ["length_mm", "position"], muac: ["muac_mm"], head: ["head_mm"] };

/** What was measured the time before. */
function before(child, on) {
  const last = [...child.measurements].reverse().find((one) => one.on < on);
  if (!last) return h("p", { class: "hint" }, say("Before this: not measured yet."));
  const taken = Object.entries(TAKEN).filter(([, [figure]]) => last[figure] !== null);
  const register = (fields) => Object.fromEntries(fields.map((name) => [name, last[name]]));
  const words = taken.map(([name, fields]) => valueWords(name, register(fields))).join(" · ");
  return h("p", { class: "hint" }, say("Before this, {day}: ", { day: dayWords(last.on) }), words || "–");
}

/** How the child would be doing by a side's values: at that visit, or where its name, sex or birth date differ at its last one;
 * null where they do not say. */
function effectWords(app, child, { on, source, state, set }) {
  const last = child.measurements[child.measurements.length - 1];
  if (!on && !(last && set.identity)) return null;
  const figures = Object.keys(TAKEN).map((register) => ({ ...value(state, register), ...set[register] }));
  const visit = on ? { ...NOTHING, ...Object.assign({}, ...figures), on, source } : last;
  const { sex, born_on } = on ? child : set.identity;
  const assessment = assessedWith(app, { ...child, sex, born_on }, visit);
  const found = assessment && assessment.visits.find((one) => one.on === visit.on && one.source === visit.source);
  const { status = {} } = found || {};
  const known = Object.entries(INDICES).filter(([index]) => status[index]);
  return known.map(([index, name]) => `${message(name)} ${message(app.tables.labels[status[index]])}`).join(" · ") || null;
}

const NOTHING = { weight_g: null, oedema: null, length_mm: null, position: null, muac_mm: null, head_mm: null };
