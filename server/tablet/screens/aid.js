// A child's aid: what was promised and what was delivered; records a delivery in a few taps, offline.

import { choice, field, h, notice, refill } from "../parts/dom.js";
import { draftKey } from "../parts/drafts.js";
import { markErrors } from "../parts/form_errors.js";
import { FUNDS, MENUS } from "../parts/register_words.js";
import { failure } from "../parts/save_failure.js";
import { offerUndo } from "../parts/undo.js";
import { newId } from "../sync/bytes.js";
import { dayWords, message, say } from "../words/words.js";

const LONG = { kind: "choice long" };
const words = (table, code) => (table[code] ? message(table[code]) : code || "?");
const options = (table) => Object.keys(table).map((code) => [code, words(table, code)]);

/** @param {import("../app.js").OpenApp} app @param {string} id */
export async function aid(app, id) {
  const one = app.model.child(id);
  const body = [
    one.aid.length
      ? one.aid.map((each) => card(app, id, each))
      : h("p", { class: "empty" }, say("No social aid is recorded yet.")),
    await fresh(app, id),
  ];
  return { title: `${say("Social aid")}: ${one.name || say("(no name)")}`, body, back: `#/anak/${id}` };
}

function card(app, id, each) {
  const { menu, funds, starts_on, ends_on, delivered, note } = each;
  const place = h("section", { class: delivered ? "card" : "card look" });
  const until = ends_on ? ` – ${dayWords(ends_on)}` : "";
  const promised = [
    h("p", {}, say("Promised, not given yet")),
    h("button", { class: "main", onclick: () => refill(place, about, asked()) }, say("It was given today")),
  ];
  const about = [
    h("h2", {}, `${words(MENUS, menu)} · ${words(FUNDS, funds)}`),
    h("p", { class: "hint" }, starts_on ? dayWords(starts_on) : "", until),
    note ? h("p", {}, note) : null,
  ];
  const asked = () => givenQuestion(app, id, each, () => refill(place, about, promised));
  return refill(place, about, delivered ? given(delivered) : promised);
}

const given = ({ given_on }) => h("p", {}, h("b", {}, say("Given ")), given_on ? dayWords(given_on) : say("Data differs"));

/** That a promise was kept cannot be taken back, so it is asked once more. */
function givenQuestion(app, id, { delivery, menu }, cancel) {
  const feedback = h("div", {});
  const yes = h("button", { class: "main", onclick: () => save() }, say("Yes, it was given"));
  const save = async () => {
    yes.disabled = true;
    try {
      const form = await app.tablet.replica.open("delivery", { child: id, delivery });
      await app.tablet.write(form, { delivered: { given_on: app.day } });
    } catch (error) {
      yes.disabled = false;
      refill(feedback, notice("bad", say("NOT saved: "), failure(error)));
      return;
    }
    app.saved();
    app.draw();
  };
  const what = words(MENUS, menu);
  return [
    h("p", {}, say("Was this given on {day}: {what}? It cannot be taken back.", { day: dayWords(app.day), what })),
    feedback,
    h("div", { class: "answers" }, yes, h("button", { onclick: cancel }, say("Cancel"))),
  ];
}

/** The form for an aid that was not promised before: what, from whom, for whom. */
async function fresh(app, id) {
  const place = draftKey.aid(id);
  const form = await app.tablet.replica.open("delivery", { child: id, delivery: newId() });
  const blank = { menu: null, funds: null, reaches: "child", note: "" };
  const typed = app.drafts.begin(place, form, blank);
  const put = (name) => (held) => {
    typed[name] = held;
    app.drafts.keep(place, form, typed);
  };
  const feedback = h("div", { "aria-live": "polite" });
  const note = h("textarea", { rows: "2", maxlength: "500", value: typed.note });
  note.addEventListener("input", () => put("note")(note.value));
  const menu = choice(say("What was given?"), options(MENUS), typed.menu, put("menu"), LONG);
  const funds = choice(say("Who paid?"), options(FUNDS), typed.funds, put("funds"), LONG);
  const whom = [
    ["child", say("This child")],
    ["family", say("Its family")],
  ];
  const press = async () => {
    const missing = [
      [typed.menu, menu, say("Choose what was given.")],
      [typed.funds, funds, say("Choose who paid.")],
    ];
    if (markErrors(missing.filter(([held]) => !held).map(([, ...error]) => /** @type {any} */ (error)), [menu, funds])) return;
    button.disabled = true;
    try {
      await save(app, place, form, typed);
    } catch (error) {
      button.disabled = false;
      refill(feedback, notice("bad", say("NOT saved: "), failure(error)));
    }
  };
  const button = h("button", { class: "main", onclick: press }, say("Save the aid"));
  return h(
    "details",
    { open: Boolean(app.drafts.get(place)) },
    h("summary", {}, say("Record social aid that was given today")),
    menu,
    funds,
    choice(say("For whom?"), whom, typed.reaches, put("reaches")),
    field(say("Note"), note),
    feedback,
    button,
  );
}

async function save(app, place, form, { menu, funds, reaches, note }) {
  const set = {
    aid: { menu, funds, reaches, starts_on: app.day, ends_on: null },
    delivered: { given_on: app.day },
    ...(note.trim() ? { note: { text: note.trim() } } : {}),
  };
  await app.drafts.write(place, form, set);
  app.saved();
  app.draw();
  offerUndo(app, say("Aid saved: {what}.", { what: words(MENUS, menu) }), async () => {
    const again = await app.tablet.replica.open("delivery", form.key);
    await app.tablet.write(again, { removed: { reason: say("Undone") } });
    app.saved();
  });
}
