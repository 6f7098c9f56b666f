"""Nothing that is accepted can hurt: ids, moments, days and numbers at their edges, through upload, jobs and pages.

The rows of `planted` were stored by an earlier release that had no bounds: they are read safely too.
"""

import gzip
from datetime import date
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from sqlalchemy import text, update

from server.database.models import ChangeRow, FollowUp, TabletDay, table
from server.operations import scheduler
from server.reports.loading import load
from tests.server._district import DISTRICT, District, FakeTablet, behind_its_back, identity, to_do
from tests.server.web._clinic import Clinic, sign_in

JOBS = (
    "unmeasured-children",
    "silent-tablets",
    "figures",
    "oversight",
    "ended-sign-ins",
    "sign-log",
    "verify-log",
)
OVERSIGHT_PAGES = ("/audit", "/audit/pola", "/audit/kelengkapan", "/audit/kiriman")
FAR_MOMENTS = ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2100-01-01T00:00:00Z", "1969-12-31T23:59:59Z")
EDGE_MOMENTS = ("1970-01-01T00:00:00Z", "2099-12-31T23:59:59.999999Z", "2016-12-31T23:59:60Z")


def upload(client: FlaskClient, tablet: FakeTablet, message: bytes | None = None) -> dict[str, Any]:
    """Send what a tablet has to send over HTTP, and let it take the answer in."""
    answer = client.post(
        "/api/v1/sync", data=message or tablet.next_message(), content_type="application/json"
    )
    assert answer.status_code == 200, answer.text
    tablet.replica.receive(answer.get_json(), tablet.district.clock.text())
    return dict(answer.get_json())


def write_at(
    tablet: FakeTablet, moment: str, child: str, registers: dict[str, Any], on: str | None = None
) -> None:
    """Write a change of a child, or of its measurement of a day, by a clock that shows a moment."""
    replica = tablet.replica
    form = replica.open_measurement(child, on) if on else replica.open_child(child)
    nonce = f"{next(tablet.district.numbers):022d}"
    replica.write(form, registers, author="kader-contoh", recorded_at=moment, nonce=nonce)


def all_is_well(clinic: Clinic, client: FlaskClient, child: str) -> None:
    """Run the jobs; open the child as staff and the pages of a supervisor."""
    hub, now = clinic.district.hub, clinic.district.clock.now
    for name in JOBS:
        scheduler.timetable(hub.settings)[name].task(hub, now)
    for role, kind, paths in (
        (
            "staff",
            "health_centre",
            (f"/anak/{child}", f"/anak/{child}?cetak=1", f"/api/v1/children/{child}", "/"),
        ),
        ("supervisor", "district", (*OVERSIGHT_PAGES, f"/audit/riwayat/{child}/{child}")),
    ):
        sign_in(client, clinic.person(role, kind, DISTRICT if kind == "district" else None))
        for path in paths:
            answer = client.get(path, follow_redirects=True)
            assert answer.status_code == 200, (path, answer.status_code, answer.text[:500])


# -- the three violations, with their exact values ------------------------------------------------


def test_task_id_in_the_far_future_stops_no_figures(clinic: Clinic, client: FlaskClient) -> None:
    tablet = clinic.first
    child = tablet.register_child()
    tablet.set_task(child, "ffffffff-ffff-4fff-bfff-ffffffffffff")
    answer = upload(client, tablet)
    assert [item[1] for item in answer["receipt"]["items"]] == ["applied", "applied"]
    all_is_well(clinic, client, child)


@pytest.mark.parametrize("moment", FAR_MOMENTS)
def test_moment_beyond_the_bounds_is_set_aside_and_the_rest_lands(
    clinic: Clinic, client: FlaskClient, moment: str
) -> None:
    tablet = clinic.first
    child = tablet.register_child()
    write_at(tablet, moment, child, {"books": {"kia": True, "kms": True}})
    write_at(tablet, moment, child, {"weight": {"weight_g": 9000, "oedema": "n"}}, "2026-03-05")
    tablet.measure(child, "2026-03-04", weight_g=9000)
    items = upload(client, tablet)["receipt"]["items"]
    assert [item[1] for item in items] == ["applied", "quarantined", "quarantined", "applied"]
    (told,) = items[1][2]
    assert (told["path"], told["code"]) == ("recorded_at", "time-out-of-range")
    assert "between 1970-01-01T00:00:00Z and 2099-12-31T23:59:59Z" in told["en"]
    all_is_well(clinic, client, child)


@pytest.mark.parametrize("moment", EDGE_MOMENTS)
def test_moment_at_the_bounds_survives_every_page(clinic: Clinic, client: FlaskClient, moment: str) -> None:
    tablet = clinic.first
    child = tablet.register_child()
    write_at(tablet, moment, child, {"books": {"kia": True, "kms": True}})
    write_at(tablet, moment, child, {"weight": {"weight_g": 9000, "oedema": "n"}}, "2026-03-05")
    items = upload(client, tablet)["receipt"]["items"]
    assert {item[1] for item in items} == {"applied"}
    all_is_well(clinic, client, child)


@pytest.mark.parametrize("day", ["1925-03-05", "2100-01-01", "9999-12-31"])
def test_slip_of_the_year_does_not_block_the_batch(clinic: Clinic, client: FlaskClient, day: str) -> None:
    tablet = clinic.first
    child = tablet.register_child()
    tablet.measure(child, day, weight_g=9000)
    tablet.measure(child, "2026-03-05", weight_g=9000)
    message = tablet.next_message()
    assert day in orjson.loads(message)["batch"]["tally"]
    items = upload(client, tablet, message)["receipt"]["items"]
    assert [item[1] for item in items] == ["applied", "quarantined", "applied"]
    assert items[1][2][0]["path"] == "key.measured_on"
    days = clinic.district.rows(table(TabletDay).select())
    assert [(row.measured_on, row.measured) for row in days] == [(date(2026, 3, 5), 1)]
    (logged,) = clinic.district.rows(text("SELECT details FROM audit_entry WHERE action = 'batch.accepted'"))
    assert orjson.loads(logged.details)["tally_left_out"] == 1
    all_is_well(clinic, client, child)


@pytest.mark.parametrize(
    "moment", ["1925-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2016-12-31T23:59:60Z"]
)
def test_wrong_clock_of_the_batch_does_not_block_it(clinic: Clinic, client: FlaskClient, moment: str) -> None:
    tablet = clinic.first
    child = tablet.register_child()
    batch = tablet.replica.next_batch(clinic.district.new_id(), moment)
    answer = client.post(
        "/api/v1/sync",
        data=tablet.signed(batch),
        content_type="application/json",
        headers={"Tablet-Clock": moment},
    )
    assert answer.status_code == 200, answer.text
    assert answer.get_json()["receipt"]["items"] == [[1, "applied"]]
    all_is_well(clinic, client, child)
    assert client.get(f"/audit/kiriman/{tablet.id}/{batch['batch']}").status_code == 200


@pytest.mark.parametrize("count", [-1, 10_001, 10**15, "41", None, 41.5])
def test_count_that_cannot_be_is_left_out_of_the_tally(
    clinic: Clinic, client: FlaskClient, count: object
) -> None:
    tablet = clinic.first
    tablet.register_child()
    batch = tablet.replica.next_batch(clinic.district.new_id(), "2026-03-05T02:00:00Z")
    batch["tally"] = {"2026-03-05": count, "2026-03-04": 3, "x": 1}
    assert upload(client, tablet, tablet.signed(batch))["receipt"]["status"] == "accepted"
    assert [row.measured for row in clinic.district.rows(table(TabletDay).select())] == [3]


# -- ids and numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize("digit", "0f")
def test_nil_and_all_f_are_no_ids(clinic: Clinic, client: FlaskClient, digit: str) -> None:
    nobody = "-".join(digit * length for length in (8, 4, 4, 4, 12))
    tablet = clinic.first
    child = tablet.register_child(nobody)
    tablet.measure(child, "2026-03-05", weight_g=9000)
    tablet.set_task(tablet.register_child(), nobody)
    items = upload(client, tablet)["receipt"]["items"]
    assert [item[1] for item in items] == ["quarantined", "quarantined", "applied", "quarantined"]
    assert [item[2][0]["code"] for item in items if len(item) > 2] == ["not-uuid"] * 3


@pytest.mark.parametrize("number", [2**53, 2**63, 2**64, 10**30, -(2**63)])
def test_number_beyond_what_is_exact_is_named(clinic: Clinic, client: FlaskClient, number: int) -> None:
    """A client in a language with large integers signs all digits; RFC 8785 rounds them, so its signature cannot fit."""
    tablet = clinic.first
    tablet.register_child()
    batch = orjson.loads(tablet.next_message())["batch"]
    batch["changes"][0]["set"]["identity"]["birth_order"] = "HERE"
    written = orjson.dumps({"batch": batch, "signature": "A" * 86}).replace(b'"HERE"', str(number).encode())
    answer = client.post("/api/v1/sync", data=written, content_type="application/json")
    told = answer.get_json()
    assert (answer.status_code, told["code"]) == (400, "batch-malformed")
    (why,) = told["reasons"]
    assert why["path"] == "batch.changes.0.set.identity.birth_order"
    assert why["code"] == "number-not-exact"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        (b'"weight_g":9000', b'"weight_g":8000,"weight_g":9000', "weight_g"),
        (b'"weight_g":9000', b'"weight_g":9000,"\\u0077eight_g":9000', "weight_g"),
        (b'"protocol":1', b'"protocol":1,"protocol":1', "protocol"),
        (b'"signature":', b'"signature":"a:{}[\\"","signature":', "signature"),
    ],
)
def test_repeated_member_is_refused(
    clinic: Clinic, client: FlaskClient, before: bytes, after: bytes, name: str, packed: bool
) -> None:
    tablet = clinic.first
    child = tablet.register_child(identity=identity(name='a ":" {"b": [1, 2]} \\'))
    tablet.measure(child, "2026-03-05", weight_g=9000)
    message = tablet.next_message()
    assert before in message
    body = message.replace(before, after)
    headers = {"Content-Encoding": "gzip"} if packed else {}
    answer = client.post(
        "/api/v1/sync",
        data=gzip.compress(body) if packed else body,
        content_type="application/json",
        headers=headers,
    )
    told = answer.get_json()
    assert (answer.status_code, told["code"]) == (400, "body-repeats-member")
    assert answer.content_type == "application/problem+json"
    assert name in told["title_en"]
    assert upload(client, tablet, message)["receipt"]["status"] == "accepted"


# -- rows of an earlier release -------------------------------------------------------------------


@pytest.mark.parametrize(
    "moment", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"]
)
def test_moment_that_was_stored_before_the_bounds_is_read_safely(
    clinic: Clinic, client: FlaskClient, moment: str
) -> None:
    child = clinic.disputed_child()
    clinic.first.set_task(child)
    clinic.first.sync_until_quiet()
    plant_moments(clinic.district, moment)
    all_is_well(clinic, client, child)


def plant_moments(district: District, moment: str) -> None:
    """Give every change a moment of recording, and every batch one of sending, as nothing refused them once."""
    with behind_its_back(district) as connection:
        for row in connection.execute(table(ChangeRow).select()).all():
            header = orjson.loads(row.header)
            if "recorded_at" in header:
                mine = (ChangeRow.actor == row.actor, ChangeRow.counter == row.counter)
                planted = orjson.dumps({**header, "recorded_at": moment})
                connection.execute(update(table(ChangeRow)).where(*mine).values(header=planted))
        connection.execute(text("UPDATE batch SET sent_at = :moment"), {"moment": moment})


@pytest.mark.parametrize("day", [date.max, date.min])
def test_day_that_was_stored_before_the_bounds_is_read_safely(
    clinic: Clinic, client: FlaskClient, day: date
) -> None:
    child = clinic.child("Anak Contoh")
    clinic.first.set_task(child, **to_do("pmt", due_on="2026-03-05"))
    clinic.first.sync_until_quiet()
    with behind_its_back(clinic.district) as connection:
        connection.execute(update(table(FollowUp)).values(due_on=day))
    all_is_well(clinic, client, child)


# -- what else the fuzz found ---------------------------------------------------------------------


def test_value_that_was_taken_back_is_a_dash_on_the_childs_page(clinic: Clinic, client: FlaskClient) -> None:
    tablet = clinic.first
    child = tablet.register_child(identity=identity(name="Anak Contoh"))
    taken_back: dict[str, dict[str, Any]] = {
        "length": {"length_mm": None, "position": "lying"},
        "muac": {"muac_mm": None},
        "head": {"head_mm": None},
    }
    tablet.write(tablet.replica.open_measurement(child, "2026-03-05"), taken_back)
    assert [item[1] for item in upload(client, tablet)["receipt"]["items"]] == ["applied", "applied"]
    sign_in(client, clinic.person())
    answer = client.get(f"/anak/{child}")
    assert "tidak dapat ditampilkan" not in answer.text
    assert "Anak Contoh" in answer.text


# -- when a follow-up was made ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recorded_at", "made_on"),
    [
        ("2026-01-10T02:00:00Z", date(2026, 1, 10)),
        ("2026-01-09T16:30:00Z", date(2026, 1, 10)),
        ("2025-12-05T02:00:00Z", date(2025, 12, 5)),
        ("2025-12-04T02:00:00Z", date(2026, 3, 5)),
        ("1970-01-01T00:00:00Z", date(2026, 3, 5)),
        ("2099-12-31T23:59:59Z", date(2026, 3, 5)),
    ],
)
@pytest.mark.parametrize(
    "task", ["ffffffff-ffff-4fff-bfff-ffffffffffff", "00000000-0000-7000-8000-000000000000"]
)
def test_follow_up_was_made_when_it_was_recorded_or_else_when_it_came(
    on_sqlite: District, recorded_at: str, made_on: date, task: str
) -> None:
    """The district's calendar is eight hours ahead of UTC; the tablet's clock is believed for ninety days."""
    tablet = on_sqlite.tablet()
    child = tablet.register_child()
    form = tablet.replica.open_follow_up(child, task)
    registers = {"task": to_do("take")}
    tablet.replica.write(form, registers, author="kader", recorded_at=recorded_at, nonce="n" * 22)
    tablet.sync()
    on_sqlite.clock.advance(days=1)
    tablet.write(tablet.replica.open_follow_up(child, task), {"note": {"text": "lagi"}})
    tablet.sync()
    with on_sqlite.hub.database.reading() as session:
        found = load(session, on_sqlite.hub, on_sqlite.posts, on_sqlite.clock.now)
    assert found.helps.first.tolist() == [made_on]
