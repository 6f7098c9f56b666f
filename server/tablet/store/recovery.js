// A forgotten PIN (ADR 0036). The data key lies on the tablet sealed to the server: only the server can open that box, and it does
// so for a code of the health centre and this tablet's signature. Without both it reveals nothing.

import { base64url, unbase64url, utf8 } from "../sync/bytes.js";
import { publicKey } from "../sync/chain.js";
import { newReplyKeys, openSealed, sealTo } from "../sync/sealed.js";
import { importedDataKey } from "./vault.js";

const BOX = "posyandu-sync/forgotten-pin/box/1";
const ANSWER = "posyandu-sync/forgotten-pin/answer/1";

/** @typedef {{tablet: string, box: {sealed: object}}} Recovery */

/** The box for this enrolment, or null if the stored one is right. @param {import("./device.js").Device} device
 * @param {CryptoKey} dataKey @returns {Promise<Recovery|null>} */
export async function newBox(device, dataKey) {
  const { tablet, sealing } = device.facts.tablet;
  const held = device.facts.recovery;
  if (!sealing || (held && held.tablet === tablet && held.box.sealed.key === sealing.key)) return null;
  const key = base64url(await crypto.subtle.exportKey("raw", dataKey));
  const { enc, ciphertext } = await sealTo(sealing.public_key, utf8(JSON.stringify({ tablet, key })), BOX);
  return {
    tablet,
    box: { sealed: { v: 1, key: sealing.key, enc: base64url(enc), ciphertext: base64url(ciphertext) } },
  };
}

/** Get the data key back for a code of the health centre. @param {import("./device.js").Device} device
 * @param {import("../sync/http_client.js").HttpClient} http @param {string} code @returns {Promise<CryptoKey>} */
export async function recovered(device, http, code) {
  const { tablet, box } = device.facts.recovery;
  const keys = await newReplyKeys();
  const request = { tablet, code, public_key: await publicKey(keys), box };
  const answer = await http.post("/api/v1/tablets/key", await device.signed("request", request));
  const plain = await openSealed(keys, answer.sealed_key, ANSWER);
  return importedDataKey(unbase64url(JSON.parse(new TextDecoder().decode(plain)).key));
}
