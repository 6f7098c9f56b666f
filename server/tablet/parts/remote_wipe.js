// Before a PIN is typed: a tablet that was revoked, or had no contact for too long, queues its sealed copy for the server and
// wipes all readable data. Changes not yet sent are kept in that sealed copy.

import { OWN_COPY, SEALED_BATCHES } from "../store/database.js";
import { deliver } from "../sync/engine.js";
import { sealedName, readFile } from "../sync/sealed.js";

/** Queue this tablet's own sealed copy for delivery. @param {import("../store/database.js").Database} database */
export async function queueOwnCopy(database) {
  const mine = await database.get(OWN_COPY, "mine");
  if (!mine) return;
  const letters = readFile(mine.text).letters;
  /** @type {Array<[string, any, any]>} */
  const puts = await Promise.all(
    letters.map(async (letter) => /** @type {[string, any, any]} */ ([SEALED_BATCHES, await sealedName(letter), { letter, mine: true }])),
  );
  await database.commit([...puts, [OWN_COPY, "mine", undefined]]);
}

/** @param {import("../app.js").ConnectedApp} app */
export async function wipeWhereDue(app) {
  const { device, http } = app;
  const { tablet } = device.facts.tablet;
  if (await isRevoked(http, tablet)) await handOverAndWipe(app, "revoked");
  else if (device.isContactExpired(Date.now())) await handOverAndWipe(app, "contact_expired");
}

/** Queue the sealed copy, wipe readable data, show why, and send the copy.
 * @param {import("../app.js").ConnectedApp} app @param {string} why */
export async function handOverAndWipe(app, why) {
  const { device, http } = app;
  await queueOwnCopy(device.database);
  await device.wipe(why);
  app.tablet = null;
  app.draw();
  await deliver(device.database, http).catch(() => {}); // sent at the next contact: sealed batches are kept
}

async function isRevoked(http, tablet) {
  try {
    return (await http.get(`/api/v1/tablets/${tablet}/standing`)).standing === "revoked";
  } catch {
    return false; // no connection: asked again at the next start
  }
}
