// The size of text, chosen under "More", in per cent; the sizes themselves are in app.css. On top comes what the browser's own setting
// says. Where a screen holds few letters of that size in a line, it is drawn for large text: nothing stays in sight but the foot.

export const TEXT_SIZES = [100, 125, 150, 200];
const LARGE_EMS = 17; // fewer ems than these in a line: large text, and huge
const HUGE_EMS = 13;
const USUAL_PX = 17;

/** @param {number} [percent] */
export function showTextSize(percent = 100) {
  const root = document.documentElement;
  root.dataset.text = String(percent);
  const em = parseFloat(getComputedStyle(root).fontSize);
  root.classList.toggle("large", window.innerWidth < em * LARGE_EMS);
  root.classList.toggle("huge", window.innerWidth < em * HUGE_EMS);
}

/** How much larger than usual the text is, for what is drawn. */
export const textZoom = () => Math.max(1, parseFloat(getComputedStyle(document.documentElement).fontSize) / USUAL_PX);

window.addEventListener("resize", () => showTextSize(Number(document.documentElement.dataset.text) || 100));
