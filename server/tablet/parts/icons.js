// Icons of the frame: strokes of one width in the colour of the text, 24 by 24. They stand beside words and are not read out.

import { svg } from "./dom.js";

const STROKES = {
  back: ["M15 5l-7 7 7 7"],
  list: ["M9 6h12M9 12h12M9 18h12", "M3.5 6l1 1 2-2M3.5 12l1 1 2-2M3.5 18l1 1 2-2"],
  question: ["M4 5h16v11h-9l-4 4v-4H4z", "M10 9.2a2 2 0 1 1 2.9 1.8c-.6.3-.9.6-.9 1.2M12 14v.1"],
  send: ["M12 19V6M6.5 11.5L12 6l5.5 5.5", "M5 3h14"],
  more: ["M5 12h.1M12 12h.1M19 12h.1"],
};

/** @param {string} name of STROKES */
export const icon = (name) =>
  svg(
    "svg",
    { class: `icon ${name}`, viewBox: "0 0 24 24", "aria-hidden": "true" },
    STROKES[name].map((d) => svg("path", { d })),
  );
