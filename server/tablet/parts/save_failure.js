// Messages for failures to save.

import { later, message } from "../words/words.js";

/** Why something could not be saved, and what to do. @param {any} error */
export function failure(error) {
  const words = {
    Full: later("the tablet's memory is full. Delete photos or other apps, then save again."),
    Stale: later("the app is open in two windows. Close one, load again, then save again."),
    Unavailable: later(
      "the tablet's storage cannot be used. Write on paper, keep a sealed copy (Send › Sealed copies), then close the app and open it again.",
    ),
  };
  const found = words[error.constructor.name];
  return found ? message(found) : String(error);
}
