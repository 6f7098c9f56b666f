"""The posts in somebody's scope: a summary of each, and the list of children that is printed for a posyandu day.

Rules kept here:
- A child counts here from registration until its fifth birthday, linked records as one: those whom the posyandu expects.
- The number of statements does not depend on the number of posts or children; names are decrypted for the list only.
- The list is printed: children with flags first, then all others by name. Who had it is logged (`log_roster`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.orm import Session

from server import accounts, audit
from server.accounts import Person
from server.children import ledger
from server.context import AppContext
from server.database.ids import UUID_TEXT
from server.database.models import Attention, Child, HealthCentre, HealthPost, Measurement, Region, Tablet
from server.errors import Problem
from server.review.scope import RaisedFlag, Scope, age_in_months, flags_of, in_use, name_of, posts_within
from sync_protocol import RecordState, measurement_id

LEAVES_AT_MONTHS: Final = 60
LOOKED_BACK_DAYS: Final = 92
"""How far back the last posyandu day is searched."""
VITAMIN_A_MONTHS: Final = (2, 8)
"""February and August. Blue (100,000 IU) at 6 to 11 months, red (200,000 IU) at 12 to 59."""
BLUE_FROM, RED_FROM = 6, 12
LAST_VALUES_DAYS: Final = 400
NO_FLAG: Final = 5
"""The urgency in the queue of people without a flag who have open follow-ups."""


# -- posts at a glance ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PostRow:
    """The summary of a post.

    Parameters
    ----------
    children : registered and under five; `measured` : those measured at least once in the calendar month
    flagged : children in the review queue by urgency, 1 to 4
    last_day : the latest day within LOOKED_BACK_DAYS on which a cadre measured one of them; None if there is none
    tablets : number of active ones; `last_sync_at` : the latest sync of any of them
    """

    id: str
    name: str
    centre_id: str
    centre_name: str
    village: str | None
    children: int = 0
    measured: int = 0
    flagged: Mapping[int, int] = field(default_factory=dict)
    last_day: date | None = None
    tablets: int = 0
    last_sync_at: datetime | None = None
    closed_at: datetime | None = None

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "id": self.id,
            "name": self.name,
            "health_centre": {"id": self.centre_id, "name": self.centre_name},
            "village": self.village,
            "children": self.children,
            "measured": self.measured,
            "flagged": {str(urgency): count for urgency, count in sorted(self.flagged.items())},
            "last_day": self.last_day.isoformat() if self.last_day else None,
            "tablets": self.tablets,
            "last_sync_at": self.last_sync_at.isoformat(timespec="seconds") if self.last_sync_at else None,
        }


@dataclass(frozen=True, slots=True)
class Posts:
    """A page of posts by health centre and name; `centres` are all health centres in scope: (id, name)."""

    rows: tuple[PostRow, ...]
    total: int
    centres: tuple[tuple[str, str], ...]


def posts(
    session: Session,
    hub: AppContext,
    scope: Scope,
    today: date,
    *,
    limit: int,
    offset: int = 0,
    centre_id: str | None = None,
    name: str = "",
    closed: bool = False,
) -> Posts:
    """Load a page of the posts in scope.

    Parameters
    ----------
    today : `measured` counts its calendar month
    centre_id : only this health centre's posts
    name : only posts whose name contains this, in any case
    closed : closed ones too; else only those closed ones where children are
    """
    chosen = [posts_within(hub, scope)]
    if not closed:
        here = Child.district == HealthPost.district, Child.post_id == HealthPost.id, ~Child.removed, in_use()
        chosen.append(or_(HealthPost.closed_at.is_(None), select(Child.id).where(*here).exists()))
    if centre_id is not None:
        chosen.append(HealthPost.health_centre_id == centre_id)
    if name:
        chosen.append(func.lower(HealthPost.name).contains(name.lower(), autoescape=True))
    total = session.execute(select(func.count()).select_from(HealthPost).where(*chosen)).scalar_one()
    found = session.execute(
        _posts(chosen).order_by(HealthCentre.name, HealthPost.name, HealthPost.id).limit(limit).offset(offset)
    ).all()
    centres = session.execute(
        select(HealthCentre.id, HealthCentre.name)
        .where(
            HealthCentre.district == hub.district,
            HealthCentre.id.in_(select(HealthPost.health_centre_id).where(posts_within(hub, scope))),
        )
        .order_by(HealthCentre.name, HealthCentre.id)
    )
    return Posts(
        tuple(_glances(session, hub, found, today)),
        total,
        tuple((row.id, row.name) for row in centres),
    )


def post(session: Session, hub: AppContext, scope: Scope, post_id: str, today: date) -> PostRow:
    """Load the summary of one post.

    Raises
    ------
    Problem
        `record-unknown` outside the scope.
    """
    chosen = [posts_within(hub, scope), HealthPost.id == post_id]
    found = session.execute(_posts(chosen)).all() if UUID_TEXT.fullmatch(post_id) else []
    if not found:
        raise Problem("record-unknown")
    return _glances(session, hub, found, today)[0]


def _posts(chosen: Sequence[ColumnElement[bool]]) -> Any:
    return (
        select(
            HealthPost.id,
            HealthPost.name,
            HealthPost.health_centre_id.label("centre_id"),
            HealthCentre.name.label("centre_name"),
            Region.name.label("village"),
            HealthPost.closed_at,
        )
        .join(
            HealthCentre,
            and_(
                HealthCentre.district == HealthPost.district, HealthCentre.id == HealthPost.health_centre_id
            ),
        )
        .outerjoin(
            Region, and_(Region.district == HealthPost.district, Region.code == HealthPost.village_code)
        )
        .where(*chosen)
    )


def _glances(session: Session, hub: AppContext, found: Sequence[Any], today: date) -> list[PostRow]:
    """Add the counts to some posts, with one statement for each kind of count."""
    ids = [row.id for row in found]
    attendance = {row.post_id: row for row in session.execute(_attendance(hub, ids, today))}
    flagged: dict[str, dict[int, int]] = {}
    for row in session.execute(
        select(Attention.post_id, Attention.urgency, func.count().label("children"))
        .where(Attention.district == hub.district, Attention.post_id.in_(ids), Attention.urgency < NO_FLAG)
        .group_by(Attention.post_id, Attention.urgency)
    ):
        flagged.setdefault(row.post_id, {})[row.urgency] = row.children
    active = Tablet.revoked_at.is_(None) & Tablet.closed_at.is_(None)
    place = accounts.places()
    tablets = {
        row.post_id: row
        for row in session.execute(
            select(
                place.c.post_id,
                func.count().label("tablets"),
                func.max(Tablet.last_sync_at).label("last_sync_at"),
            )
            .join(Tablet, and_(Tablet.district == place.c.district, Tablet.id == place.c.tablet_id))
            .where(place.c.district == hub.district, place.c.post_id.in_(ids), active)
            .group_by(place.c.post_id)
        )
    }
    rows = []
    for each in found:
        counts, devices = attendance.get(each.id), tablets.get(each.id)
        rows.append(
            PostRow(
                each.id,
                each.name,
                each.centre_id,
                each.centre_name,
                each.village,
                counts.children if counts else 0,
                counts.measured if counts else 0,
                flagged.get(each.id, {}),
                counts.last_day if counts else None,
                devices.tablets if devices else 0,
                devices.last_sync_at if devices else None,
                each.closed_at,
            )
        )
    return rows


def _attendance(hub: AppContext, ids: Sequence[str], today: date) -> Any:
    """Count by post the children who are registered and under five and those measured this month; give the last day."""
    month = today.replace(day=1)
    recent = and_(
        Measurement.district == Child.district,
        Measurement.child_id == Child.id,
        Measurement.measured_on.between(min(month, today - timedelta(days=LOOKED_BACK_DAYS)), today),
        ~Measurement.removed,
    )
    return (
        select(
            Child.post_id,
            func.count(Child.person_id.distinct()).label("children"),
            func.count(case((Measurement.measured_on >= month, Child.person_id)).distinct()).label(
                "measured"
            ),
            func.max(case((Measurement.source == "cadre", Measurement.measured_on))).label("last_day"),
        )
        .outerjoin(Measurement, recent)
        .where(Child.district == hub.district, Child.post_id.in_(ids), _expected(today))
        .group_by(Child.post_id)
    )


def _expected(today: date) -> ColumnElement[bool]:
    """Give the condition on Child for those who should come: registered, not removed, under five."""
    try:
        fifth = today.replace(year=today.year - LEAVES_AT_MONTHS // 12)
    except ValueError:  # 29 February: a child born on 28 February is five, as in `months_completed`
        fifth = today.replace(year=today.year - LEAVES_AT_MONTHS // 12, day=28)
    return and_(Child.registered, ~Child.removed, or_(Child.born_on.is_(None), Child.born_on > fifth))


# -- the list of a posyandu day -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LastValues:
    """A child's newest measurement as recorded; values are None if not measured or in conflict."""

    measured_on: date
    source: str
    weight_g: int | None
    length_mm: int | None
    position: str | None
    muac_mm: int | None


@dataclass(frozen=True, slots=True)
class Expected:
    """A child on the list. `urgency` and `flags` are those of the queue; `last` is None if it was never measured.

    Parameters
    ----------
    age_months : completed months on the day of the list; None if the birth date is unknown
    vitamin_a : "blue" or "red", the capsule that is due that month; None if none is due
    given_on : the day on which a capsule was already given that month
    """

    child_id: str
    name: str | None
    sex: str | None
    born_on: date | None
    age_months: int | None
    urgency: int | None
    flags: tuple[RaisedFlag, ...]
    last: LastValues | None
    vitamin_a: str | None
    given_on: date | None


@dataclass(frozen=True, slots=True)
class Roster:
    """The list of a post for a day: `flagged` children first, then the `others` by name."""

    post: PostRow
    day: date
    flagged: tuple[Expected, ...]
    others: tuple[Expected, ...]

    @property
    def children(self) -> int:
        return len(self.flagged) + len(self.others)

    @property
    def vitamin_a_month(self) -> bool:
        return self.day.month in VITAMIN_A_MONTHS


def roster(session: Session, hub: AppContext, scope: Scope, post_id: str, day: date) -> Roster:
    """Load the list of a post for a posyandu day: who should come, and what to check.

    Parameters
    ----------
    day : of the posyandu; ages and vitamin A are for that day

    Raises
    ------
    Problem
        `record-unknown` for a post outside the scope.
    """
    place = post(session, hub, scope, post_id, day)
    rows = session.execute(
        select(
            Child.id.label("child_id"),
            Child.person_id,
            Child.sex,
            Child.born_on,
            Child.state,
            Child.wrapped_key,
            Child.key_version,
            Attention.urgency,
            Attention.sort_key,
        )
        .outerjoin(Attention, and_(Attention.district == Child.district, Attention.child_id == Child.id))
        .where(
            Child.district == hub.district,
            Child.post_id == post_id,
            Child.id == Child.person_id,
            _expected(day),
        )
    ).all()
    flags = flags_of(session, hub, [row.child_id for row in rows if row.urgency is not None])
    last = _last_values(session, hub, post_id, day)
    given = _vitamin_a(session, hub, post_id, day) if day.month in VITAMIN_A_MONTHS else {}
    listed = []
    for row in rows:
        months = age_in_months(row.born_on, day)
        child = Expected(
            row.child_id,
            name_of(hub, row) if scope.shows_names else None,
            row.sex,
            row.born_on,
            months,
            row.urgency if row.urgency != NO_FLAG else None,
            tuple(flags.get(row.child_id, ())),
            last.get(row.child_id),
            _capsule(months, day),
            given.get(row.child_id),
        )
        listed.append((row, child))
    flagged = [(row, child) for row, child in listed if child.urgency is not None]
    flagged.sort(key=lambda pair: (pair[0].sort_key, by_name(pair[1])))
    others = sorted((child for _, child in listed if child.urgency is None), key=by_name)
    return Roster(place, day, tuple(child for _, child in flagged), tuple(others))


def by_name(child: Expected) -> tuple[bool, str, str]:
    """Sort children by name, those whose name is not known last."""
    return child.name is None, (child.name or "").casefold(), child.child_id


def _capsule(months: int | None, day: date) -> str | None:
    if day.month not in VITAMIN_A_MONTHS or months is None or not BLUE_FROM <= months < LEAVES_AT_MONTHS:
        return None
    return "blue" if months < RED_FROM else "red"


def _last_values(session: Session, hub: AppContext, post_id: str, day: date) -> dict[str, LastValues]:
    """Load each person's newest measurement at a post up to a day; of two on one day, the staff's."""
    rows = session.execute(
        select(
            Child.person_id,
            Measurement.measured_on,
            Measurement.source,
            Measurement.weight_g,
            Measurement.length_mm,
            Measurement.length_position,
            Measurement.muac_mm,
        )
        .join(Child, and_(Child.district == Measurement.district, Child.id == Measurement.child_id))
        .where(
            Measurement.district == hub.district,
            Measurement.post_id == post_id,
            Measurement.measured_on.between(day - timedelta(days=LAST_VALUES_DAYS), day),
            ~Measurement.removed,
        )
        .order_by(Measurement.measured_on, Measurement.source)
    )
    return {row.person_id: LastValues(*row[1:]) for row in rows}


def _vitamin_a(session: Session, hub: AppContext, post_id: str, day: date) -> dict[str, date]:
    """Find who was already given vitamin A in the month of a day: a second capsule would do harm."""
    rows = session.execute(
        select(
            Child.id,
            Child.person_id,
            Child.wrapped_key,
            Child.key_version,
            Measurement.measured_on,
            Measurement.source,
            Measurement.state,
            Measurement.sealed,
        )
        .join(Child, and_(Child.district == Measurement.district, Child.id == Measurement.child_id))
        .where(
            Measurement.district == hub.district,
            Measurement.post_id == post_id,
            Measurement.measured_on.between(day.replace(day=1), day),
            ~Measurement.removed,
            in_use(),
        )
        .order_by(Measurement.measured_on)
    )
    given: dict[str, date] = {}
    for row in rows:
        record_id = measurement_id(row.id, row.measured_on.isoformat(), row.source)
        key = hub.vault.child_key(row.id, row.wrapped_key, row.key_version)
        wire = orjson.loads(ledger.read_measurement(hub.district, record_id, row, key))
        state = RecordState.from_wire("measurement", record_id, {}, wire)
        if any(sibling.value.get("vitamin_a") for sibling in state.registers.get("services", ())):
            given[row.person_id] = row.measured_on
    return given


def log_roster(session: Session, hub: AppContext, person: Person, shown: Roster, now: datetime) -> None:
    """Log that somebody was shown the list of a post, and whether with names."""
    _log(session, hub, person, shown, "post.list-viewed", now)


def log_stickers(session: Session, hub: AppContext, person: Person, shown: Roster, now: datetime) -> None:
    """Log that somebody was shown the stickers of a post's children."""
    _log(session, hub, person, shown, "post.stickers-viewed", now)


def _log(
    session: Session, hub: AppContext, person: Person, shown: Roster, action: str, now: datetime
) -> None:
    details = {
        "children": shown.children,
        "day": shown.day.isoformat(),
        "names": Scope.of(person).shows_names,
    }
    stream, actor = audit.post_stream(shown.post.id), f"account:{person.account_id}"
    audit.append(session, hub.district, stream, action, actor=actor, now=now, details=details)
