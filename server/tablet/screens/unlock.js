// Unlocking: a cadre's name and PIN decrypt everything. After a few wrong PINs there is a waiting time.

import { field, h, notice, refill } from "../parts/dom.js";
import { handOverAndWipe, leavingNotice } from "../parts/remote_wipe.js";
import { USUAL } from "../store/pin_policy.js";
import { WrongPin } from "../store/vault.js";
import { forgottenPin } from "./forgotten_pin.js";
import { say } from "../words/words.js";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "⌫", "0"];

/** @param {import("../app.js").App} app */
export function unlock(app) {
  const { device } = app;
  let chosen = device.cadres.length === 1 ? device.cadres[0].author : null;
  const body = h("div", { class: "unlock" });
  const draw = () => refill(body, chosen ? pinPad(app, chosen, () => choose(null), forgotten) : names());
  const forgotten = () => {
    const cadre = device.cadres.find((one) => one.author === chosen);
    refill(body, forgottenPin(/** @type {import("../app.js").ConnectedApp} */ (app), cadre, draw));
  };
  const choose = (author) => {
    chosen = author;
    draw();
  };
  const names = () => [
    h("p", { class: "hint" }, say("Who is recording now?")),
    h(
      "ul",
      { class: "people" },
      device.cadres.map(({ author, name }) => h("li", {}, h("button", { onclick: () => choose(author) }, name))),
    ),
  ];
  draw();
  return { title: device.facts.tablet.post.name, body: [leavingNotice(app), body] };
}

/** @param {import("../app.js").App} app @param {string} author @param {() => void} back
 * @param {() => void} forgotten */
function pinPad(app, author, back, forgotten) {
  const { device } = app;
  const { name, pin = { kind: "digits", length: USUAL.least } } = device.cadres.find((one) => one.author === author);
  const message = h("div", {});
  const tryIt = (typed, clear) => attempt(app, author, typed, clear, message);
  const inputs = pin.kind === "phrase" ? phrase(tryIt) : digits(app, pin.length, tryIt);
  const [above, ...below] = inputs;
  const other = device.cadres.length > 1 ? h("button", { class: "plain", onclick: () => app.opening || back() }, say("Not me")) : null;
  const lost = h("button", { class: "plain", onclick: () => app.opening || forgotten() }, say("Forgot the PIN?"));
  return [h("p", { class: "who" }, name), above, message, below, device.facts.recovery ? lost : null, other];
}

/** Open the tablet with what was typed, and say how that went. */
async function attempt(app, author, typed, clear, message) {
  const { device } = app;
  const wait = device.waitMs(Date.now());
  if (wait) {
    clear();
    const words = say("Too many wrong PINs. Wait {seconds} seconds.", { seconds: Math.ceil(wait / 1000) });
    refill(message, notice("bad", words));
    return;
  }
  refill(message, notice("calm", say("Opening …")));
  app.opening = true;
  try {
    await app.enter(await device.unlock(author, typed));
  } catch (error) {
    refill(message);
    if (!(error instanceof WrongPin)) throw error;
    clear();
    refill(message, notice("bad", say("Wrong PIN.")));
  } finally {
    app.opening = false;
    if (app.wipeAtLock && !app.tablet) await handOverAndWipe(/** @type {any} */ (app), app.wipeAtLock);
  }
}

/** Dots, and a pad that tries the PIN at its last digit. */
function digits(app, length, tryIt) {
  let pin = "";
  const dots = h("p", { class: "dots", role: "status", "aria-label": say("Digits typed") });
  const show = () => refill(dots, [...Array(length).keys()].map((at) => (at < pin.length ? "●" : "○")).join(" "));
  const press = async (key) => {
    if (app.opening) return; // another PIN now would open the tablet twice
    if (key === "⌫") pin = pin.slice(0, -1);
    else if (pin.length < length) pin += key;
    show();
    if (pin.length < length) return;
    const typed = pin;
    pin = "";
    await tryIt(typed, show);
  };
  const keys = KEYS.map((key) =>
    h("button", { type: "button", onclick: () => press(key), "aria-label": key === "⌫" ? say("Delete") : null }, key),
  );
  show();
  return [dots, h("div", { class: "pad", onkeydown: (event) => /^\d$/.test(event.key) && press(event.key) }, keys)];
}

function phrase(tryIt) {
  const input = h("input", { type: "password", autocapitalize: "none" });
  const submit = (event) => {
    event.preventDefault();
    tryIt(input.value, () => (input.value = ""));
  };
  const button = h("button", { class: "main", type: "submit" }, say("Open"));
  return [h("form", { class: "phrase", onsubmit: submit }, field(say("Passphrase"), input), button)];
}
