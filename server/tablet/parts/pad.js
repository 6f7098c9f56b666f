// A number pad with a decimal comma, large enough for wet thumbs. The fields are true inputs, so a keyboard and a screen reader
// work as well; only the device's own keyboard stays away.

import { decimalMark, say } from "../words/words.js";
import { h } from "./dom.js";

/** @param {HTMLInputElement[]} inputs in order @param {() => void} changed @param {HTMLButtonElement} save
 * @returns {HTMLElement} stays at the bottom of the screen */
export function pad(inputs, changed, save) {
  let at = 0;
  inputs.forEach((input, place) => {
    input.setAttribute("inputmode", "none");
    input.addEventListener("focus", () => (at = place));
    input.addEventListener("input", changed);
  });
  save.addEventListener("mousedown", stay); // else a note would lose the focus, the pad would move, and the tap would miss
  const comma = decimalMark();
  const press = (key) => {
    const input = inputs[at];
    if (key === "⌫") input.value = input.value.slice(0, -1);
    else if (key === comma) input.value += /[.,]/.test(input.value) ? "" : input.value ? comma : `0${comma}`;
    else if (input.value.length < 7) input.value += key;
    input.focus();
    changed();
  };
  const next = () => inputs[(at + 1) % inputs.length].focus();
  const named = { "⌫": say("Delete a digit"), [comma]: say("Decimal point") };
  const key = (face) =>
    h(
      "button",
      {
        type: "button",
        tabindex: "-1",
        "aria-label": named[face] || null,
        onmousedown: stay,
        onclick: () => press(face),
      },
      face,
    );
  const forward = h(
    "button",
    {
      type: "button",
      tabindex: "-1",
      class: "next",
      onmousedown: stay,
      onclick: next,
      "aria-label": say("Next field"),
    },
    "›",
  );
  const keys = ["1", "2", "3", "⌫", "4", "5", "6", forward, "7", "8", "9", save, comma, "0"].map((face) =>
    typeof face === "string" ? key(face) : face,
  );
  return h("div", { class: "pad docked", role: "group", "aria-label": say("Digits") }, keys);
}

/** Pressing a key leaves the focus in the field. */
const stay = (event) => event.preventDefault();
