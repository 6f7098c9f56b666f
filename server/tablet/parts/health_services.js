// Health services at a posyandu: those that fit the child's age are offered in a list with all their answers, and those that are
// due in this month as chips, to tick off with one tap.

import { monthsCompleted } from "../growth/calendar.js";
import { later, message, say } from "../words/words.js";
import { choice, h, refill } from "./dom.js";

const VITAMIN_MONTHS = ["02", "08"];
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
/** What a chip says, in one or two words. @type {Object<string, import("../growth/text.js").Text>} */
const SHORT = {
  exclusive_breastfeeding: later("Breast milk only"),
  vitamin_a: later("Vitamin A"),
  deworming: later("Deworming"),
  immunised: later("Immunised"),
  mbg: later("MBG"),
  mother_class: later("Mothers' class"),
  kpsp: later("KPSP"),
};
const BY_MONTH = ["vitamin_a", "deworming"];

/** The services of a child's age; those that are given in two months of the year only where it is such a month.
 * @param {object} child @param {string} on */
function offered(child, on) {
  const months = monthsCompleted(child.born_on, on);
  const fitting = SERVICES.filter(([, from, to]) => months === null || (months >= from && months <= to));
  return fitting.filter(([name], at) => fitting.findIndex(([other]) => other === name) === at);
}

const isDue = (name, on) => !BY_MONTH.includes(name) || VITAMIN_MONTHS.includes(on.slice(5, 7));

/** @param {object} child @param {string} on @param {{services: object}} draft @param {() => void} changed
 * @returns {{chips: HTMLElement, list: HTMLElement}} the services due, and the list of all that fit the age */
export function healthServices(child, on, draft, changed) {
  const services = offered(child, on);
  const answers = h("div", {});
  const list = h("details", { class: "services" }, h("summary", {}, say("All services and answers")), answers);
  const put = (name, given) => {
    draft.services = { ...draft.services, [name]: given };
    if (given === null) delete draft.services[name];
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
  const tapped = (name, given) => {
    put(name, given);
    drawList();
  };
  const showList = () => {
    list.open = true;
    list.scrollIntoView({ block: "nearest" });
  };
  const chips = services
    .filter(([name]) => isDue(name, on))
    .map((service) => chip(service, () => draft.services, tapped, showList));
  drawList();
  const row = chips.map(({ button }) => button);
  return { chips: h("div", { class: "chips", role: "group", "aria-label": say("Services due") }, row), list };
}

/** One tap gives a service, another takes it back; one with several findings is answered in the list. */
function chip([name, , , , options], services, tapped, showList) {
  const answers = options();
  const isFinding = answers.length > 2;
  const button = h("button", { type: "button", onclick: () => press() });
  const draw = () => {
    const held = services()[name] ?? null;
    const answer = answers.find(([value]) => value === held);
    const more = answer && held !== true ? `: ${answer[1]}` : "";
    button.setAttribute("aria-pressed", String(held !== null));
    refill(button, held === null || held === false ? "" : "✓ ", `${message(SHORT[name])}${more}`);
  };
  const press = () => {
    if (isFinding) return showList();
    tapped(name, (services()[name] ?? null) === null ? answers[0][0] : null);
    return draw();
  };
  draw();
  return { button, draw };
}
