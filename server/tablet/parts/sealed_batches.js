// Files with sealed batches or receipts: opened, stored, sent and saved. This tablet cannot read a sealed batch.

import { SEALED_BATCHES, readFile, sealedName } from "../sync/sealed.js";
import { deliver } from "../sync/engine.js";
import { NoConnection } from "../sync/http_client.js";
import { say } from "../words/words.js";
import { field, h, notice, refill } from "./dom.js";
import { handOutFile } from "./hand_out.js";

/** Hand a file out. @param {string} name @param {string} text @returns {Promise<boolean>} whether it was handed out */
export async function handOut(name, text) {
  const file = new File([text], name, { type: "application/octet-stream" });
  return (await handOutFile(file)) !== "left";
}

/** A field that opens files: sealed batches to deliver, receipts for this tablet. @param {import("../app.js").App} app */
export function sealedFilePicker(app) {
  const input = h("input", {
    type: "file",
    accept: ".posyandu,.receipts,.json,.txt,application/octet-stream",
    multiple: true,
  });
  const message = h("div", { "aria-live": "polite" });
  input.addEventListener("change", async () => {
    const texts = await Promise.all([...(input.files || [])].map((file) => file.text()));
    input.value = "";
    refill(message, await taken(app, texts.join("\n")));
  });
  return h(
    "div",
    {},
    field(say("Open a file with a backup, carried data or receipts"), input, say("Only the server can read what is in it.")),
    message,
  );
}

async function taken(app, text) {
  const { letters, receipts, spoiled } = readFile(text);
  const { database } = app.device;
  const puts = await Promise.all(letters.map(async (letter) => [SEALED_BATCHES, await sealedName(letter), { letter }]));
  const known = new Set((await database.all(SEALED_BATCHES)).map(([name]) => name));
  await database.commit(puts.filter(([, name]) => !known.has(name)));
  const ours = app.engine && receipts.length ? await app.engine.takeReceipts(receipts) : 0;
  const words = [
    letters.length && say("{count} packages taken.", { count: letters.length }),
    receipts.length && say("{ours} of {all} receipts were for this tablet.", { ours, all: receipts.length }),
    spoiled && say("{spoiled} lines are spoiled; ask for the file again.", { spoiled }),
  ].filter(Boolean);
  const tone = spoiled || !(letters.length || receipts.length) ? "look" : "good";
  const sent = letters.length ? await deliveredWords(app) : null;
  return [notice(tone, words.join(" ") || say("This file is empty or is not of this app.")), sent];
}

/** Send the stored sealed batches, and say how it went. @param {import("../app.js").ConnectedApp} app */
export async function deliveredWords(app) {
  try {
    await deliver(app.device, app.http);
    if (app.engine) app.engine.sync();
  } catch (error) {
    if (!(error instanceof NoConnection)) throw error;
    return notice("look", say("No signal yet; sent by itself as soon as there is one."));
  }
  const all = (await app.device.database.all(SEALED_BATCHES)).map(([, held]) => held);
  const problems = all.filter(({ answer }) => answer && answer.problem).length;
  const taken_ = all.filter(({ answer }) => answer && answer.sealed_receipt).length;
  return notice(
    problems ? "look" : "good",
    say("{count} packages were received by the server.", { count: taken_ }),
    problems
      ? say(" {problems} could not be read by the server; ask the tablet that made them for the file again.", {
          problems,
        })
      : "",
  );
}
