"""The tablets in somebody's scope: how much of each chain is stored, what is missing or quarantined, and warnings. Make and
cancel enrolment codes, change the posts of a tablet of staff, and revoke a tablet."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from schemas.words import reason
from server import accounts
from server.accounts import CODE_DAYS, forged_rows
from server.accounts.recovery import make_pin_code as make_code_for_pin
from server.context import AppContext
from server.database.ids import UUID_TEXT
from server.database.models import EnrolmentCode, HealthCentre, HealthPost, Notice, Tablet, TabletPost
from server.errors import Problem
from server.review import quarantine
from server.review.scope import Scope, posts_within
from server.translations import T_, Text

ENROL_PATH: Final = "/tablet-app/daftar"
"""Page of the tablet app that takes a code after "#": a browser does not send that part, so no server log has it."""
LONGEST_NAME: Final = 40
HANDLE_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class Trouble:
    """A warning about a tablet: what is wrong, and what to do."""

    text: Text
    remedy: Text


WARNINGS: Final[Mapping[str, Trouble]] = {
    forged_rows.FORGED_NOTICE: Trouble(
        T_("The record of this tablet was changed past this program, and the server does not accept it."),
        T_("Tell whoever runs the server: somebody can write to the database. Then enrol the tablet anew."),
    ),
    "tablet-cloned-or-restored": Trouble(
        T_("Two devices share one identity, or the tablet was restored from a backup."),
        T_(
            "Ask the posyandu how many devices there are. Both enrol again by themselves; revoke one that is not theirs."
        ),
    ),
    "clock-wrong": Trouble(
        T_("The tablet's clock is wrong."),
        T_(
            "Ask the cadre to switch on automatic date and time. The ages of children are worked out from that date."
        ),
    ),
    "tablet-silent": Trouble(
        T_("Has not synced for long."),
        T_(
            "Call the cadre. Ask them to open the tablet where there is a signal, or to send its data with somebody. If"
            " it is lost, open the steps for a lost tablet."
        ),
    ),
}
"""By kind of notice, the most serious first."""


@dataclass(frozen=True, slots=True)
class PostName:
    """A post of a tablet of staff."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Code:
    """A one-time code for a device of a post. It is shown once, because only its hash is stored. `posts`: all that a tablet
    of staff gets; None for a tablet of one post."""

    code: str
    post_id: str
    post_name: str
    tablet_name: str
    expires_at: datetime
    write_only: bool = False
    posts: tuple[PostName, ...] | None = None


@dataclass(frozen=True, slots=True)
class OpenCode:
    """An unused code, without the code itself. `others`: how many other posts it gives, to a tablet of staff."""

    digest: str
    post_id: str
    post_name: str
    tablet_name: str
    expires_at: datetime
    others: int = 0

    @property
    def handle(self) -> str:
        """Give its id in forms: the start of its hash, too short to find the code by."""
        return self.digest[:HANDLE_LENGTH]


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One enrolment of one device.

    Parameters
    ----------
    taken : how many of its changes are stored, from the first on without gaps
    announced : how many it says it has written; those after `taken` are still on the tablet
    quarantined : open cases of `quarantine.cases`
    replaces : the closed enrolment that this one continues
    clock_offset_ms : its clock minus the server's at the last sync, milliseconds
    warnings : code of WARNINGS -> since when; none for a revoked tablet
    write_only : it sends and never gets a child's data, such as a scale
    posts : all that a tablet of staff has, that of its code first; None for a tablet of one post
    """

    id: str
    name: str
    post_id: str
    post_name: str
    app: str
    enrolled_at: datetime
    last_sync_at: datetime | None
    clock_offset_ms: int | None
    taken: int
    announced: int
    quarantined: int
    replaces: str | None
    split_at: datetime | None
    revoked_at: datetime | None
    warnings: Mapping[str, datetime]
    write_only: bool
    posts: tuple[PostName, ...] | None = None

    @property
    def missing(self) -> int:
        """Give how many changes it has announced that are not stored yet."""
        return max(0, self.announced - self.taken)

    @property
    def state(self) -> str:
        """Give its state: active; closed (two devices shared it, or it was restored from a backup); revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "active" if self.split_at is None else "closed"

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "id": self.id,
            "name": self.name,
            "post": {"id": self.post_id, "name": self.post_name},
            "state": self.state,
            "app": self.app,
            "taken": self.taken,
            "announced": self.announced,
            "missing": self.missing,
            "quarantined": self.quarantined,
            "clock_offset_ms": self.clock_offset_ms,
            "enrolled_at": _text(self.enrolled_at),
            "last_sync_at": _text(self.last_sync_at),
            "replaces": self.replaces,
            "split_at": _text(self.split_at),
            "revoked_at": _text(self.revoked_at),
            "warnings": {code: _text(since) for code, since in self.warnings.items()},
            "write_only": self.write_only,
            "posts": None if self.posts is None else [{"id": one.id, "name": one.name} for one in self.posts],
        }


def _text(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None


def tablets(
    session: Session,
    hub: AppContext,
    scope: Scope,
    *,
    post_id: str | None = None,
    tablet_id: str | None = None,
) -> list[Enrolment]:
    """Load the tablets that have a post in scope, by the post of their code and name.

    Parameters
    ----------
    post_id, tablet_id : only this post's tablets, only this tablet
    """
    waiting = quarantine.open_by_tablet(session, hub)
    warnings = _load_warnings(session, hub)
    chosen = [tablets_within(hub, scope, post_id)]
    if tablet_id is not None:
        chosen.append(Tablet.id == tablet_id)
    rows = (
        session.connection()
        .execute(  # not the session, to avoid the ORM's cost: a district has many
            select(*(getattr(Tablet, name) for name in _COLUMNS), HealthPost.name.label("post_name"))
            .join(HealthPost, and_(HealthPost.district == Tablet.district, HealthPost.id == Tablet.post_id))
            .where(*chosen)
            .order_by(HealthPost.name, Tablet.name, Tablet.enrolled_at)
        )
        .all()
    )
    posts = _posts_of_staff(session, hub, [row.id for row in rows if row.several])
    return [
        Enrolment(
            row.id,
            row.name,
            row.post_id,
            row.post_name,
            row.app,
            row.enrolled_at,
            row.last_sync_at,
            row.clock_offset_ms,
            row.last_counter,
            max(row.head_counter, row.last_counter),
            waiting.get(row.id, 0),
            row.replaces,
            row.closed_at,
            row.revoked_at,
            warnings.get(row.id, {}) if row.revoked_at is None else {},
            bool(row.write_only),
            _home_first(posts[row.id], row.post_id) if row.several else None,
        )
        for row in rows
    ]


def tablets_within(hub: AppContext, scope: Scope, post_id: str | None = None) -> ColumnElement[bool]:
    """Give the condition on Tablet for those that have a post in scope, and this one if it is named."""
    place = accounts.places()
    mine = and_(HealthPost.district == place.c.district, HealthPost.id == place.c.post_id)
    ids = select(place.c.tablet_id).join(HealthPost, mine)
    named = [] if post_id is None else [place.c.post_id == post_id]
    ids = ids.where(place.c.district == hub.district, posts_within(hub, scope), *named)
    return and_(Tablet.district == hub.district, Tablet.id.in_(ids))


def _posts_of_staff(session: Session, hub: AppContext, ids: Sequence[str]) -> dict[str, list[PostName]]:
    """Load the posts of some tablets of staff, by tablet and in the order of their names."""
    found: dict[str, list[PostName]] = {}
    if not ids:
        return found
    rows = session.execute(
        select(TabletPost.tablet_id, HealthPost.id, HealthPost.name)
        .join(
            HealthPost, and_(HealthPost.district == TabletPost.district, HealthPost.id == TabletPost.post_id)
        )
        .where(
            TabletPost.district == hub.district, TabletPost.tablet_id.in_(ids), TabletPost.taken_at.is_(None)
        )
        .order_by(HealthPost.name, HealthPost.id)
    )
    for row in rows:
        found.setdefault(row[0], []).append(PostName(row[1], row[2]))
    return found


def _home_first(posts: Sequence[PostName], home: str) -> tuple[PostName, ...]:
    return tuple(sorted(posts, key=lambda one: one.id != home))


_COLUMNS: Final = (
    *("id", "name", "post_id", "app", "enrolled_at", "last_sync_at", "clock_offset_ms"),
    *("last_counter", "head_counter", "replaces", "closed_at", "revoked_at", "write_only", "several"),
)


def _load_warnings(session: Session, hub: AppContext) -> dict[str, dict[str, datetime]]:
    """Load the warnings of the district's tablets: tablet -> code -> since when, in the order of WARNINGS."""
    rows = session.execute(
        select(Notice.subject, Notice.kind, Notice.raised_at).where(
            Notice.district == hub.district, Notice.kind.in_(WARNINGS)
        )
    ).all()
    found: dict[str, dict[str, datetime]] = {}
    for code in WARNINGS:
        for row in rows:
            if row.kind == code:
                found.setdefault(row.subject, {})[code] = row.raised_at
    return found


def make_code(
    session: Session, hub: AppContext, scope: Scope, request: Mapping[str, Any], *, actor: str, now: datetime
) -> Code:
    """Make a one-time code with which a device becomes a tablet of a post in scope.

    Parameters
    ----------
    request : `post`, its id; `name`, the tablet's name, 1 to LONGEST_NAME characters; `write_only`, true or "1" for a device
        that only sends; `posts`, for a tablet of staff, the ids of all its posts

    Raises
    ------
    Problem
        `change-invalid` with every reason; `record-unknown` for a post outside the scope.
    """
    post_id, name = request.get("post"), request.get("name")
    wrong = []
    if not isinstance(post_id, str) or not UUID_TEXT.fullmatch(post_id):
        wrong.append(reason("post", "not-uuid" if post_id else "missing", post_id or None))
    if not isinstance(name, str) or not name.strip():
        wrong.append(reason("name", "missing", None))
    elif not 1 <= len(name.strip()) <= LONGEST_NAME:
        wrong.append(reason("name", "text-length", None, "1", str(LONGEST_NAME)))
    elif not name.strip().isprintable():
        wrong.append(reason("name", "invisible-character", None))
    if wrong:
        raise Problem("change-invalid", reasons=[each.wire() for each in wrong])
    asked = request.get("posts")
    posts = None if asked is None else {str(post_id), *asked}
    names = _in_scope(session, hub, scope, posts or {str(post_id)})
    tablet_name = str(name).strip()
    write_only = request.get("write_only") in (True, "1")
    code = accounts.make_enrolment_code(
        session, hub, str(post_id), tablet_name, actor=actor, now=now, write_only=write_only, posts=posts
    )
    given = [PostName(one, text) for one, text in names.items()]
    return Code(
        *(code, str(post_id), names[str(post_id)], tablet_name, now + timedelta(days=CODE_DAYS), write_only),
        None if posts is None else _home_first(given, str(post_id)),
    )


def _in_scope(session: Session, hub: AppContext, scope: Scope, ids: Collection[str]) -> dict[str, str]:
    """Return the names of some posts, by id and in the order of the names.

    Raises
    ------
    Problem
        `record-unknown` for one that is outside the scope or not the id of a post.
    """
    sound = sorted(one for one in ids if UUID_TEXT.fullmatch(one))
    query = select(HealthPost.id, HealthPost.name).where(HealthPost.id.in_(sound), posts_within(hub, scope))
    found = {row.id: row.name for row in session.execute(query.order_by(HealthPost.name, HealthPost.id))}
    if len(found) != len(set(ids)):
        raise Problem("record-unknown")
    return found


def change_posts(
    session: Session,
    hub: AppContext,
    scope: Scope,
    tablet_id: str,
    wanted: Collection[str],
    *,
    actor: str,
    now: datetime,
) -> None:
    """Make some posts in scope those of a tablet of staff; posts outside the scope stay as they are.

    Raises
    ------
    Problem
        `record-unknown` outside the scope; what `accounts.change_posts` refuses.
    """
    _known(session, hub, scope, tablet_id)
    has = accounts.post_ids_of(session, hub.district, tablet_id)
    _in_scope(session, hub, scope, set(wanted) - has)
    mine = session.scalars(
        select(HealthPost.id).where(HealthPost.id.in_(sorted(has)), posts_within(hub, scope))
    )
    accounts.change_posts(session, hub, tablet_id, {*wanted, *(has - set(mine))}, actor=actor, now=now)


def _known(session: Session, hub: AppContext, scope: Scope, tablet_id: str) -> None:
    known = select(Tablet.id).where(Tablet.id == tablet_id, tablets_within(hub, scope))
    if not UUID_TEXT.fullmatch(tablet_id) or session.execute(known).one_or_none() is None:
        raise Problem("record-unknown")


def open_codes(
    session: Session, hub: AppContext, scope: Scope, now: datetime, *, post_id: str | None = None
) -> list[OpenCode]:
    """Load the codes in scope that can still be used, the first to expire first."""
    query = (
        select(
            EnrolmentCode.code_digest,
            HealthPost.id,
            HealthPost.name,
            EnrolmentCode.tablet_name,
            EnrolmentCode.expires_at,
            EnrolmentCode.posts,
        )
        .join(
            HealthPost,
            and_(HealthPost.district == EnrolmentCode.district, HealthPost.id == EnrolmentCode.post_id),
        )
        .where(EnrolmentCode.district == hub.district, posts_within(hub, scope))
        .where(EnrolmentCode.used_at.is_(None), EnrolmentCode.expires_at >= now)
        .where(EnrolmentCode.tablet_id.is_(None))  # else it is for a forgotten PIN
        .order_by(EnrolmentCode.expires_at, EnrolmentCode.code_digest)
    )
    if post_id is not None:
        query = query.where(EnrolmentCode.post_id == post_id)
    return [
        OpenCode(*row[:-1], len(orjson.loads(row.posts)) if row.posts else 0)
        for row in session.execute(query)
    ]


def cancel_code(
    session: Session, hub: AppContext, scope: Scope, handle: str, *, actor: str, now: datetime
) -> None:
    """Cancel an unused code, for instance one that the wrong person has read.

    Raises
    ------
    Problem
        `record-unknown` outside the scope; `enrolment-code-over` if it was used or cancelled, or has expired.
    """
    digest = session.scalar(
        select(EnrolmentCode.code_digest)
        .join(
            HealthPost,
            and_(HealthPost.district == EnrolmentCode.district, HealthPost.id == EnrolmentCode.post_id),
        )
        .where(EnrolmentCode.district == hub.district, posts_within(hub, scope))
        .where(func.substr(EnrolmentCode.code_digest, 1, HANDLE_LENGTH) == handle)
    )
    if digest is None:
        raise Problem("record-unknown")
    if not accounts.end_enrolment_code(session, hub, digest, actor=actor, now=now):
        raise Problem("enrolment-code-over")


def known_posts(session: Session, hub: AppContext, scope: Scope) -> list[tuple[str, str, str]]:
    """List the open posts in scope to choose from, sorted: (health centre's name, post's id, post's name)."""
    rows = session.execute(
        select(HealthCentre.name, HealthPost.id, HealthPost.name)
        .join(
            HealthCentre,
            and_(
                HealthCentre.district == HealthPost.district, HealthCentre.id == HealthPost.health_centre_id
            ),
        )
        .where(posts_within(hub, scope), HealthPost.closed_at.is_(None))
        .order_by(HealthCentre.name, HealthPost.name, HealthPost.id)
    )
    return [(row[0], row[1], row[2]) for row in rows]


def make_pin_code(
    session: Session, hub: AppContext, scope: Scope, tablet_id: str, *, actor: str, now: datetime
) -> str:
    """Make the code with which the cadre of a tablet in scope chooses a new PIN.

    Raises
    ------
    Problem
        `record-unknown` outside the scope, or if it only sends; `tablet-revoked`.
    """
    _known(session, hub, scope, tablet_id)
    return make_code_for_pin(session, hub, tablet_id, actor=actor, now=now)


def revoke(
    session: Session, hub: AppContext, scope: Scope, tablet_id: str, *, actor: str, now: datetime
) -> None:
    """Revoke a tablet in scope: what it sends from now on is quarantined. Revoking it again changes nothing.

    Raises
    ------
    Problem
        `record-unknown` outside the scope.
    """
    _known(session, hub, scope, tablet_id)
    accounts.revoke_tablet(session, hub, tablet_id, actor=actor, now=now)
