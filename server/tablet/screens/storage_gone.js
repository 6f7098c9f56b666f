// The one screen that is shown when the browser deleted the app's storage while the app is open: what is only in memory now, and
// one button that saves it, sealed. Nothing here reads or writes the storage.

import { h, notice, refill } from "../parts/dom.js";
import { handOut } from "../parts/sealed_batches.js";
import { say } from "../words/words.js";

/** @param {import("../app.js").App} app @param {"gone"|"elsewhere"} where @param {string[]} typed and not saved
 * @returns {{title: string, body: any}} */
export function storageGone(app, where, typed) {
  if (where === "elsewhere")
    return {
      title: say("The app is open twice"),
      body: [
        notice(
          "bad",
          say(
            "Another window of this app has saved something. What was saved here is kept. Close this window and go on in the other one.",
          ),
        ),
        unsaved(typed),
      ],
    };
  const title = say("This phone deleted the app's data");
  if (app.isPractice) return { title, body: h("p", {}, h("a", { class: "button main", href: "./" }, say("End the practice"))) };
  return { title, body: [saving(app), unsaved(typed)] };
}

/** What is in memory, and the button that saves it. */
function saving(app) {
  const count = unsent(app);
  if (!count) {
    app.safeToClose = true;
    return [notice("look", say("Everything that was saved here had been received by the server. Nothing is lost.")), next()];
  }
  const place = h("div", { "aria-live": "polite" });
  const button = h("button", { class: "main", onclick: () => save() }, say("Save a sealed copy now"));
  const save = async () => {
    const text = await copyInMemory(app);
    const name = `posyandu-${app.day}-${count}.posyandu`;
    if (!(await handOut(name, text))) return;
    app.safeToClose = true;
    refill(
      place,
      notice(
        "good",
        say("{count} records are in the file {name}. Now the app may be closed. Keep the file until they are at the server.", {
          count,
          name,
        }),
      ),
      next(),
    );
  };
  sendFromMemory(app, count, place, button);
  return [
    notice(
      "bad",
      h("p", {}, h("b", {}, say("{count} records that were not sent are only on this screen now.", { count }))),
      h("p", {}, say("Do not close the app and do not switch the phone off before you have saved them.")),
    ),
    button,
    place,
  ];
}

const next = () =>
  h(
    "p",
    { class: "hint" },
    say("Then ask the health centre for a new code, enrol this phone again, and open the file there or on any phone with a signal."),
  );

/** How many changes in memory the server has not acknowledged. */
function unsent(app) {
  if (app.tablet) return app.tablet.replica.waiting().length;
  return app.device.copyAtStart.count;
}

/** @returns {Promise<string>} the lines of a file of sealed batches */
async function copyInMemory(app) {
  if (app.tablet) return app.engine.sealedBatches();
  return app.device.copyAtStart.letters.map((letter) => `${JSON.stringify(letter)}\n`).join("");
}

/** With a line, the records in memory go to the server at once; what it took is read from its receipts. */
async function sendFromMemory(app, count, place, button) {
  if (!app.engine) return;
  const send = async () => {
    if (!(await app.engine.sendFromMemory())) return;
    app.safeToClose = true;
    window.removeEventListener("online", again);
    button.hidden = true;
    refill(place, notice("good", say("All {count} records have reached the server. Nothing is lost.", { count })), next());
  };
  const again = () => send().catch((error) => console.warn(error)); // the button stays
  window.addEventListener("online", again);
  if (navigator.onLine) await again();
}

/** What was typed and not saved, to be written on paper. @param {string[]} typed */
const unsaved = (typed) =>
  typed.length
    ? notice(
        "look",
        h("p", {}, h("b", {}, say("Not saved. Write it on paper:"))),
        h(
          "ul",
          {},
          typed.map((words) => h("li", {}, words)),
        ),
      )
    : null;

const NOT_TYPED = ["password", "file", "search", "radio", "checkbox", "date"];

/** The heading and the filled fields of the form that is shown now, if one is. @param {Element} root @returns {string[]} */
export function typedOn(root) {
  const fields = /** @type {Array<HTMLInputElement>} */ ([...root.querySelectorAll("main input, main textarea")]);
  const filled = fields.filter(({ type, value }) => value.trim() && !NOT_TYPED.includes(type));
  const label = ({ labels }) => (labels && labels[0] ? `${labels[0].textContent}: ` : "");
  const lines = filled.map((input) => `${label(input)}${input.value}`);
  const heading = root.querySelector("h1");
  return lines.length && heading ? [heading.textContent || "", ...lines] : [];
}
