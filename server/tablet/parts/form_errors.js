// What is wrong in a form, said at its field: the field is marked, and the first of them scrolls into view and takes the focus.

import { h, newDomId } from "./dom.js";

const CONTROLS = "input, textarea, select, button";

/** Mark the fields that are wrong, and only these. @param {Array<[field: HTMLElement, words: string]>} errors fields as `field`
 * and `choice` make them, in the order of the screen @param {Iterable<HTMLElement>} all fields of the form
 * @returns {boolean} whether anything is wrong */
export function markErrors(errors, all) {
  for (const place of all) unmark(place);
  for (const [place, words] of errors) mark(place, words);
  if (errors.length) show(errors[0][0]);
  return errors.length > 0;
}

function mark(place, words) {
  const control = /** @type {HTMLElement} */ (place.querySelector(CONTROLS));
  const isGroup = place.getAttribute("role") === "group";
  const error = h("p", { id: newDomId(), class: "error" }, words);
  const described = isGroup ? place : control;
  described.dataset.hint = described.getAttribute("aria-describedby") || "";
  described.setAttribute("aria-describedby", `${error.id} ${described.dataset.hint}`.trim());
  if (!isGroup) control.setAttribute("aria-invalid", "true");
  place.classList.add("wrong");
  place.append(error);
  for (const sign of ["input", "click"]) place.addEventListener(sign, corrected);
}

/** Whoever changes a field has read what was wrong; a click into a text field changes nothing. */
function corrected(event) {
  const place = /** @type {HTMLElement} */ (event.currentTarget);
  const isPress = /** @type {Element} */ (event.target).closest("button");
  if (event.type === "input" || isPress) unmark(place);
}

function unmark(place) {
  if (!place.classList.contains("wrong")) return;
  place.classList.remove("wrong");
  for (const error of place.querySelectorAll(".error")) error.remove();
  for (const described of [place, ...place.querySelectorAll(CONTROLS)]) {
    if (described.dataset.hint === undefined) continue;
    described.dataset.hint
      ? described.setAttribute("aria-describedby", described.dataset.hint)
      : described.removeAttribute("aria-describedby");
    delete described.dataset.hint;
    described.removeAttribute("aria-invalid");
  }
  for (const sign of ["input", "click"]) place.removeEventListener(sign, corrected);
}

/** Bring something into view, whatever is folded around it, and give it the focus. @param {HTMLElement} place */
export function show(place) {
  const folded = /** @type {HTMLDetailsElement|null} */ (place.closest("details:not([open])"));
  if (folded) folded.open = true;
  place.scrollIntoView({ block: "center" });
  const control = /** @type {HTMLElement|null} */ (place.querySelector(CONTROLS));
  (control || place).focus({ preventScroll: true });
}
