"""Programs talk to an application that has no clinic, unless they ask for one."""

import pytest
from flask.testing import FlaskClient

from server.app import create_app
from tests.server._district import District


@pytest.fixture
def client(on_sqlite: District) -> FlaskClient:
    """Give a test client of the whole application, on `on_sqlite`."""
    return create_app(on_sqlite.hub.settings, on_sqlite.hub).test_client()
