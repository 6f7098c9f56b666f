// The recap at the end of a posyandu: the figures for the paper register, of the day and of the month, as the server counts them.

import { h, notice, refill } from "../parts/dom.js";
import { handOutText } from "../parts/hand_out.js";
import { notCome } from "../parts/home_visits.js";
import { countDay, countMonth, YES_NO } from "../parts/post_counts.js";
import { postWords } from "../parts/post_words.js";
import { dayWords, later, laterIn, message, say } from "../words/words.js";

/** @typedef {[name: string, words: import("../growth/text.js").Text, day: number|null, month: number|null]} Row a row of the sheet;
 *   null: not counted for that period */

const SERVICES = {
  exclusive_breastfeeding: later("Breast milk only"),
  mbg: later("Receives MBG (free meals)"),
  mother_class: later("Mother attends the mothers' class"),
  deworming: later("Deworming"),
  immunised: later("Immunised"),
};

/** @param {import("../app.js").OpenApp} app */
export function recap(app) {
  const place = h("div", {});
  const feedback = h("div", { "aria-live": "polite" });
  let parts = partsOf(app);
  const draw = () => {
    parts = partsOf(app);
    refill(
      place,
      parts.map(([title, rows]) => [h("h2", {}, message(title)), table(rows)]),
      missing(app),
    );
  };
  const share = async () => {
    const done = await handOutText(asText(app, parts), `rekap-posyandu-${app.day}.txt`);
    refill(feedback, done === "left" ? null : notice("good", say("The recap was handed out.")));
  };
  draw();
  app.watch(draw); // what another tablet sent meanwhile counts too
  const body = [
    h("p", {}, h("b", {}, `${postWords(app)} · ${dayWords(app.day)}`)),
    h(
      "p",
      { class: "fine" },
      say("“Day” counts {day} alone, “month” all of {month}. The server counts by the same rules what it has received from all tablets.", {
        day: dayWords(app.day),
        month: monthWords(app),
      }),
    ),
    place,
    h("p", { class: "fine" }, say("“–”: not counted for that period.")),
    feedback,
    h(
      "div",
      { class: "actions still" },
      h("button", { class: "main", onclick: share }, say("Share as text")),
      h("button", { onclick: () => window.print() }, say("Print")),
    ),
    h("p", { class: "fine" }, say("The text has figures alone, no names.")),
  ];
  return { title: say("Recap"), body, back: "#/hari-ini" };
}

const monthWords = (app) => dayWords(app.day, { month: "long", year: "numeric" });

/** @returns {Array<[title: import("../growth/text.js").Text, rows: Row[]]>} */
function partsOf(app) {
  const day = countDay(app, app.day);
  const month = countMonth(app, app.day);
  const doses = doseRows(app, day.doses, month.doses);
  return [
    [
      later("Weighing (SKDN)"),
      [
        ["S", later("S: under-fives of the post"), null, month.S],
        ["K", later("K: hold a Buku KIA or KMS"), null, month.K],
        ["D", later("D: weighed"), day.D, month.D],
        ["N", later("N: gained enough"), day.N, month.N],
        ["T", later("T: too little gain"), day.T, month.T],
        ["O", later("O: not weighed last month, or not to be judged"), day.O, month.O],
        ["B", later("B: weighed for the first time"), day.B, month.B],
        ["two_t", later("2T: too little gain two months running"), null, month.two_t],
        ["bgm", later("BGM: below the red line"), null, month.bgm],
        ["fresh", later("New children"), day.fresh, month.fresh],
        ["records", later("Measurements written down"), day.records, null],
      ],
    ],
    [later("Referrals and PMT"), referralRows(day, month)],
    [later("Services"), serviceRows(day.services, month.services, month.isVitaminMonth)],
    .../** @type {Array<[import("../growth/text.js").Text, Row[]]>} */ (doses.length ? [[later("Vaccines by dose"), doses]] : []),
  ];
}

/** @returns {Row[]} */
const referralRows = (day, month) => [
  ["urgency.today", later("To the health centre today"), day.urgency.today, month.urgency.today],
  ["urgency.week", later("To the health centre this week"), day.urgency.week, month.urgency.week],
  ["referrals.open", later("Referrals by the health centre, not done yet"), null, month.referrals.open],
  ["referrals.done", later("Referrals done"), day.referrals.done, month.referrals.done],
  ["pmt", later("Children on PMT"), null, month.pmt],
];

/** @returns {Row[]} */
const serviceRows = (day, month, isVitaminMonth) => [
  ...(isVitaminMonth
    ? [/** @type {Row} */ (["vitamin_a", later("Vitamin A"), day.vitamin_a, month.vitamin_a])]
    : []),
  ...Object.keys(YES_NO).map((name) => /** @type {Row} */ ([name, SERVICES[name], day[name], month[name]])),
  ["kpsp", later("KPSP done"), day.kpsp, month.kpsp],
  ["kpsp_doubt", later("KPSP: doubtful"), day.kpsp_doubt, month.kpsp_doubt],
  ["kpsp_deviation", later("KPSP: deviant"), day.kpsp_deviation, month.kpsp_deviation],
];

/** Doses that were given in the month, as the schedule has them. @returns {Row[]} */
const doseRows = ({ tables: { schedule } }, day, month) =>
  schedule.doses
    .filter(({ code }) => month[code])
    .map(({ code, words }) => [`dose.${code}`, words, day[code] || 0, month[code]]);

const DAY = laterIn("column", "Day");
const MONTH = laterIn("column", "Month");
const shown = (count) => (count === null ? "–" : String(count));

/** @param {Row[]} rows */
function table(rows) {
  const cell = (name, period, count) => h("td", { "data-count": `${period}.${name}` }, shown(count));
  return h(
    "table",
    { class: "counts" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { scope: "col" }, h("span", { class: "unseen" }, say("What is counted"))),
        [DAY, MONTH].map((words) => h("th", { scope: "col" }, message(words))),
      ),
    ),
    h(
      "tbody",
      {},
      rows.map(([name, words, day, month]) =>
        h("tr", {}, h("th", { scope: "row" }, message(words)), cell(name, "day", day), cell(name, "month", month)),
      ),
    ),
  );
}

function missing(app) {
  const children = notCome(app);
  return h(
    "section",
    {},
    h("h2", {}, say("Did not come yet")),
    h("p", { "data-count": "month.missing" }, say("{count} children", { count: children.length })),
    children.length
      ? h(
          "p",
          {},
          h(
            "a",
            { class: "button", href: "#/belum-datang" },
            say("See who, and call them"),
          ),
        )
      : null,
  );
}

function asText(app, parts) {
  const head = `${say("Recap")} · ${postWords(app)} · ${dayWords(app.day)}`;
  const period = (words, count) => (count === null ? "" : `${message(words)} ${count}`);
  const line = ([, words, day, month]) =>
    `${message(words)}: ${[period(DAY, day), period(MONTH, month)].filter(Boolean).join(", ") || "–"}`;
  const sections = parts.flatMap(([title, rows]) => ["", message(title), ...rows.map(line)]);
  const left = `${say("Did not come yet")}: ${say("{count} children", { count: notCome(app).length })}`;
  return [head, ...sections, "", left, ""].join("\n");
}
