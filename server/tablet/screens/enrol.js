// Enrolling a tablet: the code from the health centre, then the first cadre's name and PIN. Needs a connection once.

import { field, h, notice, refill } from "../parts/dom.js";
import { ENROLMENT, requestFailure, tidyCode } from "../parts/enrol_code.js";
import { pinFields } from "../parts/pins.js";
import { askStanding } from "../parts/remote_wipe.js";
import { sealedFilePicker } from "../parts/sealed_batches.js";
import { later, message, say } from "../words/words.js";

/** @param {import("../app.js").ConnectedApp} app */
export function enrol(app) {
  const { device } = app;
  if (device.isEnrolled && !device.cadres.length) return firstCadre(app);
  const scanned = location.hash.slice(1);
  const code = h("input", {
    value: scanned.startsWith("/") ? "" : scanned,
    autocapitalize: "characters",
    spellcheck: "false",
    placeholder: "XXXX-XXXX-XXXXX",
  });
  const name = h("input", { value: device.facts.name || say("Tablet 1"), maxlength: "40" });
  const message = h("div", {});
  const button = h("button", { class: "main", type: "submit" }, say("Enrol this tablet"));
  const submit = async (event) => {
    event.preventDefault();
    const tidy = tidyCode(code.value, ENROLMENT);
    if (!tidy) {
      refill(
        message,
        notice(
          "bad",
          say("The code has 13 letters and digits, such as 7K3M-Q2PW-XA9RT. See the paper from the health centre."),
        ),
      );
      return;
    }
    button.disabled = true;
    refill(message, notice("calm", say("Asking the server …")));
    try {
      await device.enrol(app.http, tidy, app.name, name.value.trim() || "Tablet");
      await askStanding(app); // before a PIN is chosen: it says what a PIN must be
      history.replaceState(null, "", new URL("./", location.href.split("#")[0].replace(/daftar$/, "")));
      app.draw();
    } catch (error) {
      button.disabled = false;
      refill(message, notice("bad", requestFailure(error)));
    }
  };
  const form = h(
    "form",
    { onsubmit: submit },
    field(say("Enrolment code"), code, say("From the health centre; valid for 7 days, once.")),
    field(say("Name of the tablet"), name),
    message,
    button,
  );
  const body = [wiped(app), form, others(app)];
  return { title: say("Enrol the tablet"), body };
}

const WIPED = {
  revoked: later("The health centre revoked this tablet. The children's data on it was wiped."),
  contact_expired: later("This tablet was without contact for too long. The children's data on it was wiped."),
  forgotten: later("Everything on this tablet was wiped."),
};

function wiped({ device }) {
  const { why } = device.facts.wiped || {};
  if (!why) return null;
  const words = WIPED[why] || WIPED.contact_expired; // earlier versions stored "forlorn"
  const sealed = say("What was not sent is kept sealed and is sent as soon as there is a signal.");
  return notice("look", h("p", {}, message(words)), h("p", {}, sealed));
}

function others(app) {
  return h(
    "details",
    {},
    h("summary", {}, say("Do you have a file with a backup or carried data?")),
    sealedFilePicker(app),
    h("p", {}, h("a", { href: "?latihan" }, say("Try it first with example children (practice)"))),
  );
}

function firstCadre(app) {
  const name = h("input", { maxlength: "60", required: true });
  const pins = pinFields(app.device.pinPolicy);
  const message = h("div", {});
  const button = h("button", { class: "main", type: "submit" }, say("Begin"));
  const submit = async (event) => {
    event.preventDefault();
    const trouble = name.value.trim() ? pins.trouble() : say("Write your name.");
    if (trouble) {
      refill(message, notice("bad", trouble));
      return;
    }
    button.disabled = true;
    try {
      await app.enter(await app.device.begin(name.value.trim(), pins.value()));
    } catch (error) {
      button.disabled = false;
      throw error;
    }
  };
  const body = h(
    "form",
    { onsubmit: submit },
    notice("good", say("Enrolled for {post}.", { post: postNames(app.device.facts.tablet) })),
    persistence(app),
    field(say("Your name"), name),
    pins.fields,
    message,
    button,
  );
  return { title: say("The first cadre"), body };
}

/** A warning where the browser refused to make the storage persistent. @param {import("../app.js").App} app */
export function persistence(app) {
  const place = h("div", {});
  const fill = () => refill(place, app.device.persisted === false ? notKept() : null);
  fill();
  app.watch(fill);
  return place;
}

const postNames = ({ post, posts = [post] }) => posts.map(({ name }) => name).join(", ");

const notKept = () =>
  notice(
    "look",
    say(
      "This device may delete the data when its memory is full. Install the app on the home screen, and save a locked backup after every posyandu day.",
    ),
  );
