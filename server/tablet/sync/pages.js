// Pages of the pull, laid into what the tablet holds. A tablet of staff has a page for each of its posts.
//
// A child that moves between two posts of one tablet leaves one stream and comes in the other, and either page may be read
// first. So a child belongs to the post whose page brought it last, and a post's page drops only children of that post.

import { clock } from "./bytes.js";

/** @typedef {import("./replica.js").Held} Held */

export const DRAWERS = { measurement: "measurements", follow_up: "follow_ups", delivery: "deliveries" };
export const nobody = () => ({ child: null, measurements: {}, follow_ups: {}, deliveries: {} });

/** The place of a pulled record among its child's records of one kind. */
const PLACES = {
  measurements: ({ on, source }) => `${on}/${source}`,
  follow_ups: ({ task }) => task,
  deliveries: ({ delivery }) => delivery,
};

/** Whether an answer's posts and their pages, where it has them, look like those. */
export const arePosts = ({ posts = [], pulls = [] }) =>
  Array.isArray(posts) &&
  Array.isArray(pulls) &&
  posts.every((post) => post && typeof post.id === "string" && typeof post.name === "string") &&
  pulls.every((page) => page && typeof page.post === "string" && Number.isInteger(page.cursor) && isPage(page));

/** @param {any} page */
export const isPage = ({ children, left, ...drawers }) =>
  Array.isArray(children) && Array.isArray(left) && Object.keys(PLACES).every((drawer) => Boolean(drawers[drawer]));

/** The published states of a page. */
export const statesOf = (page) => [
  ...page.children,
  ...Object.keys(PLACES).flatMap((drawer) => Object.values(page[drawer]).flat()),
];

export class Pages {
  /** @type {Map<string, Held|null>} what changes, by child; null: gone */
  changed = new Map();

  /** @param {Map<string, Held>} held what was pulled before @param {boolean} [clear] whether it counts no more */
  constructor(held, clear = false) {
    this.before = held;
    this.clear = clear;
  }

  /** @param {string} id @returns {Held|null|undefined} */
  #now(id) {
    if (this.changed.has(id)) return this.changed.get(id);
    return this.clear ? null : this.before.get(id);
  }

  /** A child to be filled. @param {string} id @returns {Held} */
  #of(id) {
    const changed = this.changed.get(id);
    if (changed) return changed;
    const known = this.#now(id) || nobody();
    const copy = Object.fromEntries(Object.values(DRAWERS).map((drawer) => [drawer, { ...known[drawer] }]));
    const before = this.before.get(id);
    const child = /** @type {Held} */ ({ ...known, ...copy, since: (before && before.since) || clock() });
    this.changed.set(id, child);
    return child;
  }

  /** Put a page's records in the place of what was held of them. @param {any} page @returns {Set<string>} their children */
  #fill(page) {
    for (const { id, ...state } of page.children) this.#of(id).child = state;
    for (const [drawer, placeOf] of Object.entries(PLACES)) {
      for (const [id, states] of Object.entries(page[drawer]))
        for (const state of states) this.#of(id)[drawer][placeOf(state)] = state;
    }
    for (const [id, told] of Object.entries(page.written || {})) {
      const named = told.map(({ dot, author, at }) => [dot.join(" "), [author, at]]);
      this.#of(id).written = { ...this.#of(id).written, ...Object.fromEntries(named) };
    }
    return new Set([...page.children.map(({ id }) => id), ...Object.keys(PLACES).flatMap((drawer) => Object.keys(page[drawer]))]);
  }

  /** A page of a tablet of one post. */
  lay(page) {
    this.#fill(page);
    for (const id of page.left) this.changed.set(id, null);
  }

  /** A page of one of several posts. @param {any} page @param {boolean} first whether what was held of the post is dropped */
  layOfPost(page, first) {
    if (first) this.drop(({ post }) => post === page.post);
    for (const id of this.#fill(page)) this.#of(id).post = page.post;
    const left = new Set(page.left);
    const erased = new Set(page.erased || []);
    this.drop(({ post }, id) => erased.has(id) || (left.has(id) && post === page.post));
  }

  /** Drop children. @param {(child: Held, id: string) => boolean} which */
  drop(which) {
    for (const id of new Set([...this.before.keys(), ...this.changed.keys()])) {
      const child = this.#now(id);
      if (child && which(child, id)) this.changed.set(id, null);
    }
  }
}
