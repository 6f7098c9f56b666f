// The frame around every screen: its title, whether everything was sent, and the four main screens.

import { dayWords, later, message, say } from "../words/words.js";
import { unsentChildren } from "./child_status.js";
import { h, notice, refill } from "./dom.js";
import { icon } from "./icons.js";
import { chosenPost } from "./post_chooser.js";
import { showTextSize } from "./text_size.js";
import { undoBar } from "./undo.js";

/** @type {Array<[hash: string, icon: string, words: import("../growth/text.js").Text]>} */
const PLACES = [
  ["hari-ini", "list", later("Today")],
  ["pertanyaan", "question", later("Needs an answer")],
  ["kirim", "send", later("Send")],
  ["lainnya", "more", later("More")],
];

/**
 * @typedef {object} Shown a screen
 * @property {string} title
 * @property {string} [tab] the page's title where `title` names a child
 * @property {any} [about] what stands below the title instead of the post and the day
 * @property {any} body
 * @property {any} [foot] what stays in sight above the links to the main screens
 * @property {string} [place] which of the main screens this is
 * @property {string} [back] where "back" leads
 * @property {boolean} [bare] without the links to the main screens
 * @property {boolean} [wide] uses the whole width of a large tablet
 */

/** @param {import("../app.js").App} app @param {Shown} shown */
export function frame(app, { title, about, body, foot, place, back, bare, wide }) {
  showTextSize(app.device.settings.text);
  app.root.classList.toggle("railed", Boolean(app.tablet && !bare));
  const heading = h("h1", { tabindex: "-1" }, title);
  const looks = [bare && "bare", wide && "wide", foot && "footed"].filter(Boolean).join(" ");
  const main = h("main", { id: "main", class: looks || null }, body);
  if (!app.tablet) return [h("header", { class: "top" }, heading), main];
  const link = back ? h("a", { class: "back", href: back, "aria-label": say("Back") }, icon("back")) : null;
  return [
    app.isPractice ? h("p", { class: "practice" }, say("PRACTICE – example children, never sent")) : null,
    h(
      "header",
      { class: "top" },
      link,
      h("div", { class: "where" }, heading, about || h("p", {}, whereabouts(app))),
      badge(app),
    ),
    undoBar(),
    newer(app),
    clockTrouble(app),
    main,
    bare ? null : h("div", { class: "foot" }, foot, bar(app, place)),
  ];
}

const SHORT = { day: "numeric", month: "short", year: "numeric" };

const whereabouts = (app) => `${chosenPost(app).name} · ${dayWords(app.day, SHORT)}`;

/** Whether everything was sent, always in sight. */
function badge(app) {
  const element = h("a", { class: "badge", href: "#/kirim" });
  const fill = () => {
    const [tone, sign, words] = sent(app);
    element.className = `badge ${tone}`;
    refill(element, h("span", { "aria-hidden": "true" }, `${sign} `), words);
  };
  fill();
  app.watch(fill);
  return element;
}

function sent(app) {
  if (app.isPractice) return ["calm", "✎", say("Practice")];
  const { phase, answered, of } = app.engine.status;
  const waiting = unsentChildren(app).length;
  if (phase === "running" && of) return ["calm", "⇅", say("{answered} of {of}", { answered, of })];
  if (!waiting) return ["good", "✓", say("All sent")];
  return ["look", "●", say("{waiting} children to send", { waiting })];
}

function bar(app, place) {
  const element = h("nav", { class: "bar", "aria-label": say("Menu") });
  const fill = () => {
    const questions = countQuestions(app);
    refill(
      element,
      PLACES.map(([name, sign, words]) =>
        h(
          "a",
          { href: `#/${name}`, "aria-current": name === place ? "page" : null },
          icon(sign),
          h("span", {}, message(words)),
          name === "pertanyaan" && questions ? h("b", { class: "count" }, String(questions)) : null,
        ),
      ),
    );
  };
  fill();
  app.watch(fill);
  return element;
}

/** How many questions wait for an answer on this tablet. @param {import("../app.js").OpenApp} app */
export function countQuestions(app) {
  const { model, tablet } = app;
  const children = model.children();
  const tasks = children.reduce((sum, child) => sum + model.openTasks(child, tablet.cadre.author).length, 0);
  const disputes = children.reduce((sum, child) => sum + model.disputes(child).length, 0);
  return tasks + disputes + tablet.replica.inQuestion().length;
}

function newer(app) {
  const element = h("div", {});
  const words = say("A new version of the app is ready.");
  const fill = () =>
    app.newer &&
    !element.firstChild &&
    refill(element, notice("calm", h("p", {}, words), h("button", { onclick: () => app.renew() }, say("Use it now"))));
  fill();
  app.watch(fill);
  return element;
}

const TROUBLE_SECONDS = 600;

/** A warning below the day where the tablet's clock is wrong, as ages would be wrong too. */
function clockTrouble(app) {
  const { offset = 0 } = app.device.facts.contact || {};
  if (app.isPractice || Math.abs(offset) < TROUBLE_SECONDS) return null;
  const hours = Math.round(Math.abs(offset) / 360) / 10;
  const words = say(
    "The tablet's clock is {hours} hours off. Switch on automatic date and time, and check the day above.",
    { hours },
  );
  return notice("look", h("p", {}, words));
}
