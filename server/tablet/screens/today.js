// The list of the day: who is here, who is missing, who comes next; found by a letter or two of a name.

import { field, h, notice, refill } from "../parts/dom.js";
import { room } from "../parts/room.js";
import { statusIcon } from "../parts/status_icon.js";
import { isExpected, measuredInMonth, measuredOn } from "../parts/model.js";
import { ageWords, dayWords, motherWords, plain, say, sexWord } from "../words/words.js";

const VIEWS = [
  ["due", "Belum", "To do"],
  ["here", "Hadir", "Here"],
  ["done", "Sudah", "Done"],
  ["all", "Semua", "All"],
];

/** @param {import("../app.js").OpenApp} app */
export async function today(app) {
  const list = h("ul", { class: "children" });
  const counts = h("div", { class: "tabs", role: "group", "aria-label": say("Saring daftar", "Filter the list") });
  const next = h("button", { class: "main", onclick: () => app.go(`#/ukur/${next.dataset.child}`) });
  const search = h("input", {
    type: "search",
    placeholder: say("Cari nama anak atau ibu", "Find a child or mother"),
    "aria-label": say("Cari", "Find"),
    value: app.searched,
  });
  const draw = () => {
    const groups = grouped(app);
    const { view } = app;
    refill(
      counts,
      VIEWS.map(([name, id, en]) =>
        h(
          "button",
          { "aria-pressed": String(name === view), onclick: () => put({ view: name }) },
          say(id, en),
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
      refill(next, say("Berikutnya: ", "Next: "), first.name);
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
    dayChooser(app),
    copyOffer(app),
    search,
    counts,
    list,
    h(
      "div",
      { class: "actions" },
      h("a", { class: "button", href: "#/baru" }, say("+ Anak baru", "+ New child")),
      next,
    ),
  ];
  return { title: say("Hari ini", "Today"), body, place: "hari-ini" };
}

/** The children of the post by what is still to do for them on the day. */
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

/** Who should come to the scale next: whoever is here, in the order in which they came; then whoever is due. */
const waiting = (app, { here, due }) => [...here, ...due];

/** Every word that is typed begins a word of the child's or a parent's name. */
function found(children, typed) {
  const wanted = plain(typed).split(/\s+/).filter(Boolean);
  return children.filter(({ search }) => wanted.every((part) => ` ${search}`.includes(` ${part}`)));
}

function row(app, child) {
  const { day, session } = app;
  const here = session.here.includes(child.id);
  const done = measuredOn(child, day);
  const mark = done
    ? ["✓", say("sudah diukur", "measured")]
    : here
      ? ["◐", say("hadir", "here")]
      : ["○", say("belum datang", "not here yet")];
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
      h("strong", {}, child.name || say("(tanpa nama)", "(no name)")),
      h(
        "span",
        {},
        `${ageWords(child.born_on, day)} · ${sexWord(child.sex)}${child.mother ? ` · ${motherWords(child.mother)}` : ""}`,
      ),
    ),
    statusIcon(app, child),
    h(
      "a",
      { class: "more", href: `#/anak/${child.id}`, "aria-label": say(`Lihat ${child.name}`, `See ${child.name}`) },
      "›",
    ),
  );
}

function emptyWords(app, view, groups) {
  if (app.searched)
    return say(`Tidak ada nama yang cocok dengan “${app.searched}”.`, `No name fits “${app.searched}”.`);
  if (!groups.all.length) {
    return app.tablet.replica.facts.more && !app.isPractice
      ? say(
          "Daftar anak belum diunduh. Kirim sekali di tempat yang ada sinyal.",
          "The list of children was not fetched yet. Send once where there is a signal.",
        )
      : say(
          "Belum ada anak di posyandu ini. Mulai dengan “Anak baru”.",
          "No children at this post yet. Begin with “New child”.",
        );
  }
  if (view === "due") return say("Semua anak sudah diukur bulan ini.", "All children were measured this month.");
  if (view === "here")
    return say("Ketuk lingkaran di depan nama saat anak datang.", "Tap the circle before a name when the child comes.");
  return say("Belum ada yang diukur hari ini.", "Nobody was measured today yet.");
}

/** The day that is recorded: nearly always today; a wrong clock or a late entry is mended here, once. */
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
      h("span", {}, say("ubah", "change")),
    ),
    field(
      say("Tanggal posyandu", "Posyandu day"),
      input,
      say("Semua yang dicatat sekarang memakai tanggal ini.", "Everything recorded now bears this date."),
    ),
  );
}

const OFFER_FROM = 20;

function copyOffer(app) {
  if (app.isPractice || app.uncopied() < OFFER_FROM) return null;
  const words = say(
    `${app.uncopied()} catatan hanya ada di tablet ini. Simpan salinan tersegel.`,
    `${app.uncopied()} records are on this tablet alone. Keep a sealed copy.`,
  );
  return notice(
    "look",
    h("p", {}, words),
    h("a", { class: "button", href: "#/salinan" }, say("Simpan salinan", "Keep a copy")),
  );
}
