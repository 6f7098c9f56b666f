// Practice mode: made-up children in a database of their own, without a connection, so nothing of it can reach a server.

import { Database } from "../store/database.js";
import { Device } from "../store/device.js";
import { newDeviceKey } from "../store/vault.js";
import { newKeys } from "../sync/chain.js";
import { newId } from "../sync/bytes.js";
import { newFacts } from "../sync/replica.js";
import { say, speak } from "../words/words.js";

const NAME = "posyandu-latihan";
const DAY_MS = 86400000;

/** Recognisably made up: [name, sex, age in days, weights of the last months in grams, lengths in millimetres]. */
/** @type {Array<[string, string, number, number[], number[]]>} */
const CHILDREN = [
  ["Melati Contoh", "F", 400, [8300, 8500, 8650], [735, 742, 751]],
  ["Bintang Contoh", "M", 250, [7600, 7900, 8100], [680, 691, 702]],
  ["Kenanga Contoh", "F", 760, [8600, 8600, 8550], [790, 795, 800]],
  ["Rimba Contoh", "M", 1200, [13400, 13500, 13700], [945, 950, 956]],
  ["Teratai Contoh", "F", 95, [4200, 5100], [545, 575]],
  ["Elang Contoh", "M", 640, [8000, 8100, 7900], [770, 774, 778]],
  ["Anggrek Contoh", "F", 1500, [16900, 17200, 17400], [1020, 1026, 1031]],
  ["Samudra Contoh", "M", 45, [3600], [520]],
];

/** A new device each time. @param {object} settings of the real one, its language among them
 * @returns {Promise<Device & {tablet: import("../store/tablet.js").Tablet}>} */
export async function practiceDevice(settings) {
  speak(settings.language);
  await Database.remove(NAME);
  const device = await Device.open(NAME);
  const post = { id: newId(), name: say("Practice post") };
  const welcome = { tablet: newId(), district: "00.00", post, limits: { changes: 200, bytes: 262144 }, sealing: null };
  await device.note({
    settings,
    tablet: { ...newFacts(welcome, "latihan"), more: false },
    keys: { signing: await newKeys(), device: await newDeviceKey() },
    name: say("Practice"),
  });
  const tablet = await device.begin(say("Practice cadre"), "000000");
  for (const child of CHILDREN) await madeUp(tablet, post, child);
  return Object.assign(device, { tablet });
}

async function madeUp(tablet, post, [name, sex, days, weights, lengths]) {
  const born_on = daysAgo(days);
  const form = await tablet.replica.open("child", {}, newId());
  await tablet.write(form, {
    post: { post: post.id },
    identity: { name, sex, born_on, birth_order: null },
    parents: { mother: say("Sari (example)") },
  });
  for (const [at, weight_g] of weights.entries()) {
    const measured_on = daysAgo(30 * (weights.length - at));
    const opened = await tablet.replica.open("measurement", { child: form.id, measured_on, source: "cadre" });
    const position = days - 30 * (weights.length - at) < 730 ? "lying" : "standing";
    await tablet.write(opened, { weight: { weight_g, oedema: "n" }, length: { length_mm: lengths[at], position } });
  }
}

const daysAgo = (days) => new Date(Date.now() - days * DAY_MS).toISOString().slice(0, 10);
