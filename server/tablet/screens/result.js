// After saving: that it was saved; for the mother the gain in grams, the KMS and what to do; apart from it the cadre's tasks; the next
// child.

import { assess } from "../growth/assess.js";
import { kms, lengthChart } from "../growth/chart.js";
import { h, notice } from "../parts/dom.js";
import { inQueue } from "../parts/queue.js";
import { textZoom } from "../parts/text_size.js";
import { forCadre, forMother } from "../parts/verdict.js";
import { monthsCompleted } from "../growth/calendar.js";
import { cm, dayWords, kg, message, say } from "../words/words.js";

const [PLOT_PX, EDGES_PX] = [236, 64]; // heights of a drawn chart

/** @param {import("../app.js").OpenApp} app @param {string} id @param {string} on */
export function result(app, id, on) {
  const child = app.model.child(id);
  const assessment = resultOf(app, child, on);
  const next = nextChild(app, id);
  const isNewest = assessment.visits.length === child.measurements.length;
  const body = [
    notice(
      "good",
      h("p", { class: "saved" }, h("b", { "aria-hidden": "true" }, "✓ "), say("Saved on this tablet")),
      h("p", {}, figuresOf(child, on)),
    ),
    isNewest
      ? null
      : notice("look", say("This is the result of {day}. There is a newer measurement.", { day: dayWords(on) })),
    forMother(
      app,
      child,
      assessment,
      on,
      chart(app, child, assessment, on),
      h("a", { class: "button main", href: `#/gambar/${id}/${on}` }, say("Picture for the mother")),
    ),
    forCadre(app, child, assessment, on),
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

/** The assessment of a day: what was measured later tells nothing about it. @param {import("../app.js").OpenApp} app */
export function resultOf(app, child, on) {
  return assess(
    app.tables,
    child,
    child.measurements.filter((one) => one.on <= on),
    on,
  );
}

/** The cadre's figures of a day in one line. */
export function figuresOf(child, on) {
  const taken = child.measurements.find((one) => one.on === on && one.source === "cadre");
  if (!taken) return "";
  const { weight_g, length_mm, muac_mm } = taken;
  return [weight_g && kg(weight_g), length_mm && cm(length_mm), muac_mm && `${say("arm")} ${cm(muac_mm)}`]
    .filter(Boolean)
    .join(" · ");
}

function nextChild(app, id) {
  return inQueue(app).find((child) => child.id !== id);
}

/** The KMS around the child's age. @param {import("../app.js").OpenApp} app */
export const chart = (app, child, assessment, day = app.day) =>
  drawn(app, child, assessment, kms, say("KMS chart: weight for age"), day);

/** The same for length or height. */
export const lengths = (app, child, assessment) =>
  drawn(app, child, assessment, lengthChart, say("Length or height for age"), app.day);

function drawn(app, child, { visits }, draw, title, day) {
  if (!child.born_on || !child.sex) return null;
  const months = Math.max(monthsCompleted(child.born_on, day) ?? 0, 0);
  const from = Math.max(Math.min(Math.floor((months - 10) / 12) * 12, 36), 0);
  const zoom = textZoom();
  const height = PLOT_PX + EDGES_PX * zoom;
  return h(
    "figure",
    {},
    draw(app.tables, child, visits, { from, to: from + 24, width: 360, height, zoom, words: { title }, message }),
    h("figcaption", {}, title),
  );
}
