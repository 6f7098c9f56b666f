// Before anybody has typed a PIN: a tablet that was revoked, or that nobody has brought to a line for long, hands over what is
// sealed and forgets what can be read. Nothing that waits is lost by it: sealed letters can be read by the server alone.

import { deliver } from "../sync/engine.js";
import { letterName, readFile } from "../sync/sealed.js";

/** Put this tablet's own sealed copy among the letters that are delivered. @param {import("../store/database.js").Database} database */
export async function postOwnLetters(database) {
  const mine = await database.get("letters", "mine");
  if (!mine) return;
  const letters = readFile(mine.text).letters;
  const puts = await Promise.all(
    letters.map(async (letter) => ["carried", await letterName(letter), { letter, mine: true }]),
  );
  await database.commit([...puts, ["letters", "mine", undefined]]);
}

/** @param {import("../app.js").App} app */
export async function rescue(app) {
  const { device, line } = app;
  const { tablet } = device.facts.tablet;
  if (await isRevoked(line, tablet)) await giveUp(app, "revoked");
  else if (device.isForlorn(Date.now())) await giveUp(app, "forlorn");
}

/** Hand over what is sealed, wipe what can be read, and say so. @param {import("../app.js").App} app @param {string} why */
export async function giveUp(app, why) {
  const { device, line } = app;
  await postOwnLetters(device.database);
  await device.wipe(why);
  app.tablet = null;
  app.draw();
  await deliver(device.database, line).catch(() => {}); // at the next contact then: letters stay
}

async function isRevoked(line, tablet) {
  try {
    return (await line.get(`/api/v1/tablets/${tablet}/standing`)).standing === "revoked";
  } catch {
    return false; // no line: asked again at the next start
  }
}
