"""Fixtures that several rooms share: databases of both kinds, an installed district, tablets, a test client."""

import os
from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings

from server.hub import Hub
from tests._memory import quick_directory
from tests._postgres import postgres_server
from tests.server._district import Clock, Databases, District, FakeTablet

# Hypothesis draws the same examples every time, unless PROTOCOL_HISTORIES asks for a long search. It may be slow: on a
# fresh machine it first works out Unicode's tables, while every other worker does the same.
SEARCHED = int(os.environ.get("PROTOCOL_HISTORIES", "0"))
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", PATIENT, derandomize=True, database=None, max_examples=60)
settings.register_profile("searching", PATIENT, max_examples=SEARCHED or 60)
settings.load_profile("searching" if SEARCHED else "repeatable")

ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count the lines that a test of both databases runs on SQLite alone: counting costs a quarter of a test's time."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and "postgresql" in callspec.params.values():
            item.add_marker("no_cover")


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
def hub(installed: District) -> Hub:
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
def client(on_sqlite: District) -> FlaskClient:
    """Give a test client of the whole application, on `on_sqlite`."""
    from server.app import create_app  # only here: most tests need no web framework

    return create_app(on_sqlite.hub.settings, on_sqlite.hub).test_client()
