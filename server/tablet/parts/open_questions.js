// Questions about a child that a cadre can answer: tasks of the health centre, conflicting values, changes in quarantine, and
// records that one person removed while another changed them.

import { cm, dayWords, kg, later, laterIn, message, say } from "../words/words.js";
import { siblings } from "../sync/states.js";
import { choice, field, h, notice, refill } from "./dom.js";

/** Actions of follow-ups, and what may come of each on a tablet (docs/protocol.md, registers of a follow-up). */
const ACTIONS = {
  take: later("The health centre has charge of this child"),
  remeasure: later("Measure again"),
  refer_puskesmas: later("Bring to the health centre"),
  refer_hospital: later("Referred to hospital"),
  pmt: later("Supplementary feeding (PMT)"),
  pmt_week: later("Check this week's PMT"),
  home_visit: later("Home visit"),
  counsel: later("Counsel the mother"),
  ask: later("Ask the family"),
};
const OUTCOMES = {
  done: laterIn("outcome", "Done"),
  not_reached: later("Not reached"),
  refused: later("The family refused"),
  better: later("Better"),
  same: later("The same"),
  worse: later("Worse"),
};
const OFFERED = { pmt_week: ["better", "same", "worse", "not_reached", "refused"] };
const USUAL = ["done", "not_reached", "refused"];
const WORK_OF_STAFF = ["take", "pmt"];

/** Everything asked about a child. @param {import("../app.js").OpenApp} app @param {object} child */
export function openQuestions(app, child) {
  const tasks = app.model.openTasks(child, app.tablet.cadre.author).map((task) => taskCard(app, child, task));
  const disputes = app.model.disputes(child).map((one) => disputeCard(app, child, one));
  const aside = app.tablet.replica.inQuestion().filter(({ change }) => (change.key.child || change.id) === child.id);
  return [...tasks, ...disputes, ...aside.map((entry) => asideCard(child, entry))];
}

// -- tasks -----------------------------------------------------------------------------------------

function taskCard(app, child, task) {
  const card = h("section", { class: "card look" });
  const due = task.due_on ? h("p", { class: "hint" }, `${say("At the latest")} ${dayWords(task.due_on)}`) : null;
  const rule = task.reason ? app.tables.rules[task.reason] : null;
  const title = ACTIONS[task.action] ? message(ACTIONS[task.action]) : task.action;
  const intro = [
    h("h2", {}, say("From the health centre: "), title),
    rule ? h("p", {}, message(rule)) : null,
    task.note ? h("p", {}, task.note) : null,
    due,
  ];
  const remeasure =
    task.action === "remeasure"
      ? h("a", { class: "button main", href: `#/ukur/${child.id}` }, say("Measure now"))
      : null;
  if (WORK_OF_STAFF.includes(task.action)) return refill(card, intro);
  return refill(
    card,
    intro,
    h(
      "div",
      { class: "actions still" },
      remeasure,
      h("button", { onclick: () => refill(card, intro, taskForm(app, child, task)) }, say("Answer")),
    ),
  );
}

function taskForm(app, child, task) {
  const offered = OFFERED[task.action] || USUAL;
  let outcome = offered[0];
  let days = null;
  const note = h("textarea", { rows: "2", maxlength: "500" });
  const opened = app.tablet.replica.open("follow_up", { child: child.id, task: task.task });
  const eaten =
    task.action === "pmt_week"
      ? choice(
          say("On how many days was the food eaten?"),
          [...Array(8).keys()].map((day) => [day, String(day)]),
          null,
          (chosen) => (days = chosen),
          { none: true },
        )
      : null;
  const feedback = h("div", {});
  const save = async () => {
    const result = { done_on: app.day, outcome, ...(days === null ? {} : { days_eaten: days }) };
    const set = { result, ...(note.value.trim() ? { note: { text: note.value.trim() } } : {}) };
    await written(app, await opened, set, feedback);
  };
  return [
    choice(
      say("What came of it?"),
      offered.map((code) => [code, message(OUTCOMES[code])]),
      outcome,
      (code) => (outcome = code),
    ),
    eaten,
    field(say("Note"), note),
    feedback,
    h("button", { class: "main", onclick: save }, say("Save the answer")),
  ];
}

/** Save an answer and draw the screen again. */
async function written(app, form, set, place) {
  try {
    await app.tablet.write(form, set);
    app.saved();
    app.draw();
  } catch (error) {
    refill(place, notice("bad", say("NOT saved: "), String(error)));
  }
}

// -- conflicts ---------------------------------------------------------------------------------------

const REGISTERS = {
  identity: later("Name, sex, birth date"),
  nik: later("NIK"),
  parents: later("Parents"),
  home: later("Address"),
  post: later("Post"),
  birth: later("Birth"),
  books: later("Books"),
  family: later("Family at risk"),
  consent: later("Consent"),
  same_as: later("The same child"),
  book_doses: later("Vaccines given elsewhere"),
  doses: later("Vaccines given"),
  extra: later("In other systems"),
  removed: later("Removal"),
  weight: laterIn("body", "Weight"),
  length: later("Length/height"),
  muac: later("Arm"),
  head: later("Head"),
  services: later("Services"),
  note: later("Note"),
  task: later("Task"),
  result: later("Result"),
  aid: later("Aid"),
  delivered: later("Aid given"),
  evidence: later("Evidence"),
  verified: later("Verification"),
};

/** The name of a register; that of a newer server is shown as it is. @param {string} register */
const named = (register) => (REGISTERS[register] ? message(REGISTERS[register]) : register);

function disputeCard(app, child, { kind, place, state, registers }) {
  const feedback = h("div", {});
  const key = keyOf(kind, child.id, place);
  const opened = app.tablet.replica.open(kind, key, kind === "child" ? child.id : undefined);
  const use = (register, value) => async () => written(app, await opened, { [register]: value }, feedback);
  const when = kind === "measurement" ? ` · ${dayWords(place.split("/")[0])}` : "";
  const values = registers.map((register) => [
    h("h3", {}, named(register)),
    siblings(state, register).map(({ value, dots }) =>
      h(
        "div",
        { class: "value" },
        h("span", {}, valueWords(register, value)),
        h("span", { class: "hint" }, whose(app, dots)),
        h("button", { onclick: use(register, value) }, say("This one is right")),
      ),
    ),
  ]);
  const contested =
    state.removal_contested && !registers.includes("removed")
      ? [
          h("p", {}, say("Somebody removed this, somebody else changed it.")),
          h("button", { onclick: use("removed", { reason: null }) }, say("Keep it")),
        ]
      : null;
  return h(
    "section",
    { class: "card look" },
    h("h2", {}, say("Recorded differently by two tablets"), when),
    values,
    contested,
    h("p", { class: "hint" }, say("The other value stays in the history. The health centre may decide, too.")),
    feedback,
  );
}

function keyOf(kind, child, place) {
  const [measured_on, source] = place.split("/");
  return {
    child: {},
    measurement: { child, measured_on, source },
    follow_up: { child, task: place },
    delivery: { child, delivery: place },
  }[kind];
}

const whose = (app, dots) =>
  (dots || []).some(([actor]) => actor === app.tablet.replica.facts.tablet)
    ? say("written on this tablet")
    : say("written elsewhere");

/** A register's value in words. @param {string} register @param {object} value */
export function valueWords(register, value) {
  const { weight_g, oedema, length_mm, position, muac_mm, head_mm } = value;
  if (register === "weight")
    return [kg(weight_g), oedema && oedema !== "n" ? say(" oedema {oedema}", { oedema }) : ""].join("");
  if (register === "length")
    return `${cm(length_mm)} ${position === "lying" ? say("lying") : position === "standing" ? say("standing") : ""}`;
  if (register === "muac") return cm(muac_mm);
  if (register === "head") return cm(head_mm);
  if (register === "identity")
    return `${value.name}, ${value.sex === "F" ? "P" : value.sex === "M" ? "L" : "?"}, ${dayWords(value.born_on)}`;
  if (register === "doses") return Object.keys(value.given).sort().join(", ") || "–";
  if (register === "book_doses")
    return (
      Object.entries(value.given)
        .map(([code, day]) => `${code} ${dayWords(day)}`)
        .join(", ") || "–"
    );
  if (register === "extra")
    return (
      Object.entries(value.ids)
        .map((pair) => pair.join(" "))
        .join(", ") || "–"
    );
  if (register === "removed") return value.reason ? `${say("removed: ")}${value.reason}` : say("kept");
  return (
    Object.entries(value)
      .filter(([, held]) => held !== null && held !== "")
      .map(([, held]) => (held === true ? say("yes") : held === false ? say("no") : String(held)))
      .join(", ") || "–"
  );
}

// -- quarantine --------------------------------------------------------------------------------------

/** @param {object} child @param {import("../sync/replica.js").Entry} entry */
function asideCard(child, { change, reasons }) {
  const mend =
    change.kind === "measurement"
      ? `#/ukur/${child.id}/${change.key.measured_on}`
      : `#/ubah/${change.kind === "child" ? change.id : child.id}`;
  const words = Object.entries(change.set).map(([register, value]) =>
    h(
      "p",
      {},
      h("b", {}, named(register)),
      " ",
      valueWords(register, value),
    ),
  );
  return h(
    "section",
    { class: "card bad" },
    h("h2", {}, say("Set aside by the server; to be corrected")),
    words,
    h(
      "ul",
      {},
      (reasons || []).map((reason) => h("li", {}, message(reason))),
    ),
    h("a", { class: "button main", href: mend }, say("Correct")),
  );
}
