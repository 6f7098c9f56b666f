/** The scale of a growth chart: days and grams or millimetres to pixels, and which lines of the grid are drawn. */

import { valueOnLine } from "./lms.js";
import { DAYS_PER_MONTH } from "./zscores.js";

const EDGES = { left: 38, top: 26, right: 14, bottom: 38 };
const FEWEST_LINES_PX = 26;
const FEWEST_MONTHS_PX = 22; // between the numbers of months
/** The card shows -3 to +2 SD and a margin. Points stretch it by up to a quarter each way; beyond, they are drawn at the edge. */
const ROOM = 0.06;
const STRETCH = 0.25;

/**
 * @typedef {object} Scale
 * @property {number} width
 * @property {number} height
 * @property {number} left edges of the plot, pixels
 * @property {number} top
 * @property {number} right
 * @property {number} bottom
 * @property {number} fromDay ages at the left and right edge
 * @property {number} toDay
 * @property {(age_days: number) => number} x
 * @property {(value: number) => number} y of grams or millimetres
 * @property {(value: number) => number} pinned y, kept inside the plot
 * @property {(points: Array) => Array} visible the points between the edges
 * @property {Array<{x: number, month: number, labelled: boolean}>} months
 * @property {Array<{y: number, value: number}>} values in the unit of the axis (kg, cm)
 */

/**
 * Lay out a chart.
 * @param {import('./tables.js').Tables} tables
 * @param {'M'|'F'|null} sex
 * @param {import('./chart.js').Point[]} points
 * @param {{table: string, unit: number, grid: number[]}} kind
 * @param {import('./chart.js').Options} options
 * @returns {Scale}
 */
export function scaleOf(tables, sex, points, kind, options) {
  const { zoom = 1 } = options;
  const [width, height] = [(options.width || 360) / zoom, (options.height || 400) / zoom];
  const [from, to] = span(points, options);
  const [fromDay, toDay] = [from * DAYS_PER_MONTH, to * DAYS_PER_MONTH];
  const [left, top, right, bottom] = [EDGES.left, EDGES.top, width - EDGES.right, height - EDGES.bottom];
  const [low, high] = heights(tables, sex || "M", kind, points, fromDay, toDay);
  const x = (age_days) => left + ((age_days - fromDay) / (toDay - fromDay)) * (right - left);
  const y = (value) => bottom - ((value / kind.unit - low) / (high - low)) * (bottom - top);
  return {
    width,
    height,
    left,
    top,
    right,
    bottom,
    fromDay,
    toDay,
    x,
    y,
    pinned: (value) => Math.min(Math.max(y(value), top), bottom),
    visible: (all) => all.filter(({ age_days }) => age_days >= fromDay && age_days <= toDay),
    months: months(from, to, x, (right - left) / (to - from)),
    values: values(low, high, kind, (value) => y(value * kind.unit), bottom - top),
  };
}

/** The span of ages: the first two years or the three after them, as on the folded paper card.
 * @param {import("./chart.js").Point[]} points @param {import("./chart.js").Options} wanted */
function span(points, { from, to }) {
  const oldest = Math.max(0, ...points.map(({ age_days }) => age_days));
  const early = oldest <= 24 * DAYS_PER_MONTH;
  return [from === undefined ? (early ? 0 : 24) : from, to === undefined ? (early ? 24 : 60) : to];
}

function heights(tables, sex, kind, points, fromDay, toDay) {
  const at = (day, z) =>
    Number(valueOnLine(tables, kind.table, sex, Math.min(Math.max(Math.round(day), 0), 1856), z)); // there is a row for each
  const [lowest, highest] = [at(fromDay, -3), at(toDay, kind.top)];
  const [room, stretch] = [(highest - lowest) * ROOM, (highest - lowest) * STRETCH];
  const seen = points
    .filter(({ age_days }) => age_days >= fromDay && age_days <= toDay)
    .map(({ value }) => value / kind.unit);
  const low = Math.max(lowest - stretch, Math.min(lowest, ...seen));
  const high = Math.min(highest + stretch, Math.max(highest, ...seen));
  return [Math.max(0, low - room), high + room];
}

function months(from, to, x, wide) {
  const usual = to - from <= 12 ? 1 : to - from <= 36 ? 3 : 6;
  const step = [usual, 6, 12].find((some) => some >= usual && some * wide >= FEWEST_MONTHS_PX) || 12;
  const all = [];
  for (let month = Math.ceil(from); month <= to; month += 1) {
    all.push({ x: x(month * DAYS_PER_MONTH), month, labelled: month % step === 0 });
  }
  return all;
}

function values(low, high, { grid }, y, height) {
  const step = grid.find((wide) => (wide / (high - low)) * height >= FEWEST_LINES_PX) || grid[grid.length - 1];
  const all = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) all.push({ y: y(value), value });
  return all;
}
