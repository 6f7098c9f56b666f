// The measuring form: values are checked while they are typed, and saved. Only values that no record can hold are refused.

import { impliedDecimals } from "../growth/implied_comma.js";
import { usualPosition } from "../growth/value_checks.js";
import { latestDay, notYetCome } from "../parts/days.js";
import { docked } from "../parts/dock.js";
import { choice, field, h, notice } from "../parts/dom.js";
import { draftKey } from "../parts/drafts.js";
import { FIGURES, toText, toUnits } from "../parts/figures.js";
import { healthServices } from "../parts/health_services.js";
import { changesTo, recorded, registers, registersOf, saysNothing } from "../parts/measurement_changes.js";
import { measuringStrip } from "../parts/measuring_strip.js";
import { pad } from "../parts/pad.js";
import { removalOf } from "../parts/remove_measurement.js";
import { failure } from "../parts/save_failure.js";
import { saveWithUndo } from "../parts/undo.js";
import { answersTo, NOTE_ROOM, openQuestions, questionsOf, settled } from "../parts/value_questions.js";
import { heldRegisters } from "../parts/wrong_day.js";
import { siblings } from "../sync/states.js";
import { ageWords, cm, dayWords, kg, message, motherWords, say, sayIn, sexWord } from "../words/words.js";

/** @typedef {import("../growth/assess.js").Measurement} Measurement */

const oedema = () => [
  ["n", say("No")],
  ["1", "+"],
  ["2", "++"],
  ["3", "+++"],
];

/** @param {import("../app.js").OpenApp} app @param {string} id of the child @param {string} [on] day, today's if left out */
export async function measure(app, id, on = app.day) {
  const child = app.model.child(id);
  const shown = { title: child.name || say("(no name)"), tab: say("Measure"), about: about(child, on), back: `#/anak/${id}` };
  if (on > latestDay(app)) return { ...shown, body: tooEarly(on) };
  const form = await app.tablet.replica.open("measurement", { child: id, measured_on: on, source: "cadre" });
  const state = app.tablet.replica.view(form);
  const draft = app.drafts.begin(draftKey.measurement(id, on), form, blank(app, child, form));
  const measuring = new Measuring(app, child, form, state, draft);
  return { ...shown, body: measuring.body(), bare: true };
}

class Measuring {
  /** @param {import("../app.js").OpenApp} app @param {import("../parts/model.js").Child} child
   * @param {import("../sync/replica.js").Form} form @param {object|null} state of the record @param {any} draft */
  constructor(app, child, form, state, draft) {
    this.app = app;
    this.child = child;
    this.form = form;
    this.state = state;
    this.draft = draft;
    this.on = form.key.measured_on;
    this.place = draftKey.measurement(child.id, this.on);
    this.inputs = Object.keys(FIGURES).map((name) => h("input", { name, type: "text", value: draft.text[name] }));
    const answers = answersTo(draft, this.inputs, () => this.changed());
    this.strip = measuringStrip(app, child, (found) => questionsOf(found, answers));
    this.removal = removalOf(app, form, this.strip);
    this.isSaving = false;
  }

  body() {
    const { app, child, draft, inputs, on } = this;
    const changed = () => this.changed();
    const save = h("button", { type: "button", class: "main save", onclick: () => this.save() }, say("Save"));
    const decimals = (name, digits) => impliedDecimals(app.tables, child, on, name, digits);
    const dock = docked(h("div", { class: "dock" }, this.strip.element, pad(inputs, { changed, save, decimals })));
    const services = healthServices(app, child, on, draft, changed);
    this.look();
    const lines = inputs.map((input) => line(input, draft, child, on, changed));
    const sheet = [
      before(this.state, on),
      h("form", { class: "figures", onsubmit: (event) => event.preventDefault() }, lines),
      services.chips,
      swelling(draft, changed),
      services.list,
      note(draft, changed, dock),
      this.removal.element,
    ];
    return [h("div", { class: "sheet" }, sheet), dock];
  }

  changed() {
    for (const { name, value } of this.inputs) {
      this.draft.text[name] = value;
      this.draft.figures[name] = toUnits(value, FIGURES[name].digits);
    }
    this.app.drafts.keep(this.place, this.form, this.draft);
    this.look();
  }

  /** Ask about the values and show the verdict; give the questions that refuse saving. */
  look() {
    const found = openQuestions(this.app, this.child, this.draft, this.on);
    const refused = found.filter(({ severity }) => severity === "refused");
    const fields = refused.map((one) => one.field);
    this.strip.show(found, typed(this.draft.figures, this.on, fields));
    return refused;
  }

  async save() {
    const [refused] = this.look();
    if (this.isSaving || refused) return focus(this.inputs, refused);
    const wanted = registers(settled(this.draft));
    const set = changesTo(wanted, this.state);
    const isChanged = Object.keys(set).length > 0;
    if (saysNothing(wanted)) return isChanged ? this.removal.ask() : this.strip.tell(nothing());
    if (!isChanged) return this.done();
    const settles = Object.keys(set).some((name) => siblings(this.state, name).length > 1);
    return settles ? this.strip.tell(settling(() => this.write(set))) : this.write(set);
  }

  async write(set) {
    const { app, child, form, on } = this;
    const words = say("Saved: {name}", { name: child.name || say("(no name)") });
    this.isSaving = true;
    try {
      await saveWithUndo(app, [{ form, set }], words, { then: `#/ukur/${child.id}/${on}`, draft: this.place });
      this.done();
    } catch (error) {
      this.isSaving = false;
      this.strip.tell(notice("bad", say("NOT saved: "), failure(error)));
    }
  }

  done() {
    this.app.go(`#/hasil/${this.child.id}/${this.on}`);
  }
}

/** What was written differently by two cannot come back once one value stands, so it is asked about. */
const settling = (save) =>
  notice(
    "look",
    h("p", {}, say("Two people recorded this visit differently. What you save now counts for everybody, and cannot be undone.")),
    h("button", { type: "button", onclick: save }, say("Yes, use this")),
  );

const nothing = () => notice("look", say("Nothing was filled in yet."));

/** Who is being measured, in sight all the time. */
function about(child, on) {
  const born = child.born_on && `${say("born")} ${dayWords(child.born_on, SHORT_DAY)}`;
  const facts = [child.mother && motherWords(child.mother), sexWord(child.sex), born, ageWords(child.born_on, on)];
  return h("p", { class: "about" }, facts.filter(Boolean).join(" · "));
}

const SHORT_DAY = { day: "numeric", month: "short", year: "numeric" };

const tooEarly = (on) => [
  notice("bad", h("p", {}, notYetCome(on))),
  h("a", { class: "button", href: "#/hari-ini" }, say("Change the day on the list")),
  h("a", { class: "button", href: `#/ubah-tanggal/${on}` }, say("Records have a wrong date")),
];

/** The form before anything is typed: the record's values, or those that the server set aside. */
function blank(app, child, form) {
  const values = recorded(heldRegisters(app.tablet.replica, form));
  const { figures } = values;
  if (figures.length_mm === null) figures.position = usualPosition(child, form.key.measured_on);
  const text = Object.entries(FIGURES).map(([name, { digits }]) => [name, toText(figures[name], digits)]);
  return { ...values, text: Object.fromEntries(text) };
}

/** The figures to check, as a measurement; those that cannot be read or would be refused count as missing.
 * @returns {Measurement} */
function typed(figures, on, refused = []) {
  const sound = Object.entries(figures).map(([name, held]) => [
    name,
    held === undefined || refused.includes(name) ? null : held,
  ]);
  return /** @type {any} */ ({ on, source: "cadre", ...Object.fromEntries(sound) });
}

/** Go to the field that cannot be saved. */
function focus(inputs, refused) {
  const input = refused && inputs.find(({ name }) => name === refused.field);
  if (input) input.focus();
}

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

/** The day that is recorded, and whether something is recorded of it. */
function before(state, on) {
  const isRecorded = Object.keys(registersOf(state)).length > 0;
  const day = isRecorded
    ? say("Measured on {day} already. Changing a figure corrects that record.", { day: dayWords(on) })
    : say("Date: {day}", { day: dayWords(on, SHORT_DAY) });
  return h("p", { class: "hint" }, day, " · ", h("a", { href: "#/bantuan" }, say("how to measure")));
}

function swelling(draft, changed) {
  const choose = (code) => {
    draft.figures.oedema = code;
    changed();
  };
  return choice(say("Oedema on both feet"), oedema(), draft.figures.oedema, choose, { none: true });
}

/** While a note is written, the device's own keyboard takes the place of the digits. */
function note(draft, changed, dock) {
  const text = h("textarea", {
    rows: "2",
    maxlength: String(500 - NOTE_ROOM),
    value: draft.note,
    onfocus: () => dock.classList.add("writing"),
    onblur: () => dock.classList.remove("writing"),
    oninput: () => {
      draft.note = text.value;
      changed();
    },
  });
  return field(say("Note"), text);
}
