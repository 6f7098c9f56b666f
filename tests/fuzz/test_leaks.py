"""No request leaves anything behind in the process that answers it, and a leak would be seen."""

import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Final

import pytest
from flask import Response

from server.web import health_metrics
from tests.fuzz._batches import SYNC
from tests.fuzz._leaks import Asked, Kept, carried, left_behind
from tests.fuzz._routes import Visitor
from tests.fuzz.test_routes import wsgi
from tests.server._district import Databases
from tests.web import test_role_walk
from tests.web._clinic import PASSWORD

TIMES, UPLOADS = 4, 30
WALKER: Final = "supervisor.district.in"


@pytest.fixture(scope="module")
def world(sqlite_databases: Databases) -> Iterator[test_role_walk.World]:
    with test_role_walk.opened(sqlite_databases) as made:
        yield made


def pages(world: test_role_walk.World) -> list[Asked]:
    """Ask for every page and list that there is, and for some that are not, as one who may see nearly all of them."""
    who = world.people[WALKER]
    visitor = Visitor(who.username, who.role, PASSWORD)
    visitor.come_in(wsgi(world.app, "127.0.0.3"))
    rules = [rule for method, rule in test_role_walk.routes(world.app) if method == "GET"]
    paths = [test_role_walk.address(world, rule) for rule in rules if rule.arguments <= world.fill.keys()]
    headers = visitor.headers()
    return [("GET", path, headers, None) for path in (*paths, "/tidak-ada", "/api/v1/tidak-ada")]


def replayed(
    world: test_role_walk.World, times: int = TIMES, tell: Callable[[str], object] = lambda _: None
) -> Kept:
    """Ask for everything several times over, with new uploads each time."""
    uploads = carried(world.clinic.district.tablet(0), SYNC, times, UPLOADS)
    return left_behind(wsgi(world.app, "127.0.0.2"), pages(world), uploads, tell)


def test_requests_leave_nothing_behind(
    world: test_role_walk.World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # a part of a histogram that is met for the first time keeps a number of its own: here all take equally long
    monkeypatch.setattr(health_metrics, "time", SimpleNamespace(perf_counter=lambda: 0.0))
    kept = replayed(world)
    with capsys.disabled():
        sys.stdout.write(f"\nleaks: {kept.blocks:+.2f} blocks a request, of {kept.asked}\n")
    assert not kept.leaks, "\n".join((f"{kept.blocks:.2f} blocks a request", *kept.where))


def test_leak_of_a_few_objects_a_request_is_seen(
    world: test_role_walk.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hoard: list[bytes] = []

    def keep(response: Response) -> Response:
        hoard.extend(bytes(3000) for _ in range(5))  # a cache that is emptied meanwhile cannot hide so many
        return response

    hooks = world.app.after_request_funcs.setdefault(None, [])
    monkeypatch.setitem(world.app.after_request_funcs, None, [*hooks, keep])
    kept = left_behind(wsgi(world.app, "127.0.0.2"), pages(world)[:30], [[]] * 4)
    assert kept.leaks
    assert any(__file__.rpartition("/")[2] in line for line in kept.where)
