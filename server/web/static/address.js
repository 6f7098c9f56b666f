// Addresses to hand on, where the server's own is not configured: the browser knows the one that it has opened. Without this
// script, or where it is configured, they stay as they are.

for (const shown of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-address]"))) {
  const holder = shown instanceof HTMLTextAreaElement ? shown : null;
  const text = holder ? holder.value : (shown.textContent ?? "");
  if (!text.startsWith("/")) continue;
  if (holder) holder.value = location.origin + text;
  else shown.textContent = location.origin + text;
}
