// Who is here and waits to be measured. Only those are called "next": a name that nobody called leads to records of a wrong child.

import { measuredOn } from "./model.js";
import { measurementsOf } from "./persons.js";

/** Children who are here and were not measured today, in order of arrival.
 * @param {import("../app.js").OpenApp} app @returns {import("./model.js").Child[]} */
export function inQueue({ model, session, day }) {
  const taken = measurementsOf(model);
  return session.here
    .map((id) => model.child(id))
    .filter((child) => child.state && !child.state.removed && !measuredOn(taken(child), day));
}
