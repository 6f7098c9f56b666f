// Paints an SVG drawing of the app on a canvas, with the styles that its style sheet gives it: so a picture shows the same drawing
// as the screen, and no second description of it is needed. Only the elements that `growth/chart.js` uses.

/** @type {Object<string, (element: Element) => Path2D>} */
const SHAPES = {
  rect: (element) => {
    const path = new Path2D();
    path.rect(of(element, "x"), of(element, "y"), of(element, "width"), of(element, "height"));
    return path;
  },
  circle: (element) => {
    const path = new Path2D();
    path.arc(of(element, "cx"), of(element, "cy"), of(element, "r"), 0, 2 * Math.PI);
    return path;
  },
  line: (element) =>
    new Path2D(`M${of(element, "x1")},${of(element, "y1")}L${of(element, "x2")},${of(element, "y2")}`),
  polyline: (element) => new Path2D(cornersOf(element)),
  polygon: (element) => new Path2D(`${cornersOf(element)}Z`),
};

const of = (element, name) => Number(element.getAttribute(name));
const cornersOf = (element) => `M${(element.getAttribute("points") || "").trim().split(/\s+/).join("L")}`;

/** Paint a drawing that is in the document, at 0,0 of the canvas's present scale. @param {CanvasRenderingContext2D} canvas
 * @param {SVGSVGElement} drawing */
export function paint(canvas, drawing) {
  for (const element of drawing.querySelectorAll("rect, circle, line, polyline, polygon, text")) {
    const style = getComputedStyle(element);
    canvas.save();
    if (element.localName === "text") letter(canvas, element, style);
    else shape(canvas, SHAPES[element.localName](element), style);
    canvas.restore();
  }
}

function pens(canvas, { fill, fillOpacity, stroke, strokeOpacity, strokeWidth, strokeDasharray }) {
  canvas.lineWidth = parseFloat(strokeWidth);
  canvas.setLineDash(strokeDasharray === "none" ? [] : strokeDasharray.split(/[ ,]+/).map(parseFloat));
  return {
    fills: () => {
      canvas.globalAlpha = Number(fillOpacity);
      canvas.fillStyle = fill;
      return fill !== "none";
    },
    strokes: () => {
      canvas.globalAlpha = Number(strokeOpacity);
      canvas.strokeStyle = stroke;
      return stroke !== "none";
    },
  };
}

function shape(canvas, path, style) {
  const { fills, strokes } = pens(canvas, style);
  if (fills()) canvas.fill(path);
  if (strokes()) canvas.stroke(path);
}

/** A text; its outline, if it has one, is under it (`paint-order: stroke`). */
function letter(canvas, element, style) {
  const { fills, strokes } = pens(canvas, style);
  const [text, x, y] = [element.textContent || "", of(element, "x"), of(element, "y")];
  canvas.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  canvas.textAlign = /** @type {CanvasTextAlign} */ ({ middle: "center", end: "right" }[style.textAnchor] || "left");
  canvas.lineJoin = "round";
  if (strokes()) canvas.strokeText(text, x, y);
  if (fills()) canvas.fillText(text, x, y);
}
