"""Find a child by name or NIK, although both are encrypted.

A NIK is looked up in its blind index. Names have no index: an index of name prefixes would show anybody who stole the
database who shares a name with whom (docs/adr). So the names of those in scope are decrypted and compared, which is quick
for a health centre; with more people than MOST_NAMES the search is refused, and the reader must choose a smaller area.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Select, and_, func, select
from sqlalchemy.orm import Session

from server import audit
from server.context import AppContext
from server.database.models import Attention, Child, HealthPost, NikIndex
from server.errors import Problem
from server.review.scope import Scope, age_in_months, state_of, within
from sync_protocol import RecordState

MOST_NAMES: Final = 6000
"""The most names that are decrypted for one search; each takes about 25 microseconds."""
MOST_FOUND: Final = 50
LEAST_LETTERS: Final = 2
NIK_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class FoundChild:
    """A child that was found; `urgency` is None if it is not in the queue."""

    child_id: str
    name: str | None
    mother: str | None
    sex: str | None
    born_on: date | None
    age_months: int | None
    post_id: str
    post_name: str
    urgency: int | None


@dataclass(frozen=True, slots=True)
class Search:
    """The result of a search: `by` is "nik" or "name"; `more` says that there are more than shown."""

    by: str
    found: tuple[FoundChild, ...]
    more: bool


def search(
    session: Session, hub: AppContext, scope: Scope, words: str, *, today: date, post_id: str | None = None
) -> Search:
    """Find children in scope by NIK (16 digits), or by prefixes of the words of their own or their mother's name.

    Parameters
    ----------
    words : as typed; case and accents are ignored
    post_id : only this post's children

    Raises
    ------
    Problem
        `search-too-short`; `search-too-wide` if the scope has more than MOST_NAMES people; `not-allowed` for a reader who
        sees no names.
    """
    if not scope.shows_names:
        raise Problem("not-allowed")
    query = _children(hub, scope, post_id)
    digits = "".join(words.split())
    if digits.isascii() and digits.isdigit() and len(digits) == NIK_DIGITS:
        has = select(NikIndex.child_id).where(
            NikIndex.blind_index == hub.vault.blind_index(digits), NikIndex.district == hub.district
        )
        rows = session.execute(query.where(Child.id.in_(has)).limit(MOST_FOUND)).all()
        return Search(
            "nik", tuple(_found(row, state_of(hub, row.child_id, row), today) for row in rows), False
        )
    wanted = _parts(words)
    if not wanted or max(map(len, wanted)) < LEAST_LETTERS:
        raise Problem("search-too-short", letters=LEAST_LETTERS)
    people = session.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    if people > MOST_NAMES:
        raise Problem("search-too-wide", people=people, most=MOST_NAMES)
    found = []
    for row in session.execute(query):
        state = state_of(hub, row.child_id, row)
        if _fits(wanted, state):
            found.append(_found(row, state, today))
    found.sort(key=lambda child: (child.name or "~", child.post_name))
    return Search("name", tuple(found[:MOST_FOUND]), len(found) > MOST_FOUND)


def _children(hub: AppContext, scope: Scope, post_id: str | None) -> Select[*tuple[Any, ...]]:
    query = (
        select(
            Child.id.label("child_id"),
            Child.post_id,
            Child.sex,
            Child.born_on,
            Child.state,
            Child.wrapped_key,
            Child.key_version,
            HealthPost.name.label("post_name"),
            Attention.urgency,
        )
        .join(HealthPost, and_(HealthPost.district == Child.district, HealthPost.id == Child.post_id))
        .outerjoin(
            Attention, and_(Attention.district == Child.district, Attention.child_id == Child.person_id)
        )
        .where(within(hub, scope), Child.state.is_not(None), Child.wrapped_key.is_not(None))
        .where(Child.removed.is_(False))
    )
    return query if post_id is None else query.where(Child.post_id == post_id)


def _parts(words: str) -> list[str]:
    """Split a text into words in lower case without accents."""
    plain = unicodedata.normalize("NFKD", words.casefold())
    letters = "".join(c if c.isalnum() else " " for c in plain if not unicodedata.combining(c))
    return letters.split()


def _fits(wanted: list[str], state: RecordState) -> bool:
    """Say whether each typed word is a prefix of a word of the child's or its mother's name."""
    return any(
        all(any(part.startswith(word) for part in parts) for word in wanted) for parts in _names(state)
    )


def _names(state: RecordState) -> Iterator[list[str]]:
    mothers = [
        part for s in state.registers.get("parents", ()) for part in _parts(s.value.get("mother") or "")
    ]
    own = [part for s in state.registers.get("identity", ()) for part in _parts(s.value["name"])]
    yield own + mothers


def _found(row: Any, state: RecordState, today: date) -> FoundChild:
    names = dict.fromkeys(s.value["name"] for s in state.registers.get("identity", ()))
    mothers = dict.fromkeys(s.value.get("mother") for s in state.registers.get("parents", ()))
    return FoundChild(
        row.child_id,
        " / ".join(names) or None,
        " / ".join(mother for mother in mothers if mother) or None,
        row.sex,
        row.born_on,
        age_in_months(row.born_on, today),
        row.post_id,
        row.post_name,
        row.urgency,
    )


def log_searched(session: Session, hub: AppContext, actor: str, done: Search, now: datetime) -> None:
    """Log that somebody searched and how many children were shown; the typed words are not stored."""
    details = {"by": done.by, "children": len(done.found)}
    audit.append(
        session, hub.district, audit.OFFICE, "children.searched", actor=actor, now=now, details=details
    )
