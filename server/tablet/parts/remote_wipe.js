// A tablet that was revoked, or had no contact for too long, queues its sealed copy for the server and wipes all readable data.
// Changes not yet sent are in that copy; where it lacks one, the tablet asks for a PIN once more before it wipes itself.
//
// Asked before a PIN is typed. Where somebody is at work when the answer comes, the app says so and wipes when it locks.

import { DAYS_UNTIL_WARNING, DAYS_WITHOUT_CONTACT } from "../store/silence.js";
import { contacted } from "../sync/contact.js";
import { NoConnection, Refused } from "../sync/http_client.js";
import { later, message, say } from "../words/words.js";
import { h, notice } from "./dom.js";

/** @param {import("../app.js").ConnectedApp} app */
export async function wipeWhereDue(app) {
  const { device } = app;
  await device.noteReading(Date.now());
  const standing = await askStanding(app);
  if (standing === "revoked") await wipeSoon(app, "revoked");
  else if (device.facts.leaving) await wipeSoon(app, device.facts.leaving.why);
  else if (device.isContactExpired(Date.now())) await wipeSoon(app, "contact_expired");
}

/** What the server says of this enrolment; an answer is a contact, and tells what a PIN must be. @returns {Promise<string>} "" without an answer */
export async function askStanding({ device, http }) {
  try {
    const answer = await http.get(`/api/v1/tablets/${device.facts.tablet.tablet}/standing`);
    if (["active", "replaced"].includes(answer.standing)) await device.jot({ contact: contacted(answer), pin: answer.pin });
    return answer.standing;
  } catch (error) {
    if (error instanceof NoConnection || error instanceof Refused) return ""; // asked again at the next start
    throw error;
  }
}

/** Wipe now, or when the app locks if somebody is at work. @param {import("../app.js").ConnectedApp} app @param {string} why */
async function wipeSoon(app, why) {
  if (!app.tablet && !app.opening) {
    await handOverAndWipe(app, why);
    return;
  }
  app.wipeAtLock = why;
  app.tell();
  app.warn();
}

/** Queue the sealed copy, wipe readable data, show why, and send the copy.
 * @param {import("../app.js").ConnectedApp} app @param {string} why */
export async function handOverAndWipe(app, why) {
  if (app.tablet) await app.tablet.renewCopy();
  await app.device.wipe(why);
  app.wipeAtLock = "";
  if (app.tablet) {
    location.reload(); // nothing of it may stay in memory
    return;
  }
  app.draw();
  app.courier.hurry();
}

const SOON = {
  revoked: later(
    "The health centre revoked this tablet. Finish what you are typing; the children's data is wiped when the tablet locks. What was not sent is kept sealed and is sent.",
  ),
  contact_expired: later(
    "This tablet was without contact for too long. Finish what you are typing; the children's data is wiped when the tablet locks. What was not sent is kept sealed and is sent.",
  ),
};

/** What is said above every screen of a wipe that is due, or nearly, else null. @param {import("../app.js").App} app */
export function wipeWarning(app) {
  if (app.wipeAtLock) return notice("bad", message(SOON[app.wipeAtLock] || SOON.contact_expired));
  const days = Math.floor(app.device.daysWithoutContact(Date.now()));
  if (app.isPractice || days < DAYS_UNTIL_WARNING) return null;
  return notice(
    "look",
    h(
      "p",
      {},
      say(
        "This tablet has had no contact for {days} days. Take it to where there is a signal. After {most} days the children's data on it is wiped; what was not sent stays kept.",
        { days, most: DAYS_WITHOUT_CONTACT },
      ),
    ),
  );
}

/** What is said before a PIN where the wipe waits for one, else null. @param {import("../app.js").App} app */
export const leavingNotice = ({ device }) =>
  device.facts.leaving
    ? notice(
        "bad",
        say(
          "This tablet is to be wiped. Some records are not in the sealed copy yet: type your PIN once more, then they are sealed and sent.",
        ),
      )
    : null;
