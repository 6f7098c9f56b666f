/* A tap counts though the screen was drawn anew between finger down and finger up: the browser then sends no click. */

const NEAR_PX = 10;

/** Follow the link that was pressed if it is gone when the finger is lifted where it was. */
export function keepTaps() {
  /** @type {{ link: HTMLAnchorElement, x: number, y: number } | null} */
  let pressed = null;
  const forget = () => (pressed = null);
  addEventListener("pointerdown", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a[href^='#']") : null;
    pressed = link && { link: /** @type {HTMLAnchorElement} */ (link), x: event.clientX, y: event.clientY };
  });
  addEventListener("pointercancel", forget); // it was a scroll
  addEventListener("pointerup", (event) => {
    if (pressed && !pressed.link.isConnected && Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) < NEAR_PX)
      location.hash = pressed.link.hash;
    forget();
  });
}
