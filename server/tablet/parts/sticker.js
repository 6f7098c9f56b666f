// The code on the sticker of a child's Buku KIA, and the child that it stands for (server/children/sticker.py says how it is made).

import { value } from "../sync/states.js";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const PREFIX = "PSY:";
const LENGTH = 12;
const HEX = 15; // digits of the id that the code is made of: 60 bits
const MISREAD = { O: "0", I: "1", L: "1" };

/** The code of a child. @param {string} id */
export function stickerCode(id) {
  const digits = id.replace(/-/g, "").slice(-HEX);
  let code = "";
  // five bits of three hexadecimal digits at a time have no common border: 15 digits are taken 5 by 5, as 4 characters each
  for (let at = 0; at < HEX; at += 5) {
    let left = parseInt(digits.slice(at, at + 5), 16);
    let part = "";
    for (let n = 0; n < 4; n += 1) {
      part = ALPHABET[left % 32] + part;
      left = Math.floor(left / 32);
    }
    code += part;
  }
  return code;
}

/** Read a code as it was scanned or typed. @param {string} text @returns {string|null} null: it is not such a code */
export function readCode(text) {
  const scanned = text.trim().toUpperCase();
  const bare = (scanned.startsWith(PREFIX) ? scanned.slice(PREFIX.length) : scanned).replace(/[\s-]/g, "");
  const code = bare.replace(/[OIL]/g, (letter) => MISREAD[letter]);
  return code.length === LENGTH && [...code].every((letter) => ALPHABET.includes(letter)) ? code : null;
}

/** The child of this post with a code; of a record that was found to be a duplicate, the child that it is one of.
 * @param {import("./model.js").Model} model @param {string} code @returns {import("./model.js").Child|null} */
export function childOf(model, code) {
  const id = model.replica.children().find((one) => stickerCode(one) === code);
  if (!id) return null;
  const { child: other } = value(model.child(id).state, "same_as");
  const found = model.child(other && model.replica.children().includes(other) ? other : id);
  return found.state && !found.state.removed ? found : null;
}

/** The children whose code was typed, if it is a whole code; else null. @param {import("./model.js").Model} model
 * @param {string} typed */
export function byTypedCode(model, typed) {
  const code = readCode(typed);
  const child = code && childOf(model, code);
  return child ? [child] : null;
}
