// After unlocking, where the health centre asks for a longer PIN than the cadre has: a new one, or another day, three times.

import { h, notice, refill } from "../parts/dom.js";
import { markErrors } from "../parts/form_errors.js";
import { localDay } from "../parts/model.js";
import { pinFields } from "../parts/pins.js";
import { failure } from "../parts/save_failure.js";
import { say } from "../words/words.js";

/** @param {import("../app.js").OpenApp} app */
export function newPin(app) {
  const { device, tablet } = app;
  const { author, name } = tablet.cadre;
  const { mayWait } = device.newPin(author, localDay());
  const pins = pinFields(device.pinPolicy);
  const feedback = h("div", { "aria-live": "polite" });
  const store = async (write) => {
    try {
      await tablet.turn(write);
      app.isPinDue = false;
      app.draw();
    } catch (error) {
      refill(feedback, notice("bad", say("NOT saved: "), failure(error)));
    }
  };
  const submit = (event) => {
    event.preventDefault();
    const trouble = pins.trouble();
    if (markErrors(trouble ? [[pins.fields[0], trouble]] : [], pins.fields)) return;
    store(() => device.admit(name, pins.value(), tablet.vault.dataKey));
  };
  const later = h("button", { type: "button", onclick: () => store(() => device.delayNewPin(author, localDay())) }, say("Another day"));
  const body = h(
    "form",
    { onsubmit: submit },
    notice("look", h("p", {}, say("The health centre asks for a PIN that is harder to guess. Nothing on the tablet is lost; the old PIN opens it until you have chosen a new one."))),
    pins.fields,
    feedback,
    h("div", { class: "actions still" }, h("button", { class: "main", type: "submit" }, say("Use the new PIN")), mayWait ? later : null),
  );
  return { title: say("A new PIN"), body };
}
