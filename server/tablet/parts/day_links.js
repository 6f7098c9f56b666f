// The ways from the list of the day to who did not come, whom to visit, and the recap.

import { say } from "../words/words.js";
import { h } from "./dom.js";

export const dayLinks = () =>
  h(
    "nav",
    { class: "day-links", "aria-label": say("End of the day") },
    h("a", { href: "#/belum-datang" }, say("Did not come yet")),
    h("a", { href: "#/kunjungan" }, say("Home visits")),
    h("a", { href: "#/rekap" }, say("Recap")),
  );
