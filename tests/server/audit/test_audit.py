"""The log: each kind of tampering is found and the first entry concerned is named."""

# ruff: noqa: S608 - the statements are an intruder's, and all of their parts are ours

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from server import audit
from tests.server._district import DISTRICT, District
from tests.server.audit._intruder import off, tamper

STREAM = "post/contoh"


@pytest.fixture
def logged(installed: District) -> District:
    """Give a district with five entries in a stream of their own."""
    for number in range(1, 6):
        append(installed, details={"number": number})
    return installed


def append(district: District, **overrides: Any) -> None:
    given = {"actor": "operator", "now": district.clock.now, **overrides}
    with district.hub.database.transaction() as session:
        audit.append(session, DISTRICT, STREAM, "test.done", **given)


def test_log_is_whole_when_nobody_touched_it(logged: District) -> None:
    with logged.hub.database.reading() as session:
        count, broken = audit.verify(session, DISTRICT)
    assert broken == []
    assert count == 5 + 4  # and those of installing the district


ENTRY = f"WHERE stream = '{STREAM}' AND number ="


@pytest.mark.parametrize(
    "change",
    [
        "details = '{\"number\": 30}'",
        "details = '{\"number\": NaN}'",
        "details = 'gone'",
        "details = '[]'",
        "actor = 'tablet:other'",
        "action = 'test.undone'",
        "hash = 'AAAA'",
        "at = '2026-03-05T02:00:00.000001+00:00'",
    ],
)
def test_altered_entry_is_named(logged: District, change: str) -> None:
    tamper(logged, f"UPDATE audit_entry SET {change} {ENTRY} 3")
    assert logged.broken_log() == [audit.Broken(STREAM, 3, "altered")]


def test_removed_entry_is_named(logged: District) -> None:
    tamper(logged, f"DELETE FROM audit_entry {ENTRY} 3")
    assert logged.broken_log() == [audit.Broken(STREAM, 3, "removed")]


def test_removed_entry_is_named_when_the_rest_is_numbered_again(logged: District) -> None:
    tamper(
        logged,
        f"DELETE FROM audit_entry {ENTRY} 3",
        f"UPDATE audit_entry SET number = 3 {ENTRY} 4",
        f"UPDATE audit_entry SET number = 4 {ENTRY} 5",
        f"UPDATE audit_stream SET entries = 4 WHERE stream = '{STREAM}'",
    )
    assert logged.broken_log() == [audit.Broken(STREAM, 3, "removed")]


def copy_of(number: int, new: int) -> str:
    return (
        "INSERT INTO audit_entry (district, stream, number, at, actor, action, details, hash) "
        f"SELECT district, stream, {new}, at, actor, action, details, hash FROM audit_entry {ENTRY} {number}"
    )


def test_inserted_entry_is_named(logged: District) -> None:
    tamper(
        logged,
        f"UPDATE audit_entry SET number = 6 {ENTRY} 5",
        f"UPDATE audit_entry SET number = 5 {ENTRY} 4",
        copy_of(3, 4),
        f"UPDATE audit_stream SET entries = 6 WHERE stream = '{STREAM}'",
    )
    assert logged.broken_log() == [audit.Broken(STREAM, 4, "inserted")]


def test_entry_inserted_at_the_end_is_named(logged: District) -> None:
    tamper(logged, copy_of(5, 6))
    assert logged.broken_log() == [audit.Broken(STREAM, 6, "altered")]


def test_entries_of_a_stream_without_a_head_are_named(logged: District) -> None:
    tamper(
        logged,
        *off(logged),
        f"DELETE FROM audit_stream WHERE stream = '{STREAM}'",
    )
    assert logged.broken_log() == [audit.Broken(STREAM, 1, "inserted")]


@pytest.mark.parametrize(("one", "other"), [(2, 3), (2, 5), (1, 4)])
def test_reordered_entries_are_named(logged: District, one: int, other: int) -> None:
    tamper(
        logged,
        f"UPDATE audit_entry SET number = 100 {ENTRY} {one}",
        f"UPDATE audit_entry SET number = {one} {ENTRY} {other}",
        f"UPDATE audit_entry SET number = {other} {ENTRY} 100",
    )
    assert logged.broken_log() == [audit.Broken(STREAM, one, "reordered")]


def test_details_written_otherwise_are_no_alteration(logged: District) -> None:
    tamper(logged, f"UPDATE audit_entry SET details = '{{ \"number\":  3 }}' {ENTRY} 3")
    assert logged.broken_log() == []


def test_cut_off_end_is_named(logged: District) -> None:
    tamper(logged, f"DELETE FROM audit_entry {ENTRY} 5", f"DELETE FROM audit_entry {ENTRY} 4")
    assert logged.broken_log() == [audit.Broken(STREAM, 4, "cut off")]


def test_cut_off_end_is_found_when_the_head_was_turned_back_but_not_its_hash(logged: District) -> None:
    tamper(
        logged,
        f"DELETE FROM audit_entry {ENTRY} 5",
        f"UPDATE audit_stream SET entries = 4 WHERE stream = '{STREAM}'",
    )
    assert logged.broken_log() == [audit.Broken(STREAM, 5, "cut off")]


def test_every_broken_stream_is_named(logged: District) -> None:
    tamper(logged, "UPDATE audit_entry SET actor = 'nobody' WHERE number = 1")
    assert {(broken.number, broken.what) for broken in logged.broken_log()} == {(1, "altered")}
    assert len(logged.broken_log()) == 4


def test_hash_is_the_same_whatever_zone_the_moment_is_told_in() -> None:
    kukar = timezone(timedelta(hours=8))
    moment = datetime(2026, 3, 5, 2, 0, tzinfo=UTC)
    assert hash_at(moment) == hash_at(moment.astimezone(kukar))


def hash_at(moment: datetime) -> str:
    return audit.entry_hash(DISTRICT, STREAM, 1, moment, "operator", "test.done", {}, "")


def test_entries_of_one_stream_follow_when_many_write_at_once(installed: District) -> None:
    append(installed)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: append(installed), range(24)))
    assert installed.broken_log() == []
    assert len(installed.actions(STREAM)) == 25
