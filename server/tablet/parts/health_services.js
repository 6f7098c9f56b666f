// Health services at a posyandu: only those that fit the child's age and the month are offered.

import { monthsCompleted } from "../growth/calendar.js";
import { later, message, say } from "../words/words.js";
import { choice, h } from "./dom.js";

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

/** @param {object} child @param {string} on @param {{services: object}} draft @param {() => void} changed */
export function healthServices(child, on, draft, changed) {
  const months = monthsCompleted(child.born_on, on);
  const fitting = SERVICES.filter(([, from, to]) => months === null || (months >= from && months <= to));
  const offered = fitting.filter(([name], at) => fitting.findIndex(([other]) => other === name) === at);
  const vitamin = VITAMIN_MONTHS.includes(on.slice(5, 7)) && offered.some(([name]) => name === "vitamin_a");
  const put = (name) => (given) => {
    draft.services = { ...draft.services, [name]: given };
    if (given === null) delete draft.services[name];
    changed();
  };
  return h(
    "details",
    { class: "services", open: vitamin },
    h("summary", {}, say("Services"), vitamin ? h("b", {}, say(" · vitamin A month")) : null),
    offered.map(([name, , , words, options]) => {
      const held = draft.services[name];
      return choice(message(words), options(), held === undefined ? null : held, put(name), { none: true });
    }),
  );
}
