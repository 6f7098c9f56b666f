/** One SVG element. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element; strings become text, never markup.
 * @param {string} name
 * @param {Object<string, string|number>} attributes
 * @param {Array<Node|string>} [inside]
 * @returns {SVGElement}
 */
export function node(name, attributes, inside = []) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...inside);
  return element;
}
