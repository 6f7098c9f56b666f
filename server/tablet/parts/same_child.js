// "Is it this one?": children of the post who may be the one that is being registered, asked while it is typed. Whom the
// server would find is asked about until the cadre answers; others of nearly the same name are only shown.

import { dayWords, motherWords, say } from "../words/words.js";
import { isNik } from "./child_fields.js";
import { h, notice } from "./dom.js";
import { question } from "./form_questions.js";
import { compare, likeness, registration, registrationOf } from "./name_similarity.js";

const MOST = 3;
const NEARLY_THE_SAME = 92;

/** @type {WeakMap<object, import("./name_similarity.js").Registration>} by child as the model has it */
const known = new WeakMap();

function knownOf(child) {
  const found = known.get(child) || registrationOf(child.state);
  known.set(child, found);
  return found;
}

/** Children of the post who may be the typed one, the most alike first: those whom the server would call the same, else, while
 * there is no birth date to compare, those of nearly the same name.
 * @param {import("../app.js").OpenApp} app @param {import("./child_fields.js").Typed} typed
 * @returns {{same: import("./model.js").Child[], near: import("./model.js").Child[]}} */
export function alikeChildren(app, typed) {
  const nik = typed.nik.replace(/[\s-]/g, "");
  const one = registration(
    [{ name: typed.name, sex: typed.sex, born_on: typed.born, birth_order: Number(typed.order) }],
    [{ mother: typed.mother.trim(), father: typed.father.trim() }],
    isNik(nik) ? [{ nik }] : [],
  );
  const others = app.model.everybody().filter(({ id }) => !typed.others.includes(id));
  const best = (score) =>
    others
      .map((child) => /** @type {[import("./model.js").Child, number]} */ ([child, score(child)]))
      .filter(([, found]) => found > 0)
      .sort(([, first], [, second]) => second - first)
      .slice(0, MOST)
      .map(([child]) => child);
  const same = best((child) => (compare(one, knownOf(child)) || { score: 0 }).score);
  const near = typed.born ? [] : best((child) => nearness(one, knownOf(child)));
  return { same, near: near.filter((child) => !same.includes(child)) };
}

/** How alike two names are, for as long as there is no birth date to compare; 0 if not very, or if the sexes differ. */
function nearness(one, other) {
  const [sex, itsSex] = [one.sexes[0], other.sexes[0]];
  if (sex && itsSex && sex !== itsSex) return 0;
  const most = Math.max(0, ...other.names.map((its) => likeness(one.names[0], its)));
  return most >= NEARLY_THE_SAME ? most : 0;
}

/** @param {import("./model.js").Child[]} same @param {import("./model.js").Child[]} near
 * @param {(child: import("./model.js").Child) => void} isOther the cadre says that it is another one */
export function alikeCards(same, near, isOther) {
  const asked = () => h("b", {}, say("On the list already? "));
  const no = (child) => h("button", { type: "button", onclick: () => isOther(child) }, say("No, another child"));
  const shown = near.map((child) => h("p", {}, told(child), " ", open(child)));
  return [
    ...same.map((child) => question([asked(), told(child)], [open(child), no(child)])),
    near.length ? notice("calm", h("p", {}, asked()), shown) : null,
  ];
}

const open = (child) => h("a", { class: "button", href: `#/anak/${child.id}` }, say("Open this child"));

const told = ({ name, mother, born_on }) =>
  [name || say("(no name)"), mother && motherWords(mother), `${say("born")} ${dayWords(born_on)}`].filter(Boolean).join(", ");
