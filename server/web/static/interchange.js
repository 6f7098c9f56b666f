// Goes on with a file that is being applied: a step of some seconds at a time, until all rows are done. Without this script a
// button does it.

const form = /** @type {HTMLFormElement | null} */ (document.getElementById("go-on"));
if (form) form.requestSubmit();
