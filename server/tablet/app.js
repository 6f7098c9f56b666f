// The app around the screens: it shows one screen, opens and locks the tablet, and holds the day that records are dated with.

import { Model, localDay } from "./parts/model.js";
import { h, notice, refill } from "./parts/dom.js";
import { frame } from "./parts/frame.js";
import { shownPost } from "./parts/post_chooser.js";
import { hasRoom } from "./parts/room.js";
import { SCREENS } from "./screens/all.js";
import { OWN_COPY } from "./store/database.js";
import { Engine } from "./sync/engine.js";
import { clock } from "./sync/bytes.js";
import { takeOver } from "./updates.js";
import { say, speak } from "./words/words.js";

const AFTER_SAVING_MS = 5000; // after saving: then changes are sent if there is a connection
const COPY_AFTER_MS = 1500; // after saving: then the sealed copy is renewed
const DRAFT_AFTER_MS = 400; // after the last key press
const LOCK_WITHIN_MS = 2000; // locks after this time even if the draft is not stored yet
const TICK_MS = 15000;
const TRY_EVERY_MS = 600000; // some devices never fire the "online" event

/** A day's list: the day of the tablet, the date that is recorded, and who is here. */
const newSession = () => ({ day: localDay(), date: localDay(), here: [] });

/** The app while a tablet is unlocked, as screens behind the PIN get it. In practice mode `http` and `engine` are null in spite
 * of this type; no screen that sends is shown there.
 * @typedef {App & {tablet: import("./store/tablet.js").Tablet, model: Model, engine: Engine,
 *   http: import("./sync/http_client.js").HttpClient}} OpenApp */

/** The app outside practice. @typedef {App & {http: import("./sync/http_client.js").HttpClient}} ConnectedApp */

export class App {
  /** @param {HTMLElement} root @param {import("./store/device.js").Device} device @param {object} tables of growth
   * @param {import("./sync/http_client.js").HttpClient|null} http null: practice mode, nothing may be sent
   * @param {string} name and version of the app */
  constructor(root, device, tables, http, name) {
    this.root = root;
    this.device = device;
    this.tables = tables;
    this.http = http;
    this.name = name;
    /** @type {import("./store/tablet.js").Tablet|null} null: locked */
    this.tablet = null;
    /** @type {Engine|null} */
    this.engine = null;
    /** @type {Model|null} */
    this.model = null;
    this.newer = false; // a newer version of the app is downloaded and waits
    this.isFull = false; // the device has no room left
    this.day = localDay(); // the day that is recorded
    this.session = newSession();
    this.searched = "";
    this.view = "due"; // which tab of the day's list is shown
    this.watchers = new Set();
    this.touched = Date.now();
    this.tried = 0; // when it was last asked to send
    this.drawn = 0; // number of screens asked for; only the newest is shown
    this.sending = 0; // timers
    this.copying = 0;
    this.keeping = 0;
    this.draft = null; // typed and not saved
    speak(device.settings.language);
  }

  /** This app, where it is certain that a tablet is unlocked. @returns {OpenApp} */
  get #open() {
    return /** @type {OpenApp} */ (this);
  }

  get isPractice() {
    return !this.http;
  }

  // -- opening and locking ---------------------------------------------------------------------------

  /** Somebody unlocked the tablet. @param {import("./store/tablet.js").Tablet} tablet */
  async enter(tablet) {
    const { app } = tablet.replica.facts;
    if (this.http && app !== this.name) await tablet.turn(() => tablet.commit({ facts: { app: this.name } }));
    this.model = new Model(tablet.replica, this.tables, () => shownPost(this));
    tablet.listen((ids) => this.#changed(ids));
    const session = await tablet.draft("session");
    this.session = session && session.day === localDay() ? session : newSession();
    this.day = this.session.date;
    this.touched = Date.now();
    if (this.http) {
      this.engine = new Engine(tablet, this.http, this.device.facts.name || "tablet");
      this.engine.listen(() => this.tell());
      this.isFull = !(await hasRoom(this.device.database));
      await tablet.tidy();
    }
    this.tablet = tablet; // set last: a screen shown earlier would be redrawn and lose typed text
    setInterval(() => this.#tick(), TICK_MS);
    if (!location.hash.startsWith("#/") || location.hash.startsWith("#/buka")) location.hash = "#/hari-ini";
    this.draw();
    this.sendSoon(0);
  }

  /** Store the draft, then reload the page, which drops all decrypted data. After unlocking, the same screen is shown. */
  async lock() {
    if (this.engine) this.engine.stop();
    clearTimeout(this.keeping);
    const patience = new Promise((resolve) => {
      setTimeout(resolve, LOCK_WITHIN_MS);
    });
    await Promise.race([this.#storeDraft(), patience]);
    if (this.newer) takeOver();
    location.reload();
  }

  /** A newer version waits: take it at once while the tablet is locked, else when the user asks for it or the tablet locks. */
  renewable() {
    if (!this.tablet) return takeOver();
    this.newer = true;
    return this.tell();
  }

  #tick() {
    if (this.isPractice) return;
    const idle = Date.now() - this.touched;
    if (idle > this.device.settings.lockMinutes * 60000) this.lock();
    else if (Date.now() - this.tried > TRY_EVERY_MS && this.#open.tablet.replica.waiting().length) this.sendSoon(0);
  }

  // -- the day's list ----------------------------------------------------------------------------------

  /** Keep who is here, and the day that is being recorded. @param {object} changes */
  async keepSession(changes) {
    this.session = { ...this.session, ...changes };
    this.day = this.session.date;
    await this.#open.tablet.putDraft("session", this.session);
    this.#open.model.growth.clear();
    this.tell();
  }

  // -- drafts ------------------------------------------------------------------------------------------

  /** Store what is typed, shortly after the last key. @param {object} draft */
  keepDraft(draft) {
    this.draft = draft;
    clearTimeout(this.keeping);
    this.keeping = setTimeout(() => this.#storeDraft(), DRAFT_AFTER_MS);
  }

  /** The draft is about to be saved as a record. If it were stored again, it would be offered later with an outdated context. */
  dropDraft() {
    clearTimeout(this.keeping);
    this.draft = null;
  }

  async #storeDraft() {
    if (this.draft) await this.#open.tablet.putDraft("draft", this.draft).catch((error) => console.warn(error));
  }

  // -- sending -----------------------------------------------------------------------------------------

  sendSoon(ms = AFTER_SAVING_MS) {
    clearTimeout(this.sending);
    this.tried = Date.now();
    if (!this.engine || !navigator.onLine) return;
    this.sending = setTimeout(() => this.#open.engine.sync(), Math.max(ms, this.engine.rest));
  }

  /** The browser has a connection again. */
  lineBack() {
    clearTimeout(this.sending);
    this.tried = Date.now();
    if (this.engine) this.engine.lineBack();
  }

  /** Something was saved: renew the sealed copy, and send if there is a connection. */
  saved() {
    this.sendSoon();
    clearTimeout(this.copying);
    if (this.engine) this.copying = setTimeout(() => this.#copy().catch((error) => console.warn(error)), COPY_AFTER_MS);
  }

  /** Store the unsent changes sealed to the server, outside the PIN's encryption, so that they can be sent without a PIN. */
  async #copy() {
    const text = await this.#open.engine.sealedBatches();
    await this.device.database.commit([[OWN_COPY, "mine", text ? { text, at: clock() } : undefined]]);
  }

  /** Changes since the last copy outside the browser's storage. */
  uncopied() {
    const copied = this.device.facts.copied || 0;
    return this.#open.tablet.replica.waiting().filter(({ counter }) => counter > copied).length;
  }

  // -- screens -----------------------------------------------------------------------------------------

  /** Be told of every change while this screen is shown. @param {() => void} watcher */
  watch(watcher) {
    this.watchers.add(watcher);
  }

  tell() {
    for (const watcher of [...this.watchers]) watcher();
  }

  #changed(ids) {
    this.#open.model.forget(ids);
    this.tell();
  }

  go(hash) {
    if (location.hash === hash) this.draw();
    else location.hash = hash;
  }

  /** Draw the screen that the address names. If another one is asked for meanwhile, the earlier one is not shown. */
  draw() {
    this.watchers.clear();
    const turn = ++this.drawn;
    const [name, ...rest] = location.hash.replace(/^#\//, "").split("/").map(decodeURIComponent);
    const gate = !this.tablet && (this.device.cadres.length ? "buka" : "daftar");
    const screen = SCREENS[gate || name] || SCREENS[this.tablet ? "hari-ini" : "buka"];
    Promise.resolve(screen(this, ...rest))
      .then((shown) => turn === this.drawn && this.#show(shown))
      .catch((error) => this.failed(error));
  }

  #show(shown) {
    refill(this.root, frame(this, shown));
    window.scrollTo(0, 0);
    const heading = this.root.querySelector("h1");
    if (heading) heading.focus();
    document.title = `${shown.tab || shown.title} · Posyandu`; // kept in the browser's history, so it never has a child's name
  }

  /** Show an unexpected error, and that saved data is safe. @param {Error} error */
  failed(error) {
    console.error(error);
    const text = say("Something went wrong in the app. What was saved is safe. Load the app again.");
    this.root.prepend(
      notice(
        "bad",
        h("p", {}, text),
        h("p", { class: "fine" }, `${error.name}: ${error.message}`),
        h("button", { onclick: () => location.reload() }, say("Load again")),
      ),
    );
  }
}
