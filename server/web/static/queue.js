// Keys for who goes through the queue all morning: "/" finds a child, J and K go from row to row, Enter opens (a link has the
// focus, so that is the browser's own). Without this script everything works by Tab.

const links = [.../** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll(".queue .child-link"))];
const search = document.getElementById("cari");
const keys = /** @type {HTMLElement | null} */ (document.querySelector(".keys"));
if (keys) keys.hidden = false;

/** @param {number} step */
function go(step) {
  const at = links.indexOf(/** @type {HTMLAnchorElement} */ (document.activeElement));
  const next = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : at + step];
  if (!next) return;
  next.focus();
  next.closest("tr")?.scrollIntoView({ block: "nearest" });
}

for (const link of links) {
  link.addEventListener("focus", () => link.closest("tr")?.setAttribute("data-at", ""));
  link.addEventListener("blur", () => link.closest("tr")?.removeAttribute("data-at"));
}

document.addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input, select, textarea")) return;
  if (event.key === "/" && search) search.focus();
  else if (event.key === "j") go(1);
  else if (event.key === "k") go(-1);
  else return;
  event.preventDefault();
});
