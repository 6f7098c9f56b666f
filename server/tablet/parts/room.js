// Free storage: a warning before it is used up.

import { say } from "../words/words.js";
import { DRAFTS, Full } from "../store/database.js";
import { notice } from "./dom.js";

const NEARLY_FULL = 0.8;
const RESERVE_BYTES = 2000000;

/** Bytes used and granted, or null where the browser does not say. @returns {Promise<StorageEstimate|null>} */
export const storage = async () =>
  navigator.storage && navigator.storage.estimate ? navigator.storage.estimate() : null;

/** Whether there is room for more than a posyandu day needs, found out by writing that much. The quota of `estimate` does not
 * tell: newer Chromes report the same 10 GiB on a full device.
 * @param {import("../store/database.js").Database} database @returns {Promise<boolean>} */
export async function hasRoom(database) {
  try {
    await database.commit([[DRAFTS, "reserve", new Uint8Array(RESERVE_BYTES)]]);
    await database.commit([[DRAFTS, "reserve", undefined]]);
    return true;
  } catch (error) {
    if (error instanceof Full) return false;
    throw error;
  }
}

/** A warning when storage is nearly full, else null. @param {import("../app.js").App} app */
export async function room(app) {
  const { usage = 0, quota = 0 } = (await storage()) || {};
  if (!app.isFull && usage <= quota * NEARLY_FULL) return null;
  return notice("bad", say("The tablet's memory is nearly full. Send the data, then delete photos or other apps."));
}
