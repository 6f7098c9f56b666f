// A code of the health centre as it is typed, and what to say when asking the server with it failed.

import { NoConnection, Refused } from "../sync/http_client.js";
import { say, titleOf } from "../words/words.js";

/** Letters and digits of a code: to enrol, valid for days; for a forgotten PIN, valid for an hour. */
export const ENROLMENT = 13;
export const FORGOTTEN_PIN = 10;

/** The code as typed or scanned, in the form in which the health centre gave it; null if it is too long or short.
 * @param {string} text @param {number} length */
export function tidyCode(text, length) {
  const signs = text.toUpperCase().replace(/[^0-9A-Z]/g, "");
  return signs.length === length ? `${signs.slice(0, 4)}-${signs.slice(4, 8)}-${signs.slice(8)}` : null;
}

/** What went wrong with a request, in words that say what to do. @param {unknown} error */
export function requestFailure(error) {
  if (error instanceof NoConnection) {
    return say("The server cannot be reached. Try again where there is a signal.");
  }
  return error instanceof Refused && error.title ? titleOf(error) : String(error);
}
