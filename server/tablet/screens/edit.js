// A child's data: four fields are enough to begin with, so that a new child is on the list in half a minute.

import { choice, field, h, notice, refill } from "../parts/dom.js";
import { toText, toUnits } from "../parts/figures.js";
import { equal, newId } from "../sync/bytes.js";
import { siblings, value } from "../sync/states.js";
import { isExpected } from "../parts/model.js";
import { chosenPost, movePost } from "../parts/post_chooser.js";
import { failure } from "../parts/save_failure.js";
import { later, message, motherWords, plain, say } from "../words/words.js";

/** @type {Array<[code: string, words: import("../growth/text.js").Text]>} */
const SEX = [
  ["M", later("Boy")],
  ["F", later("Girl")],
];

/** @param {import("../app.js").OpenApp} app @param {string} [id] none: a new child */
export async function edit(app, id) {
  const isNew = !id;
  const form = await app.tablet.replica.open("child", {}, id || newId());
  const state = app.tablet.replica.view(form);
  const of = (register) => ({ ...value(state, register) });
  const held = {
    identity: { name: "", sex: null, born_on: null, birth_order: null, ...of("identity") },
    parents: of("parents"),
    nik: of("nik"),
    home: of("home"),
    birth: of("birth"),
    consent: of("consent"),
  };
  const inputs = fields(held, app);
  const message = h("div", { "aria-live": "polite" });
  const alike = h("div", { "aria-live": "polite" });
  const look = () => refill(alike, isNew ? similar(app, inputs.name.value, held.identity.born_on) : null);
  inputs.name.addEventListener("input", look);
  const save = async (event) => {
    event.preventDefault();
    const trouble = read(held, inputs, app);
    if (trouble) {
      refill(message, notice("bad", trouble));
      return;
    }
    const set = changed(held, state, app, isNew);
    if (!Object.keys(set).length) {
      app.go(`#/anak/${form.id}`);
      return;
    }
    try {
      await app.tablet.write(form, set);
    } catch (error) {
      refill(message, notice("bad", say("NOT saved: "), failure(error)));
      return;
    }
    if (isNew) await app.keepSession({ here: [...app.session.here, form.id] });
    app.saved();
    app.go(isNew ? `#/ukur/${form.id}` : `#/anak/${form.id}`);
  };
  const more = h("details", {}, h("summary", {}, say("More (may follow)")), inputs.more);
  const body = h(
    "form",
    { onsubmit: save, novalidate: true },
    inputs.first,
    alike,
    more,
    isNew ? null : movePost(app, form, state),
    isNew ? null : remove(app, form, state),
    message,
    h(
      "div",
      { class: "actions" },
      h("button", { class: "main", type: "submit" }, isNew ? say("Save, then measure") : say("Save")),
    ),
  );
  return {
    title: isNew ? say("New child") : say("Edit"),
    body,
    back: isNew ? "#/hari-ini" : `#/anak/${id}`,
  };
}

/** The controls; choices and the birth date are written into `held` at once, the others when saving. */
function fields({ identity, parents, nik, home, birth, consent }, app) {
  const text = (held, props = {}) => h("input", { value: held || "", ...props });
  const born = text(identity.born_on, {
    type: "date",
    max: app.day,
    onchange: () => (identity.born_on = born.value || null),
  });
  const controls = {
    name: text(identity.name, { maxlength: "120" }),
    born,
    mother: text(parents.mother, { maxlength: "120" }),
    father: text(parents.father, { maxlength: "120" }),
    phone: text(parents.phone, { inputmode: "tel", maxlength: "17" }),
    nik: text(nik.nik, { inputmode: "numeric", maxlength: "16" }),
    address: text(home.address, { maxlength: "200" }),
    rt: text(home.rt, { inputmode: "numeric", maxlength: "3" }),
    rw: text(home.rw, { inputmode: "numeric", maxlength: "3" }),
    weight: text(toText(birth.weight_g, 3), { inputmode: "decimal" }),
    length: text(toText(birth.length_mm, 1), { inputmode: "decimal" }),
    order: text(identity.birth_order, { inputmode: "numeric", maxlength: "2" }),
  };
  const first = [
    field(say("Child's name"), controls.name),
    choice(
      say("Sex"),
      SEX.map(([code, words]) => [code, message(words)]),
      identity.sex,
      (sex) => (identity.sex = sex),
    ),
    field(say("Birth date"), born, say("See the KIA book or the birth certificate. Leave empty if not known.")),
    field(say("Mother's name"), controls.mother),
  ];
  const more = [
    field("NIK", controls.nik, say("16 digits, on the family card.")),
    field(say("Father's name"), controls.father),
    field(say("Phone"), controls.phone),
    field(say("Address"), controls.address),
    field("RT", controls.rt),
    field("RW", controls.rw),
    field(say("Birth weight (kg)"), controls.weight),
    field(say("Birth length (cm)"), controls.length),
    field(say("Birth order"), controls.order),
    choice(
      say("The parents agree that the data is kept and sent to the health centre"),
      [
        [true, say("Yes")],
        [false, say("No")],
      ],
      consent.given === undefined ? null : consent.given,
      (given) => (consent.given = given),
    ),
  ];
  return { ...controls, first, more };
}

/** Read the fields into the registers; return what is wrong, or null. */
function read({ identity, parents, nik, home, birth }, inputs, app) {
  const words = (input) => input.value.trim() || null;
  identity.name = inputs.name.value.trim();
  identity.born_on = inputs.born.value || null;
  identity.birth_order = words(inputs.order) && Number(words(inputs.order));
  Object.assign(parents, {
    mother: words(inputs.mother),
    father: words(inputs.father),
    phone: words(inputs.phone) && words(inputs.phone).replace(/[\s-]/g, ""),
  });
  Object.assign(nik, { nik: words(inputs.nik) && words(inputs.nik).replace(/\s/g, "") });
  Object.assign(home, { address: words(inputs.address), rt: words(inputs.rt), rw: words(inputs.rw) });
  Object.assign(birth, { weight_g: toUnits(inputs.weight.value, 3), length_mm: toUnits(inputs.length.value, 1) });
  return trouble({ identity, parents, nik, home, birth }, app);
}

/** The server's rules (schemas/records.py), checked before anything is saved: field, value, rule, remedy. */
function trouble({ identity, parents, nik, home, birth }, app) {
  const within = (held, least, most) => held === null || (Number.isInteger(held) && held >= least && held <= most);
  const checks = [
    [identity.name, say("The child's name is missing.")],
    [
      identity.born_on === null || identity.born_on <= app.day,
      say("The birth date {day} is after the posyandu day. Check the year.", { day: identity.born_on }),
    ],
    [
      !nik.nik || isNik(nik.nik),
      say("{nik} is no NIK: 16 digits with a birth date in them. See the family card, or leave it empty.", {
        nik: nik.nik,
      }),
    ],
    [
      !parents.phone || /^\+?\d{8,16}$/.test(parents.phone),
      say("Phone {phone}: 8 to 16 digits.", { phone: parents.phone }),
    ],
    [[home.rt, home.rw].every((part) => !part || /^\d{1,3}$/.test(part)), say("RT and RW have at most 3 digits.")],
    [within(birth.weight_g, 300, 7000), say("Birth weight is between 0.3 and 7 kg.")],
    [within(birth.length_mm, 200, 650), say("Birth length is between 20 and 65 cm.")],
    [within(identity.birth_order, 1, 20), say("Birth order: 1 to 20.")],
  ];
  const failed = checks.find(([right]) => !right);
  return failed ? failed[1] : null;
}

/** 16 digits; day 1-31 or 41-71, month 1-12, serial not 0000, not all the same (docs/protocol.md). @param {string} nik */
export function isNik(nik) {
  if (!/^\d{16}$/.test(nik) || /^(\d)\1+$/.test(nik) || nik.endsWith("0000")) return false;
  const day = Number(nik.slice(6, 8)) % 40;
  const month = Number(nik.slice(8, 10));
  return Number(nik.slice(6, 8)) <= 71 && day >= 1 && day <= 31 && month >= 1 && month <= 12;
}

/** The registers that differ from the stored ones. */
function changed(held, state, app, isNew) {
  const { given } = held.consent;
  const isGiven = given !== undefined && given !== value(state, "consent").given;
  const consent = isGiven ? { given, by: held.parents.mother || null, on: app.day, method: "lisan" } : null;
  const wanted = {
    identity: held.identity,
    nik: held.nik,
    parents: held.parents,
    home: { village: null, ...held.home },
    birth: { gestation_weeks: null, ...held.birth },
    ...(consent ? { consent } : {}),
  };
  const says = (register) => Object.values(register).some((one) => one !== null && one !== undefined && one !== "");
  const full = (register) => Object.fromEntries(Object.entries(register).filter(([, one]) => one !== undefined));
  const set = isNew ? { post: { post: chosenPost(app).id } } : {};
  for (const [name, register] of Object.entries(wanted)) {
    const standing = siblings(state, name);
    const same =
      standing.length === 1
        ? equal(emptied(standing[0].value), emptied(register))
        : !standing.length && !says(register);
    if (!same) set[name] = full(register);
  }
  return set;
}

/** Missing and null mean the same. */
const emptied = (register) =>
  Object.fromEntries(Object.entries(register).filter(([, one]) => one !== null && one !== undefined));

/** Children on the list that may be the child that is being registered. */
function similar(app, name, born_on) {
  const typed = plain(name).trim();
  if (typed.length < 3) return null;
  const near = app.model
    .children()
    .filter(
      (child) =>
        isExpected(child, app.day) &&
        plain(child.name).startsWith(typed.slice(0, 12)) &&
        (!born_on || !child.born_on || born_on === child.born_on),
    );
  return near.length
    ? notice(
        "look",
        h("p", {}, say("On the list already? ")),
        near
          .slice(0, 3)
          .map((child) =>
            h(
              "p",
              {},
              h(
                "a",
                { href: `#/anak/${child.id}` },
                `${child.name}${child.mother ? ` – ${motherWords(child.mother)}` : ""}`,
              ),
            ),
          ),
      )
    : null;
}

/** Take a child off the list, with a reason. A removal is a change and can be undone. */
function remove(app, form, state) {
  const reason = h("input", {
    maxlength: "200",
    placeholder: say("e.g. moved, entered by mistake, died"),
  });
  const message = h("div", {});
  const submit = async () => {
    if (!reason.value.trim()) {
      refill(message, notice("bad", say("Write why.")));
      return;
    }
    await app.tablet.write(form, { removed: { reason: reason.value.trim() } });
    app.saved();
    app.go("#/hari-ini");
  };
  if (!state) return null;
  return h(
    "details",
    {},
    h("summary", {}, say("Take off the list")),
    field(say("Reason"), reason),
    message,
    h("button", { type: "button", class: "danger", onclick: submit }, say("Take off")),
  );
}
