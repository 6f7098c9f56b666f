"""Requests of parents, asked and answered, for tests."""

from typing import Any

from server import privacy
from server.errors import Problem
from server.operations.doctor import examine
from server.review import Scope
from server.review.child import child_view
from server.sync import server_edits
from tests.server._district import District

ONE, OTHER = "account:satu", "account:dua"


MOTHER = {
    "relation": "mother",
    "by": "Ibu Pemohon Rahasia",
    "contact": "+6281377788",
    "words": "Mohon, rahasia",
}


def whole(district: District) -> Scope:
    return Scope.whole_district(district.hub, shows_names=True)


def do(district: District, work: Any) -> Any:
    return server_edits.decide(district.hub, work)


def ask(district: District, child: str, kind: str) -> str:
    """Write down what a mother asks; give the request."""
    hub, now = district.hub, district.clock.now
    request: str = do(
        district,
        lambda s: privacy.receive(
            s, hub, whole(district), child, {**MOTHER, "kind": kind}, author=ONE, now=now
        ),
    )
    return request


def answer(district: District, request: str, outcome: str = "done", author: str = ONE) -> str:
    hub, now = district.hub, district.clock.now
    status: str = do(
        district, lambda s: privacy.answer(s, hub, whole(district), request, outcome, author=author, now=now)
    )
    return status


def agree(district: District, request: str, author: str = OTHER) -> None:
    hub, now = district.hub, district.clock.now
    do(district, lambda s: privacy.agree(s, hub, whole(district), request, author=author, now=now))


def erased(district: District, child: str) -> None:
    request = ask(district, child, "erasure")
    assert answer(district, request) == "waiting"
    agree(district, request)


def ailments(district: District) -> list[str]:
    """Give what doctor finds wrong with the data."""
    checks = examine(district.hub.settings, now=district.clock.now, quick=False, progress=lambda *_: None)
    ours = ("sealed", "changes", "states", "assessments", "positions", "log", "receipts")
    return [f"{c.name}: {c.found}" for c in checks if not c.is_ok and c.name in ours]


def seen(district: District, child: str) -> bool:
    """Say whether the office can open the child's page."""
    with district.hub.database.reading() as session:
        try:
            child_view(
                session, district.hub, whole(district), child, district.hub.settings.today(district.clock.now)
            )
        except Problem:
            return False
    return True
