"""The rows of a Sigizi file in the order in which they are imported, cut into chunks.

Rules kept here:
- Order and chunks depend on the file alone, so a run that was killed finds the same chunks again and continues after the
  last one that is stored.
- A chunk holds the rows of one village where possible: children are searched in that village, and only its posts are locked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Final

import orjson

from server.interchange.sheets import Cell, Cells, Limits, SheetUnreadable, read_rows
from server.interchange.sigizi import Layout, find_layout, plain
from server.translations import T_

CHUNK_ROWS, FEW_ROWS = 1000, 300
"""Most rows in one chunk (one transaction); small villages share a chunk of up to FEW_ROWS rows."""

Packed = Sequence[bytes]


@dataclass(frozen=True, slots=True)
class PackedRows:
    """A file's rows in import order, each packed into about half a kilobyte.

    Parameters
    ----------
    chunks : (first row, row after the last) of each chunk, as indices into `rows`
    tasks : numbers of chunks that must run one after another, because they hold parts of one village. The last task holds
        the rows whose NIK occurs in several villages; it runs after all others
    posts : the first row of each posyandu, one for each spelling
    """

    layout: Layout
    rows: Packed
    chunks: Sequence[tuple[int, int]]
    tasks: Sequence[Sequence[int]]
    posts: Packed


def open_sheet(content: bytes, limits: Limits | None = None) -> PackedRows:
    """Read a file and sort its rows by village, then by NIK, name and birth date, then by row number.

    Raises
    ------
    SheetUnreadable
        It is not a Sigizi sheet, or exceeds the limits.
    """
    rows = read_rows(content, limits)
    layout = find_layout(rows)
    pick = layout.picker("subdistrict", "village", "centre", "post", "nik", "name", "born_on")
    keyed: list[tuple[tuple[str, ...], tuple[str, ...], int, int, bytes]] = []
    posts: dict[tuple[str, ...], tuple[int, tuple[str, ...]]] = {}
    village_of: dict[str, tuple[str, ...]] = {}
    niks_in_several = set()
    for number, cells in rows:
        subdistrict, village, centre, post, nik, name, born_on = map(str, pick(cells))
        named = (subdistrict, village, centre, post)
        if named not in posts:
            posts[named] = len(posts), (plain(subdistrict), plain(village))
        post_number, place = posts[named]
        if len(nik) >= 16 and nik.isdigit() and village_of.setdefault(nik, place) != place:
            niks_in_several.add(nik)
        keyed.append((place, (nik, name, born_on), number, post_number, pack_row(number, cells)))
    if not keyed:
        raise SheetUnreadable(T_("there is no row under the headings").both())
    if niks_in_several:
        keyed = [((_LAST,), *one[1:]) if one[1][0] in niks_in_several else one for one in keyed]
    keyed.sort()
    places = [place for place, *_ in keyed]
    chunks = _chunks(places)
    first_rows: dict[int, bytes] = {}
    for *_, post_number, packed in keyed:
        first_rows.setdefault(post_number, packed)
    packed_rows = [packed for *_, packed in keyed]
    return PackedRows(layout, packed_rows, chunks, _tasks(places, chunks), list(first_rows.values()))


_LAST: Final = "~"
"""Sorts after every name in plain form."""


def _chunks(places: Sequence[tuple[str, ...]]) -> list[tuple[int, int]]:
    """Cut sorted rows into chunks: whole villages where they fit."""
    ends = [at for at in range(1, len(places)) if places[at] != places[at - 1]] + [len(places)]
    chunks: list[tuple[int, int]] = []
    start = 0
    for place, end in enumerate(ends):
        while end - start > CHUNK_ROWS:
            chunks.append((start, start + CHUNK_ROWS))
            start += CHUNK_ROWS
        following = ends[place + 1] if place + 1 < len(ends) else None
        if following is None or following - start > FEW_ROWS or places[end] == (_LAST,):
            chunks.append((start, end))
            start = end
    return chunks


def _tasks(places: Sequence[tuple[str, ...]], chunks: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Group chunk numbers: chunks that hold parts of one village form one task."""
    tasks: list[list[int]] = []
    for number, (low, _) in enumerate(chunks):
        if low and places[low] == places[low - 1]:
            tasks[-1].append(number)
        else:
            tasks.append([number])
    if places[-1] != (_LAST,):
        tasks.append([])
    return tasks


def pack_row(number: int, cells: Cells) -> bytes:
    """Pack a row: its number and cells."""
    # bytes made by orjson keep their whole write buffer: about 8 KiB for half a kilobyte
    return memoryview(orjson.dumps([number, cells], _time_as_dict, orjson.OPT_PASSTHROUGH_DATETIME)).tobytes()


def _time_as_dict(moment: datetime | time) -> dict[str, str]:
    return {"at" if isinstance(moment, datetime) else "time": moment.isoformat()}


def unpack_row(packed: bytes) -> tuple[int, list[Cell]]:
    """Unpack a row: its number and cells."""
    number, cells = orjson.loads(packed)
    return number, [_time_from_dict(cell) if type(cell) is dict else cell for cell in cells]


def _time_from_dict(stored: Mapping[str, str]) -> Cell:
    if "at" in stored:
        return datetime.fromisoformat(stored["at"])
    return time.fromisoformat(stored["time"])
