// A supervisor's phone as a witness: this browser remembers the newest checkpoint that it has seen, and checks that the next one
// grew out of it. What does not fit stays in red at every visit: the memory is replaced only by what fits, or by a person who knows
// of a restore. Proofs: RFC 6962, 2.1.2; the form of checkpoints: c2sp.org/tlog-checkpoint.

/** @typedef {{ origin: string, size: bigint, root: string, text: string, signatures: { name: string, raw: Uint8Array }[] }} Head */
/** @typedef {{ note: string, keys: string[], at: string }} Memory */
/** @typedef {{ signed: string, signatures: Record<string, string> }} Restore */
/** @typedef {{ number: number, note: string, keys: string[], proof: string[] | null, restores: Restore[] }} Answer */

const place = /** @type {HTMLElement} */ (document.getElementById("watch"));
const DISTRICT = place.dataset.district ?? "";

/** @param {string} text */
const unbase64 = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
/** @param {Uint8Array} raw */
const base64 = (raw) => btoa(String.fromCharCode(...raw));
/** @param {string} text */
const base64url = (text) => unbase64(text.replaceAll("-", "+").replaceAll("_", "/") + "=".repeat(-text.length & 3));

/** @param {Uint8Array[]} parts */
async function sha256(...parts) {
  const whole = new Uint8Array(parts.flatMap((part) => [...part]));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
}

/** @param {string} note @returns {Head} */
function read(note) {
  const end = note.lastIndexOf("\n\n");
  const text = note.slice(0, end + 1);
  const [origin, size, root] = text.split("\n");
  if (end < 0 || !origin || !/^(0|[1-9][0-9]*)$/.test(size) || unbase64(root).length !== 32) throw new Error("no checkpoint");
  const signatures = note.slice(end + 2).split("\n").filter(Boolean).map((line) => {
    const [, name, raw] = line.split(" ");
    return { name, raw: unbase64(raw) };
  });
  return { origin, size: BigInt(size), root, text, signatures };
}

/** @param {Uint8Array} left @param {Uint8Array} right */
const joined = (left, right) => sha256(Uint8Array.of(1), left, right);

/** Check that a tree grew out of an earlier one. @param {Head} first @param {Head} second @param {Uint8Array[]} proof */
async function grew(first, second, proof) {
  if (first.size === second.size) return !proof.length && first.root === second.root;
  if (first.size < 1n || first.size > second.size) return false;
  const steps = first.size & (first.size - 1n) ? [...proof] : [unbase64(first.root), ...proof];
  if (!steps.length) return false;
  let at = first.size - 1n, last = second.size - 1n;
  for (; at & 1n; at >>= 1n) last >>= 1n;
  let earlier = steps[0], later = steps[0];
  for (const step of steps.slice(1)) {
    if (last === 0n) return false;
    if (at & 1n || at === last) {
      earlier = await joined(step, earlier);
      later = await joined(step, later);
      for (; !(at & 1n) && at; at >>= 1n) last >>= 1n;
    } else {
      later = await joined(later, step);
    }
    at >>= 1n;
    last >>= 1n;
  }
  return last === 0n && base64(earlier) === first.root && base64(later) === second.root;
}

/** @param {Uint8Array} raw @returns {Promise<CryptoKey | null>} null where this browser has no Ed25519 */
async function imported(raw) {
  try {
    return await crypto.subtle.importKey("raw", /** @type {BufferSource} */ (raw), { name: "Ed25519" }, false, ["verify"]);
  } catch {
    return null;
  }
}

/** @param {Uint8Array} raw @param {Uint8Array} signature @param {string} text @returns {Promise<boolean | null>} */
async function verified(raw, signature, text) {
  const key = await imported(raw);
  if (!key) return null;
  const said = new TextEncoder().encode(text);
  return crypto.subtle.verify({ name: "Ed25519" }, key, /** @type {BufferSource} */ (signature), said);
}

/** The 32 bytes of a verifier key. @param {string} key */
const publicOf = (key) => unbase64(key.split("+").slice(2).join("+")).slice(1);

/** Say whether one of the remembered keys signed: the name may have changed with a restore, the key may not.
 * @param {Head} head @param {string[]} keys @returns {Promise<boolean | null>} null: this browser cannot tell */
async function isSigned(head, keys) {
  for (const key of keys) {
    const raw = publicOf(key);
    const named = new TextEncoder().encode(`${head.origin}\n`);
    const id = base64((await sha256(named, Uint8Array.of(1), raw)).slice(0, 4));
    const found = head.signatures.find((one) => one.name === head.origin && base64(one.raw.slice(0, 4)) === id);
    if (found) return verified(raw, found.raw.slice(4), head.text);
  }
  return false;
}

/** The restore that gave up what this phone remembers; it must be signed by a key that the phone remembers.
 * @param {Head} known @param {Memory} memory @param {Restore[]} restores */
async function restoreOf(known, memory, restores) {
  for (const one of restores) {
    const said = JSON.parse(one.signed);
    const listed = said.replaced?.checkpoints ?? [];
    const before = known.origin.endsWith(`/${said.before}`) && known.size > BigInt(said.continues?.leaves ?? 0);
    const gaveUp = listed.some((each) => BigInt(each.leaves) === known.size && each.root === known.root);
    if (!gaveUp && (said.replaced?.related || !before)) continue;
    for (const key of memory.keys) {
      const raw = publicOf(key);
      const digest = (await sha256(raw)).slice(0, 8);
      const signature = Object.entries(one.signatures).find(([id]) => base64(base64url(id)) === base64(digest))?.[1];
      if (signature && (await verified(raw, base64url(signature), one.signed)) !== false) return said;
    }
  }
  return null;
}

/** Ask this browser's own database, which nothing of the tablet app touches. @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest} work @returns {Promise<any>} */
function stored(mode, work) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("posyandu-witness", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("seen");
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const transaction = opening.result.transaction("seen", mode);
      const asked = work(transaction.objectStore("seen"));
      transaction.oncomplete = () => { opening.result.close(); resolve(asked.result); };
      transaction.onabort = () => reject(transaction.error);
    };
  });
}

/** @returns {Promise<Memory | null>} */
async function remembered() {
  const found = await stored("readonly", (store) => store.get(DISTRICT));
  return found && read(found.note) ? found : null;
}

/** @param {Answer} answer */
const remember = (answer) =>
  stored("readwrite", (store) => store.put({ note: answer.note, keys: answer.keys, at: new Date().toISOString() }, DISTRICT));

/** Show one outcome, with what it names. @param {string} outcome @param {Record<string, string>} [named] */
function tell(outcome, named = {}) {
  for (const one of /** @type {NodeListOf<HTMLElement>} */ (place.querySelectorAll("[data-outcome]"))) {
    one.hidden = one.dataset.outcome !== outcome;
  }
  const shown = place.querySelector(`[data-outcome="${outcome}"]`);
  for (const [name, text] of Object.entries(named)) {
    const into = shown?.querySelector(`[data-name="${name}"]`);
    if (into) into.textContent = text;
  }
  place.dataset.told = outcome;
}

/** @param {boolean | null} signed */
function tellSignature(signed) {
  const note = /** @type {HTMLElement} */ (document.getElementById("no-ed25519"));
  note.hidden = signed !== null;
}

/** @param {Answer} answer @param {Memory} memory */
async function judge(answer, memory) {
  const head = read(answer.note), known = read(memory.note);
  const named = { then: String(known.size), now: String(head.size), at: memory.at.slice(0, 16).replace("T", " ") };
  const signed = await isSigned(head, memory.keys);
  tellSignature(signed);
  if (signed === false) return tell("other-key", named);
  if (head.size >= known.size && answer.proof && (await grew(known, head, answer.proof.map(unbase64)))) {
    await remember(answer);
    return tell(head.origin === known.origin ? (head.size === known.size ? "same" : "grown") : "continued", named);
  }
  const restore = await restoreOf(known, memory, answer.restores);
  if (restore) {
    const after = String(restore.continues?.number ?? 0), made = restore.backup.made_at ?? "–";
    tell("given-up", { ...named, restored: restore.at, made, after });
    const button = /** @type {HTMLButtonElement} */ (document.getElementById("known-restore"));
    button.onclick = async () => { await remember(answer); tell("kept", named); };
    return undefined;
  }
  return tell(head.size < known.size ? "rolled-back" : "forked", named);
}

async function look() {
  const memory = await remembered();
  const first = memory ? read(memory.note).size : 0n;
  const reply = await fetch(`${place.dataset.address}?dari=${first}`, { headers: { Accept: "application/json" } });
  if (!reply.ok) return tell("no-answer");
  /** @type {Answer} */
  const answer = await reply.json();
  if (memory) return judge(answer, memory);
  tellSignature(await isSigned(read(answer.note), answer.keys));
  await remember(answer);
  return tell("first", { now: String(read(answer.note).size) });
}

if (globalThis.crypto?.subtle) look().catch(() => tell("no-answer"));
else tell("no-crypto");
