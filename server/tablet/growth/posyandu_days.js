/**
 * When a post holds its posyandu, read off its past measurements: "the 10th of the month", "the second Tuesday". The next day is
 * told only if the last three months agree on one of these.
 */

import { monthNumber } from "./calendar.js";

const FEWEST_CHILDREN = 3;
const MONTHS = 3;

/**
 * Find the posyandu day of each month: the day on which most children were measured by cadres, at least three of them.
 * @param {Iterable<{on: string, source: string}>} measurements of all children of a post
 * @returns {string[]} ISO dates, the newest first
 */
export function posyanduDays(measurements) {
  const children = new Map();
  for (const { on, source } of measurements) if (source === "cadre") children.set(on, (children.get(on) || 0) + 1);
  const best = new Map();
  for (const [on, count] of children) {
    const held = best.get(monthNumber(on));
    if (count >= FEWEST_CHILDREN && !(held && children.get(held) >= count)) best.set(monthNumber(on), on);
  }
  return [...best.values()].sort().reverse();
}

/**
 * Give the posyandu day of the month after a day, if the post has a rhythm.
 * @param {string[]} days as `posyanduDays` gives them
 * @param {string} today ISO date
 * @returns {string|null}
 */
export function nextPosyanduDay(days, today) {
  const recent = days.filter((on) => on <= today && monthNumber(on) > monthNumber(today) - MONTHS - 1).slice(0, MONTHS);
  if (recent.length < MONTHS) return null;
  const next = monthNumber(today) + 1;
  for (const [place, dayOf] of RHYTHMS) {
    const [first, ...others] = recent.map(place);
    if (others.every((other) => other === first)) return dayOf(next, recent[0]);
  }
  return null;
}

const dayOfMonth = (on) => Number(on.slice(8));
const weekday = (on) => new Date(`${on}T00:00:00Z`).getUTCDay();
const iso = (month, day) => new Date(Date.UTC(Math.floor(month / 12), month % 12, day)).toISOString().slice(0, 10);

/** The ways in which posts count: how a day is named, and the day of that name in another month; null if it has none.
 * @type {Array<[place: (on: string) => string, dayOf: (month: number, like: string) => string|null]>} */
const RHYTHMS = [
  [(on) => on.slice(8), (month, like) => within(month, iso(month, dayOfMonth(like)))],
  [
    (on) => `${weekday(on)} ${Math.ceil(dayOfMonth(on) / 7)}`,
    (month, like) => {
      const first = 1 + ((weekday(like) - weekday(iso(month, 1)) + 7) % 7);
      return within(month, iso(month, first + 7 * (Math.ceil(dayOfMonth(like) / 7) - 1)));
    },
  ],
];

const within = (month, on) => (monthNumber(on) === month ? on : null);
