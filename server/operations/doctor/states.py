"""Stored states of records against the ledger that they are folded from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from server.children import ledger, linked_records
from server.database.engine import among
from server.database.models import ChangeRow, Child, Delivery, FollowUp, Measurement, table
from server.operations.doctor.checks import CheckContext, Findings, chunks_of_children, one_by_one_on_error
from server.sync import clock_skew
from sync_protocol import KEYS, RecordState, fold, id_of

NOT_FOLDED: Final = frozenset({"state", "position", "person_id"})
"""Columns that are not folded from the record's own changes; `state` is compared decrypted (encryption is randomised)."""


def check_states(context: CheckContext, findings: Findings) -> None:
    """Fold the ledger again, compare it with what is stored, and recompute which linked children are one person."""
    for chunk in chunks_of_children(context, "states"):
        findings.looked_at += len(chunk)
        with context.reading() as session:
            for problem in one_by_one_on_error(chunk, partial(_compare, context, session)):
                findings.add(problem)
    with context.reading() as session:
        query = select(
            *(Child.id, Child.person_id, Child.same_as, Child.registered, Child.removed),
            Child.wrapped_key.is_(None).label("erased"),
        )
        rows = session.execute(query.where(Child.district == context.district)).all()
    nodes = {
        row.id: linked_records.Node(row.same_as, bool(row.registered), bool(row.removed))
        for row in rows
        if not row.erased
    }
    canonical = linked_records.canonical_ids(nodes)
    for row in rows:
        if row.person_id != canonical.get(row.id, row.id):
            findings.add(f"child {row.id}: person_id differs")


def _compare(context: CheckContext, session: Session, ids: list[str]) -> Iterator[str]:
    """Name each record whose stored row differs from the fold of its changes."""
    district = context.district
    held = ledger.subjects(session, context.hub.vault, district, ids)
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
        yield f"{extra.state.kind} {extra.state.record_id}: missing"


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


def _compare_child(district: str, subject: ledger.Subject, folded: _Folded | None) -> Iterator[str]:
    row, name = subject.row, f"child {subject.id}"
    assert row is not None  # noqa: S101  # it was just loaded
    if (row["state"] is None) != (folded is None):
        yield f"{name}: {'not in the ledger' if folded is None else 'state missing'}"
        return
    state, clock_days = folded or (None, 0)
    if state is not None:
        wire = orjson.loads(ledger.read_child(district, subject.id, row["state"], subject.key))
        stored = RecordState.from_wire("child", subject.id, {}, wire)
        post = state.value("post")
        if stored.canonical() != state.canonical():
            yield f"{name}: state differs"
        elif post and post["post"] != row["post_id"]:
            yield f"{name}: post differs"
    yield from _compare_columns(
        name, row, ledger.child_row(district, subject, state, row["position"], clock_days)
    )


def _compare_keyed(
    district: str, subject: ledger.Subject, kind: str, row: Mapping[Any, Any], folded: dict[str, _Folded]
) -> Iterator[str]:
    """Compare a measurement, follow-up or delivery with its fold, which is removed from `folded`."""
    key = {"child": row["child_id"], **{name: _key_text(row, name) for name in KEYS[kind][1:]}}
    record_id = id_of(kind, key)
    name, from_ledger = f"{kind} {record_id}", folded.pop(record_id, None)
    if from_ledger is None:
        yield f"{name}: not in the ledger"
        return
    state, clock_days = from_ledger
    stored_bytes = ledger.read_keyed(district, kind, record_id, _StateRow(row), subject.key)
    stored = RecordState.from_wire(kind, record_id, state.key, orjson.loads(stored_bytes))
    if stored.canonical() != state.canonical():
        yield f"{name}: state differs"
    if kind == "measurement":
        expected = ledger.measurement_row(district, subject, state, row["position"], clock_days)
    else:
        expected = ledger.KEYED_ROWS[kind](district, subject, state, row["position"])
    yield from _compare_columns(name, row, expected)


def _key_text(row: Mapping[Any, Any], name: str) -> str:
    return row[name].isoformat() if isinstance(row[name], date) else str(row[name])


@dataclass(frozen=True, slots=True)
class _StateRow:
    """A row as a mapping, read by attribute."""

    row: Mapping[Any, Any]

    def __getattr__(self, name: str) -> Any:
        return self.row[name]


def _compare_columns(name: str, row: Mapping[Any, Any], expected: Mapping[str, Any]) -> Iterator[str]:
    wrong = [column for column in expected if column not in NOT_FOLDED and row[column] != expected[column]]
    if wrong:
        yield f"{name}: {', '.join(wrong)} differ"
