// The only module that uses IndexedDB. A promise here resolves when the *transaction* has completed, never when a request
// succeeded, so that "saved" on the screen means stored.

import { SEALED_BATCHES } from "../sync/sealed.js";

const VERSION = 1;

export { SEALED_BATCHES };
/** Drafts: what is typed or chosen and never synced. Installed tablets call the store `desk`, and its rows are encrypted with
 * that name as associated data, so a rename would need the PIN. */
export const DRAFTS = "desk";
/** This tablet's own sealed copy. Installed tablets call the store so. */
export const OWN_COPY = "letters";
/** The stores, each with its own keys (tablet.js says what is in them). */
export const STORES = ["facts", "log", "past", "held", "pending", OWN_COPY, SEALED_BATCHES, DRAFTS];

/** Another window changed the data meanwhile. Nothing was stored. */
export class Stale extends Error {}
/** The device has no room left. Nothing was stored. */
export class Full extends Error {}
/** The browser deleted the storage or refuses it. */
export class Unavailable extends Error {}

const problems = { QuotaExceededError: Full };

function failed(error) {
  const Kind = (error && problems[error.name]) || Unavailable;
  return new Kind(error ? `${error.name}: ${error.message}` : "the transaction was given up");
}

export class Database {
  /** @param {IDBDatabase} idb */
  constructor(idb) {
    this.idb = idb;
    /** @type {() => void} called when the browser closed the storage, and when it could not be used or was written by others */
    this.troubled = () => {};
    idb.onclose = () => this.troubled();
  }

  /** @param {string} name @returns {Promise<Database>} */
  static open(name) {
    return new Promise((resolve, reject) => {
      const request = indexedDB.open(name, VERSION);
      request.onupgradeneeded = () => STORES.forEach((store) => request.result.createObjectStore(store));
      request.onsuccess = () => resolve(new Database(request.result));
      request.onerror = () => reject(failed(request.error));
      request.onblocked = () => reject(new Unavailable("another window holds an older version open"));
    });
  }

  /** @param {string} name @returns {Promise<void>} */
  static remove(name) {
    return new Promise((resolve, reject) => {
      const request = indexedDB.deleteDatabase(name);
      request.onsuccess = () => resolve();
      request.onerror = () => reject(failed(request.error));
    });
  }

  close() {
    this.idb.close();
  }

  /** Open again what the browser closed. @returns {Promise<boolean>} false: it is not there any more, or cannot be opened */
  reopen() {
    return new Promise((resolve) => {
      const request = indexedDB.open(this.idb.name, VERSION);
      request.onupgradeneeded = () => request.transaction?.abort(); // it was deleted; do not make an empty one
      request.onerror = () => resolve(false);
      request.onblocked = () => resolve(false);
      request.onsuccess = () => {
        this.idb.close();
        this.idb = request.result;
        this.idb.onclose = () => this.troubled();
        resolve(true);
      };
    });
  }

  /** Everything in a store, as [key, value] in order of the keys. @param {string} store @returns {Promise<Array<[any, any]>>} */
  async all(store) {
    const [keys, values] = await this.#transaction([store], "readonly", (open) => {
      const held = open.objectStore(store);
      return [held.getAllKeys(), held.getAll()];
    });
    return keys.result.map((key, at) => [key, values.result[at]]);
  }

  /** The keys of a store, in order. @param {string} store @returns {Promise<any[]>} */
  async keys(store) {
    const [request] = await this.#transaction([store], "readonly", (open) => [open.objectStore(store).getAllKeys()]);
    return request.result;
  }

  /** @param {string} store @param {any} key */
  async get(store, key) {
    const [request] = await this.#transaction([store], "readonly", (open) => [open.objectStore(store).get(key)]);
    return request.result;
  }

  /** Store and delete in one transaction, if nobody else did meanwhile.
   * @param {Array<[string, any, any]>} puts store, key and value; `undefined` deletes the key
   * @param {{clear?: string[], expect?: number|null}} [how] stores to empty first; the revision that must still be there
   * @returns {Promise<void>} when the transaction has completed; else rejects with Stale, Full or Unavailable */
  async commit(puts, { clear = [], expect = null } = {}) {
    let stale = false;
    const write = (open) => {
      for (const store of clear) open.objectStore(store).clear();
      for (const [store, key, value] of puts) {
        const held = open.objectStore(store);
        value === undefined ? held.delete(key) : held.put(value, key);
      }
      if (expect !== null) open.objectStore("facts").put(expect + 1, "revision");
      return [];
    };
    const checked = (open) => {
      if (expect === null) return write(open);
      const request = open.objectStore("facts").get("revision");
      request.onsuccess = () => {
        stale = (request.result || 0) !== expect;
        stale ? open.abort() : write(open);
      };
      return [];
    };
    try {
      await this.#transaction(STORES, "readwrite", checked);
    } catch (error) {
      throw stale ? new Stale("another window has written meanwhile") : error;
    }
  }

  #transaction(stores, mode, work) {
    return new Promise((resolve, reject) => {
      const refuse = (error) => {
        const found = failed(error);
        reject(found);
        if (!(found instanceof Full)) this.troubled();
      };
      let open;
      try {
        open = this.idb.transaction(stores, mode, { durability: "strict" });
      } catch (error) {
        refuse(error);
        return;
      }
      const requests = work(open);
      open.oncomplete = () => resolve(requests);
      open.onabort = () => refuse(open.error);
    });
  }
}
