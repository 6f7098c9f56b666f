// A form for a new enrolment code, where the server does not know this enrolment or will not renew it. Everything is sent again.

import { field, h, notice, refill } from "./dom.js";
import { ENROLMENT, requestFailure, tidyCode } from "./enrol_code.js";
import { say } from "../words/words.js";

/** @param {import("../app.js").OpenApp} app */
export function reEnrol(app) {
  const code = h("input", { autocapitalize: "characters", placeholder: "XXXX-XXXX-XXXXX" });
  const message = h("div", {});
  const submit = async (event) => {
    event.preventDefault();
    const tidy = tidyCode(code.value, ENROLMENT);
    if (!tidy) {
      refill(message, notice("bad", say("The code has 13 letters and digits.")));
      return;
    }
    try {
      await app.engine.reEnrol(tidy);
      app.engine.sync();
    } catch (error) {
      refill(message, notice("bad", requestFailure(error)));
    }
  };
  return h(
    "form",
    { class: "card look", onsubmit: submit },
    h(
      "p",
      {},
      say(
        "The server does not know this tablet any more. Ask the health centre for a new code; everything saved here is sent again, nothing is lost.",
      ),
    ),
    field(say("Enrolment code"), code),
    message,
    h("button", { class: "main", type: "submit" }, say("Enrol again")),
  );
}
