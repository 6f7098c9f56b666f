"""Some thousands of odd requests to every route by every role: no 500, nobody let in who may not, every refusal in its form.

The same walk goes on for as long as one likes with `make fuzz`.
"""

import os
import sys
from typing import Any, Final

import pytest
from flask import Request, has_request_context, request
from werkzeug.datastructures import ImmutableMultiDict

from server.accounts.roles import ROLES
from server.web.api.openapi import description
from server.web.request_schemas.schema import RequestSchema, all_taken
from tests.fuzz._routes import Tally, Visitor, Walk
from tests.fuzz._visitors import VISITORS, good_bodies, wsgi
from tests.server._district import Databases
from tests.server.web import _role_world
from tests.server.web._clinic import PASSWORD

CASES = int(os.environ.get("FUZZ_CASES", "1"))
"""Of each operation, in its description and as many beyond it; each is sent by every visitor."""


class Recorded(ImmutableMultiDict):
    """What was sent, writing down by which names each route reads it."""

    read: Final[dict[str, set[str]]] = {}
    taken: Final[dict[str, RequestSchema]] = {}
    """What each route says that it takes, by method and pattern."""

    def _note(self, key: str) -> None:
        rule = request.url_rule.rule if has_request_context() and request.url_rule else "unknown"
        self.read.setdefault(rule, set()).add(key)

    def get(self, key: str, *rest: Any, **named: Any) -> Any:
        self._note(key)
        return super().get(key, *rest, **named)

    def getlist(self, key: str, *rest: Any, **named: Any) -> Any:
        self._note(key)
        return super().getlist(key, *rest, **named)


class RecordedRequest(Request):
    """A request whose reading is written down."""

    parameter_storage_class = Recorded


@pytest.fixture(scope="module")
def tally(sqlite_databases: Databases) -> Tally:
    """Walk through all operations once; give what came of it."""
    with _role_world.opened(sqlite_databases) as world:
        world.app.request_class = RecordedRequest
        Recorded.taken.update(all_taken(world.app))
        people = [Visitor(world.people[n].username, world.people[n].role, PASSWORD) for n in VISITORS]
        walk = Walk(
            description(world.app),
            wsgi(world.app, "127.0.0.2"),
            wsgi(world.app, "127.0.0.3"),
            [*people, Visitor("visitor", None)],
            {**world.fill, "from": world.fill["post_id"], "to": world.fill["post_id"]},
            good_bodies(),
            sharing=True,
        )
        for number, operation in enumerate(walk.operations()):
            walk.go(operation, CASES, number)
        return walk.tally


def test_no_request_is_answered_wrongly(tally: Tally) -> None:
    assert tally.wrong == {}


def test_walk_was_long_and_came_far(tally: Tally, capsys: pytest.CaptureFixture[str]) -> None:
    """Every role was let in somewhere, and refused in all the ways that there are."""
    with capsys.disabled():
        sys.stdout.write(f"\nfuzz of routes: {tally.told()}\n")
    assert tally.asked > 1500
    assert {200, 302, 400, 401, 403, 404, 422} <= set(tally.by_status)
    for role in ROLES:
        assert any(who == role and route.startswith("GET") for route, who in tally.let_in), role


def test_no_view_reads_what_the_description_does_not_tell(tally: Tally) -> None:
    of_every_page = {"csrf_token", "next"}
    told: dict[str, set[str]] = {}
    more: set[str] = set()
    for route, taken in Recorded.taken.items():
        rule = route.partition(" ")[2]
        told.setdefault(rule, set()).update(taken.query, taken.form, [taken.file or ""])
        more |= {rule} if taken.more_fields else set()
    unknown = {
        (rule, name)
        for rule, names in Recorded.read.items()
        for name in names - told.get(rule, set()) - of_every_page
        if not (rule in more and "-" in name)
    }
    assert unknown == set()
    assert ("/antrean", "pos") in {(rule, name) for rule, names in Recorded.read.items() for name in names}
