// This tablet's sealed copy: every change that the server has not acknowledged a second time, sealed to the server, so that it
// can be sent without a PIN (ADR 0015). It is written in the transaction of the change itself, so what a wipe leaves behind is
// never older than what was saved.
//
// A row is one sealed batch, {tablet, first, last, letter}, under its last counter. Versions before 0.2 kept all of them as text
// in one row, "mine", written seconds after a save: it does not tell up to where it goes.

import { sign } from "../sync/chain.js";
import { readFile, seal, sealedName } from "../sync/sealed.js";
import { OWN_COPY, SEALED_BATCHES } from "./database.js";

const BEFORE = "mine";
const MOST_ROWS = 20; // then they are sealed together again: a batch of 40 changes is hardly larger than five of one

/** @typedef {{tablet: string, first: number, last: number, letter?: {sealed: object}}} Row */

export class OwnCopy {
  /** @param {Map<any, Row>} rows what is stored, by key */
  constructor(rows) {
    this.rows = rows;
  }

  /** @param {import("./database.js").Database} database */
  static async open(database) {
    return new OwnCopy(new Map(await database.all(OWN_COPY)));
  }

  /** Whether the rows hold all that is not acknowledged, and are not too many.
   * @param {import("../sync/replica.js").Replica} replica */
  isFit(replica) {
    const { kept, upTo } = covering([...this.rows.values()], replica.facts);
    return upTo >= replica.head()[0] && kept.length === this.rows.size && kept.length <= MOST_ROWS;
  }

  /** What to store so that the copy holds all that is not acknowledged.
   * @param {import("../sync/replica.js").Replica} replica as it will be @param {CryptoKeyPair} keys of its enrolment
   * @param {boolean} [whole] seal everything together again
   * @returns {Promise<{rows: Map<any, Row>, puts: Array<[string, any, any]>}>} */
  async renewed(replica, keys, whole = false) {
    const { tablet, sealing, sent } = replica.facts;
    const { kept, upTo } = whole ? { kept: [], upTo: sent } : covering([...this.rows.values()], replica.facts);
    /** @type {Map<any, Row>} */
    const rows = new Map(kept.map((row) => /** @type {[any, Row]} */ ([row.last, row])));
    for (const batch of sealing ? replica.carriedBatches(upTo) : []) {
      const { letter } = await seal({ batch, signature: await sign(keys, batch) }, sealing);
      const last = batch.first + batch.changes.length - 1;
      rows.set(last, { tablet, first: batch.first, last, letter });
    }
    const gone = [...this.rows.keys()].filter((key) => !rows.has(key));
    const fresh = [...rows].filter(([key, row]) => this.rows.get(key) !== row);
    return { rows, puts: [...gone.map((key) => put(key)), ...fresh.map(([key, row]) => put(key, row))] };
  }
}

/** @returns {[string, any, any]} */
const put = (key, row) => [OWN_COPY, key, row];

/** The rows that follow one another from the first change that is not acknowledged, and the counter up to which they go.
 * @param {Row[]} rows @param {{tablet: string, sent: number}} facts */
function covering(rows, { tablet, sent }) {
  const ours = rows.filter((row) => row.tablet === tablet && row.last > sent).sort((one, other) => one.first - other.first);
  /** @type {Row[]} */
  const kept = [];
  let upTo = sent;
  for (const row of ours) {
    if (row.first > upTo + 1) break;
    if (row.last <= upTo) continue;
    kept.push(row);
    upTo = row.last;
  }
  return { kept, upTo };
}

/** The letters of the stored copy, in the order of their changes. Needs no PIN.
 * @param {import("./database.js").Database} database @returns {Promise<Array<{sealed: object}>>} */
export async function ownLetters(database) {
  const rows = await database.all(OWN_COPY);
  return rows.flatMap(([key, row]) => (key === BEFORE ? readFile(row.text).letters : [row.letter]));
}

/** Whether the stored copy holds every change that the server has not acknowledged. Needs no PIN: numbers are not encrypted.
 * @param {import("./database.js").Database} database @param {{tablet: string, sent: number}} facts */
export async function isCopied(database, facts) {
  const newest = (await database.keys("log")).pop() || 0;
  const rows = (await database.all(OWN_COPY)).filter(([key]) => key !== BEFORE).map(([, row]) => row);
  return covering(rows, facts).upTo >= newest;
}

/** The stored copy as sealed batches that wait for delivery. @param {import("./database.js").Database} database
 * @returns {Promise<Array<[string, any, any]>>} */
export async function queued(database) {
  const letters = await ownLetters(database);
  return Promise.all(
    letters.map(async (letter, order) => [SEALED_BATCHES, await sealedName(letter), { letter, mine: true, order }]),
  );
}
