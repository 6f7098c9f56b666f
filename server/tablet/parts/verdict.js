// How the child is doing by the values just typed, while the mother is still there. A screening, never a diagnosis.

import { advice } from "../growth/advice.js";
import { assess } from "../growth/assess.js";
import { decimalMark, later, message, say } from "../words/words.js";
import { h } from "./dom.js";

/** The assessment as if a measurement were saved already. @param {import("../app.js").OpenApp} app */
export function assessedWith(app, child, draft) {
  const others = child.measurements.filter(({ on, source }) => on !== draft.on || source !== draft.source);
  const empty = !draft.weight_g && !draft.length_mm && !draft.muac_mm && !draft.head_mm && !draft.oedema;
  return empty ? null : assess(app.tables, child, [...others, draft], app.day > draft.on ? app.day : draft.on);
}

/** A short verdict, or null while nothing is typed. @param {import("../app.js").OpenApp} app */
export function verdict(app, child, draft) {
  const assessment = assessedWith(app, child, draft);
  return assessment ? verdictOf(app, child, assessment, false) : null;
}

/** @param {import("../app.js").OpenApp} app @param {boolean} whole with what to tell the mother */
export function verdictOf(app, child, assessment, whole) {
  const { tone, sign, headline, say: sentences } = advice(app.tables, child, assessment, app.day);
  const visit = assessment.visits[assessment.visits.length - 1];
  const statuses = visit ? ["waz", "haz", "whz", "muac"].map((index) => status(app, visit, index)).filter(Boolean) : [];
  return h(
    "section",
    { class: `verdict ${tone}` },
    h("p", { class: "headline" }, h("b", { class: "sign", "aria-hidden": "true" }, sign), " ", message(headline)),
    statuses.length ? h("ul", { class: "statuses" }, statuses) : null,
    whole
      ? h(
          "div",
          {},
          h("h2", {}, say("Tell the mother")),
          h(
            "ul",
            {},
            sentences.map((words) => h("li", {}, message(words))),
          ),
        )
      : null,
    whole ? h("p", { class: "fine" }, message(app.tables.note)) : null,
  );
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
