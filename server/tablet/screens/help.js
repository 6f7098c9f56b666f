// Help: how to measure, in pictures and few words, and what the signs mean.

import { h, svg } from "../parts/dom.js";
import { later, laterIn, message, say } from "../words/words.js";

/** Strokes of a small picture, 120 by 80. */
const drawing = (label, ...shapes) =>
  svg("svg", { viewBox: "0 0 120 80", role: "img", "aria-label": label, class: "drawing" }, shapes);
const path = (d, kind = "line") => svg("path", { d, class: kind });
const head = (cx, cy, r = 7) => svg("circle", { cx, cy, r, class: "person" });

const PICTURES = {
  weight: () =>
    drawing(
      say("A child on the scale, barefoot"),
      path("M35 70h50v6h-50z", "tool"),
      head(60, 16),
      path("M60 23v26M60 30l-12 10M60 30l12 10M60 49l-8 20M60 49l8 20", "person"),
    ),
  lying: () =>
    drawing(
      say("A baby lying on the board; two people hold it"),
      path("M8 58h104v6H8zM8 30h6v28H8z", "tool"),
      head(24, 49, 8),
      path("M32 50h44M76 50h22M98 42v16", "person"),
      path("M100 36v22", "tool"),
    ),
  standing: () =>
    drawing(
      say("A child stands straight; heels, buttocks and head touch"),
      path("M44 4h6v72h-6zM44 6h34", "tool"),
      head(60, 16),
      path("M58 23v28M58 30l6 14M58 51v25", "person"),
    ),
  muac: () =>
    drawing(
      say("The tape around the middle of the left upper arm"),
      path("M14 14c18-4 36 0 48 10l22 22M14 44c14-4 26-2 34 6l22 22M84 46l22 8M70 72l20-2", "person"),
      path("M44 14c8 4 8 28-2 34M52 17c8 6 8 28-1 36", "tool"),
    ),
  oedema: () =>
    drawing(
      say("Press the foot for 3 seconds; a dent on both feet is oedema"),
      path("M20 20v30c0 10 30 8 60 12v10H16V50", "person"),
      path("M60 14v34M54 42l6 8 6-8", "tool"),
    ),
};

/** @type {Array<[picture: string, name: import("../growth/text.js").Text, how: import("../growth/text.js").Text]>} */
const STEPS = [
  [
    "weight",
    laterIn("body", "Weight"),
    later("Scale on a flat floor, at zero. Light clothes, no shoes. Read to 0.1 kg or finer."),
  ],
  [
    "lying",
    later("Length (under 2 years)"),
    later("Lying, head against the board, knees straight, feet upright. Two people. Read to 0.1 cm."),
  ],
  [
    "standing",
    later("Height (2 years and over)"),
    later("Standing; heels, buttocks, back and head touch. Looking straight ahead. Read to 0.1 cm."),
  ],
  [
    "muac",
    later("Arm (6 months and over)"),
    later("Middle of the left upper arm, arm relaxed. The tape touches and does not press."),
  ],
  [
    "oedema",
    later("Oedema of both feet"),
    later("Press both feet for 3 seconds. A dent in both: to the health centre today."),
  ],
];

/** @type {Array<[sign: string, words: import("../growth/text.js").Text]>} */
const SIGNS = [
  ["●", later("Saved on the tablet, waiting to be sent")],
  ["✓", later("Received by the server")],
  ["?", later("A question needs an answer")],
  ["N", later("Adequate gain")],
  ["T", later("No adequate gain")],
  ["O", later("Not weighed last month")],
  ["B", later("Weighed for the first time")],
];

export function help() {
  const body = [
    STEPS.map(([picture, name, how]) =>
      h(
        "section",
        { class: "step" },
        PICTURES[picture](),
        h("div", {}, h("h2", {}, message(name)), h("p", {}, message(how))),
      ),
    ),
    h("h2", {}, say("What the signs mean")),
    h(
      "dl",
      { class: "signs" },
      SIGNS.map(([sign, words]) => [h("dt", {}, sign), h("dd", {}, message(words))]),
    ),
    h("p", { class: "fine" }, say("This app screens, it does not diagnose. Health workers decide.")),
  ];
  return { title: say("Help"), body, back: "#/lainnya", place: "lainnya" };
}
