// A child's calendar: vaccines, vitamin A, deworming and KPSP that are overdue, due, later or given; doses are recorded here.

import { h, notice } from "../parts/dom.js";
import { draftKey } from "../parts/drafts.js";
import { changesTo, registersOf } from "../parts/measurement_changes.js";
import { failure } from "../parts/save_failure.js";
import { calendar, dosesIn, nameOf } from "../parts/services_due.js";
import { ageWords, dayWords, later, message, say } from "../words/words.js";

/** @type {Array<[states: string[], title: import("../growth/text.js").Text, open: boolean]>} */
const GROUPS = [
  [["overdue"], later("Overdue"), true],
  [["due"], later("Due now"), true],
  [["given"], later("Given already"), true],
  [["later"], later("Not yet"), false],
  [["missed", "unrecorded"], later("No longer given"), false],
];

const SHORT = { day: "numeric", month: "short", year: "numeric" };
const words = (day) => dayWords(day, SHORT);

/** @param {import("../app.js").OpenApp} app @param {string} id of the child */
export async function schedule(app, id) {
  const child = app.model.child(id);
  const items = calendar(app.tables.schedule, child, app.day);
  const body = [
    h("p", { class: "hint" }, say("What is due on {day}, at {age}.", { day: words(app.day), age: ageWords(child.born_on, app.day) })),
    items.length ? null : notice("look", h("p", {}, say("Without a birth date there is no schedule."))),
    GROUPS.map(([states, title, open]) =>
      group(
        app,
        child,
        title,
        items.filter(({ state }) => states.includes(state)),
        open,
      ),
    ),
    await bookForm(app, child),
    h(
      "p",
      { class: "fine" },
      say("The health worker who vaccinates decides. Schedule {version}.", { version: app.tables.schedule.version }),
    ),
  ];
  return { title: child.name || say("(no name)"), tab: say("Schedule"), body, back: `#/anak/${id}` };
}

function group(app, child, title, items, open) {
  if (!items.length) return null;
  const list = h(
    "ul",
    { class: "schedule" },
    items.map((item) => row(app, child, item)),
  );
  const heading = `${message(title)} (${items.length})`;
  if (open) return h("section", {}, h("h2", {}, heading), list);
  return h("details", {}, h("summary", {}, heading), list);
}

function row(app, child, item) {
  const name = message(nameOf(app.tables.schedule, item));
  return h(
    "li",
    { class: item.state },
    h("div", {}, h("strong", {}, name), h("span", {}, when(item))),
    act(app, child, item, name),
  );
}

/** What can be done with a line: a dose is recorded or taken back here, a service in the day's form. */
function act(app, child, item, name) {
  const given = item.state !== "given";
  const open = item.state === "due" || item.state === "overdue";
  if (!open && !(item.state === "given" && item.given_on === app.day && isDose(app, item))) return null;
  if (!isDose(app, item)) return h("a", { class: "button", href: `#/ukur/${child.id}` }, say("Record"));
  const onclick = (event) => record(app, child, item.code, given, event);
  const words = given ? say("Given") : say("Take back");
  return h("button", { type: "button", "aria-label": `${words}: ${name}`, onclick }, words);
}

const isDose = (app, { code }) => app.tables.schedule.doses.some((dose) => dose.code === code);

function when({ state, given_on, from_on }) {
  if (state === "given") return say("given {day}", { day: words(given_on) });
  if (state === "overdue" || state === "due") return say("since {day}", { day: words(from_on) });
  if (state === "later") return from_on ? say("from {day}", { day: words(from_on) }) : say("after the dose before");
  return state === "missed" ? say("too old for it") : say("not recorded");
}

/** Record that a dose was given on the day that is recorded, or take that back: in the cadres' record of the day. */
async function record(app, child, code, given, { currentTarget: button }) {
  button.disabled = true;
  try {
    const key = { child: child.id, measured_on: app.day, source: "cadre" };
    const form = await app.tablet.replica.open("measurement", key);
    const state = app.tablet.replica.view(form);
    const held = registersOf(state); // none of a record that was removed
    const doses = held.doses ? dosesIn(state, "doses") : {};
    if (given) doses[code] = null;
    else delete doses[code];
    await app.tablet.write(form, changesTo({ ...held, doses: { given: doses } }, state));
  } catch (error) {
    button.disabled = false;
    button.closest("li").append(notice("bad", say("NOT saved: "), failure(error)));
    return;
  }
  app.saved();
  app.draw();
}

// -- doses given elsewhere -------------------------------------------------------------------------------

/** Doses that the Buku KIA shows and that were given elsewhere, each with its own day; nothing need be measured then. */
async function bookForm(app, child) {
  const held = dosesIn(child.state, "book_doses");
  const items = calendar(app.tables.schedule, child, app.day);
  const open = new Set(items.filter(({ state }) => state !== "given").map(({ code }) => code));
  const codes = app.tables.schedule.doses.map(({ code }) => code).filter((code) => held[code] || open.has(code));
  if (!codes.length) return null;
  const place = draftKey.book(child.id);
  const form = await app.tablet.replica.open("child", {}, child.id);
  const typed = app.drafts.begin(place, form, held);
  const isBegun = Boolean(app.drafts.get(place));
  const said = h("div", { "aria-live": "polite" });
  const inputs = codes.map((code) =>
    h("input", { type: "date", name: code, value: typed[code] || "", min: child.born_on, max: app.day }),
  );
  for (const input of inputs)
    input.addEventListener("input", () => {
      input.removeAttribute("aria-invalid");
      said.replaceChildren();
      typed[input.name] = input.value;
      if (!input.value && !held[input.name]) delete typed[input.name];
      app.drafts.keep(place, form, typed);
    });
  const save = async (event) => {
    event.preventDefault();
    const wrong = inputs.find((input) => !input.validity.valid);
    if (wrong) {
      wrong.setAttribute("aria-invalid", "true");
      said.replaceChildren(notice("bad", h("p", {}, say("This day is before birth, in the future, or not complete."))));
      wrong.focus();
      return;
    }
    const given = Object.fromEntries(Object.entries(typed).filter(([, day]) => day));
    await keepBook(app, place, form, given, said);
  };
  const fields = inputs.map((input) =>
    h("label", {}, h("span", {}, message(nameOf(app.tables.schedule, { code: input.name }))), input),
  );
  return h(
    "details",
    { class: "book", open: isBegun },
    h("summary", {}, say("Copy from the Buku KIA")),
    h("p", { class: "hint" }, say("Vaccines given at the puskesmas, the hospital or elsewhere: copy the day of each.")),
    h("form", { class: "doses", novalidate: true, onsubmit: save }, fields, said, h("button", { class: "main" }, say("Save"))),
  );
}

async function keepBook(app, place, form, given, said) {
  try {
    await app.drafts.write(place, form, { book_doses: { given } });
  } catch (error) {
    said.replaceChildren(notice("bad", say("NOT saved: "), failure(error)));
    return;
  }
  app.saved();
  app.draw();
}
