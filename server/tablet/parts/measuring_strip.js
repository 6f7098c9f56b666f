// The strip above the number pad: the first question about what is typed, with its button, and the verdict in one line.

import { advice } from "../growth/advice.js";
import { assess } from "../growth/assess.js";
import { message, say } from "../words/words.js";
import { h, notice, refill } from "./dom.js";
import { FIGURES, toText } from "./figures.js";

/** @param {import("../app.js").OpenApp} app @param {object} child @param {(field: string, units: number) => void} use a proposal */
export function measuringStrip(app, child, use) {
  const element = h("div", { class: "live-feedback", "aria-live": "polite" });
  let isWhole = false; // all questions are shown, not only the first
  let drawn = "";
  /** @param {import("../growth/value_checks.js").Warning[]} found @param {import("../growth/assess.js").Measurement} sound */
  const show = (found, sound) => {
    const line = verdictLine(app, child, sound);
    const words = [...found.map((one) => message(one.words)), line ? line.textContent : "", isWhole].join("\n");
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
    const asked = found.slice(0, isWhole ? found.length : 1).map((one) => question(one, use));
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

/** @param {import("../growth/value_checks.js").Warning} found */
function question({ severity, field: name, proposal, words }, use) {
  const figure = FIGURES[name];
  return notice(
    severity === "refused" ? "bad" : "look",
    h("p", {}, message(words)),
    figure && proposal !== undefined && proposal !== null
      ? h(
          "button",
          { type: "button", onclick: () => use(name, proposal) },
          say("Use "),
          `${toText(proposal, figure.digits)} ${figure.unit}`,
        )
      : null,
  );
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
