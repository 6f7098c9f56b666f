// Who may unlock this tablet. Whoever is signed in may let another cadre in, or give one who forgot it a new PIN.

import { field, h, notice, refill } from "../parts/dom.js";
import { markErrors } from "../parts/form_errors.js";
import { pinFields } from "../parts/pins.js";
import { failure } from "../parts/save_failure.js";
import { offerUndo } from "../parts/undo.js";
import { say } from "../words/words.js";

/** @param {import("../app.js").OpenApp} app */
export function cadres(app) {
  const { device, tablet } = app;
  const people = device.cadres.map((one) =>
    h(
      "li",
      {},
      h("strong", {}, one.name),
      one.author === tablet.cadre.author
        ? ` (${say("you")})`
        : h("button", { class: "plain", onclick: () => dismiss(app, one) }, say("Take off")),
    ),
  );
  const body = [
    h("ul", { class: "people" }, people),
    h("h2", {}, say("Add a cadre, or give a new PIN")),
    admission(app),
  ];
  return { title: say("Cadres"), body, back: "#/lainnya", place: "lainnya" };
}

/** The form that lets a cadre in. */
function admission(app) {
  const { device } = app;
  const input = h("input", { maxlength: "60", list: "known-cadres", autocapitalize: "words" });
  const name = field(say("Cadre's name"), input, say("A name that is there already gets a new PIN."));
  const pins = pinFields(device.pinPolicy);
  const feedback = h("div", { "aria-live": "polite" });
  const save = h("button", { class: "main", type: "submit" }, say("Save"));
  const admit = async () => {
    save.disabled = true;
    try {
      await letIn(app, input.value.trim(), pins.value());
    } catch (error) {
      save.disabled = false;
      refill(feedback, notice("bad", say("NOT saved: "), failure(error)));
    }
  };
  const submit = (event) => {
    event.preventDefault();
    refill(feedback);
    const trouble = pins.trouble();
    const errors = [
      ...(input.value.trim() ? [] : [[name, say("Write the cadre's name.")]]),
      ...(trouble ? [[pins.fields[0], trouble]] : []),
    ];
    if (markErrors(/** @type {any} */ (errors), [name, ...pins.fields])) return;
    if (device.cadres.some((one) => one.name === input.value.trim())) askForNewPin();
    else admit();
  };
  const askForNewPin = () => {
    const words = say("{name} is there already. Replace the PIN? The old one will not open the tablet any more.", {
      name: input.value.trim(),
    });
    const yes = h("button", { type: "button", onclick: admit }, say("Yes, a new PIN"));
    const no = h("button", { type: "button", onclick: () => refill(feedback) }, say("Cancel"));
    refill(feedback, notice("look", h("p", {}, words), h("div", { class: "answers" }, yes, no)));
    yes.focus();
  };
  const known = device.cadres.map((one) => h("option", { value: one.name }));
  return h("form", { onsubmit: submit }, name, h("datalist", { id: "known-cadres" }, known), pins.fields, feedback, save);
}

async function letIn(app, name, pin) {
  const { device, tablet } = app;
  const isNew = !device.cadres.some((one) => one.name === name);
  const cadre = await tablet.turn(() => device.admit(name, pin, tablet.vault.dataKey));
  app.draw();
  if (isNew)
    offerUndo(app, say("{name} can open this tablet now.", { name }), () =>
      tablet.turn(() => device.dismiss(cadre.author)),
    );
}

async function dismiss(app, cadre) {
  const { device, tablet } = app;
  await tablet.turn(() => device.dismiss(cadre.author));
  app.draw();
  offerUndo(app, say("{name} cannot open this tablet any more.", { name: cadre.name }), () =>
    tablet.turn(() => device.note({ cadres: [...device.cadres, cadre] })),
  );
}
