"""Find the child that a row of a file is about. Only reads. A match is certain, or a person is asked.

Rules kept here, in this order:
1. A person has decided it, about this row's child (its derived id), in this file or an earlier one.
2. The row has a complete NIK, and a child here has it, or an earlier row makes a child with it: that child, unless name,
   birth date or sex contradict. A NIK that the file gives to several children counts for none (often it is the mother's).
3. A child was made before from a row with the same content: the id of a new child is derived from it (`own_id`).
4. Name, birth date, sex **and** a parent agree with exactly one child here. Name and birth date are not enough: twins share
   birth date and parents. A child that is only similar becomes a question.
5. Otherwise it is a new child.

Names are compared by `name_similarity`, as registrations from tablets are. Names are unsealed only for children who fit by
birth date and sex, as in `duplicate_search`.
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
"""Similarity in percent: name and parent needed for a match by name; name needed for a match by NIK without a question."""
DECIDED: Final = "decided"


@dataclass(frozen=True, slots=True)
class KnownChild:
    """A child as it is stored here."""

    id: str
    post_id: str
    person_id: str
    removed: bool
    state: RecordState | None
    registration: Registration | None
    restricted: bool


@dataclass(frozen=True, slots=True)
class Match:
    """The child that a row is about.

    Parameters
    ----------
    how : new, nik, name, earlier (imported before), decided; "" if a person is asked
    child_id : the child; for a new child the id that it will have
    question : a key of `refusals.QUESTIONS`, or "child-unknown"; "" if there is none
    candidates : children here that the row may mean, with their similarity in percent, the most similar first
    nik_doubted : a person has decided that the row's NIK is not this child's: it is not stored
    """

    how: str
    child_id: str
    question: str = ""
    candidates: tuple[tuple[str, int], ...] = ()
    nik_doubted: bool = False


@dataclass(slots=True)
class DryRunChildren:
    """Children that a dry run would have made so far: they are not stored, so they are remembered here."""

    children: set[str] = field(default_factory=set)
    niks: dict[str, tuple[str, Registration]] = field(default_factory=dict)


def made_id(hub: AppContext, purpose: str, *parts: object) -> str:
    """Derive an id from its parts and this installation's index key: without the key nobody can test guessed names.

    UUIDv8 (RFC 9562 section 5.8), the version for custom ids.
    """
    raw = bytearray(unbase64(hub.vault.digest(purpose, "/".join(map(str, parts))))[:16])
    raw[6], raw[8] = raw[6] & 0x0F | 0x80, raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def derived_child_ids(hub: AppContext, rows: Iterable[SigiziRow]) -> dict[int, str]:
    """Derive the ids of the children that rows are about, by row number: the same id if rows say the same of a child.

    It is the id that a new child will have. It starts with eight digits derived from the village, so that the children of
    a chunk are neighbours in every table ordered by child, and writing them does not become slower with the number of
    children (docs/adr/0017). Rows with one NIK from several villages are about one child, of the first village.
    """
    places: dict[tuple[str, str], tuple[str, str]] = {}
    whole: dict[str, str] = {}
    found = {}
    for row in rows:
        place = places.get((row.subdistrict, row.village))
        if place is None:
            named = f"{plain(row.subdistrict)}/{plain(row.village)}"
            place = places[row.subdistrict, row.village] = named, made_id(hub, "import/village", named)[:8]
        parents = sorted((" ".join(words_of(row.mother)), " ".join(words_of(row.father))))
        name = " ".join(words_of(row.name))
        where = "" if row.nik else place[0]
        content = (row.nik, row.nik_known, name, row.born_on, row.sex, row.birth_order or "", *parents, where)
        rest = made_id(hub, "import/child", *content)[8:]
        found[row.number] = whole.setdefault(rest, place[1] + rest)
    return found


def _replacement_id(hub: AppContext, own_id: str) -> str:
    """Derive the id of a new child that replaces a removed one because a person decided so."""
    return made_id(hub, "import/again", own_id)


def registration_of(row: SigiziRow, child_id: str, post_id: str) -> Registration:
    """Give a row's child as a registration, to compare it with others."""
    identity = (row.name, row.sex, row.born_on, row.birth_order)
    mothers, fathers = ((name,) if name else () for name in (row.mother, row.father))
    return Registration(
        child_id, post_id, (identity,), mothers, fathers, frozenset((row.nik,) if row.nik else ())
    )


class ChildIndex:
    """The children that a chunk's rows may be about, loaded with a few SQL statements.

    Parameters
    ----------
    rows : rows without a refusal, each with its post
    own_ids : as `derived_child_ids` gives them
    """

    def __init__(
        self,
        session: Session,
        hub: AppContext,
        rows: Sequence[tuple[SigiziRow, str]],
        own_ids: Mapping[int, str],
        dry_run: DryRunChildren,
    ) -> None:
        self._hub, self._own_ids, self._dry_run = hub, own_ids, dry_run
        self._new_niks: dict[str, tuple[str, Registration]] = {}  # of the new children of this chunk
        self._decided = _decided(session, hub, own_ids.values())
        self._by_nik = _by_nik(session, hub, [row.nik for row, _ in rows if row.nik])
        self._near = _near(session, hub, {post_id for _, post_id in rows})
        wanted = {child_id for ids in self._by_nik.values() for child_id in ids}
        wanted |= set(own_ids.values())
        wanted |= {child_id for _, child_id, _ in self._decided.values() if child_id}
        wanted |= {
            _replacement_id(hub, own_id) for own_id, (kind, *_) in self._decided.items() if kind == "new"
        }
        self._known = _loaded(session, hub, wanted)
        # names are unsealed only for rows that nothing else has matched
        unsure = [row for row, _ in rows if not self._is_matched(row)]
        self._dates: dict[int, list[Any]] = {}
        for near in self._near:
            self._dates.setdefault(near.born_on.toordinal(), []).append(near)
        self._fitting = {row.number: self._fitting_children(row) for row in unsure if row.born_on}
        others = {child_id for ids in self._fitting.values() for child_id in ids} - self._known.keys()
        self._known |= _loaded(session, hub, others)
        self._shared = _shared([row for row, _ in rows if row.nik])

    def known(self, child_id: str) -> KnownChild | None:
        """Give a child as it is stored; None if it is not stored or was not loaded."""
        return self._known.get(child_id)

    def match(self, row: SigiziRow, post_id: str) -> Match:
        """Find the child that a row is about."""
        own_id = self._own_ids[row.number]
        decision = self._decided.get(own_id)
        if decision:
            return self._as_decided(own_id, *decision)
        if row.nik in self._shared:
            return Match("", own_id, "nik-shared", self._with_nik(row))
        if row.nik and (found := self._match_by_nik(row, own_id)):
            return found
        known = self._known.get(own_id)
        if known is not None:
            if known.removed:
                return Match("", own_id, "removed", ((own_id, 100),))
            return Match("earlier", own_id)
        if own_id in self._dry_run.children:
            return Match("earlier", own_id)
        if row.kind == "measurement":
            return Match("", own_id, "child-unknown")
        found = self._match_by_name(row, own_id, post_id)
        if found.how == "new" and row.nik:
            self._new_niks[row.nik] = (own_id, registration_of(row, own_id, post_id))
        return found

    def _as_decided(self, own_id: str, kind: str, child_id: str | None, question: str) -> Match:
        if kind == "child" and child_id:
            return Match(DECIDED, child_id)
        known = self._known.get(own_id)
        # a removed or erased record is not reused: a new child gets another id
        if known is not None and known.removed:
            if question != "removed":
                return Match("", own_id, "removed", ((own_id, 100),))
            return Match(DECIDED, _replacement_id(self._hub, own_id))
        return Match(DECIDED, own_id, nik_doubted=question in ("nik-shared", "identity-differs"))

    def is_planned(self, child_id: str) -> bool:
        """Say whether this dry run would have made a child in an earlier chunk."""
        return child_id in self._dry_run.children

    def remember(self, row: SigiziRow, post_id: str, child_id: str) -> None:
        """Remember that this dry run would have made a child from a row."""
        self._dry_run.children.add(child_id)
        if row.nik:
            self._dry_run.niks[row.nik] = (child_id, registration_of(row, child_id, post_id))

    def _is_matched(self, row: SigiziRow) -> bool:
        own_id = self._own_ids[row.number]
        return bool(own_id in self._decided or own_id in self._known or self._by_nik.get(row.nik))

    def _with_nik(self, row: SigiziRow) -> tuple[tuple[str, int], ...]:
        return tuple((child_id, 100) for child_id in self._by_nik.get(row.nik, ()))

    # -- by NIK -----------------------------------------------------------------------------------

    def _match_by_nik(self, row: SigiziRow, own_id: str) -> Match | None:
        with_nik = [self._known[c] for c in self._by_nik.get(row.nik, ()) if c in self._known]
        present = [known for known in with_nik if not known.removed]
        if not present and with_nik:
            return Match("", own_id, "removed", ((with_nik[0].id, 100),))
        if len({known.person_id for known in present}) == 1:  # linked records: take the canonical one
            present = [known for known in present if known.id == known.person_id] or present[:1]
        if len(present) > 1:
            return Match("", own_id, "several", tuple((known.id, 100) for known in present))
        if present:
            known = present[0]
            if known.registration and _contradicts(row, known.registration):
                return Match("", own_id, "identity-differs", ((known.id, 100),))
            return Match("nik", known.id)
        made = self._new_niks.get(row.nik) or self._dry_run.niks.get(row.nik)
        if made is None:
            return None
        child_id, registered = made
        if _contradicts(row, registered):
            return Match("", own_id, "identity-differs", ((child_id, 100),))
        return Match("nik", child_id)

    # -- by name, birth date and parent -----------------------------------------------------------

    def _fitting_children(self, row: SigiziRow) -> list[str]:
        """Give the children born near a row's birth date, or on it with day and month swapped, whose sex fits."""
        assert row.born_on is not None  # noqa: S101  # called only for rows with a birth date
        if not self._dates:
            return []
        born_on = row.born_on.toordinal()
        days = [*range(born_on - WINDOW_DAYS, born_on + WINDOW_DAYS + 1)]
        other = (swapped(row.born_on) or row.born_on).toordinal()
        if abs(other - born_on) > WINDOW_DAYS:
            days.append(other)
        near = (child for day in days if day in self._dates for child in self._dates[day])
        return [child.id for child in near if None in (child.sex, row.sex) or child.sex == row.sex]

    def _match_by_name(self, row: SigiziRow, own_id: str, post_id: str) -> Match:
        fitting = self._fitting.get(row.number)
        if not fitting:
            return Match("new", own_id)
        registered = registration_of(row, own_id, post_id)
        similar: list[tuple[str, int, Mapping[str, int]]] = []
        for child_id in fitting:
            known = self._known.get(child_id)
            if known is None or known.removed or known.registration is None:
                continue
            if not _nik_may_be(row, known.registration):
                continue
            found = compare(registered, known.registration)
            if found:
                similar.append((child_id, found.score, found.why))
        if not similar:
            return Match("new", own_id)
        similar.sort(key=lambda one: (-one[1], one[0]))
        candidates = tuple((child_id, score) for child_id, score, _ in similar)
        if len(similar) > 1:
            return Match("", own_id, "several", candidates)
        child_id, _, why = similar[0]
        sure = why["born_on"] == 100 and why["name"] >= NAME_ENOUGH and why.get("parent", 0) >= PARENT_ENOUGH
        if sure or "nik" in why:
            return Match("name", child_id)
        return Match("", own_id, "alike", candidates)


def _contradicts(row: SigiziRow, registered: Registration) -> bool:
    """Say whether the child with a NIK cannot be the row's: other birth date or sex, or a completely different name."""
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
    """Say whether the visible digits of a masked NIK fit a NIK stored here."""
    if not row.nik_known or not registered.niks:
        return True
    return any(
        all(visible in ("?", digit) for visible, digit in zip(row.nik_known, nik, strict=True))
        for nik in registered.niks
    )


def _shared(rows: Sequence[SigiziRow]) -> frozenset[str]:
    """Find the NIKs that a file gives to several children: different birth dates, or completely different names."""
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
    session: Session, hub: AppContext, own_ids: Collection[str]
) -> dict[str, tuple[str, str | None, str]]:
    """Load what people have decided about children of rows: (child or new, child id, question) by derived id; the latest
    decision counts."""
    c = table(ImportCase).c
    query = select(c.who, c.decision, c.child_id, c.question).where(
        c.district == bindparam("district"),
        among(c.who),
        or_(c.decision.in_(("child", "new")), c.child_id.is_not(None)),
    )
    given = {"district": hub.district, "among": sorted(set(own_ids))}
    rows = session.connection().execute(query.order_by(c.decided_at, c.id), given)
    return {
        row.who: ("new" if row.decision == "new" else "child", row.child_id, row.question) for row in rows
    }


def decisions_about(session: Session, hub: AppContext, own_ids: Collection[str]) -> dict[str, str]:
    """Load what people have decided about the rows of some children, by case id.

    Parameters
    ----------
    own_ids : the derived ids of the children of the rows
    """
    c = table(ImportCase).c
    query = select(c.id, c.decision).where(
        c.district == bindparam("district"), among(c.who), c.status == "decided"
    )
    given = {"district": hub.district, "among": sorted(set(own_ids))}
    return {row.id: row.decision for row in session.connection().execute(query, given)}


def _by_nik(session: Session, hub: AppContext, niks: Iterable[str]) -> dict[str, list[str]]:
    blinds = {hub.vault.blind_index(nik): nik for nik in niks}
    if not blinds:
        return {}
    c = table(NikIndex).c
    rows = session.execute(
        select(c.blind_index, c.child_id)
        .where(c.blind_index.in_(list(blinds)), c.district == hub.district)
        .order_by(c.child_id)
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(blinds[row.blind_index], []).append(row.child_id)
    return found


def _near(session: Session, hub: AppContext, posts: Collection[str]) -> list[Any]:
    """Load birth date and sex of the children of some posts and of all other posts in their villages."""
    given = {"district": hub.district, "posts": sorted(posts)}
    return list(session.connection().execute(_of_villages(), given))


@cache
def _of_villages() -> Any:
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


def _loaded(session: Session, hub: AppContext, child_ids: Collection[str]) -> dict[str, KnownChild]:
    """Load children with their states; an erased child has none."""
    found = {}
    for subject in ledger.subjects(session, hub.vault, hub.district, sorted(child_ids)).values():
        row = subject.row
        state = None
        if row is not None and row["state"] is not None and subject.wrapped_key is not None:
            wire = orjson.loads(ledger.read_child(hub.district, subject.id, row["state"], subject.key))
            state = RecordState.from_wire("child", subject.id, {}, wire)
        registration = Registration.of(subject.post_id, state) if state else None
        removed = bool(row is not None and row["removed"]) or state is None
        found[subject.id] = KnownChild(
            subject.id, subject.post_id, subject.person_id, removed, state, registration, subject.restricted
        )
    return found
