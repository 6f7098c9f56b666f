"""Children registered twice, and what is decided about them, for tests."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from server.database.models import Child, DuplicatePair
from server.review import Scope, duplicate_pairs
from server.review.duplicate_pairs import PairView
from tests.server._district import District, FakeTablet, identity

MOTHER = {"mother": "Ibu Contoh Melati", "father": None, "phone": None}


def registered(tablet: FakeTablet, name: str = "Bunga Contoh Satu", /, **changes: Any) -> str:
    """Register a child on a tablet and sync; `parents` and `nik` are registers, everything else is identity."""
    registers = {"parents": changes.pop("parents", MOTHER)}
    if "nik" in changes:
        registers["nik"] = {"nik": changes.pop("nik")}
    child = tablet.register_child(None, identity=identity(name=name, **changes), **registers)
    tablet.sync_until_quiet()
    return child


def open_pairs(district: District) -> dict[tuple[str, str], int]:
    found = select(DuplicatePair.child_id, DuplicatePair.other_id, DuplicatePair.score)
    return {(row[0], row[1]): row[2] for row in district.rows(found.where(DuplicatePair.status == "open"))}


def decide(district: District, what: str, one: str, other: str, seen: PairView | None = None) -> PairView:
    """Link, unlink or part two children, as they were `seen` or else stand now."""
    scope = Scope.whole_district(district.hub, shows_names=True)
    named: dict[str, Any] = {"author": "operator", "now": district.clock.now}
    with district.hub.database.transaction() as session:
        if what in ("different", "reopen"):
            part: Callable[..., PairView] = getattr(duplicate_pairs, what)
            return part(session, district.hub, scope, one, other, **named)
        seen = seen or duplicate_pairs.pair(session, district.hub, scope, one, other)
        contexts = {side.child_id: side.context for side in (seen.one, seen.other)}
        work: Callable[..., PairView] = getattr(duplicate_pairs, what)
        return work(session, district.hub, scope, one, other, contexts, **named)


def persons(district: District) -> dict[str, str]:
    return {row.id: row.person_id for row in district.rows(select(Child.id, Child.person_id))}
