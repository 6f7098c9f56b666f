/* The app's beginning. */

import { keepUpToDate } from "./updates.js";

await keepUpToDate(() => {});
