/**
 * What was probably meant, to be taken with one tap. Accepting a proposal must never make a record worse, so one is made only
 * if it is the only reading that is likely for the age and for this child, and the draft with it passes every check: ranges, the
 * WHO's limits, weight for length, the visits before and after. A reading that raises a question by itself is not proposed; the
 * question stands alone.
 */

import { asOther, isDoubted, isLikely, MEASURES, outOfRange, readings, withoutLoss } from "./typing_slips.js";

/** The two fields whose values may have been swapped. @type {Array<"weight_g"|"length_mm">} */
export const SWAPPABLE = ["weight_g", "length_mm"];
/** A child's score seldom moves further between two visits (SD). */
const MOST_MOVED = 2;
/** @type {Record<Measure, 'waz'|'haz'|'acz'|'hcz'>} */
const INDEX_OF = { weight_g: "waz", length_mm: "haz", muac_mm: "acz", head_mm: "hcz" };

/**
 * @typedef {import('./typing_slips.js').Measure} Measure
 * @typedef {import('./value_checks.js').Warning} Warning
 * @typedef {import('./assess.js').Measurement} Measurement
 * @typedef {Partial<Record<Measure, number|null>>} Proposal all values that change, in record units
 */

/**
 * Tell whether a value keeps to the child's own line: its score is near those of the visits beside it.
 * @param {Measure} field
 * @param {import('./assess.js').Visit} visit with the value
 * @param {import('./assess.js').Visit[]} earlier in order
 * @param {import('./assess.js').Visit[]} following in order
 * @returns {boolean} true also where there is no score to compare with
 */
export function keepsToItsLine(field, visit, earlier, following) {
  const z = (one) => one?.scores[INDEX_OF[field]].z ?? null;
  const scored = (visits) => z(visits.find((one) => z(one) !== null));
  const [own, ...beside] = [z(visit), scored([...earlier].reverse()), scored(following)];
  return own === null || beside.every((other) => other === null || Math.abs(own - other) <= MOST_MOVED);
}

/**
 * Make the proposals for a draft.
 * @param {import('./tables.js').Tables} tables
 * @param {import('./assess.js').Child} child
 * @param {Measurement} draft
 * @param {Warning[]} found the questions about the draft
 * @param {(draft: Measurement) => Warning[]} ask gives the questions about another draft of the same visit
 * @param {(field: Measure, value: number) => boolean} fits whether a value is near those of the child's other visits
 * @returns {{swap: Proposal|null, slips: Map<Measure, Proposal>}} with a swap there are no slips of weight and length
 */
export function proposals(tables, child, draft, found, ask, fits) {
  /** Whether a change raises no question, but for those of `severities`. */
  const passes = (change, severities = []) => {
    const known = new Set(found.map(kind));
    return ask({ ...draft, ...change }).every(
      (one) => severities.includes(one.severity) || (!(one.field in change) && known.has(kind(one))),
    );
  };
  const likely = (field, value) => isLikely(tables, child, draft.on, field, value) && fits(field, value);
  const swap = swapOf(draft, found, passes, (field, value) => child.born_on || likely(field, value));
  const slips = new Map();
  for (const field of MEASURES) {
    const value = draft[field];
    if (value == null || (swap && SWAPPABLE.some((one) => one === field))) continue;
    if (!outOfRange(tables, field, value) && !isDoubted(tables, child, draft.on, field, value)) continue;
    if (mayBeOther(draft, found, field, likely)) continue;
    const meant = readings(value).filter((other) => likely(field, other) && passes({ [field]: other }));
    const rival = withoutLoss(field, value);
    const worse = rival !== null && likely(field, rival) && meant[0] - rival > rival - value;
    if (meant.length === 1 && !worse) slips.set(field, { [field]: meant[0] });
  }
  return { swap, slips };
}

const kind = ({ rule, field }) => `${rule}/${field}`;

/** The exchange of weight and length, if the pair fits the child the other way round only. The result may be severe: nothing
 * was made up. */
function swapOf(draft, found, passes, usual) {
  const { weight_g, length_mm } = draft;
  if (weight_g == null || length_mm == null) return null;
  if (!found.some(({ field, severity }) => severity !== "again" && (field === "weight_g" || field === "length_mm"))) return null;
  const change = { weight_g: asOther("length_mm", length_mm), length_mm: asOther("weight_g", weight_g) };
  if (change.length_mm === null || !SWAPPABLE.every((field) => usual(field, change[field]))) return null;
  return passes(change, ["again"]) ? change : null;
}

/** Whether the figure may belong into the other field, which is empty, doubtful, or has the same figure. */
function mayBeOther(draft, found, field, likely) {
  const other = SWAPPABLE.find((one) => one !== field);
  if (!other || !SWAPPABLE.includes(field)) return false;
  const value = asOther(field, draft[field]);
  // weight for length says nothing of the one while the other is doubted
  const doubted = found.some((one) => one.field === other && one.values.index !== "whz" && one.values.index !== "baz");
  const taken = draft[other] != null && draft[other] !== value && !doubted;
  return !taken && value !== null && likely(other, value);
}
