// Words for what kept something from being saved.

import { say } from "../words/words.js";

/** Why something could not be saved, and what to do. @param {any} error */
export function failure(error) {
  const words = {
    Full: [
      "memori tablet penuh. Hapus foto atau aplikasi lain, lalu simpan lagi.",
      "the tablet's memory is full. Delete photos or other apps, then save again.",
    ],
    Stale: [
      "aplikasi terbuka di dua jendela. Tutup yang satu, muat ulang, lalu simpan lagi.",
      "the app is open in two windows. Close one, load again, then save again.",
    ],
    Unavailable: [
      "penyimpanan tablet tidak dapat dipakai. Catat di kertas, simpan salinan tersegel (Kirim › Salinan tersegel), lalu tutup dan buka lagi aplikasi.",
      "the tablet's storage cannot be used. Write on paper, keep a sealed copy (Send › Sealed copies), then close the app and open it again.",
    ],
  };
  const found = words[error.constructor.name];
  return found ? say(...found) : String(error);
}
