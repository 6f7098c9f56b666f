// After a new enrolment: contexts with the new numbers, so that no context claims what its author had not seen (docs/protocol.md,
// "Restored and cloned devices").

import { tagOf } from "./chain.js";

const entryOf = ({ counter, hash }) => [counter, tagOf(hash)];
const same = (one, other) => Boolean(one) && one[0] === other[0] && one[1] === other[1];

/** The context of a change that gets a new number.
 * @param {object} change @param {string} tablet the new enrolment
 * @param {Array<{actor: string, was: [number, string], now: [number, string]}>} renamed earlier changes to this record that
 *   have new names, in order
 * @param {string} old the closed enrolment @param {[number, string]|null} kept its newest change to this record that keeps its name */
export function inNewNames(change, tablet, renamed, old, kept) {
  const named = renamed.filter(({ actor, was }) => same(change.context[actor], was));
  if (!named.length) return change.context;
  const actors = new Set(named.map(({ actor }) => actor));
  const context = Object.fromEntries(Object.entries(change.context).filter(([actor]) => !actors.has(actor)));
  const newest = named[named.length - 1].now;
  const sawAll = renamed
    .filter(({ now }) => now[0] <= newest[0])
    .every(({ actor, was }) => {
      const entry = change.context[actor];
      return entry && entry[0] >= was[0];
    });
  if (sawAll) context[tablet] = newest; // a new number claims everything numbered before it
  if (actors.has(old) && kept) context[old] = kept;
  return context;
}

/** @param {Array<object>} log kept entries of a closed enrolment, in order @param {string} id of a record
 * @param {object|null} state its pulled state @param {string} old @param {number} forgotten counter of the newest dropped entry */
export function newestKept(log, id, state, old, forgotten) {
  for (let at = log.length - 1; at >= 0; at -= 1) if (log[at].change.id === id) return entryOf(log[at]);
  const published = state ? state.vector[old] : null;
  return published && published[0] <= forgotten ? published : null;
}
