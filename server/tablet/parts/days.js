// The day that records are dated with: no day that has not come, and a way to mend a wrong one.

import { dayWords, say } from "../words/words.js";
import { field, h, notice, refill } from "./dom.js";
import { localDay } from "./model.js";

const FIRST_DAY = "2000-01-01"; // the protocol's

/** The newest day that can have come: by the tablet's clock or by the server's, whichever is later, as a clock may have been
 * set back. @param {import("../app.js").OpenApp} app */
export function latestDay(app) {
  const { at, offset = 0 } = app.device.facts.contact || {};
  const byServer = (millis) => localDay(new Date(millis - offset * 1000));
  return [localDay(), byServer(Date.now()), at ? byServer(Date.parse(at)) : ""].sort().pop() || localDay();
}

/** Why a day cannot be recorded, and what to do. @param {string} day */
export const notYetCome = (day) =>
  say("{day} has not come yet. Choose another date; if it is right, set the date of the phone first.", {
    day: dayWords(day),
  });

/** A control for a day, which refuses one that has not come. @param {import("../app.js").OpenApp} app @param {string} label
 * @param {string} day chosen at first @param {(day: string) => any} choose @param {string|null} [hint] */
export function dayField(app, label, day, choose, hint = null) {
  const told = h("div", { "aria-live": "polite" });
  const input = h("input", {
    type: "date",
    value: day,
    min: FIRST_DAY,
    max: latestDay(app),
    onchange: () => {
      const asked = input.value;
      if (!asked) return;
      refill(told, asked > latestDay(app) ? notice("bad", notYetCome(asked)) : null);
      if (asked > latestDay(app) || asked < FIRST_DAY) input.value = day;
      else choose((day = asked));
    },
  });
  return h("div", {}, field(label, input, hint), told);
}

/** The control on the list of the day. @param {import("../app.js").OpenApp} app */
export function sessionDay(app) {
  const choose = (date) => app.keepSession({ date }).then(() => app.draw());
  return h(
    "div",
    {},
    dayField(app, say("Posyandu day"), app.day, choose, say("Everything recorded now bears this date.")),
    h("a", { class: "button", href: `#/ubah-tanggal/${app.day}` }, say("Records have a wrong date")),
  );
}
