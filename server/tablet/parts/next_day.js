// When the child comes again: the post's next posyandu day if its past days show a rhythm, else next month.

import { advice } from "../growth/advice.js";
import { monthNumber } from "../growth/calendar.js";
import { nextPosyanduDay, posyanduDays } from "../growth/posyandu_days.js";
import { dayWords, say } from "../words/words.js";

const MONTH = { month: "long", year: "numeric" };
const WITH_WEEKDAY = { weekday: "long", day: "numeric", ...MONTH };

/** The post's next posyandu day after a day, or null. @param {import("../app.js").OpenApp} app @param {string} day */
export function nextDay(app, day) {
  const all = app.model.children().flatMap(({ measurements }) => measurements);
  return nextPosyanduDay(posyanduDays(all), day);
}

/** "" where the child does not come again. @param {import("../app.js").OpenApp} app @param {string} day */
export function comingBack(app, child, assessment, day) {
  if (!advice(app.tables, child, assessment, day).again) return "";
  const next = nextDay(app, day);
  if (next) return say("Come again on {day}, the post's usual day.", { day: dayWords(next, WITH_WEEKDAY) });
  const month = monthNumber(day) + 1;
  const first = `${Math.floor(month / 12)}-${String((month % 12) + 1).padStart(2, "0")}-01`;
  return say("Come again next month ({month}).", { month: dayWords(first, MONTH) });
}
