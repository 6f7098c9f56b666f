"""No request leaves anything behind in the process that answers it, and a leak would be seen."""

import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from flask import Response

from server.web import health_metrics
from tests.fuzz._leaks import left_behind
from tests.fuzz._replay import pages, replayed
from tests.fuzz._visitors import wsgi
from tests.server._district import Databases
from tests.server.web import _role_world


@pytest.fixture(scope="module")
def world(sqlite_databases: Databases) -> Iterator[_role_world.World]:
    with _role_world.opened(sqlite_databases) as made:
        yield made


def test_requests_leave_nothing_behind(
    world: _role_world.World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # a part of a histogram that is met for the first time keeps a number of its own: here all take equally long
    monkeypatch.setattr(health_metrics, "time", SimpleNamespace(perf_counter=lambda: 0.0))
    kept = replayed(world)
    with capsys.disabled():
        sys.stdout.write(f"\nleaks: {kept.blocks:+.2f} blocks a request, of {kept.asked}\n")
    assert not kept.leaks, "\n".join((f"{kept.blocks:.2f} blocks a request", *kept.where))


def test_leak_of_a_few_objects_a_request_is_seen(
    world: _role_world.World, monkeypatch: pytest.MonkeyPatch
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
