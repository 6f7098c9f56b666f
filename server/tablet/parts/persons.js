// Linked records (`same_as`) as one child, as the server reads them: their head is the first by not removed, registered, lowest id.

import { monthNumber } from "../growth/calendar.js";
import { siblings } from "../sync/states.js";

/** A child, with all that its linked records hold.
 * @typedef {{head: import("./model.js").Child, members: Array<import("./model.js").Child>, visits: any[], since: number}} Person */

/** Children, with linked records as one. @param {import("./model.js").Model} model @returns {Person[]} */
export const persons = (model) => recordsByChild(model).map(personOf);

/** All measurements of a child, those of linked records too. @param {import("./model.js").Model} model
 * @returns {(child: import("./model.js").Child) => any[]} */
export function measurementsOf(model) {
  const linked = recordsByChild(model).filter(({ length }) => length > 1);
  const found = new Map(linked.flatMap((members) => members.map(({ id }) => [id, members])));
  return (child) => (found.get(child.id) || [child]).flatMap(({ measurements }) => measurements);
}

/** The records of each child. @param {import("./model.js").Model} model @returns {Array<Array<import("./model.js").Child>>} */
function recordsByChild(model) {
  const all = new Map(model.replica.children().map((id) => [id, model.child(id)]));
  const root = new Map([...all.keys()].map((id) => [id, id]));
  const find = (id) => (root.get(id) === id ? id : find(root.get(id)));
  for (const [id, { state }] of all) {
    const [link, ...others] = siblings(state, "same_as");
    if (link && !others.length && all.has(link.value.child)) root.set(find(id), find(link.value.child));
  }
  const groups = new Map();
  for (const [id, child] of all) groups.set(find(id), [...(groups.get(find(id)) || []), child]);
  return [...groups.values()];
}

function personOf(members) {
  const rank = ({ state, id }) => `${state && state.removed ? 1 : 0}${state ? 0 : 1}${id}`;
  const [head] = [...members].sort((one, other) => (rank(one) < rank(other) ? -1 : 1));
  const taken = members.flatMap(({ measurements }) => measurements);
  const visits = taken.sort((one, other) => (key(one) < key(other) ? -1 : 1));
  const days = [...members.map(({ known_since }) => known_since), ...visits.map(({ on }) => on)].filter(Boolean);
  return { head, members, visits, since: Math.min(...days.map(monthNumber)) };
}

const key = ({ on, source }) => `${on}/${source}`;
