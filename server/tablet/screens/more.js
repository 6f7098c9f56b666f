// Settings, and what this tablet knows of itself.

import { choice, h } from "../parts/dom.js";
import { room, storage } from "../parts/room.js";
import { persistence } from "./enrol.js";
import { decimal, say, speak, timeWords } from "../words/words.js";

const MINUTES = [2, 5, 10, 15];
const CLOCK_TROUBLE_SECONDS = 600;

/** @param {import("../app.js").OpenApp} app */
export async function more(app) {
  const { device } = app;
  const put = (changes) => app.tablet.turn(() => device.note({ settings: { ...device.settings, ...changes } }));
  const handOver = () => {
    location.hash = "#/hari-ini"; // whoever comes next begins with the list
    app.lock();
  };
  const links = [
    ["#/kader", say("Kader dan PIN", "Cadres and PINs")],
    ["#/salinan", say("Salinan tersegel dan titipan", "Sealed copies and letters")],
    ["#/bantuan", say("Bantuan: cara mengukur", "Help: how to measure")],
  ];
  const body = [
    app.isPractice
      ? h("p", {}, h("a", { class: "button main", href: "./" }, say("Selesai latihan", "End the practice")))
      : h("button", { class: "main", onclick: handOver }, say("Kunci tablet", "Lock the tablet")),
    h(
      "ul",
      { class: "links" },
      links.map(([href, words]) => h("li", {}, h("a", { href }, words))),
      app.isPractice
        ? null
        : h(
            "li",
            {},
            h("a", { href: "?latihan" }, say("Latihan dengan anak karangan", "Practice with made-up children")),
          ),
    ),
    choice(
      say("Bahasa", "Language"),
      [
        ["id", "Indonesia"],
        ["en", "English"],
      ],
      device.settings.language,
      async (language) => {
        await put({ language });
        speak(language);
        app.draw();
      },
    ),
    choice(
      say("Terkunci sendiri setelah (menit)", "Locks itself after (minutes)"),
      MINUTES.map((minutes) => [minutes, String(minutes)]),
      device.settings.lockMinutes,
      (lockMinutes) => put({ lockMinutes }),
    ),
    h("h2", {}, say("Tentang tablet ini", "About this tablet")),
    persistence(app),
    await room(app),
    h(
      "dl",
      {},
      (await facts(app)).map(([name, held]) => [h("dt", {}, name), h("dd", {}, held)]),
    ),
  ];
  return { title: say("Lainnya", "More"), body, place: "lainnya" };
}

async function facts(app) {
  const { device, tablet } = app;
  const { contact, usage, name } = device.facts;
  const month = new Date().toISOString().slice(0, 7);
  const megabytes = ((usage || {})[month] || 0) / 1e6;
  const estimate = await storage();
  return [
    [say("Nama tablet", "Tablet"), name || "–"],
    [say("Posyandu", "Post"), tablet.replica.facts.post.name],
    [say("Masuk sebagai", "Signed in as"), tablet.cadre.name],
    [say("Terakhir terhubung", "Last contact"), contact ? timeWords(contact.at) : say("belum pernah", "never")],
    [say("Selisih jam dengan server", "Clock offset"), contact ? offsetWords(contact.offset) : "–"],
    [say("Data terpakai bulan ini", "Data used this month"), `${decimal(megabytes, 2)} MB`],
    [
      say("Penyimpanan", "Storage"),
      estimate
        ? `${decimal((estimate.usage || 0) / 1e6, 1)} MB ${device.persisted ? say("(dijaga peramban)", "(kept by the browser)") : say("(tidak dijamin peramban)", "(not promised by the browser)")}`
        : "–",
    ],
    [say("Versi aplikasi", "App version"), app.name],
    [say("Nomor tablet", "Tablet id"), tablet.replica.facts.tablet],
  ];
}

function offsetWords(offset) {
  if (Math.abs(offset) < 60) return say("tepat", "right");
  const minutes = Math.round(Math.abs(offset) / 60);
  const words =
    offset > 0
      ? say(`${minutes} menit terlalu cepat`, `${minutes} minutes fast`)
      : say(`${minutes} menit terlalu lambat`, `${minutes} minutes slow`);
  return Math.abs(offset) < CLOCK_TROUBLE_SECONDS ? words : `⚠ ${words}`;
}
