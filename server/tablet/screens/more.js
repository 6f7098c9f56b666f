// Settings, and facts about this tablet.

import { choice, h } from "../parts/dom.js";
import { room, storage } from "../parts/room.js";
import { TEXT_SIZES } from "../parts/text_size.js";
import { persistence } from "./enrol.js";
import { decimal, languages, say, speak, timeWords } from "../words/words.js";

const MINUTES = [2, 5, 10, 15];
const CLOCK_TROUBLE_SECONDS = 600;

/** @param {import("../app.js").OpenApp} app */
export async function more(app) {
  const { device } = app;
  const put = (changes) => app.tablet.turn(() => device.note({ settings: { ...device.settings, ...changes } }));
  const handOver = () => {
    location.hash = "#/hari-ini"; // the next user begins with the list
    app.lock();
  };
  const links = [
    ["#/rekap", say("Recap")],
    ["#/belum-datang", say("Did not come yet")],
    ["#/kunjungan", say("Home visits")],
    ["#/kader", say("Cadres and PINs")],
    ["#/salinan", say("Locked backups and data carried for others")],
    ["#/bantuan", say("Guide: how to measure")],
  ];
  const body = [
    app.isPractice
      ? h("p", {}, h("a", { class: "button main", href: "./" }, say("End the practice")))
      : h("button", { class: "main", onclick: handOver }, say("Lock the tablet")),
    h(
      "ul",
      { class: "links" },
      links.map(([href, words]) => h("li", {}, h("a", { href }, words))),
      app.isPractice ? null : h("li", {}, h("a", { href: "?latihan" }, say("Practice with example children"))),
    ),
    choice(say("Language"), languages(), device.settings.language, async (language) => {
      await put({ language });
      speak(language);
      app.draw();
    }),
    choice(
      say("Text size"),
      TEXT_SIZES.map((percent) => [percent, `${percent}%`]),
      device.settings.text || 100,
      (text) => put({ text }).then(() => app.draw()),
    ),
    choice(
      say("Locks itself after (minutes)"),
      MINUTES.map((minutes) => [minutes, String(minutes)]),
      device.settings.lockMinutes,
      (lockMinutes) => put({ lockMinutes }),
    ),
    h("h2", {}, say("About this tablet")),
    persistence(app),
    await room(app),
    h(
      "dl",
      {},
      (await facts(app)).map(([name, held]) => [h("dt", {}, name), h("dd", {}, held)]),
    ),
  ];
  return { title: say("More"), body, place: "lainnya" };
}

async function facts(app) {
  const { device, tablet } = app;
  const { contact, usage, name } = device.facts;
  const month = new Date().toISOString().slice(0, 7);
  const megabytes = ((usage || {})[month] || 0) / 1e6;
  const estimate = await storage();
  return [
    [say("Tablet"), name || "–"],
    [say("Post"), (tablet.replica.facts.posts || [tablet.replica.facts.post]).map((one) => one.name).join(", ")],
    [say("Signed in as"), tablet.cadre.name],
    [say("Last contact"), contact ? timeWords(contact.at) : say("never")],
    [say("Clock"), contact ? clockWords(contact.offset) : "–"],
    [say("Data used this month"), `${decimal(megabytes, 2)} MB`],
    [
      say("Storage"),
      estimate
        ? `${decimal((estimate.usage || 0) / 1e6, 1)} MB ${device.persisted ? say("(safe)") : say("(may be deleted when memory is full)")}`
        : "–",
    ],
    [say("App version"), app.name],
    [say("Tablet id"), tablet.replica.facts.tablet],
  ];
}

function clockWords(offset) {
  if (Math.abs(offset) < 60) return say("The device's clock is right");
  const minutes = Math.round(Math.abs(offset) / 60);
  const words = offset > 0 ? say("{minutes} minutes fast", { minutes }) : say("{minutes} minutes slow", { minutes });
  return Math.abs(offset) < CLOCK_TROUBLE_SECONDS ? words : `⚠ ${words}`;
}
