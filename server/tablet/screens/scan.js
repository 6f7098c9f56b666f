// Finding a child by the sticker on its Buku KIA: through the camera, or by the code as it is typed.

import { field, h, notice, refill } from "../parts/dom.js";
import { measuredOn } from "../parts/model.js";
import { measurementsOf } from "../parts/persons.js";
import { qrReader } from "../parts/qr_reader.js";
import { childOf, readCode } from "../parts/sticker.js";
import { say } from "../words/words.js";

const LOOK_EVERY_MS = 200;

/** @param {import("../app.js").OpenApp} app */
export function scan(app) {
  const told = h("div", { "aria-live": "polite" });
  const video = h("video", { class: "scan", muted: true, playsinline: true, "aria-label": say("Picture of the camera") });
  const typed = h("input", { type: "text", name: "code", autocapitalize: "characters", maxlength: "24" });
  const look = (text) => found(app, told, text);
  const submit = (event) => {
    event.preventDefault();
    look(typed.value);
  };
  const body = [
    h("p", { class: "hint" }, say("Hold the sticker on the cover of the Buku KIA in front of the camera.")),
    video,
    told,
    h(
      "form",
      { onsubmit: submit },
      field(say("Or type the code on the sticker"), typed),
      h("button", { class: "main" }, say("Find")),
    ),
  ];
  watch(video, look, told).catch((error) => refill(told, notice("look", h("p", {}, whyNot(error)))));
  return { title: say("Scan sticker"), body, back: "#/hari-ini" };
}

/** Show the camera's picture and look for a code in it, until a child is found or another screen is shown.
 * @param {HTMLVideoElement} video @param {(text: string) => boolean} look whether it is a child @param {HTMLElement} told */
async function watch(video, look, told) {
  const read = await qrReader();
  if (!read || !navigator.mediaDevices) {
    video.hidden = true;
    refill(told, notice("look", h("p", {}, say("This browser cannot scan. Type the code that stands on the sticker."))));
    return;
  }
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  const stop = () => stream.getTracks().forEach((track) => track.stop());
  try {
    video.srcObject = stream;
    await video.play();
    let last = null;
    while (video.isConnected) {
      const text = await read(video);
      if (text && text !== last && look(text)) break;
      last = text || last;
      await new Promise((resolve) => {
        setTimeout(resolve, LOOK_EVERY_MS);
      });
    }
  } finally {
    stop();
  }
}

/** Open the child of a code; say so if it is none of this post. @param {string} text as scanned or typed */
function found(app, told, text) {
  const code = readCode(text);
  const child = code && childOf(app.model, code);
  if (child) {
    const isDone = measuredOn(measurementsOf(app.model)(child), app.day);
    app.go(isDone ? `#/anak/${child.id}` : `#/ukur/${child.id}`);
    return true;
  }
  refill(told, notice("look", code ? stranger() : h("p", {}, say("This is not the code of a sticker: 12 letters and digits."))));
  return false;
}

const stranger = () => [
  h("p", {}, h("b", {}, say("This sticker is no child of this posyandu."))),
  h(
    "p",
    {},
    say("Look for the name in the list. If the family has moved here, ask the health centre to move the child; do not register it again."),
  ),
  h("a", { class: "button", href: "#/hari-ini" }, say("Look by name")),
];

/** Why the camera gives no picture. @param {Error} error */
function whyNot({ name }) {
  if (name === "NotAllowedError")
    return say("The camera is not allowed. Allow it for this app in the browser's settings, or type the code.");
  if (name === "NotFoundError") return say("No camera was found. Type the code that stands on the sticker.");
  return say("The camera cannot be used now; another app may have it. Type the code that stands on the sticker.");
}
