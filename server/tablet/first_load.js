/* The first visit: the service worker fetches the app as one archive; this screen says how far it is, then opens the app.
 *
 * - A line that is cut, or a browser that is closed, costs the piece that was under way: the worker keeps the others.
 * - Where nothing can be installed (private windows) or the archive fails though the server answers, the app is opened all
 *   the same, and loads file by file.
 */

import { scriptUrl } from "./updates.js";

const TRIES = 3; // without a new piece, while the server answers
const PAUSE_MS = 1000; // doubled with each failure
const PAUSE_MOST_MS = 15000;
const DOWNLOADING = "Aplikasi sedang diunduh, sekali saja. / The app is being downloaded, once only.";
const WAITING = "Menunggu sambungan. Unduhan lanjut sendiri. / Waiting for a connection. The download goes on by itself.";

const told = /** @type {HTMLElement} */ (document.getElementById("told"));
const progress = /** @type {HTMLProgressElement} */ (document.getElementById("progress"));
let failures = 0;

function tell(sentence) {
  if (told.textContent !== sentence) told.textContent = sentence;
}

function hear({ data }) {
  if (!data || data.type !== "piece") return;
  if (data.done > progress.value) failures = 0;
  progress.max = data.of;
  progress.value = data.done;
  tell(DOWNLOADING);
}

/** Resolve when a version is installed and active. */
async function installed() {
  const registration = await navigator.serviceWorker.register(scriptUrl("sw.js"));
  const worker = registration.active || registration.waiting || registration.installing;
  await new Promise((resolve, reject) => {
    const look = () => {
      if (!worker || worker.state === "redundant") reject(new TypeError("not installed"));
      else if (worker.state === "activated") resolve(null);
    };
    if (worker) worker.onstatechange = look;
    look();
  });
}

/** Whether the server answers, so that a failure was not the line's. */
async function isReached() {
  try {
    return (await fetch("app.html", { method: "HEAD", cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

/** Wait longer after each failure, but no longer than until the line is back. */
function pause(failed) {
  return new Promise((resolve) => {
    addEventListener("online", resolve, { once: true });
    setTimeout(resolve, Math.min(PAUSE_MS * 2 ** failed, PAUSE_MOST_MS));
  });
}

async function install() {
  for (let failed = 0; failures < TRIES; failed += 1) {
    try {
      return await installed();
    } catch (error) {
      console.info(error);
      if (!(error instanceof TypeError)) return; // the browser refuses: nothing can be installed
    }
    if (await isReached()) failures += 1;
    else tell(WAITING);
    if (failures < TRIES) await pause(failed);
  }
}

async function run() {
  if (navigator.serviceWorker) {
    navigator.serviceWorker.addEventListener("message", hear);
    navigator.serviceWorker.startMessages();
    await install();
  }
  location.replace(`app.html${location.search}${location.hash}`);
}

if (/** @type {HTMLElement} */ (document.getElementById("unsupported")).hidden) run();
