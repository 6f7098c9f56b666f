"""Third step of the pipeline: rows of ledger and states, with positions in the posts' streams, are added to a `Writes`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.children import ledger, linked_records
from server.children.assessment import PendingRows
from server.context import AppContext
from server.database.models import (
    ChangeRow,
    Child,
    Delivery,
    FollowUp,
    Measurement,
    NikIndex,
    PostExit,
    table,
)
from server.database.writes import Writes
from server.sync.judging import JudgedChange
from server.sync.loading import LoadedRecords
from sync_protocol import RecordState

OF_A_CHILD: Final[tuple[tuple[Any, *tuple[str, ...]], ...]] = (
    (Measurement, "measured_on", "source"),
    (FollowUp, "task"),
    (Delivery, "delivery"),
)
"""The records beside a child's own: the table of each, and the columns that name a row beside its child."""

Row = dict[str, Any]


def save(
    session: Session,
    writes: Writes,
    hub: AppContext,
    batch_id: str | None,
    judged: Sequence[JudgedChange],
    loaded: LoadedRecords,
    now: datetime,
) -> PendingRows:
    """Add ledger and states to what is written; the heads of the streams are left to the caller.

    Every record that changed takes the next position of its child's present post.

    Returns
    -------
    PendingRows : the rows of the states, for the assessment that follows
    """
    district = hub.district
    measured = {state.key.get("child") for state in loaded.states.values()}
    regrouped = _regroup(loaded, measured) if _has_links(loaded) else frozenset()
    new, known = _child_rows(district, loaded, measured)
    measurements, follow_ups, deliveries = _record_rows(district, loaded)
    # never an upsert: of two posts that make one child at once, the second must run again and see the first
    writes.insert(table(Child), new)
    writes.upsert(table(Child), known)
    write = writes.upsert if loaded.held_before else writes.insert
    write(table(Measurement), measurements)
    write(table(FollowUp), follow_ups)
    write(table(Delivery), deliveries)
    _move(session, writes, district, loaded)
    _save_groups(writes, district, loaded, regrouped)
    writes.insert(table(ChangeRow), [_ledger_row(hub, batch_id, one, loaded, now) for one in judged])
    _index_niks(writes, hub, judged, loaded)
    return PendingRows(
        _stored_rows(loaded) | {row["id"]: row for row in (*new, *known)},
        {(row["child_id"], row["measured_on"].isoformat(), row["source"]): row for row in measurements},
        replacing=loaded.held_before,
        regrouped=regrouped,
        follow_ups={(row["child_id"], row["task"]): row for row in follow_ups},
    )


def _child_rows(
    district: str, loaded: LoadedRecords, measured: set[str | None]
) -> tuple[list[Row], list[Row]]:
    """Return the rows of children who are not stored yet, and of those who are."""
    new: list[Row] = []
    known: list[Row] = []
    for subject in loaded.subjects.values():
        state = loaded.states.get(subject.id)
        rows = known if subject.stored else new
        if state is not None:
            at, doubt = loaded.posts.next(subject.post_id), loaded.clock_doubt(state)
            rows.append(ledger.child_row(district, subject, state, at, doubt))
        elif not subject.stored and subject.id in measured:
            rows.append(ledger.child_row(district, subject, None, 0))
    return new, known


def _record_rows(district: str, loaded: LoadedRecords) -> tuple[list[Row], list[Row], list[Row]]:
    """Return the rows of measurements, follow-ups and deliveries."""
    measurements: list[Row] = []
    follow_ups: list[Row] = []
    deliveries: list[Row] = []
    for state in loaded.states.values():
        if state.kind == "child":
            continue
        subject = loaded.subjects[state.key["child"]]
        at = loaded.posts.next(subject.post_id)
        if state.kind == "measurement":
            doubt = loaded.clock_doubt(state)
            measurements.append(ledger.measurement_row(district, subject, state, at, doubt))
        elif state.kind == "follow_up":
            follow_ups.append(ledger.follow_up_row(district, subject, state, at))
        else:
            deliveries.append(ledger.delivery_row(district, subject, state, at))
    return measurements, follow_ups, deliveries


def _ledger_row(
    hub: AppContext, batch_id: str | None, judged: JudgedChange, loaded: LoadedRecords, now: datetime
) -> Row:
    arrival = judged.arrival
    return ledger.change_row(
        hub.district,
        arrival.link,
        judged.change,
        loaded.subjects.get(arrival.child_id or ""),
        hub.vault,
        child_id=arrival.child_id,
        record_id=arrival.record_id,
        outcome=judged.outcome,
        reasons=[reason.wire() for reason in judged.reasons],
        batch_id=batch_id,
        received_at=now,
        clock_days=arrival.clock_days if judged.change else 0,
    )


def _stored_rows(loaded: LoadedRecords) -> dict[str, Any]:
    """Return the children's rows as stored, but with the group to which each belongs now."""
    return {
        subject.id: _of_group(subject.row, subject.person_id)
        for subject in loaded.subjects.values()
        if subject.row
    }


def _of_group(row: Any, person_id: str) -> Any:
    return row if row["person_id"] == person_id else {**row, "person_id": person_id}


def _has_links(loaded: LoadedRecords) -> bool:
    """Say whether any of the children is, was or may become linked; most uploads are of children who are not."""
    return any(
        subject.person_id != subject.id or (subject.row and subject.row["same_as"])
        for subject in loaded.subjects.values()
    ) or any(state.kind == "child" and "same_as" in state.registers for state in loaded.states.values())


def _regroup(loaded: LoadedRecords, measured: set[str | None]) -> frozenset[str]:
    """Work out which records are of one child; return the children whose link group changed. Erased ones are excluded."""
    nodes = {}
    for subject in loaded.subjects.values():
        if subject.erased:
            continue
        state, row = loaded.states.get(subject.id), subject.row
        if state is not None:
            nodes[subject.id] = _node(state)
        elif row is not None:
            nodes[subject.id] = linked_records.Node(
                row["same_as"], bool(row["registered"]), bool(row["removed"])
            )
        elif subject.id in measured:
            nodes[subject.id] = linked_records.Node(None, registered=False, removed=False)
    before = {child_id: loaded.subjects[child_id].person_id for child_id in nodes}
    after = linked_records.canonical_ids(nodes)
    for child_id, person_id in after.items():
        loaded.subjects[child_id].person_id = person_id
    changed = {child_id for child_id in nodes if before[child_id] != after[child_id]}
    groups = {person_id for child_id in changed for person_id in (before[child_id], after[child_id])}
    return frozenset(
        child_id for child_id in nodes if before[child_id] in groups or after[child_id] in groups
    )


def _node(state: RecordState) -> linked_records.Node:
    link = (state.value("same_as") or {}).get("child")
    return linked_records.Node(link, registered=True, removed=state.removed)


def _save_groups(writes: Writes, district: str, loaded: LoadedRecords, regrouped: frozenset[str]) -> None:
    """Save the groups of children who were not edited themselves, and advance the streams of all their posts: an upload that
    was planned meanwhile with the former groups is planned again."""
    for child_id in sorted(regrouped):
        subject = loaded.subjects[child_id]
        if child_id not in loaded.states and subject.stored:
            key = {"district": district, "id": child_id}
            writes.set(table(Child), key, {"person_id": subject.person_id})
    for post_id in {loaded.subjects[child_id].post_id for child_id in regrouped}:
        loaded.posts.next(post_id)


def _move(session: Session, writes: Writes, district: str, loaded: LoadedRecords) -> None:
    """Put all records of a moved child into its new post's stream, and its exit into the old post's."""
    positions = loaded.posts
    for child_id, old_post in loaded.moved_from.items():
        post_id = loaded.subjects[child_id].post_id
        for model, *names in OF_A_CHILD:
            c = table(model).c
            mine = c.district == district, c.child_id == child_id
            for row in session.execute(select(*(c[name] for name in names)).where(*mine)).mappings():
                key = {"district": district, "child_id": child_id, **row}
                writes.set(table(model), key, {"post_id": post_id, "position": positions.next(post_id)})
        left = {"district": district, "post_id": old_post, "child_id": child_id}
        writes.upsert(table(PostExit), [{**left, "position": positions.next(old_post)}])
        writes.remove(table(PostExit), [{**left, "post_id": post_id}])


def _index_niks(
    writes: Writes, hub: AppContext, judged: Sequence[JudgedChange], loaded: LoadedRecords
) -> None:
    """Keep the blind index of the NIKs that a child's record holds now."""
    gone: list[Row] = []
    held: list[Row] = []
    edited = {one.change.record_id for one in judged if one.change and "nik" in one.change.registers}
    for child_id in sorted(edited):
        history = loaded.histories[child_id].changes
        ever = {nik for c in history if (nik := c.registers.get("nik", {}).get("nik"))}
        present = {nik for s in loaded.states[child_id].registers["nik"] if (nik := s.value.get("nik"))}
        for niks, rows in ((ever - present, gone), (present, held)):
            blinds = sorted(map(hub.vault.blind_index, niks))
            rows += [{"blind_index": b, "district": hub.district, "child_id": child_id} for b in blinds]
    writes.remove(table(NikIndex), gone)
    writes.upsert(table(NikIndex), held)
