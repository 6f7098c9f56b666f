// A wrong date of a whole morning: all records that this tablet wrote under it get another date in one act.

import { dayField, latestDay } from "../parts/days.js";
import { choice, h, notice, refill } from "../parts/dom.js";
import { failure } from "../parts/save_failure.js";
import { figuresText } from "../parts/figures.js";
import { saveWithUndo } from "../parts/undo.js";
import { misdated, otherwiseDated, redated } from "../parts/wrong_day.js";
import { dayWords, later, message, say } from "../words/words.js";

/** Records that have the day in them, beside measurements. */
const KINDS = {
  child: later("consent of the parents"),
  follow_up: later("answer to the health centre"),
  delivery: later("social aid"),
};

/** @param {import("../app.js").OpenApp} app @param {string} wrong the date that the records bear */
export async function wrongDay(app, wrong) {
  const latest = latestDay(app);
  const answers = new Map(); // by child who has a record under the right date, too: whether it is replaced
  const body = h("div", {});
  let right = app.day !== wrong && app.day <= latest ? app.day : latest;
  const draw = async () => {
    const records = right === wrong ? [] : await misdated(app, wrong, right);
    const others = right === wrong ? [] : await otherwiseDated(app, wrong, right);
    refill(body, listed(app, wrong, right, { records, others }, answers, draw));
  };
  await draw();
  const choose = (day) => {
    right = day;
    answers.clear();
    return draw();
  };
  return {
    title: say("Change the date"),
    body: [
      h("p", {}, say("Records with the date {day}:", { day: dayWords(wrong) })),
      dayField(app, say("The right date"), right, choose),
      body,
    ],
    back: "#/hari-ini",
  };
}

function listed(app, wrong, right, { records, others }, answers, draw) {
  if (right === wrong) return notice("look", say("Choose the right date above."));
  if (!records.length && !others.length) return h("p", { class: "empty" }, say("This tablet has no records with this date."));
  const of = (why) => records.filter((record) => record.why === why);
  const chosen = [...of(""), ...of("taken").filter(({ child }) => answers.get(child.id))];
  const count = chosen.length + others.length;
  const feedback = h("div", {});
  const save = async () => {
    button.disabled = true;
    try {
      const acts = [...chosen.flatMap((record) => redated(app.tablet.replica, record)), ...others];
      await saveWithUndo(app, acts, say("Date of {count} records changed.", { count }));
      if (app.session.date === wrong) await app.keepSession({ date: right });
      app.go("#/hari-ini");
    } catch (error) {
      button.disabled = false;
      refill(feedback, notice("bad", say("NOT saved: "), failure(error)));
    }
  };
  const button = h(
    "button",
    { class: "main", disabled: !count, onclick: save },
    say("Change the date of {count} records", { count }),
  );
  return [
    h(
      "ul",
      { class: "children plain" },
      of("").map(({ child, values }) => h("li", {}, h("strong", {}, child.name), " ", figuresText(values))),
      others.map(({ child, form }) => h("li", {}, h("strong", {}, child.name), " ", message(KINDS[form.kind]))),
    ),
    of("taken").map((record) => taken(record, right, answers, draw)),
    stuck(of("shared"), say("Another tablet recorded on this date, too. Change these one by one:")),
    stuck(of("early"), say("Born after the right date. Look at the birth date:")),
    feedback,
    h("div", { class: "actions" }, button),
  ];
}

/** A child who has a record under the right date already. */
function taken({ child, values, there }, right, answers, draw) {
  const answer = (replaces) => {
    answers.set(child.id, replaces);
    draw();
  };
  return h(
    "section",
    { class: "card look" },
    h("h2", {}, child.name),
    h("p", {}, say("Recorded on {day} already: {figures}", { day: dayWords(right), figures: figuresText(there) })),
    h("p", {}, say("To be moved there: {figures}", { figures: figuresText(values) })),
    choice(
      say("Which is right?"),
      [
        [false, say("Leave both as they are")],
        [true, say("Replace by the moved one")],
      ],
      answers.get(child.id) ?? false,
      answer,
      { kind: "choice long" },
    ),
  );
}

const stuck = (records, words) =>
  records.length
    ? notice(
        "look",
        h("p", {}, words),
        records.map(({ child }) => h("p", {}, h("a", { href: `#/anak/${child.id}` }, child.name))),
      )
    : null;
