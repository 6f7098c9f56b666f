// Sync: sends batches and takes answers until neither side has more, and tries again after a failure.
//
// The replica has the rules about changes. This file has requests and retries, and handles the answers that this device must
// enrol again, that it was revoked, or that the app is too old.

import { newKeys, publicKey } from "./chain.js";
import { contacted, heardNow } from "./contact.js";
import { NoConnection, Refused } from "./http_client.js";
import { arePosts, isPage } from "./pages.js";
import { openReceipt, seal, SEALED_BATCHES } from "./sealed.js";

const FIRST_SIZE = 25; // changes of the first batch, while the connection's speed is unknown
const LARGEST_SIZE = 200;
const QUICK_MS = 4000; // a batch answered within this may be followed by a larger one
const FIRST_PAUSE_MS = 2000;
const LONGEST_PAUSE_MS = 30000; // unless the server asks for longer
const TOO_OLD = 426; // the batch names the app's version, so it is made again after the update
const NOTHING_HELD = new Set([400, 409, 413, 415, 422, TOO_OLD]); // the batch is made again and may then be accepted
const MOST_AGAIN = 3;
const MOST_SEALED = 50;

/** @typedef {{phase: "idle"|"running"|"waiting", answered: number, of: number, problem: object|null, nextAt: number}} Status */

export class Engine {
  /** @param {import("../store/tablet.js").Tablet} tablet @param {import("./http_client.js").HttpClient} http @param {string} device its name */
  constructor(tablet, http, device) {
    this.tablet = tablet;
    this.http = http;
    this.device = device;
    this.size = FIRST_SIZE;
    this.pause = FIRST_PAUSE_MS; // before the next try if this one fails
    this.notBefore = 0; // the server asked to wait until then
    /** @type {Promise<Status>|null} */
    this.running = null;
    this.timer = 0;
    this.stopped = false;
    this.revoked = false; // as an answer said; answers to batches without changes do not say it
    /** @type {Status} */
    this.status = { phase: "idle", answered: 0, of: 0, problem: null, nextAt: 0 };
    this.listeners = new Set();
  }

  /** @param {(status: Status) => void} listener */
  listen(listener) {
    this.listeners.add(listener);
  }

  #tell(changes) {
    this.status = { ...this.status, ...changes };
    for (const listener of this.listeners) listener(this.status);
  }

  /** Sync now; joins a sync that is under way. @returns {Promise<Status>} */
  sync() {
    this.running = this.running || this.#run().finally(() => (this.running = null));
    return this.running;
  }

  /** Milliseconds for which the server asked not to come again by itself. A tap on "send" need not wait. */
  get rest() {
    return Math.max(this.notBefore - Date.now(), 0);
  }

  /** The browser has a connection again: try at once, or as soon as the server allows. */
  lineBack() {
    this.pause = FIRST_PAUSE_MS;
    if (!this.rest) this.sync();
    else if (this.status.phase !== "waiting") {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.sync(), this.rest);
    }
  }

  stop() {
    clearTimeout(this.timer);
    this.stopped = true;
  }

  async #run() {
    clearTimeout(this.timer);
    this.#tell({ phase: "running", problem: null, answered: 0, of: this.#waiting(), nextAt: 0 });
    try {
      await this.#exchange();
      await this.deliver();
      this.pause = FIRST_PAUSE_MS;
      this.#tell({ phase: "idle" });
    } catch (error) {
      this.#troubled(error);
    }
    return this.status;
  }

  #troubled(error) {
    if (error instanceof NoConnection) {
      const asked = error.seconds * 1000;
      this.notBefore = Date.now() + asked;
      const pause = asked + this.pause * (0.5 + Math.random() / 2); // at random, so that tablets do not come back together
      this.pause = Math.min(this.pause * 2, LONGEST_PAUSE_MS);
      this.#wait(pause, asked ? "server-busy" : "line-lost");
    } else if (error instanceof Refused) {
      this.#tell({ phase: "idle", problem: error });
    } else {
      this.#tell({ phase: "idle", problem: { code: "internal", title: String(error) } });
      throw error;
    }
  }

  /** Try again after a pause; while the browser is offline, keep waiting. */
  #wait(pause, code = "line-lost") {
    this.#tell({ phase: "waiting", problem: { code }, nextAt: Date.now() + pause });
    if (this.stopped) return;
    this.timer = setTimeout(() => (navigator.onLine ? this.sync() : this.#wait(LONGEST_PAUSE_MS)), pause);
  }

  /** Number of children with waiting changes, for the progress shown. */
  #waiting() {
    return new Set(this.tablet.replica.waiting().map(({ change }) => change.key.child || change.id)).size;
  }

  async #exchange() {
    const { tablet } = this;
    let again = 0;
    for (let more = true; more;) {
      const pending = await tablet.pending(this.size);
      const from = Date.now();
      try {
        const answer = await this.http.post("/api/v1/sync", tablet.device.bytes(pending));
        again = 0;
        this.size = Date.now() - from < QUICK_MS ? Math.min(this.size * 2, LARGEST_SIZE) : Math.max(this.size >> 1, 5);
        more = await this.#take(answer, pending);
        if (more || pending.count) this.pause = FIRST_PAUSE_MS; // it made progress; a single empty exchange does not count
      } catch (error) {
        again += 1;
        this.size = Math.max(this.size >> 1, 5);
        const refused = error instanceof Refused && NOTHING_HELD.has(error.status);
        if (refused) await tablet.turn(() => tablet.commit({ pending: null }));
        if (!refused || error.status === TOO_OLD || again === MOST_AGAIN) throw error;
      }
    }
  }

  /** @returns {Promise<boolean>} whether another round trip would bring more */
  async #take(answer, pending) {
    if (!isAnswer(answer, pending)) throw new NoConnection("not an answer to this batch");
    this.notBefore = Date.now() + this.http.pause * 1000;
    const { tablet } = this;
    const { delta, event } = await tablet.turn(async () => {
      const taken = await tablet.replica.receive(answer);
      await tablet.commit(taken.delta);
      return taken;
    });
    const { device } = tablet;
    await device.jot({ contact: contacted(answer), usage: device.facts.usage });
    this.#tell({ answered: Math.max(this.status.of - this.#waiting(), 0) });
    this.revoked = this.revoked || isRevoked(answer.receipt);
    if (this.revoked) throw new Refused(403, { code: "tablet-revoked" });
    if (event === "new_epoch_required") await this.#renew();
    const { facts } = tablet.replica;
    return (
      event === "new_epoch_required" || facts.more || facts.sent < tablet.replica.head()[0] || Boolean(delta.facts.more)
    );
  }

  // -- enrolling again -----------------------------------------------------------------------------

  async #renew() {
    const { tablet, device } = this;
    const { facts } = tablet.device;
    let again = facts.enrolling;
    if (!again || !again.request) {
      const keys = await newKeys();
      const { tablet: id, app } = tablet.replica.facts;
      const request = { tablet: id, public_key: await publicKey(keys), app, device, ...tablet.replica.kept() };
      again = { keys, request };
      await tablet.turn(() => tablet.device.note({ enrolling: again }));
    }
    const signed = await tablet.device.signed("request", again.request);
    const welcome = await this.http.post("/api/v1/enrol/again", signed).catch(async (error) => {
      // the server was restored since and knows of no reason: the next sync goes on as before
      if (error.code === "enrolment-open") await tablet.turn(() => tablet.device.note({ enrolling: undefined }));
      throw error;
    });
    await this.#adopt(welcome, welcome.common, again.keys);
  }

  /** Enrol with a new code, where the server does not know this device any more or refuses to renew it without one. */
  async reEnrol(code) {
    const { tablet } = this;
    const { app } = tablet.replica.facts;
    const { keys, welcome } = await tablet.turn(() => tablet.device.askToEnrol(this.http, code, app, this.device));
    await this.#adopt(welcome, null, keys);
  }

  #adopt(welcome, common, signing) {
    const { tablet } = this;
    return tablet.turn(async () => {
      const keys = { ...tablet.device.facts.keys, signing };
      const delta = await tablet.replica.renumbered(welcome, common);
      await tablet.commit(delta, [
        ["facts", "keys", keys],
        ["facts", "enrolling", undefined],
      ], signing);
      Object.assign(tablet.device.facts, { keys, enrolling: undefined });
      await tablet.device.keepBox(tablet.vault.dataKey); // it names the enrolment
    });
  }

  // -- sealed batches --------------------------------------------------------------------------------

  /** Unacknowledged changes as sealed batches: lines of a file that anybody may carry.
   * @param {boolean} [expecting] keep the keys with which their receipts are opened
   * @returns {Promise<string>} "" when everything is acknowledged */
  async sealedBatches(expecting = false) {
    const { tablet } = this;
    return tablet.turn(async () => {
      const sealed = await this.#sealed();
      if (expecting && sealed.length) {
        const slips = [...((await tablet.draft("slips")) || []), ...sealed.map(({ slip }) => slip)];
        await tablet.putDraft("slips", slips.slice(-200));
      }
      return sealed.map(({ letter }) => `${JSON.stringify(letter)}\n`).join("");
    });
  }

  async #sealed() {
    const { replica, device } = this.tablet;
    const sealed = [];
    for (const batch of replica.carriedBatches())
      sealed.push(await seal({ batch, signature: await device.signature(batch) }, replica.facts.sealing));
    return sealed;
  }

  /** Send what is in memory without storing anything, where the storage is gone. @returns {Promise<boolean>} whether all was taken */
  async sendFromMemory() {
    const sealed = await this.tablet.turn(() => this.#sealed());
    const { answers } = await this.http.send("/api/v1/carried", { letters: sealed.map(({ letter }) => letter) });
    const receipts = await Promise.all(sealed.map(({ slip }, at) => openReceipt(answers[at], slip)));
    return receipts.every(({ status }) => status === "accepted");
  }

  /** Take receipts that came back by another way. @param {Array<object>} receipts @returns {Promise<number>} how many were ours */
  async takeReceipts(receipts) {
    const { tablet } = this;
    return tablet.turn(async () => {
      const slips = new Map(((await tablet.draft("slips")) || []).map((slip) => [slip.name, slip]));
      let taken = 0;
      for (const answer of receipts) {
        const slip = slips.get(answer.sealed_receipt.letter);
        if (!slip) continue;
        const receipt = await openReceipt(answer, slip);
        this.revoked = this.revoked || isRevoked(receipt);
        await tablet.commit(receipt.batch === slip.batch ? tablet.replica.receiveCarried(receipt) : null);
        slips.delete(slip.name);
        taken += 1;
      }
      if (taken) await tablet.putDraft("slips", [...slips.values()]);
      if (this.revoked) this.#tell({ problem: { code: "tablet-revoked" } });
      else if (taken) await tablet.device.jot({ contact: heardNow(tablet.device.facts.contact) });
      return taken;
    });
  }

  /** Send the sealed batches of other tablets that are stored here, and store their receipts. */
  async deliver() {
    await deliver(this.tablet.device, this.http);
  }
}

/** Send all sealed batches stored on a device, its own in the order of their changes. Needs no PIN: only the server can read them.
 * The answer is a contact.
 * @param {import("../store/device.js").Device} device @param {import("./http_client.js").HttpClient} http */
export async function deliver(device, http) {
  const { database } = device;
  const waiting = (await database.all(SEALED_BATCHES)).filter(([, { answer }]) => !answer);
  waiting.sort(([, one], [, other]) => (one.order || 0) - (other.order || 0));
  for (let at = 0; at < waiting.length; at += MOST_SEALED) {
    const some = waiting.slice(at, at + MOST_SEALED);
    const { answers } = await http.send("/api/v1/carried", { letters: some.map(([, { letter }]) => letter) });
    if (!Array.isArray(answers) || answers.length !== some.length) throw new NoConnection("not an answer to these letters");
    await database.commit(some.map(([name, held], place) => [SEALED_BATCHES, name, { ...held, answer: answers[place] }]));
    if (device.isEnrolled && http.serverTime) await device.jot({ contact: contacted({ server_time: http.serverTime }) });
  }
}

/** Whether this is an answer to this batch; answers of captive portals, proxies or faults must not reach the replica. */
function isAnswer(answer, { id, first, count }) {
  const { protocol, receipt, pull, incarnation, token } = answer || {};
  if (protocol !== 1 || !receipt || !pull || typeof incarnation !== "string" || typeof token !== "string") return false;
  if (receipt.batch !== id || !Array.isArray(receipt.items) || !(receipt.wanted >= 1)) return false;
  if (!isPage(pull) || !arePosts(answer)) return false;
  const counters = receipt.status === "accepted" ? count : 0;
  if (receipt.status === "gap" && receipt.wanted >= first) return false;
  return receipt.items.length === counters && receipt.items.every(([counter], at) => counter === first + at);
}

const isRevoked = ({ items }) =>
  items.some(([, , reasons]) => (reasons || []).some(({ code }) => code === "tablet-revoked"));
