// Sending, by one tap or automatically: its progress, and for every child whether it was received, waits or has a question.

import { h, notice, refill } from "../parts/dom.js";
import { marks, unsentChildren } from "../parts/child_status.js";
import { say, timeWords, titleOf } from "../words/words.js";
import { reEnrol } from "../parts/re_enrol.js";
import { handOverAndWipe } from "../parts/remote_wipe.js";
import { lookForNewer } from "../updates.js";

/** @param {import("../app.js").OpenApp} app */
export function send(app) {
  if (app.isPractice)
    return {
      title: say("Send"),
      body: h("p", { class: "empty" }, say("In practice nothing is sent.")),
      place: "kirim",
    };
  const state = h("div", {});
  const list = h("div", {});
  const button = h("button", { class: "main", onclick: () => app.engine.sync() });
  const draw = () => {
    button.disabled = app.engine.status.phase === "running";
    refill(button, app.engine.status.phase === "waiting" ? say("Try now") : say("Send now"));
    refill(state, stateOf(app));
    refill(list, children(app));
  };
  draw();
  app.watch(draw);
  const body = [
    state,
    button,
    list,
    h("p", {}, h("a", { class: "button", href: "#/salinan" }, say("Locked backups and data carried for others"))),
  ];
  return { title: say("Send"), body, place: "kirim" };
}

function stateOf(app) {
  const { phase, answered, of, problem, nextAt } = app.engine.status;
  const { contact } = app.device.facts;
  const last = h("p", { class: "hint" }, say("Last contact: "), contact ? timeWords(contact.at) : say("never"));
  if (phase === "running") {
    return [
      notice(
        "calm",
        h("p", {}, of ? say("Sending: {answered} of {of} children", { answered, of }) : say("Fetching what is new …")),
        h("progress", {
          max: String(Math.max(of, 1)),
          value: of ? String(answered) : null,
          "aria-label": say("Progress"),
        }),
        h("p", { class: "hint" }, say("You may go on recording.")),
      ),
      last,
    ];
  }
  if (phase === "waiting") return [pause(problem, nextAt), last];
  const unsent = !problem && !navigator.onLine && app.tablet.replica.waiting().length;
  return [unsent ? pause(null, 0) : null, problem ? problemOf(app, problem) : null, last];
}

/** That what is not sent goes by itself. The exact moment stands where only a script looks. */
function pause(problem, nextAt) {
  const words =
    problem && problem.code === "server-busy"
      ? say("Everything is saved on this tablet. The server is busy; it is sent by itself later.")
      : say("Everything is saved on this tablet. It is sent by itself later, when there is a signal.");
  return notice("look", h("p", { "data-next": nextAt ? new Date(nextAt).toISOString() : null }, words));
}

function problemOf(app, problem) {
  if (problem.code === "tablet-revoked") {
    const wipe = () => handOverAndWipe(app, "revoked");
    return notice(
      "bad",
      h(
        "p",
        {},
        say("The health centre revoked this tablet. What was not sent was handed over and will be looked at."),
      ),
      h("button", { onclick: wipe }, say("Wipe this tablet")),
    );
  }
  if (problem.code === "app-too-old") {
    lookForNewer().catch((error) => console.info(error)); // asked again when a line comes, and at the next start
    return notice(
      "look",
      say("This app is too old for the server. The new version is being fetched; nothing is lost."),
    );
  }
  if (problem.code === "tablet-unknown" || problem.code === "too-many-enrolments") return reEnrol(app);
  return notice("bad", titleOf(problem) || problem.code);
}

/** Children with changes that wait or questions, those that were taken off the list too; then the number of all others. */
function children(app) {
  const listed = app.model.everybody();
  const unlisted = unsentChildren(app)
    .map((id) => app.model.child(id))
    .filter((child) => !listed.includes(child));
  const all = [...listed, ...unlisted].map((child) => [child, marks(app, child)]);
  const open = all.filter(([, { waiting, asked }]) => waiting || asked);
  const words = ({ waiting, asked }) =>
    [waiting && say("waiting"), asked && say("needs your answer")].filter(Boolean).join(" · ");
  const received = all.length - open.length;
  return [
    h("h2", {}, say("Child by child")),
    h(
      "ul",
      { class: "children plain" },
      open.map(([child, mark]) =>
        h(
          "li",
          {},
          h(
            "a",
            { href: mark.asked ? "#/pertanyaan" : `#/anak/${child.id}` },
            h("strong", {}, child.name || say("(no name)")),
            h("span", {}, words(mark)),
          ),
        ),
      ),
      h(
        "li",
        { class: "done" },
        h("b", { "aria-hidden": "true" }, "✓ "),
        say("{received} children: everything was received by the server", { received }),
      ),
    ),
  ];
}
