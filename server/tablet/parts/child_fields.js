// A child's data as it is typed: its fields, what is wrong with them, and the registers that it becomes.

import { monthsCompleted } from "../growth/calendar.js";
import { equal } from "../sync/bytes.js";
import { siblings, value } from "../sync/states.js";
import { dayWords, later, message, say } from "../words/words.js";
import { birthDate } from "./birth_date.js";
import { choice, field, h } from "./dom.js";
import { toText, toUnits } from "./figures.js";

const CHILDHOOD_MONTHS = 18 * 12; // a birth date before it has a wrong year

/** @type {Array<[code: string, words: import("../growth/text.js").Text]>} */
const SEX = [
  ["M", later("Boy")],
  ["F", later("Girl")],
];

/** @typedef {{name: string, sex: "M"|"F"|null, born: string, bornUnknown: boolean, grown: string, mother: string,
 *   motherUnknown: boolean, father: string, phone: string, nik: string, address: string, rt: string, rw: string,
 *   weight: string, length: string, order: string, consent: boolean|null, others: string[]}} Typed texts as typed; `born` ISO;
 *   `grown`: the birth date before five years that is right; `others`: children of whom the cadre said that they are others */

/** What the form has before anything is typed. @param {object|null} state null: a new child @returns {Typed} */
export function typedOf(state) {
  const of = (register) => value(state, register);
  const { name = "", sex = null, born_on, birth_order } = of("identity");
  const { mother, father, phone } = of("parents");
  const { address, rt, rw } = of("home");
  const { weight_g, length_mm } = of("birth");
  const { given = null } = of("consent");
  const text = (held) => (held === null || held === undefined ? "" : String(held));
  return {
    name,
    sex,
    born: text(born_on),
    bornUnknown: Boolean(state) && !born_on,
    grown: text(born_on),
    mother: text(mother),
    motherUnknown: Boolean(state) && !mother,
    father: text(father),
    phone: text(phone),
    nik: text(of("nik").nik),
    address: text(address),
    rt: text(rt),
    rw: text(rw),
    weight: toText(weight_g, 3),
    length: toText(length_mm, 1),
    order: text(birth_order),
    consent: given,
    others: [],
  };
}

// -- fields ----------------------------------------------------------------------------------------

/** The fields by their names; typing changes `typed` and calls `changed`. @param {Typed} typed @param {string} day of the
 * posyandu @param {() => void} changed @returns {{[name: string]: HTMLElement}} */
export function childFields(typed, day, changed) {
  const put = (name) => (held) => {
    typed[name] = held;
    changed();
  };
  const text = (name, label, props = {}, hint = null) => {
    const input = h("input", { value: typed[name], ...props });
    input.addEventListener("input", () => put(name)(input.value));
    return field(label, input, hint);
  };
  const words = { autocapitalize: "words", maxlength: "120" };
  const digits = (maxlength) => ({ inputmode: "numeric", maxlength });
  const sexes = SEX.map(([code, said]) => [code, message(said)]);
  const answers = [
    [true, say("Yes")],
    [false, say("No")],
  ];
  const agreed = say("The parents agree that the data is kept and sent to the health centre");
  return {
    name: text("name", say("Child's name"), words),
    sex: choice(say("Sex"), sexes, typed.sex, put("sex")),
    born: birthDate(typed, day, changed),
    mother: text("mother", say("Mother's name"), words),
    nik: text("nik", "NIK", digits("19"), say("16 digits, on the family card.")),
    father: text("father", say("Father's name"), words),
    phone: text("phone", say("Phone"), { inputmode: "tel", maxlength: "25" }),
    address: text("address", say("Address"), { maxlength: "200" }),
    rt: text("rt", "RT", digits("3")),
    rw: text("rw", "RW", digits("3")),
    weight: text("weight", say("Birth weight (kg)"), { inputmode: "decimal" }),
    length: text("length", say("Birth length (cm)"), { inputmode: "decimal" }),
    order: text("order", say("Birth order"), digits("2")),
    consent: choice(agreed, answers, typed.consent, put("consent")),
  };
}

// -- what is wrong ---------------------------------------------------------------------------------

const within = (held, least, most) => held === null || (Number.isInteger(held) && held >= least && held <= most);
const bare = (text) => text.replace(/[\s-]/g, "");
const isRtRw = (text) => /^\d{0,3}$/.test(text.trim());

/** @typedef {(typed: Typed, day: string, fields: {[name: string]: HTMLElement}) => boolean} Check whether it is right */

/** What a child needs; asked of a new child, and of one that had it.
 * @type {Array<[string, Check, import("../growth/text.js").Text]>} */
const NEEDED = [
  ["name", ({ name }) => Boolean(name.trim()), later("The child's name is missing.")],
  ["sex", ({ sex }) => sex !== null, later("Boy or girl is missing. Choose one.")],
  [
    "born",
    ({ born, bornUnknown }, _, fields) => Boolean(born) || bornUnknown || isBad(fields.born),
    later("The birth date is missing. If nobody knows it, press “Birth date not known”."),
  ],
  [
    "mother",
    ({ mother, motherUnknown }) => Boolean(mother.trim()) || motherUnknown,
    later("The mother's name is missing. If the child has no mother, write who looks after it."),
  ],
];

/** The server's rules (schemas/records.py). @type {Array<[string, Check, (typed: Typed) => string]>} */
const RULES = [
  ["born", (_, __, fields) => !isBad(fields.born), () => say("This date is not complete, or there is no such date. Check day, month and year.")],
  [
    "born",
    ({ born }, day) => born <= day,
    ({ born }) => say("The birth date {day} is after the posyandu day. Check the year.", { day: dayWords(born) }),
  ],
  [
    "born",
    ({ born }, day) => !born || (monthsCompleted(born, day) ?? 0) < CHILDHOOD_MONTHS,
    ({ born }) => say("Born {day}: that is no child any more. Check the year.", { day: dayWords(born) }),
  ],
  [
    "nik",
    ({ nik }) => !bare(nik) || isNik(bare(nik)),
    ({ nik }) => say("{nik} is no NIK: 16 digits with a birth date in them. See the family card, or leave it empty.", { nik }),
  ],
  [
    "phone",
    ({ phone }) => !bare(phone) || /^\+?\d{8,16}$/.test(bare(phone)),
    ({ phone }) => say("Phone {phone}: 8 to 16 digits.", { phone }),
  ],
  ["rt", ({ rt }) => isRtRw(rt), () => say("RT and RW have at most 3 digits.")],
  ["rw", ({ rw }) => isRtRw(rw), () => say("RT and RW have at most 3 digits.")],
  ["weight", ({ weight }) => within(toUnits(weight, 3), 300, 7000), () => say("Birth weight is between 0.3 and 7 kg.")],
  ["length", ({ length }) => within(toUnits(length, 1), 200, 650), () => say("Birth length is between 20 and 65 cm.")],
  ["order", ({ order }) => within(order.trim() ? Number(order) : null, 1, 20), () => say("Birth order: 1 to 20.")],
];

const isBad = (place) => /** @type {HTMLInputElement} */ (place.querySelector("input")).validity.badInput;

/** 16 digits; day 1-31 or 41-71, month 1-12, serial not 0000, not all the same (docs/protocol.md). @param {string} nik */
export function isNik(nik) {
  if (!/^\d{16}$/.test(nik) || /^(\d)\1+$/.test(nik) || nik.endsWith("0000")) return false;
  const day = Number(nik.slice(6, 8)) % 40;
  const month = Number(nik.slice(8, 10));
  return Number(nik.slice(6, 8)) <= 71 && day >= 1 && day <= 31 && month >= 1 && month <= 12;
}

/** What is missing or wrong, each at its field, in the order of the screen. @param {Typed} typed
 * @param {Typed|null} before what an existing child has; null: a new child @param {string} day
 * @param {{[name: string]: HTMLElement}} fields @returns {Array<[HTMLElement, string]>} */
export function errorsOf(typed, before, day, fields) {
  const missing = NEEDED.filter(([name, isThere]) => (!before || before[name]) && !isThere(typed, day, fields));
  const wrong = RULES.filter(([, isRight]) => !isRight(typed, day, fields));
  const found = new Map([
    ...missing.map(([name, , words]) => /** @type {[string, string]} */ ([name, message(words)])),
    ...wrong.map(([name, , words]) => /** @type {[string, string]} */ ([name, words(typed)])),
  ]);
  const names = Object.keys(fields).filter((name) => found.has(name));
  return names.map((name) => [fields[name], /** @type {string} */ (found.get(name))]);
}

// -- registers -------------------------------------------------------------------------------------

/** The registers as they would be, complete. @param {Typed} typed @param {object|null} state @param {string} day */
export function registersOf(typed, state, day) {
  const words = (text) => text.trim() || null;
  const of = (register) => ({ ...value(state, register) });
  const order = words(typed.order);
  const identity = { name: typed.name.trim(), sex: typed.sex, born_on: typed.born || null };
  const mother = words(typed.mother);
  const isAsked = typed.consent !== null && typed.consent !== value(state, "consent").given;
  return {
    identity: { ...of("identity"), ...identity, birth_order: order && Number(order) },
    nik: { ...of("nik"), nik: bare(typed.nik) || null },
    parents: { ...of("parents"), mother, father: words(typed.father), phone: bare(typed.phone) || null },
    home: { village: null, ...of("home"), address: words(typed.address), rt: words(typed.rt), rw: words(typed.rw) },
    birth: { gestation_weeks: null, ...of("birth"), weight_g: toUnits(typed.weight, 3), length_mm: toUnits(typed.length, 1) },
    ...(isAsked ? { consent: { given: typed.consent, by: mother, on: day, method: "lisan" } } : {}),
  };
}

/** The registers that differ from the stored ones. Where two values conflict, a typed one resolves it; one that nobody touched
 * decides nothing. @param {Typed} typed @param {object|null} state @param {string} day */
export function changedRegisters(typed, state, day) {
  const untouched = registersOf(typedOf(state), state, day);
  const says = (register) => Object.values(register).some((one) => one !== null && one !== "");
  const differs = ([name, register]) => {
    const standing = siblings(state, name);
    if (!standing.length) return says(register);
    const before = standing.length === 1 ? standing[0].value : untouched[name] || {};
    return !equal(emptied(before), emptied(register));
  };
  return Object.fromEntries(Object.entries(registersOf(typed, state, day)).filter(differs));
}

/** Missing and null mean the same. */
const emptied = (register) =>
  Object.fromEntries(Object.entries(register).filter(([, one]) => one !== null && one !== undefined));
