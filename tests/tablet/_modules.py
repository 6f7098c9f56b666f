"""The tablet's modules, run where they will run: in Chromium, from files as they lie, on an origin of their own.

`Modules.call` takes an expression of JavaScript that sees the modules of one directory by name (`zscores.rawScores`), the
unpacked growth tables (`tables`, in growth), the app's words (`words`) and what it is given (`given`), and answers what it
evaluates to, awaited. A text that is said later comes as it is said in each language: `{"id": …, "en": …}`.
Values go as JSON text both ways: a number that JSON writes and reads comes back as the same double, and thousands of rows
cost nothing.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page, Route

from server.web.growth_file import growth_file
from server.web.tablet_words import words_file

TABLET: Final = Path(__file__).resolve().parents[2] / "server" / "tablet"
ORIGIN: Final = "https://tablet.test"
"""Nothing listens there: every request is answered here. https, for WebCrypto asks for it."""
GENERATED: Final[Mapping[str, Callable[[], bytes]]] = {"growth.json": growth_file, "words.json": words_file}
TYPES: Final = {".js": "text/javascript", ".css": "text/css"}
POLICY: Final = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:"
"""As strict as the server's: a module that needs an inline style or script fails here."""

_OPEN: Final = """async ([directory, names]) => {
  const found = await Promise.all(names.map((name) => import(`/${directory}/${name}.js`)));
  window.modules = Object.fromEntries(names.map((name, at) => [name, found[at]]));
  window.words = await import('/words/words.js');
  words.learn(await (await fetch('/words.json')).json());
  const inBoth = (text) => Object.fromEntries(['en', 'id'].map((code) => (words.speak(code), [code, words.message(text)])));
  window.told = (key, value) => (value && typeof value.text === 'string' && 'values' in value ? inBoth(value) : value);
  const { tables } = modules;
  if (tables) window.tables = tables.readTables(await (await fetch('/growth.json')).json());
}"""


@dataclass(frozen=True)
class Modules:
    """A page that has all modules of a directory loaded; `failures` are the errors that the page told."""

    page: Page
    names: list[str]
    failures: list[str]

    @classmethod
    def opened(cls, browser: Browser, directory: str) -> "Modules":
        """Open a page of an origin that serves the tablet's files and the growth file."""
        page = browser.new_page(viewport={"width": 360, "height": 640}, device_scale_factor=2)
        names = sorted(path.stem for path in (TABLET / directory).glob("*.js"))
        failures: list[str] = []
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on("console", lambda said: failures.append(said.text) if said.type == "error" else None)
        page.route(f"{ORIGIN}/**", _serve)
        page.goto(ORIGIN)
        page.evaluate(_OPEN, [directory, names])
        return cls(page, names, failures)

    def call(self, expression: str, given: Any = None) -> Any:
        """Evaluate an expression in the page and answer what it gives."""
        # the modules are destructured but for `tables`, which names the unpacked tables
        scope = ", ".join(self.names).replace("tables", "tables: packed")
        script = f"async (sent) => {{ const {{ {scope} }} = window.modules; const given = JSON.parse(sent);"
        script += f" return JSON.stringify(await ({expression}), told); }}"
        answer = self.page.evaluate(script, json.dumps(given, allow_nan=False))
        assert self.failures == []
        return json.loads(answer)


def _serve(route: Route) -> None:
    name = route.request.url.removeprefix(ORIGIN).lstrip("/")
    headers = {"Content-Security-Policy": POLICY}
    if not name:
        links = '<link rel="icon" href="data:,"><link rel="stylesheet" href="/chart.css">'
        page = f'<!doctype html><html lang="id"><meta charset="utf-8"><title>t</title>{links}<body></body></html>'
        route.fulfill(body=page, content_type="text/html; charset=utf-8", headers=headers)
    elif name in GENERATED:
        route.fulfill(body=GENERATED[name](), content_type="application/json", headers=headers)
    else:
        path = TABLET / name
        route.fulfill(body=path.read_bytes(), content_type=TYPES[path.suffix], headers=headers)
