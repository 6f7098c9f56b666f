// Data on the tablet is encrypted with one data key, which is wrapped with the PIN of each cadre (ADR 0015).
//
// A PIN alone is too easy to guess. The wrapping key is derived from the stretched PIN and from a device key that no script can
// read, so PINs cannot be tried against a copy of the database unless that key is extracted from the browser's profile too.

import { joined, random, utf8 } from "../sync/bytes.js";

const GCM = "AES-GCM";
const LEAST_ROUNDS = 200000;
const MOST_ROUNDS = 3000000;
const TRIAL_ROUNDS = 100000;
const UNLOCK_MS = 700; // time that unlocking may take on this device
const FAR_FEWER = 0.6; // of the rounds that the device bears

/** The PIN does not open this cadre's key. */
export class WrongPin extends Error {}

/** @returns {Promise<CryptoKey>} made once on a device; stays in its database */
export const newDeviceKey = () => crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign"]);

/** @returns {Promise<CryptoKey>} what everything is encrypted with */
export const newDataKey = () => crypto.subtle.generateKey({ name: GCM, length: 256 }, true, ["encrypt", "decrypt"]);

/** @param {Uint8Array<ArrayBuffer>} raw @returns {Promise<CryptoKey>} a data key that was exported */
export const importedDataKey = (raw) => crypto.subtle.importKey("raw", raw, GCM, true, ["encrypt", "decrypt"]);

async function stretched(pin, salt, rounds) {
  const secret = await crypto.subtle.importKey("raw", utf8(pin), "PBKDF2", false, ["deriveBits"]);
  const how = { name: "PBKDF2", hash: "SHA-256", salt, iterations: rounds };
  return new Uint8Array(await crypto.subtle.deriveBits(how, secret, 256));
}

/** How many rounds a device does in the time that unlocking may cost. @param {number} rounds @param {number} took milliseconds */
const bearable = (rounds, took) =>
  Math.min(Math.max(Math.round((rounds * UNLOCK_MS) / Math.max(took, 1)), LEAST_ROUNDS), MOST_ROUNDS);

/** The same, tried out. @returns {Promise<number>} */
async function affordable() {
  const from = performance.now();
  await stretched("000000", random(16), TRIAL_ROUNDS);
  return bearable(TRIAL_ROUNDS, performance.now() - from);
}

async function wrappingKey(deviceKey, pin, salt, rounds) {
  const bits = await crypto.subtle.sign(
    "HMAC",
    deviceKey,
    joined(utf8("posyandu-pin/1"), await stretched(pin, salt, rounds)),
  );
  return crypto.subtle.importKey("raw", bits, GCM, false, ["wrapKey", "unwrapKey"]);
}

/** @typedef {{salt: Uint8Array<ArrayBuffer>, rounds: number, iv: Uint8Array<ArrayBuffer>, wrapped: ArrayBuffer}} Lock */

/** Wrap the data key for one cadre. @param {CryptoKey} deviceKey @param {CryptoKey} dataKey @param {string} pin @returns {Promise<Lock>} */
export async function lockFor(deviceKey, dataKey, pin) {
  const salt = random(16);
  const rounds = await affordable();
  const iv = random(12);
  const key = await wrappingKey(deviceKey, pin, salt, rounds);
  return { salt, rounds, iv, wrapped: await crypto.subtle.wrapKey("raw", dataKey, key, { name: GCM, iv }) };
}

/** @param {CryptoKey} deviceKey @param {Lock} lock @param {string} pin @returns {Promise<CryptoKey>} rejects with WrongPin */
export async function unlock(deviceKey, { salt, rounds, iv, wrapped }, pin) {
  const key = await wrappingKey(deviceKey, pin, salt, rounds);
  try {
    return await crypto.subtle.unwrapKey("raw", wrapped, key, { name: GCM, iv }, GCM, true, ["encrypt", "decrypt"]);
  } catch {
    throw new WrongPin();
  }
}

/** Unlock, and say whether the PIN should be stretched anew: it has far fewer rounds than this device bears.
 * @param {CryptoKey} deviceKey @param {Lock} lock @param {string} pin @returns {Promise<{dataKey: CryptoKey, isBehind: boolean}>} */
export async function unlockAndJudge(deviceKey, lock, pin) {
  const from = performance.now();
  const dataKey = await unlock(deviceKey, lock, pin);
  const isBehind = lock.rounds < FAR_FEWER * bearable(lock.rounds, performance.now() - from) || lock.rounds < LEAST_ROUNDS;
  return { dataKey, isBehind };
}

/** Encrypts values for their key: a value that was moved to another key cannot be decrypted. */
export class Vault {
  /** @param {CryptoKey} dataKey */
  constructor(dataKey) {
    this.dataKey = dataKey;
  }

  /** @param {string} place such as "held/<child>" @param {any} value JSON */
  async seal(place, value) {
    const iv = random(12);
    const how = { name: GCM, iv, additionalData: utf8(place) };
    return { iv, data: await crypto.subtle.encrypt(how, this.dataKey, utf8(JSON.stringify(value))) };
  }

  /** @param {string} place @param {{iv: Uint8Array<ArrayBuffer>, data: ArrayBuffer}} box */
  async open(place, { iv, data }) {
    const how = { name: GCM, iv, additionalData: utf8(place) };
    return JSON.parse(new TextDecoder().decode(await crypto.subtle.decrypt(how, this.dataKey, data)));
  }
}
