"""A way to a real server, and a tablet enrolled there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from sync_protocol.client import Client
from tests.server._district import District
from tests.sync_protocol.client._hall import Hall, enrolled


@pytest.fixture
def hall(client: FlaskClient) -> Hall:
    """Give the way to the server of `on_sqlite`."""
    return Hall(client)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give where a store is to be."""
    return tmp_path / "contoh.tablet"


@pytest.fixture
def tablet(on_sqlite: District, hall: Hall, file: Path) -> Iterator[Client]:
    """Give an enrolled tablet; what was sent for that is forgotten."""
    tablet = enrolled(on_sqlite, hall, file)
    hall.sent.clear()
    yield tablet
    tablet.close()
