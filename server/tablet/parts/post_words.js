// The post's name as people say it: "Posyandu Melati 1".

import { chosenPost } from "./post_chooser.js";

/** @param {import("../app.js").OpenApp} app */
export function postWords(app) {
  const { name } = chosenPost(app);
  return /^posyandu\b/i.test(name) ? name : `Posyandu ${name}`;
}
