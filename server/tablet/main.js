// The start: loads tables and words, opens the device, and does what must be done before anybody types a PIN.

import { App } from "./app.js";
import { readTables } from "./growth/tables.js";
import { h, notice } from "./parts/dom.js";
import { Device } from "./store/device.js";
import { HttpClient } from "./sync/http_client.js";
import { wipeWhereDue } from "./parts/remote_wipe.js";
import { learn } from "./words/words.js";
import { keepUpToDate, lookForNewer } from "./updates.js";
import { practiceDevice } from "./parts/practice.js";
import { keepTaps } from "./parts/taps.js";
import { keepReader } from "./parts/qr_reader.js";
import { APP } from "./version.js";

const PRACTICE = "latihan";
const OWN_NAME = /\/app\.html$/;
const PATIENCE_MS = 3000;

/** Whether no other window of the app is open: two windows would overwrite each other's data. */
async function onlyWindow() {
  if (!navigator.locks) return true; // the database refuses the second writer anyway
  return new Promise((resolve) => {
    const patience = new AbortController();
    setTimeout(() => patience.abort(), PATIENCE_MS); // a page that is being reloaded may hold the lock for a moment
    const held = () => {
      resolve(true);
      return new Promise(() => {}); // held until the window closes
    };
    navigator.locks.request("posyandu", { signal: patience.signal }, held).catch(() => resolve(false));
  });
}

/** Count the bytes used in the calendar month, as cadres pay for them. */
function counter(device) {
  return (bytes) => {
    const month = new Date().toISOString().slice(0, 7);
    const held = device.facts.usage || {};
    device.facts.usage = { [month]: (held[month] || 0) + bytes };
  };
}

/** The page's own name is where the first visit leads to; any address is the app's once it is installed. */
function shortenAddress() {
  if (OWN_NAME.test(location.pathname)) history.replaceState(null, "", `./${location.search}${location.hash}`);
}

async function start(root) {
  shortenAddress();
  const practising = new URLSearchParams(location.search).has(PRACTICE);
  const [growth, words] = await Promise.all(
    ["growth.json", "words.json"].map(async (name) => (await fetch(name)).json()),
  );
  const tables = readTables(growth);
  learn(words);
  if (practising) {
    const device = await practiceDevice((await Device.open()).settings);
    const app = new App(root, device, tables, null, APP);
    listen(app);
    await app.enter(device.tablet);
    return;
  }
  const device = await Device.open();
  const app = new App(root, device, tables, new HttpClient("", counter(device)), APP);
  listen(app);
  app.draw();
  askToKeep(app).catch((error) => console.info(error)); // as if it was refused
  keepUpToDate(() => app.renewable()).catch((error) => console.info(error)); // the app runs without it, or is being closed
  keepReader().catch((error) => console.warn(error));
  if (device.isEnrolled)
    wipeWhereDue(/** @type {import("./app.js").ConnectedApp} */ (app)).catch((error) => app.failed(error));
  app.courier.hurry();
}

/** Ask the browser to keep what is stored. Firefox asks its user: the app does not wait for that. */
async function askToKeep(app) {
  if (!navigator.storage || !navigator.storage.persist) return;
  app.device.persisted = await navigator.storage.persist();
  app.tell();
}

function listen(app) {
  const tell = (event, error) => {
    event.preventDefault(); // told on the screen, and written to the console once
    app.failed(error);
  };
  window.addEventListener("hashchange", () => app.draw());
  keepTaps();
  window.addEventListener("online", () => {
    app.lineBack();
    lookForNewer().catch((error) => console.info(error)); // asked again at the next start
  });
  for (const sign of ["pointerdown", "keydown"])
    window.addEventListener(sign, () => (app.touched = Date.now()), { passive: true });
  window.addEventListener("error", (event) => event.error && tell(event, event.error));
  window.addEventListener("unhandledrejection", (event) => tell(event, event.reason));
}

async function run() {
  const root = /** @type {HTMLElement} */ (document.getElementById("app"));
  if (!(await onlyWindow())) {
    const words = "Aplikasi sudah terbuka di jendela lain. / The app is open in another window.";
    root.append(notice("look", h("p", {}, words)));
    return;
  }
  try {
    await start(root);
  } catch (error) {
    console.error(error);
    const words =
      "Aplikasi tidak dapat dibuka. Tutup lalu buka lagi. / The app cannot open. Close it and open it again.";
    root.prepend(notice("bad", h("p", {}, words), h("p", { class: "fine" }, String(error))));
  }
}

const unsupported = document.getElementById("unsupported");
if (!unsupported || unsupported.hidden) {
  if (unsupported) unsupported.remove(); // main.js runs: later failures have their own messages
  run();
}
