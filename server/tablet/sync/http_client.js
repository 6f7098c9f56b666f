// HTTP to the server: JSON both ways, which failures are worth another try, and a count of bytes, as cadres pay for them.

import { clock, gzip } from "./bytes.js";

const HEADERS_BYTES = 900; // estimated bytes of request and response headers
const TIMEOUT_MS = 60000; // without an answer, or without more of it: on a slow line a long answer takes longer
const TEMPORARY = new Set([408, 425, 429, 500, 502, 503, 504]);

/** No answer came, or one that may be different later. */
export class NoConnection extends Error {
  /** @param {string} why @param {number} [seconds] how long the server asks to wait */
  constructor(why, seconds = 0) {
    super(why);
    this.seconds = seconds;
  }
}

/** The server refused a request as a whole; `code`, `title` and `title_en` as it said. */
export class Refused extends Error {
  constructor(status, { code = "unknown", title = "", title_en = "", reasons = [] }) {
    super(`${status} ${code}`);
    this.status = status;
    this.code = code;
    this.title = title;
    this.title_en = title_en;
    this.reasons = reasons;
  }
}

export class HttpClient {
  /** @param {string} [origin] @param {(bytes: number) => void} [count] called with the bytes of each exchange */
  constructor(origin = "", count = () => {}) {
    this.origin = origin;
    this.count = count;
    this.serverTime = ""; // the server's clock in the newest answer
    this.pause = 0; // seconds: the newest answer asks not to come again by itself before
  }

  /** @param {string} path @param {Uint8Array} packed gzip of JSON */
  post(path, packed) {
    const headers = { "Content-Type": "application/json", "Content-Encoding": "gzip", "Tablet-Clock": clock() };
    return this.#ask(path, { method: "POST", body: packed, headers }, packed.length);
  }

  /** @param {string} path @param {object} message */
  async send(path, message) {
    return this.post(path, await gzip(JSON.stringify(message)));
  }

  /** @param {string} path */
  get(path) {
    return this.#ask(path, {}, 0);
  }

  async #ask(path, how, sent) {
    const giveUp = new AbortController();
    let timer = 0;
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(() => giveUp.abort(), TIMEOUT_MS);
    };
    const options = { ...how, signal: giveUp.signal, cache: "no-store", credentials: "omit", redirect: "error" };
    try {
      wait();
      const answer = await fetch(this.origin + path, options);
      const text = await whole(answer, wait);
      this.count(sent + HEADERS_BYTES + (Number(answer.headers.get("Content-Length")) || text.length));
      const body = read(answer, text);
      const date = new Date(answer.headers.get("Date") || NaN);
      this.serverTime = Number.isNaN(date.getTime()) ? "" : clock(date);
      this.pause = Number(answer.headers.get("Retry-After")) || 0;
      return body;
    } catch (error) {
      throw error instanceof Refused || error instanceof NoConnection ? error : new NoConnection(String(error));
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The text of an answer. @param {Response} answer @param {() => void} more called whenever more of it has come */
async function whole(answer, more) {
  if (!answer.body) return "";
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    more();
    text += decoder.decode(value, { stream: true });
  }
}

/** A captive portal answers 200 with a page, so only our JSON counts as an answer. */
function read(answer, text) {
  if (TEMPORARY.has(answer.status)) {
    throw new NoConnection(`HTTP ${answer.status}`, Number(answer.headers.get("Retry-After")) || 0);
  }
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    throw new NoConnection("not an answer of this server");
  }
  if (!answer.ok && !(body && body.code)) throw new NoConnection(`HTTP ${answer.status}`);
  if (!answer.ok) throw new Refused(answer.status, body);
  return body;
}
