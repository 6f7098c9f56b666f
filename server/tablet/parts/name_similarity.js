// Whether two registrations may be of one child: the server's rules (server/children/name_similarity.py), so that a cadre is
// asked offline, while typing, about the same children that the server would find later. Pure.
//
// - If both have a NIK, the NIK alone decides. Otherwise name, birth date and sex must agree, and a parent's name where known.
// - Twins are never one child: born within a day of each other, with different birth orders.
//
// tests/tablet/test_name_similarity.py gives both the same registrations and demands the same answers.

import { dayNumber } from "../growth/calendar.js";
import { siblings } from "../sync/states.js";

const WINDOW_DAYS = 31; // birth dates further apart do not agree, unless day and month are swapped
const CERTAIN = 100;
const MOST_VALUES = 16; // live values of one register that are compared
const ENOUGH = { unknown: 92, exact: 80, near: 90 }; // least likeness of names: no parent known; same or swapped date; near date
const PARENT_ENOUGH = 85;
const LIKE_PART = 85;

const TITLES = new Set("an anak bapak bpk bu h haji hajjah hj ibu nn nona ny nyonya pak tn tuan".split(" "));
const UNNAMED = new Set(["by", "bayi", "baby"]); // before the mother's name while a newborn has no name: By. Ny. Contoh
const COMMON = new Set(["muhamad", "siti", "ahmad", "nur", "abdul"]); // distinguish nobody, unless the name has nothing else
const SHORT = new Map(
  Object.entries({
    muhamad:
      "m muh moh mhd mohd muhd md mohamad muhamat mohamat mochamad muchamad mokhamad mukhamad mochammad moch much",
    siti: "st sity sitti",
    abdul: "abd abdl",
    nur: "nor nuur",
    ahmad: "achmad akhmad ahmat akmad",
  }).flatMap(([whole, written]) => written.split(" ").map((one) => /** @type {[string, string]} */ ([one, whole]))),
);
/** @type {Array<[string, string]>} spelling from before 1972, and sounds written in two ways */
const SPELLING = [
  ["oe", "u"],
  ["dj", "j"],
  ["tj", "c"],
  ["sj", "sy"],
  ["sy", "s"],
  ["nj", "ny"],
  ["kh", "h"],
  ["q", "k"],
];

/** @typedef {{names: string[][], sexes: Array<string|null>, born: Array<string|null>, orders: Array<number|null>,
 *   mothers: string[][], fathers: string[][], niks: string[]}} Registration of registers in conflict, every live value;
 *   `names` to `orders` are of the same length; names are normalised
 * @typedef {{score: number, why: {[evidence: string]: number}}} Likeness */

// -- names -----------------------------------------------------------------------------------------

/** The normalised parts of a name: no titles, no accents, present spelling, no double letters. @param {string} name */
export function wordsOf(name) {
  const plain = name
    .toLowerCase()
    .replaceAll("ß", "ss")
    .normalize("NFKD")
    .replace(/\p{Mn}/gu, "")
    .replaceAll("'", "");
  return (plain.match(/[a-z0-9]+/g) || []).filter((part) => !TITLES.has(part)).map(normal);
}

function normal(part) {
  const spelt = SPELLING.reduce((text, [old, now]) => text.replaceAll(old, now), part).replace(/(.)\1+/g, "$1");
  const whole = SHORT.get(spelt) || spelt;
  return whole.length > 4 && whole.endsWith("ah") ? whole.slice(0, -1) : whole;
}

/** How alike two normalised names are, percent; at least 85 if each part of the shorter is like one of the other's; 0 if either
 * is empty, or if both have numbers and they differ. @param {string[]} one @param {string[]} other */
export function likeness(one, other) {
  if (!one.length || !other.length) return 0;
  const [numbers, others] = [numbersIn(one), numbersIn(other)];
  if (numbers && others && numbers !== others) return 0;
  const alike = rounded(ratio(distinctive(one), distinctive(other)));
  if (one.length === other.length) return alike;
  const [short, long] = one.length < other.length ? [one, other] : [other, one];
  const leftOut = short.every((part) => long.some((its) => ratio(part, its) >= LIKE_PART));
  return Math.max(alike, leftOut ? LIKE_PART : 0);
}

const numbersIn = (parts) =>
  parts
    .filter((part) => /^\d+$/.test(part))
    .sort()
    .join(" ");

function distinctive(parts) {
  const found = parts.filter((part) => !COMMON.has(part));
  return [...(found.length ? found : parts)].sort().join(" ");
}

/** RapidFuzz's `ratio`: the longest common subsequence of two texts, as percent of both. */
function ratio(one, other) {
  const total = one.length + other.length;
  return (1 - (total - 2 * commonLength(one, other)) / total) * 100;
}

function commonLength(one, other) {
  let row = new Array(other.length + 1).fill(0);
  for (const letter of one) {
    const next = [0];
    for (let at = 0; at < other.length; at += 1)
      next.push(letter === other[at] ? row[at] + 1 : Math.max(row[at + 1], next[at]));
    row = next;
  }
  return row[other.length];
}

/** Rounded as Python does: a half to the even neighbour. */
function rounded(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 ? below + 1 : below;
}

// -- registrations ---------------------------------------------------------------------------------

/** Read a child's published state. @param {object|null} state @returns {Registration} */
export function registrationOf(state) {
  const live = (register) => siblings(state, register).map(({ value }) => value);
  return registration(live("identity"), live("parents"), live("nik"));
}

/** @param {any[]} identities live values of the registers @param {any[]} parents @param {any[]} niks @returns {Registration} */
export function registration(identities, parents, niks) {
  const some = identities.slice(0, MOST_VALUES);
  const named = (parent) =>
    parents
      .slice(0, MOST_VALUES)
      .filter((value) => value[parent])
      .map((value) => wordsOf(value[parent]));
  return {
    names: some.map(({ name }) => wordsOf(name || "")),
    sexes: some.map(({ sex }) => sex || null),
    born: some.map(({ born_on }) => born_on || null),
    orders: some.map(({ birth_order }) => birth_order || null),
    mothers: named("mother"),
    fathers: named("father"),
    niks: niks.map(({ nik }) => nik).filter(Boolean),
  };
}

/** How likely two registrations are one child, the best match of their live values; null where the evidence is not enough, or
 * some speaks against it. @param {Registration} one @param {Registration} other @returns {Likeness|null} */
export function compare(one, other) {
  if (one.niks.length && other.niks.length)
    return one.niks.some((nik) => other.niks.includes(nik)) ? { score: CERTAIN, why: { nik: 100 } } : null;
  let best = null;
  for (let mine = 0; mine < one.names.length; mine += 1)
    for (let yours = 0; yours < other.names.length; yours += 1) {
      const like = alike(one, mine, other, yours);
      if (like && (!best || like.score > best.score)) best = like;
    }
  return best;
}

function alike(one, mine, other, yours) {
  const near = agreement(one, mine, other, yours);
  if (near === null) return null;
  const parent = parentsAlike(one, other);
  if (parent === null ? near < 100 : parent < PARENT_ENOUGH) return null;
  const name = namesAlike(one, mine, other, yours, parent);
  if (name < ENOUGH[parent === null ? "unknown" : near >= 90 ? "exact" : "near"]) return null;
  const why = { name, born_on: near, ...(parent === null ? {} : { parent }) };
  const score = rounded(0.45 * name + 0.35 * (parent === null ? 60 : parent) + 0.2 * near);
  return { score: Math.min(score, CERTAIN - 1), why };
}

/** How well sex and birth date agree, percent; null where they do not, or where the two are twins. */
function agreement(one, mine, other, yours) {
  const [sex, itsSex] = [one.sexes[mine], other.sexes[yours]];
  const [born, itsBorn] = [one.born[mine], other.born[yours]];
  const [order, itsOrder] = [one.orders[mine], other.orders[yours]];
  if ((sex && itsSex && sex !== itsSex) || !born || !itsBorn) return null;
  const days = Math.abs(dayNumber(born) - dayNumber(itsBorn));
  if (order && itsOrder && order !== itsOrder && days <= 1) return null;
  if (days === 0) return 100;
  if (swapped(born) === itsBorn) return 90;
  return days <= WINDOW_DAYS ? 95 - days : null;
}

/** A date with day and month swapped; null if there is no such date. @param {string} day */
function swapped(day) {
  const [year, month, on] = day.split("-");
  return Number(on) <= 12 ? `${year}-${on}-${month}` : null;
}

/** The likeness of the mothers, or if one is unknown of the fathers; null if neither is known on both sides. */
function parentsAlike(one, other) {
  for (const parents of ["mothers", "fathers"]) {
    const [mine, yours] = [one[parents], other[parents]];
    if (mine.length && yours.length) return Math.max(...mine.flatMap((name) => yours.map((its) => likeness(name, its))));
  }
  return null;
}

/** The likeness of the children's names. A newborn without a name matches any name if the mother is the same. */
function namesAlike(one, mine, other, yours, parent) {
  const [name, itsName] = [one.names[mine], other.names[yours]];
  const [unnamed, itsUnnamed] = [motherIn(name), motherIn(itsName)];
  if (!unnamed && !itsUnnamed) return likeness(name, itsName);
  if (unnamed && itsUnnamed) return likeness(unnamed, itsUnnamed);
  const mothers = (unnamed ? other : one).mothers;
  return Math.max(parent || 0, ...mothers.map((known) => likeness(unnamed || itsUnnamed, known)));
}

/** The mother's name in a newborn's provisional name; null if the child has its own name. */
const motherIn = (name) => (UNNAMED.has(name[0]) ? name.slice(1) : null);
