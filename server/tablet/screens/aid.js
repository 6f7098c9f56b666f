// A child's aid: what it was promised, what came; to write down what is brought, in a few taps and without a signal.

import { choice, field, h, notice, refill } from "../parts/dom.js";
import { failure } from "../parts/save_failure.js";
import { newId } from "../sync/bytes.js";
import { dayWords, say } from "../words/words.js";

/** Menus and funds as they travel (docs/protocol.md, registers of a delivery). */
const MENUS = {
  food: ["Makanan tambahan", "Food"],
  insurance: ["Iuran BPJS", "Health insurance"],
  counselling: ["Penyuluhan", "Counselling"],
  latrine: ["Jamban", "Latrine"],
  water: ["Air bersih", "Clean water"],
  housing: ["Rumah layak huni", "Decent housing"],
  other: ["Lainnya", "Other"],
};
const FUNDS = {
  genting: ["Genting", "Genting"],
  csr: ["CSR perusahaan", "A company's CSR"],
  village: ["Dana desa", "Village fund"],
  dak: ["PMT negara (DAK)", "State PMT (DAK)"],
  apbd: ["PMT negara (APBD)", "State PMT (APBD)"],
  partner: ["Mitra lain", "Another partner"],
};
const LONG = { kind: "choice long" };
const words = (table, code) => (table[code] ? say(...table[code]) : code || "?");
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
      refill(message, notice("bad", say("BELUM tersimpan: ", "NOT saved: "), failure(error)));
    }
  };
  const body = [
    message,
    one.aid.length
      ? one.aid.map((each) => card(app, each, save))
      : h("p", { class: "empty" }, say("Belum ada bantuan yang tercatat.", "No aid is written down yet.")),
    fresh(app, save),
  ];
  return { title: `${say("Bantuan", "Aid")}: ${one.name || say("(tanpa nama)", "(no name)")}`, body, back: `#/anak/${id}` };
}

function card(app, { delivery, menu, funds, starts_on, ends_on, delivered, note }, save) {
  const until = ends_on ? ` – ${dayWords(ends_on)}` : "";
  const given = delivered
    ? h("p", {}, h("b", {}, say("Sudah diberikan ", "Given ")), delivered.given_on ? dayWords(delivered.given_on) : "")
    : [
        h("p", {}, say("Dijanjikan, belum diberikan", "Promised, not given yet")),
        h(
          "button",
          { class: "main", onclick: () => save(delivery, { delivered: { given_on: app.day } }) },
          say("Sudah diberikan hari ini", "It was given today"),
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

/** The form of an aid that nobody promised: what, from whom, for whom. */
function fresh(app, save) {
  const held = { menu: null, funds: null, reaches: "child" };
  const message = h("div", {});
  const note = h("textarea", { rows: "2", maxlength: "500" });
  const press = () => {
    if (!held.menu || !held.funds) {
      refill(message, notice("bad", say("Pilih bantuannya dan dari mana.", "Choose what was given and who paid.")));
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
    h("summary", {}, say("Catat bantuan yang diberikan hari ini", "Write down aid that was given today")),
    choice(say("Bantuan apa?", "What was given?"), options(MENUS), null, (code) => (held.menu = code), LONG),
    choice(say("Dari mana?", "Who paid?"), options(FUNDS), null, (code) => (held.funds = code), LONG),
    choice(
      say("Untuk siapa?", "For whom?"),
      [
        ["child", say("Anak ini", "This child")],
        ["family", say("Keluarganya", "Its family")],
      ],
      "child",
      (code) => (held.reaches = code),
    ),
    field(say("Catatan", "Note"), note),
    message,
    h("button", { class: "main", onclick: press }, say("Simpan bantuan", "Save the aid")),
  );
}
