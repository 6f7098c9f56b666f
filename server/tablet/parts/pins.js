// A new PIN, or a passphrase where the health centre asks for one, typed twice.

import { MOST_DIGITS, weakness } from "../store/pin_policy.js";
import { say } from "../words/words.js";
import { field, h } from "./dom.js";

const input = (isPhrase) =>
  h("input", {
    type: "password",
    ...(isPhrase ? { autocapitalize: "none" } : { inputmode: "numeric", maxlength: String(MOST_DIGITS), pattern: "[0-9]*" }),
  });

/** @param {import("../store/pin_policy.js").Policy} policy of the device
 * @returns {{fields: HTMLElement[], trouble: () => string|null, value: () => string}} */
export function pinFields(policy) {
  const isPhrase = policy.kind === "phrase";
  const [first, second] = [input(isPhrase), input(isPhrase)];
  const words = isPhrase ? wordsOfPhrase(policy) : wordsOfPin(policy);
  const trouble = () => {
    const weak = weakness(first.value, policy);
    if (weak) return words[weak];
    return first.value === second.value ? null : words.differ;
  };
  return { fields: [field(words.name, first, words.hint), field(words.again, second)], trouble, value: () => first.value };
}

function wordsOfPin({ least }) {
  return {
    name: "PIN",
    again: say("PIN once more"),
    hint: say("{least} digits or more; no birthday, no sequence. The PIN opens the children's data on this tablet.", { least }),
    length: say("The PIN must have {least} to {most} digits.", { least, most: MOST_DIGITS }),
    easy: say("This PIN is too easy to guess. Choose another."),
    differ: say("The two PINs differ. Type them again."),
  };
}

const wordsOfPhrase = ({ least }) => ({
  name: say("Passphrase"),
  again: say("Passphrase once more"),
  hint: say("{least} letters or more, such as four words that do not belong together. It opens the children's data on this tablet.", { least }),
  length: say("The passphrase must have {least} letters or more.", { least }),
  easy: say("This passphrase is too easy to guess. Choose another."),
  differ: say("The two passphrases differ. Type them again."),
});
