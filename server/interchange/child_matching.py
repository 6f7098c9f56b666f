"""Which child a row of somebody's file is about. Only reads; what is found is sure, or a person is asked.

Rules kept here, in this order:
1. A person has decided it: about this row's child (`who`), in this file or an earlier one.
2. A whole NIK that a child here bears, or one whom an earlier row makes: that child, unless name, birth date or sex speak
   against it. A NIK that several children of the file are given is nobody's (it is often the mother's).
3. A child that was made from such a row before: `own_id` follows from what the row says of the child.
4. Name, birth date, sex **and** parent agree, with one child here alone. Name and birth date are not enough: twins share
   their date and their parents. What is alike and no more is a question.
5. Else it is a new child.

Comparing is `likeness`, as for tablets' registrations: one judgement everywhere. Names are unsealed of those alone who fit
in date and sex, as in `duplicates`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import orjson
from sqlalchemy import bindparam, or_, select
from sqlalchemy.orm import Session

from server.children import ledger
from server.children.name_similarity import WINDOW_DAYS, Registration, compare, likeness, swapped, words_of
from server.context import AppContext
from server.crypto.vault import unbase64
from server.database.engine import among
from server.database.models import Child, HealthPost, ImportCase, NikIndex, table
from server.interchange.sigizi import SigiziRow, plain
from sync_protocol import RecordState

NAME_ENOUGH, PARENT_ENOUGH, NAME_AT_ALL = 90, 85, 60
"""How alike, in percent: to be one child by name, birth date and parent; to be one by NIK without a question."""
DECIDED: Final = "decided"


@dataclass(frozen=True, slots=True)
class Known:
    """A child as it is here."""

    id: str
    post_id: str
    person_id: str
    removed: bool
    state: RecordState | None
    registration: Registration | None
    restricted: bool


@dataclass(frozen=True, slots=True)
class Match:
    """Whom a row is about.

    Parameters
    ----------
    how : new, nik, name, earlier (imported before), decided; "" where a person is asked
    child_id : the child; of a new one the id that it will have
    question : a key of `refusals.QUESTIONS`, "" where there is none
    candidates : children here whom it may mean, with their likeness in percent, the likeliest first
    nik_doubted : a person has decided that the row's NIK is not this child's: it is not kept
    """

    how: str
    child_id: str
    question: str = ""
    candidates: tuple[tuple[str, int], ...] = ()
    nik_doubted: bool = False


@dataclass(slots=True)
class DryRunChildren:
    """Whom a dry run would have made so far: what is not stored cannot be found there."""

    children: set[str] = field(default_factory=set)
    niks: dict[str, tuple[str, Registration]] = field(default_factory=dict)


def made_id(hub: AppContext, purpose: str, *parts: object) -> str:
    """Give an id that follows from its parts and from this installation's index key: who reads it cannot try names out.

    UUIDv8 (RFC 9562 section 5.8): the version for ids made in a way of one's own.
    """
    raw = bytearray(unbase64(hub.vault.digest(purpose, "/".join(map(str, parts))))[:16])
    raw[6], raw[8] = raw[6] & 0x0F | 0x80, raw[8] & 0x3F | 0x80
    plain = raw.hex()
    return f"{plain[:8]}-{plain[8:12]}-{plain[12:16]}-{plain[16:20]}-{plain[20:]}"


def names_of(hub: AppContext, rows: Iterable[SigiziRow]) -> dict[int, str]:
    """Name the children that rows speak of (`who`), by row number: the same for all rows that say the same of a child.

    The name is the id that a new child will have. It begins with its village's eight digits, so that the children of a
    chunk lie together in every table that is ordered by child, and writing them costs no more the more children there
    are (docs/adr/0017). A NIK's rows from several villages are one child's, of the first.
    """
    places: dict[tuple[str, str], tuple[str, str]] = {}
    whole: dict[str, str] = {}
    found = {}
    for row in rows:
        place = places.get((row.subdistrict, row.village))
        if place is None:
            said = f"{plain(row.subdistrict)}/{plain(row.village)}"
            place = places[row.subdistrict, row.village] = said, made_id(hub, "import/village", said)[:8]
        parents = sorted((" ".join(words_of(row.mother)), " ".join(words_of(row.father))))
        name = " ".join(words_of(row.name))
        where = "" if row.nik else place[0]
        whose = (row.nik, row.nik_known, name, row.born_on, row.sex, row.birth_order or "", *parents, where)
        own = made_id(hub, "import/child", *whose)[8:]
        found[row.number] = whole.setdefault(own, place[1] + own)
    return found


def _again(hub: AppContext, own_id: str) -> str:
    """Name the child that a row is of since a person said so, where the one of its own name was removed here."""
    return made_id(hub, "import/again", own_id)


def registration_of(row: SigiziRow, child_id: str, post_id: str) -> Registration:
    """Read a row as a registration, to be compared with others."""
    identity = (row.name, row.sex, row.born_on, row.birth_order)
    mothers, fathers = ((name,) if name else () for name in (row.mother, row.father))
    return Registration(
        child_id, post_id, (identity,), mothers, fathers, frozenset((row.nik,) if row.nik else ())
    )


class Register:
    """The children whom a chunk's rows may mean, loaded in a handful of statements.

    Parameters
    ----------
    rows : read without a refusal, each with the post it belongs to; `names` : as `names_of` gives them
    """

    def __init__(
        self,
        session: Session,
        hub: AppContext,
        rows: Sequence[tuple[SigiziRow, str]],
        names: Mapping[int, str],
        foreseen: DryRunChildren,
    ) -> None:
        self._hub, self._names, self._foreseen = hub, names, foreseen
        self._new_niks: dict[str, tuple[str, Registration]] = {}  # of rows of this chunk that make a child
        self._decided = _decided(session, hub, names.values())
        self._by_nik = _by_nik(session, hub, [row.nik for row, _ in rows if row.nik])
        self._near = _near(session, hub, {post_id for _, post_id in rows})
        wanted = {child_id for ids in self._by_nik.values() for child_id in ids}
        wanted |= set(names.values())
        wanted |= {child_id for _, child_id, _ in self._decided.values() if child_id}
        wanted |= {_again(hub, own_id) for own_id, (kind, *_) in self._decided.items() if kind == "new"}
        self._known = _loaded(session, hub, wanted)
        # names are unsealed only of those whom nothing surer has found
        unsure = [row for row, _ in rows if not self._surely(row)]
        self._dates: dict[int, list[Any]] = {}
        for near in self._near:
            self._dates.setdefault(near.born_on.toordinal(), []).append(near)
        self._fitting = {row.number: self._fit(row) for row in unsure if row.born_on}
        others = {child_id for ids in self._fitting.values() for child_id in ids} - self._known.keys()
        self._known |= _loaded(session, hub, others)
        self._shared = _shared([row for row, _ in rows if row.nik])

    def known(self, child_id: str) -> Known | None:
        """Give a child as it is here; None for one that is not here, or not loaded."""
        return self._known.get(child_id)

    def match(self, row: SigiziRow, post_id: str) -> Match:
        """Say whom a row is about."""
        own_id = self._names[row.number]
        decision = self._decided.get(own_id)
        if decision:
            return self._as_decided(own_id, *decision)
        if row.nik in self._shared:
            return Match("", own_id, "nik-shared", self._bearers(row))
        if row.nik and (found := self._nik(row, own_id)):
            return found
        known = self._known.get(own_id)
        if known is not None:
            return (
                Match("", own_id, "removed", ((own_id, 100),)) if known.removed else Match("earlier", own_id)
            )
        if own_id in self._foreseen.children:
            return Match("earlier", own_id)
        if row.kind == "measurement":
            return Match("", own_id, "child-unknown")
        found = self._name(row, own_id, post_id)
        if found.how == "new" and row.nik:
            self._new_niks[row.nik] = (own_id, registration_of(row, own_id, post_id))
        return found

    def _as_decided(self, own_id: str, kind: str, child_id: str | None, question: str) -> Match:
        if kind == "child" and child_id:
            return Match(DECIDED, child_id)
        known = self._known.get(own_id)
        if (
            known is not None and known.removed
        ):  # what was removed or erased stays so: a new child is another record
            if question != "removed":
                return Match("", own_id, "removed", ((own_id, 100),))
            return Match(DECIDED, _again(self._hub, own_id))
        return Match(DECIDED, own_id, nik_doubted=question in ("nik-shared", "identity-differs"))

    def foresees(self, child_id: str) -> bool:
        """Say whether a dry run would have made a child in an earlier chunk."""
        return child_id in self._foreseen.children

    def foresee(self, row: SigiziRow, post_id: str, child_id: str) -> None:
        """Remember that a dry run would have made a child of a row."""
        self._foreseen.children.add(child_id)
        if row.nik:
            self._foreseen.niks[row.nik] = (child_id, registration_of(row, child_id, post_id))

    def _surely(self, row: SigiziRow) -> bool:
        own_id = self._names[row.number]
        return bool(own_id in self._decided or own_id in self._known or self._by_nik.get(row.nik))

    def _bearers(self, row: SigiziRow) -> tuple[tuple[str, int], ...]:
        return tuple((child_id, 100) for child_id in self._by_nik.get(row.nik, ()))

    # -- by NIK -----------------------------------------------------------------------------------

    def _nik(self, row: SigiziRow, own_id: str) -> Match | None:
        bearers = [self._known[c] for c in self._by_nik.get(row.nik, ()) if c in self._known]
        present = [known for known in bearers if not known.removed]
        if not present and bearers:
            return Match("", own_id, "removed", ((bearers[0].id, 100),))
        if (
            len({known.person_id for known in present}) == 1
        ):  # linked: they are one, and its head speaks for it
            present = [known for known in present if known.id == known.person_id] or present[:1]
        if len(present) > 1:
            return Match("", own_id, "several", tuple((known.id, 100) for known in present))
        if present:
            known = present[0]
            if known.registration and _speaks_against(row, known.registration):
                return Match("", own_id, "identity-differs", ((known.id, 100),))
            return Match("nik", known.id)
        made = self._new_niks.get(row.nik) or self._foreseen.niks.get(row.nik)
        if made is None:
            return None
        child_id, registered = made
        if _speaks_against(row, registered):
            return Match("", own_id, "identity-differs", ((child_id, 100),))
        return Match("nik", child_id)

    # -- by name, birth date and parent -----------------------------------------------------------

    def _fit(self, row: SigiziRow) -> list[str]:
        """Give who was born near a row's date, or on it with day and month changed over, and may be of its sex."""
        assert row.born_on is not None  # noqa: S101  # asked for rows with a date alone
        if not self._dates:
            return []
        born_on = row.born_on.toordinal()
        days = [*range(born_on - WINDOW_DAYS, born_on + WINDOW_DAYS + 1)]
        other = (swapped(row.born_on) or row.born_on).toordinal()
        if abs(other - born_on) > WINDOW_DAYS:
            days.append(other)
        near = (child for day in days if day in self._dates for child in self._dates[day])
        return [child.id for child in near if None in (child.sex, row.sex) or child.sex == row.sex]

    def _name(self, row: SigiziRow, own_id: str, post_id: str) -> Match:
        fitting = self._fitting.get(row.number)
        if not fitting:
            return Match("new", own_id)
        mine = registration_of(row, own_id, post_id)
        alike: list[tuple[str, int, Mapping[str, int]]] = []
        for child_id in fitting:
            known = self._known.get(child_id)
            if known is None or known.removed or known.registration is None:
                continue
            if not _nik_may_be(row, known.registration):
                continue
            found = compare(mine, known.registration)
            if found:
                alike.append((child_id, found.score, found.why))
        if not alike:
            return Match("new", own_id)
        alike.sort(key=lambda one: (-one[1], one[0]))
        candidates = tuple((child_id, score) for child_id, score, _ in alike)
        if len(alike) > 1:
            return Match("", own_id, "several", candidates)
        child_id, _, why = alike[0]
        sure = why["born_on"] == 100 and why["name"] >= NAME_ENOUGH and why.get("parent", 0) >= PARENT_ENOUGH
        if sure or "nik" in why:
            return Match("name", child_id)
        return Match("", own_id, "alike", candidates)


def _speaks_against(row: SigiziRow, registered: Registration) -> bool:
    """Say whether a NIK's bearer cannot be whom the row names: another date or sex, or a name that is altogether another."""
    if row.born_on is not None and registered.born and row.born_on not in registered.born:
        return True
    sexes = {sex for _, sex, _, _ in registered.identities if sex}
    if row.sex and sexes and row.sex not in sexes:
        return True
    mine = words_of(row.name)
    unnamed = mine[:1] and mine[0] in ("by", "bayi", "baby")
    return not unnamed and all(
        likeness(mine, name) < NAME_AT_ALL and not (name and name[0] in ("by", "bayi", "baby"))
        for name in registered.names
    )


def _nik_may_be(row: SigiziRow, registered: Registration) -> bool:
    """Say whether what is seen of a masked NIK fits one that is known here."""
    if not row.nik_known or not registered.niks:
        return True
    return any(
        all(mine in ("?", digit) for mine, digit in zip(row.nik_known, nik, strict=True))
        for nik in registered.niks
    )


def _shared(rows: Sequence[SigiziRow]) -> frozenset[str]:
    """Find the NIKs that several children are given: with other dates of birth, or names that are altogether others."""
    first: dict[str, SigiziRow] = {}
    shared = set()
    for row in rows:
        other = first.setdefault(row.nik, row)
        if other is row or row.kind == "measurement":
            continue
        if row.born_on != other.born_on or likeness(words_of(row.name), words_of(other.name)) < NAME_AT_ALL:
            shared.add(row.nik)
    return frozenset(shared)


# -- loading --------------------------------------------------------------------------------------


def _decided(
    session: Session, hub: AppContext, names: Collection[str]
) -> dict[str, tuple[str, str | None, str]]:
    """Load what people have decided about whom rows speak of: (child or new, child id, question) by `who`; the latest
    holds."""
    c = table(ImportCase).c
    query = select(c.who, c.decision, c.child_id, c.question).where(
        c.district == bindparam("district"),
        among(c.who),
        or_(c.decision.in_(("child", "new")), c.child_id.is_not(None)),
    )
    given = {"district": hub.district, "among": sorted(set(names))}
    rows = session.connection().execute(query.order_by(c.decided_at, c.id), given)
    return {
        row.who: ("new" if row.decision == "new" else "child", row.child_id, row.question) for row in rows
    }


def _by_nik(session: Session, hub: AppContext, niks: Iterable[str]) -> dict[str, list[str]]:
    blinds = {hub.vault.blind_index(nik): nik for nik in niks}
    if not blinds:
        return {}
    c = table(NikIndex).c
    rows = session.execute(
        select(c.blind, c.child_id)
        .where(c.blind.in_(list(blinds)), c.district == hub.district)
        .order_by(c.child_id)
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(blinds[row.blind], []).append(row.child_id)
    return found


def _near(session: Session, hub: AppContext, posts: Collection[str]) -> list[Any]:
    """Find the children of some posts and of the others in their villages, with date and sex."""
    given = {"district": hub.district, "posts": sorted(posts)}
    return list(session.connection().execute(_villagers(), given))


@cache
def _villagers() -> Any:
    c, p, own = table(Child).c, table(HealthPost).c, table(HealthPost).alias("own").c
    villages = select(own.village_code).where(own.district == bindparam("district"), among(own.id, "posts"))
    around = select(p.id).where(
        p.district == bindparam("district"), or_(among(p.id, "posts"), p.village_code.in_(villages))
    )
    return select(c.id, c.sex, c.born_on).where(
        c.district == bindparam("district"),
        c.post_id.in_(around),
        c.born_on.is_not(None),
        c.registered,
    )


def _loaded(session: Session, hub: AppContext, child_ids: Collection[str]) -> dict[str, Known]:
    """Load children with their states; one whose person was erased has none."""
    found = {}
    for subject in ledger.subjects(session, hub.vault, hub.district, sorted(child_ids)).values():
        row = subject.row
        state = None
        if row is not None and row["state"] is not None and subject.wrapped_key is not None:
            wire = orjson.loads(ledger.read_child(hub.district, subject.id, row["state"], subject.key))
            state = RecordState.from_wire("child", subject.id, {}, wire)
        registration = Registration.of(subject.post_id, state) if state else None
        removed = bool(row is not None and row["removed"]) or state is None
        found[subject.id] = Known(
            subject.id, subject.post_id, subject.person_id, removed, state, registration, subject.restricted
        )
    return found
