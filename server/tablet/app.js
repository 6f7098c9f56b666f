// The app around the screens: it shows one screen, opens and locks the tablet, and holds the day that records are dated with.

import { Drafts } from "./parts/drafts.js";
import { Model, localDay } from "./parts/model.js";
import { h, notice, refill } from "./parts/dom.js";
import { Courier } from "./parts/courier.js";
import { frame } from "./parts/frame.js";
import { shownPost } from "./parts/post_chooser.js";
import { handOverAndWipe, wipeWarning } from "./parts/remote_wipe.js";
import { hasRoom } from "./parts/room.js";
import { failure, isOfStorage } from "./parts/save_failure.js";
import { SCREENS } from "./screens/all.js";
import { storageGone, typedOn } from "./screens/storage_gone.js";
import { Full } from "./store/database.js";
import { Engine } from "./sync/engine.js";
import { takeOver } from "./updates.js";
import { say, speak } from "./words/words.js";

const AFTER_SAVING_MS = 5000; // after saving: then changes are sent if there is a connection
const COPY_AFTER_MS = 1500; // after saving: then the many parts of the sealed copy become few
const LOCK_WITHIN_MS = 2000; // locks after this time even if the drafts are not stored yet
const TICK_MS = 15000;
const TRY_EVERY_MS = 600000; // some devices never fire the "online" event

/** A day's list: the day of the tablet, the date that is recorded, and who is here. */
const newSession = () => ({ day: localDay(), date: localDay(), here: [] });

/** The app while a tablet is unlocked, as screens behind the PIN get it. In practice mode `http` and `engine` are null in spite
 * of this type; no screen that sends is shown there.
 * @typedef {App & {tablet: import("./store/tablet.js").Tablet, model: Model, engine: Engine, drafts: Drafts,
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
    /** @type {Drafts|null} typed and not saved */
    this.drafts = null;
    this.newer = false; // a newer version of the app is downloaded and waits
    this.isFull = false; // the device has no room left
    this.day = localDay(); // the day that is recorded
    this.session = newSession();
    this.view = "due"; // which tab of the day's list is shown
    this.watchers = new Set();
    this.touched = Date.now();
    this.tried = 0; // when it was last asked to send
    this.drawn = 0; // number of screens asked for; only the newest is shown
    this.sending = 0; // timers
    this.copying = 0;
    this.opening = false; // a PIN is being tried: another one would make a second engine
    this.isPinDue = false; // the health centre asks for a longer PIN than the one that opened the tablet
    this.wipeAtLock = ""; // why this tablet is wiped when it locks
    this.probing = false; // whether the storage is there is being found out
    this.gone = ""; // where the storage is if not here: then nothing is drawn any more
    this.safeToClose = false; // what was only in memory has been handed out
    this.courier = new Courier(/** @type {ConnectedApp} */ (this));
    device.database.troubled = () => this.#storageTroubled();
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
    if (this.device.facts.leaving) return this.#leave(tablet);
    const { app } = tablet.replica.facts;
    if (this.http && app !== this.name) await tablet.turn(() => tablet.commit({ facts: { app: this.name } }));
    this.model = new Model(tablet.replica, this.tables, () => shownPost(this));
    this.drafts = await Drafts.open(tablet);
    this.drafts.failed = (error) => this.#draftFailed(error);
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
      await tablet.renewCopy();
      await this.device.keepBox(tablet.vault.dataKey);
    }
    this.isPinDue = Boolean(this.http) && this.device.newPin(tablet.cadre.author, localDay()).isDue;
    this.tablet = tablet; // set last: a screen shown earlier would be redrawn and lose typed text
    setInterval(() => this.#tick(), TICK_MS);
    if (!location.hash.startsWith("#/") || location.hash.startsWith("#/buka")) location.hash = "#/hari-ini";
    this.draw();
    this.sendSoon(0);
    tablet.strengthen?.().catch((error) => console.info(error)); // tried again at the next unlocking
  }

  /** A wipe waited for this PIN: seal what the copy lacks, and wipe. @param {import("./store/tablet.js").Tablet} tablet */
  async #leave(tablet) {
    await tablet.renewCopy();
    await handOverAndWipe(/** @type {ConnectedApp} */ (this), this.device.facts.leaving.why);
  }

  /** Store the drafts, then reload the page, which drops all decrypted data. After unlocking, the same screen is shown. */
  async lock() {
    if (this.gone) return;
    if (this.engine) this.engine.stop();
    await this.#storeDrafts();
    if (this.wipeAtLock) {
      await handOverAndWipe(/** @type {ConnectedApp} */ (this), this.wipeAtLock);
      return;
    }
    if (this.newer) takeOver();
    location.reload();
  }

  /** Use the newer version that waits: store the drafts, then every window reloads. */
  async renew() {
    await this.#storeDrafts();
    takeOver();
  }

  async #storeDrafts() {
    const patience = new Promise((resolve) => {
      setTimeout(resolve, LOCK_WITHIN_MS);
    });
    await Promise.race([this.#open.drafts.store(), patience]);
  }

  /** A newer version waits: take it at once while the tablet is locked, else when the user asks for it or the tablet locks. */
  renewable() {
    if (!this.tablet) return takeOver();
    this.newer = true;
    return this.tell();
  }

  #tick() {
    if (this.isPractice || this.gone) return;
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

  #draftFailed(error) {
    if (isOfStorage(error)) return console.info(error); // told by the screen that takes over
    console.warn(error);
    this.#tellTrouble(notice("look", say("What you type is not kept until you save: "), failure(error)));
  }

  // -- sending -----------------------------------------------------------------------------------------

  sendSoon(ms = AFTER_SAVING_MS) {
    clearTimeout(this.sending);
    this.tried = Date.now();
    if (!this.engine || this.gone || !navigator.onLine) return;
    this.sending = setTimeout(() => this.#open.engine.sync(), Math.max(ms, this.engine.rest));
  }

  /** The browser has a connection again. */
  lineBack() {
    if (this.gone) return; // its screen sends what is in memory
    clearTimeout(this.sending);
    this.tried = Date.now();
    if (this.engine) this.engine.lineBack();
    else if (this.http) this.courier.hurry();
  }

  /** Something was saved, and its sealed copy with it: send if there is a connection. */
  saved() {
    this.sendSoon();
    clearTimeout(this.copying);
    if (this.engine) this.copying = setTimeout(() => this.#open.tablet.renewCopy(), COPY_AFTER_MS);
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
    if (this.gone) return;
    this.watchers.clear();
    const turn = ++this.drawn;
    const [name, ...rest] = location.hash.replace(/^#\//, "").split("/").map(decodeURIComponent);
    const locked = this.device.cadres.length ? "buka" : "daftar";
    const gate = this.tablet ? this.isPinDue && "pin-baru" : locked;
    const screen = SCREENS[gate || name] || SCREENS[this.tablet ? "hari-ini" : "buka"];
    Promise.resolve(screen(this, ...rest))
      .then((shown) => turn === this.drawn && this.#show(shown))
      .catch((error) => this.failed(error));
  }

  #show(shown) {
    this.root.classList.toggle("filled", Boolean(shown.bare)); // measure.css
    this.root.scrollTop = 0;
    refill(this.root, frame(this, shown));
    this.warn();
    window.scrollTo(0, 0);
    const heading = this.root.querySelector("h1");
    if (heading) heading.focus();
    document.title = `${shown.tab || shown.title} · Posyandu`; // kept in the browser's history, so it never has a child's name
  }

  /** Say above the screen that this tablet is to be wiped, or soon. */
  warn() {
    const old = this.root.querySelector(".wipe-warning");
    if (old) old.remove();
    const main = this.root.querySelector("main");
    const isForm = main && main.classList.contains("bare"); // there only what is due is said
    const warning = isForm && !this.wipeAtLock ? null : wipeWarning(this);
    if (warning && main) main.prepend(h("div", { class: "wipe-warning" }, warning));
  }

  // -- failures ----------------------------------------------------------------------------------------

  /** Show an unexpected error, and that saved data is safe. @param {any} error */
  failed(error) {
    if (isOfStorage(error)) return console.info(error); // told by the screen that takes over
    console.error(error);
    if (error instanceof Full) this.#tellTrouble(notice("bad", say("NOT saved: "), failure(error)));
    else this.#tellTrouble(this.#unexpected(error));
  }

  #unexpected(error) {
    const again = () => {
      this.#tellTrouble(null);
      this.draw();
    };
    return notice(
      "bad",
      h("p", {}, say("Something went wrong in the app. What was saved is safe. Write down what is typed here, then open the screen again.")),
      h("button", { onclick: again }, say("Open the screen again")),
      h("details", {}, h("summary", {}, say("For the health centre")), h("p", { class: "fine" }, String(error))),
    );
  }

  /** Only the newest trouble stands above the screen. @param {Element|null} told */
  #tellTrouble(told) {
    const old = this.root.querySelector(".trouble");
    if (old) old.remove();
    if (told && !this.gone) this.root.prepend(h("div", { class: "trouble" }, told));
  }

  /** The storage failed: find out whether it is there still, and tell the truth. */
  async #storageTroubled() {
    if (this.gone || this.probing) return;
    this.probing = true;
    const where = await this.device.whereabouts();
    this.probing = false;
    if (where === "here") {
      this.#tellTrouble(notice("bad", say("The storage did not answer for a moment. If nothing says saved, save once more.")));
      return;
    }
    if (where === "gone" && !this.device.isEnrolled && !this.isPractice) {
      location.reload(); // nothing was on it
      return;
    }
    this.gone = where;
    if (this.engine) this.engine.stop();
    clearTimeout(this.sending);
    clearTimeout(this.copying);
    window.addEventListener("beforeunload", (event) => {
      if (this.safeToClose || where !== "gone" || this.isPractice) return;
      event.preventDefault();
      event.returnValue = true; // older browsers
    });
    const typed = typedOn(this.root);
    const { title, body } = storageGone(this, where, typed);
    const heading = h("h1", { tabindex: "-1" }, title);
    refill(this.root, h("header", { class: "top" }, heading), h("main", { id: "main", class: "gone", role: "alert" }, body));
    window.scrollTo(0, 0);
    heading.focus();
    document.title = "Posyandu";
  }
}
