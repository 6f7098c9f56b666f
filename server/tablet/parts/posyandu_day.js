// The day of the list: shown in words, and changed where the tablet's clock is wrong or an entry is late.

import { dayWords, say } from "../words/words.js";
import { sessionDay } from "./days.js";
import { h } from "./dom.js";

const FULL = { weekday: "long", day: "numeric", month: "long", year: "numeric" };

/** @param {import("../app.js").OpenApp} app */
export const dayChooser = (app) =>
  h(
    "details",
    { class: "day" },
    h("summary", {}, h("b", {}, dayWords(app.day, FULL)), " ", h("span", {}, say("change"))),
    sessionDay(app),
  );
