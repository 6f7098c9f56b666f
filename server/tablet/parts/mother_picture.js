// The result as a picture for the mother, drawn here from the same words and the same KMS as the screen: 1080 pixels wide, as high
// as its text needs. It has a nickname at most: no full name, no parent, no NIK, no birth date, no address, no id.

import { paint } from "./svg_painter.js";

const WIDTH = 1080;
const EDGE = 60;
const CHART_WIDTH = WIDTH - 2 * EDGE;
const GAP = 28;
const INK = "#14171a";
const FONT = 'system-ui, "Noto Sans", Roboto, sans-serif';
const TONES = {
  green: ["#e2f5e6", "#0f5f2f"],
  yellow: ["#fff4c7", "#4d3200"],
  orange: ["#ffead6", "#5c2600"],
  red: ["#fde4e4", "#93000f"],
  grey: ["#eef2f3", "#29323a"],
};

/**
 * What the picture shows; `chart` is in the document, null where there is none.
 * @typedef {{post: string, day: string, child: string, figures: string, sentence: string, tone: string, found: string,
 *   advice: string[], again: string, note: string, todo: string, chart: SVGSVGElement|null}} Shown
 */

/** Draw it. @param {HTMLCanvasElement} canvas @param {Shown} shown */
export function drawPicture(canvas, shown) {
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  canvas.width = WIDTH;
  canvas.height = Math.ceil(laid(pen, shown, false));
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  laid(pen, shown, true);
}

/** The picture as a PNG. Its name tells the app alone. @param {HTMLCanvasElement} canvas @returns {Promise<File>} */
export function pictureFile(canvas) {
  return new Promise((resolve, reject) => {
    const take = (blob) =>
      blob ? resolve(new File([blob], "hasil-posyandu.png", { type: "image/png" })) : reject(new Error("no picture"));
    canvas.toBlob(take, "image/png");
  });
}

/** Lay out from the top down; returns the height. @param {CanvasRenderingContext2D} pen @param {Shown} shown @param {boolean} draws */
function laid(pen, shown, draws) {
  const [wash, dark] = TONES[shown.tone] || TONES.grey;
  const write = (words, at, size, { bold = false, color = INK, x = EDGE, width = CHART_WIDTH } = {}) => {
    pen.font = `${bold ? 700 : 400} ${size}px ${FONT}`;
    pen.fillStyle = color;
    const rows = folded(pen, words, width);
    if (draws) rows.forEach((row, number) => pen.fillText(row, x, at + size + number * size * 1.3));
    return at + rows.length * size * 1.3;
  };
  if (draws) box(pen, "#0b5a5f", 0, 0, WIDTH, 110);
  write(shown.post, 32, 42, { bold: true, color: "#fff" });
  let at = write(shown.child, 110 + GAP, 44, { bold: true });
  at = write([shown.day, shown.figures].filter(Boolean).join(" · "), at, 36, { color: "#46505a" }) + GAP;
  const inside = { bold: true, color: dark, x: EDGE + 30, width: CHART_WIDTH - 60 };
  const below = rowsBelow(pen, shown.sentence, at, inside);
  if (draws) box(pen, wash, EDGE, at, CHART_WIDTH, below - at);
  write(shown.sentence, at + 24, 60, inside);
  at = below + GAP;
  if (shown.found) at = write(shown.found, at, 38) + GAP;
  if (shown.chart) at = chartBelow(pen, shown.chart, at, draws) + GAP;
  if (shown.advice.length) at = write(shown.todo, at, 38, { bold: true }) + 8;
  for (const words of shown.advice) at = write(`• ${words}`, at, 36) + 10;
  if (shown.again) at = write(shown.again, at + 8, 40, { bold: true, color: "#07464a" }) + 8;
  return write(shown.note, at + GAP, 26, { color: "#46505a" }) + EDGE;
}

function rowsBelow(pen, words, at, { width }) {
  pen.font = `700 60px ${FONT}`;
  return at + 48 + folded(pen, words, width).length * 60 * 1.3;
}

function chartBelow(pen, chart, at, draws) {
  const [, , wide, high] = (chart.getAttribute("viewBox") || "0 0 360 300").split(" ").map(Number);
  const scale = CHART_WIDTH / wide;
  if (draws) {
    pen.save();
    pen.translate(EDGE, at);
    pen.scale(scale, scale);
    paint(pen, chart);
    pen.restore();
  }
  return at + high * scale;
}

function box(pen, color, x, y, width, height) {
  pen.fillStyle = color;
  pen.fillRect(x, y, width, height);
}

/** A text in rows of at most a width; a word that is longer stands in a row of its own. */
function folded(pen, words, width) {
  const rows = [""];
  for (const word of words.split(/\s+/)) {
    const longer = `${rows[rows.length - 1]} ${word}`.trim();
    if (rows[rows.length - 1] && pen.measureText(longer).width > width) rows.push(word);
    else rows[rows.length - 1] = longer;
  }
  return rows;
}
