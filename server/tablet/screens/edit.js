// A child's data: four things are asked for, so that a new child is on the list in half a minute; all else may follow.

import { changedRegisters, childFields, errorsOf, typedOf } from "../parts/child_fields.js";
import { field, h, notice, refill } from "../parts/dom.js";
import { draftKey } from "../parts/drafts.js";
import { markErrors, show } from "../parts/form_errors.js";
import { openQuestion } from "../parts/form_questions.js";
import { chosenPost, movePost } from "../parts/post_chooser.js";
import { alikeCards, alikeChildren } from "../parts/same_child.js";
import { failure } from "../parts/save_failure.js";
import { offerUndo } from "../parts/undo.js";
import { newId } from "../sync/bytes.js";
import { say } from "../words/words.js";

/** @param {import("../app.js").OpenApp} app @param {string} [id] none: a new child */
export async function edit(app, id) {
  const isNew = !id;
  const place = isNew ? draftKey.newChild() : draftKey.child(id);
  const form = await app.tablet.replica.open("child", {}, id || newId());
  const state = app.tablet.replica.view(form);
  const before = typedOf(state);
  const typed = app.drafts.begin(place, form, before);
  const changed = () => {
    app.drafts.keep(place, form, typed);
    if (isNew) alike.look();
  };
  const fields = childFields(typed, app.day, changed);
  const alike = alikeQuestions(app, typed, changed);
  const feedback = h("div", { "aria-live": "polite" });
  const button = h("button", { class: "main", type: "submit" }, isNew ? say("Save, then measure") : say("Save"));
  const save = async (event) => {
    event.preventDefault();
    refill(feedback);
    if (markErrors(errorsOf(typed, isNew ? null : before, app.day, fields), Object.values(fields))) return;
    const asked = openQuestion(body);
    if (asked) {
      refill(feedback, notice("look", say("Answer the question above first.")));
      show(asked);
      return;
    }
    button.disabled = true;
    try {
      await write(app, place, form, state, typed);
    } catch (error) {
      button.disabled = false;
      refill(feedback, notice("bad", say("NOT saved: "), failure(error)));
      feedback.scrollIntoView({ block: "center" });
      return;
    }
    if (isNew) await app.keepSession({ here: [...app.session.here, form.id] });
    app.saved();
    app.go(isNew ? `#/ukur/${form.id}` : `#/anak/${form.id}`);
  };
  const { name, sex, born, mother, ...others } = fields;
  const body = h(
    "form",
    { onsubmit: save, novalidate: true },
    name,
    sex,
    born,
    mother,
    alike.place,
    h("details", { class: "later" }, h("summary", {}, say("More (may follow)")), Object.values(others)),
    state ? movePost(app, form, state) : null,
    state ? remove(app, form, before.name) : null,
    feedback,
    h("div", { class: "actions" }, button),
  );
  if (isNew) alike.look();
  return {
    title: isNew ? say("New child") : say("Edit"),
    body,
    back: isNew ? "#/hari-ini" : `#/anak/${id}`,
  };
}

/** Store what differs, and drop the draft. */
async function write(app, place, form, state, typed) {
  const post = state ? {} : { post: { post: chosenPost(app).id } };
  const set = { ...post, ...changedRegisters(typed, state, app.day) };
  if (Object.keys(set).length) await app.drafts.write(place, form, set);
  else app.drafts.drop(place);
}

/** Asks about children who may be the typed one; drawn anew only when others are found. */
function alikeQuestions(app, typed, changed) {
  const place = h("div", { "aria-live": "polite" });
  let shown = "";
  const isOther = ({ id }) => {
    typed.others = [...typed.others, id];
    changed();
  };
  const look = () => {
    const { same, near } = alikeChildren(app, typed);
    const found = [same, near].map((children) => children.map(({ id }) => id).join()).join("|");
    if (found === shown) return;
    shown = found;
    refill(place, alikeCards(same, near, isOther));
    const asked = openQuestion(place);
    if (asked) asked.scrollIntoView({ block: "nearest" }); // it may lie below the buttons at the end of the screen
  };
  return { place, look };
}

/** Take a child off the list, with a reason. */
function remove(app, form, name) {
  const reason = field(
    say("Reason"),
    h("input", { maxlength: "200", placeholder: say("e.g. moved, entered by mistake, died") }),
  );
  const feedback = h("div", {});
  const submit = async () => {
    const text = /** @type {HTMLInputElement} */ (reason.querySelector("input")).value.trim();
    if (markErrors(text ? [] : [[reason, say("Write why.")]], [reason])) return;
    try {
      await app.tablet.write(form, { removed: { reason: text } });
    } catch (error) {
      refill(feedback, notice("bad", say("NOT saved: "), failure(error)));
      return;
    }
    app.saved();
    app.go("#/hari-ini");
    offerUndo(app, say("{name} was taken off the list.", { name }), async () => {
      await app.tablet.write(await app.tablet.replica.open("child", {}, form.id), { removed: { reason: null } });
      app.saved();
      return `#/anak/${form.id}`;
    });
  };
  return h(
    "details",
    {},
    h("summary", {}, say("Take off the list")),
    reason,
    feedback,
    h("button", { type: "button", class: "danger", onclick: submit }, say("Take off")),
  );
}
