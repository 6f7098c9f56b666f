// What a PIN must be: the usual, or what the health centre asks for (docs/protocol.md, `pin`). Pure.
//
// Of a PIN the tablet notes in the clear how many digits it has, as its pad ends there; of a passphrase only that it is one.

/** @typedef {{kind: "digits"|"phrase", least: number}} Policy */
/** What is known of a secret without opening anything. @typedef {{kind: "digits"|"phrase", length: number}} Shape */

/** @type {Policy} */
export const USUAL = { kind: "digits", least: 6 };
export const MOST_DIGITS = 12;
const LEAST_LETTERS = 12; // of a passphrase
const FEWEST_DIFFERENT = 6; // letters of a passphrase
const [DAY, MONTH, YEAR] = ["(0[1-9]|[12]\\d|3[01])", "(0[1-9]|1[0-2])", "(19|20)\\d\\d"];
const DATES = [DAY + MONTH + YEAR, YEAR + MONTH + DAY].map((date) => new RegExp(`^${date}$`));
/** So often a new PIN may be put off, each time to the next day. */
export const MOST_DELAYS = 3;

/** The policy that the server told, in bounds; an odd one is the usual. @param {any} told @returns {Policy} */
export function policyOf(told) {
  const { kind = "", least = 0 } = told || {};
  if (kind === "phrase") return { kind, least: Math.max(Number(least) || 0, LEAST_LETTERS) };
  if (kind !== "digits" || !(least >= USUAL.least && least <= MOST_DIGITS)) return USUAL;
  return { kind, least };
}

/** @param {string} secret @returns {Shape} */
export const shapeOf = (secret) => (/^\d+$/.test(secret) ? { kind: "digits", length: secret.length } : { kind: "phrase", length: 0 });

/** Whether a secret in use is what the policy asks for; a passphrase always is. Earlier versions noted no shape.
 * @param {Shape|undefined} shape @param {Policy} policy */
export function suffices(shape = { kind: "digits", length: USUAL.least }, policy) {
  return shape.kind === "phrase" || (policy.kind === "digits" && shape.length >= policy.least);
}

/** Say why a new secret is not good enough, or null. @param {string} secret @param {Policy} policy
 * @returns {"length"|"easy"|null} */
export function weakness(secret, policy) {
  if (policy.kind === "phrase") return phraseWeakness(secret, policy.least);
  if (!/^\d+$/.test(secret) || secret.length < policy.least || secret.length > MOST_DIGITS) return "length";
  return isEasy(secret) ? "easy" : null;
}

function phraseWeakness(secret, least) {
  if (secret.trim().length < least || /^\d+$/.test(secret)) return "length";
  return new Set(secret.toLowerCase()).size < FEWEST_DIFFERENT ? "easy" : null;
}

/** A sequence, one digit throughout, the same digits again, or a whole date. */
function isEasy(pin) {
  const steps = pin
    .slice(1)
    .split("")
    .map((digit, at) => (Number(digit) - Number(pin[at]) + 10) % 10);
  const isEven = new Set(steps).size === 1 && [0, 1, 9].includes(steps[0]);
  const repeats = [2, 3, 4, 5, 6].some((size) => pin.length > size && pin.slice(0, size).repeat(pin.length / size) === pin);
  return isEven || repeats || DATES.some((date) => date.test(pin));
}
