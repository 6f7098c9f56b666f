// All questions that can be answered here, child by child.

import { openQuestions } from "../parts/open_questions.js";
import { h } from "../parts/dom.js";
import { say } from "../words/words.js";

/** @param {import("../app.js").OpenApp} app */
export function questions(app) {
  const seen = new Set();
  const ofChildren = app.model
    .children()
    .map((child) => ({ child, cards: openQuestions(app, child) }))
    .filter(({ cards }) => cards.length);
  ofChildren.forEach(({ child }) => seen.add(child.id));
  const orphans = app.tablet.replica
    .inQuestion()
    .map(({ change }) => change.key.child || change.id)
    .filter((id) => !seen.has(id));
  const strays = [...new Set(orphans)]
    .map((id) => app.model.child(id))
    .map((child) => ({ child, cards: openQuestions(app, child) }));
  const all = [...ofChildren, ...strays];
  const body = all.length
    ? all.map(({ child, cards }) =>
        h("section", {}, h("h2", {}, h("a", { href: `#/anak/${child.id}` }, child.name || say("(no name)"))), cards),
      )
    : h(
        "p",
        { class: "empty" },
        h("b", { "aria-hidden": "true" }, "✓ "),
        say("Nothing needs an answer. Tasks from the health centre appear here after sending."),
      );
  return { title: say("Needs an answer"), body, place: "pertanyaan" };
}
