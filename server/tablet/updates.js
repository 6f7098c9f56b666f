/* How the app comes to the tablet and is renewed. Hides the service worker and Trusted Types.
 *
 * A new version is fetched whole beside the one in use and waits. The app is told, and says when it may take over: when no
 * form holds anything that is not saved. Then every window of the app loads itself anew.
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
 * Keep the app on this tablet, and hear of newer versions.
 *
 * @param {() => void} tell called once a newer version is here and waits
 * @returns {Promise<boolean>} whether the app can be kept; not in a private window, nor over plain http to another machine
 */
export async function keepUpToDate(tell) {
  const workers = navigator.serviceWorker;
  if (!workers) return false;
  let kept = workers.controller !== null;
  workers.addEventListener("controllerchange", () => {
    if (!workers.controller) return; // the browser threw the app away: what is on the screen is all there is
    if (kept) location.reload(); // the files on the screen are of the version before
    kept = true;
  });
  registration = await workers.register(scriptUrl("sw.js"));
  const found = registration;
  found.addEventListener("updatefound", () => watch(found.installing, tell));
  watch(found.installing, tell);
  if (found.waiting && kept) tell();
  return true;
}

/** Tell of a version once it is here whole; of the first one there is nothing to tell. */
function watch(worker, tell) {
  if (!worker) return;
  worker.onstatechange = () => {
    if (worker.state === "installed" && registration?.active) tell();
  };
}

/** Ask the server for a newer version: when a line appears, or when it said that this one is too old. */
export async function lookForNewer() {
  await registration?.update();
}

/** Let the version that waits take over. Only when nothing on the screen is unsaved: every window loads anew. */
export function takeOver() {
  registration?.waiting?.postMessage({ type: "activate" });
}
