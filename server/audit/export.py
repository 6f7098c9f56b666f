"""The log as a file: JSON lines that can be verified offline, in any language (format: docs/audit.md).

Order of lines, so that one pass with little memory is enough: header, public keys, checkpoints with their leaves, heads of
the streams, entries stream by stream, and an end line with a digest of everything before it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.audit.checkpoints import KeptCheckpoint, StreamHead, stored
from server.audit.verification import Broken, check_checkpoints, entries_of, follow, heads_of
from server.context import AppContext
from server.database.models import AuditCheckpoint, AuditStream, Installation, table
from server.translations import T_
from sync_protocol import ProtocolError, canonical

VERSION: Final = 1
KIND: Final = "posyandu-sync.log"
EXPORT: Final = "export"
"""The name, in place of a stream's, under which damage of the file is reported; its numbers are lines."""
ENTRY: Final = ("stream", "number", "at", "actor", "action", "details", "hash")
_SORTED: Final = orjson.OPT_SORT_KEYS
_UNREADABLE: Final = (ValueError, KeyError, TypeError, AttributeError, ProtocolError)


class NotAnExport(ValueError):
    """The file does not begin as an export of the log does. The text gives the reason in Indonesian and English."""


# -- writing --------------------------------------------------------------------------------------


def lines(session: Session, hub: AppContext, now: datetime) -> Iterator[bytes]:
    """Yield the whole log of a district in this snapshot, line by line."""
    taken, hashed = 0, sha256()
    for content in _content(session, hub, now):
        line = orjson.dumps(content, option=_SORTED) + b"\n"
        hashed.update(line)
        taken += 1
        yield line
    yield orjson.dumps({"kind": "end", "lines": taken, "sha256": hashed.hexdigest()}) + b"\n"


def _content(session: Session, hub: AppContext, now: datetime) -> Iterator[dict[str, Any]]:
    district, s, c = hub.district, table(AuditStream).c, table(AuditCheckpoint).c
    counted = select(func.count(), func.coalesce(func.sum(s.entries), 0)).where(s.district == district)
    streams, entries = session.connection().execute(counted).one()
    signed = select(func.count()).where(c.district == district)
    yield {
        "kind": KIND,
        "v": VERSION,
        "district": district,
        "incarnation": session.get_one(Installation, district).incarnation,
        "exported_at": now.astimezone(UTC).isoformat(timespec="seconds"),
        "streams": streams,
        "entries": int(entries),
        "checkpoints": session.connection().execute(signed).scalar_one(),
    }
    for id_, public in hub.vault.checkpoint_keys().items():
        yield {"kind": "key", "key": id_, "public_key": public}
    for row, leaves in stored(session, district):
        if row is not None:
            yield {
                "kind": "checkpoint",
                "statement": _json(row.statement),
                "signatures": _json(row.signatures),
                "leaves": [list(leaf) for leaf in leaves],
            }
    for head in heads_of(session, district):
        yield {"kind": "head", "head": list(head)}
    for row in entries_of(session, district):
        entry = dict(zip(ENTRY, row, strict=True))
        yield {"kind": "entry", **entry, "details": _json(entry["details"])}


def _json(text: str) -> Any:
    """Parse stored JSON; if it is damaged, export it as text, which fits no hash."""
    try:
        return orjson.loads(text)
    except ValueError:
        return text


# -- verifying ------------------------------------------------------------------------------------


class _ExportRow(NamedTuple):
    number: Any
    statement: str
    signatures: str
    peaks: None


@dataclass(slots=True)
class ExportVerification:
    """The result of verifying an export.

    Parameters
    ----------
    about : its first line
    keys : its public keys; they identify the signer only if compared with keys noted elsewhere
    """

    about: Mapping[str, Any]
    keys: dict[str, str] = field(default_factory=dict)
    checkpoints: int = 0
    entries: int = 0
    broken: list[Broken] = field(default_factory=list)


def verify_export(raw: Iterable[bytes], *, kept: KeptCheckpoint | None = None) -> ExportVerification:
    """Recompute an exported log, in one pass, without a database.

    Parameters
    ----------
    raw : the file's lines
    kept : a checkpoint that was kept elsewhere; its public keys are used instead of those in the file

    Raises
    ------
    NotAnExport
        The file is none, or of an unknown version.
    """
    reader = _Reader(iter(raw))
    about = reader.first()
    found = ExportVerification(about)
    heads: dict[str, StreamHead] = {}
    checkpoints: list[tuple[_ExportRow, list[StreamHead]]] = []
    try:
        for content in reader.until("entry"):
            _take(content, found, heads, checkpoints)
    except _UNREADABLE:
        reader.broken = reader.broken or Broken(EXPORT, reader.number, "altered")
    keys = kept.public_keys if kept else found.keys
    checked = check_checkpoints(checkpoints, about["district"], keys)
    found.checkpoints = len(checked.digests)
    if len(checkpoints) < about["checkpoints"] and not checked.broken:
        checked.broken.append(Broken("checkpoint", len(checkpoints) + 1, "cut off"))
    marks, broken = checked.against(kept)
    found.entries, streams = follow(about["district"], heads, marks, reader.entries())
    if len(heads) != about["streams"] and not streams:
        broken.append(Broken(EXPORT, 1, "altered"))
    found.broken = [*streams, *broken, *([reader.broken] if reader.broken else [])]
    return found


def _take(
    content: Mapping[str, Any],
    found: ExportVerification,
    heads: dict[str, StreamHead],
    checkpoints: list[tuple[_ExportRow, list[StreamHead]]],
) -> None:
    """Read a line that is not an entry."""
    if content["kind"] == "key":
        found.keys[content["key"]] = content["public_key"]
    elif content["kind"] == "head":
        head = StreamHead(*content["head"])
        heads[head.stream] = head
    elif content["kind"] == "checkpoint":
        statement, signatures = canonical(content["statement"]), canonical(content["signatures"])
        row = _ExportRow(content["statement"]["number"], statement.decode(), signatures.decode(), None)
        checkpoints.append((row, sorted(StreamHead(*leaf) for leaf in content["leaves"])))
    else:
        raise ValueError(content["kind"])


class _Reader:
    """The lines of an export, counted and hashed as they are read."""

    def __init__(self, raw: Iterator[bytes]) -> None:
        self._raw, self._hashed = raw, sha256()
        self._waiting: Any = None
        self._ended = False
        self.number = 0
        self.broken: Broken | None = None

    def first(self) -> dict[str, Any]:
        """Return the first line."""
        line = next(self._raw, b"")
        about: Any = None
        try:
            about = orjson.loads(line)
            known = about["kind"] == KIND and about["v"] == VERSION
            _ = about["district"] + "", about["streams"] + 0, about["entries"] + 0, about["checkpoints"] + 0
        except _UNREADABLE:
            known = False
        if not known:
            raise NotAnExport(
                T_("not an export of the log, version {version}").format(version=VERSION).both()
            )
        self.number = 1
        self._hashed.update(line)
        return dict(about)

    def _contents(self) -> Iterator[dict[str, Any]]:
        for line in self._raw:
            self.number += 1
            try:
                content = orjson.loads(line)
                if content["kind"] == "end":
                    same = (content["lines"], content["sha256"]) == (
                        self.number - 1,
                        self._hashed.hexdigest(),
                    )
                    self.broken = None if same else Broken(EXPORT, self.number, "altered")
                    self._ended = True
                    return
            except _UNREADABLE:
                self.broken = Broken(EXPORT, self.number, "altered")
                self._ended = True
                return
            self._hashed.update(line)
            yield content

    def until(self, kind: str) -> Iterator[dict[str, Any]]:
        """Yield lines up to the first of a kind; that one is left for `entries`."""
        for content in self._contents():
            if content["kind"] == kind:
                self._waiting = content
                return
            yield content

    def entries(self) -> Iterator[tuple[Any, ...]]:
        """Yield the remaining entries; then check the end line."""
        if self._waiting is not None:
            yield from self._entry(self._waiting)
        if not self._ended:
            for content in self._contents():
                yield from self._entry(content)
        if not self._ended:
            self.broken = Broken(EXPORT, self.number + 1, "cut off")

    def _entry(self, content: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        try:
            stream, number, at, actor, action, details, hash_ = map(content.__getitem__, ENTRY)
            text = orjson.dumps(details, option=_SORTED).decode()
            for what in (stream, at, actor, action, hash_):
                what + ""
            number + 0
        except _UNREADABLE:
            self.broken = self.broken or Broken(EXPORT, self.number, "altered")
            return
        yield stream, number, at, actor, action, text, hash_
