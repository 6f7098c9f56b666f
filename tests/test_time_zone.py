"""No test that goes by the real clock runs over midnight."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests._time_zone import quiet_zone


def test_midnight_is_far_away_whenever_tests_start() -> None:
    for minute in range(24 * 60):
        now = datetime(2026, 12, 1, tzinfo=UTC) + timedelta(minutes=minute)
        local = now.astimezone(ZoneInfo(quiet_zone(now)))
        assert (local - timedelta(minutes=10)).date() == local.date()
        assert (local + timedelta(hours=2)).date() == local.date()
