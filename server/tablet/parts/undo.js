// "Urungkan" for ten seconds after a save. The bar stands below the title of every screen, so it survives a change of screen and
// hides no button; it is announced, as it is on the screen before it has text.

import { say } from "../words/words.js";
import { h, notice, refill } from "./dom.js";
import { takenBack } from "./measurement_changes.js";
import { failure } from "./save_failure.js";

const SHOWN_MS = 10000;

const bar = h("div", { class: "undo", role: "status" });
let ending = 0;

/** The bar, for the frame of every screen. */
export const undoBar = () => bar;

function show(...children) {
  clearTimeout(ending);
  refill(bar, children);
  ending = setTimeout(() => bar.replaceChildren(), SHOWN_MS);
}

/** Offer to take back what was just saved. An offer that still stands is replaced.
 * @param {import("../app.js").OpenApp} app @param {string} words what was done
 * @param {() => Promise<string|void>} undo writes the opposite; the address of the screen to show then, if not the same */
export function offerUndo(app, words, undo) {
  const press = async () => {
    button.disabled = true;
    clearTimeout(ending);
    try {
      const then = await undo();
      show(h("span", {}, say("Undone.")));
      then ? app.go(then) : app.draw();
    } catch (error) {
      show(notice("bad", say("NOT undone: "), failure(error)));
    }
  };
  const button = h("button", { type: "button", onclick: press }, say("Undo"));
  show(h("span", {}, words), button);
}

/** Save changes of measurements in one transaction, and offer to take them back.
 * @param {import("../app.js").OpenApp} app @param {Array<{form: import("../sync/replica.js").Form, set: object}>} acts
 * @param {string} words what was done @param {{then?: string, draft?: string}} [how] `then`: the screen to show after undoing;
 *   `draft`: the key of the form's draft, which goes in the same transaction */
export async function saveWithUndo(app, acts, words, { then, draft } = {}) {
  const { tablet } = app;
  const opposite = acts.map(({ form, set }) => takenBack(tablet.replica.view(form), set));
  await (draft ? app.drafts.saving(draft, (drop) => tablet.writeAll(acts, drop)) : tablet.writeAll(acts));
  app.saved();
  const opened = await Promise.all(acts.map(({ form: { kind, key, id } }) => tablet.replica.open(kind, key, id)));
  const backwards = opened.map((form, at) => ({ form, set: opposite[at] })).reverse();
  if (!opposite.every(Boolean)) return show(h("span", {}, words));
  return offerUndo(app, words, async () => {
    await tablet.writeAll(backwards);
    app.saved();
    return then;
  });
}
