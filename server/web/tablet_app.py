"""The tablet app's static files, compressed once, under one version that covers every byte.

Hides where the files come from and how the version is computed. Rules kept here:
- Only files found in `server/tablet` at the start are served, by exact name: a path is a dictionary key, never a file path.
- Modules are sent without comments and blank space (rjsmin), which are a third of the first load.
- The version covers all that a tablet stores: the files and their headers. `sw.js` lists each file with the hash of its
  bytes, so a tablet installs a version completely or not at all.
- What the worker stores comes at the first visit as one archive, in pieces (`tablet_archive`).
- The library that reads QR codes is not ours: it is served from where the installation put it, if it did; a tablet stores
  it when it first needs it.
"""

import base64
import gzip
import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePath
from typing import Final

import orjson
import rjsmin  # type: ignore[import-untyped]  # it ships no types
from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.exceptions import NotFound

from server.config import TABLET_APP, Settings
from server.schedule import Schedule, schedule
from server.web.growth_file import growth_file
from server.web.tablet_archive import archive_pieces
from server.web.tablet_words import words_file

bp = Blueprint("tablet_app", __name__, url_prefix="/tablet-app")

MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml; charset=utf-8",
    ".webmanifest": "application/manifest+json; charset=utf-8",
}
"""Media types that are served, by file extension."""
INDEX: Final = "index.html"
"""The screen of the first visit."""
PAGE: Final = "app.html"
"""The app's page."""
WORKER: Final = "sw.js"
NOT_STORED: Final = frozenset({INDEX, "first_load.js", "first_load.css", WORKER})
"""Files that a tablet with the app on it never asks for."""
FIRST_LOAD: Final = NOT_STORED | {"browser.js", "updates.js", "icon.svg"}
"""Files that the first visit loads beside the archive."""
NOTHING: Final[Mapping[str, bytes]] = {}
GROWTH: Final = "growth.json"
WORDS: Final = "words.json"
VERSION_MODULE: Final = "version.js"
ARCHIVE: Final = "application/octet-stream"
QR_LIBRARY: Final = "jsqr.js"
QR_LIBRARY_FILE: Final = Path(sys.prefix) / "share/posyandu-sync/js/node_modules/jsqr/dist/jsQR.js"
"""Where `deploy/js/served/package.json` is installed (docs/operations.md)."""
HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-cache",  # cached but revalidated: only the service worker decides what is used offline
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "manifest-src 'self'; worker-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'; "
        "require-trusted-types-for 'script'; trusted-types posyandu"
    ),
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",  # the camera reads stickers
}
"""Headers of the page, the worker and pictures. A tablet stores headers with the files, so they are part of the version."""
PART_HEADERS: Final[Mapping[str, str]] = {
    **HEADERS,
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=()",
}
"""Headers of modules, styles and data, which the page's policy governs: opened by themselves they may do nothing. Short,
since some 150 of these files come at the first load."""
PARTS: Final = frozenset({".css", ".js", ".json"})
"""Extensions of those files; the worker has the whole policy, which governs what it fetches."""


@dataclass(frozen=True, slots=True)
class ServedFile:
    """One file, ready to be sent.

    Parameters
    ----------
    name : below /tablet-app/
    media_type : with its charset
    body, packed : its bytes, and the same as gzip; the same object if it is not compressed again
    """

    name: str
    media_type: str
    body: bytes
    packed: bytes

    @classmethod
    def of(cls, name: str, body: bytes, media_type: str = "") -> "ServedFile":
        """Compress a file; its type follows from its extension unless given."""
        suffix = PurePath(name).suffix
        if suffix == ".js" and name != QR_LIBRARY:
            body = rjsmin.jsmin(body.decode()).encode()
        return cls(
            name, media_type or MEDIA_TYPES[suffix], body, gzip.compress(body, compresslevel=9, mtime=0)
        )

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers beside type, length and ETag."""
        is_part = (PurePath(self.name).suffix in PARTS or self.media_type == ARCHIVE) and self.name != WORKER
        return PART_HEADERS if is_part else HEADERS

    @property
    def digest(self) -> str:
        """SHA-256 of its bytes in base64, as the browser's `integrity` has it (W3C Subresource Integrity)."""
        return base64.b64encode(hashlib.sha256(self.body).digest()).decode()

    @property
    def kind(self) -> str:
        """A short hash of its headers and type, alike for many files."""
        return hashlib.sha256(orjson.dumps([dict(self.headers), self.media_type])).hexdigest()[:8]

    @property
    def tag(self) -> str:
        """The ETag: changes with the bytes and the headers. Weak, since it stands for both encodings."""
        return self.kind + self.digest[:16]


@dataclass(frozen=True, slots=True)
class TabletApp:
    """One version of the app.

    Parameters
    ----------
    version : `0.1.0+1a2b3c4d`: the distribution's, and the first 8 digits of a hash over all that is served
    files : by name
    later : those that a tablet stores when it first needs them
    pieces : of the archive of all files that a tablet stores at once
    """

    version: str
    files: Mapping[str, ServedFile]
    later: Mapping[str, ServedFile]
    pieces: Mapping[str, ServedFile]

    @classmethod
    def of(
        cls,
        found: Mapping[str, bytes],
        release: str,
        plan: Schedule | None = None,
        later: Mapping[str, bytes] = NOTHING,
    ) -> "TabletApp":
        """Make a version of the source files: add growth tables and words, compute the version, list the files for `sw.js`.

        Parameters
        ----------
        found : bytes by name, `app.html` and `sw.js` among them
        release : the distribution's version
        plan : the district's schedule of vaccines and services; None for the default
        later : bytes by name of what a tablet stores when it first needs it
        """
        found = {**found, PAGE: _foretold(found)}
        made = {name: ServedFile.of(name, body) for name, body in found.items()}
        made[GROWTH] = ServedFile.of(GROWTH, growth_file(plan), "application/json")
        made[WORDS] = ServedFile.of(WORDS, words_file(), "application/json")
        put_off = {name: ServedFile.of(name, body) for name, body in later.items()}
        listed = [[one.name, one.tag] for one in sorted((*made.values(), *put_off.values()), key=_by_name)]
        named = f"{release}+{hashlib.sha256(orjson.dumps(listed)).hexdigest()[:8]}"
        module = f'export const VERSION = "{named}";\nexport const APP = "{TABLET_APP} {named}";\n'
        made[VERSION_MODULE] = ServedFile.of(VERSION_MODULE, module.encode())
        stored = [one for name, one in made.items() if name not in NOT_STORED]
        pieces = {name: ServedFile(name, ARCHIVE, body, body) for name, body in archive_pieces(stored)}
        head = _worker_head(named, stored, put_off.values(), pieces.values())
        made[WORKER] = ServedFile.of(WORKER, head + found[WORKER])
        return cls(named, made, put_off, pieces)

    def find(self, name: str) -> ServedFile | None:
        """Return a file or a piece of the archive."""
        return self.files.get(name) or self.later.get(name) or self.pieces.get(name)

    @property
    def name(self) -> str:
        """The app's name in changes and batches, at most 64 characters."""
        return f"{TABLET_APP} {self.version}"

    @property
    def wire_bytes(self) -> int:
        """Bytes of the first load without HTTP headers."""
        loaded = [self.files[name] for name in FIRST_LOAD & self.files.keys()]
        return sum(len(one.packed) for one in (*loaded, *self.pieces.values()))


def _foretold(found: Mapping[str, bytes]) -> bytes:
    """Preload all modules in the page's head: otherwise the browser finds each only through its importer, a round trip for
    each level."""
    names = {*found, VERSION_MODULE} - NOT_STORED
    links = [f'<link rel="modulepreload" href="{name}">\n' for name in sorted(names) if name.endswith(".js")]
    return found[PAGE].replace(b"</head>", "".join(links).encode() + b"</head>")


def _by_name(one: ServedFile) -> str:
    return one.name


def _worker_head(
    named: str, stored: Iterable[ServedFile], later: Iterable[ServedFile], pieces: Iterable[ServedFile]
) -> bytes:
    """Write the first lines of the worker: its version, of each file name, hash and kind, of each piece name and hash."""
    lists = {
        "FILES": [[one.name, one.digest, one.kind] for one in sorted(stored, key=_by_name)],
        "LATER": [[one.name, one.digest, one.kind] for one in sorted(later, key=_by_name)],
        "PIECES": [[one.name, one.digest] for one in pieces],
    }
    rows = {
        name: "".join(f"{orjson.dumps(row).decode()},\n" for row in found) for name, found in lists.items()
    }
    told = "".join(f"const {name} = [\n{found}];\n" for name, found in rows.items())
    return f'const VERSION = "{named}";\n{told}'.encode()


def found_in(root: Traversable) -> dict[str, bytes]:
    """Read every file with a served extension, by its path below a directory; except names with a leading dot or `_`."""
    return {name: one.read_bytes() for name, one in _walk(root, "")}


def _walk(directory: Traversable, above: str) -> Iterator[tuple[str, Traversable]]:
    for one in sorted(directory.iterdir(), key=lambda one: one.name):
        if one.name.startswith((".", "_")):
            continue
        if one.is_dir():
            yield from _walk(one, f"{above}{one.name}/")
        elif PurePath(one.name).suffix in MEDIA_TYPES:
            yield f"{above}{one.name}", one


def packaged(plan: Schedule | None = None) -> TabletApp:
    """Return the app of this release with a district's schedule, by default the server's own; read once per process."""
    return _packaged(plan or schedule())


@cache
def _packaged(plan: Schedule) -> TabletApp:
    later = {QR_LIBRARY: QR_LIBRARY_FILE.read_bytes()} if QR_LIBRARY_FILE.is_file() else {}
    return TabletApp.of(found_in(files("server") / "tablet"), version("posyandu-sync"), plan, later)


def init_app(app: Flask, settings: Settings) -> None:
    """Load the app before the first request, so that a missing file or an unusable schedule fails at the start."""
    app.extensions["tablet_app"] = packaged(settings.schedule())


@bp.get("/")
@bp.get("/daftar", endpoint="enrol")
def index() -> Response:
    """Return the app's page; an enrolment code follows behind "#", which no browser sends."""
    return _answer(INDEX)


@bp.get("/<path:name>")
def file(name: str) -> Response:
    """Return one of the known files."""
    return _answer(name)


def _answer(name: str) -> Response:
    served: TabletApp = current_app.extensions["tablet_app"]
    one = served.find(name)
    if one is None:
        raise NotFound
    response = Response(one.body, content_type=one.media_type)
    if one.packed is not one.body and request.accept_encodings["gzip"] > 0:
        response.data = one.packed
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    response.headers.update(one.headers)
    response.set_etag(one.tag, weak=True)
    response.make_conditional(request)
    return response
