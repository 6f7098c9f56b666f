/* Installing and updating the app. Hides the service worker and Trusted Types.
 *
 * A new version is downloaded completely while the old one stays in use, and then waits. The app is told of it and says when
 * it may take over: when no form has unsaved input. Then every window of the app reloads.
 */

const policy = /** @type {any} */ (window).trustedTypes?.createPolicy("posyandu", {
  createScriptURL: (name) => {
    const url = new URL(name, import.meta.url);
    if (url.origin !== location.origin) throw new TypeError(`not ours: ${name}`);
    return url.href;
  },
});

/**
 * Give the address of a script of ours, in the form that a strict page accepts (for `new Worker` too).
 *
 * @param {string} name below /tablet-app/
 */
export function scriptUrl(name) {
  return policy ? policy.createScriptURL(name) : new URL(name, import.meta.url).href;
}

/** @type {ServiceWorkerRegistration | undefined} */
let registration;

/**
 * Install the app on this tablet, and watch for newer versions.
 *
 * @param {() => void} tell called when a newer version is downloaded and waits
 * @returns {Promise<boolean>} whether the app can be installed: not in a private window, nor over plain http to another machine
 */
export async function keepUpToDate(tell) {
  const workers = navigator.serviceWorker;
  if (!workers) return false;
  let kept = workers.controller !== null;
  workers.addEventListener("controllerchange", () => {
    if (!workers.controller) return; // the browser deleted the installed app; the open page goes on without it
    if (kept) location.reload(); // the open page still runs the previous version
    kept = true;
  });
  registration = await workers.register(scriptUrl("sw.js"));
  const found = registration;
  found.addEventListener("updatefound", () => watch(found.installing, tell));
  watch(found.installing, tell);
  if (found.waiting && kept) tell();
  return true;
}

/** Call `tell` when a version is downloaded completely, except for the first one. */
function watch(worker, tell) {
  if (!worker) return;
  worker.onstatechange = () => {
    if (worker.state === "installed" && registration?.active) tell();
  };
}

/** Ask the server for a newer version: when the connection is back, or when the server said that this one is too old. */
export async function lookForNewer() {
  await registration?.update();
}

/** Let the waiting version take over. Call it only when nothing on the screen is unsaved: every window reloads. */
export function takeOver() {
  registration?.waiting?.postMessage({ type: "activate" });
}
