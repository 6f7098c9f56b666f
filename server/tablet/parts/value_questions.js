// The questions about a measurement while it is typed, each with the buttons that answer it, and what the answers leave in the
// draft: `sure`, the questions answered with yes, and `first`, the first value of what was measured twice. No layout.

import { warnings } from "../growth/value_checks.js";
import { MEASURES } from "../growth/typing_slips.js";
import { later, message, say } from "../words/words.js";
import { h, notice } from "./dom.js";
import { FIGURES, toText, toUnits } from "./figures.js";

/** As the schema has it. */
const MOST_NOTE = 500;
/** What the form leaves free in a note, for the first values. */
export const NOTE_ROOM = 150;

/** @typedef {import("../growth/value_checks.js").Warning} Warning */
/** What answers a question. @typedef {{use: (question: Warning) => void, again: (question: Warning) => void,
 *   sure: (question: Warning) => void}} Answers */

/** The open questions about a draft, the most important first. @param {import("../app.js").OpenApp} app
 * @param {import("./model.js").Child} child @param {object} draft `figures`, `text`, `sure`, `first`
 * @param {string} on @returns {Warning[]} */
export function openQuestions(app, child, draft, on) {
  const typed = { on, source: "cadre", ...draft.figures };
  // 9.55 in the field of the length is no length, but it may be the weight
  for (const name of MEASURES) if (typed[name] === undefined) typed[name] = finerUnits(name, draft.text[name]);
  const answered = (question) =>
    (draft.sure || []).includes(keyOf(question)) || (question.severity === "again" && question.field in (draft.first || {}));
  const earlier = child.measurements.filter((one) => !(one.on === on && one.source === "cadre"));
  return [...secondAwaited(draft), ...warnings(app.tables, child, earlier, typed, app.day, answered)];
}

function finerUnits(name, text) {
  const finest = toUnits(text || "", 3);
  return typeof finest === "number" ? finest / 10 ** (3 - FIGURES[name].digits) : undefined;
}

/** A value that was emptied to measure once more stands as an offer until the second one is typed. @returns {Warning[]} */
function secondAwaited({ figures, first = {} }) {
  return Object.keys(first)
    .filter((field) => figures[field] === null)
    .map((field) => ({
      rule: "second_awaited",
      field: /** @type {Warning["field"]} */ (field),
      severity: "again",
      values: { value: first[field] },
      proposal: { [field]: first[field] },
      words: later("The first was {first}. Type the second measurement.", { first: written(field, first[field]) }),
    }));
}

/** What to do with the draft of a form when its questions are answered. @param {object} draft @param {HTMLInputElement[]} inputs
 * by name of the field @param {() => void} changed reads the inputs @returns {Answers} */
export function answersTo(draft, inputs, changed) {
  const input = (name) => inputs.find((one) => one.name === name);
  const put = (name, units) => {
    const found = input(name);
    if (found) found.value = toText(units, FIGURES[name].digits);
  };
  return {
    use({ rule, field, proposal }) {
      if (rule === "second_awaited") delete draft.first[field];
      for (const [name, units] of Object.entries(proposal || {})) put(name, units);
      changed();
    },
    again({ field }) {
      draft.first = { ...draft.first, [field]: draft.figures[field] };
      put(field, null);
      input(field)?.focus();
      changed();
    },
    sure(question) {
      draft.sure = [...(draft.sure || []), keyOf(question)];
      changed();
    },
  };
}

/** A question about a value; with another value it is another question. @param {Warning} question */
const keyOf = ({ rule, field, values }) => `${rule}/${field}/${JSON.stringify(values)}`;

/** The questions as elements with their buttons. @param {Warning[]} found @param {Answers} answers @returns {HTMLElement[]} */
export const questionsOf = (found, answers) =>
  found.map((question) => {
    const buttons = buttonsOf(question, answers).map(([face, act]) =>
      h("button", { type: "button", onclick: () => act(question) }, face),
    );
    const tone = question.severity === "refused" ? "bad" : "look";
    return notice(tone, h("p", {}, message(question.words)), buttons.length ? h("div", { class: "buttons" }, buttons) : null);
  });

/** @param {Warning} question @param {Answers} answers @returns {Array<[string, (question: Warning) => void]>} */
function buttonsOf({ rule, field, severity, proposal }, { use, again, sure }) {
  if (rule === "second_awaited") return [[useWords(field, proposal), use]];
  /** @type {Array<[string, (question: Warning) => void]>} */
  const buttons = [];
  if (proposal) buttons.push([rule === "swapped" ? say("Swap them") : useWords(field, proposal), use]);
  if (severity === "again") buttons.push([say("Measure once more"), again]);
  if (severity !== "refused") buttons.push([say("Yes, it is right"), sure]);
  return buttons;
}

const useWords = (field, proposal) => say("Use ") + written(field, proposal[field]);

const written = (field, units) => `${toText(units, FIGURES[field].digits)} ${FIGURES[field].unit}`;

/** A draft as it is saved: a first value without a second one counts, one with a second goes into the note. @param {any} draft */
export function settled(draft) {
  const figures = { ...draft.figures };
  const twice = [];
  for (const [field, first] of Object.entries(draft.first || {})) {
    if (figures[field] === null) figures[field] = first;
    else if (figures[field] !== undefined) twice.push(twiceWords(field, first, figures[field]));
  }
  const added = twice.filter((words) => !draft.note.includes(words)).join("\n");
  const room = MOST_NOTE - (added ? added.length + 1 : 0);
  return { ...draft, figures, note: [draft.note.trim().slice(0, room), added].filter(Boolean).join("\n") };
}

const twiceWords = (field, first, second) =>
  say("{measure} measured twice: {first}, then {second}.", {
    measure: message(FIGURES[field].name),
    first: written(field, first),
    second: written(field, second),
  });
