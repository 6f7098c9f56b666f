// Hands something out of the app, by a tap alone: through the share sheet where there is one, else as a file or by printing.

import { h } from "./dom.js";

/** @typedef {"shared"|"saved"|"left"} HandedOut "left": the share sheet was closed again */

/** Hand out one file, and nothing beside it. @param {File} file @returns {Promise<HandedOut>} */
export async function handOutFile(file) {
  if (navigator.canShare && navigator.canShare({ files: [file] })) {
    const shared = await offered({ files: [file] });
    if (shared) return shared;
  }
  const url = URL.createObjectURL(file);
  const link = h("a", { href: url, download: file.name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
  return "saved";
}

/** Hand out a text; where there is no share sheet, as a file. @param {string} text @param {string} name of the file
 * @returns {Promise<HandedOut>} */
export async function handOutText(text, name) {
  const shared = "share" in navigator ? await offered({ text }) : null;
  return shared || handOutFile(new File([text], name, { type: "text/plain" }));
}

/** @param {ShareData} what @returns {Promise<HandedOut|null>} null: it cannot be shared */
async function offered(what) {
  try {
    await navigator.share(what);
    return "shared";
  } catch (error) {
    return error instanceof Error && error.name === "AbortError" ? "left" : null;
  }
}
