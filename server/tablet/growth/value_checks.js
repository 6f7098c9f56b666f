/**
 * Warnings while a measurement is being typed: is this the value that you read? They block saving only for values that the
 * server would refuse. At most one for a field, the most likely cause first: where a typing mistake explains an implausible
 * score, only the mistake is asked about.
 */

import { visitOf } from "./assess.js";
import { ageDays } from "./calendar.js";
import { uncoded } from "./gain.js";
import { oddities, predecessor } from "./quality_flags.js";
import { likelyMeant, MEASURES, swappedBack } from "./typing_slips.js";
import { later, laterIn } from "./text.js";
import { cm, kg } from "./number_text.js";
import { FIRST_STANDING_DAY, LAST_SCORED_DAY } from "./zscores.js";

const NAMES = {
  weight_g: { name: later("Weight"), again: later("weigh once more") },
  length_mm: {
    name: later("Length or height"),
    again: later("measure once more"),
  },
  muac_mm: { name: later("Arm (MUAC)"), again: later("measure once more") },
  head_mm: { name: later("Head"), again: later("measure once more") },
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
  weight_jumped: "weight_g",
  copied: "weight_g",
};
/** The two fields whose values may have been swapped. @type {Array<"weight_g"|"length_mm">} */
const SWAPPABLE = ["weight_g", "length_mm"];
const POSITIONS = {
  lying: laterIn("question", "lying"),
  standing: later("standing"),
};

/**
 * A question about a draft. `severity` "refused": the server would refuse the value. `values` has the values that `words`
 * mention; `proposal` is the value that was probably meant, in the field's unit, for the cadre to take with one tap, or null.
 * @typedef {object} Warning
 * @property {'swapped'|'slip'|'out_of_range'|'implausible'|'length_shrank'|'weight_jumped'|'copied'|'position_unlikely'|
 *   'position_unusual'|'measured_before_birth'|'in_future'|'over_five'|'not_a_figure'} rule
 * @property {'weight_g'|'length_mm'|'muac_mm'|'head_mm'|'position'|'on'} field
 * @property {'look'|'refused'} severity
 * @property {Object<string, any>} values
 * @property {number|null} proposal
 * @property {import('./text.js').Text} words
 */

/**
 * Ask about what is being typed.
 * @param {import('./tables.js').Tables} tables
 * @param {import('./assess.js').Child} child
 * @param {import('./assess.js').Measurement[]} measurements of the child; one with the draft's day and source is ignored
 * @param {import('./assess.js').Measurement} draft what is typed so far, null for what is not
 * @param {string} today ISO date
 * @returns {Warning[]} refused ones first; at most one for a field
 */
export function warnings(tables, child, measurements, draft, today) {
  const visits = upTo(tables, child, measurements, draft);
  /** @type {Warning[]} */
  const found = [
    ...aboutDates(child, draft, today),
    ...aboutSlips(tables, child, draft),
    ...aboutOddities(tables, child, visits),
    ...aboutLimits(visits[visits.length - 1]),
    ...aboutPosition(child, draft),
  ];
  const asked = new Set();
  const first = found.filter(({ field, values }) => {
    // a doubtful length makes weight for length doubtful as well: one question is enough
    const explained = asked.has("length_mm") && (values.index === "whz" || values.index === "baz");
    return !explained && !asked.has(field) && asked.add(field);
  });
  return [
    ...first.filter(({ severity }) => severity === "refused"),
    ...first.filter(({ severity }) => severity === "look"),
  ];
}

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

/** The child's visits before the draft, and the draft as the newest. */
function upTo(tables, child, measurements, draft) {
  const key = ({ on, source }) => `${on}/${source}`;
  return [...measurements.filter((other) => key(other) < key(draft)), draft]
    .sort((a, b) => (key(a) < key(b) ? -1 : 1))
    .map((measurement) => visitOf(tables, child, measurement, uncoded("not_weighed")));
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

/** @returns {Generator<Warning>} */
function* aboutSlips(tables, child, draft) {
  const meant = swappedBack(draft);
  for (const field of meant ? SWAPPABLE : []) {
    const likely = written(field, meant?.[field]);
    yield {
      rule: "swapped",
      field,
      severity: severityOf(tables, field, draft[field]),
      values: { value: draft[field] },
      proposal: meant?.[field] ?? null,
      words: later("Weight and length swapped? {measure} is perhaps {likely}.", { measure: NAMES[field].name, likely }),
    };
  }
  for (const field of MEASURES) {
    if (draft[field] != null) yield* aboutSlip(tables, child, draft.on, field, draft[field]);
  }
}

/** @returns {Generator<Warning>} */
function* aboutSlip(tables, child, on, field, value) {
  const severity = severityOf(tables, field, value);
  const meant = likelyMeant(tables, child, on, field, value);
  const measure = NAMES[field].name;
  const typed = written(field, value);
  if (meant !== null) {
    const likely = written(field, meant);
    yield {
      rule: "slip",
      field,
      severity,
      values: { value },
      proposal: meant,
      words: later("{measure} {typed}? Perhaps {likely} is meant.", { measure, typed, likely }),
    };
  } else if (severity === "refused") {
    const [least, greatest] = tables.ranges[field];
    const [from, to] = [written(field, least), written(field, greatest)];
    yield {
      rule: "out_of_range",
      field,
      severity,
      values: { value, least, greatest },
      proposal: null,
      words: later("{measure} {typed} is impossible under five ({from} to {to}). Check it.", {
        measure,
        typed,
        from,
        to,
      }),
    };
  }
}

/** The server's rules in the server's words, with the two values that are compared. */
function* aboutOddities(tables, child, visits) {
  const { measurement } = visits[visits.length - 1];
  for (const { rule, details } of oddities(child, visits)) {
    const field = FIELD_OF_ODDITY[rule];
    const before = rule === "length_shrank" || rule === "weight_jumped" ? predecessor(visits, field) : null;
    if (!before) {
      yield look(rule, field, details, later("{reason}.", { reason: tables.rules[rule] }));
      continue;
    }
    const values = { ...details, before: before.measurement[field], before_on: before.on, value: measurement[field] };
    const [was, is] = [written(field, values.before), written(field, values.value)];
    yield look(rule, field, values, later("{reason} ({was} → {is}).", { reason: tables.rules[rule], was, is }));
  }
}

function* aboutLimits({ measurement, scores }) {
  for (const [index, field] of Object.entries(FIELD_OF)) {
    if (!scores[index].implausible) continue;
    const { name, again } = NAMES[field];
    const typed = written(field, measurement[field]);
    const compared = index === "whz" || index === "baz" ? later("the length") : later("the age");
    yield look(
      "implausible",
      field,
      { index, z: scores[index].z, value: measurement[field] },
      later("{measure} {typed} is most unusual for {compared}; {again}.", { measure: name, typed, compared, again }),
    );
  }
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
function severityOf(tables, field, value) {
  const [least, greatest] = tables.ranges[field];
  return value < least || value > greatest ? "refused" : "look";
}
