// Messages for failures to save. Where the storage is gone, a screen of its own takes over (app.js).

import { Stale, Unavailable } from "../store/database.js";
import { later, message } from "../words/words.js";

/** @param {any} error */
export const isOfStorage = (error) => error instanceof Unavailable || error instanceof Stale;

const UNKNOWN = later("the app made a mistake. Write it on paper, then tell the health centre.");

/** Why something could not be saved, and what to do. @param {any} error */
export function failure(error) {
  const words = {
    Full: later("the tablet's memory is full. Delete photos or other apps, then save again."),
    Stale: later("the app is open in two windows. Close the other one, then save again."),
    Unavailable: later("the storage did not answer. Save once more."),
  };
  return message(words[error.constructor.name] || UNKNOWN);
}
