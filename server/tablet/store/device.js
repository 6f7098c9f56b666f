// What can be read without a PIN: the device's enrolment, who may unlock it, its keys. It has no data about children. Facts
// are in the store `facts`: `tablet` (replica.js), `keys`, `cadres`, `settings`, `usage`, `contact`, `readings` of the clock since
// (silence.js), `recovery` (recovery.js), `enrolling` (a request whose answer has not come), `tries` (wrong PINs), `leaving` (a wipe that waits for a PIN).

import { gzip, unbase64url } from "../sync/bytes.js";
import { newKeys, publicKey, sign } from "../sync/chain.js";
import { contacted } from "../sync/contact.js";
import { newFacts } from "../sync/replica.js";
import { Database, SEALED_BATCHES, STORES } from "./database.js";
import { isCopied, ownLetters, queued } from "./own_copy.js";
import { newBox, recovered } from "./recovery.js";
import { DAYS_WITHOUT_CONTACT, noted, silentDays } from "./silence.js";
import { Tablet } from "./tablet.js";
import { MOST_DELAYS, policyOf, shapeOf, suffices } from "./pin_policy.js";
import { Vault, WrongPin, lockFor, newDataKey, newDeviceKey, unlockAndJudge } from "./vault.js";

const FREE_TRIES = 5;
const FIRST_WAIT_MS = 30000;
const LONGEST_WAIT_MS = 900000;

export class Device {
  /** @param {string} name @param {Database} database @param {object} facts */
  constructor(name, database, facts) {
    this.name = name;
    this.database = database;
    this.facts = facts;
    /** @type {boolean|undefined} whether the browser made the storage persistent; undefined: it was not asked */
    this.persisted = undefined;
    /** The sealed copy, in memory while nobody is signed in. @type {{count: number, letters: object[]}} */
    this.copyAtStart = { count: 0, letters: [] };
    this.queue = Promise.resolve();
  }

  /** @param {string} [name] of the database @returns {Promise<Device>} */
  static async open(name = "posyandu") {
    const database = await Database.open(name);
    const device = new Device(name, database, Object.fromEntries(await database.all("facts")));
    if (device.isEnrolled) {
      const newest = (await database.keys("log")).pop() || 0;
      const count = Math.max(newest - device.facts.tablet.sent, 0);
      device.copyAtStart = { count, letters: count ? await ownLetters(database) : [] };
    }
    return device;
  }

  /** Store in one transaction, after those that were asked for before. @param {Array<[string, any, any]>} puts
   * @param {string[]} [clear] @returns {Promise<void>} */
  commit(puts, clear = []) {
    const done = this.queue.then(async () => {
      const revision = this.facts.revision || 0;
      await this.database.commit(puts, { clear, expect: revision });
      this.facts.revision = revision + 1;
    });
    this.queue = done.catch(() => {}); // whoever asked is told
    return done;
  }

  /** Store facts. @param {object} facts by name; undefined takes one away */
  async note(facts) {
    await this.commit(Object.entries(facts).map(([name, value]) => ["facts", name, value]));
    Object.assign(this.facts, facts);
  }

  /** Store facts on which nothing else depends, whoever else writes: a locked window may. @param {object} facts by name */
  async jot(facts) {
    await this.database.commit(Object.entries(facts).map(([name, value]) => ["facts", name, value]));
    Object.assign(this.facts, facts);
  }

  /** Whether the storage still holds what this page knows. What the browser only closed is opened again.
   * @returns {Promise<"here"|"elsewhere"|"gone">} elsewhere: another window has written */
  whereabouts() {
    const found = this.queue.then(async () => {
      if (!(await this.database.reopen())) return "gone";
      const facts = Object.fromEntries(await this.database.all("facts"));
      if ((facts.revision || 0) === (this.facts.revision || 0)) return "here";
      const mine = this.facts.tablet && facts.tablet && facts.tablet.tablet === this.facts.tablet.tablet;
      return mine ? "elsewhere" : "gone";
    });
    this.queue = found.then(
      () => {},
      () => {},
    );
    return /** @type {Promise<"here"|"elsewhere"|"gone">} */ (found.catch(() => "gone"));
  }

  get isEnrolled() {
    return Boolean(this.facts.tablet);
  }

  get cadres() {
    return this.facts.cadres || [];
  }

  get settings() {
    return { language: "id", lockMinutes: 5, ...this.facts.settings };
  }

  // -- enrolling -----------------------------------------------------------------------------------

  /** Exchange a code for an enrolment. Called again with the same code after an interruption, it repeats the same request.
   * @param {import("../sync/http_client.js").HttpClient} http @param {string} code @param {string} app @param {string} name of the device */
  async enrol(http, code, app, name) {
    const { keys, welcome } = await this.askToEnrol(http, code, app, name);
    const held = { signing: keys, device: await newDeviceKey() };
    await this.note({
      tablet: newFacts(welcome, app),
      keys: held,
      enrolling: undefined,
      name,
      contact: contacted(welcome),
    });
  }

  /** @returns {Promise<{keys: CryptoKeyPair, welcome: object}>} */
  async askToEnrol(http, code, app, device) {
    let { enrolling } = this.facts;
    if (!enrolling || enrolling.code !== code) {
      enrolling = { code, keys: await newKeys() };
      await this.note({ enrolling });
    }
    const request = { code, public_key: await publicKey(enrolling.keys), app, device };
    return { keys: enrolling.keys, welcome: await http.send("/api/v1/enrol", request) };
  }

  /** @param {object} message @returns {Promise<string>} */
  signature(message) {
    return sign(this.facts.keys.signing, message);
  }

  /** An envelope `{name: message, signature}`, packed. @param {string} name @param {object} message @param {CryptoKeyPair} [keys] */
  async signed(name, message, keys = this.facts.keys.signing) {
    return gzip(JSON.stringify({ [name]: message, signature: await sign(keys, message) }));
  }

  /** The bytes of a pending batch. @param {{body: string}} pending */
  bytes({ body }) {
    return unbase64url(body);
  }

  // -- people --------------------------------------------------------------------------------------

  /** Let the first cadre in; makes the key that everything is encrypted with. @returns {Promise<Tablet>} */
  async begin(name, pin) {
    const dataKey = await newDataKey();
    const cadre = await this.admit(name, pin, dataKey);
    return Tablet.open(this, new Vault(dataKey), cadre);
  }

  /** Let a cadre in, or give one a new PIN. @param {string} name @param {string} pin @param {CryptoKey} dataKey */
  async admit(name, pin, dataKey) {
    const lock = await lockFor(this.facts.keys.device, dataKey, pin);
    const known = this.cadres.find((one) => one.name === name);
    const author = known ? known.author : authorOf(name, this.cadres);
    const cadre = { name, author, lock, pin: shapeOf(pin) };
    await this.note({ cadres: [...this.cadres.filter((one) => one.name !== name), cadre] });
    return cadre;
  }

  /** Keep the data key sealed to the server, for a forgotten PIN. @param {CryptoKey} dataKey */
  async keepBox(dataKey) {
    const recovery = await newBox(this, dataKey);
    if (recovery) await this.jot({ recovery });
  }

  /** Open the tablet for a code of the health centre, and give the cadre a new PIN.
   * @param {import("../sync/http_client.js").HttpClient} http @returns {Promise<Tablet>} */
  async openAgain(http, code, name, pin) {
    const dataKey = await recovered(this, http, code);
    const cadre = await this.admit(name, pin, dataKey);
    await this.note({ tries: undefined });
    return Tablet.open(this, new Vault(dataKey), cadre);
  }

  /** @param {string} author */
  async dismiss(author) {
    await this.note({ cadres: this.cadres.filter((one) => one.author !== author) });
  }

  /** How long nobody may try a PIN, in milliseconds. @param {number} now */
  waitMs(now) {
    const { count = 0, at = 0 } = this.facts.tries || {};
    if (count < FREE_TRIES) return 0;
    const wait = Math.min(FIRST_WAIT_MS * 2 ** (count - FREE_TRIES), LONGEST_WAIT_MS);
    return Math.min(Math.max(at + wait - now, 0), wait); // a clock that was set back does not lock for ever
  }

  /** @param {string} author @param {string} pin @returns {Promise<Tablet>} rejects with WrongPin */
  async unlock(author, pin) {
    const cadre = this.cadres.find((one) => one.author === author);
    const { count = 0 } = this.facts.tries || {};
    try {
      const { dataKey, isBehind } = await unlockAndJudge(this.facts.keys.device, cadre.lock, pin);
      if (count) await this.note({ tries: undefined });
      const tablet = await Tablet.open(this, new Vault(dataKey), cadre);
      if (isBehind) tablet.strengthen = () => this.#restretch(tablet, cadre, pin, dataKey);
      return tablet;
    } catch (error) {
      if (error instanceof WrongPin) await this.note({ tries: { count: count + 1, at: Date.now() } });
      throw error;
    }
  }

  /** Wrap the data key anew with more rounds of the same PIN, unless the cadre got another one meanwhile. One transaction: a
   * browser that dies in between leaves the old lock or the new one, and the PIN opens both. */
  async #restretch(tablet, { author, lock: old }, pin, dataKey) {
    const lock = await lockFor(this.facts.keys.device, dataKey, pin);
    const renewed = (one) => (one.author === author && one.lock === old ? { ...one, lock, pin: shapeOf(pin) } : one);
    await tablet.turn(() => this.note({ cadres: this.cadres.map(renewed) }));
  }

  /** What a new PIN must be. */
  get pinPolicy() {
    return policyOf(this.facts.pin);
  }

  /** Whether a cadre is to choose another PIN, and may put that off to another day. @param {string} author @param {string} today
   * @returns {{isDue: boolean, mayWait: boolean}} */
  newPin(author, today) {
    const cadre = this.cadres.find((one) => one.author === author);
    const { times = 0, on = "" } = (cadre && cadre.delayed) || {};
    const isDue = Boolean(cadre) && !suffices(cadre.pin, this.pinPolicy) && on !== today;
    return { isDue, mayWait: times < MOST_DELAYS };
  }

  /** @param {string} author @param {string} today */
  async delayNewPin(author, today) {
    const delayed = ({ delayed: { times = 0 } = {} }) => ({ times: times + 1, on: today });
    await this.note({ cadres: this.cadres.map((one) => (one.author === author ? { ...one, delayed: delayed(one) } : one)) });
  }

  // -- forgetting ----------------------------------------------------------------------------------

  /** Note the day on which the tablet is used, as silence.js counts it. @param {number} now */
  async noteReading(now) {
    const { contact, readings = [] } = this.facts;
    if (!contact || !this.isEnrolled) return;
    const after = noted(contact, readings, now);
    if (after !== readings) await this.jot({ readings: after });
  }

  /** Days without contact, as far as the clock can be believed. @param {number} now */
  daysWithoutContact(now) {
    const { contact, readings = [] } = this.facts;
    return contact && this.isEnrolled ? silentDays(contact, readings, now) : 0;
  }

  /** Whether it was so long without contact that what can be read should go. @param {number} now */
  isContactExpired(now) {
    return this.daysWithoutContact(now) > DAYS_WITHOUT_CONTACT;
  }

  /** Wipe everything but sealed letters, which only the server can read. The sealed copy becomes letters to deliver. If it lacks
   * a change, the own changes are kept, encrypted, until a PIN opens them once more.
   * @param {string} why shown to whoever opens it next @returns {Promise<boolean>} whether everything was wiped */
  async wipe(why) {
    const letters = await queued(this.database);
    const wiped = { why, at: new Date().toISOString() };
    if (!(await isCopied(this.database, this.facts.tablet))) {
      await this.commit([...letters, ["facts", "leaving", wiped]], ["held", "past"]);
      this.facts.leaving = wiped;
      return false;
    }
    const kept = Object.entries({ wiped, settings: this.facts.settings }).filter(([, value]) => value);
    const puts = kept.map(([name, value]) => /** @type {[string, any, any]} */ (["facts", name, value]));
    await this.commit([...puts, ...letters], STORES.filter((store) => store !== SEALED_BATCHES));
    this.facts = { ...Object.fromEntries(kept), revision: this.facts.revision };
    return true;
  }
}

/** A name as authors are written: "Bu Sri Contoh" -> "kader.bu-sri-contoh"; the same on every tablet. */
function authorOf(name, cadres) {
  const plain = name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 40);
  const taken = new Set(cadres.map(({ author }) => author));
  const base = `kader.${plain || "tanpa-nama"}`;
  let author = base;
  for (let number = 2; taken.has(author); number += 1) author = `${base}.${number}`;
  return author;
}
