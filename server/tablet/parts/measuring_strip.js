// The strip above the number pad: the first question about what is typed, with its button, and the verdict in one line.

import { advice } from "../growth/advice.js";
import { assess } from "../growth/assess.js";
import { message, say } from "../words/words.js";
import { h, refill } from "./dom.js";

/** @param {import("../app.js").OpenApp} app @param {object} child
 * @param {(found: import("../growth/value_checks.js").Warning[]) => HTMLElement[]} asking elements with their buttons */
export function measuringStrip(app, child, asking) {
  const element = h("div", { class: "live-feedback", "aria-live": "polite" });
  let isWhole = false; // all questions are shown, not only the first
  let drawn = "";
  /** @param {import("../growth/value_checks.js").Warning[]} found @param {import("../growth/assess.js").Measurement} sound */
  const show = (found, sound) => {
    const line = verdictLine(app, child, sound);
    const words = JSON.stringify([found, line && line.textContent, isWhole]);
    if (words === drawn) return; // not announced again
    drawn = words;
    const more = () => {
      isWhole = !isWhole;
      show(found, sound);
    };
    const others = found.length - 1;
    const button =
      others > 0 &&
      h(
        "button",
        { type: "button", class: "others", "aria-expanded": String(isWhole), onclick: more },
        isWhole ? say("Less") : say("+{others} more", { others }),
      );
    const asked = asking(found.slice(0, isWhole ? found.length : 1));
    if (button) asked[0].append(button);
    refill(element, asked, line);
  };
  /** A message of the form itself, until something is typed. @param {...any} words */
  const tell = (...words) => {
    drawn = "";
    refill(element, words);
  };
  return { element, show, tell };
}

/** How the child is doing by the values typed, as of that day. A screening, never a diagnosis. */
function verdictLine(app, child, typed) {
  const { weight_g, length_mm, muac_mm, head_mm, oedema } = typed;
  if (!weight_g && !length_mm && !muac_mm && !head_mm && !oedema) return null;
  const earlier = child.measurements.filter(
    ({ on, source }) => on <= typed.on && (on !== typed.on || source !== typed.source),
  );
  const assessment = assess(app.tables, child, [...earlier, typed], typed.on);
  const { tone, sign, headline } = advice(app.tables, child, assessment, typed.on);
  return h(
    "p",
    { class: `verdict-line ${tone}` },
    h("b", { class: "sign", "aria-hidden": "true" }, sign),
    " ",
    message(headline),
  );
}
