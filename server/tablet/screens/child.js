// A child on one page: how it stands, the KMS, what was measured, what is asked and to be done.

import { h } from "../parts/dom.js";
import { openQuestions } from "../parts/open_questions.js";
import { verdictOf } from "../parts/verdict.js";
import { marks } from "../parts/status_icon.js";
import { chart, lengths } from "./result.js";
import { value } from "../sync/states.js";
import { ageWords, cm, dayWords, kg, motherWords, say, sexWord } from "../words/words.js";

/** @param {import("../app.js").OpenApp} app @param {string} id */
export function child(app, id) {
  const one = app.model.child(id);
  if (!one.state && !one.measurements.length)
    return {
      title: say("Tidak ditemukan", "Not found"),
      body: h("p", {}, say("Anak ini tidak ada lagi di posyandu ini.", "This child is not at this post any more.")),
      back: "#/hari-ini",
    };
  const assessment = app.model.assessment(one, app.day);
  const { waiting } = marks(app, one);
  const body = [
    h(
      "p",
      { class: "hint" },
      `${ageWords(one.born_on, app.day)} · ${sexWord(one.sex)} · ${say("lahir", "born")} ${dayWords(one.born_on)}`,
      one.mother ? ` · ${motherWords(one.mother)}` : "",
      waiting && !app.isPractice
        ? h("b", { class: "unsent" }, ` ● ${say("menunggu dikirim", "waiting to be sent")}`)
        : null,
    ),
    h(
      "div",
      { class: "actions still" },
      h("a", { class: "button main", href: `#/ukur/${id}` }, say("Ukur", "Measure")),
      h("a", { class: "button", href: `#/ubah/${id}` }, say("Ubah data", "Edit")),
      h("a", { class: "button", href: `#/bantuan-anak/${id}` }, aidWords(one)),
    ),
    openQuestions(app, one),
    one.measurements.length ? verdictOf(app, one, assessment, true) : null,
    chart(app, one, assessment),
    lengths(app, one, assessment),
    measurements(app, one, assessment),
    about(one),
  ];
  return { title: one.name || say("(tanpa nama)", "(no name)"), tab: say("Anak", "Child"), body, back: "#/hari-ini" };
}

/** How many aids a child has, and whether one was promised and has not come. */
function aidWords({ aid }) {
  const waiting = aid.filter(({ delivered }) => !delivered).length;
  if (waiting) return say(`Bantuan (${waiting} belum diberikan)`, `Aid (${waiting} not given yet)`);
  return aid.length ? say(`Bantuan (${aid.length})`, `Aid (${aid.length})`) : say("Bantuan", "Aid");
}

function measurements(app, one, assessment) {
  if (!one.measurements.length) return h("p", { class: "empty" }, say("Belum pernah diukur.", "Not measured yet."));
  const head = [say("Tanggal", "Day"), say("Berat", "Weight"), say("Panjang/tinggi", "Length"), "LiLA", "N/T"];
  const rows = [...assessment.visits]
    .reverse()
    .map(({ on, source, measurement: taken, gain }) =>
      h(
        "tr",
        {},
        h(
          "th",
          { scope: "row" },
          source === "cadre"
            ? h(
                "a",
                { href: `#/ukur/${one.id}/${on}` },
                dayWords(on, { day: "numeric", month: "short", year: "2-digit" }),
              )
            : `${dayWords(on, { day: "numeric", month: "short", year: "2-digit" })} ${say("(puskesmas)", "(health centre)")}`,
        ),
        h("td", {}, kg(taken.weight_g)),
        h("td", {}, cm(taken.length_mm)),
        h("td", {}, cm(taken.muac_mm)),
        h("td", {}, gain.code || ""),
      ),
    );
  return h(
    "section",
    {},
    h("h2", {}, say("Riwayat pengukuran", "Measurements")),
    h(
      "div",
      { class: "wide" },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            head.map((words) => h("th", { scope: "col" }, words)),
          ),
        ),
        h("tbody", {}, rows),
      ),
    ),
  );
}

function about({ state }) {
  const nik = value(state, "nik").nik;
  const parents = value(state, "parents");
  const home = value(state, "home");
  const birth = value(state, "birth");
  const consent = value(state, "consent");
  const facts = [
    ["NIK", nik ? `${nik.slice(0, 6)}••••••${nik.slice(-4)}` : null],
    [say("Ayah", "Father"), parents.father],
    [say("Telepon", "Phone"), parents.phone],
    [
      say("Alamat", "Address"),
      [home.address, home.rt && `RT ${home.rt}`, home.rw && `RW ${home.rw}`].filter(Boolean).join(", "),
    ],
    [say("Berat lahir", "Birth weight"), birth.weight_g && kg(birth.weight_g)],
    [say("Panjang lahir", "Birth length"), birth.length_mm && cm(birth.length_mm)],
    [
      say("Persetujuan orang tua", "Parents' consent"),
      consent.given === true ? say("ya", "yes") : consent.given === false ? say("tidak", "no") : null,
    ],
  ].filter(([, held]) => held);
  return facts.length
    ? h(
        "section",
        {},
        h("h2", {}, say("Data anak", "About the child")),
        h(
          "dl",
          {},
          facts.map(([name, held]) => [h("dt", {}, name), h("dd", {}, held)]),
        ),
      )
    : null;
}
