// How much room the browser gives: told before it hurts.

import { say } from "../words/words.js";
import { DRAFTS, Full } from "../store/database.js";
import { notice } from "./dom.js";

const NEARLY_FULL = 0.8;
const RESERVE_BYTES = 2000000;

/** Bytes used and granted, where the browser tells. @returns {Promise<StorageEstimate|null>} */
export const storage = async () =>
  navigator.storage && navigator.storage.estimate ? navigator.storage.estimate() : null;

/** Whether the browser still takes more than a posyandu day needs: found by writing it. What `estimate` grants says nothing of
 * it in newer Chromes, which name the same 10 GiB on a full device.
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

/** A warning when the room is nearly used up, else nothing. @param {import("../app.js").App} app */
export async function room(app) {
  const { usage = 0, quota = 0 } = (await storage()) || {};
  if (!app.isFull && usage <= quota * NEARLY_FULL) return null;
  return notice("bad", say("The tablet's memory is nearly full. Send the data, then delete photos or other apps."));
}
