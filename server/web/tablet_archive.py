"""The files that a tablet stores as one archive, for its first visit. Pure.

One stream of gzip needs three quarters of the bytes of 150 files packed one by one, and 5 answers instead of 150. It is cut
into pieces, so that a line which breaks costs one piece.

The archive is gzip over one line of JSON and the bytes of the files one after another. The line is an object: `headers`, the
different sets of headers, and `files`, a list of `[name, length, number of its headers, media type]` in the order of the
bytes. `sw.js` unpacks it; hashes and ETags it has itself.
"""

import gzip
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Final, Protocol

import orjson

from server.web.security_headers import EVERYWHERE

PIECE_BYTES: Final = 32 * 1024
"""Some seconds on a slow mobile line."""


class Storable(Protocol):
    """A file with the headers that it is served with, beside type, length and ETag."""

    @property
    def name(self) -> str: ...
    @property
    def media_type(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


def archive_pieces(files: Iterable[Storable]) -> Iterator[tuple[str, bytes]]:
    """Pack files into an archive; give its pieces by name."""
    packed = _archive(sorted(files, key=_by_kind))
    for number, start in enumerate(range(0, len(packed), PIECE_BYTES)):
        yield f"archive/{number}", packed[start : start + PIECE_BYTES]


def _by_kind(one: Storable) -> tuple[str, str]:
    return PurePath(one.name).suffix, one.name  # like beside like compresses better


def _archive(files: list[Storable]) -> bytes:
    kinds: list[dict[str, str]] = []
    listed = []
    for one in files:
        headers = {**EVERYWHERE, **one.headers}
        if headers not in kinds:
            kinds.append(headers)
        listed.append([one.name, len(one.body), kinds.index(headers), one.media_type])
    head = orjson.dumps({"headers": kinds, "files": listed}) + b"\n"
    return gzip.compress(head + b"".join(one.body for one in files), compresslevel=9, mtime=0)
