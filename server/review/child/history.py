"""The ledger's changes of a child's records: who made each, on which tablet, when by the tablet's and the server's clock."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import orjson
from sqlalchemy import Select, and_, bindparam, select
from sqlalchemy.orm import Session

from schemas import read_moment
from server.context import AppContext
from server.database.engine import among
from server.database.ids import UUID_TEXT
from server.database.models import ChangeRow, QuarantineDecision, Tablet, table
from server.review.authors import people
from sync_protocol import Dot, RecordState


@dataclass(frozen=True, slots=True)
class Recorded:
    """Who recorded a value, on which tablet (None: at the health centre), when by the tablet's clock and by the server's.

    `author` is as in the change; `name` is the account's display name, None for an author without an account.
    """

    author: str
    tablet_name: str | None
    recorded_at: datetime
    received_at: datetime
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """A live value of a register, and everybody who recorded it. Several live values of a register are a conflict."""

    fields: Mapping[str, Any]
    recorded: tuple[Recorded, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """Every change of some children: ledger rows in order of arrival, their headers, and who made each (not for quarantined
    changes: they are encrypted as a whole). `tablets` are names by id."""

    rows: Sequence[Any]
    headers: Mapping[Dot, Mapping[str, Any]]
    tablets: Mapping[str, str]
    recorded: Mapping[Dot, Recorded]


def held(session: Session, hub: AppContext, child_ids: Iterable[str]) -> Held:
    """Load every change of some children and of their measurements and follow-ups, without decrypting the contents."""
    given = {"district": hub.district, "among": sorted(child_ids)}
    rows = session.connection().execute(_changes(), given).all()
    headers = {Dot(row.actor, row.counter): orjson.loads(row.header) for row in rows}
    tablets = _tablets(session, hub, {row.actor for row in rows})
    names = people(session, hub, (header.get("author", "") for header in headers.values()))
    recorded = {}
    for row in rows:
        header = headers[Dot(row.actor, row.counter)]
        if row.kind is None:
            continue
        recorded[Dot(row.actor, row.counter)] = Recorded(
            header["author"],
            tablets.get(row.actor),
            read_moment(header["recorded_at"]),
            row.received_at,
            names.get(header["author"]),
        )
    return Held(rows, headers, tablets, recorded)


def recorded_by(session: Session, hub: AppContext, child_id: str) -> Mapping[Dot, Recorded]:
    """Load who recorded each change of a child, its measurements and its follow-ups."""
    return held(session, hub, [child_id]).recorded


def values_of(state: RecordState, recorded: Mapping[Dot, Recorded]) -> dict[str, tuple[Value, ...]]:
    """Give the live values of each register with who recorded them."""
    return {
        name: tuple(
            Value(sibling.value, tuple(recorded[dot] for dot in sibling.dots if dot in recorded))
            for sibling in siblings
        )
        for name, siblings in state.registers.items()
    }


def _tablets(session: Session, hub: AppContext, actors: Iterable[str]) -> dict[str, str]:
    ids = sorted(actor for actor in actors if UUID_TEXT.fullmatch(actor))
    if not ids:
        return {}
    rows = session.connection().execute(_tablet_names(), {"district": hub.district, "among": ids})
    return {row.id: row.name for row in rows}


@cache
def _changes() -> Select[*tuple[Any, ...]]:
    c, decided = table(ChangeRow).c, table(QuarantineDecision).c
    columns = (
        *(c.actor, c.counter, c.hash, c.kind, c.record_id, c.child_id, c.outcome),
        *(c.header, c.content, c.sealed, c.reasons, c.clock_days, c.received_at),
        *(decided.decision, decided.reason, decided.decided_by, decided.decided_at),
    )
    same = (decided.district == c.district, decided.actor == c.actor, decided.counter == c.counter)
    return (
        select(*columns)
        .select_from(table(ChangeRow).outerjoin(table(QuarantineDecision), and_(*same)))
        .where(c.district == bindparam("district"), among(c.child_id))
        .order_by(c.received_at, c.actor, c.counter)
    )


@cache
def _tablet_names() -> Select[*tuple[Any, ...]]:
    c = table(Tablet).c
    return select(c.id, c.name).where(c.district == bindparam("district"), among(c.id))
