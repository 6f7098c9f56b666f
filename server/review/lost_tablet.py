"""A lost tablet: which children's data was on it, as exactly as the tables allow.

A tablet pulls the states of all children of its post, and is told when one leaves. So it held:
- `present`: children who are at its post now and were there before its last sync;
- `left`: children who were at its post at some time between its enrolment and its last sync, and have left since. If it
  synced after that, it was told to delete them;
- `written`: children who were not at its post in that time, but for whom it recorded something itself.

The ledger says when a child came to a post and left it: when the server received the change. Where it does not (the child
was erased, the posts are in conflict) the child is listed: one too many is better than one too few.
For a child outside the reader's scope only the id and the post are shown: it has moved to another area.
A tablet of staff is asked for each post that it has or had: of a post that was taken from it the children count as `left`
at that moment, and as deleted if the tablet has synced since.
An enrolment that continues closed ones of the same device counts from the first of them. What the tablet recorded and never
sent is unknown here, except for the number of changes it announced (`Enrolment.missing`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Text, and_, cast, or_, select
from sqlalchemy.orm import Session

from server import audit
from server.accounts import Person
from server.children import ledger
from server.context import AppContext
from server.csv_writer import csv_line
from server.database.ids import UUID_TEXT
from server.database.models import ChangeRow, Child, HealthPost, PostExit, Tablet, TabletPost
from server.errors import Problem
from server.review.scope import Scope, name_of, reach
from server.review.tablets import Enrolment, tablets
from sync_protocol import Outcome

PRESENT, LEFT, WRITTEN = "present", "left", "written"
WHYS: Final = (PRESENT, LEFT, WRITTEN)
COLUMNS: Final = ("child_id", "name", "sex", "born_on", "post", "why", "deleted_on_tablet")


@dataclass(frozen=True, slots=True)
class Exposed:
    """A child whose data was on a tablet.

    Parameters
    ----------
    name, sex, born_on : None where unknown, or where the reader may not see them because the child moved to another area
    post_id, post_name : where the child is now
    why : one of WHYS
    left_at : when the server received the child's move from the tablet's post; None if there is none, or it is unknown
    told : whether the tablet synced after that, and so was told to delete the child
    """

    child_id: str
    name: str | None
    sex: str | None
    born_on: date | None
    post_id: str
    post_name: str
    why: str
    left_at: datetime | None
    told: bool

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "id": self.child_id,
            "name": self.name,
            "sex": self.sex,
            "born_on": self.born_on.isoformat() if self.born_on else None,
            "post": {"id": self.post_id, "name": self.post_name},
            "why": self.why,
            "left_at": self.left_at.isoformat(timespec="seconds") if self.left_at else None,
            "told_to_delete": self.told,
        }


@dataclass(frozen=True, slots=True)
class Exposure:
    """Whose data was on a tablet between two moments.

    Parameters
    ----------
    since : the first known enrolment of the device
    until : the last sync that may have sent it a child's data; None if it never synced
    """

    tablet: Enrolment
    since: datetime
    until: datetime | None
    children: tuple[Exposed, ...]

    @property
    def counts(self) -> dict[str, int]:
        return {why: sum(child.why == why for child in self.children) for why in WHYS}

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "tablet": self.tablet.wire(),
            "since": self.since.isoformat(timespec="seconds"),
            "until": self.until.isoformat(timespec="seconds") if self.until else None,
            "total": len(self.children),
            "counts": self.counts,
            "children": [child.wire() for child in self.children],
        }


def exposure(session: Session, hub: AppContext, scope: Scope, tablet_id: str) -> Exposure:
    """Work out whose data was on a tablet in scope.

    Raises
    ------
    Problem
        `record-unknown` outside the scope.
    """
    lost = tablet(session, hub, scope, tablet_id)
    devices = _devices(session, hub, lost)
    since = min(device.enrolled_at for device in devices)
    pulls = [at for device in devices if (at := _last_pull(device)) is not None]
    until = max(pulls, default=None)
    held = _posts_held(session, hub, lost, devices)
    rows = _candidates(session, hub, scope, [one.post_id for one in held], [device.id for device in devices])
    moves, departed = _moves(session, hub, rows), _departures(session, hub, held, rows)
    found = []
    for row in rows:
        verdicts = [
            _why(row, one, moves.get(row.child_id), since, until, (one.post_id, row.child_id) in departed)
            for one in held
        ]
        why, left_at = min(verdicts, key=lambda verdict: _WHY_ORDER[verdict[0]])
        if why is not None:
            told_to_delete = left_at is not None and until is not None and left_at < until
            found.append(
                Exposed(
                    row.child_id,
                    name_of(hub, row) if scope.shows_names and row.in_scope else None,
                    row.sex if row.in_scope else None,
                    row.born_on if row.in_scope else None,
                    row.post_id,
                    row.post_name,
                    why,
                    left_at,
                    told_to_delete,
                )
            )
    found.sort(key=lambda c: (WHYS.index(c.why), c.name is None, (c.name or "").casefold(), c.child_id))
    return Exposure(lost, since, until, tuple(found))


def tablet(session: Session, hub: AppContext, scope: Scope, tablet_id: str) -> Enrolment:
    """Load one tablet in scope.

    Raises
    ------
    Problem
        `record-unknown` outside the scope.
    """
    found = tablets(session, hub, scope, tablet_id=tablet_id) if UUID_TEXT.fullmatch(tablet_id) else []
    if not found:
        raise Problem("record-unknown")
    return found[0]


def _devices(session: Session, hub: AppContext, lost: Enrolment) -> Sequence[Any]:
    """Load the enrolment and the closed ones of the same device that it continues; all are at one post."""
    rows = session.execute(
        select(
            *(Tablet.id, Tablet.replaces, Tablet.enrolled_at, Tablet.last_sync_at, Tablet.revoked_at),
            Tablet.write_only,
        ).where(Tablet.district == hub.district, Tablet.post_id == lost.post_id)
    ).all()
    known = {row.id: row for row in rows}
    chain, device = [], known.get(lost.id)
    while device is not None and device not in chain:
        chain.append(device)
        device = known.get(device.replaces) if device.replaces else None
    return chain


def _last_pull(device: Any) -> datetime | None:
    """Give when an enrolment last pulled; after it was revoked it got nothing, and a device that only sends never does."""
    if device.last_sync_at is None or device.write_only:
        return None
    last: datetime = device.last_sync_at
    return min(last, device.revoked_at or last)


@dataclass(frozen=True, slots=True)
class _HeldPost:
    """A post that a device had, since when, and since when no more."""

    post_id: str
    given_at: datetime | None = None
    taken_at: datetime | None = None


def _posts_held(
    session: Session, hub: AppContext, lost: Enrolment, devices: Sequence[Any]
) -> list[_HeldPost]:
    """Return the posts that any enrolment of a device had: one that the newest still has was never taken."""
    home = lost.post_id
    if lost.posts is None:
        return [_HeldPost(home)]
    rows = session.execute(
        select(TabletPost.post_id, TabletPost.given_at, TabletPost.taken_at)
        .where(TabletPost.district == hub.district, TabletPost.tablet_id.in_([one.id for one in devices]))
        .order_by(TabletPost.given_at)
    ).all()
    found = {home: _HeldPost(home)}
    for row in rows:
        if row.post_id != home:
            first = found.get(row.post_id, row).given_at
            found[row.post_id] = _HeldPost(row.post_id, first, row.taken_at)
    return list(found.values())


def _departures(
    session: Session, hub: AppContext, held: Sequence[_HeldPost], rows: Sequence[Any]
) -> set[tuple[str, str]]:
    """Return which children have left which of the posts."""
    if len(held) == 1:
        return {(held[0].post_id, row.child_id) for row in rows if row.departed}
    left = select(PostExit.post_id, PostExit.child_id).where(
        PostExit.district == hub.district,
        PostExit.post_id.in_([one.post_id for one in held]),
        PostExit.child_id.in_([row.child_id for row in rows if row.departed]),
    )
    return {(row[0], row[1]) for row in session.execute(left)}


def _candidates(
    session: Session, hub: AppContext, scope: Scope, posts: Sequence[str], devices: Sequence[str]
) -> Sequence[Any]:
    """Load the children who are at the posts, have left one, or for whom the device recorded something."""
    written = select(ChangeRow.child_id).where(
        ChangeRow.district == hub.district,
        ChangeRow.actor.in_(devices),
        ChangeRow.child_id.is_not(None),
    )
    left = select(PostExit.child_id).where(PostExit.district == hub.district, PostExit.post_id.in_(posts))
    return session.execute(
        select(
            Child.id.label("child_id"),
            Child.post_id,
            HealthPost.name.label("post_name"),
            Child.sex,
            Child.born_on,
            Child.state,
            Child.wrapped_key,
            Child.key_version,
            Child.first_seen_at,
            Child.conflicts,
            Child.id.in_(left).label("departed"),
            Child.id.in_(written).label("written"),
            reach(hub, scope).label("in_scope"),
        )
        .join(HealthPost, and_(HealthPost.district == Child.district, HealthPost.id == Child.post_id))
        .where(
            Child.district == hub.district,
            or_(Child.post_id.in_(posts), Child.id.in_(left), Child.id.in_(written)),
        )
    ).all()


@dataclass(frozen=True, slots=True)
class _Stay:
    """Since when a child is known to have been at the post, and when it left (None while it is there)."""

    came_at: datetime
    left_at: datetime | None


_Moves = Sequence[tuple[datetime, str]]
"""When a child came to which post."""


def _moves(session: Session, hub: AppContext, rows: Sequence[Any]) -> Mapping[str, _Moves]:
    """Read from the ledger when children came to their posts; children for whom it does not say are left out."""
    known = {row.child_id: row for row in rows if row.wrapped_key and "post" not in row.conflicts.split()}
    changes = session.execute(
        select(
            ChangeRow.actor,
            ChangeRow.counter,
            ChangeRow.hash,
            ChangeRow.child_id,
            ChangeRow.header,
            ChangeRow.content,
            ChangeRow.sealed,
            ChangeRow.received_at,
            Tablet.post_id,
        )
        .outerjoin(
            Tablet, and_(Tablet.district == ChangeRow.district, cast(Tablet.id, Text()) == ChangeRow.actor)
        )
        .where(
            ChangeRow.district == hub.district,
            ChangeRow.child_id.in_(list(known)),
            ChangeRow.record_id == ChangeRow.child_id,
            ChangeRow.outcome != Outcome.QUARANTINED.value,
        )
        .order_by(ChangeRow.child_id, ChangeRow.received_at, ChangeRow.actor, ChangeRow.counter)
    )
    moves_by_child: dict[str, list[tuple[datetime, str]]] = {}
    for change in changes:
        row = known[change.child_id]
        subject = ledger.Subject(
            row.child_id,
            row.post_id,
            hub.vault,
            row.wrapped_key,
            row.key_version,
            registered=True,
            first_seen_at=row.first_seen_at,
        )
        register = ledger.read_change(hub.district, change, subject).registers.get("post")
        is_first = change.child_id not in moves_by_child
        post = register["post"] if register else (change.post_id if is_first else None)
        if post is not None:
            moves_by_child.setdefault(change.child_id, []).append((change.received_at, post))
    return moves_by_child


def _stay(moves: _Moves, post_id: str, row: Any) -> _Stay | None:
    """Give the first arrival at a post and the last departure; None where the moves do not mention the post."""
    came = [at for at, post in moves if post == post_id]
    if not came:
        return None
    came_at = row.first_seen_at if moves[0][1] == post_id else came[0]
    if row.post_id == post_id:
        return _Stay(came_at, None)
    after = [at for at, post in moves if at >= came[-1] and post != post_id]
    return _Stay(came_at, after[0]) if after else None


_WHY_ORDER: Final[Mapping[str | None, int]] = {PRESENT: 0, LEFT: 1, WRITTEN: 2, None: 3}


def _why(
    row: Any,
    held: _HeldPost,
    moves: _Moves | None,
    since: datetime,
    until: datetime | None,
    departed: bool,
) -> tuple[str | None, datetime | None]:
    """Give why a child's data was on the tablet for a post that it has or had (None if it was not), and when the child left.

    If the ledger does not say (there are no moves of this post), a child counts if it is at the post or has left it.
    """
    stay = _stay(moves, held.post_id, row) if moves else None
    since = max(since, held.given_at or since)
    last = until if held.taken_at is None or until is None else min(until, held.taken_at)
    came_before = last is not None and last >= since and (stay is None or stay.came_at <= last)
    left_at = stay.left_at if stay else None
    if row.post_id == held.post_id and came_before:
        return (PRESENT, None) if held.taken_at is None else (LEFT, held.taken_at)
    if departed and came_before and (left_at is None or left_at >= since):
        return LEFT, min(left_at, held.taken_at) if left_at and held.taken_at else left_at
    return (WRITTEN, left_at) if row.written else (None, None)


# -- as a file, and who looked --------------------------------------------------------------------


def exposure_csv(found: Exposure) -> Iterator[str]:
    """Write the children as lines of CSV, header first; spreadsheets do not read any text as a formula."""
    yield csv_line(COLUMNS)
    for child in found.children:
        row: Mapping[str, Any] = {
            "child_id": child.child_id,
            "name": child.name,
            "sex": child.sex,
            "born_on": child.born_on.isoformat() if child.born_on else None,
            "post": child.post_name,
            "why": child.why,
            "deleted_on_tablet": "yes" if child.told else "no",
        }
        yield csv_line([row[name] for name in COLUMNS])


def log_exposure(
    session: Session,
    hub: AppContext,
    person: Person,
    found: Exposure,
    now: datetime,
    *,
    exported: bool = False,
) -> None:
    """Log that somebody saw whose data was on a tablet, or downloaded the list."""
    details = {
        "tablet": found.tablet.id,
        "children": len(found.children),
        "names": Scope.of(person).shows_names,
    }
    action = "tablet.exposure-exported" if exported else "tablet.exposure-viewed"
    stream, actor = audit.post_stream(found.tablet.post_id), f"account:{person.account_id}"
    audit.append(session, hub.district, stream, action, actor=actor, now=now, details=details)
