"""Whatever is altered in any table is named, or stands in docs/threats.md with the reason; honest work is never accused.

The classes are enumerated from the metadata (`_altering`), so that a new column cannot be forgotten. Each is tried in one of
three ways on SQLite, and a sample on PostgreSQL; with `ALTERATIONS=all` each in all three ways, on both.
"""

import os
import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from server.audit import checkpoints
from server.audit.checkpoints import KeptCheckpoint, read_kept
from server.backup import backup, restore
from server.database.bound_rows import EXEMPT, vouched_by
from server.database.models import Base
from server.operations import key_rotation
from tests._repository import ROOT
from tests.server._district import Databases, District
from tests.server.audit._altering import Altered, Class, classes
from tests.server.audit._looking import CHECKS, Looking
from tests.server.audit._office import BY, a_month_of_office, run_jobs
from tests.server.audit._tampering import undone
from tests.server.operations._doctor import checked, damage, silent
from tests.server.operations._keys import own_keys
from tests.server.privacy._requests import erased

WAYS: Final = "ALTERATIONS" in os.environ
"""Every class in every way, on both databases; else each in one way on SQLite, and a sample on PostgreSQL."""
PARTS: Final = 4
"""The classes are tried in so many tests, which run side by side."""
EVERY: Final = 1 if WAYS else 3
"""On PostgreSQL one class of so many is tried, and, but for WAYS, of the first part alone."""
THREATS: Final = ROOT / "docs" / "threats.md"
PASSING: Final = frozenset(
    {
        *(
            "child.post_id",
            "child.position",
            "measurement.position",
            "follow_up.position",
            "delivery.position",
        ),
        *("health_post.head_position", "change.header", "installation: added"),
        *("session: removed", "session.district"),
        *("post_month: removed", "post_month: added", "post_month: swapped"),
    }
)
"""Classes of which some alterations pass; docs/threats.md has them too."""
FEW: Final = frozenset({"installation"})
"""Tables of which an installation holds one row: two cannot be swapped."""


@pytest.fixture
def office(databases: Databases) -> Iterator[District]:
    with District.opened(databases, after=a_month_of_office, log_level="CRITICAL") as district:
        yield district


def exempt_in_documents() -> set[str]:
    """Give the classes that docs/threats.md exempts: tables, columns, and what may be done to a table."""
    text = THREATS.read_text(encoding="utf-8").split("### What nothing vouches for")[1].split("\n## ")[0]
    rows = [line.split("`: ")[0] + "`" for line in text.splitlines() if line.startswith("- `")]
    return {name for row in rows for name in re.findall(r"`([a-z_.: ]+)`", row)}


def exempt_in_code() -> set[str]:
    """Give the same as the code declares it: whole tables, or single columns."""
    found = set(PASSING)
    for table in Base.metadata.sorted_tables:
        mine = {column.name for column in table.columns if vouched_by(table.name, column.name) == EXEMPT}
        found |= {table.name} if len(mine) == len(table.columns) else {f"{table.name}.{n}" for n in mine}
    return found


def is_exempt(one: Class) -> bool:
    return not {one.table.name, one.name}.isdisjoint(exempt_in_code())


def test_documents_exempt_what_the_code_exempts_and_nothing_else() -> None:
    assert exempt_in_documents() == exempt_in_code()


@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=[pytest.mark.every_case] * WAYS) for part in range(PARTS)]
)
def test_whatever_is_altered_is_named(office: District, part: int) -> None:
    kept, every = newest(office), list(enumerate(classes()))
    tried = [(number, one) for number, one in every if not is_exempt(one)]
    assert len(tried) >= 400
    tried = tried[part::PARTS]
    if not office.hub.database.is_sqlite:
        tried = tried[::EVERY]
    missed, idle = [], set()
    for number, one in tried:
        for way in range(3) if WAYS else (number % 3,):
            found = outcome(office, kept, one, way)
            if found is None:
                idle.add(one.name)
            elif not found:
                missed.append(f"{one.name}, way {way}")
    assert missed == []
    assert {
        name for name in idle if "swapped" not in name and name.split(".")[0].split(":")[0] not in FEW
    } == set()


def outcome(office: District, kept: KeptCheckpoint, one: Class, way: int) -> str | None:
    """Alter the database, and give the check that finds it; None if there was nothing to alter."""
    with undone(office) as session:
        if not one.alter(Altered(session, random.Random(f"{one.name}/{way}")), way):
            return None
        return Looking(office, session, kept).found(one.table, one.column)
    raise AssertionError  # `undone` raises nothing


def newest(office: District) -> KeptCheckpoint:
    """Give the newest checkpoint, as somebody keeps it elsewhere."""
    with office.hub.database.reading() as session:
        kept = checkpoints.kept(session, office.hub)
    assert kept is not None
    return read_kept(kept.file())


def accused(office: District, kept: KeptCheckpoint | None = None) -> dict[str, list[str]]:
    """Look at a district in every way, and give what is found."""
    with office.hub.database.reading() as session:
        look = Looking(office, session, kept or newest(office))
        return {name: found for name, check in CHECKS.items() if (found := check(look))}


def test_doctor_goes_on_when_a_check_cannot_read_a_row(office: District) -> None:
    damage(office, "UPDATE audit_checkpoint SET statement = 'x'")
    found = checked(office)
    assert found["log"].found == ["checkpoint: entry 1 was altered"]
    assert found["checkpoint"].found == ["JSONDecodeError"]
    assert list(found)[-1] == "tablets"


# -- stories --------------------------------------------------------------------------------------

ONE_CHILD: Final = "(SELECT child_id FROM measurement WHERE sealed = 0 ORDER BY child_id LIMIT 1)"
WRITTEN: Final = {
    True: {"true": "1", "false": "0", "empty": "x''", "braces": "x'7b7d'", "child": ONE_CHILD},
    False: {"true": "true", "false": "false", "empty": "''", "braces": "'\\x7b7d'", "child": ONE_CHILD},
}
"""How SQLite, and PostgreSQL, write what the statements leave open."""
STORIES: Final[Mapping[str, tuple[str, ...]]] = {
    "stunting falls to nothing": ("UPDATE assessment SET haz = -1.5 WHERE haz < -2",),
    "the figures alone": ("UPDATE figures SET counts = replace(counts, 'stunted\":', 'stunted\":1')",),
    "an unwanted record set aside": (
        "UPDATE change SET outcome = 'quarantined' WHERE kind = 'measurement' AND outcome = 'applied'",
    ),
    "an unwanted measurement emptied and removed": (
        "UPDATE change SET sealed = 3, content = {empty} WHERE kind = 'measurement' AND child_id = {child}",
        "DELETE FROM assessment WHERE child_id = {child}",
        "DELETE FROM measurement WHERE child_id = {child}",
    ),
    "a child hidden as restricted": (
        "UPDATE child SET restricted_at = '2026-03-05T02:00:00.000000+00:00' WHERE id = {child}",
    ),
    "a restriction lifted": ("UPDATE child SET restricted_at = NULL WHERE restricted_at IS NOT NULL",),
    "a key destroyed": ("UPDATE child SET wrapped_key = NULL WHERE id = {child}",),
    "a complete fake erasure": (
        "UPDATE child SET wrapped_key = NULL, state = NULL, sex = NULL, born_on = NULL, same_as = NULL, conflicts = '',"
        " registered = {false}, removed = {true}, krs_until = NULL WHERE id = {child}",
        "UPDATE change SET sealed = 3, content = {empty} WHERE child_id = {child}",
        "DELETE FROM assessment WHERE child_id = {child}",
        "DELETE FROM flag WHERE child_id = {child}",
        "DELETE FROM attention WHERE child_id = {child}",
        "DELETE FROM nik_index WHERE child_id = {child}",
        "INSERT INTO erasure (district, child_id, erased_at, proposed_by, agreed_by)"
        " SELECT district, {child}, erased_at, proposed_by, agreed_by FROM erasure LIMIT 1",
        "UPDATE measurement SET weight_g = NULL, oedema = NULL, length_mm = NULL, length_position = NULL, muac_mm = NULL,"
        " head_mm = NULL, removed = {true}, state = {braces}, sealed = 3 WHERE child_id = {child}",
    ),
    "another approver of an erasure": ("UPDATE erasure SET agreed_by = 'account:other'",),
    "a quarantined change dismissed by nobody": ("DELETE FROM quarantine_decision",),
    "a role taken": (
        "UPDATE account SET role = 'administrator', scope_kind = 'district' WHERE role = 'donor'",
    ),
    "aid that was never given": ("UPDATE commitment SET places = 900",),
    "a tablet's key exchanged": ("UPDATE tablet SET public_key = 'other' WHERE several = {false}",),
    "a sign-in pointed at a supervisor": (
        "UPDATE session SET account_id = (SELECT id FROM account WHERE role = 'supervisor')"
        " WHERE account_id <> (SELECT id FROM account WHERE role = 'supervisor')",
    ),
    "an enrolment code of one's own": (
        "INSERT INTO enrolment_code (district, code_digest, post_id, tablet_name, expires_at, write_only)"
        " SELECT district, 'mine', post_id, 'mine', '2027-01-01T00:00:00.000000+00:00', write_only"
        " FROM enrolment_code LIMIT 1",
    ),
    "a deadline moved": ("UPDATE rights_request SET due_at = '2030-01-01T00:00:00.000000+00:00'",),
    "what a tablet announced": ("UPDATE tablet_day SET measured = measured + 1",),
    "why a change was set aside": ("UPDATE change SET reasons = '[]' WHERE reasons IS NOT NULL",),
    "a change given to another child": (
        "UPDATE change SET child_id = (SELECT id FROM child ORDER BY id DESC LIMIT 1) WHERE child_id = {child}",
    ),
    "a red flag made amber": ("UPDATE flag SET urgency = 4 WHERE urgency = 1",),
    "a receipt with other outcomes": ("UPDATE batch SET outcomes = '{{}}'",),
}


@pytest.mark.parametrize("story", STORIES)
def test_story_is_named(office: District, story: str) -> None:
    kept = newest(office)
    with undone(office) as session:
        driver = session.connection().connection.dbapi_connection
        assert driver is not None
        cursor = driver.cursor()
        for statement in STORIES[story]:
            cursor.execute(statement.format(**WRITTEN[office.hub.database.is_sqlite]))
        assert cursor.rowcount > 0
        looking = Looking(office, session, kept)
        assert any(check(looking) for check in CHECKS.values())


# -- honest work ----------------------------------------------------------------------------------


def test_honest_work_is_never_accused(office: District, tmp_path: Path) -> None:
    """A day, new keys, an erasure, a month and its jobs, and a backup that is restored."""
    office, kept = own_keys(office, tmp_path), newest(office)
    assert accused(office, kept) == {}
    tablet = office.tablet(1, "Tablet Baru")
    child = tablet.register_child()
    tablet.measure(child, "2026-04-04", weight_g=9100, length_mm=740)
    tablet.sync_until_quiet()
    assert accused(office, kept) == {}
    key_rotation.rotate(office.hub, actor=BY, now=lambda: office.clock.now, progress=silent)
    assert accused(office, kept) == {}
    erased(office, child)
    assert accused(office, kept) == {}
    office.clock.advance(days=32)
    run_jobs(office)
    assert accused(office, kept) == {}
    made = tmp_path / "made.backup"
    backup(office.hub, made, force=False, now=office.clock.now, progress=silent)
    clinic_day(office)
    restore(
        office.hub.settings, made, plain=False, now=office.clock.now, agreed=lambda _: True, progress=silent
    )
    assert accused(office, kept) == {}


def clinic_day(office: District) -> None:
    tablet = office.tablet(0, "Tablet Lain Lagi")
    tablet.measure(tablet.register_child(), "2026-05-05", weight_g=9100, length_mm=740)
    tablet.sync_until_quiet()
