// A child's aid: what was promised and what was delivered; records a delivery in a few taps, offline.

import { choice, field, h, notice, refill } from "../parts/dom.js";
import { failure } from "../parts/save_failure.js";
import { newId } from "../sync/bytes.js";
import { dayWords, later, message, say } from "../words/words.js";

/** Menus and funds by their codes (docs/protocol.md, registers of a delivery). */
const MENUS = {
  food: later("Food"),
  insurance: later("Health insurance"),
  counselling: later("Counselling"),
  latrine: later("Latrine"),
  water: later("Clean water"),
  housing: later("Decent housing"),
  other: later("Other"),
};
const FUNDS = {
  genting: later("Genting"),
  csr: later("A company's CSR"),
  village: later("Village fund"),
  dak: later("State PMT (DAK)"),
  apbd: later("State PMT (APBD)"),
  partner: later("Another partner"),
};
const LONG = { kind: "choice long" };
const words = (table, code) => (table[code] ? message(table[code]) : code || "?");
const options = (table) => Object.keys(table).map((code) => [code, words(table, code)]);

/** @param {import("../app.js").OpenApp} app @param {string} id */
export function aid(app, id) {
  const one = app.model.child(id);
  const message = h("div", { "aria-live": "polite" });
  const save = async (delivery, set) => {
    try {
      const form = await app.tablet.replica.open("delivery", { child: id, delivery });
      await app.tablet.write(form, set);
      app.saved();
      app.draw();
    } catch (error) {
      refill(message, notice("bad", say("NOT saved: "), failure(error)));
    }
  };
  const body = [
    message,
    one.aid.length
      ? one.aid.map((each) => card(app, each, save))
      : h("p", { class: "empty" }, say("No social aid is recorded yet.")),
    fresh(app, save),
  ];
  return { title: `${say("Social aid")}: ${one.name || say("(no name)")}`, body, back: `#/anak/${id}` };
}

function card(app, { delivery, menu, funds, starts_on, ends_on, delivered, note }, save) {
  const until = ends_on ? ` – ${dayWords(ends_on)}` : "";
  const given = delivered
    ? h("p", {}, h("b", {}, say("Given ")), delivered.given_on ? dayWords(delivered.given_on) : "")
    : [
        h("p", {}, say("Promised, not given yet")),
        h(
          "button",
          { class: "main", onclick: () => save(delivery, { delivered: { given_on: app.day } }) },
          say("It was given today"),
        ),
      ];
  return h(
    "section",
    { class: delivered ? "card" : "card look" },
    h("h2", {}, `${words(MENUS, menu)} · ${words(FUNDS, funds)}`),
    h("p", { class: "hint" }, starts_on ? dayWords(starts_on) : "", until),
    given,
    note ? h("p", {}, note) : null,
  );
}

/** The form for an aid that was not promised before: what, from whom, for whom. */
function fresh(app, save) {
  const held = { menu: null, funds: null, reaches: "child" };
  const message = h("div", {});
  const note = h("textarea", { rows: "2", maxlength: "500" });
  const press = () => {
    if (!held.menu || !held.funds) {
      refill(message, notice("bad", say("Choose what was given and who paid.")));
      return;
    }
    const text = note.value.trim();
    const set = {
      aid: { ...held, starts_on: app.day, ends_on: null },
      delivered: { given_on: app.day },
      ...(text ? { note: { text } } : {}),
    };
    save(newId(), set);
  };
  return h(
    "details",
    {},
    h("summary", {}, say("Record social aid that was given today")),
    choice(say("What was given?"), options(MENUS), null, (code) => (held.menu = code), LONG),
    choice(say("Who paid?"), options(FUNDS), null, (code) => (held.funds = code), LONG),
    choice(
      say("For whom?"),
      [
        ["child", say("This child")],
        ["family", say("Its family")],
      ],
      "child",
      (code) => (held.reaches = code),
    ),
    field(say("Note"), note),
    message,
    h("button", { class: "main", onclick: press }, say("Save the aid")),
  );
}
