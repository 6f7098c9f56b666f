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

/** RFC 9180, 4.1 and 5.1 in base mode: what the message is encrypted with, and what is sent for that to be found. */
async function encapsulated(publicKey) {
  const server = await crypto.subtle.importKey("jwk", publicKey, P256, true, []);
  const ephemeral = await crypto.subtle.generateKey(P256, false, ["deriveBits"]);
  const enc = new Uint8Array(await crypto.subtle.exportKey("raw", ephemeral.publicKey));
  const recipient = new Uint8Array(await crypto.subtle.exportKey("raw", server));
  const shared = new Uint8Array(
    await crypto.subtle.deriveBits({ name: "ECDH", public: server }, ephemeral.privateKey, 256),
  );
  const none = new Uint8Array(32);
  const eae = await extract(KEM, none, "eae_prk", shared);
  const secret = await expand(KEM, eae, "shared_secret", joined(enc, recipient), 32);
  const info = await extract(SUITE, none, "info_hash", utf8(INFO));
  const context = joined([0], await extract(SUITE, none, "psk_id_hash", []), info);
  const scheduled = await extract(SUITE, secret, "secret", []);
  const key = await expand(SUITE, scheduled, "key", context, 16);
  return { enc, key, iv: await expand(SUITE, scheduled, "base_nonce", context, 12) };
}

const nameOf = async (enc, ciphertext) =>
  base64url(await crypto.subtle.digest("SHA-256", joined(enc, ciphertext))).slice(0, 22);

/** @typedef {{name: string, reply: string, batch: string, first: number}} Slip key to the receipt of a sealed batch */

/** @param {{batch: object, signature: string}} envelope @param {{key: string, public_key: object}} sealing the server's
 * @returns {Promise<{letter: {sealed: object}, slip: Slip}>} */
export async function seal(envelope, sealing) {
  const { enc, key, iv } = await encapsulated(sealing.public_key);
  const reply = base64url(random(16));
  const aes = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt"]);
  const plain = await gzip(JSON.stringify({ ...envelope, reply }));
  const ciphertext = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, aes, plain));
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
