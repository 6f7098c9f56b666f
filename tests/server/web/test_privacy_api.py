"""Parents' rights as JSON: asked, answered, agreed to and consented to by a program, under the rules of the pages."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from server.app import create_app
from tests.server._district import District
from tests.server.web._clinic import Clinic, sign_in
from tests.server.web._program import read, refusal, send

NAME = "Anak Hak Contoh"
MOTHER = {"relation": "mother", "by": "Ibu Contoh"}
CONSENT = {**MOTHER, "given": True, "on": "2026-03-01", "method": "lisan"}


class Office:
    """A clinic with one child, and a program of somebody who is signed in."""

    def __init__(self, district: District) -> None:
        self.clinic = Clinic.opened(district)
        self.app = create_app(district.hub.settings, district.hub)
        self.child = self.clinic.child(NAME)
        self.staff = self.enter("staff")

    def enter(self, role: str) -> FlaskClient:
        client = self.app.test_client()
        sign_in(client, self.clinic.person(role))
        return client

    def get(self, path: str, client: FlaskClient | None = None) -> Any:
        return read(client or self.staff, path)

    def post(self, path: str, client: FlaskClient | None = None, /, **asked: Any) -> TestResponse:
        return send(client or self.staff, path, asked)

    def ask(self, kind: str) -> str:
        made = self.post(f"children/{self.child}/rights", **MOTHER, kind=kind)
        assert made.status_code == 201, made.text
        return str(made.get_json()["id"])

    def answer(self, request: str, outcome: str = "done") -> Any:
        told = self.post(f"rights/{request}/answer", outcome=outcome)
        assert told.status_code == 200, told.text
        return told.get_json()


@pytest.fixture
def office(installed: District) -> Office:
    return Office(installed)


@pytest.fixture
def small(on_sqlite: District) -> Office:
    return Office(on_sqlite)


def test_correction_is_asked_listed_with_its_clock_and_answered(office: Office) -> None:
    before = datetime.now(UTC)
    request = office.ask("correction")
    (listed,) = office.get("rights")["requests"]
    assert (listed["id"], listed["kind"], listed["child"]["name"]) == (request, "correction", NAME)
    due = datetime.fromisoformat(listed["due_at"])
    assert timedelta(hours=72) <= due - before.replace(microsecond=0) < timedelta(hours=73)
    assert (listed["hours_left"], listed["late"], listed["status"]) == (71, False, "open")
    assert refusal(office.post(f"rights/{request}/answer", outcome="must-be-kept")) == (
        *(422, "change-invalid"),
        ["outcome"],
    )
    answered = office.answer(request, "data-right")
    assert (answered["status"], answered["outcome"], answered["hours_left"]) == (
        "refused",
        "data-right",
        None,
    )
    assert office.get("rights")["requests"] == []
    assert refusal(office.post(f"rights/{request}/answer", outcome="done"))[:2] == (409, "request-answered")
    assert "rights.listed" in office.clinic.district.actions("office")


def test_restriction_hides_a_child_from_all_but_its_rights_until_it_is_lifted(office: Office) -> None:
    assert office.answer(office.ask("restriction"))["status"] == "done"
    assert office.staff.get(f"/api/v1/children/{office.child}").status_code == 404
    assert office.get(f"children/{office.child}/rights")["restricted_at"] is not None
    assert office.get(f"children/{office.child}/copy")["child"]["name"] == NAME
    context = office.get(f"children/{office.child}/rights")["context"]
    refused = office.post(f"children/{office.child}/consent", **CONSENT, context=context)
    assert refusal(refused) == (422, "change-invalid", ["id"])
    assert office.answer(office.ask("lifting"))["status"] == "done"
    assert office.get(f"children/{office.child}/rights")["restricted_at"] is None
    assert office.staff.get(f"/api/v1/children/{office.child}").status_code == 200


def test_erasure_is_proposed_by_one_and_agreed_to_by_a_supervisor(office: Office) -> None:
    request = office.ask("erasure")
    assert office.answer(request)["status"] == "waiting"
    assert refusal(office.post(f"rights/{request}/agree"))[:2] == (403, "not-allowed")
    supervisor = office.enter("supervisor")
    agreed = office.post(f"rights/{request}/agree", supervisor)
    assert (agreed.status_code, agreed.get_json()["status"]) == (200, "done"), agreed.text
    assert (agreed.get_json()["by"], agreed.get_json()["child"]["name"]) == (None, None)
    for path in ("", "/rights", "/copy"):
        assert supervisor.get(f"/api/v1/children/{office.child}{path}").status_code == 404


def test_consent_is_given_and_taken_back_upon_what_was_read(office: Office) -> None:
    path = f"children/{office.child}/consent"
    first = office.get(f"children/{office.child}/rights")
    assert first["consents"] == []
    given = office.post(path, **CONSENT, context=first["context"])
    assert (given.status_code, given.get_json()["consents"]) == (200, [CONSENT]), given.text
    back = {**CONSENT, "given": False}
    both = office.post(path, **back, context=first["context"]).get_json()  # who had not read the first one
    assert sorted(one["given"] for one in both["consents"]) == [False, True]
    assert office.post(path, **back, context=both["context"]).get_json()["consents"] == [back]


def test_what_is_wrong_is_refused_field_by_field(small: Office) -> None:
    rights, consent = f"children/{small.child}/rights", f"children/{small.child}/consent"
    assert refusal(small.post(rights, kind=["access"], by=7)) == (
        *(422, "change-invalid"),
        ["kind", "relation", "by"],
    )
    assert refusal(small.post(rights, **MOTHER, kind="access", name="x")) == (422, "change-invalid", ["name"])
    assert refusal(small.post(consent, **CONSENT))[:2] == (400, "request-malformed")
    assert refusal(small.post(consent, **{**CONSENT, "given": 1, "on": "kemarin"}, context={})) == (
        *(422, "change-invalid"),
        ["set.consent.given", "set.consent.on"],
    )
    odd = small.post(consent, **CONSENT, context={"x": [[], 1.5]})
    assert refusal(odd)[:2] == (422, "change-invalid")
