// A child's status in a word or two, for lists; and whether something of the child waits to be sent or to be answered.

import { advice } from "../growth/advice.js";
import { later, message, say } from "../words/words.js";
import { h } from "./dom.js";

/** Short words by rule of a flag. Flags of these indices are said in the words of the index's status instead. */
const INDEX_OF = {
  severely_stunted: "haz",
  stunted: "haz",
  below_red_line: "waz",
  underweight: "waz",
  above_orange_line: "waz",
  severely_wasted: "whz",
  wasted: "whz",
  overweight: "whz",
  muac_severe: "muac",
  muac_moderate: "muac",
};
const REASONS = {
  oedema: later("Oedema"),
  infant_not_gaining: later("Infant with T"),
  head_very_large: later("Large head"),
  head_very_small: later("Small head"),
  head_large: later("Large head"),
  head_small: later("Small head"),
  muac_for_age_severe: later("Thin arm"),
  muac_for_age_moderate: later("Thin arm"),
};
/** By what `advice` is about. */
const WORDS = {
  two_t: later("2T, refer"),
  not_seen: later("Long absent"),
  measure_again: later("Measure again"),
  not_gaining: later("T, little gain"),
  unknown: later("Not judged yet"),
  N: later("N, gaining"),
  B: later("B, first time"),
  O: later("O, absent last month"),
  well: later("Well"),
};

/** Whether changes of a child wait to be sent, and whether it has a question. @param {import("../app.js").OpenApp} app */
export function marks(app, child) {
  const entries = app.tablet.replica.ofChild.get(child.id) || [];
  const asked = entries.some((entry) => entry.outcome === "quarantined") || app.model.disputes(child).length > 0;
  return { waiting: entries.some(({ outcome }) => !outcome), asked };
}

/** The children of whom something waits to be sent: their ids. One unit for every count of unsent data.
 * @param {import("../app.js").OpenApp} app */
export const unsentChildren = (app) => [
  ...new Set(app.tablet.replica.waiting().map(({ change }) => change.key.child || change.id)),
];

/** Status words beside a name. @param {import("../app.js").OpenApp} app @param {object} child */
export function statusWords(app, child) {
  const { asked } = marks(app, child);
  return h(
    "span",
    { class: "standing" },
    child.measurements.length ? toneOf(app, child) : null,
    asked ? h("b", { class: "asked" }, say("To answer")) : null,
  );
}

function toneOf(app, child) {
  const assessment = app.model.assessment(child, app.day);
  const given = advice(app.tables, child, assessment, app.day);
  return h("b", { class: `tone ${given.tone}` }, message(shortly(app, assessment, given)));
}

function shortly(app, { latest }, { about, reasons, headline }) {
  const [flag] = reasons;
  const reason = flag && (REASONS[flag.rule] || labelOf(app, latest[INDEX_OF[flag.rule]]));
  if (about === "today") return later("{reason}, refer today", { reason });
  if (about === "this_week") return later("{reason}, refer", { reason });
  return WORDS[about] || reason || labelOf(app, latest.whz) || headline;
}

const labelOf = (app, latest) => latest && app.tables.labels[latest.code];
