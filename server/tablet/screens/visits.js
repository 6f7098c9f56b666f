// Home visits: whom, why and where; to print, or to hand on as a text.

import { h, notice, refill } from "../parts/dom.js";
import { handOutText } from "../parts/hand_out.js";
import { homeVisits, homeWords } from "../parts/home_visits.js";
import { dialled } from "../parts/phone.js";
import { postWords } from "../parts/post_words.js";
import { ageWords, dayWords, message, motherWords, say } from "../words/words.js";

/** @param {import("../app.js").OpenApp} app */
export function visits(app) {
  const found = homeVisits(app);
  const feedback = h("div", { "aria-live": "polite" });
  const share = async () => {
    const done = await handOutText(asText(app, found), `kunjungan-rumah-${app.day}.txt`);
    refill(feedback, done === "left" ? null : notice("good", say("The list was handed out.")));
  };
  const body = found.length
    ? [
        h("p", { class: "only-print" }, heading(app)),
        h(
          "ol",
          { class: "people-rows" },
          found.map((visit) => row(app, visit)),
        ),
        notice("calm", say("This list has names, addresses and health data: hand it to cadres and the midwife alone.")),
        feedback,
        h(
          "div",
          { class: "actions still" },
          h("button", { class: "main", onclick: share }, say("Share as text")),
          h("button", { onclick: () => window.print() }, say("Print")),
        ),
      ]
    : h("p", { class: "empty" }, say("Nobody is to be visited at home."));
  return { title: say("Home visits"), body, back: "#/belum-datang" };
}

const heading = (app) => `${say("Home visits")} · ${postWords(app)} · ${dayWords(app.day)}`;

const whose = (app, { name, mother, born_on }) =>
  [name || say("(no name)"), mother && motherWords(mother), ageWords(born_on, app.day)].filter(Boolean);

function row(app, { child, urgent, reasons }) {
  const [name, ...about] = whose(app, child);
  return h(
    "li",
    { class: urgent ? "urgent" : null },
    h(
      "a",
      { href: `#/anak/${child.id}` },
      h("strong", {}, name),
      h("span", {}, about.join(" · ")),
      h("span", {}, homeWords(child) || say("address not known")),
      dialled(child.parents.phone) ? h("span", {}, `${say("Phone")} ${child.parents.phone}`) : null,
    ),
    h(
      "ul",
      {},
      reasons.map((words) => h("li", {}, message(words))),
    ),
  );
}

function asText(app, found) {
  const lines = found.flatMap(({ child, reasons }, at) => [
    `${at + 1}. ${whose(app, child).join(", ")}`,
    `   ${homeWords(child) || say("address not known")}`,
    ...(dialled(child.parents.phone) ? [`   ${say("Phone")} ${child.parents.phone}`] : []),
    ...reasons.map((words) => `   - ${message(words)}`),
  ]);
  return [heading(app), "", ...lines, ""].join("\n");
}
