"""Moments at and beyond their bounds: which are taken, and that each that may be stored is read in every time zone."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, strategies as st

from schemas.moments import FIRST_MOMENT, LAST_MOMENT, is_moment, read_moment
from tests.schemas._changes import found, make_change

ZONES = [timezone(timedelta(minutes=minutes)) for minutes in (-1439, -720, 0, 480, 840, 1439)]


@pytest.mark.parametrize(
    "moment", [FIRST_MOMENT, LAST_MOMENT, "2099-12-31T23:59:59.999999Z", "2016-12-31T23:59:60Z"]
)
def test_moment_is_taken_at_its_bounds(moment: str) -> None:
    assert found(make_change(recorded_at=moment)) == set()


@pytest.mark.parametrize(
    "moment", ["1969-12-31T23:59:59Z", "2100-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
)
def test_moment_is_refused_beyond_its_bounds(moment: str) -> None:
    assert found(make_change(recorded_at=moment)) == {("recorded_at", "time-out-of-range")}


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-30T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-01-05T24:00:00Z",
        "2026-01-05T12:00:60Z",
        "2026-01-05",
        "",
    ],
)
def test_moment_that_does_not_exist_is_none(text: str) -> None:
    assert not is_moment(text)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026-01-05T02:15:00Z", datetime(2026, 1, 5, 2, 15, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2016-12-31T23:59:60.5Z", datetime(2016, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime(2099, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_moment_is_read_within_the_bounds(text: str, read: datetime) -> None:
    assert read_moment(text) == read


@given(st.datetimes())
def test_every_moment_that_was_ever_stored_has_a_day_in_every_zone(at: datetime) -> None:
    text = f"{at.isoformat()}Z"
    assert is_moment(text)
    for zone in ZONES:
        assert 1969 <= (read_moment(text).astimezone(zone) - timedelta(hours=5)).year <= 2100
