// The registers of records in words: their names, their values, and the codes that may stand in them.

import { cm, dayWords, kg, later, laterIn, message, say } from "../words/words.js";

/** In the order of the forms. */
export const REGISTERS = {
  identity: later("Name, sex, birth date"),
  nik: later("NIK"),
  parents: later("Parents"),
  home: later("Address"),
  post: later("Post"),
  birth: later("Birth"),
  books: later("Books"),
  family: later("Family at risk"),
  consent: later("Consent"),
  same_as: later("The same child"),
  book_doses: later("Vaccines given elsewhere"),
  doses: later("Vaccines given"),
  extra: later("In other systems"),
  removed: later("Removal"),
  weight: laterIn("body", "Weight"),
  length: later("Length/height"),
  muac: later("Arm"),
  head: later("Head"),
  services: later("Services"),
  note: later("Note"),
  task: later("Task"),
  result: later("Result"),
  aid: later("Social aid"),
  delivered: later("Social aid given"),
  evidence: later("Evidence"),
  verified: later("Verification"),
};

/** The name of a register; that of a newer server is shown as it is. @param {string} register */
export const registerName = (register) => (REGISTERS[register] ? message(REGISTERS[register]) : register);

/** What may come of a follow-up on a tablet (docs/protocol.md, registers of a follow-up). */
export const OUTCOMES = {
  done: laterIn("outcome", "Done"),
  not_reached: later("Not reached"),
  refused: later("The family refused"),
  better: later("Better"),
  same: later("The same"),
  worse: later("Worse"),
};
/** Menus and funds by their codes (docs/protocol.md, registers of a delivery). */
export const MENUS = {
  food: later("Food"),
  insurance: later("Health insurance"),
  counselling: later("Counselling"),
  latrine: later("Latrine"),
  water: later("Clean water"),
  housing: later("Decent housing"),
  other: later("Other"),
};
export const FUNDS = {
  genting: later("Genting"),
  csr: later("A company's CSR"),
  village: later("Village fund"),
  dak: later("State PMT (DAK)"),
  apbd: later("State PMT (APBD)"),
  partner: later("Another partner"),
};
const CODES = {
  outcome: OUTCOMES,
  menu: MENUS,
  funds: FUNDS,
  reaches: { child: later("This child"), family: later("Its family") },
  vitamin_a: { blue: later("Blue capsule"), red: later("Red capsule") },
  kpsp: { S: later("On track"), M: later("Doubtful"), P: later("Deviant") },
};
const FIELDS = {
  exclusive_breastfeeding: later("Breast milk only"),
  vitamin_a: later("Vitamin A"),
  deworming: later("Deworming"),
  immunised: later("Immunised today"),
  mbg: later("Receives MBG (free meals)"),
  mother_class: later("Mother attends the mothers' class"),
  kpsp: later("KPSP (development)"),
  mother: later("Mother"),
  father: later("Father"),
  phone: later("Phone"),
  weight_g: laterIn("body", "Weight"),
  length_mm: later("Length"),
  days_eaten: later("Days on which it was eaten"),
};

/** A register's value in words. @param {string} register @param {object} value */
export function valueWords(register, value) {
  const { weight_g, oedema, length_mm, position, muac_mm, head_mm } = value;
  if (register === "weight")
    return [kg(weight_g), oedema && oedema !== "n" ? say(" oedema {oedema}", { oedema }) : ""].join("");
  if (register === "length")
    return `${cm(length_mm)} ${position === "lying" ? say("lying") : position === "standing" ? say("standing") : ""}`;
  if (register === "muac") return cm(muac_mm);
  if (register === "head") return cm(head_mm);
  if (register === "identity")
    return `${value.name}, ${value.sex === "F" ? "P" : value.sex === "M" ? "L" : "?"}, ${dayWords(value.born_on)}`;
  if (register === "doses") return Object.keys(value.given).sort().join(", ") || "–";
  if (register === "book_doses")
    return (
      Object.entries(value.given)
        .map(([code, day]) => `${code} ${dayWords(day)}`)
        .join(", ") || "–"
    );
  if (register === "extra")
    return (
      Object.entries(value.ids)
        .map((pair) => pair.join(" "))
        .join(", ") || "–"
    );
  if (register === "removed") return value.reason ? `${say("removed: ")}${value.reason}` : say("kept");
  const parts = Object.entries(value).filter(([, held]) => held !== null && held !== "" && typeof held !== "object");
  const words = ([field, held]) => [FIELDS[field] && message(FIELDS[field]), said(field, held)].filter(Boolean).join(" ");
  return parts.map(words).join(", ") || "–";
}

/** One field's value in words. */
function said(field, held) {
  if (held === true) return say("yes");
  if (held === false) return say("no");
  if (CODES[field] && CODES[field][held]) return message(CODES[field][held]);
  if (/_on$/.test(field)) return dayWords(held);
  if (/_g$/.test(field)) return kg(held);
  return /_mm$/.test(field) ? cm(held) : String(held);
}
