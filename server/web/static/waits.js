// Forms that take a while to be answered (a file is sent and looked at) say so, and are not sent twice. Without this script
// they work all the same, in silence.

for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll("form[data-waits]"))) {
  const button = form.querySelector("button");
  const told = document.createElement("p");
  told.className = "waits";
  told.setAttribute("role", "status");
  form.append(told);
  form.addEventListener("submit", () => {
    if (button) button.disabled = true;
    const moving = document.createElement("progress");
    moving.setAttribute("aria-hidden", "true");
    told.replaceChildren(moving, form.dataset.waits ?? "");
  });
  window.addEventListener("pageshow", () => {
    if (button) button.disabled = false;
    told.replaceChildren();
  });
}
