// The measuring form: values are checked while they are typed, and saved. Only values that no record can hold are refused.

import { usualPosition } from "../growth/value_checks.js";
import { choice, field, h, notice, refill } from "../parts/dom.js";
import { draftKey } from "../parts/drafts.js";
import { FIGURES, toText, toUnits } from "../parts/figures.js";
import { failure } from "../parts/save_failure.js";
import { pad } from "../parts/pad.js";
import { healthServices } from "../parts/health_services.js";
import { answersTo, NOTE_ROOM, openQuestions, questionsOf, settled } from "../parts/value_questions.js";
import { verdict } from "../parts/verdict.js";
import { equal } from "../sync/bytes.js";
import { siblings, value } from "../sync/states.js";
import { ageWords, cm, dayWords, kg, message, say, sayIn, sexWord } from "../words/words.js";

const oedema = () => [
  ["n", say("No")],
  ["1", "+"],
  ["2", "++"],
  ["3", "+++"],
];

/** @param {import("../app.js").OpenApp} app @param {string} id of the child @param {string} [on] day, today's if left out */
export async function measure(app, id, on = app.day) {
  const child = app.model.child(id);
  const form = await app.tablet.replica.open("measurement", { child: id, measured_on: on, source: "cadre" });
  const state = app.tablet.replica.view(form);
  const place = draftKey.measurement(id, on);
  const draft = app.drafts.begin(place, form, blank(child, state, on));
  const feedback = h("div", { class: "live-feedback", "aria-live": "polite" });
  const inputs = Object.keys(FIGURES).map((name) =>
    h("input", {
      name,
      type: "text",
      value: draft.text[name],
    }),
  );
  const changed = () => {
    for (const input of inputs) {
      draft.text[input.name] = input.value;
      draft.figures[input.name] = toUnits(input.value, FIGURES[input.name].digits);
    }
    look();
    app.drafts.keep(place, form, draft);
  };
  const save = h("button", { type: "button", class: "main save", onclick: () => saveIt() }, say("Save"));
  const look = () => {
    const found = openQuestions(app, child, draft, on);
    save.disabled = found.some(({ severity }) => severity === "refused");
    const sound = measured(
      draft.figures,
      found.filter(({ severity }) => severity === "refused").map((one) => one.field),
    );
    refill(
      feedback,
      questionsOf(found, answersTo(draft, inputs, changed)),
      verdict(app, child, { on, source: "cadre", ...sound }),
    );
  };
  const saveIt = async () => {
    const set = registers(settled(draft), state);
    if (!Object.keys(set).length) {
      refill(feedback, notice("look", say("Nothing was filled in yet.")));
      return;
    }
    save.disabled = true;
    try {
      await app.drafts.write(place, form, set);
    } catch (error) {
      save.disabled = false;
      refill(feedback, notice("bad", say("NOT saved: "), failure(error)));
      feedback.scrollIntoView({ block: "center" }); // clear of the pad
      return;
    }
    app.saved();
    app.go(`#/hasil/${id}/${on}`);
  };
  look();
  const body = [
    before(app, child, on),
    h(
      "form",
      { class: "figures", onsubmit: (event) => event.preventDefault() },
      inputs.map((input) => line(input, draft, child, on, changed)),
    ),
    feedback,
    state && state.set.weight ? already(on) : null,
    choice(
      say("Oedema on both feet"),
      oedema(),
      draft.figures.oedema,
      (code) => {
        draft.figures.oedema = code;
        changed();
      },
      { none: true },
    ),
    healthServices(child, on, draft, changed),
    field(
      say("Note"),
      h("textarea", {
        rows: "2",
        maxlength: String(500 - NOTE_ROOM),
        value: draft.note,
        oninput: (event) => {
          draft.note = event.target.value;
          changed();
        },
      }),
    ),
    pad(inputs, changed, save),
  ];
  return {
    title: child.name || say("(no name)"),
    tab: say("Measure"),
    body,
    back: `#/anak/${id}`,
    bare: true,
  };
}

const BLANK = { weight_g: null, oedema: null, length_mm: null, position: null, muac_mm: null, head_mm: null };

/** The form before anything is typed: the record's values. */
function blank(child, state, on) {
  const figures = {
    ...BLANK,
    ...Object.assign({}, ...["weight", "length", "muac", "head"].map((name) => value(state, name))),
  };
  if (!figures.position) figures.position = usualPosition(child, on);
  const texts = Object.entries(FIGURES).map(([name, { digits }]) => [name, toText(figures[name], digits)]);
  const note = value(state, "note").text || "";
  return { figures, text: Object.fromEntries(texts), services: { ...value(state, "services") }, note };
}

/** The figures to check; those that cannot be read or would be refused count as missing. */
const measured = (figures, refused = []) =>
  Object.fromEntries(
    Object.entries(figures).map(([name, held]) => [name, held === undefined || refused.includes(name) ? null : held]),
  );

/** A measure's field: name, last value and input; for the length also the position. */
function line(input, draft, child, on, changed) {
  const { name, unit } = FIGURES[input.name];
  const label = input.name === "length_mm" ? lengthWord(draft.figures.position) : message(name);
  const last = [...child.measurements].reverse().find((one) => one.on < on && one[input.name] !== null);
  const hint = last ? say("last ") + (unit === "kg" ? kg(last[input.name]) : cm(last[input.name])) : null;
  const named = field(`${label} (${unit})`, input, hint);
  if (input.name !== "length_mm") return named;
  const options = [
    ["lying", say("Lying")],
    ["standing", say("Standing")],
  ];
  return [
    named,
    choice(say("How it was measured"), options, draft.figures.position, (position) => {
      draft.figures.position = position;
      /** @type {Element} */ (named.querySelector("label")).textContent = `${lengthWord(position)} (${unit})`;
      changed();
    }),
  ];
}

const lengthWord = (position) => (position === "lying" ? sayIn("lying", "Length") : say("Height"));

function before(app, child, on) {
  const words = `${ageWords(child.born_on, on)} · ${sexWord(child.sex)} · ${dayWords(on)}`;
  return h("p", { class: "hint" }, words, " · ", h("a", { href: "#/bantuan" }, say("how to measure")));
}

const already = (on) =>
  notice("calm", say("Measured on {day} already. Changing a figure corrects that record.", { day: dayWords(on) }));

/** The registers that differ from the stored ones, complete. Where two values conflict, the typed one resolves it.
 * @returns {object} */
function registers({ figures, services: given, note }, state) {
  const wanted = {
    weight: { weight_g: figures.weight_g, oedema: figures.oedema },
    length: { length_mm: figures.length_mm, position: figures.length_mm === null ? null : figures.position },
    muac: { muac_mm: figures.muac_mm },
    head: { head_mm: figures.head_mm },
    services: given,
  };
  if (note.trim()) wanted.note = { text: note.trim() };
  const says = (register) => Object.values(register).some((held) => held !== null && held !== undefined);
  const differs = ([name, register]) => {
    const held = siblings(state, name);
    if (held.length === 1) return !equal(held[0].value, register) && (says(register) || name !== "weight");
    return says(register);
  };
  return Object.fromEntries(Object.entries(wanted).filter(differs));
}
