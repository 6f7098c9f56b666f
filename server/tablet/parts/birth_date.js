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
  const words = h("div", { "aria-live": "polite" });
  const unknown = h("button", { type: "button", class: "unknown" }, say("Birth date not known"));
  const put = (changes) => {
    Object.assign(typed, changes);
    draw();
    changed();
  };
  const taps = new Taps(day, (born) => {
    input.value = born;
    put({ born });
  });
  const draw = () => {
    input.disabled = typed.bornUnknown;
    unknown.setAttribute("aria-pressed", String(typed.bornUnknown));
    unknown.hidden = Boolean(typed.born);
    taps.show(!typed.born && !typed.bornUnknown);
    refill(words, said(typed, day, () => put({ grown: typed.born })));
  };
  input.addEventListener("input", () => put({ born: input.value }));
  unknown.addEventListener("click", () => {
    input.value = "";
    put({ born: "", bornUnknown: !typed.bornUnknown });
  });
  draw();
  const place = field(say("Birth date"), input, say("See the KIA book or the birth certificate."));
  place.append(words, taps.element, unknown);
  return place;
}

/** Year, month and day as buttons, one after the other; no date after the posyandu day is offered. */
class Taps {
  /** @param {string} day of the posyandu @param {(born: string) => void} choose */
  constructor(day, choose) {
    this.day = day;
    this.choose = choose;
    this.element = h("div", { class: "taps" });
  }

  /** @param {boolean} isNeeded */
  show(isNeeded) {
    if (!isNeeded) refill(this.element);
    else if (!this.element.firstChild) this.#years();
  }

  #years() {
    const latest = Number(this.day.slice(0, 4));
    const options = [...Array(YEARS).keys()].map((back) => [latest - back, String(latest - back)]);
    const pressed = (year) => this.#next(this.#months(year));
    refill(this.element, choice(say("Year of birth"), options, null, pressed, { kind: "choice grid wider" }));
  }

  #months(year) {
    const come = upTo(12).filter((month) => `${year}-${two(month)}` <= this.day.slice(0, 7));
    const options = come.map((month) => [month, dayWords(`${year}-${two(month)}-01`, { month: "short" })]);
    const label = say("Month of birth in {year}", { year });
    return choice(label, options, null, (month) => this.#next(this.#days(year, month)), { kind: "choice grid wider" });
  }

  #days(year, month) {
    const date = (on) => `${year}-${two(month)}-${two(on)}`;
    const come = upTo(new Date(Date.UTC(year, month, 0)).getUTCDate()).filter((on) => date(on) <= this.day);
    const named = dayWords(date(1), { month: "long", year: "numeric" });
    const label = say("Day of birth in {month}", { month: named });
    const options = come.map((on) => [on, String(on)]);
    return choice(label, options, null, (on) => this.choose(date(on)), { kind: "choice grid" });
  }

  #next(group) {
    const again = h("button", { type: "button", class: "plain", onclick: () => this.#years() }, say("Another year"));
    refill(this.element, group, again);
    /** @type {HTMLElement} */ (group.querySelector("button")).focus({ preventScroll: true });
    group.scrollIntoView({ block: "center" });
  }
}

const upTo = (count) => [...Array(count).keys()].map((at) => at + 1);

function said({ born, grown }, day, isRight) {
  if (!born || born > day) return null;
  const words = `${dayWords(born)} · ${ageWords(born, day)}`;
  if (!isOverFive(born, day) || grown === born) return h("p", { class: "hint" }, words);
  const asked = say("{age} on the posyandu day: older than five years. Is the birth date right?", {
    age: ageWords(born, day),
  });
  return question(asked, [h("button", { type: "button", onclick: isRight }, say("Yes, it is right"))]);
}
