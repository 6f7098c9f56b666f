// How the child is doing: for the mother, and apart from it for the cadre. A screening, never a diagnosis.

import { advice } from "../growth/advice.js";
import { assess } from "../growth/assess.js";
import { dayWords, decimalMark, later, message, say } from "../words/words.js";
import { h } from "./dom.js";
import { comingBack } from "./next_day.js";

/** The assessment of a day as if a measurement were saved already: what was measured later tells nothing about that day.
 * @param {import("../app.js").OpenApp} app */
export function assessedWith(app, child, draft) {
  const earlier = child.measurements.filter(
    ({ on, source }) => on < draft.on || (on === draft.on && source !== draft.source),
  );
  const empty = !draft.weight_g && !draft.length_mm && !draft.muac_mm && !draft.head_mm && !draft.oedema;
  return empty ? null : assess(app.tables, child, [...earlier, draft], draft.on);
}

/** What the mother is told, and apart from it what the cadre does. @param {import("../app.js").OpenApp} app */
export const verdictOf = (app, child, assessment) => [
  forMother(app, child, assessment, app.day),
  forCadre(app, child, assessment, app.day),
];

/** For the mother: the weight in one sentence, the KMS if it is given, what to do, and when to come again.
 * @param {import("../app.js").OpenApp} app @param {HTMLElement|null} [chart] @param {...any} more below */
export function forMother(app, child, assessment, day, chart = null, ...more) {
  const { tone, sentence, found, say: sentences } = advice(app.tables, child, assessment, day);
  return h(
    "section",
    { class: `mother ${tone}` },
    h("h2", {}, say("Tell the mother")),
    isOfMonth(assessment, day)
      ? h("p", { class: "sentence" }, message(sentence))
      : h("p", {}, say("Last measured: {day}", { day: dayWords(lastDay(assessment)) })),
    h("p", {}, found.map(message).join(" ")),
    chart,
    h(
      "ul",
      {},
      sentences.map((words) => h("li", {}, message(words))),
    ),
    h("p", { class: "again" }, comingBack(app, child, assessment, day)),
    more,
  );
}

const lastDay = ({ visits }) => (visits.length ? visits[visits.length - 1].on : null);

/** Whether the newest visit is of the month of a day: the sentence speaks of "this month". */
export const isOfMonth = (assessment, day) => (lastDay(assessment) || "").slice(0, 7) === day.slice(0, 7);

/** For the cadre: the findings with their scores, why, and what to do. @param {import("../app.js").OpenApp} app */
export function forCadre(app, child, assessment, day) {
  const { todo } = advice(app.tables, child, assessment, day);
  return h(
    "section",
    { class: "cadre verdict" },
    h("h2", {}, say("What the cadre has to do")),
    standing(app, child, assessment, day),
    h(
      "ul",
      { class: "todo" },
      (todo.length ? todo : [NOTHING]).map((words) => h("li", {}, message(words))),
    ),
    h("p", { class: "fine" }, message(app.tables.note)),
  );
}

const NOTHING = later("Nothing besides the usual counselling.");
/** The code of the month in words, where the headline tells of something else. */
const CODES = {
  "2T": later("2T: too little gain two months running"),
  T: later("T: too little gain"),
  N: later("N: gained enough"),
  O: later("O: not weighed last month, or not to be judged"),
  B: later("B: weighed for the first time"),
};
const ABOUT_GAIN = ["two_t", "not_gaining", "N", "O", "B"];

/** Headline, code and classes. */
function standing(app, child, assessment, day) {
  const { about, tone, sign, code, headline } = advice(app.tables, child, assessment, day);
  const shown = ["waz", "haz", "whz", "muac"];
  const visit = [...assessment.visits].reverse().find((one) => shown.some((index) => one.status[index]));
  const statuses = visit ? shown.map((index) => status(app, visit, index)).filter(Boolean) : [];
  return [
    h(
      "p",
      { class: `headline ${tone}` },
      h("b", { class: "sign", "aria-hidden": "true" }, sign),
      " ",
      message(headline),
    ),
    CODES[code] && !ABOUT_GAIN.includes(about) ? h("p", { class: "code" }, message(CODES[code])) : null,
    statuses.length ? h("ul", { class: "statuses" }, statuses) : null,
  ];
}

const INDICES = { waz: later("WAZ"), haz: later("HAZ"), whz: later("WHZ"), muac: later("MUAC") };

function status(app, visit, index) {
  const code = visit.status[index];
  if (code === null || code === undefined) return null;
  const score = index === "muac" ? null : visit.scores[index].z;
  const z = score === null ? "" : ` (${score.toFixed(2).replace(".", decimalMark()).replace("-", "−")})`;
  return h(
    "li",
    {},
    h("b", {}, message(INDICES[index])),
    " ",
    message(app.tables.labels[code]),
    h("span", { class: "fine" }, z),
  );
}
