// A mother's phone as links: to call it, and to write to it by WhatsApp. They are opened by a tap alone; nothing is loaded before, and
// the message names nobody, for its text is in the link.

import { say } from "../words/words.js";
import { h } from "./dom.js";

const DIALLED = /^\+?\d{8,16}$/;

/** The number as it is dialled, or null if it is none. @param {string|null|undefined} phone */
export function dialled(phone) {
  const bare = (phone || "").replace(/[\s().-]/g, "");
  return DIALLED.test(bare) ? bare : null;
}

/** The number as wa.me wants it, with the country and without a plus: 08… is 628… Null for a landline, which has no WhatsApp.
 * @param {string|null|undefined} phone */
export function whatsAppNumber(phone) {
  const number = (dialled(phone) || "").replace(/^00/, "+");
  if (number.startsWith("+")) return number.slice(1);
  if (/^628\d{7,}$/.test(number)) return number;
  if (/^08\d{7,}$/.test(number)) return `62${number.slice(1)}`;
  return /^8\d{8,}$/.test(number) ? `62${number}` : null;
}

/** Links to call and to write. @param {string|null|undefined} phone @param {string} text of the message */
export function phoneLinks(phone, text) {
  const number = dialled(phone);
  if (!number) return h("p", { class: "fine" }, say("No phone number."));
  const chat = whatsAppNumber(phone);
  const outside = { target: "_blank", rel: "noopener noreferrer", referrerpolicy: "no-referrer" };
  return h(
    "div",
    { class: "phone" },
    h("a", { class: "button", href: `tel:${number}` }, say("Call")),
    chat
      ? h(
          "a",
          { class: "button", href: `https://wa.me/${chat}?text=${encodeURIComponent(text)}`, ...outside },
          say("WhatsApp"),
        )
      : null,
  );
}
