"""The ledger of changes: every chain of hashes, every content, every receipt."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

import orjson
from sqlalchemy import and_, func, select, tuple_
from sqlalchemy.orm import Session, aliased

from server.children import ledger
from server.database.models import Batch, ChangeRow, Tablet
from server.operations.doctor.checks import CHUNK, MOST_KEPT, UNREADABLE, CheckContext, Findings
from sync_protocol import Dot, change_hash, content_digest, digest


def check_ledger(context: CheckContext, findings: Findings) -> None:
    """Check every actor's chain of changes, and its end against what the tablet was acknowledged."""
    with context.reading() as session:
        query = select(Tablet.id, Tablet.last_counter, Tablet.chain_hash).where(
            Tablet.district == context.district
        )
        ends = {row.id: (row.last_counter, row.chain_hash) for row in session.execute(query)}
        heads = _count_changes if context.quick else _follow_chains
        for actor, taken, hash_ in heads(context, session, findings):
            end = ends.pop(actor, None)
            if end is None and not actor.startswith("hub:"):
                findings.add(f"{actor}: no such tablet")
            elif end is not None and end[0] != taken:
                findings.add(f"{actor}: {taken} held, {end[0]} acknowledged")
            elif end is not None and end[1] != hash_:
                findings.add(f"{actor}: chain ends elsewhere")
        for actor, (taken, hash_) in ends.items():
            if taken:
                findings.add(f"{actor}: 0 held, {taken} acknowledged")
            elif hash_:
                findings.add(f"{actor}: chain ends elsewhere")


Head = tuple[str, int, str]
"""An actor, its newest counter, the hash of that change."""


def _count_changes(context: CheckContext, session: Session, findings: Findings) -> Iterator[Head]:
    """Count each actor's changes, which shows gaps, without recomputing hashes."""
    c, last = ChangeRow, aliased(ChangeRow)
    counts = (
        select(
            c.actor,
            func.count().label("held"),
            func.min(c.counter).label("low"),
            func.max(c.counter).label("high"),
        )
        .where(c.district == context.district)
        .group_by(c.actor)
        .subquery()
    )
    same = and_(
        last.district == context.district, last.actor == counts.c.actor, last.counter == counts.c.high
    )
    for row in session.execute(select(counts, last.hash).join(last, same)):
        findings.looked_at += row.held
        if (row.low, row.high) != (1, row.held):
            findings.add(f"{row.actor}: {row.held} held of {row.low} to {row.high}")
        yield row.actor, row.high, row.hash


def _follow_chains(context: CheckContext, session: Session, findings: Findings) -> Iterator[Head]:
    """Recompute every hash and compare every link."""
    for actor, rows in groupby(_links(context, session), key=attrgetter("row.actor")):
        number, previous = 0, ""
        for one in rows:
            row = one.row
            findings.looked_at += 1
            if row.counter != number + 1:
                findings.add(f"{actor}/{number + 1}: missing")
            elif one.previous != previous:
                findings.add(f"{actor}/{row.counter}: does not follow the one before")
            elif one.problem:
                findings.add(f"{actor}/{row.counter}: {one.problem}")
            number, previous = row.counter, row.hash
        yield actor, number, previous


@dataclass(frozen=True, slots=True)
class _Link:
    """A row of the ledger, the hash that it names as its predecessor, and what is wrong with the row itself."""

    row: Any
    previous: object
    problem: str


def _links(context: CheckContext, session: Session) -> Iterator[_Link]:
    """Read the whole ledger in order of actor and counter, page by page."""
    c = ChangeRow
    mine = select(c.actor, c.counter, c.hash, c.child_id, c.header, c.content, c.sealed).where(
        c.district == context.district
    )
    total = session.execute(select(func.count()).where(c.district == context.district)).scalar_one()
    done, after = 0, ("", 0)
    while True:
        page = mine.where(tuple_(c.actor, c.counter) > after).order_by(c.actor, c.counter).limit(CHUNK)
        rows = session.execute(page).all()
        if not rows:
            return
        children = sorted({row.child_id for row in rows if row.sealed == ledger.UNDER_CHILD and row.child_id})
        held = ledger.subjects(session, context.hub.vault, context.district, children)
        for row in rows:
            yield _read_link(context, row, held)
        done, after = done + len(rows), (rows[-1].actor, rows[-1].counter)
        context.progress("ledger", done, total)


def _read_link(context: CheckContext, row: Any, held: Mapping[str, ledger.Subject]) -> _Link:
    try:
        header = orjson.loads(row.header)
        previous = header["previous"]
    except UNREADABLE:
        return _Link(row, None, "header unreadable")
    try:
        return _Link(row, previous, _content_problem(context, row, header, held))
    except UNREADABLE:
        return _Link(row, previous, "content unreadable")


def _content_problem(
    context: CheckContext, row: Any, header: Mapping[str, Any], held: Mapping[str, ledger.Subject]
) -> str:
    """Compare a change with its hash, and its content with its header where the content can be read; "" if both fit."""
    if (header["actor"], header["counter"]) != (row.actor, row.counter):
        return "header of another change"
    if row.sealed == ledger.UNDER_DISTRICT:  # quarantined: sealed whole, and its header is shortened
        wire = ledger.quarantined_change(context.district, row, context.hub.vault)
        made = change_hash(Dot(row.actor, row.counter), header["previous"], wire)
        return "" if made == row.hash else "altered"
    if row.sealed == ledger.ERASED and row.content:
        return "content after an erasure"
    if row.sealed == ledger.ERASED:  # if it was quarantined, its header alone does not give the hash
        return "" if "kind" not in header or digest(header) == row.hash else "header altered"
    if digest(header) != row.hash:
        return "header altered"
    child = held.get(row.child_id)
    if row.sealed == ledger.UNDER_CHILD and (child is None or child.wrapped_key is None):
        return "" if child else "its child is missing"
    content = ledger.read_change(context.district, row, child)  # type: ignore[arg-type]  # a plain one needs no child
    return "" if content_digest(content.wire()) == header["content"] else "content altered"


def check_batches(context: CheckContext, findings: Findings) -> None:
    """Check that each receipt's items add up to its outcomes, and that its batch and changes exist."""
    with context.reading() as session:
        last_counters = dict(
            session.execute(
                select(Tablet.id, Tablet.last_counter).where(Tablet.district == context.district)
            ).all()
        )
        query = select(Batch.tablet_id, Batch.batch_id, Batch.receipt, Batch.outcomes)
        query = query.where(Batch.district == context.district).execution_options(yield_per=CHUNK)
        for row in session.execute(query):
            findings.looked_at += 1
            try:
                items = orjson.loads(row.receipt)["items"]
                sums = Counter(item[1] for item in items) == Counter(orjson.loads(row.outcomes))
                known = all(item[0] <= last_counters[row.tablet_id] for item in items)
            except UNREADABLE:
                findings.add(f"{row.tablet_id}/{row.batch_id}: unreadable")
                continue
            if not sums:
                findings.add(f"{row.tablet_id}/{row.batch_id}: outcomes do not add up")
            elif not known:
                findings.add(f"{row.tablet_id}/{row.batch_id}: acknowledged what is not held")
        without_batch = select(ChangeRow.actor, ChangeRow.counter).where(
            ChangeRow.district == context.district,
            ChangeRow.batch_id.is_not(None),
            ~select(Batch.batch_id)
            .where(
                Batch.district == ChangeRow.district,
                Batch.tablet_id == _actor_as_tablet_id(context),
                Batch.batch_id == ChangeRow.batch_id,
            )
            .exists(),
        )
        for actor, counter in session.execute(without_batch.limit(MOST_KEPT)):
            findings.add(f"{actor}/{counter}: its batch is missing")


def _actor_as_tablet_id(context: CheckContext) -> Any:
    """Cast the ledger's actor, a text since it may be the server, to a tablet's id: the server sends no batches."""
    if context.hub.settings.is_sqlite:
        return ChangeRow.actor
    return func.cast(ChangeRow.actor, Tablet.id.type)
