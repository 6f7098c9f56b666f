// A measurement that was recorded for the wrong child: removed there and recorded for another child of the post, in one act.

import { h, notice, refill } from "../parts/dom.js";
import { figuresText } from "../parts/figures.js";
import { inConflict, registersOf } from "../parts/measurement_changes.js";
import { isExpected } from "../parts/model.js";
import { failure } from "../parts/save_failure.js";
import { saveWithUndo } from "../parts/undo.js";
import { heldRegisters, moved } from "../parts/wrong_day.js";
import { dayWords, motherWords, plain, say } from "../words/words.js";

const MOST_SHOWN = 40;

/** @param {import("../app.js").OpenApp} app @param {string} id of the child @param {string} on */
export async function move(app, id, on) {
  const { model, tablet } = app;
  const child = model.child(id);
  const from = await tablet.replica.open("measurement", { child: id, measured_on: on, source: "cadre" });
  const state = tablet.replica.view(from);
  const values = heldRegisters(tablet.replica, from);
  const shown = { title: say("Move to another child"), back: `#/ukur/${id}/${on}` };
  if (!Object.keys(values).length) return { ...shown, body: h("p", { class: "empty" }, say("Nothing is recorded.")) };
  if (inConflict(state)) return { ...shown, body: notice("look", say("First answer which of the two values is right.")) };
  const list = h("ul", { class: "children plain" });
  const feedback = h("div", { "aria-live": "polite" });
  const search = h("input", {
    type: "search",
    placeholder: say("Find a child or mother"),
    "aria-label": say("Find"),
  });
  const take = async (target, isSure) => {
    const to = await tablet.replica.open("measurement", { child: target.id, measured_on: on, source: "cadre" });
    const there = tablet.replica.view(to);
    if (inConflict(there)) return refill(feedback, notice("look", say("First answer which of the two values is right.")));
    if (Object.keys(registersOf(there)).length && !isSure) return refill(feedback, sure(target, there));
    try {
      const acts = moved(tablet.replica, { from, to, values, reason: say("Wrong child") });
      await saveWithUndo(app, acts, say("Moved to {name}.", { name: target.name }), { then: `#/ukur/${id}/${on}` });
      return app.go(`#/hasil/${target.id}/${on}`);
    } catch (error) {
      return refill(feedback, notice("bad", say("NOT saved: "), failure(error)));
    }
  };
  const sure = (target, there) =>
    notice(
      "look",
      h(
        "p",
        {},
        say("{name} has a record of this day already: {figures}", {
          name: target.name,
          figures: figuresText(registersOf(there)),
        }),
      ),
      h("button", { onclick: () => take(target, true) }, say("Replace it")),
    );
  const draw = () => {
    const found = candidates(app, id, on, search.value).slice(0, MOST_SHOWN);
    refill(
      list,
      found.map((other) => h("li", {}, row(other, on, () => take(other, false)))),
      found.length ? null : h("li", { class: "empty" }, say("No name fits “{typed}”.", { typed: search.value })),
    );
  };
  search.addEventListener("input", draw);
  draw();
  const words = `${child.name} · ${dayWords(on)} · ${figuresText(values)}`;
  return { ...shown, body: [h("p", {}, words), h("p", {}, say("Whose are these values?")), search, feedback, list] };
}

/** The children who may be meant: those who are here first. */
function candidates({ model, session, day }, id, on, typed) {
  const wanted = plain(typed).split(/\s+/).filter(Boolean);
  const fits = ({ search }) => wanted.every((part) => ` ${search}`.includes(` ${part}`));
  const could = (child) => child.id !== id && !(child.born_on && child.born_on > on) && isExpected(child, day);
  const here = (child) => (session.here.includes(child.id) ? 0 : 1);
  return model
    .children()
    .filter((child) => could(child) && fits(child))
    .sort((one, other) => here(one) - here(other));
}

function row(child, on, take) {
  const about = [child.mother && motherWords(child.mother), child.born_on && `${say("born")} ${dayWords(child.born_on)}`];
  const isDone = child.measurements.some((one) => one.on === on && one.source === "cadre");
  return h(
    "button",
    { type: "button", class: "pick", onclick: take },
    h("strong", {}, child.name || say("(no name)")),
    h("span", {}, [...about, isDone && say("measured")].filter(Boolean).join(" · ")),
  );
}
