// Sealed copies of what was not sent, saved outside the browser's storage; and sealed batches of other tablets to deliver.

import { h, notice, refill } from "../parts/dom.js";
import { unsentChildren } from "../parts/child_status.js";
import { deliveredWords, handOut, sealedFilePicker } from "../parts/sealed_batches.js";
import { failure } from "../parts/save_failure.js";
import { SEALED_BATCHES } from "../store/database.js";
import { say } from "../words/words.js";

/** @param {import("../app.js").OpenApp} app */
export async function copies(app) {
  const message = h("div", { "aria-live": "polite" });
  const waiting = unsentChildren(app).length;
  const copy = async () => {
    // Where nothing can be stored any more, the changes in memory are sealed all the same; their receipts cannot be matched later.
    const text = await app.engine.sealedBatches(true).catch(() => app.engine.sealedBatches());
    const upTo = app.tablet.replica.head()[0];
    const name = `posyandu-${app.day}-${upTo}.posyandu`;
    if (!(await handOut(name, text))) return;
    await app.tablet.turn(() => app.device.note({ copied: upTo })).catch((error) => app.failed(error));
    refill(
      message,
      notice(
        "good",
        say(
          "The backup {name} was saved. If this tablet breaks or is emptied, open that file on any tablet with a signal.",
          { name },
        ),
      ),
    );
  };
  const body = [
    h(
      "p",
      {},
      say(
        "A locked backup holds all data that was not sent yet. Only the server can read it. Keep it on a memory card, or give it to anybody who travels to where there is a signal.",
      ),
    ),
    h(
      "p",
      {},
      h(
        "b",
        {},
        waiting
          ? say("The data of {waiting} children was not sent yet.", { waiting })
          : say("Everything was sent; no backup is needed."),
      ),
    ),
    h("button", { class: "main", disabled: !waiting || app.isPractice, onclick: copy }, say("Save a locked backup")),
    message,
    h("h2", {}, say("Data carried for other tablets")),
    app.isPractice ? null : sealedFilePicker(app),
    app.isPractice ? null : await heldBatches(app).catch((error) => notice("bad", failure(error))),
  ];
  return { title: say("Locked backups and carried data"), body, back: "#/kirim", place: "kirim" };
}

async function heldBatches(app) {
  const { database } = app.device;
  const all = await database.all(SEALED_BATCHES);
  const message = h("div", { "aria-live": "polite" });
  if (!all.length) return h("p", { class: "empty" }, say("This tablet carries no data for others."));
  const waiting = all.filter(([, { answer }]) => !answer);
  const answered = all.filter(([, { answer }]) => answer && answer.sealed_receipt);
  const give = async () => {
    const text = answered.map(([, { answer }]) => `${JSON.stringify(answer)}\n`).join("");
    if (await handOut(`tanda-terima-${app.day}.receipts`, text))
      refill(message, notice("good", say("Bring this file back to the tablets it came from.")));
  };
  const forget = async () => {
    await database.commit(answered.map(([name]) => [SEALED_BATCHES, name, undefined]));
    app.draw();
  };
  return [
    h(
      "p",
      {},
      say("{all} packages: {waiting} wait for a signal, {answered} were received by the server.", {
        all: all.length,
        waiting: waiting.length,
        answered: answered.length,
      }),
    ),
    waiting.length
      ? h("button", { onclick: async () => refill(message, await deliveredWords(app)) }, say("Send the carried data"))
      : null,
    answered.length
      ? [
          h("button", { onclick: give }, say("Save the receipts")),
          h("button", { class: "plain", onclick: forget }, say("Delete what was received")),
        ]
      : null,
    message,
  ];
}
