// Questions about a child that a cadre can answer: tasks of the health centre, conflicting values, changes in quarantine, and
// records that one person removed while another changed them.

import { dayWords, later, message, say } from "../words/words.js";
import { conflictCard } from "./conflicts.js";
import { draftKey } from "./drafts.js";
import { choice, field, h, notice, refill } from "./dom.js";
import { OUTCOMES, registerName, valueWords } from "./register_words.js";
import { failure } from "./save_failure.js";
import { addressForWrongDay } from "./wrong_day.js";

/** Actions of follow-ups (docs/protocol.md, registers of a follow-up). */
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
const OFFERED = { pmt_week: ["better", "same", "worse", "not_reached", "refused"] };
const USUAL = ["done", "not_reached", "refused"];
const WORK_OF_STAFF = ["take", "pmt"];

/** Everything asked about a child. @param {import("../app.js").OpenApp} app @param {object} child */
export function openQuestions(app, child) {
  const tasks = app.model.openTasks(child, app.tablet.cadre.author).map((task) => taskCard(app, child, task));
  const disputes = app.model.disputes(child).map((one) => conflictCard(app, child, one));
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
  const opened = app.tablet.replica.open("follow_up", { child: child.id, task: task.task });
  const answer = async () => refill(card, intro, taskForm(app, task, await opened));
  if (app.drafts.get(draftKey.followUp(task.task))) answer();
  return refill(
    card,
    intro,
    h(
      "div",
      { class: "actions still" },
      remeasure,
      h("button", { onclick: answer }, say("Answer")),
    ),
  );
}

function taskForm(app, task, form) {
  const place = draftKey.followUp(task.task);
  const offered = OFFERED[task.action] || USUAL;
  const typed = app.drafts.begin(place, form, { outcome: offered[0], days: null, note: "" });
  const put = (name) => (held) => {
    typed[name] = held;
    app.drafts.keep(place, form, typed);
  };
  const note = h("textarea", { rows: "2", maxlength: "500", value: typed.note });
  note.addEventListener("input", () => put("note")(note.value));
  const days = [...Array(8).keys()].map((day) => [day, String(day)]);
  const last = h("div", {});
  const save = h("button", { class: "main", onclick: () => refill(last, confirmation()) }, say("Save the answer"));
  const confirmation = () => answerQuestion(app, place, form, typed, () => refill(last, save));
  refill(last, save);
  return [
    choice(
      say("What came of it?"),
      offered.map((code) => [code, message(OUTCOMES[code])]),
      typed.outcome,
      put("outcome"),
    ),
    task.action === "pmt_week"
      ? choice(say("On how many days was the food eaten?"), days, typed.days, put("days"), { none: true })
      : null,
    field(say("Note"), note),
    last,
  ];
}

/** An answer cannot be taken back, so it is asked once more. */
function answerQuestion(app, place, form, { outcome, days, note }, cancel) {
  const feedback = h("div", {});
  const yes = h("button", { class: "main", onclick: () => save() }, say("Yes, save"));
  const save = async () => {
    const result = { done_on: app.day, outcome, ...(days === null ? {} : { days_eaten: days }) };
    yes.disabled = true;
    try {
      await app.drafts.write(place, form, { result, ...(note.trim() ? { note: { text: note.trim() } } : {}) });
    } catch (error) {
      yes.disabled = false;
      refill(feedback, notice("bad", say("NOT saved: "), failure(error)));
      return;
    }
    app.saved();
    app.draw();
  };
  const answered = message(OUTCOMES[outcome]);
  return notice(
    "look",
    h("p", {}, say("Tell the health centre: {answer}? It cannot be taken back.", { answer: answered })),
    feedback,
    h("div", { class: "answers" }, yes, h("button", { onclick: cancel }, say("Cancel"))),
  );
}

// -- quarantine --------------------------------------------------------------------------------------

/** @param {object} child @param {import("../sync/replica.js").Entry} entry */
function asideCard(child, { change, reasons }) {
  const mend =
    addressForWrongDay(change, reasons) ||
    (change.kind === "measurement"
      ? `#/ukur/${child.id}/${change.key.measured_on}`
      : `#/ubah/${change.kind === "child" ? change.id : child.id}`);
  const words = Object.entries(change.set).map(([register, value]) =>
    h(
      "p",
      {},
      h("b", {}, registerName(register)),
      " ",
      valueWords(register, value),
    ),
  );
  return h(
    "section",
    { class: "card bad" },
    h("h2", {}, say("Not accepted yet; needs correction")),
    words,
    h(
      "ul",
      {},
      (reasons || []).map((reason) => h("li", {}, message(reason))),
    ),
    h("a", { class: "button main", href: mend }, say("Correct")),
  );
}
