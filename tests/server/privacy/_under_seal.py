"""Everything that a database holds, opened with the keys: what a search for a word must not find after an erasure."""

import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy import select

from server.children import ledger
from server.crypto.vault import KeyUnusable, unseal
from server.database.models import ChangeRow, Child, table
from server.privacy.sealed_columns import PLACES
from tests.server._district import District


def opened(district: District) -> Iterator[tuple[str, bytes]]:
    """Give every value that is sealed under the district's key or a child's, opened, by table and column."""
    hub = district.hub
    for place in PLACES:
        c = place.table.c
        wanted = select(*(c[name] for name in (*place.names, place.column))).where(
            c[place.column].is_not(None)
        )
        if place.only is not None:
            wanted = wanted.where(place.only)
        for row in district.rows(wanted):
            plain = hub.vault.unseal_for_district(getattr(row, place.column), place.purpose(hub, row))
            yield f"{place.table.name}.{place.column}", b"\n".join([plain, *unpacked(plain)])
    yield from of_children(district)


def unpacked(plain: bytes) -> Iterator[bytes]:
    """Give what is packed within a value: the chunk of a file, or the head of an upload and the parts of a workbook."""
    with suppress(zlib.error):
        yield zlib.decompress(plain)
    for start in (at for at in range(len(plain)) if plain.startswith(b"x\x01", at) or at == 4):
        with suppress(zlib.error):
            yield zlib.decompressobj().decompress(plain[start:])
    start = plain.find(b"PK\x03\x04")
    if start >= 0:
        yield from _workbook(plain[start:])


def _workbook(content: bytes) -> Iterator[bytes]:
    import io
    import zipfile

    with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(content)) as parts:
        for name in parts.namelist():
            yield parts.read(name)


def of_children(district: District) -> Iterator[tuple[str, bytes]]:
    """Give what can be opened with the keys of children."""
    hub = district.hub
    keys: dict[str, Any] = {}
    c, r = table(Child).c, table(ChangeRow).c
    for row in district.rows(select(c.id, c.state, c.wrapped_key, c.key_version)):
        if row.wrapped_key is not None:
            keys[row.id] = hub.vault.child_key(row.id, row.wrapped_key, row.key_version)
            if row.state is not None:
                yield "child.state", ledger.read_child(hub.district, row.id, row.state, keys[row.id])
    changes = select(r.child_id, r.hash, r.content).where(r.sealed == ledger.UNDER_CHILD)
    for row in district.rows(changes):
        with suppress(KeyUnusable, KeyError):
            yield (
                "change.content",
                unseal(keys[row.child_id], row.content, ledger.bound_to(hub.district, row.hash)),
            )
