/**
 * Warnings while a measurement is being typed: is this the value that you read? They block saving only for values that the
 * server would refuse. At most one for a field, the most likely cause first: where a typing mistake explains an implausible
 * score, only the mistake is asked about.
 */

import { visitOf } from "./assess.js";
import { ageDays } from "./calendar.js";
import { uncoded } from "./gain.js";
import { cm, kg } from "./number_text.js";
import { keepsToItsLine, proposals, SWAPPABLE } from "./proposals.js";
import { compared, COMPARED, monthsApart, oddities, predecessor } from "./quality_flags.js";
import { newlySevere } from "./severe_results.js";
import { later, laterIn } from "./text.js";
import { isDoubted, MEASURES, outOfRange } from "./typing_slips.js";
import { FIRST_STANDING_DAY, LAST_SCORED_DAY } from "./zscores.js";

/** By field: its words, and the decimals of its unit that a record holds. */
const NAMES = {
  weight_g: { name: later("Weight"), again: later("weigh once more"), digits: 3 },
  length_mm: {
    name: later("Length or height"),
    again: later("measure once more"),
    digits: 1,
  },
  muac_mm: { name: later("Arm (MUAC)"), again: later("measure once more"), digits: 1 },
  head_mm: { name: later("Head"), again: later("measure once more"), digits: 1 },
};
/** The field that is asked about when a score is beyond the WHO's limits. The order matters: whz and baz need weight and length. */
const FIELD_OF = {
  haz: "length_mm",
  waz: "weight_g",
  hcz: "head_mm",
  acz: "muac_mm",
  whz: "weight_g",
  baz: "weight_g",
};
const FIELD_OF_ODDITY = {
  measured_before_birth: "on",
  position_unlikely: "position",
  length_shrank: "length_mm",
  length_jumped: "length_mm",
  head_jumped: "head_mm",
  weight_jumped: "weight_g",
  copied: "weight_g",
};
const POSITIONS = {
  lying: laterIn("question", "lying"),
  standing: later("standing"),
};
const SEVERITIES = ["refused", "look", "again"];

/**
 * A question about a draft. `severity` "refused": the server would refuse the value; "again": measure once more, as the result is
 * severe. `values` has the values that `words` mention; `proposal` has what was probably meant, every field that changes in its
 * unit, for the cadre to take with one tap, or null.
 * @typedef {object} Warning
 * @property {'swapped'|'slip'|'out_of_range'|'unusual'|'implausible'|'length_shrank'|'length_jumped'|'head_jumped'|
 *   'weight_jumped'|'copied'|'position_unlikely'|'position_unusual'|'measured_before_birth'|'in_future'|'over_five'|
 *   'not_a_figure'|'severe'|'second_awaited'} rule
 * @property {'weight_g'|'length_mm'|'muac_mm'|'head_mm'|'position'|'on'} field
 * @property {'refused'|'look'|'again'} severity
 * @property {Object<string, any>} values
 * @property {import('./proposals.js').Proposal|null} proposal
 * @property {import('./text.js').Text} words
 */

/**
 * Ask about what is being typed.
 * @param {import('./tables.js').Tables} tables
 * @param {import('./assess.js').Child} child
 * @param {import('./assess.js').Measurement[]} measurements of the child; one with the draft's day and source is ignored
 * @param {import('./assess.js').Measurement} draft what is typed so far: null for what is not, undefined for what is no number,
 *   a fraction for one with too many decimals
 * @param {string} today ISO date
 * @param {(question: Warning) => boolean} [isAnswered] whether the cadre has answered a question already
 * @returns {Warning[]} refused ones first, then those to look at; at most one for a field
 */
export function warnings(tables, child, measurements, draft, today, isAnswered = () => false) {
  const others = around(tables, child, measurements, draft);
  const ask = (/** @type {import('./assess.js').Measurement} */ typed) => questions(tables, child, others, typed, today);
  const found = ask(draft);
  const { swap, slips } = proposals(tables, child, draft, found, ask, (field, value) => {
    const visit = visitOf(tables, child, { ...draft, [field]: value }, uncoded("not_weighed"));
    return keepsToItsLine(field, visit, others.earlier, others.following);
  });
  const meant = [...slips].map(([field, proposal]) => slip(tables, field, draft[field], proposal));
  const all = [...(swap ? [swapped(tables, draft, swap)] : []), ...meant, ...found];
  const first = firstOfEach(all.filter((one) => one.severity === "refused" || !isAnswered(one)));
  return SEVERITIES.flatMap((severity) => first.filter((one) => one.severity === severity));
}

/** The first question about each field. A swap is about two fields, and a doubtful length makes weight for length doubtful. */
function firstOfEach(found) {
  const asked = new Set();
  return found.filter(({ rule, field, values }) => {
    const explained = asked.has("length_mm") && (values.index === "whz" || values.index === "baz");
    if (explained || asked.has(field)) return false;
    (rule === "swapped" ? SWAPPABLE : [field]).forEach((one) => asked.add(one));
    return true;
  });
}

/** Every question about a draft, without proposals, the most likely cause first. @returns {Warning[]} */
function questions(tables, child, { earlier, following }, draft, today) {
  const readable = { ...draft };
  for (const field of MEASURES) if (!isFigure(draft[field])) readable[field] = null;
  const visit = visitOf(tables, child, readable, uncoded("not_weighed"));
  const visits = [...earlier, visit];
  return [
    ...aboutDates(child, draft, today),
    ...MEASURES.flatMap((field) => [...aboutFigure(tables, field, draft[field])]),
    ...aboutOddities(tables, child, visits),
    ...aboutLater(tables, child, following, visit),
    ...aboutLimits(visit),
    ...MEASURES.filter((field) => isDoubted(tables, child, draft.on, field, readable[field])).map((field) =>
      unusual(field, readable[field]),
    ),
    ...aboutPosition(child, readable),
    ...newlySevere(tables, visits).map((found) => severe(tables, visit, found)),
  ];
}

/** Whether it is what a record holds: a whole number of its unit, or null. */
const isFigure = (held) => held === null || Number.isInteger(held);

/**
 * How a child of this age is usually measured; the form's default.
 * @param {import('./assess.js').Child} child
 * @param {string} on day of measuring
 * @returns {'lying'|'standing'|null} null where the age is unknown
 */
export function usualPosition(child, on) {
  const age_days = ageDays(child.born_on, on);
  if (age_days === null) return null;
  return age_days < FIRST_STANDING_DAY ? "lying" : "standing";
}

/** The child's visits before the draft, and those after its day, in order. */
function around(tables, child, measurements, draft) {
  const key = ({ on, source }) => `${on}/${source}`;
  const visits = [...measurements]
    .sort((a, b) => (key(a) < key(b) ? -1 : 1))
    .map((measurement) => visitOf(tables, child, measurement, uncoded("not_weighed")));
  return {
    earlier: visits.filter((visit) => key(visit) < key(draft)),
    following: visits.filter(({ on }) => on > draft.on),
  };
}

function* aboutDates(child, { on }, today) {
  if (on > today) {
    yield look("in_future", "on", { on, today }, later("The date of measuring is after today; check it."));
  }
  const age_days = ageDays(child.born_on, on);
  if (age_days !== null && age_days > LAST_SCORED_DAY) {
    yield look(
      "over_five",
      "on",
      { on, age_days },
      later("Five years old by now: no longer scored. Check the dates of birth and of measuring."),
    );
  }
}

/** A figure that no record can hold. @returns {Generator<Warning>} */
function* aboutFigure(tables, field, value) {
  const { name: measure, digits } = NAMES[field];
  if (!isFigure(value)) {
    const words = later("{measure}: a figure with at most {digits} decimals.", { measure, digits });
    yield { ...look("not_a_figure", field, {}, words), severity: "refused" };
  } else if (value !== null && outOfRange(tables, field, value)) {
    const [least, greatest] = tables.ranges[field];
    const [from, to] = [written(field, least), written(field, greatest)];
    const words = later("{measure} {typed} is impossible under five ({from} to {to}). Check it.", {
      measure,
      typed: written(field, value),
      from,
      to,
    });
    yield { ...look("out_of_range", field, { value, least, greatest }, words), severity: "refused" };
  }
}

/** @returns {Warning} */
function slip(tables, field, value, proposal) {
  const [typed, likely] = [written(field, value), written(field, proposal[field])];
  const words = later("{measure} {typed}? Perhaps {likely} is meant.", { measure: NAMES[field].name, typed, likely });
  return { ...look("slip", field, { value }, words), severity: severityOf(tables, field, value), proposal };
}

/** @returns {Warning} */
function swapped(tables, { weight_g, length_mm }, proposal) {
  const words = later("Weight and length swapped? Perhaps {weight} and {length} are meant.", {
    weight: kg(proposal.weight_g),
    length: cm(proposal.length_mm),
  });
  const found = look("swapped", "weight_g", { weight_g, length_mm }, words);
  const refused = [severityOf(tables, "weight_g", weight_g), severityOf(tables, "length_mm", length_mm)];
  return { ...found, severity: refused.includes("refused") ? "refused" : "look", proposal };
}

/** The server's rules in the server's words, with the two values that are compared. */
function* aboutOddities(tables, child, visits) {
  const visit = visits[visits.length - 1];
  for (const { rule, details } of oddities(tables, child, visits)) {
    const field = FIELD_OF_ODDITY[rule];
    const before = COMPARED.includes(field) && rule !== "copied" ? predecessor(visits, field) : null;
    if (!before) {
      yield look(rule, field, details, later("{reason}.", { reason: tables.rules[rule] }));
      continue;
    }
    const values = { ...details, before: before.measurement[field], before_on: before.on, value: visit.measurement[field] };
    yield look(rule, field, values, comparison(tables, rule, field, values, monthsApart(before, visit)));
  }
}

/** @returns {import('./text.js').Text} */
function comparison(tables, rule, field, { before, value }, months) {
  const [was, is] = [written(field, before), written(field, value)];
  if (rule !== "length_jumped" && rule !== "head_jumped")
    return later("{reason} ({was} → {is}).", { reason: tables.rules[rule], was, is });
  const [measure, change] = [NAMES[field].name, written(field, value - before)];
  return months === 1
    ? later("{measure} up {change} since last month ({was} → {is})? Measure once more.", { measure, change, was, is })
    : later("{measure} up {change} ({was} → {is})? Measure once more.", { measure, change, was, is });
}

/** The same rules for the next visit with each measure, where an older record is corrected. */
function* aboutLater(tables, child, following, visit) {
  for (const field of COMPARED) {
    const next = following.find(({ measurement }) => measurement[field] != null);
    const value = visit.measurement[field];
    if (!next || value == null) continue;
    const after = next.measurement[field];
    for (const { rule, details } of compared(tables, child, field, visit, next)) {
      const words = later("{measure} {typed} does not fit the next visit ({next}). Check it.", {
        measure: NAMES[field].name,
        typed: written(field, value),
        next: written(field, after),
      });
      yield look(rule, field, { ...details, value, after, after_on: next.on }, words);
    }
  }
}

function* aboutLimits({ measurement, scores }) {
  for (const [index, field] of Object.entries(FIELD_OF)) {
    if (!scores[index].implausible) continue;
    const compared = index === "whz" || index === "baz" ? later("the length") : later("the age");
    const value = measurement[field];
    yield look("implausible", field, { index, z: scores[index].z, value }, mostUnusual(field, value, compared));
  }
}

/** A value so far from the median that only a mistake explains it, where the score is not known. */
const unusual = (field, value) => look("unusual", field, { value }, mostUnusual(field, value, later("the age")));

const mostUnusual = (field, value, compared) =>
  later("{measure} {typed} is most unusual for {compared}; {again}.", {
    measure: NAMES[field].name,
    typed: written(field, value),
    compared,
    again: NAMES[field].again,
  });

/** Before a severe result: one more measurement. @returns {Warning} */
function severe(tables, { measurement, scores }, { index, code, field }) {
  const z = index === "muac" ? null : scores[index].z;
  const words = later("{result} ({measure} {typed})? Measure once more to be sure.", {
    result: tables.labels[code],
    measure: NAMES[field].name,
    typed: written(field, measurement[field]),
  });
  return { ...look("severe", field, { index, z, value: measurement[field] }, words), severity: "again" };
}

function* aboutPosition(child, { on, length_mm, position }) {
  const usual = usualPosition(child, on);
  if (length_mm == null || !position || !usual || position === usual) return;
  const [was, is] = [POSITIONS[usual], POSITIONS[position]];
  yield look(
    "position_unusual",
    "position",
    { position, usual },
    later("At this age children are usually measured {was}. Was it {is}?", { was, is }),
  );
}

/** @returns {Warning} */
const look = (rule, field, values, words) => ({ rule, field, severity: "look", values, proposal: null, words });

const written = (field, value) => (field === "weight_g" ? kg(value) : cm(value));

/** @returns {Warning["severity"]} */
const severityOf = (tables, field, value) =>
  isFigure(value) && !outOfRange(tables, field, value) ? "look" : "refused";
