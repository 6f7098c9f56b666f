// Sends the sealed batches that lie on the device while no tablet is unlocked: also those of a tablet that was wiped and is not
// enrolled any more. At the start, when the browser says that there is a line, and again after pauses.

import { deliver } from "../sync/engine.js";
import { NoConnection } from "../sync/http_client.js";

const FIRST_PAUSE_MS = 2000;
const LONGEST_PAUSE_MS = 30000;

export class Courier {
  /** @param {import("../app.js").ConnectedApp} app */
  constructor(app) {
    this.app = app;
    this.pause = FIRST_PAUSE_MS;
    this.timer = 0;
  }

  /** There may be a line: try now. */
  hurry() {
    this.pause = FIRST_PAUSE_MS;
    this.#go();
  }

  #go() {
    clearTimeout(this.timer);
    const { app } = this;
    if (app.tablet) return; // its engine delivers them
    if (!navigator.onLine) this.#again(LONGEST_PAUSE_MS);
    else
      deliver(app.device, app.http).catch((error) => {
        if (!(error instanceof NoConnection)) throw error;
        this.#again(error.seconds * 1000 + this.pause * (0.5 + Math.random() / 2));
      });
  }

  #again(pause) {
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE_MS);
    this.timer = setTimeout(() => this.#go(), pause);
  }
}
