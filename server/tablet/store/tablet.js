// An unlocked tablet: the replica in memory, all its data encrypted in the database, one writer at a time.
//
// A change is applied to memory only after its transaction has completed, so nothing is shown as saved that is not stored.

import { base64url, clock } from "../sync/bytes.js";
import { Replica } from "../sync/replica.js";
import { DRAFTS } from "./database.js";
import { OwnCopy } from "./own_copy.js";

const KEPT_DAYS = 90; // acknowledged changes, in case the server is restored from a backup
const DAY_MS = 86400000;

export class Tablet {
  /** @param {import("./device.js").Device} device @param {import("./vault.js").Vault} vault @param {Replica} replica
   * @param {{author: string, name: string}} cadre who unlocked it @param {OwnCopy} copy */
  constructor(device, vault, replica, cadre, copy) {
    this.device = device;
    this.vault = vault;
    this.replica = replica;
    this.cadre = cadre;
    this.copy = copy;
    this.listeners = new Set();
    this.queue = Promise.resolve();
    /** Stretches the PIN anew; null where it has enough rounds. @type {(() => Promise<void>)|null} */
    this.strengthen = null;
  }

  /** Decrypt everything. @param {import("./device.js").Device} device @param {import("./vault.js").Vault} vault */
  static async open(device, vault, cadre) {
    const { database } = device;
    const boxes = async (store) => {
      const opened = async ([key, box]) => /** @type {[any, any]} */ ([key, await vault.open(`${store}/${key}`, box)]);
      return Promise.all((await database.all(store)).map(opened));
    };
    const [log, held, pending, past] = await Promise.all(["log", "held", "pending", "past"].map(boxes));
    const stored = {
      facts: device.facts.tablet,
      log: log.map(([, entry]) => entry),
      held: new Map(held),
      pending: pending.length ? pending[0][1] : null,
      past: past.length ? past[0][1] : [],
    };
    const copy = await OwnCopy.open(database);
    return new Tablet(device, vault, new Replica(stored), cadre, copy);
  }

  /** Work that reads and then writes, one after the other. @template T @param {() => Promise<T>} work @returns {Promise<T>} */
  turn(work) {
    const done = this.queue.then(work);
    this.queue = done.then(
      () => {},
      () => {},
    );
    return done;
  }

  /** Be told after every change, of the children that it touched; null: perhaps all. @param {(ids: Set<string>|null) => void} listener */
  listen(listener) {
    this.listeners.add(listener);
  }

  // -- writing -------------------------------------------------------------------------------------

  /** Save a form. Resolves when the change is stored, numbered and chained. @param {object} form as opened by the replica
   * @param {object} set registers, whole @param {Array<[string, any, any]>} [others] more to store with it */
  async write(form, set, others = []) {
    return this.writeAll([{ form, set }], others);
  }

  /** Save changes of several records in one transaction. @param {Array<{form: object, set: object}>} acts
   * @param {Array<[string, any, any]>} [others] more to store with them */
  async writeAll(acts, others = []) {
    return this.turn(async () => {
      await this.commit(await this.replica.writeAll(acts, this.cadre.author), others);
    });
  }

  /** Store a delta in one transaction, then apply it. @param {import("../sync/replica.js").Delta|null} delta
   * @param {Array<[string, any, any]>} [others] more to store with it
   * @param {CryptoKeyPair} [keys] of the enrolment, where the delta brings another */
  async commit(delta, others = [], keys = this.device.facts.keys.signing) {
    if (!delta) return;
    const copy = await this.copy.renewed(this.replica.foreseen(delta), keys);
    const puts = [...(await this.#puts(delta)), ...copy.puts, ...others];
    const clear = [...(delta.clear ? ["held"] : []), ...(delta.renumbered ? ["log"] : [])];
    await this.device.commit(puts, clear);
    this.copy.rows = copy.rows;
    this.replica.apply(delta);
    this.device.facts.tablet = this.replica.facts;
    const ids = delta.clear || delta.renumbered ? null : touched(delta);
    for (const listener of this.listeners) listener(ids);
  }

  /** @param {import("../sync/replica.js").Delta} delta @returns {Promise<Array<[string, any, any]>>} */
  async #puts({ facts, log = [], forget = [], held, pending, past }) {
    /** @returns {Promise<[string, any, any]>} */
    const sealed = async (store, key, value) => [
      store,
      key,
      value ? await this.vault.seal(`${store}/${key}`, value) : undefined,
    ];
    return Promise.all([
      ...log.map((entry) => sealed("log", entry.counter, entry)),
      ...[...(held || [])].map(([id, child]) => sealed("held", id, child)),
      ...(pending !== undefined ? [sealed("pending", 1, pending)] : []),
      ...(past ? [sealed("past", 1, past)] : []),
      ...forget.map((counter) => /** @type {[string, any, any]} */ (["log", counter, undefined])),
      ...(facts ? [/** @type {[string, any, any]} */ (["facts", "tablet", { ...this.replica.facts, ...facts }])] : []),
    ]);
  }

  /** Drop acknowledged changes older than 90 days. */
  async tidy() {
    const before = clock(new Date(Date.now() - KEPT_DAYS * DAY_MS));
    await this.turn(async () => this.commit(this.replica.forgetting(before)));
  }

  /** Seal the copy anew where it does not hold all that waits (an earlier version wrote it), or has many parts. */
  async renewCopy() {
    await this.turn(async () => {
      if (this.copy.isFit(this.replica)) return;
      const { rows, puts } = await this.copy.renewed(this.replica, this.device.facts.keys.signing, true);
      await this.device.commit(puts);
      this.copy.rows = rows;
    });
  }

  // -- sending -------------------------------------------------------------------------------------

  /** The batch to send: the pending one, or a new one, which is stored before it is sent. @param {number} most changes
   * @returns {Promise<import("../sync/replica.js").Pending>} */
  async pending(most) {
    return this.turn(async () => {
      if (!this.replica.pending) {
        const batch = this.replica.nextBatch(most);
        const body = base64url(await this.device.signed("batch", batch));
        await this.commit({ pending: { id: batch.batch, first: batch.first, count: batch.changes.length, body } });
      }
      return /** @type {import("../sync/replica.js").Pending} */ (this.replica.pending);
    });
  }

  // -- drafts: what is typed or chosen, encrypted, never synced ---------------------------------------

  /** @param {string} name */
  async draft(name) {
    const box = await this.device.database.get(DRAFTS, name);
    return box ? this.vault.open(`${DRAFTS}/${name}`, box) : null;
  }

  /** @param {string} name @param {any} value null takes it away */
  async putDraft(name, value) {
    const box = value === null ? undefined : await this.vault.seal(`${DRAFTS}/${name}`, value);
    await this.device.database.commit([[DRAFTS, name, box]]);
  }
}

/** @param {import("../sync/replica.js").Delta} delta @returns {Set<string>} ids of the children of whom something changes */
const touched = ({ log = [], held = new Map() }) =>
  new Set([...held.keys(), ...log.map(({ change }) => change.key.child || change.id)]);
