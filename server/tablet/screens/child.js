// A child on one page: status, KMS, measurements, questions and tasks.

import { h } from "../parts/dom.js";
import { openQuestions } from "../parts/open_questions.js";
import { scheduleWords } from "../parts/services_due.js";
import { unsavedForms } from "../parts/unsaved.js";
import { verdictOf } from "../parts/verdict.js";
import { marks } from "../parts/child_status.js";
import { chart, lengths } from "./result.js";
import { value } from "../sync/states.js";
import { ageWords, cm, dayWords, decimal, kg, later, message, motherWords, say, sexWord } from "../words/words.js";

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
      `${ageWords(one.born_on, app.day)} · ${sexWord(one.sex)}`,
      waiting && !app.isPractice ? h("b", { class: "unsent" }, ` · ${say("not sent yet")}`) : null,
    ),
    h(
      "div",
      { class: "actions still" },
      h("a", { class: "button main", href: `#/ukur/${id}` }, say("Measure")),
      h("a", { class: "button", href: `#/ubah/${id}` }, say("Edit")),
      h("a", { class: "button", href: `#/bantuan-anak/${id}` }, aidWords(one)),
      h("a", { class: "button", href: `#/jadwal/${id}` }, scheduleWords(app, one)),
    ),
    h(
      "div",
      { class: "split" },
      h(
        "div",
        {},
        unsavedForms(app, id),
        openQuestions(app, one),
        one.measurements.length ? verdictOf(app, one, assessment) : null,
        measurements(app, one, assessment),
      ),
      h("div", {}, chart(app, one, assessment), lengths(app, one, assessment), about(one)),
    ),
  ];
  const born = one.born_on ? `${say("born")} ${dayWords(one.born_on)}` : say("birth date not known");
  const words = [one.mother && motherWords(one.mother), born].filter(Boolean).join(" · ");
  const title = one.name || say("(no name)");
  return { title, tab: say("Child"), about: h("p", {}, words), body, back: "#/hari-ini", wide: true };
}

/** How many aids a child has, or how many were promised and not delivered. */
function aidWords({ aid }) {
  const waiting = aid.filter(({ delivered }) => !delivered).length;
  if (waiting) return say("Social aid ({waiting} not given yet)", { waiting });
  return aid.length ? say("Social aid ({count})", { count: aid.length }) : say("Social aid");
}

const SHORT = { day: "numeric", month: "short", year: "2-digit" };
const POSITIONS = { lying: later("lying"), standing: later("standing") };

/** Every visit, the newest first. The gain stands beside the weight that it is of, so that it is in sight on a narrow screen.
 * @param {import("../app.js").OpenApp} app */
function measurements(app, one, { visits }) {
  if (!visits.length) return h("p", { class: "empty" }, say("Not measured yet."));
  const figures = [say("Weight (kg)"), "N/T", say("Length (cm)"), say("Arm (cm)")];
  return h(
    "section",
    {},
    h("h2", {}, say("Measurements")),
    h(
      "table",
      { class: "visits" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          [say("Day"), ...figures].map((words) => h("th", { scope: "col" }, words)),
        ),
      ),
      h(
        "tbody",
        {},
        [...visits].reverse().map((visit) => visitRow(one, visit, figures)),
      ),
    ),
  );
}

function visitRow(one, { on, source, measurement: taken, gain }, names) {
  const day = dayWords(on, SHORT);
  const mine = source === "cadre";
  const position = taken.length_mm && POSITIONS[taken.position];
  const held = [
    figure(taken.weight_g, 1000, 3),
    h("b", {}, gain.code || "–"),
    [figure(taken.length_mm, 10, 1), position ? h("small", {}, message(position)) : null],
    figure(taken.muac_mm, 10, 1),
  ];
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, mine ? h("a", { href: `#/ukur/${one.id}/${on}` }, day) : day, mine ? null : staff()),
    held.map((cell, at) => h("td", { "data-name": names[at] }, cell)),
  );
}

const staff = () => h("small", {}, say("health centre"));

const figure = (held, unit, most) => (held === null || held === undefined ? "–" : decimal(held / unit, 1, most));

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
