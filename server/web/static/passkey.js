// Passkeys: the browser makes or uses one with the options that a form carries, and the form is sent with its answer. Without
// this script, or in a browser without passkeys, the button stays hidden: the code of an app does the same.

/** @param {string} text base64url @returns {ArrayBuffer} */
function bytes(text) {
  const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0)).buffer;
}

/** @param {ArrayBuffer | null} buffer @returns {string | null} base64url */
function text(buffer) {
  if (!buffer) return null;
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** @param {Array<{id: string}>} [listed] @returns {Array<PublicKeyCredentialDescriptor>} */
const descriptors = (listed = []) => listed.map(({ id }) => ({ id: bytes(id), type: "public-key" }));

/** @param {any} options as the server wrote them @returns {Promise<Credential | null>} */
function made(options) {
  const publicKey = {
    ...options,
    challenge: bytes(options.challenge),
    user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: descriptors(options.excludeCredentials),
  };
  return navigator.credentials.create({ publicKey });
}

/** @param {any} options as the server wrote them @returns {Promise<Credential | null>} */
function used(options) {
  const allowCredentials = descriptors(options.allowCredentials);
  return navigator.credentials.get({ publicKey: { ...options, challenge: bytes(options.challenge), allowCredentials } });
}

/** @param {Credential | null} given @returns {string} what the server reads */
function answer(given) {
  const credential = /** @type {PublicKeyCredential} */ (given);
  const from = credential.response;
  const response =
    from instanceof AuthenticatorAttestationResponse
      ? { clientDataJSON: text(from.clientDataJSON), attestationObject: text(from.attestationObject) }
      : signed(/** @type {AuthenticatorAssertionResponse} */ (from));
  const { id, type } = credential;
  return JSON.stringify({ id, rawId: text(credential.rawId), type, response, clientExtensionResults: {} });
}

/** @param {AuthenticatorAssertionResponse} from */
function signed({ clientDataJSON, authenticatorData, signature, userHandle }) {
  return {
    clientDataJSON: text(clientDataJSON),
    authenticatorData: text(authenticatorData),
    signature: text(signature),
    userHandle: text(userHandle),
  };
}

for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll("form[data-passkey]"))) {
  const button = form.querySelector("button");
  const field = /** @type {HTMLInputElement | null} */ (form.querySelector("input[data-answer]"));
  const told = /** @type {HTMLElement | null} */ (form.querySelector("[data-failed]"));
  if (!button || !field || !told || !window.PublicKeyCredential) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    told.hidden = true;
    const options = JSON.parse(form.dataset.options ?? "{}");
    try {
      field.value = answer(await (form.dataset.passkey === "create" ? made(options) : used(options)));
      form.submit();
    } catch {
      told.hidden = false;
      button.disabled = false;
    }
  });
}
