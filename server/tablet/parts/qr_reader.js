// Reading a QR code from the camera: by the browser's BarcodeDetector where there is one, else by jsQR, which is loaded only then.

const LIBRARY = "jsqr.js";
const FORMAT = "qr_code";
const WIDTH = 480; // of the picture that jsQR looks at: enough for a sticker, and quick

/** @typedef {(video: HTMLVideoElement) => Promise<string|null>} Read the text of the code in view, or null */

/** The browser's own reader, as far as it is used here; the type library does not know it.
 * @typedef {{detect: (source: HTMLVideoElement) => Promise<Array<{rawValue: string}>>}} Detector */

/** @returns {Promise<Detector|null>} */
async function ownDetector() {
  const Detector = /** @type {any} */ (globalThis).BarcodeDetector;
  if (!Detector) return null;
  try {
    return (await Detector.getSupportedFormats()).includes(FORMAT) ? new Detector({ formats: [FORMAT] }) : null;
  } catch {
    return null; // some Androids have the name, and no service behind it
  }
}

/** A reader of this browser. @returns {Promise<Read|null>} null: the browser has none, and the library is not here */
export async function qrReader() {
  const detector = await ownDetector();
  if (detector) {
    return async (video) => {
      const [found] = await detector.detect(video);
      return found ? found.rawValue : null;
    };
  }
  try {
    await import(`../${LIBRARY}`);
  } catch {
    return null;
  }
  return withLibrary(/** @type {any} */ (globalThis).jsQR);
}

/** @returns {Read} */
function withLibrary(jsQR) {
  const canvas = document.createElement("canvas");
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  return async (video) => {
    if (!video.videoWidth) return null;
    canvas.width = Math.min(WIDTH, video.videoWidth);
    canvas.height = Math.round((canvas.width * video.videoHeight) / video.videoWidth);
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
    const found = jsQR(data, width, height, { inversionAttempts: "dontInvert" });
    return found ? found.data : null;
  };
}

/** Let the service worker store the library while there is a connection, on a browser that will need it. */
export async function keepReader() {
  const cameras = navigator.mediaDevices;
  if (!navigator.onLine || !cameras || !cameras.getUserMedia || (await ownDetector())) return;
  await fetch(LIBRARY).catch(() => {}); // only a server that has the library hands it out
}
