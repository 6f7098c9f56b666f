// What is typed and not saved: how lists and screens show it, and how it is taken away.

import { dayWords, later, message, say, timeWords } from "../words/words.js";
import { draftKey } from "./drafts.js";
import { h, notice } from "./dom.js";
import { offerUndo } from "./undo.js";

const NEW = draftKey.newChild();
const NAMES = {
  measurement: later("Measurement"),
  child: later("The child's data"),
  book: later("Vaccines of the Buku KIA"),
  aid: later("Social aid"),
  follow_up: later("Answer to the health centre"),
};
const SCREENS = { measurement: "ukur", child: "ubah", book: "jadwal", aid: "bantuan-anak", follow_up: "anak" };

/** Whether something of a child is typed and not saved. @param {import("../app.js").App} app @param {string} child */
export const hasDraft = (app, child) => Boolean(app.drafts && app.drafts.of(child).length);

/** A word on a child of whom something is not saved; null if all is. @param {import("../app.js").App} app @param {string} child */
export const unsavedMark = (app, child) =>
  hasDraft(app, child) ? h("b", { class: "unsaved" }, say("not saved yet")) : null;

/** A child's drafts, each with a way to go on. @param {import("../app.js").OpenApp} app @param {string} child */
export const unsavedForms = (app, child) => app.drafts.of(child).map((key) => card(app, child, key));

function card(app, child, key) {
  const [kind, , on] = key.split("/");
  if (!NAMES[kind]) return null; // of a newer version
  const { at } = app.drafts.get(key);
  const words = [message(NAMES[kind]), on && dayWords(on)].filter(Boolean).join(", ");
  const address = kind === "follow_up" ? `#/anak/${child}` : `#/${[SCREENS[kind], child, on].filter(Boolean).join("/")}`;
  return notice(
    "look",
    h("p", {}, h("b", {}, say("Not saved yet: ")), words, h("span", { class: "hint" }, ` · ${typedAt(at)}`)),
    h("div", { class: "answers" }, h("a", { class: "button", href: address }, say("Go on")), throwAway(app, key)),
  );
}

const throwAway = (app, key) =>
  h(
    "button",
    {
      onclick: () => {
        const draft = app.drafts.drop(key);
        app.draw();
        offerUndo(app, say("What was typed is thrown away."), async () => app.drafts.putBack(key, draft));
      },
    },
    say("Throw away"),
  );

const typedAt = (at) => say("typed {time}", { time: timeWords(at) });

/** Where a new child is begun: one that was begun and not saved, and drafts that went as there were too many.
 * @param {import("../app.js").OpenApp} app */
export function unsavedNewChild(app) {
  const draft = app.drafts.get(NEW);
  const { lost } = app.drafts;
  return [
    draft
      ? notice(
          "look",
          h("p", {}, h("b", {}, say("Not saved yet: ")), draft.value.name || say("New child"), ` · ${typedAt(draft.at)}`),
          h("div", { class: "answers" }, h("a", { class: "button", href: "#/baru" }, say("Go on")), throwAway(app, NEW)),
        )
      : null,
    lost ? notice("look", say("{count} old drafts were deleted: more than 100 were not saved.", { count: lost })) : null,
  ];
}
