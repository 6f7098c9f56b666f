// Drafts: what is typed into a form and not saved. One for each form, encrypted, never synced. A draft is kept through lock,
// restart and a new version of the app, until its form is saved or emptied or its child leaves this tablet.
//
// A draft has the form as it was first opened: its context tells the server what the cadre had seen when typing began.

import { DRAFTS } from "../store/database.js";
import { clock, idOf } from "../sync/bytes.js";
import { localDay } from "./model.js";

const PLACE = "draft/"; // in the store, before a form's key
const ONLY_SLOT = "draft"; // where versions before this file kept the measurement that was typed last
const STORED_AFTER_MS = 400; // after a key press
const MOST = 100;
const NEW_CHILD = "new-child";

/** What a form is called here: its kind and whose it is. */
export const draftKey = {
  newChild: () => NEW_CHILD,
  child: (id) => `child/${id}`,
  book: (id) => `book/${id}`,
  measurement: (child, on) => `measurement/${child}/${on}`,
  aid: (child) => `aid/${child}`,
  followUp: (task) => `follow_up/${task}`,
};

/** @typedef {import("../sync/replica.js").Form} Form
 * @typedef {{form: Form, tablet: string, at: string, from?: any, value: any}} Draft `tablet`: the enrolment whose names the
 *   context uses; `from`: what the form had before anything was typed */

const copied = (value) => JSON.parse(JSON.stringify(value));
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const childOf = ({ kind, id, key }) => (kind === "child" ? id : key.child);

/** What was typed, laid over what the record has now: of an object member by member. */
function merged(now, from, typed) {
  if (same(typed, from)) return now;
  if (!isObject(now) || !isObject(typed)) return typed;
  const before = isObject(from) ? from : {};
  const members = Object.entries(typed).map(([name, value]) => [name, merged(now[name], before[name], value)]);
  return { ...now, ...Object.fromEntries(members) };
}

export class Drafts {
  /** @type {Map<string, Draft>} by key, the newest last */
  #kept = new Map();
  /** @type {Map<string, any>} what a form has before anything is typed */
  #blank = new Map();
  /** @type {Set<string>} keys whose draft on the disk is not the one above */
  #changed = new Set();
  #storing = Promise.resolve();
  #timer = 0;

  /** @param {import("../store/tablet.js").Tablet} tablet */
  constructor(tablet) {
    this.tablet = tablet;
    /** @type {(error: Error) => void} what was typed could not be stored; tells the cadre */
    this.failed = (error) => console.warn(error);
    this.lost = 0; // drafts that went as there were too many, since the app was opened
  }

  /** Read all drafts of an unlocked tablet. @param {import("../store/tablet.js").Tablet} tablet */
  static async open(tablet) {
    const drafts = new Drafts(tablet);
    await drafts.#read();
    tablet.listen(() => drafts.#dropOrphans());
    drafts.#dropOrphans();
    document.addEventListener("visibilitychange", () => document.hidden && drafts.store());
    return drafts;
  }

  async #read() {
    const names = (await this.tablet.device.database.all(DRAFTS)).map(([name]) => String(name));
    const found = await Promise.all(names.filter((name) => name.startsWith(PLACE)).map((name) => this.#readOne(name)));
    const whole = found.filter(([, draft]) => draft).sort(([, one], [, other]) => (one.at < other.at ? -1 : 1));
    for (const [key, draft] of whole) this.#kept.set(key, draft);
    if (names.includes(ONLY_SLOT)) await this.#carryOver();
  }

  /** One draft; null if it is damaged, which must not keep the tablet shut. */
  async #readOne(name) {
    const draft = await this.tablet.draft(name).catch((error) => {
      console.warn(error);
      return null;
    });
    return /** @type {[string, Draft]} */ ([name.slice(PLACE.length), draft]);
  }

  /** Take over the draft of an older version, which named its record only by an id made of child and day. */
  async #carryOver() {
    const { id, context, ...value } = await this.tablet.draft(ONLY_SLOT);
    const key = await this.#keyOf(id);
    const form = { kind: "measurement", id, key, context };
    if (key) this.#put(draftKey.measurement(key.child, key.measured_on), form, value);
    await this.store();
    await this.tablet.putDraft(ONLY_SLOT, null);
  }

  /** The key of a measurement with this id: of the list's day, of today, or of a day on which the child was measured. */
  async #keyOf(id) {
    const { replica } = this.tablet;
    const { date } = (await this.tablet.draft("session")) || {};
    for (const child of replica.children()) {
      const measured = replica.child(child).measurements.map(({ place }) => place.split("/")[0]);
      const own = (replica.ofChild.get(child) || []).map(({ change }) => change.key.measured_on);
      for (const measured_on of new Set([date, localDay(), ...measured, ...own].filter(Boolean))) {
        const key = { child, measured_on, source: "cadre" };
        if ((await idOf("measurement", key)) === id) return key;
      }
    }
    return null;
  }

  // -- forms -----------------------------------------------------------------------------------------

  /** What a form begins with: its draft, else `blank`. With a draft, `form` becomes as it was when that was begun. What was not
   * touched is as the record has it now.
   * @param {string} key @param {Form} form @param {any} blank what the record has @returns {any} */
  begin(key, form, blank) {
    this.#blank.set(key, copied(blank));
    const draft = this.#kept.get(key);
    if (!draft) return blank;
    const { context, ...named } = draft.form;
    Object.assign(form, named, draft.tablet === this.tablet.replica.facts.tablet ? { context } : {});
    return merged(blank, draft.from, copied(draft.value));
  }

  /** Keep what is typed; a form that is as it began has no draft. @param {string} key @param {Form} form @param {object} value */
  keep(key, form, value) {
    if (same(value, this.#blank.get(key))) this.drop(key);
    else this.#put(key, form, value);
  }

  #put(key, form, value) {
    const { tablet } = this.tablet.replica.facts;
    this.#kept.delete(key); // so that it becomes the newest
    this.#kept.set(key, { form: { ...form }, tablet, at: clock(), from: this.#blank.get(key), value: copied(value) });
    this.#soon(key);
    for (const oldest of [...this.#kept.keys()].slice(0, -MOST)) {
      this.drop(oldest);
      this.lost += 1;
    }
  }

  /** @param {string} key @returns {Draft|undefined} what was dropped */
  drop(key) {
    const draft = this.#kept.get(key);
    if (this.#kept.delete(key)) this.#soon(key);
    return draft;
  }

  /** Take back a `drop`. @param {string} key @param {Draft} draft */
  putBack(key, draft) {
    this.#kept.set(key, draft);
    this.#soon(key);
  }

  /** Save a form, and drop its draft in the same transaction. @param {string} key @param {Form} form @param {object} set registers */
  write(key, form, set) {
    return this.saving(key, (drop) => this.tablet.write(form, set, drop));
  }

  /** Save in another way. @template T @param {string} key
   * @param {(drop: Array<[string, any, any]>) => Promise<T>} save given what drops the draft in the transaction of the save */
  async saving(key, save) {
    const draft = this.#kept.get(key);
    this.#kept.delete(key);
    this.#changed.delete(key);
    try {
      return await save([[DRAFTS, PLACE + key, undefined]]);
    } catch (error) {
      if (draft) this.putBack(key, draft);
      throw error;
    }
  }

  // -- looking ---------------------------------------------------------------------------------------

  /** @param {string} key @returns {Draft|undefined} */
  get(key) {
    return this.#kept.get(key);
  }

  /** The keys of a child's drafts, the newest last. @param {string} child @returns {string[]} */
  of(child) {
    const its = [...this.#kept].filter(([key, { form }]) => key !== NEW_CHILD && childOf(form) === child);
    return its.map(([key]) => key);
  }

  // -- storing ---------------------------------------------------------------------------------------

  #soon(key) {
    this.#changed.add(key);
    this.#timer = this.#timer || window.setTimeout(() => this.store(), STORED_AFTER_MS);
  }

  /** Store all that is not on the disk yet. Resolves when the transaction has completed or failed. @returns {Promise<void>} */
  store() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#storing = this.#storing.then(() => this.#storeChanged());
    return this.#storing;
  }

  async #storeChanged() {
    const keys = [...this.#changed];
    if (!keys.length) return;
    this.#changed.clear();
    const sealed = await Promise.all(keys.map((key) => this.#sealed(key)));
    // a form that was saved or typed into meanwhile has another draft now; its box is out of date
    const current = sealed.filter(({ key, draft }) => this.#kept.get(key) === draft);
    try {
      await this.tablet.device.database.commit(current.map(({ key, box }) => [DRAFTS, PLACE + key, box]));
    } catch (error) {
      for (const key of keys) this.#changed.add(key);
      this.failed(/** @type {Error} */ (error));
    }
  }

  async #sealed(key) {
    const draft = this.#kept.get(key);
    return { key, draft, box: draft && (await this.tablet.vault.seal(`${DRAFTS}/${PLACE}${key}`, draft)) };
  }

  /** Drop the drafts of children whom this tablet does not hold any more: erased, or moved to another post. */
  #dropOrphans() {
    const { replica } = this.tablet;
    if (!this.#kept.size || replica.facts.more) return; // while children are being fetched some are missing
    const known = new Set(replica.children());
    for (const [key, { form }] of this.#kept) if (key !== NEW_CHILD && !known.has(childOf(form))) this.drop(key);
  }
}
