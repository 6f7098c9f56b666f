// The day that records are dated with: today, unless it is changed for a wrong clock or a late entry. Never one that has not come.

import { dayWords, say } from "../words/words.js";
import { field, h, notice, refill } from "./dom.js";
import { localDay } from "./model.js";

const FULL = { weekday: "long", day: "numeric", month: "long", year: "numeric" };

/** The newest day that may be chosen: today by the tablet's clock, as the server last corrected it; null where the clock is
 * certainly wrong, being behind the last contact. @param {import("../app.js").App} app */
export function latestDay(app) {
  const { at, offset = 0 } = app.device.facts.contact || {};
  const now = Date.now();
  return at && now < Date.parse(at) ? null : localDay(new Date(now - offset * 1000));
}

/** @param {import("../app.js").OpenApp} app */
export function dayChooser(app) {
  const latest = latestDay(app);
  const told = h("div", { "aria-live": "polite" });
  const input = h("input", { type: "date", value: app.day, max: latest });
  input.addEventListener("change", () => {
    if (!input.value) return;
    if (latest && input.value > latest) {
      const day = dayWords(input.value);
      refill(told, notice("bad", say("{day} has not come yet. Choose today or an earlier day.", { day })));
      input.value = app.day;
      return;
    }
    app.keepSession({ date: input.value }).then(() => app.draw());
  });
  return h(
    "details",
    { class: "day" },
    h("summary", {}, h("b", {}, dayWords(app.day, FULL)), " ", h("span", {}, say("change"))),
    field(say("Posyandu day"), input, say("Everything recorded now bears this date.")),
    told,
  );
}
