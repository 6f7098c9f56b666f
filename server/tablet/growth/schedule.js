/**
 * The calendar of one child on one day: doses of vaccines, vitamin A, deworming and KPSP that are given, due, overdue or later.
 *
 * The same rules as `server/schedule/calendar.py`, which states them; `docs/schedule.md` explains them. The data is the
 * server's schedule, in `growth.json`. Without a birth date there is no calendar.
 */

/** An age or an interval: calendar months, and days on top. @typedef {[months: number, days: number]} Age */
/** @typedef {import('./tables.js').Words} Words */
/** @typedef {{code: string, series: string, words: Words, begins: Age, late: Age, until: Age, after: Age|null, offered: boolean}} Dose */
/** @typedef {{value: string|true, words: Words, begins: Age, until: Age}} ForAge */
/** @typedef {{service: string, words: Words, months: number[], sweep_months: number, after: Age, ages: ForAge[]}} Round */
/** @typedef {{words: Words, ages: number[], until: Age, late: Age, again: Age}} Kpsp */
/** @typedef {{version: string, doses: Dose[], rounds: Round[], kpsp: Kpsp}} Schedule */

/**
 * What a child was given.
 * @typedef {object} Given
 * @property {Object<string, string>} doses by code, the first day on which it was given
 * @property {Object<string, string[]>} rounds by service, the days on which it was given
 * @property {Array<[on: string, result: string]>} kpsp
 */

/**
 * One line of a calendar.
 * @typedef {object} Item
 * @property {string} code of a dose, a service of the rounds, or KPSP
 * @property {'given'|'due'|'overdue'|'later'|'missed'|'unrecorded'} state
 * @property {string|null} given_on when it was given last
 * @property {string|null} from_on from when it may be given
 * @property {string|boolean|number|null} value what the register `services` holds for it; of a KPSP its age in months
 */

export const KPSP = "KPSP";
const DOUBTFUL = "M";
const AHEAD = 24; // months to look ahead for the next round

/** @param {string} code @param {Item["state"]} state @param {Partial<Item>} [more] @returns {Item} */
const line = (code, state, more = {}) => ({ code, state, given_on: null, from_on: null, value: null, ...more });

const iso = (date) => date.toISOString().slice(0, 10);
const daysIn = (year, month) => new Date(Date.UTC(year, month + 1, 0)).getUTCDate();

/** The day on which so much time has passed: a month ends on the same day of the month, or on its last day.
 * @param {Age} age @param {string} day @returns {string} */
export function after([months, days], day) {
  const month = Number(day.slice(5, 7)) - 1 + months;
  const year = Number(day.slice(0, 4)) + Math.floor(month / 12);
  const on = Math.min(Number(day.slice(8)), daysIn(year, month - 12 * Math.floor(month / 12)));
  return iso(new Date(Date.UTC(year, month - 12 * Math.floor(month / 12), on + days)));
}

const firstOf = (day, ahead = 0) => after([ahead, 0], `${day.slice(0, 7)}-01`);
const lastOf = (day) => `${day.slice(0, 8)}${daysIn(Number(day.slice(0, 4)), Number(day.slice(5, 7)) - 1)}`;

/**
 * A child's calendar on a day: doses in the order of the schedule, then rounds, then the KPSP.
 * @param {Schedule} schedule
 * @param {string|null} born_on
 * @param {Given} given
 * @param {string} on
 * @returns {Item[]}
 */
export function calendarOf(schedule, born_on, given, on) {
  if (!born_on || on < born_on) return [];
  const lines = [
    ...doseLines(schedule.doses, born_on, given.doses, on),
    ...schedule.rounds.map((one) => roundLine(one, born_on, given.rounds[one.service] || [], on)),
    kpspLine(schedule.kpsp, born_on, given.kpsp, on),
  ];
  return /** @type {Item[]} */ (lines.filter(Boolean));
}

// -- doses -------------------------------------------------------------------------------------------

function doseLines(doses, born_on, given, on) {
  const known = Object.fromEntries(Object.entries(given).filter(([, day]) => day <= on));
  const lines = [];
  for (const dose of doses) {
    const series = doses.filter((one) => one.series === dose.series);
    if (known[dose.code]) lines.push(line(dose.code, "given", { given_on: known[dose.code] }));
    else if (dose.offered) lines.push(openDose(dose, series, born_on, known, on));
  }
  return lines;
}

function openDose(dose, series, born_on, known, on) {
  const at = series.indexOf(dose);
  const until = after(dose.until, born_on);
  if (series.slice(at + 1).some(({ code }) => known[code])) return line(dose.code, "unrecorded");
  if (on >= until) return line(dose.code, "missed");
  const from_on = opens(dose, series.slice(0, at), born_on, known);
  const before = at && !known[series[at - 1].code] ? series[at - 1] : null;
  const missed = before && openDose(before, series, born_on, known, on).state === "missed";
  if (missed || from_on >= until) return line(dose.code, "missed"); // also of a series that can no longer be begun
  if (before || on < from_on) return line(dose.code, "later", { from_on: on < from_on ? from_on : null });
  return line(dose.code, on >= after(dose.late, born_on) ? "overdue" : "due", { from_on });
}

/** From when a dose may be given: its age, and the interval after the last earlier dose, whichever is later. */
function opens(dose, earlier, born_on, known) {
  const before = earlier.map(({ code }) => known[code]).filter(Boolean);
  const days = [after(dose.begins, born_on)];
  if (before.length && dose.after) days.push(after(dose.after, latest(before)));
  return latest(days);
}

const latest = (days) => days.reduce((one, other) => (one > other ? one : other));

// -- rounds ------------------------------------------------------------------------------------------

function roundLine(one, born_on, days, on) {
  const past = days.filter((day) => day <= on);
  const last = past.length ? latest(past) : null;
  const done = last && line(one.service, "given", { given_on: last });
  if (!one.months.length) return done;
  const opened = openedRound(one, on);
  if (opened) {
    const of = forAge(one.ages, born_on, on);
    if (last && last >= opened) return { ...done, value: of ? of.value : null };
    const end = lastOf(opened);
    const inTime = after(one.ages[0].begins, born_on) <= end; // a child who was too young then is not late now
    if (of && inTime && (!last || after(one.after, last) <= on))
      return line(one.service, on <= end ? "due" : "overdue", { given_on: last, from_on: opened, value: of.value });
  }
  return nextRound(one, born_on, last, on) || done;
}

/** The first day of the round that is open on a day, sweeping included. */
function openedRound(one, on) {
  for (let back = 0; back <= one.sweep_months; back += 1) {
    const first = firstOf(on, -back);
    if (one.months.includes(Number(first.slice(5, 7)))) return first;
  }
  return null;
}

function nextRound(one, born_on, last, on) {
  for (let ahead = 0; ahead <= AHEAD; ahead += 1) {
    const first = firstOf(on, ahead);
    if (!one.months.includes(Number(first.slice(5, 7)))) continue;
    const from_on = latest([first, after(one.ages[0].begins, born_on), last ? after(one.after, last) : first]);
    const of = forAge(one.ages, born_on, from_on);
    if (on < from_on && from_on <= lastOf(first) && of)
      return line(one.service, "later", { given_on: last, from_on, value: of.value });
  }
  return null;
}

const forAge = (ages, born_on, on) =>
  ages.find(({ begins, until }) => after(begins, born_on) <= on && on < after(until, born_on));

// -- development -------------------------------------------------------------------------------------

function kpspLine(plan, born_on, results, on) {
  if (on >= after(plan.until, born_on)) return null;
  const reached = plan.ages.filter((age) => after([age, 0], born_on) <= on);
  const past = results.filter(([day]) => day <= on).sort(byDay);
  const [last, result] = past.length ? past[past.length - 1] : [null, null];
  if (!reached.length) {
    const [first] = plan.ages;
    return line(KPSP, "later", { given_on: last, from_on: after([first, 0], born_on), value: first });
  }
  const value = reached[reached.length - 1];
  const opened = after([value, 0], born_on);
  const since = (day) => (on < day ? "later" : on >= after(plan.late, day) ? "overdue" : "due");
  if (!last || last < opened) return line(KPSP, since(opened), { given_on: last, from_on: opened, value });
  if (result !== DOUBTFUL) return line(KPSP, "given", { given_on: last, value });
  const again = after(plan.again, last);
  return line(KPSP, since(again), { given_on: last, from_on: again, value });
}

const byDay = ([one, first], [other, second]) => (one === other ? (first < second ? -1 : 1) : one < other ? -1 : 1);
