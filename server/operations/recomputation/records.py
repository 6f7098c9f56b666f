"""The merged states: each row of a child, measurement, follow-up and delivery against the fold of its changes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from server import isolation
from server.children import ledger, linked_records
from server.context import AppContext
from server.database.engine import among
from server.database.models import Base, ChangeRow, Child, Delivery, FollowUp, Measurement, table
from server.operations.recomputation.difference import EXTRA, MISSING, UNREADABLE, Difference, differing
from server.sync import clock_skew
from sync_protocol import KEYS, Outcome, RecordState, delivery_id, fold, id_of, measurement_id

NOT_FOLDED: Final = frozenset({"state", "position", "person_id"})
"""Columns that are not folded from the record's own changes; `state` is compared decrypted (encryption is randomised)."""


def differences(
    session: Session, hub: AppContext, child_ids: Sequence[str], _now: datetime
) -> list[Difference]:
    """Fold the ledger of some children again, and work out again with whom they are one person."""
    done, failed = isolation.halved(
        lambda some: [*_of_children(session, hub, some), *_of_erased(session, hub, some)], child_ids, "fold"
    )
    unreadable = [
        Difference(id_, "child", id_, "", UNREADABLE, stored=error) for id_, error in failed.items()
    ]
    return [*(one for part in done for one in part), *unreadable, *_linked(session, hub, child_ids)]


def _of_children(session: Session, hub: AppContext, ids: list[str]) -> Iterator[Difference]:
    district = hub.district
    held = ledger.subjects(session, hub.vault, district, ids)
    held = {id_: subject for id_, subject in held.items() if subject.wrapped_key is not None}
    folded = _fold_ledger(session, district, held)
    for subject in held.values():
        yield from _compare_child(district, subject, folded.pop(subject.id, None))
    for kind, model in (("measurement", Measurement), ("follow_up", FollowUp), ("delivery", Delivery)):
        c = table(model).c
        query = select(table(model)).where(c.district == district, among(c.child_id))
        for row in session.connection().execute(query, {"among": list(held)}).mappings():
            yield from _compare_keyed(district, held[row["child_id"]], kind, row, folded)
    for extra in folded.values():
        of = extra.state.key.get("child", extra.state.record_id)
        yield Difference(of, extra.state.kind, extra.state.record_id, "", MISSING)


class _Folded(NamedTuple):
    """A record's state folded from the ledger, and by how many days a wrong clock may have moved its date."""

    state: RecordState
    clock_days: int


def _fold_ledger(session: Session, district: str, held: Mapping[str, ledger.Subject]) -> dict[str, _Folded]:
    c = table(ChangeRow).c
    query = (
        select(c.record_id, c.child_id)
        .where(c.district == district, among(c.child_id), c.record_id.is_not(None))
        .distinct()
    )
    named = session.connection().execute(query, {"among": list(held)})
    records = {row.record_id: row.child_id for row in named}
    doubts = ledger.clock_doubts(session, district, records)
    folded = {}
    for id_, history in ledger.histories(session, district, held, records).items():
        if history.changes:
            state = fold(history)
            folded[id_] = _Folded(state, clock_skew.doubt(state, history.changes, doubts.get(id_, {})))
    return folded


def _compare_child(district: str, subject: ledger.Subject, folded: _Folded | None) -> Iterator[Difference]:
    row = subject.row
    assert row is not None  # noqa: S101  # it was just loaded
    if (row["state"] is None) != (folded is None):
        yield Difference(subject.id, "child", subject.id, "", EXTRA if folded is None else MISSING)
        return
    state, clock_days = folded or (None, 0)
    if state is not None:
        wire = orjson.loads(ledger.read_child(district, subject.id, row["state"], subject.key))
        stored = RecordState.from_wire("child", subject.id, {}, wire)
        post = state.value("post")
        if stored.canonical() != state.canonical():
            yield differing(subject.id, "child", subject.id, "state", None, None)
        elif post and post["post"] != row["post_id"]:
            yield differing(subject.id, "child", subject.id, "post_id", row["post_id"], post["post"])
    wanted = ledger.child_row(district, subject, state, row["position"], clock_days)
    yield from _compare_columns(subject.id, "child", subject.id, row, wanted)


def _compare_keyed(
    district: str, subject: ledger.Subject, kind: str, row: Mapping[Any, Any], folded: dict[str, _Folded]
) -> Iterator[Difference]:
    """Compare a measurement, follow-up or delivery with its fold, which is removed from `folded`."""
    key = {"child": row["child_id"], **{name: _key_text(row, name) for name in KEYS[kind][1:]}}
    record_id = id_of(kind, key)
    from_ledger = folded.pop(record_id, None)
    if from_ledger is None:
        yield Difference(subject.id, kind, record_id, "", EXTRA)
        return
    state, clock_days = from_ledger
    stored_bytes = ledger.read_keyed(district, kind, record_id, _StateRow(row), subject.key)
    stored = RecordState.from_wire(kind, record_id, state.key, orjson.loads(stored_bytes))
    if stored.canonical() != state.canonical():
        yield differing(subject.id, kind, record_id, "state", None, None)
    if kind == "measurement":
        wanted = ledger.measurement_row(district, subject, state, row["position"], clock_days)
    else:
        wanted = ledger.KEYED_ROWS[kind](district, subject, state, row["position"])
    yield from _compare_columns(subject.id, kind, record_id, row, wanted)


def _key_text(row: Mapping[Any, Any], name: str) -> str:
    return row[name].isoformat() if isinstance(row[name], date) else str(row[name])


@dataclass(frozen=True, slots=True)
class _StateRow:
    """A row as a mapping, read by attribute."""

    row: Mapping[Any, Any]

    def __getattr__(self, name: str) -> Any:
        return self.row[name]


def _compare_columns(
    unit: str,
    kind: str,
    record: str,
    row: Mapping[Any, Any],
    wanted: Mapping[str, Any],
    *,
    state: bool = False,
) -> Iterator[Difference]:
    """Compare the columns of a row; `state`: this one too."""
    for column in wanted:
        left_out = column in NOT_FOLDED and not (state and column == "state")
        if not left_out and row[column] != wanted[column]:
            yield differing(unit, kind, record, column, row[column], wanted[column])


# -- erased children ------------------------------------------------------------------------------

_NO_CHILD: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("same_as", "krs_until", "sex", "born_on", "state")),
    **{"registered": False, "removed": True, "conflicts": "", "clock_days": 0},
}
_NO_VALUES: Final[Mapping[str, Any]] = {"conflicts": "", "sealed": ledger.ERASED, "state": b"{}"}
_NOT_MEASURED: Final[Mapping[str, Any]] = {
    **_NO_VALUES,
    **dict.fromkeys(("weight_g", "oedema", "length_mm", "length_position", "muac_mm", "head_mm")),
    **{"removed": True, "clock_days": 0},
}
"""What an erasure leaves of the row of a child, of any record of it, and of a measurement."""


def _of_erased(session: Session, hub: AppContext, ids: list[str]) -> Iterator[Difference]:
    """Check that the rows of erased children are empty, and that each measurement that they had is there."""
    held = ledger.subjects(session, hub.vault, hub.district, ids)
    erased = {id_: child.row for id_, child in held.items() if child.erased and child.row is not None}
    if not erased:
        return
    for id_, row in erased.items():
        yield from _compare_columns(id_, "child", id_, row, _NO_CHILD, state=True)
    seen = set()
    for row in _rows(session, hub, Measurement, erased):
        record_id = measurement_id(row["child_id"], row["measured_on"].isoformat(), row["source"])
        seen.add(record_id)
        yield from _compare_columns(row["child_id"], "measurement", record_id, row, _NOT_MEASURED, state=True)
    for row in _rows(session, hub, Delivery, erased):
        record_id = delivery_id(row["child_id"], row["delivery"])
        yield from _compare_columns(row["child_id"], "delivery", record_id, row, _NO_VALUES, state=True)
    for row in _rows(session, hub, FollowUp, erased):
        yield Difference(row["child_id"], "follow_up", f"{row['child_id']}/{row['task']}", "", EXTRA)
    yield from _measured_before(session, hub, erased, seen)


def _rows(
    session: Session, hub: AppContext, model: type[Base], ids: Iterable[str]
) -> Sequence[Mapping[Any, Any]]:
    c = table(model).c
    query = select(table(model)).where(c.district == hub.district, among(c.child_id))
    return session.connection().execute(query, {"among": list(ids)}).mappings().all()


def _measured_before(
    session: Session, hub: AppContext, ids: Iterable[str], seen: set[str]
) -> Iterator[Difference]:
    c = table(ChangeRow).c
    query = select(c.child_id, c.record_id).where(
        c.district == hub.district,
        among(c.child_id),
        c.kind == "measurement",
        c.outcome != Outcome.QUARANTINED.value,
    )
    known = session.connection().execute(query.distinct(), {"among": list(ids)}).all()
    for child_id, record_id in known:
        if record_id not in seen:
            yield Difference(child_id, "measurement", record_id, "", MISSING)
    for record_id in sorted(seen - {row.record_id for row in known}):
        yield Difference("", "measurement", record_id, "", EXTRA)


# -- linked children ------------------------------------------------------------------------------


def _linked(session: Session, hub: AppContext, child_ids: Sequence[str]) -> Iterator[Difference]:
    """Work out again which linked children are one person. Erased ones are not linked."""
    rows = _with_linked(session, hub, child_ids)
    nodes = {
        row.id: linked_records.Node(row.same_as, bool(row.registered), bool(row.removed))
        for row in rows.values()
        if not row.erased
    }
    canonical = linked_records.canonical_ids(nodes)
    for id_ in child_ids:
        row = rows.get(id_)
        if row is not None and row.person_id != canonical.get(id_, id_):
            yield differing(id_, "child", id_, "person_id", row.person_id, canonical.get(id_, id_))


def _with_linked(session: Session, hub: AppContext, child_ids: Sequence[str]) -> dict[str, Any]:
    """Load what decides the groups of some children, of them and of all who are linked with them, in either direction."""
    c = table(Child).c
    query = select(
        *(c.id, c.person_id, c.same_as, c.registered, c.removed), c.wrapped_key.is_(None).label("erased")
    ).where(c.district == hub.district, among(c.id))
    rows: dict[str, Any] = {}
    asked = set(child_ids)
    while asked:
        new = {row.id: row for row in session.connection().execute(query, {"among": sorted(asked)})}
        rows |= new
        named = {row.same_as for row in new.values() if row.same_as}
        asked = (named | linked_records.linked_ids(session, hub.district, sorted(new))) - rows.keys() - asked
    return rows
