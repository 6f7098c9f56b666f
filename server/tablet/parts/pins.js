// A new PIN, typed twice.

import { PIN_DIGITS, weakness } from "../store/vault.js";
import { say } from "../words/words.js";
import { field, h } from "./dom.js";

const input = () =>
  h("input", {
    type: "password",
    inputmode: "numeric",
    maxlength: String(PIN_DIGITS),
    pattern: "[0-9]*",
  });

/** @returns {{fields: HTMLElement[], trouble: () => string|null, value: () => string}} */
export function pinFields() {
  const [first, second] = [input(), input()];
  const hint = say("6 digits; no birthday, no sequence. The PIN opens the children's data on this tablet.");
  const trouble = () => {
    const weak = weakness(first.value);
    if (weak === "length") return say("The PIN must have 6 digits.");
    if (weak === "easy") return say("This PIN is too easy to guess. Choose another.");
    return first.value === second.value ? null : say("The two PINs differ. Type them again.");
  };
  return {
    fields: [field("PIN", first, hint), field(say("PIN once more"), second)],
    trouble,
    value: () => first.value,
  };
}
