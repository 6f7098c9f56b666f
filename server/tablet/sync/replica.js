// A tablet's data and rules without I/O: what it shows and sends, and how it handles answers (docs/protocol.md).
//
// Only `apply` changes the replica. All other methods return a *delta*, which the caller stores in one transaction and only then
// applies, so nothing is shown that is not stored.
//
// - A change's context is the state when its form was opened, including this tablet's unsent changes.
// - A batch is sent again with the same bytes until it is answered; only a receipt acknowledges a change.
// - Acknowledged changes are kept for 90 days, in case the server is restored from a backup.
// - Where a child's data was erased at a parent's request, only counters and hashes stay, which the chain needs. If a restored
//   server asks for such a change again, the device enrols again and renumbers the changes that it still has.

import { canonical, clock, idOf, newId, nonce, utf8 } from "./bytes.js";
import { link, tagOf } from "./chain.js";
import { DRAWERS, Pages, nobody, statesOf } from "./pages.js";
import { inNewNames, newestKept } from "./renumber.js";
import { contextOf, siblings, view } from "./states.js";

const ROOM_FOR_THE_REST = 2048; // bytes of a batch beside its changes
const MOST_TAGS = 10000;
const MOST_DAYS = 31; // of the tally; the server takes 400

/** @typedef {{counter: number, hash: string, change: any, outcome?: string, reasons?: any[], at?: string,
 *   settled?: boolean, erased?: boolean}} Entry a change of this tablet; `at`: acknowledged; `settled`: the pull shows it
 * @typedef {{child: object|null, measurements: {[key: string]: object}, follow_ups: {[task: string]: object},
 *   deliveries: {[delivery: string]: object}, since?: string, post?: string, written?: {[dot: string]: [author: string, at: string]}}}
 *   Held of a child; `since`: first pulled by this device; `post`: from which a tablet of staff pulled it; `written`: who
 *   wrote values in conflict
 * @typedef {{id: string, first: number, count: number, body: string}} Pending `body`: the signed batch, packed, base64url
 * @typedef {{kind: string, id: string, key: object, context: object}} Form
 * @typedef {{facts?: object, log?: Entry[], forget?: number[], held?: Map<string, Held|null>, clear?: boolean,
 *   pending?: Pending|null, past?: any[], renumbered?: boolean}} Delta */

/** The facts of a new tablet. A tablet of staff has `posts` and a cursor for each; `post` is that of its code. */
export const newFacts = (welcome, app) => ({
  tablet: welcome.tablet,
  district: welcome.district,
  post: welcome.post,
  limits: welcome.limits,
  sealing: welcome.sealing,
  app,
  incarnation: "",
  token: "",
  cursor: 0,
  posts: welcome.posts,
  cursors: {},
  more: true,
  sent: 0, // counter of the newest change up to which all are acknowledged
  forgotten: 0,
  forgottenHash: "",
});

/** The place of a record among its child's measurements, follow-ups or deliveries. */
const placeOf = ({ measured_on, source, task, delivery }) => task || delivery || `${measured_on}/${source}`;
const childOf = ({ kind, id, key }) => (kind === "child" ? id : key.child);
/** An entry without its values. @param {Entry} entry @returns {Entry} */
const emptied = ({ change: { kind, id, key, context }, ...entry }) => ({
  ...entry,
  change: { kind, id, key, context, set: {} },
  settled: true,
  erased: true,
});
const tellsOf = (reasons, wanted) => (reasons || []).some(({ code }) => code === wanted);

export class Replica {
  /** @param {{facts: object, log?: Entry[], held?: Map<string, Held>, pending?: Pending|null, past?: object[]}} stored */
  constructor({ facts, log = [], held = new Map(), pending = null, past = [] }) {
    this.facts = facts;
    this.log = log;
    this.held = held;
    this.pending = pending;
    this.past = past;
    /** @type {Map<string, Entry[]>} by the id of the record */
    this.ofRecord = new Map();
    /** @type {Map<string, Entry[]>} */
    this.ofChild = new Map();
    this.#index();
  }

  #index() {
    this.ofRecord.clear();
    this.ofChild.clear();
    for (const entry of this.log) this.#note(entry);
  }

  #note(entry) {
    if (entry.erased) return;
    for (const [index, key] of [
      [this.ofRecord, entry.change.id],
      [this.ofChild, childOf(entry.change)],
    ]) {
      if (!index.has(key)) index.set(key, []);
      index.get(key).push(entry);
    }
  }

  // -- reading -------------------------------------------------------------------------------------

  #pulled({ kind, id, key }) {
    const held = this.held.get(kind === "child" ? id : key.child);
    if (!held) return null;
    return kind === "child" ? held.child : (held[DRAWERS[kind]] || {})[placeOf(key)] || null;
  }

  /** The published state of a record as this tablet knows it, or null. @param {{kind: string, id: string, key: object}} ref */
  view(ref) {
    return view(this.facts.tablet, this.#pulled(ref), this.ofRecord.get(ref.id) || []);
  }

  /** Ids of the children that this tablet shows. @returns {string[]} */
  children() {
    const own = [...this.ofChild].filter(([, entries]) => entries.some(({ settled }) => !settled)).map(([id]) => id);
    return [...new Set([...this.held.keys(), ...own])];
  }

  /** The post of a child on a tablet of staff: the one that its record names, if it is one of the tablet's, else the one from
   * which it was pulled. @param {string} id @param {object|null} [state] @returns {string} */
  postOf(id, state = this.view({ kind: "child", id, key: {} })) {
    const { posts = [], post } = this.facts;
    const named = siblings(state, "post").map(({ value }) => value.post);
    const held = this.held.get(id);
    if (named.length === 1 && posts.some((one) => one.id === named[0])) return named[0];
    return (held && held.post) || post.id;
  }

  /** A child as it is shown: its state, and its measurements, follow-ups and deliveries with theirs. `since`: when this device
   * first wrote about it or pulled it, by its own clock; null where that is not known.
   * @param {string} id @returns {{id: string, state: object|null, since: string|null, measurements: object[],
   *   follow_ups: object[], deliveries: object[]}} */
  child(id) {
    const held = { ...nobody(), ...this.held.get(id) };
    const own = this.ofChild.get(id) || [];
    const [since = null] = [held.since, own.length ? own[0].change.recorded_at : ""].filter(Boolean).sort();
    const state = this.view({ kind: "child", id, key: {} });
    const shown = { id, state, since, measurements: [], follow_ups: [], deliveries: [] };
    for (const [kind, drawer] of Object.entries(DRAWERS)) {
      /** @type {Map<string, any>} */
      const keys = new Map(Object.keys(held[drawer]).map((place) => [place, null]));
      const mine = own.filter(({ change }) => change.kind === kind);
      for (const { change, settled } of mine)
        if (!settled || keys.has(placeOf(change.key))) keys.set(placeOf(change.key), change);
      for (const [place, change] of keys) {
        const entries = (change && this.ofRecord.get(change.id)) || [];
        const state = view(this.facts.tablet, held[drawer][place] || null, entries);
        if (state) shown[drawer].push({ place, state });
      }
      shown[drawer].sort((one, other) => (one.place < other.place ? -1 : 1));
    }
    return shown;
  }

  /** Changes that the server has not answered. @returns {Entry[]} */
  waiting() {
    return this.log.filter(({ outcome }) => !outcome);
  }

  /** Quarantined changes that no later change of their record corrects. Those of a child whose post was taken from this tablet
   * are for the health centre alone. @returns {Entry[]} */
  inQuestion() {
    return this.log.filter((entry) => {
      if (entry.erased) return false;
      if (tellsOf(entry.reasons, "post-out-of-scope") && !this.held.has(childOf(entry.change))) return false;
      const entries = this.ofRecord.get(entry.change.id) || [];
      return entry.outcome === "quarantined" && entries[entries.length - 1] === entry;
    });
  }

  // -- writing -------------------------------------------------------------------------------------

  /** Open a form on a record's current state. @returns {Promise<Form>} */
  async open(kind, key, id) {
    const ref = { kind, id: id || (await idOf(kind, key)), key };
    return { ...ref, context: contextOf(this.view(ref)) };
  }

  /** Number and chain the next change. @param {Form} form @param {object} set registers, whole @param {string} author
   * @returns {Promise<Delta>} */
  async write(form, set, author) {
    return this.writeAll([{ form, set }], author);
  }

  /** Number and chain the next changes, each of another record, to be stored together.
   * @param {Array<{form: Form, set: object}>} acts @param {string} author @returns {Promise<Delta>} */
  async writeAll(acts, author) {
    const { app } = this.facts;
    const log = [];
    let head = this.head();
    for (const { form, set } of acts) {
      const { kind, id, key, context } = form;
      const written = { author, recorded_at: clock(), nonce: nonce(), app, schema: 1 };
      const entry = await this.#linked({ kind, id, key, context, set, ...written }, head);
      log.push(entry);
      head = [entry.counter, entry.hash];
    }
    return { log };
  }

  async #linked(change, [counter, previous], tablet = this.facts.tablet) {
    const { hash } = await link(tablet, counter + 1, previous, change);
    return { counter: counter + 1, hash, change };
  }

  /** Counter and hash of the newest change. @returns {[number, string]} */
  head() {
    const newest = this.log[this.log.length - 1];
    return newest ? [newest.counter, newest.hash] : [this.facts.forgotten, this.facts.forgottenHash];
  }

  // -- sending -------------------------------------------------------------------------------------

  /** For each day with unsent changes: how many measurements were recorded, each counted once. */
  #tally() {
    const open = new Set(
      this.waiting()
        .map(({ change }) => change.key.measured_on)
        .filter(Boolean),
    );
    const days = new Map(this.log.map(({ change }) => [change.id, change.key.measured_on]));
    const counts = {};
    for (const day of days.values()) if (open.has(day)) counts[day] = (counts[day] || 0) + 1;
    return Object.fromEntries(Object.entries(counts).sort().slice(-MOST_DAYS));
  }

  /** A batch of changes after counter `done`, within limits. */
  #batch(done, most, carried) {
    const { tablet, district, app, incarnation, token, cursor, posts, limits, forgotten, forgottenHash } = this.facts;
    const rest = this.log.slice(done - forgotten, done - forgotten + Math.min(most, limits.changes));
    const changes = [];
    let size = ROOM_FOR_THE_REST;
    for (const { change } of rest) {
      size += utf8(canonical(change)).length + 1;
      if (changes.length && size > limits.bytes) break;
      changes.push(change);
    }
    const before = this.log[done - forgotten - 1];
    const previous = changes.length ? (before ? before.hash : forgottenHash) : "";
    const [counter, hash] = this.head();
    const named = { protocol: 1, district, tablet, batch: newId(), sent_at: clock(), app, incarnation, cursor };
    const chain = { head: [counter, tagOf(hash)], first: done + 1, previous, changes };
    const several = posts && !carried ? { cursors: this.#cursors(posts) } : {};
    return { ...named, token: carried ? "" : token, carried, tally: this.#tally(), ...chain, ...several };
  }

  /** Up to where each post was pulled. */
  #cursors(posts) {
    return Object.fromEntries(posts.map(({ id }) => [id, (this.facts.cursors || {})[id] || 0]));
  }

  /** The next batch, to be signed and stored before it is sent; without changes when all are acknowledged. @param {number} most */
  nextBatch(most) {
    return this.#batch(this.facts.sent, most, false);
  }

  /** All unacknowledged changes as batches for another tablet to carry, in order. @param {number} [after] this counter
   * @returns {any[]} */
  carriedBatches(after = this.facts.sent) {
    const batches = [];
    for (let done = after; done < this.head()[0]; done += batches[batches.length - 1].changes.length) {
      batches.push(this.#batch(done, this.facts.limits.changes, true));
    }
    return batches;
  }

  // -- answers -------------------------------------------------------------------------------------

  /** @param {object} answer to the pending batch, its shape already checked
   * @returns {Promise<{delta: Delta, event: "accepted"|"gap"|"restored"|"new_epoch_required"}>} */
  async receive(answer) {
    const { receipt, incarnation, token, pull, pulls = [] } = answer;
    const restored = this.facts.incarnation !== "" && this.facts.incarnation !== incarnation;
    const settled = this.#settled(receipt);
    const again = restored ? { cursor: 0, cursors: {}, more: true } : {};
    const delta = { ...settled, facts: { ...settled.facts, incarnation, token, ...again }, pending: null };
    if (settled.event === "new_epoch_required") return { delta, event: settled.event };
    if (restored) return { delta: { ...delta, log: this.#unsettled(delta.log) }, event: "restored" };
    if (this.#isForeign([pull, ...pulls])) return { delta, event: "new_epoch_required" };
    const taken = this.facts.posts ? this.#takenPosts(delta, answer) : this.#taken(delta, pull);
    return { delta: taken, event: settled.event };
  }

  /** Take the receipt of a carried batch. @param {object} receipt @returns {Delta|null} null: nothing changes */
  receiveCarried(receipt) {
    // after a gap an earlier batch is missing; other refusals are handled at the next contact
    if (receipt.status !== "accepted") return null;
    const { log, facts } = this.#settled(receipt);
    return { log, facts };
  }

  /** @returns {{event: "accepted"|"gap"|"new_epoch_required", log: Entry[], facts: object}} */
  #settled({ status, wanted, items }) {
    const { forgotten, sent } = this.facts;
    const gone = () => wanted <= forgotten || this.log.slice(wanted - forgotten - 1).some(({ erased }) => erased);
    if (status === "new_epoch_required" || (status === "gap" && gone())) {
      return { event: "new_epoch_required", log: [], facts: {} };
    }
    if (status === "gap") {
      const again = this.log
        .slice(wanted - forgotten - 1)
        .map(({ counter, hash, change }) => ({ counter, hash, change }));
      return { event: "gap", log: again, facts: { sent: wanted - 1 } };
    }
    const log = [];
    for (const [counter, outcome, reasons] of items.filter(([number]) => number > forgotten)) {
      const held = this.log[counter - forgotten - 1];
      const known = held.outcome && outcome === "duplicate" ? held : { ...held, outcome, reasons };
      const kept = { ...known, at: clock(), settled: false };
      log.push(tellsOf(reasons, "child-erased") || held.erased ? emptied(kept) : kept);
    }
    const answered = new Set(log.map(({ counter }) => counter));
    let done = sent;
    while (done < this.head()[0] && (answered.has(done + 1) || this.log[done - forgotten].outcome)) done += 1;
    return { event: "accepted", log, facts: { sent: done } };
  }

  /** Whether a pulled state has a change of this enrolment that is not in the log: then a copy of this device wrote it. */
  #isForeign(pages) {
    const { tablet, forgotten } = this.facts;
    return pages.flatMap(statesOf).some(({ vector }) => {
      const entry = vector[tablet];
      if (!entry || entry[0] <= forgotten) return false;
      const mine = this.log[entry[0] - forgotten - 1];
      return !mine || tagOf(mine.hash) !== entry[1];
    });
  }

  #taken(delta, pull) {
    const clear = this.facts.cursor === 0;
    const pages = new Pages(this.held, clear);
    pages.lay(pull);
    return { ...this.#finished(delta, pages, pull.erased || [], { cursor: pull.cursor, more: pull.more }), clear };
  }

  /** The answer to a tablet of staff: the posts that it has now and their pages. Where it has neither, all stays. */
  #takenPosts(delta, { pull, posts = this.facts.posts, pulls = [] }) {
    const pages = new Pages(this.held);
    const mine = new Set(posts.map(({ id }) => id));
    pages.drop(({ post }) => !mine.has(post));
    const cursors = this.#cursors(posts);
    for (const page of pulls) {
      pages.layOfPost(page, !cursors[page.post]);
      cursors[page.post] = page.cursor;
    }
    const erased = pulls.flatMap((page) => page.erased || []);
    return this.#finished(delta, pages, erased, { posts, cursors, more: pull.more });
  }

  #finished(delta, { changed }, erased, facts) {
    const log = this.#erasing(facts.more ? delta.log : this.#settling(delta.log), new Set(erased), delta.facts.sent);
    const past = erased.length ? { past: this.past.filter(({ change }) => !erased.includes(childOf(change))) } : {};
    return { ...delta, ...past, log, held: changed, facts: { ...delta.facts, ...facts } };
  }

  /** Remove the values of acknowledged changes of children whose data was erased. */
  #erasing(changed, gone, sent) {
    if (!gone.size) return changed;
    const latest = new Map(changed.map((entry) => [entry.counter, entry]));
    for (const entry of this.log)
      if (entry.counter <= sent && gone.has(childOf(entry.change)))
        latest.set(entry.counter, emptied(latest.get(entry.counter) || entry));
    return [...latest.values()];
  }

  /** Everything is pulled again: until the pull ends, own changes are shown from the log. */
  #unsettled(changed) {
    const counters = new Set(changed.map(({ counter }) => counter));
    const others = this.log.filter(({ counter, settled }) => settled && !counters.has(counter));
    return [...changed, ...others.map((entry) => ({ ...entry, settled: false }))];
  }

  /** At the end of a pull, acknowledged changes are shown from the pulled states. */
  #settling(changed) {
    const latest = new Map(changed.map((entry) => [entry.counter, entry]));
    const entries = this.log.map((entry) => latest.get(entry.counter) || entry);
    const settling = entries.filter(({ outcome, settled }) => outcome && !settled);
    const others = changed.filter(({ outcome, erased }) => !outcome || erased);
    return [...others, ...settling.map((entry) => ({ ...entry, settled: true }))];
  }

  // -- new enrolments ------------------------------------------------------------------------------

  /** Tags of the newest changes that are kept, and the counter of the first of them. */
  kept() {
    const kept = this.log.slice(-MOST_TAGS);
    return { first: this.head()[0] - kept.length + 1, tags: kept.map(({ hash }) => tagOf(hash)) };
  }

  /** Renumber the changes that the server does not have.
   * @param {object} welcome @param {number|null} common last counter at which the server's chain equals this log; null where
   *   the server does not know this device any more: then all kept changes are renumbered @returns {Promise<Delta>} */
  async renumbered(welcome, common) {
    const { tablet: old, forgotten } = this.facts;
    const stay = common === null ? 0 : Math.max(common - forgotten, 0);
    const kept = this.log.slice(0, stay);
    /** @param {Entry} entry */
    const whole = ({ erased }) => !erased;
    const mine = ({ counter, hash, change }) => ({ actor: old, counter, hash, change });
    const again = [...(common === null ? this.past : []), ...this.log.slice(stay).filter(whole).map(mine)];
    const log = [];
    const names = new Map();
    for (const { actor, counter, hash, change } of again) {
      const renamed = names.get(change.id) || [];
      const last = newestKept(kept, change.id, this.#pulled(change), old, forgotten);
      const context = inNewNames(change, welcome.tablet, renamed, old, last);
      const head = log.length ? [log.length, log[log.length - 1].hash] : [0, ""];
      log.push(await this.#linked({ ...change, context }, head, welcome.tablet));
      const now = [log.length, tagOf(log[log.length - 1].hash)];
      names.set(change.id, [...renamed, { actor, was: [counter, tagOf(hash)], now }]);
    }
    const past = common === null ? [] : [...this.past, ...kept.filter(whole).map((entry) => ({ ...mine(entry), at: entry.at }))];
    const held = this.#heldUnder(welcome);
    return { facts: newFacts(welcome, this.facts.app), log, pending: null, past, held, renumbered: true };
  }

  /** What changes in what is held under a new enrolment: a tablet of staff keeps the children of its posts, of which a tablet
   * that had one post notes them; other tablets show what they have until the first page comes. */
  #heldUnder({ posts }) {
    if (!posts) return new Map();
    const mine = new Set(posts.map(({ id }) => id));
    const changed = new Map();
    for (const [id, child] of this.held) {
      const post = child.post || this.facts.post.id;
      if (!mine.has(post)) changed.set(id, null);
      else if (child.post !== post) changed.set(id, { ...child, post });
    }
    return changed;
  }

  /** Drop changes acknowledged before a time that are in the pulled states. @param {string} before @returns {Delta|null} */
  forgetting(before) {
    /** @param {Entry} entry */
    const old = ({ at, settled }) => settled && at && at < before;
    let count = 0;
    while (count < this.log.length - 1 && old(this.log[count])) count += 1;
    const past = this.past.filter(({ at }) => at && at >= before);
    if (!count && past.length === this.past.length) return null;
    const forget = this.log.slice(0, count);
    const newest = forget[count - 1];
    const facts = newest ? { forgotten: newest.counter, forgottenHash: newest.hash } : {};
    return { facts, forget: forget.map(({ counter }) => counter), past };
  }

  // -- changing ------------------------------------------------------------------------------------

  /** The own changes as they will be after a delta, without pulled states. @param {Delta} delta @returns {Replica} */
  foreseen({ facts, log, forget, renumbered }) {
    const next = new Replica({ facts: this.facts, log: [...this.log] });
    next.apply({ facts, log, forget, renumbered });
    return next;
  }

  /** Apply a stored delta. @param {Delta} delta */
  apply({ facts = {}, log = [], forget = [], held, clear, pending, past, renumbered }) {
    if (renumbered) this.log = [];
    this.facts = { ...this.facts, ...facts };
    this.log.splice(0, forget.length);
    for (const entry of log) {
      const at = entry.counter - this.facts.forgotten - 1;
      if (at >= 0) this.log[at] = entry;
    }
    if (clear) this.held.clear();
    for (const [id, child] of held || []) child ? this.held.set(id, child) : this.held.delete(id);
    if (pending !== undefined) this.pending = pending;
    if (past) this.past = past;
    this.#index();
  }
}
