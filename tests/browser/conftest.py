"""Fixtures of the browser tests: where pictures go, and a served post for the tests of the tablet app."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests._memory import quick_directory
from tests.browser._tablets import Site
from tests.browser._window import pictures_directory
from tests.server._district import Databases

expect.set_options(timeout=60_000)  # a browser among many on a small, busy machine


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give where pictures are kept: the directory that SCREENSHOTS names, else a temporary one."""
    return pictures_directory(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def site(sqlite_databases: Databases, browser: Browser, pictures: Path) -> Iterator[Site]:
    """Give a served post without children, the same for all tests of a module."""
    with quick_directory() as profiles, Site.opened(sqlite_databases, browser, profiles, pictures) as opened:
        yield opened


@pytest.fixture
def new_site(sqlite_databases: Databases, browser: Browser, pictures: Path) -> Iterator[Site]:
    """Give a served post without children for one test alone."""
    with quick_directory() as profiles, Site.opened(sqlite_databases, browser, profiles, pictures) as opened:
        yield opened
