// A cadre who forgot the PIN, and whom no other cadre can help: a code of the health centre, then a new PIN.

import { field, h, notice, refill } from "../parts/dom.js";
import { FORGOTTEN_PIN, requestFailure, tidyCode } from "../parts/enrol_code.js";
import { pinFields } from "../parts/pins.js";
import { say } from "../words/words.js";

/** @param {import("../app.js").ConnectedApp} app @param {{author: string, name: string}} cadre @param {() => void} back
 * @returns {HTMLElement} */
export function forgottenPin(app, cadre, back) {
  const code = h("input", { autocapitalize: "characters", spellcheck: "false", placeholder: "XXXX-XXXX-XX" });
  const pins = pinFields(app.device.pinPolicy);
  const message = h("div", { "aria-live": "polite" });
  const button = h("button", { class: "main", type: "submit" }, say("Use the new PIN"));
  const submit = async (event) => {
    event.preventDefault();
    const tidy = tidyCode(code.value, FORGOTTEN_PIN);
    const trouble = tidy ? pins.trouble() : say("The code has 10 letters and digits.");
    if (trouble || !tidy) {
      refill(message, notice("bad", trouble));
      return;
    }
    button.disabled = true;
    app.opening = true;
    refill(message, notice("calm", say("Asking the server …")));
    try {
      await app.enter(await app.device.openAgain(app.http, tidy, cadre.name, pins.value()));
    } catch (error) {
      button.disabled = false;
      refill(message, notice("bad", requestFailure(error)));
    } finally {
      app.opening = false;
    }
  };
  return h(
    "form",
    { class: "forgotten", onsubmit: submit },
    h("p", { class: "who" }, cadre.name),
    notice(
      "calm",
      h("p", {}, say("Another cadre of this tablet can give you a new PIN under More › Cadres.")),
      h("p", {}, say("If there is none, ask the health centre for a code. You need a signal. Nothing on the tablet is lost.")),
    ),
    field(say("Code from the health centre"), code, say("Valid for one hour, once.")),
    pins.fields,
    message,
    button,
    h("button", { type: "button", class: "plain", onclick: back }, say("Back")),
  );
}
