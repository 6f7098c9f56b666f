// A tablet of staff has several posts: which one is shown, and where a child belongs. The lists, questions and new children of
// the app are those of the chosen post. A tablet of one post shows none of this.

import { field, h, notice, refill } from "./dom.js";
import { failure } from "./save_failure.js";
import { value } from "../sync/states.js";
import { say } from "../words/words.js";

/** @typedef {{id: string, name: string, closed?: boolean}} Post */

/** The posts of a tablet of staff; none on a tablet of one post. @param {import("../app.js").App} app @returns {Post[]} */
const postsOf = (app) => app.device.facts.tablet.posts || [];

/** The post that is shown, and at which a new child is registered. @param {import("../app.js").App} app @returns {Post} */
export function chosenPost(app) {
  const posts = postsOf(app);
  return posts.find(({ id }) => id === app.device.settings.post) || posts[0] || app.device.facts.tablet.post;
}

/** The post whose children are shown; null: all, on a tablet of one post. @param {import("../app.js").App} app */
export const shownPost = (app) => (postsOf(app).length ? chosenPost(app).id : null);

/** A choice of the post, above the list of the day. @param {import("../app.js").OpenApp} app */
export function postChooser(app) {
  if (postsOf(app).length < 2) return null;
  const place = h("div", { class: "post-chooser" });
  let drawn = "";
  const fill = () => {
    const options = postsOf(app).map((post) => [post.id, label(app, post)]);
    const now = JSON.stringify([options, shownPost(app)]);
    if (drawn !== now) refill(place, select(app, options)); // drawn anew only where it changes: it may be open
    drawn = now;
  };
  fill();
  app.watch(fill);
  return place;
}

function select(app, options) {
  const shown = shownPost(app);
  const chooser = h(
    "select",
    { "aria-label": say("Posyandu"), onchange: () => choose(app, chooser.value) },
    options.map(([id, words]) => h("option", { value: id, selected: id === shown }, words)),
  );
  return chooser;
}

async function choose(app, post) {
  await app.tablet.turn(() => app.device.note({ settings: { ...app.device.settings, post } }));
  app.searched = "";
  app.draw();
}

/** @param {import("../app.js").OpenApp} app @param {Post} post */
const label = (app, { id, name, closed }) =>
  [
    say("{post} · {count} children", { post: name, count: app.model.everybody().filter((child) => child.post === id).length }),
    closed ? say("(closed)") : "",
  ]
    .filter(Boolean)
    .join(" ");

/** A choice of another of the tablet's posts for a child, below its form. Moving is a change like any other.
 * @param {import("../app.js").OpenApp} app @param {import("../sync/replica.js").Form} form @param {object|null} state */
export function movePost(app, form, state) {
  const now = app.tablet.replica.postOf(form.id);
  const others = postsOf(app).filter(({ id, closed }) => id !== now && !closed);
  if (!state || !others.length) return null;
  const place = h("div", { "aria-live": "polite" });
  const chooser = h(
    "select",
    {},
    others.map(({ id, name }) => h("option", { value: id }, name)),
  );
  const move = async () => {
    try {
      await app.tablet.write(form, { post: { ...value(state, "post"), post: chooser.value } });
    } catch (error) {
      refill(place, notice("bad", say("NOT saved: "), failure(error)));
      return;
    }
    app.saved();
    app.go("#/hari-ini");
  };
  return h(
    "details",
    {},
    h("summary", {}, say("Move to another posyandu")),
    field(say("The child comes to"), chooser),
    place,
    h("button", { type: "button", onclick: move }, say("Move")),
  );
}
