// What stands at the bottom of a screen (beside it where that is wide) and must not cover the field in use: its height is told to
// the layout (measure.css), and the field is brought back into sight when it grows.

/** @param {HTMLElement} dock @returns {HTMLElement} */
export function docked(dock) {
  new ResizeObserver(() => dock.isConnected && settle(dock)).observe(dock);
  return dock;
}

function settle(dock) {
  const app = /** @type {HTMLElement} */ (dock.closest("#app"));
  app.style.setProperty("--dock", `${dock.offsetHeight}px`);
  const top = /** @type {HTMLElement|null} */ (app.querySelector(".top"));
  app.classList.toggle("tall", (top ? top.offsetHeight : 0) > window.innerHeight / 5); // then it scrolls away
  const { activeElement } = document;
  if (activeElement && activeElement.matches("input, textarea")) activeElement.scrollIntoView({ block: "nearest" });
}
