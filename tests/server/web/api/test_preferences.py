"""What a tablet prefers of the pull (`Prefer`), and when it is asked to come again (`Retry-After` of a normal answer)."""

import random
import threading
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from schemas import check_answer
from server.sync.pull import Wanted
from server.web.api.sync import turn
from server.web.preferences import LONGEST_PAUSE, applied, seconds_until_next, wanted_of
from tests.server._district import District, FakeTablet


@pytest.fixture
def district(on_sqlite: District) -> District:
    on_sqlite.clock.now = datetime.now(UTC).replace(microsecond=0)
    return on_sqlite


@pytest.fixture
def tablet(district: District) -> FakeTablet:
    return district.tablet()


def day(district: District, ago: int) -> str:
    return (district.clock.now.date() - timedelta(days=ago)).isoformat()


def sync(client: FlaskClient, tablet: FakeTablet, prefer: str | None = None) -> TestResponse:
    headers = {"Prefer": prefer} if prefer else {}
    answer = client.post(
        "/api/v1/sync", data=tablet.next_message(), content_type="application/json", headers=headers
    )
    assert answer.status_code == 200
    assert check_answer(answer.json) == []
    tablet.replica.receive(answer.json or {}, tablet.district.clock.text())
    return answer


def pull(answer: TestResponse) -> dict[str, Any]:
    found: dict[str, Any] = (answer.json or {})["pull"]
    return found


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, Wanted()),
        ("", Wanted()),
        ("pull=none", Wanted(nothing=True)),
        ("PULL=None; because=scales", Wanted(nothing=True)),
        ('pull-bytes="65536"', Wanted(max_bytes=65536)),
        ("pull-bytes=65536, pull-since=2026-01-01", Wanted(max_bytes=65536, since=date(2026, 1, 1))),
        ("respond-async, wait=10", Wanted()),
        ("pull-bytes=-1, pull-since=20260101, pull=all", Wanted()),
        ("pull-bytes=0, pull-since=2026-02-30", Wanted()),
        ("pull-bytes=99999999999999999999999", Wanted()),
        ("pull-bytes=\u0663, ,,=,\x01;", Wanted()),
    ],
)
def test_preferences_are_read_and_the_unreadable_is_ignored(header: str | None, wanted: Wanted) -> None:
    assert wanted_of(header) == wanted


def test_what_was_applied_is_told() -> None:
    header = "pull-since=2026-01-01, pull-bytes=4096, pull=none"
    assert applied(wanted_of(header)) == "pull=none, pull-bytes=4096, pull-since=2026-01-01"
    assert applied(Wanted()) == ""


def test_answer_is_as_ever_without_a_preference(client: FlaskClient, tablet: FakeTablet) -> None:
    answer = sync(client, tablet)
    assert "Preference-Applied" not in answer.headers
    assert "Retry-After" not in answer.headers


def test_nothing_is_pulled_when_nothing_is_wanted(client: FlaskClient, district: District) -> None:
    other, tablet = district.tablet(), district.tablet()
    other.register_child()
    sync(client, other)
    tablet.register_child()
    answer = sync(client, tablet, "pull=none")
    assert answer.headers["Preference-Applied"] == "pull=none"
    assert (answer.json or {})["receipt"]["items"] == [[1, "applied"]]
    assert pull(answer)["children"] == []
    assert (pull(answer)["cursor"], pull(answer)["more"]) == (0, True)
    assert len(pull(sync(client, tablet))["children"]) == 2
    assert pull(sync(client, tablet, "pull=none"))["more"] is False


def test_page_is_as_small_as_is_wanted_and_nothing_is_skipped(
    client: FlaskClient, district: District
) -> None:
    other, tablet = district.tablet(), district.tablet()
    for _ in range(5):
        other.register_child()
    sync(client, other)
    pages = [pull(sync(client, tablet, "pull-bytes=1"))]
    while pages[-1]["more"]:
        pages.append(pull(sync(client, tablet, "pull-bytes=1")))
    assert [len(page["children"]) for page in pages] == [1] * 5
    district.check_agreement(tablet)


def test_page_is_never_larger_than_the_server_allows(client: FlaskClient, tablet: FakeTablet) -> None:
    tablet.register_child()
    answer = sync(client, tablet, "pull-bytes=999999999")
    assert len(answer.data) < tablet.district.hub.settings.max_pull_bytes


def test_measurements_of_earlier_days_are_left_out(client: FlaskClient, district: District) -> None:
    other, tablet = district.tablet(), district.tablet()
    child = other.register_child(None, identity=born(district))
    for ago in (40, 10, 0):
        other.measure(child, day(district, ago), weight_g=9000)
    other.set_task(child)
    sync(client, other)
    found = pull(sync(client, tablet, f"pull-since={day(district, 10)}"))
    assert [row["on"] for row in found["measurements"][child]] == [day(district, 10), day(district, 0)]
    assert [row["id"] for row in found["children"]] == [child]
    assert len(found["follow_ups"][child]) == 1
    assert found["cursor"] == other.replica.cursor
    tablet.replica.cursor = 0
    assert len(pull(sync(client, tablet))["measurements"][child]) == 3


def born(district: District) -> dict[str, Any]:
    return {"name": "Anak Contoh", "sex": "F", "born_on": day(district, 400), "birth_order": 1}


# -- when to come again -----------------------------------------------------------------------------


@pytest.mark.parametrize("waited", [0.0, 0.49])
def test_nobody_is_asked_to_wait_while_the_server_is_idle(waited: float) -> None:
    assert seconds_until_next(waited, random.Random(1).uniform) is None


@pytest.mark.parametrize(("waited", "longest"), [(0.5, 30), (2.0, 120), (60.0, LONGEST_PAUSE)])
def test_pause_grows_with_the_wait_and_half_of_it_is_random(waited: float, longest: int) -> None:
    chance = random.Random(7).uniform
    pauses = [seconds_until_next(waited, chance) or 0 for _ in range(500)]
    assert longest / 2 <= min(pauses) < longest * 0.55
    assert longest * 0.95 < max(pauses) <= longest


def test_tablet_that_waited_for_its_turn_is_asked_to_come_later(
    client: FlaskClient, tablet: FakeTablet
) -> None:
    tablet.register_child()
    with ExitStack() as other:
        other.enter_context(turn())
        end = threading.Timer(0.8, other.pop_all().close)
        end.start()
        answer = sync(client, tablet)
        end.join()
    assert 24 <= int(answer.headers["Retry-After"]) <= LONGEST_PAUSE
    assert "Retry-After" not in sync(client, tablet).headers
