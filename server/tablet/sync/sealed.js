// Sealed batches: encrypted for the server (HPKE, RFC 9180; docs/carried.md). Anybody may carry them, only the server reads them.

import { base64url, gzip, joined, random, unbase64url, utf8 } from "./bytes.js";

const KEM = joined(utf8("KEM"), [0, 0x10]);
const SUITE = joined(utf8("HPKE"), [0, 0x10, 0, 1, 0, 1]);
const P256 = { name: "ECDH", namedCurve: "P-256" };
/** The store of sealed batches to deliver, of this and other tablets. Installed tablets call it so; a rename would lose rows. */
export const SEALED_BATCHES = "carried";
const INFO = "posyandu-sync/sealed-batch/1";

async function hmac(key, message) {
  const ready = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", ready, message));
}

const extract = (suite, salt, label, material) => hmac(salt, joined(utf8("HPKE-v1"), suite, utf8(label), material));
const expand = async (suite, secret, label, info, length) =>
  (await hmac(secret, joined([0, length], utf8("HPKE-v1"), suite, utf8(label), info, [1]))).slice(0, length);

const exported = async (key) => new Uint8Array(await crypto.subtle.exportKey("raw", key));

/** RFC 9180, 5.1 in base mode: key and nonce of the one message. */
async function scheduled(shared, enc, recipient, purpose) {
  const none = new Uint8Array(32);
  const eae = await extract(KEM, none, "eae_prk", shared);
  const secret = await expand(KEM, eae, "shared_secret", joined(enc, recipient), 32);
  const info = await extract(SUITE, none, "info_hash", utf8(purpose));
  const context = joined([0], await extract(SUITE, none, "psk_id_hash", []), info);
  const found = await extract(SUITE, secret, "secret", []);
  const raw = await expand(SUITE, found, "key", context, 16);
  const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
  return { key, how: { name: "AES-GCM", iv: await expand(SUITE, found, "base_nonce", context, 12) } };
}

const agreed = async (mine, theirs) =>
  new Uint8Array(await crypto.subtle.deriveBits({ name: "ECDH", public: theirs }, mine, 256));

/** Encrypt to a public key (HPKE, RFC 9180, base mode). @param {object} publicKey JWK @param {Uint8Array<ArrayBuffer>} plain
 * @param {string} purpose HPKE's `info` @returns {Promise<{enc: Uint8Array<ArrayBuffer>, ciphertext: Uint8Array<ArrayBuffer>}>} */
export async function sealTo(publicKey, plain, purpose) {
  const recipient = await crypto.subtle.importKey("jwk", publicKey, P256, true, []);
  const ephemeral = await crypto.subtle.generateKey(P256, false, ["deriveBits"]);
  const enc = await exported(ephemeral.publicKey);
  const shared = await agreed(ephemeral.privateKey, recipient);
  const { key, how } = await scheduled(shared, enc, await exported(recipient), purpose);
  return { enc, ciphertext: new Uint8Array(await crypto.subtle.encrypt(how, key, plain)) };
}

/** A key pair for one answer. @returns {Promise<CryptoKeyPair>} */
export const newReplyKeys = () => crypto.subtle.generateKey(P256, false, ["deriveBits"]);

/** Decrypt what was sealed to a key pair. @param {CryptoKeyPair} keys @param {{enc: string, ciphertext: string}} sealed
 * @param {string} purpose @returns {Promise<Uint8Array>} rejects if it was not sealed to these keys, or for another purpose */
export async function openSealed(keys, { enc, ciphertext }, purpose) {
  const sender = await crypto.subtle.importKey("raw", unbase64url(enc), P256, true, []);
  const shared = await agreed(keys.privateKey, sender);
  const { key, how } = await scheduled(shared, unbase64url(enc), await exported(keys.publicKey), purpose);
  return new Uint8Array(await crypto.subtle.decrypt(how, key, unbase64url(ciphertext)));
}

const nameOf = async (enc, ciphertext) =>
  base64url(await crypto.subtle.digest("SHA-256", joined(enc, ciphertext))).slice(0, 22);

/** @typedef {{name: string, reply: string, batch: string, first: number}} Slip key to the receipt of a sealed batch */

/** @param {{batch: object, signature: string}} envelope @param {{key: string, public_key: object}} sealing the server's
 * @returns {Promise<{letter: {sealed: object}, slip: Slip}>} */
export async function seal(envelope, sealing) {
  const reply = base64url(random(16));
  const plain = await gzip(JSON.stringify({ ...envelope, reply }));
  const { enc, ciphertext } = await sealTo(sealing.public_key, plain, INFO);
  const { batch, first } = envelope.batch;
  const letter = { sealed: { v: 1, key: sealing.key, enc: base64url(enc), ciphertext: base64url(ciphertext) } };
  return { letter, slip: { name: await nameOf(enc, ciphertext), reply, batch, first } };
}

/** The name by which a sealed batch and its receipt are matched. @param {{sealed: {enc: string, ciphertext: string}}} letter */
export const sealedName = ({ sealed }) => nameOf(unbase64url(sealed.enc), unbase64url(sealed.ciphertext));

/** @param {{sealed_receipt: {ciphertext: string}}} answer @param {Slip} slip
 * @returns {Promise<object>} the receipt; rejects if it is not the server's */
export async function openReceipt(answer, { name, reply }) {
  const sealed = unbase64url(answer.sealed_receipt.ciphertext);
  const aes = await crypto.subtle.importKey("raw", unbase64url(reply), "AES-GCM", false, ["decrypt"]);
  const how = { name: "AES-GCM", iv: sealed.slice(0, 12), additionalData: utf8(`posyandu-sync/receipt/1/${name}`) };
  return JSON.parse(new TextDecoder().decode(await crypto.subtle.decrypt(how, aes, sealed.slice(12))));
}

/** Read a file of sealed batches or receipts, one JSON value a line. @param {string} text
 * @returns {{letters: Array<any>, receipts: Array<any>, spoiled: number}} */
export function readFile(text) {
  /** @type {ReturnType<typeof readFile>} */
  const read = { letters: [], receipts: [], spoiled: 0 };
  for (const line of text.split("\n").filter((words) => words.trim())) {
    let parsed = null;
    try {
      parsed = JSON.parse(line);
    } catch {
      // counted below: a file that was cut short
    }
    if (parsed && parsed.sealed && typeof parsed.sealed.ciphertext === "string") read.letters.push(parsed);
    else if (parsed && parsed.sealed_receipt && typeof parsed.sealed_receipt.letter === "string") read.receipts.push(parsed);
    else read.spoiled += 1;
  }
  return read;
}
