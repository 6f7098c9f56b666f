/**
 * Advice after measuring, for the cadre to see and to tell the mother: how the child is doing and what to do next. Texts are
 * kind, short and about this child. They screen and never diagnose: reasons are in the server's words ("terindikasi"), and the
 * health centre decides what follows. By the Buku KIA 2023, T, the red line and the orange line are referred to the staff.
 */

import { monthsCompleted } from "./calendar.js";
import { catchingUp, feeding, LIGHTER_SNACKS } from "./feeding.js";
import { later } from "./text.js";

/** A mother is told at most this many reasons; the flags have all of them. */
const MOST_REASONS = 3;
const MONTHS_OF_FIVE_YEARS = 60;
const HEAVY = ["overweight", "above_orange_line"];
const UNUSUAL = ["muac_for_age_moderate", "head_large", "head_small"];
const MEASURE_AGAIN = [
  "implausible",
  "length_shrank",
  "length_jumped",
  "head_jumped",
  "weight_jumped",
  "copied",
  "position_unlikely",
  "measured_before_birth",
];

const HEADLINES = {
  today: later("Take to the health centre today"),
  this_week: later("Refer to the health centre this week"),
  two_t: later("Too little gain two months running (2T): refer"),
  not_gaining: later("Not enough gain this month (T)"),
  measure_again: later("Measure once more"),
  heavy: later("Heavier than it should be: show the midwife"),
  unusual: later("Unusual for the age: show the midwife"),
  not_seen: later("Not measured this month or last"),
  unknown: later("Cannot be judged yet"),
  N: later("Gaining weight, growing well (N)"),
  B: later("Weighed for the first time: all well"),
  O: later("All well; not weighed last month"),
  well: later("All well"),
};

const SAY = {
  today: later("Go to the health centre today, with the Buku KIA; do not wait. Go on feeding as usual."),
  this_week: later(
    "Have the child seen at the health centre this week, with the Buku KIA, to measure again and find the cause.",
  ),
  tell_midwife: later("Tell the midwife or the health centre's staff."),
  praise: later("You are caring well; keep it up."),
  next_month: later("Come to the posyandu again next month."),
  over_five: later("Five years old: growth is no longer scored here. If anything worries you, see the health centre."),
  ask_birth_date: later("Ask for the birth date; see the Buku KIA or certificate."),
  ask_sex: later("Fill in the child's sex."),
  invite: later("Invite the family, or visit them at home."),
  mend: later("Check the figures and dates, and measure again before the child leaves."),
};

/**
 * What to show and say. `sign` goes on the badge: "!" today to the health centre, else "2T", "T", "N", "O", "B", or "?" where
 * there is no code.
 * @typedef {object} Advice
 * @property {string} about the most urgent subject, by which headline and tone are chosen
 * @property {import("./flags.js").Flag[]} reasons of that subject, the most urgent first
 * @property {'!'|'2T'|'T'|'N'|'O'|'B'|'?'} sign
 * @property {'green'|'yellow'|'orange'|'red'|'grey'} tone
 * @property {import('./text.js').Text} headline
 * @property {Array<import('./text.js').Text|import('./tables.js').Words>} say sentences, the most important first
 */

/**
 * Advise on a child.
 * @param {import('./tables.js').Tables} tables
 * @param {import('./assess.js').Child} child
 * @param {import('./assess.js').Assessment} assessment
 * @param {string} today ISO date: feeding advice is for the age on this day, not on the last visit
 * @returns {Advice}
 */
export function advice(tables, child, assessment, today) {
  const { visits, flags } = assessment;
  /** @param {string|string[]} rules any of which applies */
  const has = (rules) => flags.some(({ rule }) => [rules].flat().includes(rule));
  const { tone, about, reasons } = judged(assessment, has);
  const age_months = monthsCompleted(child.born_on, today);
  const say = reasons.slice(0, MOST_REASONS).map(({ words }) => later("{reason}.", { reason: words }));
  if (tone === "green") say.push(...fits(tables, assessment.latest));
  say.push(...actions(about, has, age_months));
  if (about !== "not_seen") say.push(...care(about, has, age_months));
  return { about, reasons, sign: about === "today" ? "!" : signOf(visits), tone, headline: HEADLINES[about], say };
}

/** The server's sentences about weight for age and length for age, for a child that is well. */
function fits(tables, latest) {
  const known = ["waz", "haz"].filter((index) => latest[index]);
  return known.map((index) => tables.sentences[index][latest[index].code]);
}

/** Find the most urgent subject, its colour, and the flags that are its reasons.
 * @returns {{about: string, tone: Advice["tone"], reasons: import("./flags.js").Flag[]}} */
function judged({ visits, latest, flags }, has) {
  const urgent = (urgency) => flags.filter((flag) => flag.urgency === urgency && !MEASURE_AGAIN.includes(flag.rule));
  const unusual = [...HEAVY, ...UNUSUAL];
  const these = (rules) => flags.filter(({ rule }) => rules.includes(rule));
  if (urgent(1).length) return { about: "today", tone: "red", reasons: urgent(1) };
  if (urgent(2).length) return { about: has("two_t") ? "two_t" : "this_week", tone: "orange", reasons: urgent(2) };
  if (has("not_seen")) return { about: "not_seen", tone: "grey", reasons: [] };
  if (has(MEASURE_AGAIN)) return { about: "measure_again", tone: "yellow", reasons: these(MEASURE_AGAIN) };
  if (has("not_gaining")) return { about: "not_gaining", tone: "yellow", reasons: these(unusual) };
  if (has(HEAVY)) return { about: "heavy", tone: "yellow", reasons: these(unusual) };
  if (has(UNUSUAL)) return { about: "unusual", tone: "yellow", reasons: these(unusual) };
  if (!Object.values(latest).some(Boolean)) return { about: "unknown", tone: "grey", reasons: [] };
  const { code } = gainOf(visits);
  return { about: HEADLINES[code] ? code : "well", tone: "green", reasons: [] };
}

function* actions(about, has, age_months) {
  if (about === "today") yield SAY.today;
  if (about === "two_t" || about === "this_week") yield SAY.this_week;
  if (about === "not_seen") yield SAY.invite;
  if (about === "measure_again") yield SAY.mend;
  if (about === "N" || about === "well") yield SAY.praise;
  if (has("birth_date_unknown")) yield SAY.ask_birth_date;
  if (has("sex_unknown")) yield SAY.ask_sex;
  // not if it is to be measured again, as it may have gained after all; not if it is heavy, as it need not catch up
  if (has(["not_gaining", "two_t"]) && about !== "today" && about !== "measure_again" && !has(HEAVY))
    yield catchingUp(age_months);
  // until it is seen, an infant is breastfed more often
  if (has("infant_not_gaining")) yield catchingUp(age_months);
  if (["not_gaining", "heavy", "unusual"].includes(about)) yield SAY.tell_midwife;
}

function* care(about, has, age_months) {
  if (has(HEAVY)) yield LIGHTER_SNACKS;
  // no feeding advice to a mother who is to go to the health centre today
  const words = about === "today" ? null : feeding(age_months);
  if (words) yield words;
  yield age_months === null || age_months < MONTHS_OF_FIVE_YEARS ? SAY.next_month : SAY.over_five;
}

/** The gain of the newest visit's month; only one weighing of a month has a code. */
function gainOf(visits) {
  const month = visits[visits.length - 1].on.slice(0, 7);
  const coded = visits.filter(({ on, gain }) => gain.code && on.startsWith(month));
  return coded.length ? coded[coded.length - 1].gain : { code: null, two_t: false };
}

function signOf(visits) {
  if (!visits.length) return "?";
  const { code, two_t } = gainOf(visits);
  return two_t ? "2T" : code || "?";
}
