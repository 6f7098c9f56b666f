"""The office's side over HTTP: who gets in, what is refused and how, and that a decision reaches the tablets."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from server.app import create_app
from sync_protocol import measurement_id
from tests.server._district import District, identity
from tests.server.web._clinic import Clinic, sign_in

ON = "2026-03-05"
UNKNOWN = "01900000-0000-7000-8000-00000000ffff"
READING = [
    "/api/v1/quarantine",
    f"/api/v1/quarantine/{UNKNOWN}/1",
    "/api/v1/conflicts",
    f"/api/v1/conflicts/child/{UNKNOWN}",
]
DECIDING = [
    f"/api/v1/quarantine/{UNKNOWN}/1/release",
    f"/api/v1/quarantine/{UNKNOWN}/1/dismiss",
    f"/api/v1/conflicts/child/{UNKNOWN}/settle",
    f"/api/v1/children/{UNKNOWN}/move",
]


class Desk:
    """Somebody of the office with a program that is signed in."""

    def __init__(self, clinic: Clinic, client: FlaskClient) -> None:
        self.clinic, self.district, self.client = clinic, clinic.district, client

    @classmethod
    def opened(cls, district: District) -> "Desk":
        clinic = Clinic.opened(district)
        return cls(clinic, create_app(district.hub.settings, district.hub).test_client())

    def signed_in(self, role: str = "staff", centre: str | None = None) -> "Desk":
        sign_in(self.client, self.clinic.person(role, scope=centre))
        return self

    def get(self, path: str) -> TestResponse:
        return self.client.get(path)

    def post(self, path: str, **asked: Any) -> TestResponse:
        token = self.client.get("/api/v1/session").get_json()["csrf_token"]
        return self.client.post(path, json=asked, headers={"X-CSRFToken": token})

    def weighed_wrong(self) -> tuple[str, str]:
        """Let a tablet send a weighing that is set aside; give the child and the case's address."""
        tablet = self.clinic.first
        child = tablet.register_child()
        tablet.measure(child, weight_g=90)
        tablet.sync_until_quiet()
        return child, f"/api/v1/quarantine/{tablet.id}/{tablet.replica.log[-1].change.dot.counter}"

    def weighed_twice(self) -> tuple[str, str]:
        """Let two tablets weigh a child differently; give the child and the conflict's address."""
        child = self.clinic.disputed_child()
        return child, f"/api/v1/conflicts/measurement/{measurement_id(child, ON, 'cadre')}"


@pytest.fixture
def desk(installed: District) -> Desk:
    """Give a desk on each kind of database."""
    return Desk.opened(installed)


@pytest.fixture
def small(on_sqlite: District) -> Desk:
    """Give a desk on SQLite, for what does not depend on the database."""
    return Desk.opened(on_sqlite)


def code(response: TestResponse) -> tuple[int, str]:
    assert response.mimetype == "application/problem+json"
    return response.status_code, response.get_json()["code"]


# -- who gets in ----------------------------------------------------------------------------------


def test_session_tells_who_is_signed_in(small: Desk) -> None:
    assert code(small.get("/api/v1/session")) == (401, "sign-in-required")
    told = small.signed_in("supervisor").get("/api/v1/session").get_json()
    assert (told["role"], told["scope"]) == (
        "supervisor",
        {"kind": "health_centre", "id": small.clinic.centre},
    )
    assert told["csrf_token"]


@pytest.mark.parametrize("path", [*READING, "/api/v1/tablets"])
def test_visitor_reads_nothing(small: Desk, path: str) -> None:
    assert code(small.get(path)) == (401, "sign-in-required")


@pytest.mark.parametrize("path", [*DECIDING, f"/api/v1/tablets/{UNKNOWN}/revoke"])
def test_decision_without_its_token_is_refused(small: Desk, path: str) -> None:
    small.signed_in()
    assert code(small.client.post(path, json={})) == (400, "csrf-invalid")
    wrong = small.client.post(path, json={}, headers={"X-CSRFToken": "x"})
    assert code(wrong) == (400, "csrf-invalid")


def test_administrator_sees_tablets_and_no_child(small: Desk) -> None:
    small.signed_in("administrator")
    assert {code(small.get(path)) for path in READING} == {(403, "not-allowed")}
    assert {code(small.post(path)) for path in DECIDING} == {(403, "not-allowed")}
    assert small.get("/api/v1/tablets").status_code == 200


def test_what_is_not_there_is_unknown(small: Desk) -> None:
    small.signed_in()
    assert code(small.get(READING[1])) == (404, "record-unknown")
    assert code(small.get(READING[3])) == (404, "conflict-unknown")
    for path in DECIDING[:1]:
        assert code(small.post(path)) == (404, "record-unknown")
    assert code(small.post(f"/api/v1/tablets/{UNKNOWN}/revoke")) == (404, "record-unknown")


def test_other_health_centre_finds_nothing(desk: Desk) -> None:
    child, case = desk.weighed_wrong()
    _, conflict = desk.weighed_twice()
    desk.signed_in(centre=desk.clinic.other_centre)
    assert desk.get("/api/v1/quarantine").get_json()["total"] == 0
    assert desk.get("/api/v1/conflicts").get_json()["total"] == 0
    own = [tablet["id"] for tablet in desk.get("/api/v1/tablets").get_json()["tablets"]]
    assert own == [desk.clinic.elsewhere.id]
    going = {"from": desk.district.posts[0], "to": desk.district.posts[1]}
    assert code(desk.get(case)) == (404, "record-unknown")
    assert code(desk.post(f"{case}/release")) == (404, "record-unknown")
    assert code(desk.post(f"{case}/dismiss", reason="practice")) == (404, "record-unknown")
    assert code(desk.get(conflict)) == (404, "conflict-unknown")
    assert code(desk.post(f"{conflict}/settle")) == (404, "conflict-unknown")
    assert code(desk.post(f"/api/v1/children/{child}/move", **going)) == (404, "record-unknown")
    assert code(desk.post(f"/api/v1/tablets/{desk.clinic.first.id}/revoke")) == (404, "record-unknown")


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/api/v1/quarantine?state=x", "state"),
        ("/api/v1/quarantine?post=x", "post"),
        ("/api/v1/conflicts?limit=0", "limit"),
        ("/api/v1/conflicts?limit=٣", "limit"),
        ("/api/v1/conflicts?offset=-1", "offset"),
    ],
)
def test_odd_parameter_is_named(small: Desk, path: str, named: str) -> None:
    refused = small.signed_in().get(path)
    assert code(refused) == (400, "request-malformed")
    assert refused.get_json()["reason"].startswith(named)


@pytest.mark.parametrize("path", [*DECIDING, f"/api/v1/tablets/{UNKNOWN}/revoke"])
def test_member_that_is_not_known_is_refused_and_not_repeated(small: Desk, path: str) -> None:
    refused = small.signed_in().post(path, nama_anak="Anak Rahasia")
    assert code(refused) == (422, "change-invalid")
    (reason,) = refused.get_json()["reasons"]
    assert (reason["path"], reason["code"], reason["value"]) == ("nama_anak", "unknown-field", None)
    assert "Anak Rahasia" not in refused.text


@pytest.mark.parametrize(
    ("body", "status"), [(b"[]", 400), (b"{", 400), (b'"x"', 400), (b"[" * 5000, 400), (b"", 400)]
)
def test_body_that_is_no_object_is_refused(small: Desk, body: bytes, status: int) -> None:
    token = small.signed_in().get("/api/v1/session").get_json()["csrf_token"]
    headers = {"X-CSRFToken": token, "Content-Type": "application/json"}
    assert small.client.post(DECIDING[0], data=body, headers=headers).status_code == status


# -- deciding -------------------------------------------------------------------------------------


def test_quarantined_change_is_read_corrected_and_released(desk: Desk) -> None:
    child, path = desk.weighed_wrong()
    desk.signed_in()
    listed = desk.get("/api/v1/quarantine").get_json()
    assert (listed["total"], listed["cases"][0]["child"]["name"]) == (1, "Anak Contoh")
    assert listed["dismissals"]["practice"]["id"] == "latihan atau uji coba"
    shown = desk.get(path).get_json()
    assert shown["change"]["set"] == {"weight": {"weight_g": 90, "oedema": None}}
    assert shown["reasons"][0]["id"].startswith("Berat badan (tertulis 90) harus antara 500 dan 40000 gram")
    asked = {"set": {"weight": {"weight_g": 9000, "oedema": None}}}
    released = desk.post(f"{path}/release", **asked)
    assert (released.status_code, released.get_json()["outcome"]) == (200, "applied")
    assert desk.post(f"{path}/release", **asked).get_json() == released.get_json()
    assert code(desk.post(f"{path}/dismiss", reason="practice")) == (409, "already-decided")
    desk.district.settle(desk.clinic.first)
    assert desk.clinic.first.state(child, ON).value("weight") == {"weight_g": 9000, "oedema": None}
    assert desk.get("/api/v1/quarantine?state=decided").get_json()["total"] == 1


def test_release_of_what_is_still_wrong_is_told_in_both_languages(desk: Desk) -> None:
    _, path = desk.weighed_wrong()
    refused = desk.signed_in().post(f"{path}/release")
    assert code(refused) == (422, "change-invalid")
    (reason,) = refused.get_json()["reasons"]
    assert (reason["path"], reason["value"]) == ("set.weight.weight_g", 90)
    assert "500" in reason["id"]
    assert "500" in reason["en"]


def test_quarantined_change_is_dismissed(desk: Desk) -> None:
    _, path = desk.weighed_wrong()
    desk.signed_in("supervisor")
    assert code(desk.post(f"{path}/dismiss")) == (422, "change-invalid")
    assert desk.post(f"{path}/dismiss", reason="practice").get_json()["decision"] == "dismissed"
    assert desk.get("/api/v1/quarantine").get_json()["total"] == 0
    desk.district.check_agreement(desk.clinic.first)


def test_dismissal_and_release_are_taken_back(desk: Desk) -> None:
    _, path = desk.weighed_wrong()
    desk.signed_in()
    assert code(desk.post(f"{path}/reopen")) == (409, "nothing-to-undo")
    desk.post(f"{path}/dismiss", reason="practice")
    assert desk.post(f"{path}/reopen").get_json()["decision"] == "reopened"
    assert desk.get(path).get_json()["reopened"]["reason"] == "dismissed"
    desk.post(f"{path}/release", set={"weight": {"weight_g": 9000, "oedema": None}})
    assert code(desk.post(f"{path}/undo", reason="practice")) == (422, "change-invalid")
    assert desk.post(f"{path}/undo").get_json()["reason"] == "released"
    assert desk.get("/api/v1/quarantine").get_json()["total"] == 1


def test_conflict_is_read_and_settled_with_the_context_that_was_shown(desk: Desk) -> None:
    child, path = desk.weighed_twice()
    desk.signed_in()
    listed = desk.get("/api/v1/conflicts").get_json()
    assert [found["registers"] for found in listed["conflicts"]] == [["weight"]]
    assert "measured-again" in listed["reasons"]
    shown = desk.get(path).get_json()
    chosen = next(v for v in shown["conflicts"]["weight"] if v["value"]["weight_g"] == 9900)
    assert chosen["recorded"][0]["tablet"] == "Tablet A"
    settled = desk.post(
        f"{path}/settle",
        context=shown["context"],
        reason="measured-again",
        set={"weight": {"dots": chosen["dots"]}},
    )
    assert (settled.status_code, settled.get_json()["remaining"]) == (200, [])
    desk.district.settle(desk.clinic.first)
    assert desk.clinic.first.state(child, ON).value("weight")["weight_g"] == 9900  # type: ignore[index]  # there is one
    assert code(desk.get(path)) == (404, "conflict-unknown")


def test_child_is_moved_and_is_then_the_other_posts(desk: Desk) -> None:
    child = desk.clinic.child("Anak Contoh")
    first, second = desk.district.posts[:2]
    moved = desk.signed_in().post(f"/api/v1/children/{child}/move", **{"from": first, "to": second})
    assert (moved.status_code, moved.get_json()["to"]) == (200, second)
    again = desk.post(f"/api/v1/children/{child}/move", **{"from": first, "to": second})
    assert code(again) == (422, "change-invalid")
    assert [r["code"] for r in again.get_json()["reasons"]] == ["moved-meanwhile", "same-post"]
    desk.district.settle(desk.clinic.first, desk.clinic.second)
    assert len(desk.clinic.second.shown()) == 5


def test_revoked_tablet_is_listed_and_what_it_sends_is_released_as_it_is(desk: Desk) -> None:
    tablet, other = desk.clinic.first, desk.district.tablet(0)
    child = tablet.register_child(identity=identity(name="Anak Terlambat"))
    desk.signed_in()
    for _ in range(2):  # asked again, nothing more happens
        assert desk.post(f"/api/v1/tablets/{tablet.id}/revoke").get_json()["state"] == "revoked"
    assert desk.district.actions(f"post/{desk.district.posts[0]}").count("tablet.revoked") == 1
    tablet.sync_until_quiet()
    rows = {row["id"]: row for row in desk.get("/api/v1/tablets").get_json()["tablets"]}
    assert (rows[tablet.id]["taken"], rows[tablet.id]["quarantined"], rows[tablet.id]["missing"]) == (1, 1, 0)
    (case,) = desk.get("/api/v1/quarantine").get_json()["cases"]
    assert case["reasons"][0]["code"] == "tablet-revoked"
    released = desk.post(f"/api/v1/quarantine/{case['actor']}/{case['counter']}/release")
    assert released.get_json()["outcome"] == "applied"
    desk.district.settle(other)
    assert other.state(child).value("identity") == identity(name="Anak Terlambat")


def test_tablets_tell_what_they_go_on_from_and_what_is_missing(desk: Desk) -> None:
    tablet, clone = desk.clinic.first, desk.clinic.first.clone()
    old = tablet.id
    tablet.register_child()
    tablet.sync_until_quiet()
    clone.register_child()
    clone.sync_until_quiet()
    clone.register_child()
    clone.register_child()
    clone.sync(max_changes=1)
    rows = {row["id"]: row for row in desk.signed_in().get("/api/v1/tablets").get_json()["tablets"]}
    assert (rows[old]["state"], rows[clone.id]["replaces"], rows[clone.id]["state"]) == (
        "closed",
        old,
        "active",
    )
    assert rows[old]["split_at"] is not None
    assert (rows[clone.id]["announced"] - rows[clone.id]["taken"], rows[clone.id]["missing"]) == (1, 1)


def test_every_look_and_decision_is_logged_with_who(desk: Desk) -> None:
    _, case = desk.weighed_wrong()
    _, conflict = desk.weighed_twice()
    desk.signed_in()
    for path in (READING[0], READING[2], case, conflict):
        assert desk.get(path).status_code == 200
    who = desk.get("/api/v1/session").get_json()["account"]
    desk.post(f"{case}/dismiss", reason="practice")
    rows = desk.district.rows(
        text("SELECT action FROM audit_entry WHERE actor = :who").bindparams(who=f"account:{who}")
    )
    assert {row.action for row in rows} >= {
        "quarantine.listed",
        "conflicts.listed",
        "quarantine.viewed",
        "conflict.viewed",
        "quarantine.dismissed",
    }
    assert desk.district.broken_log() == []
