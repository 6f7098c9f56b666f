// A child on one page: status, KMS, measurements, questions and tasks.

import { h } from "../parts/dom.js";
import { openQuestions } from "../parts/open_questions.js";
import { scheduleWords } from "../parts/services_due.js";
import { unsavedForms } from "../parts/unsaved.js";
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
      title: say("Not found"),
      body: h("p", {}, say("This child is not at this post any more.")),
      back: "#/hari-ini",
    };
  const assessment = app.model.assessment(one, app.day);
  const { waiting } = marks(app, one);
  const body = [
    h(
      "p",
      { class: "hint" },
      `${ageWords(one.born_on, app.day)} · ${sexWord(one.sex)} · ${say("born")} ${dayWords(one.born_on)}`,
      one.mother ? ` · ${motherWords(one.mother)}` : "",
      waiting && !app.isPractice ? h("b", { class: "unsent" }, ` ● ${say("waiting to be sent")}`) : null,
    ),
    h(
      "div",
      { class: "actions still" },
      h("a", { class: "button main", href: `#/ukur/${id}` }, say("Measure")),
      h("a", { class: "button", href: `#/ubah/${id}` }, say("Edit")),
      h("a", { class: "button", href: `#/bantuan-anak/${id}` }, aidWords(one)),
    ),
    h("a", { class: "button", href: `#/jadwal/${id}` }, scheduleWords(app, one)),
    unsavedForms(app, id),
    openQuestions(app, one),
    one.measurements.length ? verdictOf(app, one, assessment) : null,
    chart(app, one, assessment),
    lengths(app, one, assessment),
    measurements(app, one, assessment),
    about(one),
  ];
  return { title: one.name || say("(no name)"), tab: say("Child"), body, back: "#/hari-ini" };
}

/** How many aids a child has, or how many were promised and not delivered. */
function aidWords({ aid }) {
  const waiting = aid.filter(({ delivered }) => !delivered).length;
  if (waiting) return say("Aid ({waiting} not given yet)", { waiting });
  return aid.length ? say("Aid ({count})", { count: aid.length }) : say("Aid");
}

function measurements(app, one, assessment) {
  if (!one.measurements.length) return h("p", { class: "empty" }, say("Not measured yet."));
  const head = [say("Day"), say("Weight"), say("Length"), "LiLA", "N/T"];
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
            : `${dayWords(on, { day: "numeric", month: "short", year: "2-digit" })} ${say("(health centre)")}`,
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
    h("h2", {}, say("Measurements")),
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
    [say("Father"), parents.father],
    [say("Phone"), parents.phone],
    [say("Address"), [home.address, home.rt && `RT ${home.rt}`, home.rw && `RW ${home.rw}`].filter(Boolean).join(", ")],
    [say("Birth weight"), birth.weight_g && kg(birth.weight_g)],
    [say("Birth length"), birth.length_mm && cm(birth.length_mm)],
    [say("Parents' consent"), consent.given === true ? say("yes") : consent.given === false ? say("no") : null],
  ].filter(([, held]) => held);
  return facts.length
    ? h(
        "section",
        {},
        h("h2", {}, say("About the child")),
        h(
          "dl",
          {},
          facts.map(([name, held]) => [h("dt", {}, name), h("dd", {}, held)]),
        ),
      )
    : null;
}
