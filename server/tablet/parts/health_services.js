// Health services at a posyandu: those that fit the child's age are offered in a list with all their answers, and those that are
// due by the child's calendar as chips, to tick off with one tap.

import { monthsCompleted } from "../growth/calendar.js";
import { later, message, say } from "../words/words.js";
import { choice, h, refill } from "./dom.js";
import { scheduleWords, servicesDue } from "./services_due.js";

const yesNo = () => [
  [true, say("Yes")],
  [false, say("No")],
];

/** Services by age in completed months (Permenkes 2/2020 and Buku KIA 2023: vitamin A blue 6-11, red 12-59 months). */
/** @type {Array<[name: string, from: number, to: number, words: import("../growth/text.js").Text, options: () => any[][]]>} */
const SERVICES = [
  ["exclusive_breastfeeding", 0, 5, later("Breast milk only"), yesNo],
  ["vitamin_a", 6, 11, later("Vitamin A"), () => [["blue", say("Blue capsule")]]],
  ["vitamin_a", 12, 59, later("Vitamin A"), () => [["red", say("Red capsule")]]],
  ["deworming", 12, 59, later("Deworming"), yesNo],
  ["immunised", 0, 59, later("Immunised today"), yesNo],
  ["mbg", 6, 59, later("Receives MBG (free meals)"), yesNo],
  ["mother_class", 0, 59, later("Mother attends the mothers' class"), yesNo],
  [
    "kpsp",
    3,
    59,
    later("KPSP (development)"),
    () => [
      ["S", say("On track")],
      ["M", say("Doubtful")],
      ["P", say("Deviant")],
    ],
  ],
];
/** Chips of what is asked about every month, beside the services of the calendar. */
const MONTHLY = { exclusive_breastfeeding: later("Breast milk only"), mbg: later("MBG"), mother_class: later("Mothers' class") };
const MOST_CHIPS = 5; // of the calendar; more are on its screen

/** The services of a child's age. @param {object} child @param {string} on */
function offered(child, on) {
  const months = monthsCompleted(child.born_on, on);
  const fitting = SERVICES.filter(([, from, to]) => months === null || (months >= from && months <= to));
  return fitting.filter(([name], at) => fitting.findIndex(([other]) => other === name) === at);
}

/** @param {import("../app.js").OpenApp} app @param {import("./model.js").Child} child @param {string} on
 * @param {{services: object, doses: any[]}} draft @param {() => void} changed
 * @returns {{chips: HTMLElement, list: HTMLElement}} the services due, and the list of all that fit the age */
export function healthServices(app, child, on, draft, changed) {
  const services = offered(child, on);
  const answers = h("div", {});
  const list = h("details", { class: "services" }, h("summary", {}, say("All services and answers")), answers);
  const put = (name, given) => {
    draft.services = { ...draft.services, [name]: given }; // null, not left out: a draft is laid over the record
    changed();
  };
  const drawList = () =>
    refill(
      answers,
      services.map(([name, , , words, options]) => {
        const answered = (given) => {
          put(name, given);
          chips.forEach(({ draw }) => draw());
        };
        return choice(message(words), options(), draft.services[name] ?? null, answered, { none: true });
      }),
    );
  const tapped = {
    service(name, given) {
      put(name, given);
      drawList();
    },
    dose(name, isGiven) {
      const others = draft.doses.filter(([code]) => code !== name);
      draft.doses = isGiven ? [...others, [name, null]] : others;
      changed();
    },
  };
  const showList = () => {
    list.open = true;
    list.scrollIntoView({ block: "nearest" });
  };
  const due = servicesDue(app.tables.schedule, child, on);
  const monthly = services.filter(([name]) => MONTHLY[name]);
  const chips = [
    ...due.slice(0, MOST_CHIPS),
    ...monthly.map(([name]) => ({ name, words: MONTHLY[name], register: "services", value: true })),
  ].map((service) => chip(service, draft, tapped, showList));
  drawList();
  const row = chips.map(({ button }) => button);
  const more = due.length > MOST_CHIPS && h("a", { class: "button", href: `#/jadwal/${child.id}` }, scheduleWords(app, child));
  return { chips: h("div", { class: "chips", role: "group", "aria-label": say("Services due") }, row, more), list };
}

/** One tap gives a service, another takes it back; a finding, such as that of a KPSP, is answered in the list. */
function chip({ name, words, register, value }, draft, tapped, showList) {
  const isDose = register === "doses";
  const button = h("button", { type: "button", onclick: () => press() });
  const isGiven = () =>
    isDose ? draft.doses.some(([code]) => code === name) : (draft.services[name] ?? false) !== false;
  const draw = () => {
    button.setAttribute("aria-pressed", String(isGiven()));
    refill(button, isGiven() ? "✓ " : "", message(words));
  };
  const press = () => {
    if (!isDose && value === null) return showList();
    if (isDose) tapped.dose(name, !isGiven());
    else tapped.service(name, isGiven() ? null : value);
    return draw();
  };
  draw();
  return { button, draw };
}
