// The list of the day: who is due, here or done this month, and who is next; with a search by the first letters of a name.

import { dayLinks } from "../parts/day_links.js";
import { h, notice, refill } from "../parts/dom.js";
import { chosenPost, postChooser } from "../parts/post_chooser.js";
import { room } from "../parts/room.js";
import { marks, statusWords, unsentChildren } from "../parts/child_status.js";
import { isExpected, measuredInMonth, measuredOn } from "../parts/model.js";
import { measurementsOf } from "../parts/persons.js";
import { dayChooser } from "../parts/posyandu_day.js";
import { inQueue } from "../parts/queue.js";
import { byTypedCode } from "../parts/sticker.js";
import { unsavedMark, unsavedNewChild } from "../parts/unsaved.js";
import { ageWords, later, message, motherWords, plain, say, shortDay } from "../words/words.js";

/** @type {Array<[name: string, words: import("../growth/text.js").Text]>} */
const VIEWS = [
  ["due", later("Not yet this month")],
  ["here", later("Here")],
  ["done", later("Done this month")],
];

/** @param {import("../app.js").OpenApp} app */
export async function today(app) {
  const list = h("ul", { class: "children" });
  const rest = h("p", { class: "hint rest" });
  const counts = h("div", { class: "tabs", role: "group", "aria-label": say("Filter the list") });
  const next = h("div", { class: "next" });
  const search = searchField(app);
  const draw = () => {
    const taken = measurementsOf(app.model);
    const groups = grouped(app, taken);
    const typed = search.value.trim();
    refill(counts, VIEWS.map(tab));
    function tab([name, words]) {
      const face = [h("b", {}, String(groups[name].length)), " ", message(words)];
      const pressed = !typed && name === app.view;
      return h("button", { type: "button", "aria-pressed": String(pressed), onclick: () => show(name) }, face);
    }
    const shown = typed ? byTypedCode(app.model, typed) || found(groups.all, typed) : groups[app.view];
    const empty = h("li", { class: "empty" }, emptyWords(app, typed, groups));
    refill(list, shown.length ? shown.map((child) => row(app, child, taken(child))) : empty);
    refill(rest, !typed && app.view === "due" ? restWords(groups) : null);
    refill(next, nextButton(groups.here));
  };
  const show = (view) => {
    app.view = view;
    search.value = "";
    draw();
    window.scrollTo(0, 0);
  };
  search.addEventListener("input", draw);
  draw();
  app.watch(draw);
  const foot = h(
    "div",
    { class: "finder" },
    h(
      "div",
      { class: "seek" },
      search,
      h("a", { class: "button", href: "#/pindai" }, say("Scan sticker")),
      h("a", { class: "button", href: "#/baru" }, say("+ New child")),
    ),
    counts,
    next,
  );
  const body = [await room(app), postChooser(app), dayChooser(app), copyOffer(app), unsavedNewChild(app), list, rest, dayLinks()];
  const about = h("p", {}, chosenPost(app).name); // the day stands right below
  return { title: say("Today"), about, body, foot, wide: true, place: "hari-ini" };
}

/** Empty whenever the list is shown anew: what was sought is found by then. */
function searchField(app) {
  const search = h("input", {
    type: "search",
    placeholder: say("Find a name"),
    "aria-label": say("Find a child or mother"),
  });
  search.addEventListener("focus", () => {
    search.select();
    app.root.classList.add("seeking");
  });
  search.addEventListener("blur", () => app.root.classList.remove("seeking"));
  return search;
}

/** The children of the post by the tabs of the list; `taken` gives all measurements of one. */
function grouped(app, taken) {
  const { model, day } = app;
  const all = model.children();
  const isDone = (child) => measuredInMonth(taken(child), day);
  const done = all.filter(isDone);
  const others = all.filter((child) => !isDone(child));
  const due = others.filter((child) => isExpected(child, day));
  return { all, done: newestFirst(done, taken), due, here: inQueue(app), older: others.length - due.length };
}

const lastDay = (measurements) => measurements.reduce((last, { on }) => (on > last ? on : last), "");

const newestFirst = (children, taken) =>
  [...children].sort((one, other) => (lastDay(taken(one)) < lastDay(taken(other)) ? 1 : -1));

/** Children of whom every typed word is the beginning of a word of their or a parent's name. */
function found(children, typed) {
  const wanted = plain(typed).split(/\s+/).filter(Boolean);
  return children.filter(({ search }) => wanted.every((part) => ` ${search}`.includes(` ${part}`)));
}

/** @param {import("../parts/model.js").Child[]} queue */
function nextButton(queue) {
  const [first, second] = queue;
  if (!first) return h("p", { class: "hint" }, say("Tap a name to measure, or “here?” when a child comes."));
  const more = second ? h("span", { class: "then" }, say("then {name}", { name: second.name })) : null;
  return h("a", { class: "button main", href: `#/ukur/${first.id}` }, say("Next: "), first.name, more);
}

function row(app, child, measurements) {
  const { day, session } = app;
  const here = session.here.includes(child.id);
  const done = measuredOn(measurements, day);
  const name = child.name || say("(no name)");
  return h(
    "li",
    { class: done ? "done" : here ? "here" : "" },
    attendance(app, child, here, done),
    h(
      "a",
      { href: done ? `#/anak/${child.id}` : `#/ukur/${child.id}` },
      h("strong", {}, name),
      h("span", {}, child.mother ? motherWords(child.mother) : say("mother not known")),
      h("span", {}, factsOf(app, child, measurements, done)),
      unsavedMark(app, child.id),
    ),
    h(
      "a",
      { class: "more", href: `#/anak/${child.id}` },
      h("span", { class: "unseen" }, say("See {name}", { name }), " "),
      statusWords(app, child),
    ),
  );
}

/** The age and the last visit; of a child that was measured today also whether that was sent. */
function factsOf(app, child, measurements, done) {
  const last = lastDay(measurements);
  if (done) return !app.isPractice && marks(app, child).waiting ? say("today, not sent yet") : say("today");
  const visit = last ? say("last {day}", { day: shortDay(last, app.day) }) : say("never measured");
  return `${ageWords(child.born_on, app.day)} · ${visit}`;
}

function attendance(app, child, here, done) {
  const [sign, words, spoken] = done
    ? ["✓", say("done"), say("measured")]
    : here
      ? ["●", say("here"), say("here")]
      : ["○", say("here?"), say("not here yet")];
  const ids = app.session.here;
  const attend = () => app.keepSession({ here: here ? ids.filter((id) => id !== child.id) : [...ids, child.id] });
  return h(
    "button",
    {
      type: "button",
      class: "mark",
      "aria-label": `${child.name}: ${spoken}`,
      "aria-pressed": String(here || done),
      disabled: done,
      onclick: attend,
    },
    h("span", { class: "sign", "aria-hidden": "true" }, sign),
    h("span", { "aria-hidden": "true" }, words),
  );
}

function restWords({ older }) {
  return older ? say("{older} children of five years and older are not listed: find them by name.", { older }) : null;
}

function emptyWords(app, typed, groups) {
  if (typed) return say("No name fits “{typed}”.", { typed });
  if (!groups.all.length) {
    return app.tablet.replica.facts.more && !app.isPractice
      ? say("The list of children was not fetched yet. Send once where there is a signal.")
      : say("No children at this post yet. Begin with “New child”.");
  }
  if (app.view === "due") return say("All children were measured this month.");
  if (app.view === "here") return say("Nobody is waiting. Tap “here?” before a name when the child comes.");
  return say("Nobody was measured this month yet.");
}

const OFFER_FROM = 20;

function copyOffer(app) {
  if (app.isPractice || app.uncopied() < OFFER_FROM) return null;
  const count = unsentChildren(app).length;
  const words = say("The data of {count} children is on this tablet alone. Keep a locked backup.", { count });
  return notice("look", h("p", {}, words), h("a", { class: "button", href: "#/salinan" }, say("Keep a backup")));
}
