// Shows the sentence of index.html where the browser is too old for the app or the app does not load. Runs before main.js; in
// the syntax of old browsers, which get it by `nomodule` where they know no modules.

(function () {
  function show() {
    var sentence = document.getElementById("unsupported");
    if (sentence) sentence.hidden = false;
  }

  function failed(event) {
    if (event.target instanceof HTMLScriptElement || event.error instanceof SyntaxError) show();
  }

  addEventListener("error", failed, true); // a script that did not come, or that the browser cannot read
  // the newest that the app needs: Chrome 86, Safari 14; Chrome 80, Firefox 113, Safari 16.4
  if (!Element.prototype.replaceChildren || !("CompressionStream" in window)) show();
})();
