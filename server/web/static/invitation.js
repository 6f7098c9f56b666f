// An invitation's code stands behind the "#" of its link, which no browser sends: it is put into the form and sent from there,
// and taken out of the address. Without this script it is pasted.

const field = /** @type {HTMLInputElement | null} */ (document.getElementById("code"));
const code = location.hash.slice(1);
if (field?.form && code) {
  history.replaceState(null, "", location.pathname);
  field.value = code;
  field.form.submit();
}
