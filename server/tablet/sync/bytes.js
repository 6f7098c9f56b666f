// Bytes of the protocol (docs/protocol.md): canonical JSON, digests, ids, gzip. Pure except for randomness and the clock.

/** @typedef {null|boolean|number|string|Array<any>|{[name: string]: any}} Json */

/** UUIDv5 namespaces of the records that are named by their keys, and the parts of these keys. */
/** @type {{[kind: string]: [namespace: string, parts: string[]]}} */
const NAMED = {
  measurement: ["6f1d1b0e-6c5b-5f0a-9d5e-3b1c5f6d7a01", ["child", "measured_on", "source"]],
  follow_up: ["6f1d1b0e-6c5b-5f0a-9d5e-3b1c5f6d7a02", ["child", "task"]],
  delivery: ["6f1d1b0e-6c5b-5f0a-9d5e-3b1c5f6d7a03", ["child", "delivery"]],
};

/** @param {string} text @returns {Uint8Array<ArrayBuffer>} */
export const utf8 = (text) => new TextEncoder().encode(text);

/** @param {ArrayBuffer|Uint8Array} bytes @returns {string} without padding */
export function base64url(bytes) {
  let binary = "";
  for (const byte of new Uint8Array(bytes)) binary += String.fromCharCode(byte);
  return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** @param {string} text @returns {Uint8Array<ArrayBuffer>} */
export const unbase64url = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));

/** @param {...(Uint8Array|number[])} parts @returns {Uint8Array<ArrayBuffer>} */
export const joined = (...parts) => {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
};

/** The canonical form of a JSON value (RFC 8785): JavaScript sorts by UTF-16 units and writes whole numbers as that asks.
 * @param {Json} value @returns {string} */
export function canonical(value) {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const members = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${members.join(",")}}`;
}

/** @param {Json} one @param {Json} other */
export const equal = (one, other) => canonical(one) === canonical(other);

/** SHA-256 of canonical bytes, base64url, 43 characters. @param {Json} value */
export const digest = async (value) => base64url(await crypto.subtle.digest("SHA-256", utf8(canonical(value))));

/** @param {number} count @returns {Uint8Array<ArrayBuffer>} */
export const random = (count) => crypto.getRandomValues(new Uint8Array(count));

/** 16 random bytes, 22 characters. */
export const nonce = () => base64url(random(16));

/** The device's clock in the protocol's form: RFC 3339, UTC, whole seconds. @param {Date} [at] */
export const clock = (at = new Date()) => at.toISOString().replace(/\.\d+Z/, "Z");

function uuid(bytes, version) {
  bytes[6] = (bytes[6] & 0x0f) | (version << 4);
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const digits = Array.from(bytes.slice(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** A UUIDv7, for a child, a task, an aid or a batch. */
export function newId() {
  const bytes = random(16);
  for (let at = 5, left = Date.now(); at >= 0; at -= 1, left = Math.floor(left / 256)) bytes[at] = left % 256;
  return uuid(bytes, 7);
}

/** The id of a record that is named by its key: the same on every tablet.
 * @param {"measurement"|"follow_up"|"delivery"} kind @param {{[part: string]: string}} key */
export async function idOf(kind, key) {
  const [namespace, parts] = NAMED[kind];
  const pairs = namespace.replace(/-/g, "").match(/../g) || [];
  const space = pairs.map((pair) => parseInt(pair, 16));
  const name = utf8(parts.map((part) => key[part]).join("/"));
  return uuid(new Uint8Array(await crypto.subtle.digest("SHA-1", joined(space, name))), 5);
}

/** @param {string} text @returns {Promise<Uint8Array<ArrayBuffer>>} */
export async function gzip(text) {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
