// Elements, made by hand: `h("button", {class: "big", onclick: save}, "Simpan")`. No markup is ever parsed.

const SVG = "http://www.w3.org/2000/svg";

/** The browser must not store what is typed into these: it would be unencrypted. */
const TYPED = new Set(["input", "textarea", "select"]);

/** @param {object} [props] attributes, `on…` listeners, booleans; null and false leave one out
 * @param {...any} children nodes, text, arrays of these; null and false are left out
 * @template {keyof HTMLElementTagNameMap} Tag @param {Tag} tag @returns {HTMLElementTagNameMap[Tag]} */
export function h(tag, props = {}, ...children) {
  return filled(document.createElement(tag), TYPED.has(tag) ? { autocomplete: "off", ...props } : props, children);
}

/** The same for SVG. @param {string} tag @param {object} [props] @param {...any} children @returns {SVGElement} */
export function svg(tag, props = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), props, children);
}

function filled(element, props, children) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(4).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Put other children into an element. @param {Element} element @param {...any} children */
export function refill(element, ...children) {
  element.replaceChildren(
    ...children.flat(4).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

let numbers = 0;

/** A unique id within the page. */
export const newDomId = () => `n${(numbers += 1)}`;

/** A labelled control, its hint below. @param {string} label @param {HTMLElement} control @param {any} [hint] */
export function field(label, control, hint = null) {
  control.id = control.id || newDomId();
  const note = hint && h("small", { id: newDomId(), class: "hint" }, hint);
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, note);
}

/** A group of buttons of which at most one is pressed. @param {string} label @param {Array<any[]>} options value and face
 * @param {any} chosen @param {(value: any) => void} choose @param {object} [how] `none`: pressing again takes the choice back */
export function choice(label, options, chosen, choose, { none = false, kind = "choice" } = {}) {
  const name = newDomId();
  const buttons = options.map(([value, face]) =>
    h("button", { type: "button", "aria-pressed": String(value === chosen), onclick: () => press(value) }, face),
  );
  let now = chosen;
  const press = (value) => {
    now = none && value === now ? null : value;
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(options[at][0] === now)));
    choose(now);
  };
  return h(
    "div",
    { class: `field ${kind}`, role: "group", "aria-labelledby": name },
    h("span", { id: name, class: "label" }, label),
    h("div", { class: "buttons" }, buttons),
  );
}

/** A message that is read out when it appears. @param {"good"|"bad"|"look"|"calm"} tone @param {...any} children */
export const notice = (tone, ...children) =>
  h("div", { class: `notice ${tone}`, role: tone === "bad" ? "alert" : "status" }, children);
