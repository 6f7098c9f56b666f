"""The tablet app's first visit: it comes as one archive, a cut line or a killed browser costs one piece of it, and what it
leaves on the tablet is what loading file by file would leave.
"""

import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from playwright.sync_api import Browser, expect

from server.app import create_app
from server.web.tablet_app import FIRST_LOAD, QR_LIBRARY, packaged
from tests.browser._tablets import APP, Tablet
from tests.browser._window import served
from tests.server._district import District

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

pytestmark = pytest.mark.browser

PIECES: Final = [f"{APP}{name}" for name in packaged().pieces]
WAITING: Final = "Menunggu sambungan."
ENROLLING: Final = "Kode pendaftaran"
HEADERS: Final = """async () => Object.fromEntries((await Promise.all((await caches.keys()).map(async (name) => {
    const cache = await caches.open(name);
    return Promise.all((await cache.keys()).map(async ({ url }) =>
        [new URL(url).pathname, Object.fromEntries((await cache.match(url)).headers)]));
}))).flat())"""
OF_ONE_ANSWER: Final = {"date", "vary", "content-length", "x-request-id", "strict-transport-security"}
"""Headers that say nothing of a file, or that only an answer from the network may set."""


class Line:
    """What passes between server and browser: the paths that were answered in full, and a cut after some pieces."""

    def __init__(self, inner: "WSGIApplication") -> None:
        self._inner = inner
        self.answered: list[str] = []
        self.is_cut = False
        self.pieces_left = len(PIECES)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer, or let the connection break."""
        path = environ["PATH_INFO"]
        if path in PIECES and not self.pieces_left:
            self.is_cut = True
        if self.is_cut:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError

        def noting(status: str, *others: Any) -> Any:
            if status.startswith("200") and environ["REQUEST_METHOD"] == "GET":
                self.answered.append(path)
                self.pieces_left -= path in PIECES
            return start_response(status, *others)

        return self._inner(environ, noting)

    def mend(self) -> None:
        self.is_cut, self.pieces_left = False, len(PIECES)


@pytest.fixture
def visit(on_sqlite: District, browser: Browser, tmp_path: Path) -> Iterator[tuple[Line, Tablet]]:
    """Give a line, and a tablet that has never seen the app, its browser started."""
    app = create_app(on_sqlite.hub.settings, on_sqlite.hub)
    line = app.wsgi_app = Line(app.wsgi_app)  # type: ignore[method-assign]  # as Flask's documentation does it
    with served(on_sqlite, app) as url:
        tablet = Tablet(browser.browser_type, url, tmp_path / "profile", tmp_path)
        tablet.start()
        yield line, tablet
        tablet.switch_off()


def test_first_visit_fetches_the_archive_and_no_file_of_it(visit: tuple[Line, Tablet]) -> None:
    line, tablet = visit
    tablet.page.goto(APP)
    expect(tablet.page.get_by_label(ENROLLING)).to_be_visible()
    asked = {path for path in line.answered if path.startswith(APP)} - {f"{APP}{QR_LIBRARY}"}
    assert asked <= {APP, *PIECES, *(f"{APP}{name}" for name in FIRST_LOAD)}
    assert [path for path in line.answered if path in PIECES] == PIECES
    assert tablet.page.evaluate("location.pathname") == APP
    assert tablet.page.evaluate("caches.keys()") == [packaged().name]


def test_code_of_the_link_comes_through_the_first_visit(visit: tuple[Line, Tablet]) -> None:
    _, tablet = visit
    tablet.page.goto(f"{APP}daftar#ABCD-EFGH-JK")
    expect(tablet.page.get_by_label(ENROLLING)).to_have_value("ABCD-EFGH-JK")


def test_first_visit_goes_on_by_itself_after_the_line_was_cut(visit: tuple[Line, Tablet]) -> None:
    line, tablet = visit
    line.pieces_left = 2
    tablet.page.goto(APP)
    expect(tablet.page.get_by_text(WAITING)).to_be_visible()
    line.mend()
    expect(tablet.page.get_by_label(ENROLLING)).to_be_visible()
    assert [path for path in line.answered if path in PIECES] == PIECES  # none twice


def test_first_visit_goes_on_after_the_browser_was_killed(visit: tuple[Line, Tablet]) -> None:
    line, tablet = visit
    line.pieces_left = 2
    tablet.page.goto(APP)
    expect(tablet.page.get_by_text(WAITING)).to_be_visible()
    tablet.kill()
    line.mend()
    tablet.start()
    tablet.page.goto(APP)
    expect(tablet.page.get_by_label(ENROLLING)).to_be_visible()
    assert [path for path in line.answered if path in PIECES] == PIECES  # none twice


def test_kept_files_have_the_headers_that_the_server_sends(
    visit: tuple[Line, Tablet], on_sqlite: District
) -> None:
    _, tablet = visit
    tablet.page.goto(APP)
    expect(tablet.page.get_by_label(ENROLLING)).to_be_visible()
    client = create_app(on_sqlite.hub.settings, on_sqlite.hub).test_client()
    found = tablet.page.evaluate(HEADERS)
    found.pop(f"{APP}{QR_LIBRARY}", None)  # comes by itself, when the app needs it
    for path, headers in found.items():
        answer = {name.lower(): value for name, value in client.get(path).headers.items()}
        assert {name: value for name, value in answer.items() if name not in OF_ONE_ANSWER} == {
            name: value for name, value in headers.items() if name not in OF_ONE_ANSWER
        }, path
