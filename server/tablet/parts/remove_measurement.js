// At the end of a measurement's form: it is of another child or another day, or was never taken.

import { dayWords, say } from "../words/words.js";
import { choice, h, notice, refill } from "./dom.js";
import { draftKey } from "./drafts.js";
import { failure } from "./save_failure.js";
import { saveWithUndo } from "./undo.js";
import { heldRegisters } from "./wrong_day.js";

/** @param {import("../app.js").OpenApp} app @param {import("../sync/replica.js").Form} form
 * @param {{tell: (...words: any[]) => void}} strip where `ask` asks, after all fields were emptied
 * @returns {{element: HTMLElement|null, ask: () => void}} */
export function removalOf(app, form, strip) {
  const { child, measured_on } = form.key;
  const remove = async (reason, tell) => {
    const draft = draftKey.measurement(child, measured_on);
    const words = say("Measurement of {day} removed.", { day: dayWords(measured_on) });
    try {
      await saveWithUndo(app, [{ form, set: { removed: { reason } } }], words, { draft });
      app.go(`#/anak/${child}`);
    } catch (error) {
      tell(notice("bad", say("NOT saved: "), failure(error)));
    }
  };
  const ask = () =>
    strip.tell(
      notice(
        "look",
        h("p", {}, say("All fields are empty. Remove this measurement?")),
        h("button", { type: "button", onclick: () => remove(say("Emptied"), strip.tell) }, say("Remove")),
      ),
    );
  if (!Object.keys(heldRegisters(app.tablet.replica, form)).length) return { element: null, ask };
  return { element: section(child, measured_on, remove), ask };
}

function section(child, measured_on, remove) {
  const reasons = [say("Wrong child"), say("Wrong date"), say("Not measured")];
  let reason = reasons[0];
  const feedback = h("div", {});
  const confirm = () =>
    refill(
      feedback,
      choice(
        say("Why?"),
        reasons.map((words) => [words, words]),
        reason,
        (chosen) => (reason = chosen),
        { kind: "choice long" },
      ),
      h(
        "button",
        { type: "button", class: "danger", onclick: () => remove(reason, (words) => refill(feedback, words)) },
        say("Remove"),
      ),
    );
  return h(
    "section",
    { class: "mend" },
    h("h2", {}, say("Wrong child, wrong date?")),
    h(
      "div",
      { class: "actions still" },
      h("a", { class: "button", href: `#/pindah/${child}/${measured_on}` }, say("Move to another child")),
      h("a", { class: "button", href: `#/ubah-tanggal/${measured_on}` }, say("Change the date")),
      h("button", { type: "button", class: "danger", onclick: confirm }, say("Remove this measurement")),
    ),
    feedback,
  );
}
