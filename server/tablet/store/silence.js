// How long a tablet was without contact, by a clock that may be wrong (ADR 0035). Pure.
//
// No tablet can tell a year in a drawer from a clock that was set a year ahead. So time counts by *readings*: once a day while the
// tablet is used, its clock is noted. Between two readings counts what passed, but at most 31 days. A reading before the last
// contact is none: that clock is known to be wrong. Where the clock goes back, the readings that lie ahead of it are struck
// out: it was wrong when they were made.

const DAY_MS = 86400000;
const LONGEST_STEP_MS = 36 * DAY_MS; // a post meets once a month, five weeks apart at most
const APART_MS = 20 * 3600000; // one reading a day

/** After so many days without contact readable data is wiped; from so many days on the app says so. */
export const DAYS_WITHOUT_CONTACT = 60;
export const DAYS_UNTIL_WARNING = 50;

/** @typedef {{at: string, offset: number}} Contact when the server was heard, by the tablet's clock, and how far that was ahead */

/** When the server was last heard, by the server's clock. @param {Contact} contact */
const heard = ({ at, offset }) => Date.parse(at) - (offset || 0) * 1000;

/** The clock as it counts: one that was ahead at the last contact is put right, one that was behind is left. So it never
 * counts too much, whether the clock was put right since or not. @param {Contact} contact @param {number} now */
const read = ({ offset }, now) => now - Math.max(offset || 0, 0) * 1000;

/** The readings, with the present one where it counts as one. @param {Contact} contact @param {number[]} readings
 * @param {number} now of the tablet's clock @returns {number[]} the same array if nothing changes */
export function noted(contact, readings, now) {
  const present = read(contact, now);
  if (present <= heard(contact)) return readings;
  const kept = valid(contact, readings, present);
  const newest = kept.length ? kept[kept.length - 1] : heard(contact);
  if (kept.length === readings.length && present - newest < APART_MS) return readings;
  return [...kept, present];
}

/** Days without contact that count. @param {Contact} contact @param {number[]} readings @param {number} now */
export function silentDays(contact, readings, now) {
  const present = read(contact, now);
  const from = heard(contact);
  if (present <= from) return 0;
  const points = [from, ...valid(contact, readings, present), present];
  const steps = points.slice(1).map((point, at) => point - points[at]);
  const short = steps.filter((step) => step <= LONGEST_STEP_MS);
  const long = short.length < steps.length ? LONGEST_STEP_MS : 0;
  return short.reduce((sum, step) => sum + step, long) / DAY_MS;
}

const valid = (contact, readings, present) => readings.filter((point) => point > heard(contact) && point <= present);
