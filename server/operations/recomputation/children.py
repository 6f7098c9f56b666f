"""What is derived of a child: assessments, flags, its row of the review queue, index of its NIKs, when it was first seen.

Everything is derived again from the merged states and compared in full. The stored hash of an assessment's inputs is only
one of its columns here: whoever alters a score leaves it as it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server import isolation
from server.children import ledger, linked_records
from server.children.assessment import ENGINE, derived
from server.context import AppContext
from server.database.engine import among
from server.database.models import (
    Assessment,
    Attention,
    AuditEntry,
    ChangeRow,
    Child,
    Delivery,
    Flag,
    FollowUp,
    JobRun,
    Measurement,
    NikIndex,
    table,
)
from server.operations.recomputation.difference import (
    EXTRA,
    MISSING,
    REASSESS,
    UNREADABLE,
    Difference,
    compared,
    differing,
)
from sync_protocol import Outcome

BY_CALENDAR: Final = "not_seen"
"""A flag that the date raises: a job sets it in the first night of a month."""
CALENDAR_JOB: Final = "unmeasured-children"
RULES_JOB: Final = "new-rules"


def differences(
    session: Session, hub: AppContext, person_ids: Sequence[str], now: datetime
) -> list[Difference]:
    """Derive everything of some persons again.

    Parameters
    ----------
    person_ids : canonical ids; linked children are included
    """
    done, failed = isolation.halved(
        lambda some: list(_of_persons(session, hub, some, now)), person_ids, "recomputation"
    )
    unreadable = [
        Difference(id_, "child", id_, "", UNREADABLE, stored=error) for id_, error in failed.items()
    ]
    return [*(one for part in done for one in part), *unreadable]


def _of_persons(
    session: Session, hub: AppContext, person_ids: list[str], now: datetime
) -> Iterator[Difference]:
    ids = linked_records.group_of(session, hub.district, person_ids)
    held = ledger.subjects(session, hub.vault, hub.district, ids)
    readable = {id_: child for id_, child in held.items() if not child.erased}
    yield from _assessed(session, hub, ids, sorted(readable), now)
    yield from _raised(session, hub, ids)
    yield from _niks(session, hub, ids, readable)
    yield from _first_seen(session, hub, ids, held)


def rows_of(session: Session, hub: AppContext, model: Any, ids: Sequence[str]) -> list[Mapping[Any, Any]]:
    """Load the rows of some children."""
    c = table(model).c
    query = select(table(model)).where(c.district == hub.district, among(c.child_id))
    return list(session.connection().execute(query, {"among": list(ids)}).mappings())


def readable_among(session: Session, hub: AppContext, ids: Sequence[str]) -> list[str]:
    """Return those of some children who were not erased, sorted."""
    c = table(Child).c
    query = select(c.id).where(c.district == hub.district, among(c.id), c.wrapped_key.is_not(None))
    return list(session.connection().execute(query.order_by(c.id), {"among": list(ids)}).scalars())


# -- assessments, flags, queue --------------------------------------------------------------------


def _assessed(
    session: Session, hub: AppContext, ids: Sequence[str], readable: list[str], now: datetime
) -> Iterator[Difference]:
    made = derived(session, hub, readable, now)
    stored = {model: rows_of(session, hub, model, ids) for model in (Assessment, Flag, Attention)}
    if rules_are_new(session, hub) and any(row["engine"] != ENGINE for row in stored[Assessment]):
        return  # another release's rules made them, and the job that assesses them again has not ended
    flags: Sequence[Mapping[Any, Any]] = made.flags
    queue: Sequence[Mapping[Any, Any]] = made.queue
    if not calendar_is_done(session, hub, now):
        due = {row["child_id"] for row in (*stored[Flag], *flags) if row["rule"] == BY_CALENDAR}
        flags, stored[Flag] = (
            [r for r in rows if r["rule"] != BY_CALENDAR] for rows in (flags, stored[Flag])
        )
        queue, stored[Attention] = (
            [r for r in rows if r["child_id"] not in due] for rows in (queue, stored[Attention])
        )
    parts: tuple[tuple[str, tuple[str, ...], Any, Any], ...] = (
        ("assessment", ("child_id", "measured_on", "source"), stored[Assessment], made.assessments),
        ("flag", ("child_id", "rule", "subject"), stored[Flag], flags),
        ("attention", ("child_id",), stored[Attention], queue),
    )
    for name, keys, was, wanted in parts:
        yield from _by_child(name, keys, was, wanted)


def _by_child(
    name: str, keys: tuple[str, ...], stored: Sequence[Mapping[Any, Any]], wanted: Sequence[Mapping[Any, Any]]
) -> Iterator[Difference]:
    """Compare rows, and name the child of each difference as the unit."""
    for one in compared("", name, keys, stored, wanted, remedy=REASSESS):
        yield replace(one, unit=one.record.partition("/")[0])


def calendar_is_done(session: Session, hub: AppContext, now: datetime) -> bool:
    """Say whether the job that sets the flags of the calendar has run this month: the flags change with the month alone."""
    ran = session.scalar(
        select(JobRun.ran_at).where(JobRun.district == hub.district, JobRun.job == CALENDAR_JOB)
    )
    return (
        ran is not None and hub.settings.today(ran).isoformat()[:7] == hub.settings.today(now).isoformat()[:7]
    )


def rules_are_new(session: Session, hub: AppContext) -> bool:
    """Say whether children may still be assessed by another release's rules."""
    stored = session.scalar(
        select(JobRun.result).where(JobRun.district == hub.district, JobRun.job == RULES_JOB)
    )
    known = orjson.loads(stored) if stored else {}
    return known.get("rules") != ENGINE or known.get("after") is not None


def _raised(session: Session, hub: AppContext, ids: Sequence[str]) -> Iterator[Difference]:
    """Find flags that were raised at a moment at which nothing was logged: every assessment is logged as it is made."""
    c, logged = table(Flag).c, table(AuditEntry).c
    entry = select(logged.number).where(logged.district == c.district, logged.at == c.raised_at)
    query = select(c.child_id, c.rule, c.subject, c.raised_at).where(
        c.district == hub.district, among(c.child_id), ~entry.exists()
    )
    for child_id, rule, subject, raised_at in session.connection().execute(query, {"among": list(ids)}):
        record = f"{child_id}/{rule}/{subject}"
        yield differing(child_id, "flag", record, "raised_at", raised_at, "no entry of the log")


# -- index of NIKs --------------------------------------------------------------------------------


def _niks(
    session: Session, hub: AppContext, ids: Sequence[str], readable: Mapping[str, ledger.Subject]
) -> Iterator[Difference]:
    wanted = {
        (id_, hub.vault.blind_index(nik)) for id_, child in readable.items() for nik in _niks_of(hub, child)
    }
    stored = {
        (str(row["child_id"]), bytes(row["blind_index"])) for row in rows_of(session, hub, NikIndex, ids)
    }
    for kind, keys in ((MISSING, wanted - stored), (EXTRA, stored - wanted)):
        for child_id in sorted({child_id for child_id, _ in keys}):
            yield Difference(child_id, "nik_index", child_id, "", kind)


def _niks_of(hub: AppContext, child: ledger.Subject) -> set[str]:
    """Return the live NIKs in a child's sealed state."""
    row = child.row
    if row is None or row["state"] is None:
        return set()
    live = orjson.loads(ledger.read_child(hub.district, child.id, row["state"], child.key))["set"].get(
        "nik", ()
    )
    values = (live,) if isinstance(live, Mapping) else [sibling["value"] for sibling in live]
    return {value["nik"] for value in values if value.get("nik")}


OF_A_CHILD: Final = (Assessment, Flag, Attention, Measurement, FollowUp, Delivery, NikIndex)


def strays(session: Session, hub: AppContext, _districts: Sequence[str], _now: datetime) -> list[Difference]:
    """Find rows that name no child of ours: no child's check reaches them, and one of the index has no foreign key."""
    child = table(Child).c
    found = []
    for model in OF_A_CHILD:
        c = table(model).c
        known = select(child.id).where(child.district == c.district, child.id == c.child_id)
        query = select(c.child_id).where(c.district == hub.district, ~known.exists())
        found += [
            Difference(hub.district, table(model).name, child_id, "", EXTRA)
            for child_id in session.scalars(query.distinct().order_by(c.child_id))
        ]
    return found


# -- first seen -----------------------------------------------------------------------------------


def _first_seen(
    session: Session, hub: AppContext, ids: Sequence[str], held: Mapping[str, ledger.Subject]
) -> Iterator[Difference]:
    """Compare since when children are known with when their first change was taken."""
    c = table(ChangeRow).c
    query = (
        select(c.child_id, func.min(c.received_at).label("first"))
        .where(c.district == hub.district, among(c.child_id), c.outcome != Outcome.QUARANTINED.value)
        .group_by(c.child_id)
    )
    for child_id, first in session.connection().execute(query, {"among": list(ids)}):
        subject = held.get(child_id)
        if subject is not None and subject.first_seen_at != first:
            yield differing(child_id, "child", child_id, "first_seen_at", subject.first_seen_at, first)
