// How much room the browser gives: told before it hurts.

import { say } from "../words/words.js";
import { notice } from "./dom.js";

const NEARLY_FULL = 0.8;

/** Bytes used and granted, where the browser tells. @returns {Promise<{usage: number, quota: number}|null>} */
export const storage = async () =>
  navigator.storage && navigator.storage.estimate ? navigator.storage.estimate() : null;

/** A warning when the room is nearly used up, else nothing. */
export async function room() {
  const estimate = await storage();
  if (!estimate || !estimate.quota || estimate.usage / estimate.quota < NEARLY_FULL) return null;
  return notice(
    "bad",
    say(
      "Memori tablet hampir penuh. Kirim data, lalu hapus foto atau aplikasi lain.",
      "The tablet's memory is nearly full. Send the data, then delete photos or other apps.",
    ),
  );
}
