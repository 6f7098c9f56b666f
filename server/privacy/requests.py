"""Parents' requests, and by when they must be answered: 3×24 hours (UU 27/2022, articles 30 to 32, 40, 41).

    open -> done or refused, with a reason                       to see, to correct, to restrict
    open -> waiting (one person proposes) -> done (another agrees)       to erase

A correction is an ordinary change in the record's history; the request only keeps the deadline and that it was done.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import and_, insert, select, update
from sqlalchemy.orm import Session

from schemas.words import reason
from server import audit
from server.accounts import Person
from server.context import AppContext
from server.crypto.vault import seal, unseal
from server.database.ids import UUID_TEXT, new_id
from server.database.models import Child, HealthPost, RightsRequest, table
from server.errors import Problem
from server.privacy import erasure, restriction
from server.review import Scope
from server.review.scope import name_of, reach
from server.translations import T_, Text

DAYS: Final = 3
"""Times 24 hours, from the moment of the request."""
ACCESS, CORRECTION, RESTRICTION, LIFTING, ERASURE = (
    "access",
    "correction",
    "restriction",
    "lifting",
    "erasure",
)
KINDS: Final[Mapping[str, Text]] = {
    ACCESS: T_("To see everything that is held"),
    CORRECTION: T_("To correct what is wrong"),
    RESTRICTION: T_("To restrict processing"),
    LIFTING: T_("To allow processing again"),
    ERASURE: T_("To erase the child's data"),
}
RELATIONS: Final[Mapping[str, Text]] = {
    "mother": T_("Mother", "relation"),
    "father": T_("Father", "relation"),
    "guardian": T_("Guardian"),
    "proxy": T_("Holder of a written mandate"),
}
OUTCOMES: Final[Mapping[str, Text]] = {
    "done": T_("Done", "outcome"),
    "not-entitled": T_("Refused: who asks is no parent or guardian"),
    "data-right": T_("Refused: the data turned out to be right"),
    "must-be-kept": T_("Refused: the record must still be kept by law"),
    "withdrawn": T_("Withdrawn by who asked"),
    "erased": T_("Lapsed: the child’s data was erased"),
}
_ALWAYS: Final = ("done", "not-entitled", "withdrawn")
FITTING: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(KINDS, _ALWAYS),
    CORRECTION: ("done", "data-right", "not-entitled", "withdrawn"),
    ERASURE: ("done", "must-be-kept", "not-entitled", "withdrawn"),
}
"""The outcomes that a request can have, by kind."""
OPEN, WAITING, DONE, REFUSED, WITHDRAWN = "open", "waiting", "done", "refused", "withdrawn"
MOST_WORDS: Final = 1000


@dataclass(frozen=True, slots=True)
class ShownRequest:
    """A request as staff see it.

    Parameters
    ----------
    name : of the child; None if the reader may not see it, or the person was erased
    by, contact, words : who asked, how to reach them, what they said; None once erased
    """

    id: str
    child_id: str
    name: str | None
    post_id: str
    post_name: str
    kind: str
    status: str
    relation: str
    by: str | None
    contact: str | None
    words: str | None
    asked_at: datetime
    due_at: datetime
    received_by: str
    proposed_by: str | None
    decided_by: str | None
    decided_at: datetime | None
    outcome: str | None

    @property
    def is_open(self) -> bool:
        return self.status in (OPEN, WAITING)

    def is_overdue(self, now: datetime) -> bool:
        """Whether the answer is late, or was given late."""
        return (self.decided_at or now) > self.due_at

    def hours_left(self, now: datetime) -> int:
        """Return the full hours until the answer is due; negative when it is late."""
        return int((self.due_at - now).total_seconds() // 3600)

    def wire(self, now: datetime) -> dict[str, Any]:
        """Return it as JSON, with the time left."""
        moments = {name: getattr(self, name) for name in ("asked_at", "due_at", "decided_at")}
        plain = ("id", "kind", "status", "relation", "by", "contact", "words", "received_by", "proposed_by")
        return {
            **{name: getattr(self, name) for name in (*plain, "decided_by", "outcome")},
            **{name: at.isoformat(timespec="seconds") if at else None for name, at in moments.items()},
            "late": self.is_overdue(now),
            "hours_left": self.hours_left(now) if self.is_open else None,
            "child": {"id": self.child_id, "name": self.name},
            "post": {"id": self.post_id, "name": self.post_name},
        }


def receive(
    session: Session,
    hub: AppContext,
    scope: Scope,
    child_id: str,
    asked: Mapping[str, Any],
    *,
    author: str,
    now: datetime,
) -> str:
    """Record what a parent asks, which starts the deadline; return the request's id.

    Parameters
    ----------
    asked : `kind`, `relation`, `by` (who asks); `contact` and `words`, optional

    Raises
    ------
    Problem
        `record-unknown` outside the scope or once erased; `change-invalid` with every reason.
    """
    row = _child(session, hub, scope, child_id)
    _check(asked)
    plain = {name: (asked.get(name) or None) for name in ("by", "contact", "words")}
    request_id = new_id()
    key = hub.vault.child_key(child_id, row.wrapped_key, row.key_version)
    values = {
        "district": hub.district,
        "id": request_id,
        "child_id": child_id,
        "kind": asked["kind"],
        "status": OPEN,
        "relation": asked["relation"],
        "asked": seal(key, orjson.dumps(plain), _seal_purpose(hub, request_id)),
        "asked_at": now,
        "due_at": now + timedelta(hours=24 * DAYS),
        "received_by": author,
    }
    session.execute(insert(table(RightsRequest)).values(**values))
    details = {"child": child_id, "request": request_id, "kind": asked["kind"]}
    _log(session, hub, row.post_id, "rights.requested", details, author, now)
    return request_id


def _check(asked: Mapping[str, Any]) -> None:
    found = []
    for name, choices in (("kind", KINDS), ("relation", RELATIONS)):
        value = asked.get(name)
        if not isinstance(value, str) or value not in choices:
            code = "missing" if value is None else "not-choice"
            found.append(reason(name, code, value, ", ".join(choices)).wire())
    for name, most in (("by", 120), ("contact", 120), ("words", MOST_WORDS)):
        value = asked.get(name) or ("" if name != "by" else None)
        if value is None:
            found.append(reason(name, "missing", None).wire())
        elif not isinstance(value, str) or len(value) > most:
            found.append(reason(name, "text-length", None, "1", str(most)).wire())
    if found:
        raise Problem("change-invalid", reasons=found)


def answer(
    session: Session,
    hub: AppContext,
    scope: Scope,
    request_id: str,
    outcome: Any,
    *,
    author: str,
    now: datetime,
) -> str:
    """Carry out a request or refuse it; return its new status. An erasure is only proposed by this.

    Raises
    ------
    Problem
        `record-unknown`; `request-answered`; `change-invalid` for an outcome that does not fit; `retention-holds`.
    """
    row = _lock_request(session, hub, scope, request_id)
    if outcome not in FITTING[row.kind]:
        choices = ", ".join(FITTING[row.kind])
        raise Problem(
            "change-invalid", reasons=[reason("outcome", "not-choice", outcome or None, choices).wire()]
        )
    _refuse_if_answered(row)
    if outcome != "done":
        status = WITHDRAWN if outcome == "withdrawn" else REFUSED
        return _close(session, hub, row, status, outcome, author, now)
    if row.kind == ERASURE:
        until = erasure.hold_until(session, hub, row.child_id)
        if until is not None and until > hub.settings.today(now):
            raise Problem("retention-holds", until=until.isoformat())
        _set(session, hub, request_id, status=WAITING, proposed_by=author)
        details = {"child": row.child_id, "request": request_id}
        _log(session, hub, row.post_id, "rights.erasure-proposed", details, author, now)
        return WAITING
    if row.kind == RESTRICTION:
        restriction.restrict(session, hub, row.child_id, actor=author, now=now)
    if row.kind == LIFTING:
        restriction.lift(session, hub, row.child_id, actor=author, now=now)
    return _close(session, hub, row, DONE, outcome, author, now)


def agree(
    session: Session, hub: AppContext, scope: Scope, request_id: str, *, author: str, now: datetime
) -> None:
    """Agree to an erasure that somebody else proposed, and carry it out.

    Raises
    ------
    Problem
        `record-unknown`; `request-answered`; `erasure-not-proposed`; `second-person-needed` for the person who proposed or
        received it; `retention-holds`.
    """
    row = _lock_request(session, hub, scope, request_id)
    _refuse_if_answered(row)
    if row.status != WAITING:
        raise Problem("erasure-not-proposed")
    if author in (row.proposed_by, row.received_by):
        raise Problem("second-person-needed")
    _close(session, hub, row, DONE, "done", author, now)
    erasure.erase(session, hub, row.child_id, proposed_by=row.proposed_by, agreed_by=author, now=now)


def _refuse_if_answered(row: Any) -> None:
    if row.status not in (OPEN, WAITING):
        raise Problem("request-answered", outcome=row.outcome)


def _close(
    session: Session, hub: AppContext, row: Any, status: str, outcome: str, author: str, now: datetime
) -> str:
    _set(session, hub, row.id, status=status, outcome=outcome, decided_by=author, decided_at=now)
    details = {"child": row.child_id, "request": row.id, "kind": row.kind, "outcome": outcome}
    details["late"] = now > row.due_at
    _log(session, hub, row.post_id, "rights.answered", details, author, now)
    return status


def open_requests(session: Session, hub: AppContext, scope: Scope) -> list[ShownRequest]:
    """List the requests that wait for an answer, the first due first."""
    c = RightsRequest
    return _load_requests(session, hub, scope, c.status.in_((OPEN, WAITING)))


def due_times(session: Session, hub: AppContext, scope: Scope) -> list[datetime]:
    """List when the answers to open requests in scope are due, the first due first."""
    r = RightsRequest
    wanted = (
        select(r.due_at)
        .join(Child, and_(Child.district == r.district, Child.id == r.child_id))
        .where(r.district == hub.district, r.status.in_((OPEN, WAITING)), reach(hub, scope))
        .order_by(r.due_at)
    )
    return list(session.scalars(wanted))


def of_child(session: Session, hub: AppContext, scope: Scope, child_id: str) -> list[ShownRequest]:
    """List all requests for a child, the oldest first."""
    return _load_requests(session, hub, scope, RightsRequest.child_id == child_id)


def one(session: Session, hub: AppContext, scope: Scope, request_id: str) -> ShownRequest:
    """Return one request.

    Raises
    ------
    Problem
        `record-unknown`
    """
    found = (
        _load_requests(session, hub, scope, RightsRequest.id == request_id)
        if UUID_TEXT.fullmatch(request_id)
        else []
    )
    if not found:
        raise Problem("record-unknown")
    return found[0]


def log_listed(session: Session, hub: AppContext, actor: str, shown: int, now: datetime) -> None:
    """Log that a person was shown the open requests, with names."""
    details = {"requests": shown}
    audit.append(session, hub.district, audit.OFFICE, "rights.listed", actor=actor, now=now, details=details)


def log_seen(
    session: Session, hub: AppContext, person: Person, child_id: str, post_id: str, now: datetime
) -> None:
    """Log that a person opened the page of a child's rights."""
    _log(session, hub, post_id, "rights.viewed", {"child": child_id}, f"account:{person.account_id}", now)


def subject(session: Session, hub: AppContext, scope: Scope, child_id: str) -> Any:
    """Load a child's row, restricted or not: `child_id`, `post_id`, `restricted_at`, and what `name_of` needs.

    Raises
    ------
    Problem
        `record-unknown`
    """
    return _child(session, hub, scope, child_id)


def _load_requests(session: Session, hub: AppContext, scope: Scope, *where: Any) -> list[ShownRequest]:
    r = RightsRequest
    rows = session.execute(
        select(
            *(r.id, r.child_id, r.kind, r.status, r.relation, r.asked, r.asked_at, r.due_at, r.received_by),
            *(r.proposed_by, r.decided_by, r.decided_at, r.outcome),
            *(Child.post_id, Child.state, Child.wrapped_key, Child.key_version),
            HealthPost.name.label("post_name"),
        )
        .join(Child, and_(Child.district == r.district, Child.id == r.child_id))
        .join(HealthPost, and_(HealthPost.district == Child.district, HealthPost.id == Child.post_id))
        .where(r.district == hub.district, reach(hub, scope), *where)
        .order_by(r.due_at, r.id)
    ).all()
    found = []
    for row in rows:
        plain: dict[str, Any] = {}
        if row.asked is not None and row.wrapped_key is not None and scope.shows_names:
            key = hub.vault.child_key(row.child_id, row.wrapped_key, row.key_version)
            plain = orjson.loads(unseal(key, row.asked, _seal_purpose(hub, row.id)))
        name = name_of(hub, row) if scope.shows_names else None
        found.append(
            ShownRequest(
                *(row.id, row.child_id, name, row.post_id, row.post_name, row.kind, row.status, row.relation),
                *(plain.get("by"), plain.get("contact"), plain.get("words"), row.asked_at, row.due_at),
                *(row.received_by, row.proposed_by, row.decided_by, row.decided_at, row.outcome),
            )
        )
    return found


def _child(session: Session, hub: AppContext, scope: Scope, child_id: str) -> Any:
    c = Child
    wanted = select(
        c.id.label("child_id"), c.post_id, c.restricted_at, c.state, c.wrapped_key, c.key_version
    ).where(c.id == child_id, c.wrapped_key.is_not(None), reach(hub, scope))
    row = session.execute(wanted).one_or_none() if UUID_TEXT.fullmatch(child_id) else None
    if row is None:
        raise Problem("record-unknown")
    return row


def _lock_request(session: Session, hub: AppContext, scope: Scope, request_id: str) -> Any:
    """Load a request in scope, locked until the transaction ends."""
    r = RightsRequest
    wanted = (
        select(
            r.id,
            r.child_id,
            r.kind,
            r.status,
            r.due_at,
            r.proposed_by,
            r.received_by,
            r.outcome,
            Child.post_id,
        )
        .join(Child, and_(Child.district == r.district, Child.id == r.child_id))
        .where(r.district == hub.district, r.id == request_id, reach(hub, scope))
        .with_for_update(of=table(RightsRequest))
    )
    row = session.execute(wanted).one_or_none() if UUID_TEXT.fullmatch(request_id) else None
    if row is None:
        raise Problem("record-unknown")
    return row


def _set(session: Session, hub: AppContext, request_id: str, **values: Any) -> None:
    c = table(RightsRequest).c
    mine = c.district == hub.district, c.id == request_id
    session.execute(update(table(RightsRequest)).where(*mine).values(**values))


def _seal_purpose(hub: AppContext, request_id: str) -> str:
    return f"rights/{hub.district}/{request_id}"


def _log(
    session: Session,
    hub: AppContext,
    post_id: str,
    action: str,
    details: Mapping[str, Any],
    author: str,
    now: datetime,
) -> None:
    stream = audit.post_stream(post_id)
    audit.append(session, hub.district, stream, action, actor=author, now=now, details=details)
