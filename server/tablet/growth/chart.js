/**
 * The growth card as SVG: weight for age as on the KMS (pink for girls, blue for boys), and length for age in the same form.
 *
 * Curves come from the same tables as the scores, so points and scores agree. Length for age is drawn after the 0.7 cm rule, as
 * it is scored; its curves step down at day 731, where children are measured standing, so each is drawn in two pieces. A value
 * far outside is drawn at the edge and marked. Styles are in `chart.css` only.
 */

import { lines, zones } from "./curves.js";
import { scaleOf } from "./scale.js";
import { node } from "./svg.js";
import { later } from "./text.js";
import { cm, decimal, kg } from "./number_text.js";
import { FIRST_STANDING_DAY } from "./zscores.js";

/** By chart: its table, record units in one unit of the table, the highest z shown, the lines, and the zones from the lowest up. */
const KINDS = {
  weight: {
    table: "wfa",
    unit: 1000,
    top: 2,
    grid: [1, 2, 5],
    write: kg,
    pieces: [[0, 1856]],
    lines: [
      [-3, "red"],
      [-2, "low"],
      [0, "median"],
      [1, "orange"],
    ],
    zones: [
      [-Infinity, -3, "below-red"],
      [-3, -2, "low"],
      [-2, 1, "normal"],
      [1, Infinity, "above-orange"],
    ],
  },
  length: {
    table: "lhfa",
    unit: 10,
    top: 3,
    grid: [5, 10, 20],
    write: cm,
    pieces: [
      [0, FIRST_STANDING_DAY - 1],
      [FIRST_STANDING_DAY, 1856],
    ],
    lines: [
      [-3, "red"],
      [-2, "low"],
      [0, "median"],
      [3, "orange"],
    ],
    zones: [
      [-Infinity, -3, "below-red"],
      [-3, -2, "low"],
      [-2, 3, "normal"],
      [3, Infinity, "above-orange"],
    ],
  },
};
const WORDS = {
  weight: { title: later("KMS chart: weight for age"), x: later("Age (months)"), y: later("Weight (kg)") },
  length: { title: later("Length or height for age"), x: later("Age (months)"), y: later("Length/height (cm)") },
};

/**
 * A value (grams, millimetres) at an age; `fresh` is the one just taken, which is drawn larger with its value beside it.
 * @typedef {{age_days: number, value: number, fresh: boolean}} Point
 */

/**
 * From and to in months; size in CSS pixels; `zoom`: how much larger texts and points are drawn. `message` turns words into text in the chosen language. `words` that are left out
 * are ours; `words.desc` then describes the newest point.
 * @typedef {{from?: number, to?: number, width?: number, height?: number, zoom?: number,
 *   message: (words: import('./text.js').Text|import('./tables.js').Words) => string,
 *   words?: {title?: string, desc?: string, x?: string, y?: string}}} Options
 */

/**
 * Draw the KMS.
 * @param {import('./tables.js').Tables} tables
 * @param {{sex: 'M'|'F'|null}} child without a sex only points are drawn, no zones
 * @param {import('./assess.js').Visit[]} visits in order; those without a weight or an age are left out
 * @param {Options} options
 * @returns {SVGSVGElement}
 */
export function kms(tables, child, visits, options) {
  return drawn(tables, child, pointsOf(visits, "weight"), options, "weight");
}

/**
 * Draw length for age.
 * @param {import('./tables.js').Tables} tables
 * @param {{sex: 'M'|'F'|null}} child
 * @param {import('./assess.js').Visit[]} visits in order; drawn after the 0.7 cm rule
 * @param {Options} options
 * @returns {SVGSVGElement}
 */
export function lengthChart(tables, child, visits, options) {
  return drawn(tables, child, pointsOf(visits, "length"), options, "length");
}

/** The points of a chart; the newest visit's is fresh, if it has one. */
function pointsOf(visits, which) {
  const value = (visit) => (which === "weight" ? visit.measurement.weight_g : visit.corrected_mm);
  return visits
    .filter((visit) => visit.age_days !== null && value(visit) != null)
    .map((visit) => ({ age_days: visit.age_days, value: value(visit), fresh: visit === visits[visits.length - 1] }));
}

function drawn(tables, { sex }, points, options, which) {
  const kind = KINDS[which];
  const scale = scaleOf(tables, sex, points, kind, options);
  const { message, zoom = 1 } = options;
  const { title, x, y } = WORDS[which];
  const words = { title: message(title), x: message(x), y: message(y), desc: "", ...options.words };
  const inside = scale.visible(points);
  const newest = points[points.length - 1];
  const desc = words.desc || (newest ? message(spoken(kind, newest)) : "");
  const looks = { M: "kms-boy", F: "kms-girl" }[sex] || "kms-unknown";
  const drawing = node(
    "svg",
    {
      class: `kms-chart ${looks}`,
      role: "img",
      "aria-label": words.title,
      viewBox: `0 0 ${scale.width} ${scale.height}`,
      width: scale.width * zoom,
      height: scale.height * zoom,
    },
    [
      node("title", {}, [words.title]),
      node("desc", {}, [desc]),
      node("rect", { class: "kms-card", x: 0, y: 0, width: scale.width, height: scale.height }),
      ...(sex
        ? [...zones(tables, sex, kind, scale), ...grid(scale, message), ...lines(tables, sex, kind, scale)]
        : grid(scale, message)),
      ...axes(scale, words),
      ...track(inside, scale),
      ...inside.map((point) => dot(point, kind, scale, message)),
    ],
  );
  return /** @type {SVGSVGElement} */ (drawing);
}

function spoken(kind, { age_days, value }) {
  const months = Math.floor(age_days / 30.4375);
  return later("Newest point: {value} at {months} months", { value: kind.write(value), months });
}

function grid(scale, message) {
  return [
    ...scale.months.map(({ x, month, labelled }) =>
      node("g", { class: labelled ? "kms-major" : "kms-minor" }, [
        node("line", { class: "kms-grid", x1: x, x2: x, y1: scale.top, y2: scale.bottom }),
        ...(labelled ? [node("text", { class: "kms-label kms-month", x, y: scale.bottom + 14 }, [String(month)])] : []),
      ]),
    ),
    ...scale.values.map(({ y, value }) =>
      node("g", { class: "kms-major" }, [
        node("line", { class: "kms-grid", x1: scale.left, x2: scale.right, y1: y, y2: y }),
        node("text", { class: "kms-label kms-value", x: scale.left - 5, y: y + 4 }, [message(decimal(value))]),
      ]),
    ),
  ];
}

function axes(scale, words) {
  const { left, top, right, bottom } = scale;
  return [
    node("rect", { class: "kms-frame", x: left, y: top, width: right - left, height: bottom - top }),
    node("text", { class: "kms-axis", x: (left + right) / 2, y: scale.height - 6 }, [words.x]),
    node("text", { class: "kms-axis kms-axis-y", x: left - 26, y: top - 8 }, [words.y]),
  ];
}

/** Points of consecutive months are joined; a missing month breaks the line, as on the paper card. */
function track(points, scale) {
  return points.slice(1).map((point, at) => {
    const before = points[at];
    const apart = point.age_days - before.age_days > 62;
    return node("line", {
      class: apart ? "kms-track kms-gap" : "kms-track",
      x1: scale.x(before.age_days),
      y1: scale.pinned(before.value),
      x2: scale.x(point.age_days),
      y2: scale.pinned(point.value),
    });
  });
}

function dot(point, kind, scale, message) {
  const [x, y] = [scale.x(point.age_days), scale.pinned(point.value)];
  const pinned = y !== scale.y(point.value) ? " kms-pinned" : "";
  if (!point.fresh) return node("circle", { class: `kms-dot${pinned}`, cx: x, cy: y, r: 4 });
  const leftward = x > (scale.left + scale.right) / 2;
  const high = y < scale.top + 26;
  return node("g", { class: `kms-fresh${pinned}` }, [
    node("circle", { class: "kms-halo", cx: x, cy: y, r: 11 }),
    node("circle", { class: "kms-dot", cx: x, cy: y, r: 6 }),
    node(
      "text",
      {
        class: leftward ? "kms-said kms-leftward" : "kms-said",
        x: x + (leftward ? -14 : 14),
        y: high ? y + 20 : y - 10,
      },
      [message(kind.write(point.value))],
    ),
  ]);
}
