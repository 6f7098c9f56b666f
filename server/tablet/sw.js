/* The service worker: stores one complete version of the app on the tablet, so that it starts offline.
 *
 * The server writes VERSION and FILES ([name, hash, ETag] of each) above this line. Rules kept here:
 * - A version is stored completely or not at all: every file must have its listed hash, else installing fails and the browser
 *   tries again later. Files that did not change since the last version are not downloaded again.
 * - A new version waits: it takes over when the page says so ({type: "activate"}), or when no window of the app is open.
 * - LATER lists files in the same form that not every tablet needs: each is stored when it is first asked for.
 * - Only GETs of listed files are answered from the cache; no other answer is ever added to it. /api/ and all other requests
 *   go to the network unchanged, so no answer with personal data is ever cached.
 */
/* global VERSION, FILES, LATER */

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const OURS = "posyandu-tablet ";
const CACHE = OURS + VERSION;
const HOME = new URL("./", worker.location.href);
const NAMES = new Set([...FILES, ...LATER].map(([name]) => name));

worker.addEventListener("install", (event) => event.waitUntil(keepAll()));
worker.addEventListener("activate", (event) => event.waitUntil(takeOver()));

worker.addEventListener("message", (event) => {
  if (event.data?.type === "activate") event.waitUntil(worker.skipWaiting());
});

worker.addEventListener("fetch", (event) => {
  const name = nameOf(event.request);
  if (name !== null) event.respondWith(kept(name, event.request));
});

async function keepAll() {
  const fresh = await caches.open(CACHE);
  try {
    await Promise.all(FILES.map((file) => keep(fresh, file)));
    await Promise.all(LATER.map((file) => keepAgain(fresh, file)));
  } catch (error) {
    await caches.delete(CACHE);
    throw error;
  }
}

/** Put one file into the cache: from an older version if it is the same, else from the server. */
async function keep(fresh, [name, integrity, tag]) {
  const older = await caches.match(new URL(name, HOME));
  if (older?.headers.get("ETag") === tag) return fresh.put(new URL(name, HOME), older);
  const ask = (cache) => fetch(new Request(new URL(name, HOME), { cache, credentials: "omit", integrity }));
  const answer = await ask("force-cache").catch(() => ask("no-cache")); // the browser's cache has it if the page has just loaded it
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return fresh.put(new URL(name, HOME), answer);
}

/** Take over a file of LATER from an older version if it was stored and is the same. */
async function keepAgain(fresh, [name, , tag]) {
  const older = await caches.match(new URL(name, HOME));
  if (older?.headers.get("ETag") === tag) await fresh.put(new URL(name, HOME), older);
}

async function takeOver() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(OURS) && name !== CACHE).map((name) => caches.delete(name)));
  await worker.clients.claim();
}

/** Return the name of the listed file that is requested, or null for any other request. */
function nameOf(request) {
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== HOME.origin || !url.pathname.startsWith(HOME.pathname)) return null;
  if (request.mode === "navigate") return "index.html";
  const name = url.pathname.slice(HOME.pathname.length);
  return NAMES.has(name) ? name : null;
}

async function kept(name, request) {
  const cache = await caches.open(CACHE);
  const held = await cache.match(new URL(name, HOME));
  const later = held ? null : LATER.find(([one]) => one === name);
  if (!later) return held ?? fetch(request);
  await keep(cache, later);
  return /** @type {Response} */ (await cache.match(new URL(name, HOME)));
}
