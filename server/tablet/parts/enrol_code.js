// The code of an enrolment as it is typed, and what to say when asking the server with it failed.

import { NoConnection, Refused } from "../sync/http_client.js";
import { say, titleOf } from "../words/words.js";

const CODE_SHAPE = /^[0-9A-Z]{4}-?[0-9A-Z]{4}-?[0-9A-Z]{2}$/;

/** The code as typed or scanned, in the form in which the health centre gave it. @param {string} text */
export function tidyCode(text) {
  const signs = text.toUpperCase().replace(/[^0-9A-Z]/g, "");
  return CODE_SHAPE.test(signs) ? `${signs.slice(0, 4)}-${signs.slice(4, 8)}-${signs.slice(8)}` : null;
}

/** What went wrong with a request, in words that say what to do. @param {unknown} error */
export function requestFailure(error) {
  if (error instanceof NoConnection) {
    return say("The server cannot be reached. Try again where there is a signal.");
  }
  return error instanceof Refused && error.title ? titleOf(error) : String(error);
}
