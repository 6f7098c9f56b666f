"""Fixtures that several rooms share: databases of both kinds, an installed district, tablets, a test client."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings

from server import gc_tuning
from server.context import AppContext
from tests._chromium import launch_options
from tests._memory import quick_directory
from tests._postgres import postgres_server
from tests._speedups import passwords_in_earnest, spare_work
from tests.server._district import Clock, Databases, District, FakeTablet

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Hypothesis draws the same examples every time, unless PROTOCOL_HISTORIES asks for a long search. It may be slow: on a
# fresh machine it first works out Unicode's tables, while every other worker does the same.
SEARCHED = int(os.environ.get("PROTOCOL_HISTORIES", "0"))
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", PATIENT, derandomize=True, database=None, max_examples=60)
settings.register_profile("searching", PATIENT, max_examples=SEARCHED or 60)
settings.load_profile("searching" if SEARCHED else "repeatable")

spare_work()

ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


WAITING = ("browser", "faults", "peers")
"""Rooms whose tests wait for most of their time."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of a test with several cases run the first one on PostgreSQL, and all on SQLite, unless it is marked `every_case`.

    The others reach the same statements with other values. What differs between the two databases (statements, locks,
    upserts, letter case, backups, jobs, migrations) has tests of its own, or the marker.
    """
    seen: set[tuple[str, bool]] = set()
    left_out = set()
    for item in items:
        on_postgresql = _runs_on_postgresql(item)
        function = item.nodeid.partition("[")[0], on_postgresql
        is_further_case = function in seen
        seen.add(function)
        if on_postgresql and is_further_case and item.get_closest_marker("every_case") is None:
            left_out.add(item)
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
    items[:] = _spread([item for item in items if item not in left_out])


def _spread(items: list[pytest.Item]) -> list[pytest.Item]:
    """Spread the modules that drive browsers among the first of the others: several processes then have both at a time.

    A module stays whole and in its order (`--dist loadfile`): some tell one story, and all share what takes long to make.
    """
    modules: dict[Path, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(item.path, []).append(item)
    waiting = [path for path in modules if path.parent.name in WAITING]
    places: dict[Path, float] = {
        path: place for place, path in enumerate(path for path in modules if path not in waiting)
    }
    step = 0.9 * len(places) / max(len(waiting), 1)  # short ones last, so that all end at about one time
    places |= {path: number * step for number, path in enumerate(waiting)}
    return [item for path in sorted(places, key=places.__getitem__) for item in modules[path]]


def pytest_collection_finish() -> None:
    """Leave the thousands of tests, and what they import, out of the garbage collector's rounds."""
    gc_tuning.spare(look_after=100_000)


def _runs_on_postgresql(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    return callspec is not None and "postgresql" in callspec.params.values()


@pytest.fixture(scope="session")
def sqlite_databases() -> Iterator[Databases]:
    """Give the maker of SQLite files."""
    with quick_directory() as directory:
        yield Databases(directory, None)


@pytest.fixture(scope="session")
def postgresql_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Give the maker of databases on one PostgreSQL that lives as long as the tests."""
    with postgres_server() as url:
        yield Databases(tmp_path_factory.mktemp("postgresql"), url)


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """Give one Chromium for all tests of a process: starting it takes as long as many a test, and contexts share nothing."""
    from playwright.sync_api import sync_playwright  # only here: most tests need no browser

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(**launch_options())
        yield chromium
        chromium.close()


@pytest.fixture(params=ENGINES)
def databases(request: pytest.FixtureRequest) -> Databases:
    """Give each kind of database in turn."""
    made: Databases = request.getfixturevalue(f"{request.param}_databases")
    return made


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """Give a database with the newest schema and no rows."""
    url = databases.migrated()
    yield url
    databases.drop(url)


@pytest.fixture
def installed(databases: Databases) -> Iterator[District]:
    """Give district 64.02 with one health centre and two posts, on each kind of database in turn."""
    with District.opened(databases) as district:
        yield district


@pytest.fixture
def on_sqlite(sqlite_databases: Databases) -> Iterator[District]:
    """Give such a district on SQLite alone, for what does not depend on the database."""
    with District.opened(sqlite_databases) as district:
        yield district


@pytest.fixture
def hub(installed: District) -> AppContext:
    """Give the server's parts."""
    return installed.hub


@pytest.fixture
def clock(installed: District) -> Clock:
    """Give the time of server and tablets; it stands still until told."""
    return installed.clock


@pytest.fixture
def tablet(installed: District) -> Callable[..., FakeTablet]:
    """Give the maker of tablets: `tablet()` for the first post, `tablet(1)` for the second."""
    return installed.tablet


@pytest.fixture
def in_earnest() -> Iterator[None]:
    """Let passwords cost what they cost on a server."""
    with passwords_in_earnest():
        yield


@pytest.fixture
def client(on_sqlite: District) -> FlaskClient:
    """Give a test client of the whole application, on `on_sqlite`."""
    from server.app import create_app  # only here: most tests need no web framework

    return create_app(on_sqlite.hub.settings, on_sqlite.hub).test_client()
