// A number pad for wet thumbs. The fields are true inputs, so a keyboard and a screen reader work as well; only the device's own
// keyboard stays away. The first key in a field replaces what stands there; digits typed on the pad may go without their comma,
// and what the field shows is what counts.

import { decimalMark, say, sayIn } from "../words/words.js";
import { h } from "./dom.js";

const LONGEST = 7;

/** @param {HTMLInputElement[]} inputs in order @param {object} with
 * @param {() => void} with.changed @param {HTMLButtonElement} with.save
 * @param {(name: string, digits: string) => number} with.decimals how many of the digits are decimals
 * @returns {HTMLElement} */
export function pad(inputs, { changed, save, decimals }) {
  const mark = decimalMark();
  const typed = new Map(); // by input: the keys, without an implied comma, and what was shown for them
  let at = 0;
  let replaces = true; // the next key replaces the field's text
  const enter = (place) => {
    at = place;
    inputs.forEach((input, other) => input.classList.toggle("at", other === place));
  };
  inputs.forEach((input, place) => {
    let isNew = false; // the tap that gave the focus must not end the selection
    input.setAttribute("inputmode", "none");
    input.addEventListener("focus", () => {
      enter(place);
      replaces = isNew = true;
      input.select();
    });
    input.addEventListener("click", () => {
      if (isNew) input.select();
      else replaces = false;
      isNew = false;
    });
    input.addEventListener("input", () => {
      replaces = false;
      changed();
    });
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      next();
    });
  });
  save.addEventListener("mousedown", stay); // else a note would lose the focus, the pad would move, and the tap would miss
  const press = (face) => {
    const input = inputs[at];
    input.focus();
    const { keys: before = "", shown = null } = typed.get(input) || {};
    const stood = shown === input.value ? before : input.value;
    const keys = pressed(replaces ? "" : stood, face, mark);
    replaces = false;
    input.value = withComma(keys, decimals(input.name, keys), mark);
    typed.set(input, { keys, shown: input.value });
    input.setSelectionRange(input.value.length, input.value.length);
    changed();
  };
  const next = () => (inputs[at + 1] || save).focus();
  const named = { "⌫": say("Delete a digit"), [mark]: say("Decimal point") };
  const key = (face, act = () => press(face), kind = "") =>
    h(
      "button",
      { type: "button", tabindex: "-1", class: kind, "aria-label": named[face], onmousedown: stay, onclick: act },
      face,
    );
  const digits = ["1", "2", "3", "4", "5", "6", "7", "8", "9", mark, "0", "⌫"].map((face) => key(face));
  digits.splice(3, 0, key(sayIn("key", "Next"), next, "next"));
  digits.splice(10, 0, save);
  enter(0);
  return h("div", { class: "pad digits", role: "group", "aria-label": say("Digits") }, digits);
}

/** The keys of a field after one more. @param {string} keys @param {string} face @param {string} mark */
function pressed(keys, face, mark) {
  if (face === "⌫") return keys.slice(0, -1);
  if (face === mark) return /[.,]/.test(keys) ? keys : `${keys || "0"}${mark}`;
  return keys.length < LONGEST ? keys + face : keys;
}

/** @param {string} keys @param {number} decimals that are implied @param {string} mark */
const withComma = (keys, decimals, mark) =>
  decimals ? `${keys.slice(0, -decimals)}${mark}${keys.slice(-decimals)}` : keys;

/** Pressing a key leaves the focus in the field. */
const stay = (event) => event.preventDefault();
