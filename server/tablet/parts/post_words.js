// The post's name as people say it: "Posyandu Melati 1".

/** @param {import("../app.js").OpenApp} app */
export function postWords(app) {
  const { name } = app.tablet.replica.facts.post;
  return /^posyandu\b/i.test(name) ? name : `Posyandu ${name}`;
}
