"""The tablet app's shell in a real Chromium: it starts without a server, a new version waits to be told, nothing but the
listed files is ever kept. The worker, `updates.js` and the first visit's screen are the real ones; `main.js` is the least
that can use them, so that these promises do not hang on the screens.

The page's policy forbids what Playwright's `wait_for_function` does with text, so `until` asks again by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Final

import pytest
from flask import Flask, Response, request
from playwright.sync_api import Browser, BrowserContext, Error as PlaywrightError, Page, expect

from server.app import create_app
from server.review.tablets import ENROL_PATH
from server.web.tablet_app import NOT_STORED, TabletApp, found_in, packaged
from tests._chromium import launch_options
from tests.browser._window import served
from tests.server._district import District

pytestmark = pytest.mark.browser

PAGE: Final = b"""<!doctype html><html lang="id"><head><meta charset="utf-8"><title>Posyandu</title>
<link rel="manifest" href="manifest.webmanifest"><script type="module" src="main.js"></script></head>
<body><h1>Posyandu</h1><p id="version"></p><p id="newer"></p></body></html>"""
MAIN: Final = b"""import { keepUpToDate, lookForNewer, takeOver } from "./updates.js";
import { VERSION } from "./version.js";
document.querySelector("#version").textContent = VERSION;
Object.assign(window, { lookForNewer, takeOver });
window.kept = keepUpToDate(() => { document.querySelector("#newer").textContent = "newer"; });
"""
KEPT: Final = """async () => Object.fromEntries(await Promise.all((await caches.keys()).map(async (name) =>
    [name, (await (await caches.open(name)).keys()).map((one) => new URL(one.url).pathname + new URL(one.url).search)])))"""


def version(**changed: bytes) -> TabletApp:
    """Make a version of the shell, some of its files other than usual: `main` for main.js."""
    real = found_in(files("server") / "tablet")
    own = (
        "sw.js",
        "updates.js",
        "browser.js",
        "manifest.webmanifest",
        "icon.svg",
        "icon-192.png",
        "icon-512.png",
    )
    first = ("index.html", "first_load.js", "first_load.css")
    found = {name: real[name] for name in (*own, *first)} | {"app.html": PAGE, "main.js": MAIN}
    return TabletApp.of(found | {f"{name}.js": body for name, body in changed.items()}, "0.1.0")


@dataclass
class Server:
    """A server on which one version of the app lies at a time; `asked` are the paths that were asked for."""

    app: Flask
    url: str = ""
    asked: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def opened(cls, district: District, first: TabletApp) -> Iterator["Server"]:
        server = cls(create_app(district.hub.settings, district.hub))
        server.offer(first)
        server.app.before_request(lambda: server.asked.append(request.path))
        with served(district, server.app) as server.url:
            yield server

    def offer(self, app: TabletApp) -> None:
        self.app.extensions["tablet_app"] = app
        self.asked.clear()


@pytest.fixture
def server(on_sqlite: District) -> Iterator[Server]:
    with Server.opened(on_sqlite, version()) as opened:
        yield opened


@pytest.fixture
def context(browser: Browser, server: Server) -> Iterator[BrowserContext]:
    made = browser.new_context(base_url=server.url)
    yield made
    made.close()


def opened(context: BrowserContext) -> Page:
    """Open the app online, and wait until it is kept and the worker has the page."""
    page = context.new_page()
    page.goto("/tablet-app/")
    expect(page.locator("#first-load")).to_have_count(0)
    page.wait_for_load_state()
    until(page, "navigator.serviceWorker.controller !== null")
    return page


def until(page: Page, condition: str) -> None:
    """Wait until something holds in the page, a minute at most."""
    loop = "while (!(await (CONDITION))) await new Promise((done) => setTimeout(done, 20));"
    late = "new Promise((_, late) => setTimeout(() => late(new Error('too late')), 60000))"
    looped = f"(async () => {{ {loop.replace('CONDITION', condition)} }})()"
    page.evaluate(f"Promise.race([{looped}, {late}])")


def told_of_newer(page: Page) -> None:
    """Wait until the page was told that a newer version waits."""
    expect(page.locator("#newer")).to_have_text("newer")


def shown(page: Page) -> str | None:
    """Give the version that the page shows."""
    expect(page.locator("#version")).not_to_be_empty()
    return page.text_content("#version")


def listed(app: TabletApp) -> list[str]:
    return sorted(f"/tablet-app/{name}" for name in app.files.keys() - NOT_STORED)


def kept(page: Page) -> dict[str, list[str]]:
    """Give every cache of the origin with the addresses in it."""
    found: dict[str, list[str]] = page.evaluate(KEPT)
    return {name: sorted(paths) for name, paths in found.items()}


def test_app_starts_from_nothing_when_browser_and_server_were_stopped(
    browser: Browser, on_sqlite: District, tmp_path: Path
) -> None:
    start = browser.browser_type.launch_persistent_context
    with Server.opened(on_sqlite, version()) as server:
        url = server.url
        with start(tmp_path, base_url=url, **launch_options()) as first:
            assert shown(opened(first)) == version().version
    with start(tmp_path, base_url=url, **launch_options()) as later:
        with pytest.raises(PlaywrightError):
            later.new_page().goto("/masuk")  # nobody is there
        page = later.new_page()
        page.goto(f"{ENROL_PATH}#ABCD-EFGH-JK")
        assert shown(page) == version().version
        assert page.evaluate("location.hash") == "#ABCD-EFGH-JK"


def test_released_app_starts_offline_without_a_complaint(browser: Browser, on_sqlite: District) -> None:
    with served(on_sqlite) as url:
        context = browser.new_context(base_url=url)
        page = opened(context)
        context.set_offline(True)
        complaints: list[str] = []
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/tablet-app/")
        page.wait_for_load_state("load")
        ((name, paths),) = kept(page).items()
        later = {f"/tablet-app/{one}" for one in packaged().later}  # kept when the app first needs them
        assert (name, sorted(set(paths) - later)) == (packaged().name, listed(packaged()))
        context.close()
    assert complaints == []


def test_exactly_the_listed_files_are_kept_and_no_answer_of_the_server(
    server: Server, context: BrowserContext
) -> None:
    page = opened(context)
    asked = """async () => {
        const tablet = "/api/v1/tablets/01900000-0000-7000-8000-000000000001/standing";
        const answers = await Promise.all([
            fetch("/api/v1/carried"), fetch(tablet), fetch("/tablet-app/unknown.js"), fetch("/tablet-app/main.js?x=1"),
            fetch("/api/v1/sync", { method: "POST", body: "{}", headers: { "Content-Type": "application/json" } }),
            fetch("/tablet-app/main.js", { method: "POST", body: "x" }),
            fetch("/masuk"),
        ]);
        return answers.map((answer) => answer.status);
    }"""
    server.asked.clear()
    statuses = page.evaluate(asked)
    assert statuses[:5] == [200, 200, 404, 200, 400]
    assert statuses[5] in (400, 405)
    assert {"/api/v1/carried", "/api/v1/sync", "/masuk"} <= set(
        server.asked
    )  # the worker answered none of these
    assert kept(page) == {version().name: listed(version())}


def test_new_version_waits_until_it_is_told_to_take_over(server: Server, context: BrowserContext) -> None:
    page, old, new = opened(context), version(), version(main=MAIN + b"globalThis.newer = true;\n")
    server.offer(new)
    page.evaluate("lookForNewer()")
    told_of_newer(page)
    for _ in range(2):  # a reload and another window do not swap the code under anybody
        page.reload()
        assert shown(page) == old.version
    other = context.new_page()
    other.goto("/tablet-app/daftar")
    assert shown(other) == old.version
    assert sorted(kept(page)) == sorted([old.name, new.name])
    page.wait_for_function(
        "document.querySelector('#newer').textContent === 'newer'"
    )  # told again after a reload

    with page.expect_navigation(), other.expect_navigation():
        page.evaluate("takeOver()")
    assert (shown(page), shown(other)) == (new.version, new.version)
    assert kept(page) == {new.name: listed(new)}


def test_waiting_version_takes_over_when_no_window_is_open(server: Server, context: BrowserContext) -> None:
    page, new = opened(context), version(main=MAIN + b"globalThis.newer = true;\n")
    server.offer(new)
    page.evaluate("lookForNewer()")
    told_of_newer(page)
    page.goto("/masuk")  # of this server, but none of the app's windows
    until(page, "navigator.serviceWorker.getRegistration('/tablet-app/').then((one) => !one.waiting)")
    page.goto("/tablet-app/")
    assert shown(page) == new.version


def test_new_version_fetches_only_what_changed(server: Server, context: BrowserContext) -> None:
    page = opened(context)
    server.offer(version(main=MAIN + b"globalThis.newer = true;\n"))
    page.evaluate("lookForNewer()")
    told_of_newer(page)
    assert sorted(server.asked) == [f"/tablet-app/{name}" for name in ("main.js", "sw.js", "version.js")]


def test_version_that_is_not_whole_is_not_taken(server: Server, context: BrowserContext) -> None:
    page, new = opened(context), version(main=MAIN + b"globalThis.newer = true;\n")
    altered = replace(new.files["main.js"], body=b"// cut short", packed=version().files["sw.js"].packed)
    server.offer(replace(new, files={**new.files, "main.js": altered}))
    page.evaluate("lookForNewer().catch(() => {})")
    until(page, "navigator.serviceWorker.getRegistration().then((one) => !one.installing && !one.waiting)")
    assert "/tablet-app/main.js" in server.asked
    assert kept(page) == {version().name: listed(version())}
    page.reload()
    assert shown(page) == version().version

    server.offer(new)  # whole at last
    page.evaluate("lookForNewer()")
    told_of_newer(page)


def test_app_opens_file_by_file_when_its_archive_cannot_be_had(
    server: Server, context: BrowserContext
) -> None:
    cut = version()
    server.offer(replace(cut, pieces={}))
    page = context.new_page()
    page.goto("/tablet-app/")
    assert shown(page) == cut.version  # usable while there is a line
    page.evaluate("window.kept.catch(() => {})")
    until(page, "navigator.serviceWorker.getRegistration().then((one) => !one?.active && !one?.installing)")
    assert "/tablet-app/archive/0" in server.asked
    assert {name: paths for name, paths in kept(page).items() if paths} == {}


def test_later_start_sends_nothing(server: Server, context: BrowserContext) -> None:
    sent: list[str] = []

    def note(response: Response) -> Response:
        if response.status_code == 200:
            sent.append(request.path)
        return response

    server.app.after_request(note)
    page = opened(context)
    until(page, "caches.keys().then((names) => names.length === 1)")
    sent.clear()
    page.reload()
    page.evaluate("lookForNewer()")
    assert shown(page) == version().version
    assert sent == []  # not even the worker: it has not changed


def test_page_accepts_no_script_but_by_the_apps_own_policy(server: Server, context: BrowserContext) -> None:
    page = opened(context)
    refused = """async () => {
        await new Promise((done) => setTimeout(done)); // what the test tool runs at once may evaluate text
        const tried = [
            () => { document.body.innerHTML = "<b>x</b>"; },
            () => new Worker("/tablet-app/main.js"),
            () => trustedTypes.createPolicy("other", {}),
            () => trustedTypes.createPolicy("posyandu", {}),
            () => eval("1"),
        ];
        return tried.map((attempt) => { try { attempt(); return "done"; } catch (error) { return error.name; } });
    }"""
    assert page.evaluate(refused) == ["TypeError"] * 4 + ["EvalError"]
