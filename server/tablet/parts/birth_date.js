// A birth date: chosen in three taps (year, month, day) without a keyboard, or typed; or said to be unknown. Of a child over
// five it asks whether the date is right.

import { monthsCompleted } from "../growth/calendar.js";
import { ageWords, dayWords, say } from "../words/words.js";
import { choice, field, h, refill } from "./dom.js";
import { question } from "./form_questions.js";

const YEARS = 6; // that a child under five may be born in
const GROWN_MONTHS = 60;
const two = (number) => String(number).padStart(2, "0");

/** Whether somebody of this birth date is over five. @param {string} born @param {string} day */
export const isOverFive = (born, day) => Boolean(born) && (monthsCompleted(born, day) ?? 0) >= GROWN_MONTHS;

/** @param {{born: string, bornUnknown: boolean, grown: string}} typed `grown`: the birth date before five years that is right
 * @param {string} day of the posyandu @param {() => void} changed */
export function birthDate(typed, day, changed) {
  const input = h("input", { type: "date", max: day, value: typed.born });
  const taps = h("div", { class: "taps" });
  const words = h("div", { "aria-live": "polite" });
  const unknown = h("button", { type: "button", class: "unknown" }, say("Birth date not known"));
  const put = (changes) => {
    Object.assign(typed, changes);
    draw();
    changed();
  };
  const draw = () => {
    input.disabled = typed.bornUnknown;
    unknown.setAttribute("aria-pressed", String(typed.bornUnknown));
    unknown.hidden = Boolean(typed.born);
    if (typed.born || typed.bornUnknown) refill(taps);
    else if (!taps.firstChild) refill(taps, years());
    refill(words, said(typed, day, () => put({ grown: typed.born })));
  };
  const choose = (born) => {
    input.value = born;
    put({ born });
  };
  const years = () => {
    const latest = Number(day.slice(0, 4));
    const options = [...Array(YEARS).keys()].map((back) => latest - back);
    return step(say("Year of birth"), options.map((year) => [year, String(year)]), (year) => next(months(year)));
  };
  const months = (year) => {
    const options = upTo(12).filter((month) => `${year}-${two(month)}` <= day.slice(0, 7));
    const name = (month) => dayWords(`${year}-${two(month)}-01`, { month: "short" });
    const label = say("Month of birth in {year}", { year });
    return step(label, options.map((month) => [month, name(month)]), (month) => next(days(year, month)));
  };
  const days = (year, month) => {
    const length = new Date(Date.UTC(year, month, 0)).getUTCDate();
    const date = (on) => `${year}-${two(month)}-${two(on)}`;
    const options = upTo(length).filter((on) => date(on) <= day);
    const named = dayWords(date(1), { month: "long", year: "numeric" });
    const label = say("Day of birth in {month}", { month: named });
    return step(label, options.map((on) => [on, String(on)]), (on) => choose(date(on)));
  };
  const next = (group) => {
    const again = h("button", { type: "button", class: "plain", onclick: () => refill(taps, years()) }, say("Another year"));
    refill(taps, group, again);
    /** @type {HTMLElement} */ (group.querySelector("button")).focus({ preventScroll: true });
    group.scrollIntoView({ block: "center" });
  };
  input.addEventListener("input", () => put({ born: input.value }));
  unknown.addEventListener("click", () => {
    input.value = "";
    put({ born: "", bornUnknown: !typed.bornUnknown });
  });
  draw();
  const place = field(say("Birth date"), input, say("See the KIA book or the birth certificate."));
  place.append(words, taps, unknown);
  return place;
}

const upTo = (count) => [...Array(count).keys()].map((at) => at + 1);
const step = (label, options, chosen) => choice(label, options, null, chosen, { kind: "choice grid" });

function said({ born, grown }, day, isRight) {
  if (!born || born > day) return null;
  const words = `${dayWords(born)} · ${ageWords(born, day)}`;
  if (!isOverFive(born, day) || grown === born) return h("p", { class: "hint" }, words);
  const asked = say("{age} on the posyandu day: older than five years. Is the birth date right?", {
    age: ageWords(born, day),
  });
  return question(asked, [h("button", { type: "button", onclick: isRight }, say("Yes, it is right"))]);
}
