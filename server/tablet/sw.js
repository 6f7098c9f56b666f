/* The service worker: stores one complete version of the app on the tablet, so that it starts offline.
 *
 * The server writes VERSION, FILES ([name, hash, kind] of each), LATER and PIECES above this line. Rules kept here:
 * - A version is stored completely or not at all: every file must have its listed hash, else installing fails and the browser
 *   tries again later. Files that did not change since the last version are not downloaded again.
 * - The first version comes as one archive (PIECES, [name, hash] of each): a piece that came is kept for the next try.
 * - A new version waits: it takes over when the page says so ({type: "activate"}), or when no window of the app is open.
 * - LATER lists files in the same form that not every tablet needs: each is stored when it is first asked for.
 * - Only GETs of listed files are answered from the cache; no other answer is ever added to it. /api/ and all other requests
 *   go to the network unchanged, so no answer with personal data is ever cached.
 */
/* global VERSION, FILES, LATER, PIECES */

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const OURS = "posyandu-tablet ";
const CACHE = OURS + VERSION;
const OURS_IN_PIECES = "posyandu-pieces ";
const CACHE_OF_PIECES = OURS_IN_PIECES + VERSION;
const PIECE_WITHIN_MS = 60000;
const NEW_LINE = 10;
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
    if (worker.registration.active) await Promise.all(FILES.map((file) => keep(fresh, file)));
    else await keepArchive(fresh);
    await Promise.all(LATER.map((file) => keepAgain(fresh, file)));
  } catch (error) {
    await caches.delete(CACHE);
    throw error;
  }
}

/** Put one file into the cache: from an older version if it is the same, else from the server. */
async function keep(fresh, file) {
  if (await keepAgain(fresh, file)) return;
  const [name, hash] = file;
  await fresh.put(new URL(name, HOME), await fetched(name, hash));
}

/** Take a file over from an older version if it is the same. */
async function keepAgain(fresh, [name, hash, kind]) {
  const older = await caches.match(new URL(name, HOME));
  if (older?.headers.get("ETag") !== etag(hash, kind)) return false;
  await fresh.put(new URL(name, HOME), older);
  return true;
}

/** The ETag as the server makes it: of the headers, and of the bytes. */
function etag(hash, kind) {
  return `W/"${kind}${hash.slice(0, 16)}"`;
}

async function fetched(name, hash, signal) {
  const how = { cache: "no-cache", credentials: "omit", integrity: `sha256-${hash}`, signal };
  const answer = await fetch(new Request(new URL(name, HOME), /** @type {RequestInit} */ (how)));
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return answer;
}

/** Put all files into the cache, out of the archive. */
async function keepArchive(fresh) {
  await deleteCaches((name) => name.startsWith(OURS_IN_PIECES) && name !== CACHE_OF_PIECES);
  const pieces = await caches.open(CACHE_OF_PIECES);
  for (const [at, piece] of PIECES.entries()) {
    await keepPiece(pieces, piece);
    await tell({ type: "piece", done: at + 1, of: PIECES.length });
  }
  const found = await Promise.all(PIECES.map(([name]) => pieces.match(new URL(name, HOME))));
  try {
    const files = await unpacked(new Blob(await Promise.all(found.map((piece) => /** @type {Response} */ (piece).blob()))));
    await Promise.all(FILES.map((file) => keepUnpacked(fresh, file, files)));
  } finally {
    await caches.delete(CACHE_OF_PIECES); // if they cannot be unpacked they are of no use either
  }
}

async function keepPiece(pieces, [name, hash]) {
  if (await pieces.match(new URL(name, HOME))) return;
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PIECE_WITHIN_MS); // a line may fall silent without being cut
  try {
    await pieces.put(new URL(name, HOME), await fetched(name, hash, patience.signal));
  } finally {
    clearTimeout(timer);
  }
}

/** Unpack an archive: gzip over a line of JSON that lists the files, and their bytes in that order. */
async function unpacked(archive) {
  const stream = archive.stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  let at = bytes.indexOf(NEW_LINE) + 1;
  const { files, headers } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, at)));
  const found = new Map();
  for (const [name, length, kind, type] of files) {
    found.set(name, { body: bytes.subarray(at, at + length), headers: { ...headers[kind], "Content-Type": type } });
    at += length;
  }
  return found;
}

async function keepUnpacked(fresh, [name, hash, kind], files) {
  const { body, headers } = files.get(name);
  const found = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
  if (btoa(String.fromCharCode(...found)) !== hash) throw new Error(`${name}: other bytes`);
  await fresh.put(new URL(name, HOME), new Response(body, { headers: { ...headers, ETag: etag(hash, kind) } }));
}

async function tell(message) {
  const pages = await worker.clients.matchAll({ includeUncontrolled: true, type: "window" });
  for (const page of pages) page.postMessage(message);
}

async function takeOver() {
  await deleteCaches((name) => (name.startsWith(OURS) && name !== CACHE) || name.startsWith(OURS_IN_PIECES));
  await worker.clients.claim();
}

async function deleteCaches(isMeant) {
  await Promise.all((await caches.keys()).filter(isMeant).map((name) => caches.delete(name)));
}

/** Return the name of the listed file that is requested, or null for any other request. */
function nameOf(request) {
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== HOME.origin || !url.pathname.startsWith(HOME.pathname)) return null;
  if (request.mode === "navigate") return "app.html";
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
