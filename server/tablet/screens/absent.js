// Who did not come this month: to call, or to write to by WhatsApp.

import { h } from "../parts/dom.js";
import { homeWords, lastMeasured, notCome } from "../parts/home_visits.js";
import { dialled, phoneLinks } from "../parts/phone.js";
import { postWords } from "../parts/post_words.js";
import { ageWords, dayWords, motherWords, say } from "../words/words.js";

/** @param {import("../app.js").OpenApp} app */
export function absent(app) {
  const found = notCome(app);
  const hasPhone = ({ parents }) => Boolean(dialled(parents.phone));
  const children = [...found.filter(hasPhone), ...found.filter((child) => !hasPhone(child))]; // first whom one can call
  const text = say("Hello, this is the cadre of {post}. Your child has not been weighed this month. When can you come?", {
    post: postWords(app),
  });
  const month = dayWords(app.day, { month: "long", year: "numeric" });
  const intro = say("{count} children were not measured in {month} yet.", { count: children.length, month });
  const body = [
    h("p", {}, children.length ? intro : say("All children were measured this month.")),
    children.length
      ? h("p", { class: "fine" }, say("The WhatsApp message names no child: “{text}”", { text }))
      : null,
    h(
      "ul",
      { class: "people-rows" },
      children.map((child) => row(app, child, text)),
    ),
    h("p", {}, h("a", { class: "button", href: "#/kunjungan" }, say("Home visits"))),
  ];
  return { title: say("Did not come yet"), body, back: "#/hari-ini" };
}

function row(app, child, text) {
  const last = lastMeasured(child);
  const about = [
    ageWords(child.born_on, app.day),
    child.mother && motherWords(child.mother),
    last ? say("last {day}", { day: dayWords(last) }) : say("never measured"),
  ];
  return h(
    "li",
    {},
    h(
      "a",
      { href: `#/anak/${child.id}` },
      h("strong", {}, child.name || say("(no name)")),
      h("span", {}, about.filter(Boolean).join(" · ")),
      homeWords(child) ? h("span", {}, homeWords(child)) : null,
    ),
    phoneLinks(child.parents.phone, text),
  );
}
