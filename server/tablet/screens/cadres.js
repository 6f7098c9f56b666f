// Who may unlock this tablet. Whoever is signed in may let another cadre in, or give one who forgot it a new PIN.

import { field, h, notice, refill } from "../parts/dom.js";
import { pinFields } from "../parts/pins.js";
import { say } from "../words/words.js";

/** @param {import("../app.js").OpenApp} app */
export function cadres(app) {
  const { device, tablet } = app;
  const name = h("input", { maxlength: "60", list: "known-cadres" });
  const pins = pinFields();
  const message = h("div", { "aria-live": "polite" });
  const submit = async (event) => {
    event.preventDefault();
    const trouble = name.value.trim() ? pins.trouble() : say("Write the cadre's name.");
    if (trouble) {
      refill(message, notice("bad", trouble));
      return;
    }
    await tablet.turn(() => device.admit(name.value.trim(), pins.value(), tablet.vault.dataKey));
    app.draw();
  };
  const dismiss = (author) => async () => {
    await tablet.turn(() => device.dismiss(author));
    app.draw();
  };
  const people = device.cadres.map((one) =>
    h(
      "li",
      {},
      h("strong", {}, one.name),
      one.author === tablet.cadre.author
        ? ` (${say("you")})`
        : h("button", { class: "plain", onclick: dismiss(one.author) }, say("Take off")),
    ),
  );
  const body = [
    h("ul", { class: "people" }, people),
    h("h2", {}, say("Add a cadre, or give a new PIN")),
    h(
      "form",
      { onsubmit: submit },
      field(say("Cadre's name"), name, say("A name that is there already gets a new PIN.")),
      h(
        "datalist",
        { id: "known-cadres" },
        device.cadres.map((one) => h("option", { value: one.name })),
      ),
      pins.fields,
      message,
      h("button", { class: "main", type: "submit" }, say("Save")),
    ),
  ];
  return { title: say("Cadres"), body, back: "#/lainnya", place: "lainnya" };
}
