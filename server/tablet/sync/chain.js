// The hash chain of a tablet's changes, and the tablet's signing key.

import { base64url, canonical, digest, utf8 } from "./bytes.js";

const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** The first 96 bits of a hash: what contexts name a change by. @param {string} hash */
export const tagOf = (hash) => hash.slice(0, 16);

/** Content digest and hash of a change; two steps, so that the chain can be verified after the content was erased.
 * @param {string} actor the tablet's id @param {number} counter @param {string} previous hash of the change before, "" first
 * @param {object} change as on the wire @returns {Promise<{content: string, hash: string}>} */
export async function link(actor, counter, previous, change) {
  const { nonce = null, set = null, ...others } = change;
  const content = await digest({ nonce, set });
  return { content, hash: await digest({ ...others, actor, counter, previous, content }) };
}

/** A key pair whose private half no script can read. @returns {Promise<CryptoKeyPair>} */
export const newKeys = () => crypto.subtle.generateKey(ECDSA, false, ["sign", "verify"]);

/** @param {CryptoKeyPair} keys @returns {Promise<{kty?: string, crv?: string, x?: string, y?: string}>} */
export async function publicKey(keys) {
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", keys.publicKey);
  return { kty, crv, x, y };
}

/** `r` and `s` over the canonical bytes, 86 characters. @param {CryptoKeyPair} keys @param {object} value */
export const sign = async (keys, value) =>
  base64url(await crypto.subtle.sign(ECDSA, keys.privateKey, utf8(canonical(value))));
