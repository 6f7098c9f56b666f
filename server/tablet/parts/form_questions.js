// Questions that a form asks while it is filled in, and that want an answer before it is saved.

import { h, notice } from "./dom.js";

/** @param {any} words @param {any} answers buttons and links */
export function question(words, answers) {
  const asked = notice("look", h("p", {}, words), h("div", { class: "answers" }, answers));
  asked.dataset.question = "";
  return asked;
}

/** The first question of a form without an answer. @param {HTMLElement} form @returns {HTMLElement|null} */
export const openQuestion = (form) => form.querySelector("[data-question]");
