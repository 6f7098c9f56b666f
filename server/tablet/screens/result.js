// After saving: that it was saved, how the child is doing, what to tell the mother, the KMS, and the next child.

import { kms, lengthChart } from "../growth/chart.js";
import { h, notice } from "../parts/dom.js";
import { inQueue } from "../parts/queue.js";
import { verdictOf } from "../parts/verdict.js";
import { monthsCompleted } from "../growth/calendar.js";
import { cm, kg, message, say } from "../words/words.js";

/** @param {import("../app.js").OpenApp} app @param {string} id @param {string} on */
export function result(app, id, on) {
  const child = app.model.child(id);
  const assessment = app.model.assessment(child, app.day);
  const taken = child.measurements.find((one) => one.on === on && one.source === "cadre");
  const next = nextChild(app, id);
  const figures = taken
    ? [
        taken.weight_g && kg(taken.weight_g),
        taken.length_mm && cm(taken.length_mm),
        taken.muac_mm && `${say("arm")} ${cm(taken.muac_mm)}`,
      ]
        .filter(Boolean)
        .join(" · ")
    : "";
  const body = [
    notice(
      "good",
      h("p", { class: "saved" }, h("b", { "aria-hidden": "true" }, "✓ "), say("Saved on this tablet")),
      h("p", {}, figures),
    ),
    verdictOf(app, child, assessment, true),
    chart(app, child, assessment),
    h(
      "div",
      { class: "actions" },
      h("a", { class: "button", href: `#/ukur/${id}/${on}` }, say("Correct")),
      next
        ? h("a", { class: "button main", href: `#/ukur/${next.id}` }, say("Next: "), next.name)
        : h("a", { class: "button main", href: "#/hari-ini" }, say("Back to the list")),
    ),
  ];
  return { title: child.name, tab: say("Saved"), body, back: "#/hari-ini" };
}

function nextChild(app, id) {
  return inQueue(app).find((child) => child.id !== id);
}

/** The KMS around the child's age. @param {import("../app.js").OpenApp} app */
export const chart = (app, child, assessment) => drawn(app, child, assessment, kms, say("KMS chart: weight for age"));

/** The same for length or height. */
export const lengths = (app, child, assessment) =>
  drawn(app, child, assessment, lengthChart, say("Length or height for age"));

function drawn(app, child, { visits }, draw, title) {
  if (!child.born_on || !child.sex) return null;
  const months = Math.max(monthsCompleted(child.born_on, app.day) ?? 0, 0);
  const from = Math.max(Math.min(Math.floor((months - 10) / 12) * 12, 36), 0);
  return h(
    "figure",
    {},
    draw(app.tables, child, visits, { from, to: from + 24, width: 360, height: 300, words: { title }, message }),
    h("figcaption", {}, title),
  );
}
