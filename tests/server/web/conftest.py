"""Fixtures of the pages' tests: a health centre's morning, and the people who look at it."""

import pytest
from flask.testing import FlaskClient

from server.accounts import Person
from server.app import create_app
from tests.server._district import District
from tests.server.web._clinic import Clinic, sign_in


@pytest.fixture
def clinic(on_sqlite: District) -> Clinic:
    """Give a clinic without children."""
    return Clinic.opened(on_sqlite)


@pytest.fixture
def client(clinic: Clinic) -> FlaskClient:
    """Give a browser that nobody has signed in with."""
    return create_app(clinic.district.hub.settings, clinic.district.hub).test_client()


@pytest.fixture
def staff(clinic: Clinic, client: FlaskClient) -> Person:
    """Sign in somebody of the first health centre."""
    person = clinic.person()
    sign_in(client, person)
    return person
