// The guide: how to measure, in pictures and few words, and what the signs mean.

import { h } from "../parts/dom.js";
import { later, message, say } from "../words/words.js";

/** @typedef {import("../growth/text.js").Text} Text */

/** By picture of drawings/: what is measured, what the picture shows, and how it is done.
 * @type {Array<[picture: string, name: Text, shown: Text, how: Text[]]>} */
const STEPS = [
  [
    "baby-scale",
    later("Weight of a baby"),
    later("A baby lies on a baby scale, undressed to the nappy"),
    [
      later("Scale on a flat, firm place. It shows 0."),
      later("Take off jacket, cap, shoes and a wet nappy."),
      later("Lay the baby in the middle. Wait until the figure stands still."),
    ],
  ],
  [
    "dacin",
    later("Weight with the hanging scale (dacin)"),
    later("A child sits in weighing pants below the beam; the cadre's eyes are as high as the beam"),
    [
      later("Hang it firmly, as high as your eyes. Balance it at 0 with the empty pants."),
      later("The child hangs free; its feet touch nothing."),
      later("Read when the beam is level."),
    ],
  ],
  [
    "scale",
    later("Weight of a child that stands"),
    later("A child stands on a flat scale, without shoes and jacket"),
    [
      later("Hard, flat floor. The scale shows 0."),
      later("No shoes, no jacket, empty pockets."),
      later("In the middle of the scale, arms down. Nobody holds the child."),
    ],
  ],
  [
    "length",
    later("Length (under 2 years): two people"),
    later("A baby lies on the board; one holds the head, one the knees and the foot board"),
    [
      later("First person: the head touches the board, eyes look straight up."),
      later("Second person: press the knees straight, push the foot board against both soles."),
      later("Read to 0.1 cm."),
    ],
  ],
  [
    "height",
    later("Height (2 years and over): two people"),
    later("A child stands against the board; head, back, buttocks and heels touch it"),
    [
      later("No shoes, no hair clip. Heels, buttocks, back and head touch the board."),
      later("The child looks straight ahead. One person holds the knees."),
      later("Lower the head board until it presses the hair. Read to 0.1 cm."),
    ],
  ],
  [
    "arm",
    later("Arm (LiLA, 6 months and over)"),
    later("The tape lies around the left upper arm, midway between shoulder and elbow"),
    [
      later("Left arm. Find the middle between the tip of the shoulder and the elbow."),
      later("The arm hangs relaxed. The tape touches and does not press."),
    ],
  ],
  [
    "head",
    later("Head"),
    later("The tape goes round the head, just above the eyebrows"),
    [
      later("Above the eyebrows and the ears, over the part at the back that stands out most."),
      later("Pull the tape tight. Read to 0.1 cm."),
    ],
  ],
  [
    "oedema",
    later("Oedema of both feet"),
    later("A thumb presses the top of a foot; a dent stays"),
    [
      later("Press the top of both feet for 3 seconds."),
      later("A dent in both: take the child to the health centre today."),
    ],
  ],
  [
    "reading",
    later("Reading"),
    later("An eye level with the figure is right, an eye above it is wrong"),
    [later("Your eyes are level with the figure."), later("Type the figure at once, before the child gets off.")],
  ],
];

/** @type {Array<[sign: string, words: Text]>} */
const SIGNS = [
  ["N", later("Adequate gain")],
  ["T", later("No adequate gain")],
  ["2T", later("No adequate gain two months running: refer")],
  ["O", later("Not weighed last month")],
  ["B", later("Weighed for the first time")],
  ["●", later("Saved on the tablet, waiting to be sent")],
  ["✓", later("Sent: the server has it")],
  ["–", later("Nothing was recorded")],
];

export function help() {
  const body = [
    h("div", { class: "guide" }, STEPS.map(step)),
    h("h2", {}, say("What the signs mean")),
    h(
      "dl",
      { class: "signs" },
      SIGNS.map(([sign, words]) => [h("dt", {}, sign), h("dd", {}, message(words))]),
    ),
    h("p", { class: "fine" }, say("This app screens, it does not diagnose. Health workers decide.")),
  ];
  return { title: say("Guide"), body, back: "#/lainnya", place: "lainnya", wide: true };
}

function step([picture, name, shown, how]) {
  return h(
    "section",
    { class: "step" },
    h("img", { src: `drawings/${picture}.svg`, alt: message(shown), width: "240", height: "180" }),
    h(
      "div",
      {},
      h("h2", {}, message(name)),
      h(
        "ol",
        {},
        how.map((words) => h("li", {}, message(words))),
      ),
    ),
  );
}
