// A child's status as a sign, a colour and a word; never by colour alone.

import { advice } from "../growth/advice.js";
import { message, say } from "../words/words.js";
import { h } from "./dom.js";

/** Whether changes of a child wait to be sent, and whether it has a question. @param {import("../app.js").OpenApp} app */
export function marks(app, child) {
  const entries = app.tablet.replica.ofChild.get(child.id) || [];
  const asked = entries.some((entry) => entry.outcome === "quarantined") || app.model.disputes(child).length > 0;
  return { waiting: entries.some(({ outcome }) => !outcome), asked };
}

/** A small sign beside a name. @param {import("../app.js").OpenApp} app @param {object} child */
export function statusIcon(app, child) {
  const { tone, sign, headline } = advice(app.tables, child, app.model.assessment(child, app.day), app.day);
  const { waiting, asked } = marks(app, child);
  return h(
    "span",
    { class: "standing" },
    asked
      ? h("b", { class: "asked", title: say("a question") }, "?", h("span", { class: "unseen" }, say(" a question")))
      : null,
    waiting && !app.isPractice
      ? h(
          "b",
          { class: "unsent", title: say("waiting") },
          "●",
          h("span", { class: "unseen" }, say(" waiting to be sent")),
        )
      : null,
    child.measurements.length
      ? h(
          "b",
          { class: `tone ${tone}`, title: message(headline) },
          sign,
          h("span", { class: "unseen" }, ` ${message(headline)}`),
        )
      : null,
  );
}
