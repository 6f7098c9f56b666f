/**
 * Advice after measuring: what the mother is told (the weight in grams, how the child is doing, what to do), and apart from it what
 * the cadre is to do. Texts are kind, short and about this child. They screen and never diagnose: the cadre reads the reasons in the
 * server's words ("terindikasi"), and the health centre decides what follows. By the Buku KIA 2023, T, the red line and the orange
 * line are referred to the staff. The headline follows the worst finding, so no praise stands beside a risk.
 */

import { monthsCompleted } from "./calendar.js";
import { catchingUp, feeding, LIGHTER_SNACKS } from "./feeding.js";
import { later } from "./text.js";
import { weightSentence } from "./weight_sentence.js";

/** A mother is told at most this many reasons; the flags have all of them. */
const MOST_REASONS = 3;
const MONTHS_OF_FIVE_YEARS = 60;
const HEAVY = ["overweight", "above_orange_line"];
const UNUSUAL = ["muac_for_age_moderate", "head_large", "head_small"];
const HEAD = ["head_large", "head_small", "head_very_large", "head_very_small"];
/** Of these the mother hears when the child is not well; the others are as they should be. */
const FINE = ["bb_normal", "normal", "tinggi", "gizi_baik"];
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
  risk: later("Possible risk of overweight: look again next month"),
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
  see_midwife: later("See the midwife or the health centre's staff."),
  again_now: later("The child is measured once more before you go home."),
  head: later("The head is unusually large or small for the age."),
  praise: later("You are caring well; keep it up."),
  over_five: later("Five years old: growth is no longer scored here. If anything worries you, see the health centre."),
};

const DO = {
  today: later("Tell the midwife now, and see that the family goes to the health centre today."),
  this_week: later("Tell the midwife, and see that the child is seen at the health centre this week."),
  tell_midwife: later("Tell the midwife or the health centre's staff."),
  ask_illness: later("Ask whether the child was ill or ate badly."),
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
 * @property {'2T'|'T'|'N'|'O'|'B'|'?'} code the same without the "!"
 * @property {'green'|'yellow'|'orange'|'red'|'grey'} tone
 * @property {import('./text.js').Text} headline
 * @property {import('./text.js').Text|import('./tables.js').Words} sentence for the mother: the weight, in grams
 * @property {Array<import('./text.js').Text|import('./tables.js').Words>} found for the mother: how the child is
 * @property {Array<import('./text.js').Text>} say to the mother: what to do, the most important first
 * @property {Array<import('./text.js').Text>} todo for the cadre: why, and what; never part of what a mother is given
 * @property {boolean} again whether the child comes to the posyandu next month
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
  const again = age_months === null || age_months < MONTHS_OF_FIVE_YEARS;
  const why = reasons.slice(0, MOST_REASONS).map(({ words }) => later("{reason}.", { reason: words }));
  return {
    about,
    reasons,
    sign: about === "today" ? "!" : signOf(visits),
    code: signOf(visits),
    tone,
    headline: HEADLINES[about],
    sentence: weightSentence(visits),
    found: findings(tables, assessment.latest, about, has),
    say: [...toMother(about, has, age_months, again)],
    todo: [...why, ...toCadre(about, has)],
    again,
  };
}

/** The server's sentences about the classes: of a child that is well its weight and length, else what is not as it should be. */
function findings(tables, latest, about, has) {
  if (about === "measure_again" || about === "not_seen") return [];
  const known = (indices) => indices.filter((index) => latest[index]);
  const words = (index) => tables.sentences[index][codeOf(index, latest[index])];
  const wrong = known(["whz", "muac", "waz", "haz"]).filter((index) => !FINE.includes(latest[index].code));
  const shown = wrong.length ? wrong.slice(0, MOST_REASONS) : known(["waz", "haz"]);
  return [...shown.map(words), ...(has(HEAD) ? [SAY.head] : [])];
}

/** Thinness by swollen feet has a sentence of its own. */
const codeOf = (index, { code, z, visit }) => (index === "whz" && visit.oedema && z === null ? "oedema" : code);

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
  if (latest.whz && !FINE.includes(latest.whz.code)) return { about: "risk", tone: "yellow", reasons: [] };
  if (!Object.values(latest).some(Boolean)) return { about: "unknown", tone: "grey", reasons: [] };
  const { code } = gainOf(visits);
  return { about: HEADLINES[code] ? code : "well", tone: "green", reasons: [] };
}

function* toMother(about, has, age_months, again) {
  if (about === "not_seen") return;
  if (about === "today") yield SAY.today;
  if (about === "two_t" || about === "this_week") yield SAY.this_week;
  if (about === "measure_again") yield SAY.again_now;
  if (about === "N" || about === "well") yield SAY.praise;
  if (needsToCatchUp(about, has)) yield catchingUp(age_months);
  if (["not_gaining", "heavy", "unusual"].includes(about)) yield SAY.see_midwife;
  if (has(HEAVY) || about === "risk") yield LIGHTER_SNACKS;
  // no feeding advice to a mother who is to go to the health centre today
  const food = about === "today" ? null : feeding(age_months);
  if (food) yield food;
  if (!again) yield SAY.over_five;
}

/** Not if it is to be measured again, as it may have gained after all; not if it is heavy. Until it is seen, an infant is breastfed
 * more often. */
function needsToCatchUp(about, has) {
  const short = has(["not_gaining", "two_t"]) && about !== "today" && about !== "measure_again" && !has(HEAVY);
  return short || has("infant_not_gaining");
}

function* toCadre(about, has) {
  if (about === "today") yield DO.today;
  if (about === "two_t" || about === "this_week") yield DO.this_week;
  if (about === "not_seen") yield DO.invite;
  if (about === "measure_again") yield DO.mend;
  if (["not_gaining", "heavy", "unusual"].includes(about)) yield DO.tell_midwife;
  if (needsToCatchUp(about, has)) yield DO.ask_illness;
  if (has("birth_date_unknown")) yield DO.ask_birth_date;
  if (has("sex_unknown")) yield DO.ask_sex;
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
