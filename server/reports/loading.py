"""Load the rows of some posts' children as the columns that are counted. Of a child's encrypted state only the registers
`books` and `family` are read, of a measurement's only `services`.
"""

from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np
import orjson
from sqlalchemy import LargeBinary, Select, Text, bindparam, case, cast, func, literal, or_, select
from sqlalchemy.orm import Session

from schemas import read_moment
from server.children import ledger
from server.context import AppContext
from server.database.engine import among, among_pairs
from server.database.models import Assessment, ChangeRow, Child, Delivery, FollowUp, Measurement, table
from server.reports.counting import (
    CADRE,
    CODES,
    HELP_KINDS,
    STAFF,
    Helps,
    Persons,
    Scores,
    Visits,
    month_number,
)
from sync_protocol import follow_up_id, measurement_id

NEVER: Final = -1_000_000
"""A month before all others."""
ALWAYS: Final = 1_000_000
SEX: Final = {"M": 1, "F": 2, None: 0}
SOURCES: Final = {"cadre": CADRE, "staff": STAFF}
FOOD: Final = "food"
STATE_FUNDS: Final = frozenset({"dak", "apbd", "village"})
"""Funds that pay for PMT; food from other funds is aid."""
SERVICES_KEY: Final = b'"services"'
DOSES_KEY: Final = b'"doses"'
_EXAMINING: Final = frozenset({"remeasure", "refer_puskesmas", "refer_hospital"})
_EXAMINED: Final = frozenset({"confirmed", "cleared", "done", "better", "same", "worse", "to_hospital"})
"""Outcomes of these actions that mean that the health centre (or the hospital) saw the child."""
_LONGEST_WAIT: Final = timedelta(days=90)
"""How long a change may have waited on its tablet: when it was recorded is believed so far back from when it came."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What some posts' figures are counted from. `earliest` is the first month with any data."""

    persons: Persons
    visits: Visits
    scores: Scores
    helps: Helps
    earliest: int


def month_of(day: date) -> tuple[date, date]:
    """Give the first and the last day of a day's month."""
    return day.replace(day=1), day.replace(day=monthrange(day.year, day.month)[1])


def load(session: Session, hub: AppContext, posts: Sequence[str], now: datetime) -> Loaded:
    """Load the persons whose canonical record belongs to some posts, with the data of all linked records.

    Parameters
    ----------
    posts : in the order of their numbers in the result
    """
    members = _members(session, hub, posts)
    heads = sorted({row.person_id for row in members})
    number = {head: place for place, head in enumerate(heads)}
    person_of = {row.id: number[row.person_id] for row in members}
    parameters = {"district": hub.district, "among": list(posts)}
    keys = _Keys(hub, {row.id: row for row in members})
    visits = _visits(session, hub, parameters, person_of, keys)
    scores = _scores(session, parameters, person_of)
    helps = _helps(session, hub, parameters, person_of, now)
    persons = _persons(hub, members, {post: place for place, post in enumerate(posts)}, number, visits, keys)
    return Loaded(persons, visits, scores, helps, int(persons.since.min()) if len(heads) else ALWAYS)


class _Keys:
    """The children's keys, unwrapped on first use; None for a child that was erased."""

    def __init__(self, hub: AppContext, rows: Mapping[str, Any]) -> None:
        self._hub, self._rows, self._known = hub, rows, dict[str, Any]()

    def of(self, child_id: str) -> Any:
        row = self._rows[child_id]
        if row.wrapped_key is None:
            return None
        if child_id not in self._known:
            self._known[child_id] = self._hub.vault.child_key(child_id, row.wrapped_key, row.key_version)
        return self._known[child_id]


def _ids() -> Select[*tuple[Any, ...]]:
    """Select the ids of all children whose figures are at some posts (`among`). As a subquery it is evaluated once;
    PostgreSQL would read a list of ids in a parameter again for every row."""
    child, head = table(Child).alias("member").c, table(Child).alias("head").c
    return select(child.id).where(
        head.district == bindparam("district"),
        among(head.post_id),
        head.id == head.person_id,
        child.district == head.district,
        child.person_id == head.id,
    )


def _members(session: Session, hub: AppContext, posts: Sequence[str]) -> Sequence[Any]:
    c = table(Child).c
    query = (
        select(
            *(c.id, c.person_id, c.post_id, c.sex, c.born_on, c.registered, c.removed, c.first_seen_at),
            *(c.state, c.wrapped_key, c.key_version, c.restricted_at),
        )
        .where(c.district == bindparam("district"), c.id.in_(_ids()))
        .order_by(c.id)
    )
    parameters = {"district": hub.district, "among": list(posts)}
    return session.connection().execute(query, parameters).all()


def _persons(
    hub: AppContext,
    members: Sequence[Any],
    post_number: Mapping[str, int],
    number: Mapping[str, int],
    visits: Visits,
    keys: _Keys,
) -> Persons:
    count = len(number)
    post, sex = np.zeros(count, np.int64), np.zeros(count, np.int64)
    born: list[date | None] = [None] * count
    registered, book = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    since, risk = np.full(count, ALWAYS), np.full(count, NEVER)
    for row in members:
        place = number[row.person_id]
        seen = row.first_seen_at if row.first_seen_at.tzinfo else row.first_seen_at.replace(tzinfo=UTC)
        since[place] = min(since[place], int(month_number(np.datetime64(hub.settings.today(seen)))))
        if row.id == row.person_id:  # the canonical record gives the person's data
            post[place], sex[place] = post_number[row.post_id], SEX[row.sex]
            born[place], registered[place] = row.born_on, _counts(row)
        holds, until = _home(hub, row, keys)
        if not row.removed:
            book[place] |= holds
            risk[place] = max(risk[place], until)
    if len(visits.person):
        np.minimum.at(since, visits.person, month_number(visits.day))
    return Persons(post, sex, np.array(born, "datetime64[D]"), since, registered, book, risk)


def _counts(row: Any) -> bool:
    """Say whether a child is on the register: not removed, not erased, processing not restricted."""
    usable = row.wrapped_key is not None and row.restricted_at is None
    return bool(row.registered) and not row.removed and usable


def _home(hub: AppContext, row: Any, keys: _Keys) -> tuple[bool, int]:
    """Give whether a book is held, and until which month the family is at risk. Of several live values any one counts."""
    key = keys.of(row.id) if row.state is not None else None
    if key is None:
        return False, NEVER
    wire = ledger.read_child(hub.district, row.id, row.state, key)
    holds = any(value.get("kia") or value.get("kms") for value in _live(wire, "books"))
    until = NEVER
    for value in _live(wire, "family"):
        if value.get("krs"):
            last = value.get("valid_until")
            until = max(until, int(month_number(np.datetime64(last))) if last else ALWAYS)
    return holds, until


def _visits(
    session: Session,
    hub: AppContext,
    parameters: Mapping[str, Any],
    person_of: Mapping[str, int],
    keys: _Keys,
) -> Visits:
    m = table(Measurement).c
    sqlite = session.get_bind().dialect.name == "sqlite"
    marks = [literal(key, LargeBinary()) for key in (SERVICES_KEY, DOSES_KEY)]
    has_services = or_(
        *(
            func.instr(m.state, mark) > 0 if sqlite else func.position(mark.op("IN")(m.state)) > 0
            for mark in marks
        )
    )
    query = select(
        cast(m.child_id, Text()),
        cast(m.measured_on, Text()),
        m.source,
        m.weight_g,
        m.length_mm,
        m.muac_mm,
        m.oedema,
        m.length_position,
        m.conflicts,
        m.sealed,
        case((or_(m.sealed != ledger.PLAIN, has_services), m.state)),
    ).where(m.district == bindparam("district"), m.child_id.in_(_ids()), ~m.removed)
    rows = session.connection().execute(query, parameters).all()
    columns = list(zip(*rows, strict=True)) or [()] * 11
    person = np.array([person_of[child] for child in columns[0]], np.int64)
    day = np.array(columns[1], "datetime64[D]")
    source = np.array([SOURCES[name] for name in columns[2]], np.int64)
    order = np.lexsort((source, day.astype(np.int64), person))
    services = {
        place: found
        for place, row in enumerate(order.tolist())
        if columns[10][row] is not None and (found := _services(hub, rows[row], keys))
    }
    return Visits(
        person[order],
        day[order],
        source[order],
        _whole(columns[3])[order],
        _whole(columns[4])[order],
        _whole(columns[5])[order],
        np.array([grade is not None and grade != "n" for grade in columns[6]], np.bool_)[order],
        np.array([position is not None for position in columns[7]], np.bool_)[order],
        np.array([bool(marks) for marks in columns[8]], np.bool_)[order],
        services,
    )


def _services(hub: AppContext, row: Any, keys: _Keys) -> Mapping[str, Any]:
    """Give the services at a measurement, `immunised` also for doses by antigen; of values in conflict, everything that any
    of them has."""
    child_id, day, source, *_, sealed, state = row
    if sealed:
        key = keys.of(child_id)
        if key is None:
            return {}
        stored = _Stored(state, sealed)
        state = ledger.read_measurement(hub.district, measurement_id(child_id, day, source), stored, key)
    if SERVICES_KEY not in state and DOSES_KEY not in state:
        return {}
    found: dict[str, Any] = {}
    for services in _live(state, "services"):
        found |= {name: value for name, value in services.items() if value or found.get(name) is None}
    if any(doses["given"] for doses in _live(state, "doses")):
        found["immunised"] = True
    return found


def _live(state: bytes, register: str) -> Sequence[Mapping[str, Any]]:
    """Give a register's live values from a stored state: one alone, or several with their dots. Making a `RecordState` of
    each would take longer than everything else here."""
    found = orjson.loads(state)["set"].get(register, ())
    return (found,) if isinstance(found, Mapping) else [sibling["value"] for sibling in found]


@dataclass(frozen=True, slots=True)
class _Stored:
    state: bytes
    sealed: int


def _whole(values: Sequence[int | None]) -> Any:
    return np.array([value or 0 for value in values], np.int64)


def _scores(session: Session, parameters: Mapping[str, Any], person_of: Mapping[str, int]) -> Scores:
    a = table(Assessment).c
    query = select(
        cast(a.child_id, Text()),
        cast(a.measured_on, Text()),
        a.source,
        a.haz,
        a.waz,
        a.whz,
        a.gain_code,
        case((a.reasons.contains('"gain":"conflict"'), 1), else_=0),
    ).where(a.district == bindparam("district"), a.child_id.in_(_ids()))
    columns = list(zip(*session.connection().execute(query, parameters).all(), strict=True)) or [()] * 8
    person = np.array([person_of[child] for child in columns[0]], np.int64)
    day = np.array(columns[1], "datetime64[D]")
    source = np.array([SOURCES[name] for name in columns[2]], np.int64)
    order = np.lexsort((source, day.astype(np.int64), person))
    code = {letter: place for place, letter in enumerate(CODES)} | {None: -1}
    return Scores(
        person[order],
        day[order],
        source[order],
        {
            index: np.array(values, np.float64)[order]
            for index, values in zip(("haz", "waz", "whz"), columns[3:6], strict=True)
        },
        np.array([code[letter] for letter in columns[6]], np.int64)[order],
        np.array(columns[7], np.bool_)[order],
    )


def _helps(
    session: Session,
    hub: AppContext,
    parameters: Mapping[str, Any],
    person_of: Mapping[str, int],
    now: datetime,
) -> Helps:
    """Load follow-ups and deliveries as periods of help. A follow-up lasts from the day on which it was made, planned or
    done until it was done; an open PMT course lasts until the end of this month.
    """
    f = table(FollowUp).c
    query = select(
        cast(f.child_id, Text()), cast(f.task, Text()), f.action, f.due_on, f.has_result, f.done_on, f.outcome
    ).where(f.district == bindparam("district"), f.child_id.in_(_ids()), ~f.removed, f.action.is_not(None))
    found: list[tuple[int, date, date, int]] = []
    # the end of the month, because figures change with the records and the month, not with every day
    today = month_of(hub.settings.today(now))[1]
    rows = session.connection().execute(query, parameters).all()
    made_on = _made_on(session, hub, [(row.child_id, row.task) for row in rows])
    for child_id, task, action, due_on, resulted, done_on, outcome in rows:
        place, made = person_of[child_id], made_on.get((child_id, task), today)
        days = [min(made, today), *(day for day in (due_on, done_on) if day is not None)]
        first = min(days)
        last = done_on or (today if action == "pmt" and not resulted else max(days))
        found.append((place, first, max(first, last), HELP_KINDS.index("taken")))
        if action == "pmt" and outcome != "cancelled":
            found.append((place, first, max(first, last), HELP_KINDS.index("pmt")))
        if action in _EXAMINING and outcome in _EXAMINED and done_on is not None:
            found.append((place, done_on, done_on, HELP_KINDS.index("seen")))
    found += _deliveries(session, parameters, person_of)
    columns = list(zip(*found, strict=True)) or [()] * 4
    return Helps(
        np.array(columns[0], np.int64),
        np.array(columns[1], "datetime64[D]"),
        np.array(columns[2], "datetime64[D]"),
        np.array(columns[3], np.int64),
    )


def _deliveries(
    session: Session, parameters: Mapping[str, Any], person_of: Mapping[str, int]
) -> Iterator[tuple[int, date, date, int]]:
    """Load delivered aid, from its first to its last day. Food that the state pays for is PMT; aid that a check found "not
    received" does not count."""
    d = table(Delivery).c
    query = select(
        cast(d.child_id, Text()), d.menu, d.funds, d.starts_on, d.ends_on, d.given_on, d.outcome
    ).where(d.district == bindparam("district"), d.child_id.in_(_ids()), ~d.removed, d.given != 0)
    for child_id, menu, funds, starts_on, ends_on, given_on, outcome in session.connection().execute(
        query, parameters
    ):
        days = [day for day in (starts_on, given_on, ends_on) if day is not None]
        if outcome == "not_received" or not days:
            continue
        food = menu == FOOD
        kind = "pmt" if food and funds in STATE_FUNDS else "aid_food" if food else "aid_other"
        yield person_of[child_id], min(days), max(days), HELP_KINDS.index(kind)


def _made_on(
    session: Session, hub: AppContext, follow_ups: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], date]:
    """Give the day on which each follow-up was first recorded, by child and task.

    The tablet's clock is believed only if it shows a day shortly before the change came; otherwise it is the day on which
    the change came. A task's id tells nothing: a client may choose any.
    """
    named = {follow_up_id(child_id, task): (child_id, task) for child_id, task in follow_ups}
    pairs = orjson.dumps([(child_id, record_id) for record_id, (child_id, _) in named.items()]).decode()
    c = table(ChangeRow).c
    query = (
        select(cast(c.record_id, Text()), c.header, c.received_at)
        .where(
            c.district == bindparam("district"),
            among_pairs(c.child_id, c.record_id, "records"),
            c.kind == "follow_up",
        )
        .order_by(c.received_at.desc())  # the first one is read last, and stays
    )
    rows = session.connection().execute(query, {"district": hub.district, "records": pairs})
    first = {record_id: (header, received_at) for record_id, header, received_at in rows}
    return {named[record_id]: hub.settings.today(_believed(*row)) for record_id, row in first.items()}


def _believed(header: bytes, received_at: datetime) -> datetime:
    """Give when a change was recorded by its tablet's clock, if that can be; otherwise when it came."""
    recorded_at = read_moment(orjson.loads(header)["recorded_at"])
    return recorded_at if received_at - _LONGEST_WAIT <= recorded_at <= received_at else received_at
