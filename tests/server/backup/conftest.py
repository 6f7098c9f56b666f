"""Places that are backed up and restored to."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from server.config import Settings
from server.context import AppContext
from tests.server._district import Databases, District


@pytest.fixture
def place(installed: District, tmp_path: Path) -> Iterator[District]:
    """Give a district with a directory of its own for locks and kept data, and some children."""
    installed.hub.database.dispose()
    settings = replace(installed.hub.settings, data_dir=tmp_path / "data")
    settings.data_dir.mkdir()
    installed.hub = AppContext.open(settings)
    yield installed
    installed.hub.database.dispose()


@pytest.fixture
def somewhere_else(databases: Databases, place: District, tmp_path: Path) -> Iterator[Settings]:
    """Give an empty place of the same kind of database, with the same keys."""
    url = databases.empty()
    yield replace(place.hub.settings, data_dir=tmp_path / "else", database_url=url)
    databases.drop(url)
