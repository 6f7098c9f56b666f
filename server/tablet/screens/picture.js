// The picture for the mother: seen first, with what is in it and what is not; then shared (WhatsApp) or saved.

import { advice } from "../growth/advice.js";
import { field, h, notice, refill } from "../parts/dom.js";
import { handOutFile } from "../parts/hand_out.js";
import { drawPicture, pictureFile } from "../parts/mother_picture.js";
import { comingBack } from "../parts/next_day.js";
import { postWords } from "../parts/post_words.js";
import { chart, figuresOf, resultOf } from "./result.js";
import { ageWords, dayWords, message, say, sexWord } from "../words/words.js";

/** First names that many children share, so that they are no nickname. */
const USUAL = /^(m|muh|moh|mohd|mu?hamm?[ae]d|mo?hamm?[ae]d|abdul|siti|st|nur)\.?$/i;

/** @param {import("../app.js").OpenApp} app @param {string} id @param {string} on */
export function picture(app, id, on) {
  const child = app.model.child(id);
  const assessment = resultOf(app, child, on);
  const told = advice(app.tables, child, assessment, on);
  const sheet = chart(app, child, assessment, on);
  const canvas = h("canvas", { class: "picture", role: "img", "aria-label": message(told.sentence) });
  const name = h("input", { value: nickname(child.name), maxlength: "30" });
  const feedback = h("div", { "aria-live": "polite" });
  /** @type {Promise<File>} */
  let file;
  const draw = () => {
    drawPicture(canvas, shown(app, child, on, { told, assessment, sheet, name: name.value.trim() }));
    file = pictureFile(canvas);
  };
  const share = async () => {
    const done = await handOutFile(await file);
    const words = { shared: say("The picture was handed on."), saved: say("The picture was saved."), left: "" };
    refill(feedback, words[done] ? notice("good", words[done]) : null);
  };
  name.addEventListener("input", draw);
  const body = [
    told.about === "measure_again" ? notice("look", message(told.headline)) : null,
    field(say("Nickname on the picture"), name, say("May stay empty.")),
    notice("calm", contents(on)),
    h("div", { hidden: true }, sheet),
    canvas,
    feedback,
    h("div", { class: "actions" }, h("button", { class: "main", onclick: share }, say("Share the picture"))),
  ];
  requestAnimationFrame(draw); // then the drawing is in the document and has its styles
  return { title: say("Picture for the mother"), body, back: `#/hasil/${id}/${on}` };
}

/** The first part of a name that is not one of the usual ones. @param {string} name */
export function nickname(name) {
  const parts = name.trim().split(/\s+/);
  return parts.find((part) => !USUAL.test(part)) || parts[0];
}

const contents = (on) => [
  h(
    "p",
    {},
    say(
      "In this picture: the nickname above, age, sex, the figures of {day} with all weights on the KMS, the advice, and the post's name.",
      { day: dayWords(on) },
    ),
  ),
  h(
    "p",
    {},
    say("Not in it: full name, parents, birth date, NIK, address, phone, or what the cadre has to do. It leaves only when you share it."),
  ),
];

function shown(app, child, on, { told, assessment, sheet, name }) {
  const about = [name, ageWords(child.born_on, on), sexWord(child.sex)].filter(Boolean);
  return {
    post: postWords(app),
    day: dayWords(on),
    child: about.join(" · "),
    figures: figuresOf(child, on),
    sentence: message(told.sentence),
    tone: told.tone,
    found: told.found.map(message).join(" "),
    advice: told.say.map(message),
    again: comingBack(app, child, assessment, on),
    note: message(app.tables.note),
    todo: say("What you can do"),
    chart: sheet && sheet.querySelector("svg"),
  };
}
