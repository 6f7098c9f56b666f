// The list of the day: who is due, here or done, and who is next; with a search by the first letters of a name.

import { field, h, notice, refill } from "../parts/dom.js";
import { postChooser } from "../parts/post_chooser.js";
import { room } from "../parts/room.js";
import { statusIcon } from "../parts/status_icon.js";
import { isExpected, measuredInMonth, measuredOn } from "../parts/model.js";
import { ageWords, dayWords, later, message, motherWords, plain, say, sexWord } from "../words/words.js";

/** @type {Array<[name: string, words: import("../growth/text.js").Text]>} */
const VIEWS = [
  ["due", later("To do")],
  ["here", later("Here")],
  ["done", later("Done")],
  ["all", later("All")],
];

/** @param {import("../app.js").OpenApp} app */
export async function today(app) {
  const list = h("ul", { class: "children" });
  const counts = h("div", { class: "tabs", role: "group", "aria-label": say("Filter the list") });
  const next = h("button", { class: "main", onclick: () => app.go(`#/ukur/${next.dataset.child}`) });
  const search = h("input", {
    type: "search",
    placeholder: say("Find a child or mother"),
    "aria-label": say("Find"),
    value: app.searched,
  });
  const draw = () => {
    const groups = grouped(app);
    const { view } = app;
    refill(
      counts,
      VIEWS.map(([name, words]) =>
        h(
          "button",
          { "aria-pressed": String(name === view), onclick: () => put({ view: name }) },
          message(words),
          " ",
          h("b", {}, String(groups[name].length)),
        ),
      ),
    );
    const shown = app.searched ? found(groups.all, app.searched) : groups[view];
    refill(
      list,
      shown.length ? shown.map((child) => row(app, child)) : h("li", { class: "empty" }, emptyWords(app, view, groups)),
    );
    const [first] = waiting(app, groups);
    next.hidden = !first;
    if (first) {
      next.dataset.child = first.id;
      refill(next, say("Next: "), first.name);
    }
  };
  const put = (changes) => {
    Object.assign(app, changes);
    draw();
  };
  search.addEventListener("input", () => put({ searched: search.value.trim() }));
  draw();
  app.watch(draw);
  const body = [
    await room(app),
    postChooser(app),
    dayChooser(app),
    copyOffer(app),
    search,
    counts,
    list,
    h("div", { class: "actions" }, h("a", { class: "button", href: "#/baru" }, say("+ New child")), next),
  ];
  return { title: say("Today"), body, place: "hari-ini" };
}

/** The children of the post by the tabs of the list. */
function grouped(app) {
  const { model, day, session } = app;
  const all = model.children();
  const expected = all.filter((child) => isExpected(child, day));
  const here = new Set(session.here);
  const done = all.filter((child) => measuredOn(child, day));
  const due = expected.filter((child) => !measuredInMonth(child, day));
  return {
    all,
    done,
    due,
    here: session.here
      .map((id) => all.find((child) => child.id === id))
      .filter((child) => child && !measuredOn(child, day)),
    present: here,
  };
}

/** Who is to be measured next: those who are here, in order of arrival, then those who are due. */
const waiting = (app, { here, due }) => [...here, ...due];

/** Children of whom every typed word is the beginning of a word of their or a parent's name. */
function found(children, typed) {
  const wanted = plain(typed).split(/\s+/).filter(Boolean);
  return children.filter(({ search }) => wanted.every((part) => ` ${search}`.includes(` ${part}`)));
}

function row(app, child) {
  const { day, session } = app;
  const here = session.here.includes(child.id);
  const done = measuredOn(child, day);
  const mark = done ? ["✓", say("measured")] : here ? ["◐", say("here")] : ["○", say("not here yet")];
  const attend = () =>
    app.keepSession({ here: here ? session.here.filter((id) => id !== child.id) : [...session.here, child.id] });
  return h(
    "li",
    { class: done ? "done" : here ? "here" : "" },
    h(
      "button",
      {
        class: "mark",
        "aria-label": `${child.name}: ${mark[1]}`,
        "aria-pressed": String(here || done),
        disabled: done,
        onclick: attend,
      },
      mark[0],
    ),
    h(
      "a",
      { href: done ? `#/anak/${child.id}` : `#/ukur/${child.id}` },
      h("strong", {}, child.name || say("(no name)")),
      h(
        "span",
        {},
        `${ageWords(child.born_on, day)} · ${sexWord(child.sex)}${child.mother ? ` · ${motherWords(child.mother)}` : ""}`,
      ),
    ),
    statusIcon(app, child),
    h("a", { class: "more", href: `#/anak/${child.id}`, "aria-label": say("See {name}", { name: child.name }) }, "›"),
  );
}

function emptyWords(app, view, groups) {
  if (app.searched) return say("No name fits “{typed}”.", { typed: app.searched });
  if (!groups.all.length) {
    return app.tablet.replica.facts.more && !app.isPractice
      ? say("The list of children was not fetched yet. Send once where there is a signal.")
      : say("No children at this post yet. Begin with “New child”.");
  }
  if (view === "due") return say("All children were measured this month.");
  if (view === "here") return say("Tap the circle before a name when the child comes.");
  return say("Nobody was measured today yet.");
}

/** The day that records are dated with: today, unless it is changed here for a wrong clock or a late entry. */
function dayChooser(app) {
  const input = h("input", {
    type: "date",
    value: app.day,
    onchange: () => input.value && app.keepSession({ date: input.value }).then(() => app.draw()),
  });
  return h(
    "details",
    { class: "day" },
    h(
      "summary",
      {},
      h("b", {}, dayWords(app.day, { weekday: "long", day: "numeric", month: "short", year: "numeric" })),
      " ",
      h("span", {}, say("change")),
    ),
    field(say("Posyandu day"), input, say("Everything recorded now bears this date.")),
  );
}

const OFFER_FROM = 20;

function copyOffer(app) {
  if (app.isPractice || app.uncopied() < OFFER_FROM) return null;
  const words = say("{count} records are on this tablet alone. Keep a sealed copy.", { count: app.uncopied() });
  return notice("look", h("p", {}, words), h("a", { class: "button", href: "#/salinan" }, say("Keep a copy")));
}
