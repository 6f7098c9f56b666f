/** The lines and zones of a growth chart, drawn from the tables by which children are scored. */

import { valueOnLine } from "./lms.js";
import { node } from "./svg.js";

const STEP_DAYS = 7;

/**
 * A kind of chart: its table, the pieces of its curves in days, its lines and its zones (-Infinity and Infinity are the edges
 * of the plot).
 * @typedef {{table: string, unit: number, pieces: Array<[number, number]>, lines: Array<[number, string]>,
 *   zones: Array<[number, number, string]>}} Kind
 */

/** The days of a piece of curve that can be seen, its ends included. */
function daysOf([first, last], scale) {
  const [from, to] = [Math.max(first, Math.ceil(scale.fromDay)), Math.min(last, Math.floor(scale.toDay))];
  const days = [];
  for (let day = from; day < to; day += STEP_DAYS) days.push(day);
  return from <= to ? [...days, to] : [];
}

function curve(tables, sex, kind, scale, days, z) {
  return days.map((day) => {
    if (!Number.isFinite(z)) return [scale.x(day), z > 0 ? scale.top : scale.bottom];
    return [scale.x(day), scale.y((valueOnLine(tables, kind.table, sex, day, z) ?? 0) * kind.unit)];
  });
}

/**
 * Draw the zones between the lines, the lowest first.
 * @param {import('./tables.js').Tables} tables
 * @param {'M'|'F'} sex
 * @param {Kind} kind
 * @param {import('./scale.js').Scale} scale
 * @returns {SVGElement[]}
 */
export function zones(tables, sex, kind, scale) {
  return kind.pieces
    .map((piece) => daysOf(piece, scale))
    .filter((days) => days.length > 1)
    .flatMap((days) =>
      kind.zones.map(([low, high, name]) => {
        const edge = (z) => curve(tables, sex, kind, scale, days, z);
        return node("polygon", {
          class: `kms-zone kms-${name}`,
          points: joined([...edge(low), ...edge(high).reverse()]),
        });
      }),
    );
}

/**
 * Draw the lines; `data-z` says which.
 * @param {import('./tables.js').Tables} tables
 * @param {'M'|'F'} sex
 * @param {Kind} kind
 * @param {import('./scale.js').Scale} scale
 * @returns {SVGElement[]}
 */
export function lines(tables, sex, kind, scale) {
  return kind.pieces
    .map((piece) => daysOf(piece, scale))
    .filter((days) => days.length > 1)
    .flatMap((days) =>
      kind.lines.map(([z, name]) =>
        node("polyline", {
          class: `kms-line kms-${name}-line`,
          "data-z": z,
          points: joined(curve(tables, sex, kind, scale, days, z)),
        }),
      ),
    );
}

const joined = (corners) => corners.map(([x, y]) => `${x.toFixed(2)},${y.toFixed(2)}`).join(" ");
