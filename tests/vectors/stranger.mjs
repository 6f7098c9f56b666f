/* A client of the sync protocol, written by a stranger from docs/protocol.md and schemas/examples/ alone, before any look at
 * the server's code. It is kept as the proof that the document suffices: tests/browser/test_independent_client.py lets it pass every
 * vector and sync with a served instance, in Chromium. Where the document had left its writer guessing, it was mended.
 *
 * WebCrypto only, no dependencies; it runs in browsers and in node 20. Everything is kept in memory: a real app stores what
 * `Tablet` holds, in one transaction wherever a comment says "stored".
 */

const NAMESPACES = { // of the ids of records that are named by their keys, and the parts of these keys
  measurement: ["6f1d1b0e-6c5b-5f0a-9d5e-3b1c5f6d7a01", ["child", "measured_on", "source"]],
  follow_up: ["6f1d1b0e-6c5b-5f0a-9d5e-3b1c5f6d7a02", ["child", "task"]],
  delivery: ["6f1d1b0e-6c5b-5f0a-9d5e-3b1c5f6d7a03", ["child", "delivery"]],
};
const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const APP = "asing 0.1";

// -- bytes ------------------------------------------------------------------------------------------------------------

const utf8 = (text) => new TextEncoder().encode(text);
const base64url = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const unbase64url = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));

/** The canonical form of a JSON value as text (RFC 8785); JavaScript sorts and writes numbers just as that asks. */
export function canonical(value) {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const members = Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
  return `{${members.join(",")}}`;
}

/** SHA-256 of canonical bytes, 43 characters. */
export const digest = async (value) => base64url(await crypto.subtle.digest("SHA-256", utf8(canonical(value))));

const tagOf = (hash) => hash.slice(0, 16);
const equal = (one, other) => canonical(one) === canonical(other);

/** A change's content digest, hash and tag at its place in an actor's chain. */
export async function link(actor, counter, previous, change) {
  const { nonce = null, set = null, ...others } = change;
  const content = await digest({ nonce, set });
  const hash = await digest({ ...others, actor, counter, previous, content });
  return { content, hash, tag: tagOf(hash) };
}

async function gzip(text) {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function uuidText(bytes) {
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function marked(bytes, version) {
  bytes[6] = (bytes[6] & 0x0f) | (version << 4);
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return uuidText(bytes.slice(0, 16));
}

/** UUIDv5 of the key's parts, such as `child/measured_on/source`: the same wherever one child is measured on one day. */
export async function idOf(kind, key) {
  const [namespace, parts] = NAMESPACES[kind];
  const space = Uint8Array.from(namespace.replaceAll("-", "").match(/../g), (pair) => parseInt(pair, 16));
  const name = utf8(parts.map((part) => key[part]).join("/"));
  return marked(new Uint8Array(await crypto.subtle.digest("SHA-1", new Uint8Array([...space, ...name]))), 5);
}

function uuid7() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  for (let at = 5, left = Date.now(); at >= 0; at -= 1, left = Math.floor(left / 256)) bytes[at] = left % 256;
  return marked(bytes, 7);
}

const clock = () => new Date().toISOString().replace(/\.\d+Z/, "Z");

// -- signatures -------------------------------------------------------------------------------------------------------

const newKeys = () => crypto.subtle.generateKey(ECDSA, false, ["sign", "verify"]);

async function publicKey(keys) {
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", keys.publicKey);
  return { kty, crv, x, y };
}

/** Whether a signature was made over this value with the key of this JWK. */
export async function fits(jwk, value, signature) {
  const key = await crypto.subtle.importKey("jwk", jwk, ECDSA, false, ["verify"]);
  return crypto.subtle.verify(ECDSA, key, unbase64url(signature), utf8(canonical(value)));
}

/** `r` and `s` over the canonical bytes, 86 characters; WebCrypto gives them in this very form. */
export const sign = async (keys, value) =>
  base64url(await crypto.subtle.sign(ECDSA, keys.privateKey, utf8(canonical(value))));

// -- states: a register is a list of {dots, value} here, and as short as it may be when published ---------------------

const byDot = ([one, first], [other, second]) => (one === other ? first - second : one < other ? -1 : 1);
const vectorDots = (vector) => Object.entries(vector).map(([actor, [counter]]) => [actor, counter]).sort(byDot);
const isRemoval = ({ value }) => value.reason !== null;

function opened(state) {
  const dots = vectorDots(state.vector);
  const open = ([name, held]) => [name, Array.isArray(held) ? held : [{ dots, value: held }]];
  return { ...state, vector: { ...state.vector }, set: Object.fromEntries(Object.entries(state.set).map(open)) };
}

function published({ set, ...state }) {
  const dots = vectorDots(state.vector);
  const short = ([name, values]) => [name, values.length === 1 && equal(values[0].dots, dots) ? values[0].value : values];
  const shown = { ...state, set: Object.fromEntries(Object.entries(set).map(short)) };
  for (const mark of ["removed", "removal_contested", "incomplete"]) if (!shown[mark]) delete shown[mark];
  return shown;
}

/** Equal values become one with several dots; all in the order of their dots. */
function gathered(values) {
  const found = new Map();
  for (const { dots, value } of values) {
    const text = canonical(value);
    found.set(text, { dots: [...(found.get(text)?.dots ?? []), ...dots].sort(byDot), value });
  }
  return [...found.values()].sort((one, other) => byDot(one.dots[0], other.dots[0]));
}

/** Lay one change of `tablet` over an opened state, in place. */
function lay(state, tablet, { counter, hash, change }) {
  const covers = ([actor, number]) => {
    const entry = change.context[actor];
    if (!entry || entry[0] < number) return false;
    return actor === tablet || state.vector[actor]?.[0] > entry[0] || equal(state.vector[actor] ?? null, entry);
  };
  for (const [name, value] of Object.entries(change.set)) {
    const left = (state.set[name] ?? []).map((held) => ({ ...held, dots: held.dots.filter((dot) => !covers(dot)) }));
    state.set[name] = gathered([...left.filter(({ dots }) => dots.length), { dots: [[tablet, counter]], value }]);
  }
  state.vector[tablet] = [counter, tagOf(hash)];
  const dotsOf = (values) => values.flatMap(({ dots }) => dots);
  const removing = dotsOf((state.set.removed ?? []).filter(isRemoval)).map(canonical);
  const standing = dotsOf(Object.values(state.set).flat()).filter((dot) => !removing.includes(canonical(dot)));
  const removes = removing.includes(canonical([tablet, counter]));
  state.removed = removes && (state.removed || standing.every(covers));
  state.removal_contested = removing.length > 0 && !state.removed;
}

/** How a published state names its record, beside its child. */
function named({ measured_on: on, source, task }) {
  return task ? { task } : on ? { on, source } : {};
}

/** What to show: the pulled state (or null) with the tablet's own changes of this record laid over it, in order. */
export function view(tablet, pulled, own) {
  if (!pulled && !own.length) return null;
  const blank = { ...named(own[0]?.change.key ?? {}), vector: {}, set: {} };
  const state = opened(pulled ?? blank);
  const contained = state.vector[tablet]?.[0] ?? 0;
  for (const entry of own) if (entry.counter > contained && entry.outcome !== "quarantined") lay(state, tablet, entry);
  return Object.keys(state.vector).length ? published(state) : null;
}

// -- folding: only servers need it; here it shows that the section on merging can be followed -------------------------

/** The published state of a record's history, and each change's outcome if it came last. */
export function fold(changes, quarantined) {
  const held = new Set(quarantined.map(canonical));
  for (const { actor, counter, hash } of changes) held.add(canonical([actor, counter, tagOf(hash)]));
  const dot = ({ actor, counter }) => [actor, counter];
  const covers = (one, other) => {
    const entry = one.change.context[other.actor];
    return Boolean(entry) && entry[0] >= other.counter && held.has(canonical([other.actor, ...entry]));
  };
  const names = new Set(changes.flatMap(({ change }) => Object.keys(change.set)));
  const live = {};
  for (const name of names) {
    const touching = changes.filter(({ change }) => name in change.set);
    live[name] = touching.filter((one) => !touching.some((other) => covers(other, one)));
  }
  const state = { ...named(changes[0].change.key), vector: {}, set: {} };
  for (const { actor, counter, hash } of [...changes].sort((one, other) => one.counter - other.counter)) {
    state.vector[actor] = [counter, tagOf(hash)];
  }
  for (const name of names) {
    state.set[name] = gathered(live[name].map((one) => ({ dots: [dot(one)], value: one.change.set[name] })));
  }
  const alive = [...new Set(Object.values(live).flat())];
  const removals = (live.removed ?? []).filter(({ change }) => isRemoval({ value: change.set.removed }));
  const standing = alive.filter((one) => !removals.includes(one));
  state.removed = removals.length > 0 && standing.every((one) => removals.some((removal) => covers(removal, one)));
  state.removal_contested = removals.length > 0 && !state.removed;
  state.incomplete = changes.some(({ actor: _, change }) =>
    Object.entries(change.context).some(([actor, entry]) => !held.has(canonical([actor, ...entry]))));
  const outcome = (one) => {
    if (!alive.includes(one)) return "superseded";
    const disputed = [...names].some((name) => live[name].includes(one) && state.set[name].length > 1);
    if (disputed || state.removal_contested) return "conflict";
    return changes.some((other) => other !== one && !covers(one, other) && !covers(other, one)) ? "merged" : "applied";
  };
  return { state: published(state), outcomes: changes.map(outcome) };
}

// -- a tablet ---------------------------------------------------------------------------------------------------------

/** The server refused a request as a whole; `code` is stable. */
export class Problem extends Error {
  constructor(status, body) {
    super(`${status} ${body.code}`);
    Object.assign(this, { status, code: body.code, reasons: body.reasons });
  }
}

/** The records of a pull, by their ids. */
async function recordsOf({ children, measurements, follow_ups, deliveries }) {
  const records = children.map(({ id, ...state }) => [id, { child: id, state }]);
  for (const [kind, byChild] of [["measurement", measurements], ["follow_up", follow_ups], ["delivery", deliveries]]) {
    for (const [child, states] of Object.entries(byChild)) {
      for (const state of states) {
        const { on: measured_on, source, task, delivery } = state;
        records.push([await idOf(kind, { child, measured_on, source, task, delivery }), { child, state }]);
      }
    }
  }
  return records;
}

async function post(url, body, headers = {}) {
  const answer = await fetch(url, { method: "POST", body, headers: { "Content-Type": "application/json", ...headers } });
  const told = await answer.json();
  if (!answer.ok) throw new Problem(answer.status, told);
  return told;
}

/** One enrolment of one device: its chain of changes, what it has pulled, and what it is about to send. */
export class Tablet {
  constructor(origin, keys, { tablet, district, post: place, posts, limits }) {
    Object.assign(this, { origin, keys, id: tablet, district, post: place, limits });
    Object.assign(this, { posts: posts?.map(({ id }) => id), cursors: {} }); // of a tablet of staff
    this.log = []; // {counter, hash, change, outcome, reasons, settled}, for ever; 90 days would do
    this.pulled = new Map(); // record id -> {child, state}
    Object.assign(this, { token: "", incarnation: "", cursor: 0, more: false, wanted: 1, pending: null });
  }

  static async enrol(origin, code, device) {
    const keys = await newKeys();
    const asked = { code, public_key: await publicKey(keys), app: APP, device };
    return new Tablet(origin, keys, await post(`${origin}/api/v1/enrol`, JSON.stringify(asked)));
  }

  /** The same device twice, as a restored backup makes it. */
  clone() {
    const copy = Object.assign(Object.create(Tablet.prototype), this);
    return Object.assign(copy, { log: this.log.map((entry) => ({ ...entry })), pulled: new Map(this.pulled) });
  }

  // -- writing -------------------------------------------------------------------------------------

  view(id) {
    return view(this.id, this.pulled.get(id)?.state ?? null, this.log.filter(({ change }) => change.id === id));
  }

  /** The published states that this tablet shows, by record id: what is pulled, and what no pull has brought yet. */
  shown() {
    const unsettled = this.log.filter(({ settled }) => !settled).map(({ change }) => change.id);
    const ids = new Set([...this.pulled.keys(), ...unsettled]);
    const found = [...ids].map((id) => [id, this.view(id)]);
    return Object.fromEntries(found.filter(([, state]) => state));
  }

  /** Open a form: what its author has in view from now on. */
  open(kind, id, key = {}) {
    const state = this.view(id);
    return { kind, id, key, context: state ? contextOn(state) : {} };
  }

  async openMeasurement(child, measured_on, source = "cadre") {
    const key = { child, measured_on, source };
    return this.open("measurement", await idOf("measurement", key), key);
  }

  /** Open something to be done for a child; without a `task` a new one. */
  async openFollowUp(child, task = uuid7()) {
    const key = { child, task };
    return this.open("follow_up", await idOf("follow_up", key), key);
  }

  /** Save a form: the next change of the chain. */
  async write(form, set, author = "kader.contoh") {
    const nonce = base64url(crypto.getRandomValues(new Uint8Array(16)));
    return this.append({ ...form, set, author, recorded_at: clock(), nonce, app: APP, schema: 1 });
  }

  async append(change) {
    const counter = this.log.length + 1;
    const { hash } = await link(this.id, counter, this.log.at(-1)?.hash ?? "", change);
    this.log.push({ counter, hash, change }); // stored
    return change.id;
  }

  async registerChild(set) {
    return this.write(this.open("child", crypto.randomUUID()), { post: { post: this.post.id }, ...set });
  }

  async measure(child, measured_on, set) {
    return this.write(await this.openMeasurement(child, measured_on), set);
  }

  // -- sending -------------------------------------------------------------------------------------

  waiting() {
    return this.log.filter(({ outcome }) => !outcome).map(({ counter }) => counter);
  }

  /** Changes that were set aside and that no later change of their record corrects: somebody must look at them. */
  inQuestion() {
    const isCorrected = ({ counter, change }) => this.log.slice(counter).some((later) => later.change.id === change.id);
    const aside = this.log.filter(({ outcome }) => outcome === "quarantined");
    return aside.filter((entry) => !isCorrected(entry)).map(({ counter }) => counter);
  }

  /** Of each day of which something waits, how many measurements were written; several changes of one count once. */
  tally() {
    const counts = {};
    const measured = this.log.filter(({ change }) => change.kind === "measurement");
    for (const { change, outcome } of measured) if (!outcome) counts[change.key.measured_on] = 0;
    const days = new Map(measured.map(({ change }) => [change.id, change.key.measured_on]));
    for (const day of days.values()) if (day in counts) counts[day] += 1;
    return Object.fromEntries(Object.entries(counts).sort().slice(-400));
  }

  nextBatch() {
    const newest = this.log.at(-1);
    const first = this.wanted;
    const sent = this.log.slice(first - 1, first - 1 + this.limits.changes).map(({ change }) => change);
    const previous = sent.length ? (this.log[first - 2]?.hash ?? "") : "";
    const { district, id: tablet, incarnation, token, cursor } = this;
    const head = newest ? [newest.counter, tagOf(newest.hash)] : [0, ""];
    const named = { protocol: 1, district, tablet, batch: uuid7(), sent_at: clock(), app: APP, incarnation, token, cursor };
    const cursors = this.posts && Object.fromEntries(this.posts.map((post) => [post, this.cursors[post] ?? 0]));
    const several = cursors ? { cursors } : {};
    return { ...named, carried: false, tally: this.tally(), head, first, previous, changes: sent, ...several };
  }

  /** The bytes to send: those that had no answer yet, or a new batch, halved until it is within the limit. */
  async message() {
    if (!this.pending) {
      const batch = this.nextBatch();
      while (batch.changes.length > 1 && utf8(canonical(batch)).length > this.limits.bytes) {
        batch.changes = batch.changes.slice(0, batch.changes.length >> 1);
      }
      this.pending = await gzip(JSON.stringify({ batch, signature: await sign(this.keys, batch) })); // stored
    }
    return this.pending;
  }

  /** Send, without taking the answer in: so it can be lost. */
  async send() {
    const headers = { "Content-Encoding": "gzip", "Tablet-Clock": clock() };
    return post(`${this.origin}/api/v1/sync`, await this.message(), headers);
  }

  /** Take an answer in, all of it or nothing (stored); gives the receipt's status. */
  async receive({ incarnation, token, receipt, pull, posts, pulls = [] }) {
    const restored = this.incarnation !== "" && this.incarnation !== incarnation;
    const records = await recordsOf(pull); // whatever must wait comes before the first assignment
    const pages = [];
    for (const page of pulls) pages.push([page, await recordsOf(page)]);
    Object.assign(this, { incarnation, token, pending: null });
    this.take(receipt);
    if (restored) Object.assign(this, { cursor: 0, cursors: {}, more: true });
    if (restored || receipt.status === "new_epoch_required") return receipt.status;
    const all = [...records, ...pages.flatMap(([, found]) => found)];
    if (all.some(([, { state }]) => this.isForeign(state))) return "new_epoch_required";
    if (this.posts) this.takePosts(posts, pages, pull.more);
    else this.takePull(pull, records);
    return receipt.status;
  }

  take({ status, wanted, items }) {
    if (status === "new_epoch_required") return;
    this.wanted = wanted;
    for (const entry of this.log.slice(wanted - 1)) Object.assign(entry, { outcome: undefined, settled: false });
    for (const [counter, outcome, reasons] of items) Object.assign(this.log[counter - 1], { outcome, reasons });
  }

  /** Whether a pulled state names a change of this enrolment that is not in its log: then a second device wrote it. */
  isForeign({ vector }) {
    const entry = vector[this.id];
    return entry !== undefined && tagOf(this.log[entry[0] - 1]?.hash ?? "") !== entry[1];
  }

  takePull({ left, cursor, more }, records) {
    if (this.cursor === 0) this.pulled.clear();
    for (const [id, record] of records) this.pulled.set(id, record);
    for (const [id, { child }] of this.pulled) if (left.includes(child)) this.pulled.delete(id);
    Object.assign(this, { cursor });
    this.pulledTo(more);
  }

  pulledTo(more) {
    this.more = more;
    if (!more) for (const entry of this.log) entry.settled = Boolean(entry.outcome);
  }

  /** Of a tablet of staff: the posts that it has now, and a page of each that changed. */
  takePosts(posts, pages, more) {
    if (posts) {
      this.posts = posts.map(({ id }) => id);
      this.dropWhere(({ post }) => !this.posts.includes(post));
      this.cursors = Object.fromEntries(this.posts.map((post) => [post, this.cursors[post] ?? 0]));
    }
    for (const [{ post, left, erased = [], cursor }, records] of pages) {
      if (!this.cursors[post]) this.dropWhere((record) => record.post === post);
      const children = new Set(records.map(([, { child }]) => child));
      for (const [id, record] of records) this.pulled.set(id, { ...record, post });
      for (const record of this.pulled.values()) if (children.has(record.child)) record.post = post;
      this.dropWhere((record) => erased.includes(record.child) || (record.post === post && left.includes(record.child)));
      this.cursors[post] = cursor;
    }
    this.pulledTo(more);
  }

  dropWhere(isGone) {
    for (const [id, record] of this.pulled) if (isGone(record)) this.pulled.delete(id);
  }

  /** Sync until everything is sent and fetched; enrols again when told to. Gives the statuses met. */
  async sync() {
    const met = [];
    do {
      met.push(await this.receive(await this.send()));
      if (met.at(-1) === "new_epoch_required") await this.enrolAgain();
    } while (this.more || this.wanted <= this.log.length || met.at(-1) === "new_epoch_required");
    return met;
  }

  // -- enrolling again -----------------------------------------------------------------------------

  async enrolAgain() {
    const keys = await newKeys();
    const tags = this.log.map(({ hash }) => tagOf(hash));
    const request = { tablet: this.id, public_key: await publicKey(keys), app: APP, device: "asing", first: 1, tags };
    const body = JSON.stringify({ request, signature: await sign(this.keys, request) }); // stored with the new key
    const answer = await post(`${this.origin}/api/v1/enrol/again`, body);
    const { id: old, log, pulled } = this;
    Object.assign(this, new Tablet(this.origin, keys, answer), { pulled }); // shown until the first page comes
    const names = new Map(); // of a renumbered change: the old counter -> the new entry
    for (const { counter, change } of log.slice(answer.common)) {
      await this.append({ ...change, context: renamed(change, old, this.id, log.slice(0, answer.common), names) });
      names.set(counter, [this.log.length, tagOf(this.log.at(-1).hash)]);
    }
  }
}

/** The context of a change that gets a new number: what it names of our own renumbered changes gets its new name. */
function renamed(change, old, fresh, common, names) {
  const { [old]: entry, ...context } = change.context;
  if (!entry) return context;
  if (!names.has(entry[0])) return { ...context, [old]: entry };
  const before = common.findLast((earlier) => earlier.change.id === change.id);
  if (before) context[old] = [before.counter, tagOf(before.hash)];
  return { ...context, [fresh]: names.get(entry[0]) };
}

/** What a form on a state names: its vector, or of one with too many actors those of live changes before others. */
function contextOn({ vector, set }, most = 1000) {
  const actors = Object.keys(vector).sort();
  if (actors.length <= most) return vector;
  const live = Object.entries(set)
    .sort()
    .map(([, held]) => (Array.isArray(held) ? held.flatMap(({ dots }) => dots.map(([actor]) => actor)) : actors))
    .sort((one, other) => one.length - other.length);
  const named = [...new Set([...live.flat(), ...actors])].slice(0, most);
  return Object.fromEntries(named.map((actor) => [actor, vector[actor]]));
}

/** Number again under a new id what the server does not hold; `common` null: everything, closed enrolments first. */
async function numberedAgain({ tablet: old, new: fresh, common, past, forgotten, log, pulled }) {
  const held = log.filter(({ counter }) => common !== null && counter <= common);
  const again = [...(common === null ? past : []), ...log.slice(held.length)];
  const made = [];
  for (const was of again) {
    const { context, ...rest } = was.change;
    const earlier = made.filter(({ change }) => change.id === rest.id);
    const named = earlier.filter(({ was: { actor, counter, hash } }) => equal(context[actor], [counter, tagOf(hash)]));
    const entries = { ...context };
    for (const { was: { actor } } of named) delete entries[actor];
    const newest = named.at(-1);
    const before = earlier.slice(0, earlier.indexOf(newest) + 1);
    if (before.length && before.every(({ was: { actor, counter } }) => context[actor]?.[0] >= counter))
      entries[fresh] = [newest.counter, tagOf(newest.hash)];
    const kept = held.findLast(({ change }) => change.id === rest.id);
    const known = pulled?.vector[old]?.[0] <= forgotten[0] ? pulled.vector[old] : undefined;
    const stays = kept ? [kept.counter, tagOf(kept.hash)] : known;
    if (stays && named.some(({ was: { actor } }) => actor === old)) entries[old] = stays;
    const change = { ...rest, context: entries };
    const { hash } = await link(fresh, made.length + 1, made.at(-1)?.hash ?? "", change);
    made.push({ was, actor: fresh, counter: made.length + 1, hash, change });
  }
  return made.map(({ actor, counter, hash, change }) => ({ actor, counter, hash, change }));
}

// -- the vectors ------------------------------------------------------------------------------------------------------

const DAY = { child: "c", measured_on: "2026-01-05", source: "cadre" };
// the records of the four changes in batch.json: a child, its measurement and a correction of that, another measurement
const RECORDS = [
  { kind: "child", id: "c", key: {} },
  { kind: "measurement", id: "m", key: DAY },
  { kind: "measurement", id: "m", key: DAY },
  { kind: "measurement", id: "n", key: { ...DAY, measured_on: "2026-01-06" } },
];

const FOUND = {
  "canonical.json": async ({ value }) => ({ canonical: canonical(value), digest: await digest(value) }),
  "chains.json": async ({ tablet, first, previous, changes }) => {
    const links = [];
    for (const change of changes) {
      links.push(await link(tablet, first + links.length, links.at(-1)?.hash ?? previous, change));
    }
    return { links };
  },
  "signatures.json": async ({ public_key, batch, signature }) => ({ fits: await fits(public_key, batch, signature) }),
  "folds.json": async ({ changes, quarantined }) => fold(changes.toReversed(), quarantined),
  "views.json": async ({ tablet, pulled, unsent }) => ({ shown: view(tablet, pulled, unsent) }),
  "contexts.json": async ({ shown, most }) => ({ context: contextOn(shown, most) }),
  "renumberings.json": async (given) => ({ renumbered: await numberedAgain(given) }),
  "incarnations.json": async ({ answer }) => {
    const tablet = new Tablet("", null, { tablet: "", district: "", post: {}, limits: { changes: 200, bytes: 262144 } });
    for (const { kind, id, key } of RECORDS) await tablet.append({ kind, id, key, context: {}, set: {} });
    for (const entry of tablet.log) entry.outcome = "applied";
    Object.assign(tablet, { incarnation: "i", token: "t", cursor: 7, wanted: 5 });
    await tablet.receive(answer);
    const { incarnation, token, cursor, first, changes } = tablet.nextBatch();
    return { waiting: tablet.waiting(), next: { incarnation, token, cursor, first, changes: changes.length } };
  },
  "posts.json": async ({ tablet: id, posts, answers }) => {
    const limits = { changes: 200, bytes: 262144 };
    const named = posts.map((post) => ({ id: post, name: post }));
    const tablet = new Tablet("", null, { tablet: id, district: "", post: named[0], posts: named, limits });
    const receipt = { batch: "", status: "accepted", wanted: 1, items: [] };
    for (const answer of answers) await tablet.receive({ token: "t", receipt, ...answer });
    const held = Object.fromEntries([...tablet.pulled.values()].map(({ child, post }) => [child, post]));
    return { held, cursors: tablet.nextBatch().cursors };
  },
  "receipts.json": async ({ sent, receipt }) => {
    const tablet = new Tablet("", null, { tablet: "", district: "", post: {}, limits: { changes: 200, bytes: 262144 } });
    for (const { kind, id, key } of RECORDS) await tablet.append({ kind, id, key, context: {}, set: {} });
    const pull = { children: [], measurements: {}, follow_ups: {}, deliveries: {}, left: [], cursor: 0, more: false };
    await tablet.receive({ incarnation: "i", token: "t", receipt, pull });
    const { first, changes, token } = tablet.nextBatch();
    const in_question = tablet.inQuestion();
    return { waiting: tablet.waiting(), in_question, next: { first, changes: changes.length, token } };
  },
};

/** What of a case of a vector file this client finds otherwise: {member: [found, wanted]}; nothing when it passes. */
export async function differences(file, wanted) {
  const found = await FOUND[file](wanted);
  if (file === "folds.json") found.outcomes.reverse();
  const wrong = Object.keys(found).filter((name) => !equal(found[name], wanted[name]));
  return Object.fromEntries(wrong.map((name) => [name, [found[name], wanted[name]]]));
}
