// Who did not come, and whom to visit at home, with the reasons in words.

import { value } from "../sync/states.js";
import { later } from "../words/words.js";
import { isExpected, measuredInMonth } from "./model.js";
import { measurementsOf } from "./persons.js";

const TODAY = 1; // the urgency of flags for which a child goes to the health centre at once
const VISIT_FOR = ["two_t", "not_seen"];
const ASKED = later("The health centre asks for a home visit");

/** Children who are expected this month and were not measured, under this or a linked record; by name.
 * @param {import("../app.js").OpenApp} app */
export function notCome({ model, day }) {
  const taken = measurementsOf(model);
  const isSeen = (child) => measuredInMonth(taken(child), day);
  return model.children().filter((child) => isExpected(child, day) && !isSeen(child));
}

/** The home as words: address, RT and RW; "" where nothing is known. */
export function homeWords({ state }) {
  const { address, rt, rw } = value(state, "home");
  const place = [rt && `RT ${rt}`, rw && `RW ${rw}`].filter(Boolean).join(" / ");
  return [place, address && address.replace(/\s*\n\s*/g, ", ")].filter(Boolean).join(" · ");
}

/** The day of a child's newest measurement, or null. */
export const lastMeasured = ({ measurements }) =>
  measurements.reduce((newest, { on }) => (newest && newest > on ? newest : on), null);

/**
 * Whom to visit: a task of the health centre, no gain twice, not seen for two months, or a sign of danger. Most urgent first, then by
 * RT.
 * @param {import("../app.js").OpenApp} app
 * @returns {Array<{child: import("./model.js").Child, urgent: boolean, reasons: Array<import("../growth/text.js").Text|object>}>}
 */
export function homeVisits(app) {
  const all = app.model.children().map((child) => visitTo(app, child));
  const order = ({ child, urgent }) => {
    const { rt = "", rw = "" } = value(child.state, "home");
    return `${urgent ? 0 : 1} ${String(rw || "").padStart(3, "0")} ${String(rt || "").padStart(3, "0")}`;
  };
  return all
    .filter(({ reasons }) => reasons.length)
    .sort((one, other) => (order(one) < order(other) ? -1 : order(one) > order(other) ? 1 : 0));
}

function visitTo(app, child) {
  const { flags } = app.model.assessment(child, app.day);
  const tasks = app.model
    .openTasks(child, app.tablet.cadre.author)
    .filter(({ action }) => action === "home_visit")
    .map(({ note }) => (note ? later("{asked}: {note}", { asked: ASKED, note }) : ASKED));
  const found = flags.filter(({ rule, urgency }) => urgency === TODAY || VISIT_FOR.includes(rule));
  return {
    child,
    urgent: flags.some(({ urgency }) => urgency === TODAY),
    reasons: [...tasks, ...found.map(({ words }) => words)],
  };
}
