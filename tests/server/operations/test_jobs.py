"""What runs by the clock: each job's work, that it may run twice, that it is logged, and that one process leads."""

import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import create_engine, select, text

from server import accounts
from server.children.assessment import changed_absence
from server.config import Settings
from server.database.models import Base, Flag, HealthPost, JobRun, Notice, UserSession, table
from server.logs import start_logging
from server.operations import scheduler
from tests.faults._running import ROOT, environment, wait_until
from tests.server._counting import counted
from tests.server._district import DISTRICT, Databases, District, identity, sqlite_file
from tests.server._people import add_person

SILENT_DAYS = 14


def notices(district: District, kind: str) -> dict[str, dict[str, Any]]:
    """Give the notices of a kind by subject, with when they were raised."""
    rows = district.rows(select(Notice.subject, Notice.details, Notice.raised_at).where(Notice.kind == kind))
    return {row.subject: {**json.loads(row.details), "raised_at": row.raised_at} for row in rows}


def run(district: District, name: str) -> dict[str, Any]:
    """Run a job by the district's clock."""
    return dict(scheduler.run_job(district.hub, name, district.clock.now))


def runs(district: District) -> list[str]:
    """Give the jobs that the office's log tells of."""
    entries = text("SELECT actor FROM audit_entry WHERE action = 'job.ran' ORDER BY number")
    return [row.actor for row in district.rows(entries)]


# -- children who were not measured ---------------------------------------------------------------


def test_posts_are_told_how_many_children_were_not_measured_this_month(installed: District) -> None:
    melati, anggrek = installed.tablet(), installed.tablet(1)
    for day in ("2026-03-01", "2026-02-28", None):
        child = melati.register_child()
        if day:
            melati.measure(child, day, weight_g=9000)
    anggrek.register_child()
    for tablet in (melati, anggrek):
        tablet.sync_until_quiet()
    assert run(installed, "unmeasured-children") == {"posts": 2, "children": 4, "missing": 3}
    found = notices(installed, "not-measured-this-month")
    at = {"month": "2026-03", "raised_at": installed.clock.now}
    assert found == {
        installed.posts[0]: {"missing": 2, "children": 3, **at},
        installed.posts[1]: {"missing": 1, "children": 1, **at},
    }


def test_child_counts_as_not_measured_when_its_measurement_was_removed(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, "2026-03-05", weight_g=9000)
    tablet.remove(child, "2026-03-05")
    tablet.sync_until_quiet()
    assert run(installed, "unmeasured-children")["missing"] == 1


def test_child_is_expected_until_it_is_five_and_while_it_is_there(installed: District) -> None:
    tablet = installed.tablet()
    for born_on in ("2021-03-01", "2021-03-02", None):
        tablet.register_child(identity=identity(born_on=born_on))
    gone = tablet.register_child()
    tablet.edit_child(gone, removed={"reason": "pindah"})
    tablet.sync_until_quiet()
    assert run(installed, "unmeasured-children")["children"] == 1


def test_not_seen_is_raised_and_taken_down_by_the_calendar_alone(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, "2026-03-05", weight_g=9000, length_mm=760)
    tablet.sync_until_quiet()
    seen = []
    for now in ("2026-04-30", "2026-05-01", "2030-02-01"):  # last month still; not any more; over five
        installed.clock.now = datetime.fromisoformat(f"{now}T02:00:00+00:00")
        run(installed, "unmeasured-children")
        seen.append("not_seen" in installed.flags(child))
    assert seen == [False, True, False]


def test_day_begins_at_the_posts_when_it_has_not_in_utc(installed: District) -> None:
    tablet = installed.tablet()
    tablet.measure(tablet.register_child(), "2026-03-05", weight_g=9000)
    tablet.sync_until_quiet()
    installed.clock.now = datetime(2026, 3, 31, 16, 30, tzinfo=UTC)  # April has begun in Kukar
    assert run(installed, "unmeasured-children")["missing"] == 1


def month_of_children(district: District) -> list[str]:
    """Let a post have on 1 May: two children absent since March, one measured in April, one removed, one who is five."""
    tablet = district.tablet()
    absent, measured, gone, five = (
        tablet.register_child(identity=identity(born_on=born_on))
        for born_on in ("2025-01-10", "2025-01-11", "2025-01-12", "2021-05-01")
    )
    never = tablet.register_child()
    for child, day in (
        (absent, "2026-03-05"),
        (measured, "2026-03-05"),
        (gone, "2026-03-05"),
        (five, "2026-03-05"),
    ):
        tablet.measure(child, day, weight_g=9000, length_mm=760)
    tablet.sync_until_quiet()
    district.clock.now = datetime(2026, 4, 2, 2, tzinfo=UTC)
    tablet.measure(measured, "2026-04-02", weight_g=9200, length_mm=765)
    tablet.edit_child(gone, removed={"reason": "pindah"})
    tablet.sync_until_quiet()
    district.clock.now = datetime(2026, 4, 30, 17, tzinfo=UTC)  # May has begun in Kukar
    return [absent, measured, gone, five, never]


def heads(district: District) -> list[int]:
    return [
        row.head_position for row in district.rows(select(HealthPost.head_position).order_by(HealthPost.id))
    ]


def test_second_night_without_news_writes_its_run_and_nothing_else(installed: District) -> None:
    month_of_children(installed)
    run(installed, "unmeasured-children")
    before, flagged = heads(installed), installed.rows(select(table(Flag)).order_by(Flag.child_id, Flag.rule))
    installed.clock.advance(days=1)
    with counted(installed.hub.database.engine) as asked:
        assert run(installed, "unmeasured-children")["missing"] == 3
    tables = {
        word for statement in asked.writes for word in statement.split() if word in Base.metadata.tables
    }
    assert tables == {"job_run", "audit_entry", "audit_stream"}
    assert heads(installed) == before
    assert installed.rows(select(table(Flag)).order_by(Flag.child_id, Flag.rule)) == flagged
    run(installed, "figures")
    run(installed, "oversight")
    installed.clock.advance(hours=1)
    run(installed, "unmeasured-children")
    figures, months = run(installed, "figures"), run(installed, "oversight")
    assert not any(figures.values())
    assert months == {"rows": 0}


def test_calendar_touches_only_those_whose_flag_it_changes(installed: District) -> None:
    absent, measured, gone, five, never = month_of_children(installed)
    with installed.hub.database.reading() as session:
        found = changed_absence(session, installed.hub, installed.hub.settings.today(installed.clock.now))
    assert found == sorted([absent, never])
    run(installed, "unmeasured-children")
    raised = {child: "not_seen" in installed.flags(child) for child in (absent, measured, gone, five, never)}
    assert raised == {absent: True, measured: False, gone: False, five: False, never: True}


def test_child_leaves_when_it_is_five_and_is_not_looked_at_again(installed: District) -> None:
    absent, measured, *_ = month_of_children(installed)
    run(installed, "unmeasured-children")
    installed.clock.now = datetime(2030, 1, 31, 15, tzinfo=UTC)  # the last hour of January in Kukar
    run(installed, "unmeasured-children")
    assert "not_seen" in installed.flags(absent)
    installed.clock.advance(hours=1)
    run(installed, "unmeasured-children")
    assert "not_seen" not in installed.flags(absent)
    assert "not_seen" not in installed.flags(measured)
    before = heads(installed)
    for _ in range(2):
        installed.clock.advance(days=31)
        run(installed, "unmeasured-children")
    assert heads(installed) == before


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("now", "raised"), [("2026-04-30T15:59:00+00:00", False), ("2026-04-30T16:00:00+00:00", True)]
)
def test_child_first_seen_before_eight_on_the_first_is_absent_two_months_later(
    installed: District, now: str, raised: bool
) -> None:
    """07:30 on 1 March in Kukar is 28 February in UTC: by that, the child would be missed a month early."""
    installed.clock.now = datetime(2026, 2, 28, 23, 30, tzinfo=UTC)
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    installed.clock.now = datetime(2026, 4, 1, 2, tzinfo=UTC)
    for _ in range(2):
        run(installed, "unmeasured-children")
        tablet.edit_child(child, home={"address": "Jalan Contoh 1"})
        tablet.sync_until_quiet()
        assert "not_seen" not in installed.flags(child)
    installed.clock.now = datetime.fromisoformat(now)
    run(installed, "unmeasured-children")
    assert ("not_seen" in installed.flags(child)) is raised


def test_linked_children_are_seen_when_one_of_them_is(installed: District) -> None:
    tablet = installed.tablet()
    one, other = tablet.register_child(), tablet.register_child()
    tablet.sync_until_quiet()
    tablet.edit_child(other, same_as={"child": one})
    tablet.sync_until_quiet()
    installed.clock.now = datetime(2026, 5, 3, 2, tzinfo=UTC)
    tablet.measure(other, "2026-05-03", weight_g=9000)
    tablet.sync_until_quiet()
    flagged = []
    for month in (6, 7):
        installed.clock.now = datetime(2026, month, 1, 2, tzinfo=UTC)
        run(installed, "unmeasured-children")
        flagged.append(["not_seen" in installed.flags(child) for child in sorted((one, other))])
    assert flagged == [[False, False], [True, False]]


def test_silent_tablet_is_reported_with_the_day_of_the_district(installed: District) -> None:
    installed.clock.now = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)  # 2 March, half past seven in Kukar
    tablet = installed.tablet()
    tablet.sync()
    installed.clock.advance(days=SILENT_DAYS, seconds=1)
    run(installed, "silent-tablets")
    assert notices(installed, "tablet-silent")[tablet.id]["since"] == "2026-03-02"


def test_notice_of_a_post_is_taken_down_when_nobody_is_expected_there(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    run(installed, "unmeasured-children")
    assert list(notices(installed, "not-measured-this-month")) == [installed.posts[0]]
    tablet.edit_child(child, removed={"reason": "pindah"})
    tablet.sync_until_quiet()
    run(installed, "unmeasured-children")
    assert notices(installed, "not-measured-this-month") == {}


# -- silent tablets -------------------------------------------------------------------------------


def test_tablet_is_reported_when_it_was_silent_for_too_long_and_no_more_when_it_calls(
    installed: District,
) -> None:
    silent, talking = installed.tablet(), installed.tablet(1)
    silent.sync()
    installed.clock.advance(days=SILENT_DAYS)
    talking.sync()
    assert run(installed, "silent-tablets") == {"silent": 0}  # exactly so long is not too long
    installed.clock.advance(seconds=1)
    assert run(installed, "silent-tablets") == {"silent": 1}
    found = notices(installed, "tablet-silent")
    since = {"post": installed.posts[0], "since": "2026-03-05", "raised_at": installed.clock.now}
    assert found == {silent.id: since}
    silent.sync()
    assert run(installed, "silent-tablets") == {"silent": 0}
    assert notices(installed, "tablet-silent") == {}


def test_tablet_is_silent_since_its_enrolment_when_it_never_called(installed: District) -> None:
    tablet = installed.tablet()
    installed.clock.advance(days=SILENT_DAYS + 1)
    run(installed, "silent-tablets")
    assert notices(installed, "tablet-silent")[tablet.id]["since"] == "2026-03-05"


def test_revoked_tablet_is_not_missed(installed: District) -> None:
    tablet = installed.tablet()
    installed.clock.advance(days=SILENT_DAYS + 1)
    run(installed, "silent-tablets")
    installed.revoke(tablet)
    assert run(installed, "silent-tablets") == {"silent": 0}
    assert notices(installed, "tablet-silent") == {}


def test_notice_keeps_the_moment_at_which_it_was_raised_when_the_job_runs_again(installed: District) -> None:
    tablet = installed.tablet()
    installed.clock.advance(days=SILENT_DAYS + 1)
    run(installed, "silent-tablets")
    raised_at = installed.clock.now
    installed.clock.advance(hours=1)
    run(installed, "silent-tablets")
    assert notices(installed, "tablet-silent")[tablet.id]["raised_at"] == raised_at


# -- sign-ins and the write-ahead log -------------------------------------------------------------


def test_ended_sign_ins_are_forgotten_and_others_stay(installed: District) -> None:
    hub, clock = installed.hub, installed.clock
    password = "kata-sandi-uji-coba"
    add_person(hub, "petugas", "Petugas Contoh", "staff", "district", DISTRICT, password, clock.now)
    tokens = []
    for _ in range(2):
        tokens.append(accounts.sign_in(hub, "petugas", password, clock.now))
        clock.advance(minutes=hub.settings.session_minutes)
    clock.advance(minutes=hub.settings.idle_minutes - hub.settings.session_minutes - 1)
    assert run(installed, "ended-sign-ins") == {"ended": 1, "counters": 0}
    token = tokens[1]
    assert token is not None
    with hub.database.reading() as session:
        assert accounts.who_is(session, hub, token, clock.now) is not None
    assert len(installed.rows(select(UserSession.token_digest))) == 1


def test_checkpoint_cuts_the_write_ahead_log_and_loses_nothing(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    for _ in range(20):
        tablet.register_child()
    tablet.sync_until_quiet()
    log = sqlite_file(on_sqlite).with_name(f"{sqlite_file(on_sqlite).name}-wal")
    assert log.stat().st_size > 100_000
    counts = on_sqlite.counts()
    result = run(on_sqlite, "checkpoint-wal")
    assert result["busy"] == 0
    assert log.stat().st_size == 0
    assert on_sqlite.counts() == counts
    on_sqlite.check_agreement(tablet)


def test_checkpoint_gives_up_soon_when_somebody_reads(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    with closing(sqlite3.connect(sqlite_file(on_sqlite), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM child").fetchone()
        tablet.register_child()
        tablet.sync_until_quiet()
        started = time.monotonic()
        assert run(on_sqlite, "checkpoint-wal")["busy"] == 1
        assert time.monotonic() - started < 3  # of the five seconds for which a writer waits
    assert run(on_sqlite, "checkpoint-wal")["busy"] == 0


# -- every job ------------------------------------------------------------------------------------

AUDITED = ["unmeasured-children", "silent-tablets", "ended-sign-ins"]
FIRST = {
    "new-rules",
    "figures",
    "oversight",
    "recomputation",
    "sign-log",
    "silent-tablets",
    "unmeasured-children",
}
"""Jobs that run at the start as well."""


@pytest.mark.every_case
@pytest.mark.parametrize("name", AUDITED)
def test_job_changes_nothing_but_the_log_when_it_runs_again(installed: District, name: str) -> None:
    tablet = installed.tablet()
    tablet.register_child()
    tablet.sync_until_quiet()
    installed.clock.advance(days=70)
    first, counts, found = run(installed, name), installed.counts(), installed.rows(select(Notice))
    assert run(installed, name) == first
    again = installed.counts()
    assert {table for table in counts if counts[table] != again[table]} == {"audit_entry"}
    assert [row[0].details for row in installed.rows(select(Notice))] == [row[0].details for row in found]


@pytest.mark.every_case
@pytest.mark.parametrize("name", AUDITED)
def test_job_is_logged_with_its_result_when_it_ran(installed: District, name: str) -> None:
    result = run(installed, name)
    assert result
    assert runs(installed) == [f"job:{name}"]
    row = installed.rows(select(JobRun.ran_at, JobRun.result).where(JobRun.job == name))[0]
    assert (row.ran_at, json.loads(row.result)) == (installed.clock.now, result)
    assert installed.broken_log() == []


def test_failing_job_is_logged_and_raises_nothing(
    on_sqlite: District, capsys: pytest.CaptureFixture[str]
) -> None:
    start_logging("INFO")
    with closing(sqlite3.connect(sqlite_file(on_sqlite))) as connection, connection:
        connection.execute("ALTER TABLE notice RENAME TO lost")
    assert run(on_sqlite, "silent-tablets") == {}
    structlog.reset_defaults()
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["job"], line["level"]) == ("job failed", "silent-tablets", "error")
    assert line["exception"][-1]["type"] == "sqlite3.OperationalError"
    assert runs(on_sqlite) == []


def test_timetable_is_whole_and_no_job_overlaps_itself(installed: District) -> None:
    planned = scheduler.scheduled(installed.hub)
    expected = {
        *AUDITED,
        "new-rules",
        "mass-reading",
        "figures",
        "oversight",
        "recomputation",
        "sign-log",
        "verify-log",
        "witnesses",
        "withdrawals",
        "checkpoint-wal" if installed.hub.settings.is_sqlite else "erased-remains",
    }
    entries = {job.id: job for job in planned.get_jobs()}
    assert entries.keys() == expected
    for job in entries.values():
        assert (job.coalesce, job.max_instances, job.misfire_grace_time) == (True, 1, None)
        assert str(job.trigger.timezone) == "Asia/Makassar"


def test_backups_are_made_by_themselves_where_there_is_a_place_for_them(installed: District) -> None:
    assert not {"back-up", "prove-backup"} & scheduler.timetable(installed.hub.settings).keys()
    placed = replace(installed.hub.settings, backup_dir=Path("/backup"))
    assert {"back-up", "prove-backup"} <= scheduler.timetable(placed).keys()


def test_monthly_look_is_soon_after_the_districts_midnight(on_sqlite: District) -> None:
    trigger = scheduler.timetable(on_sqlite.hub.settings)["unmeasured-children"].trigger
    noon = datetime(2026, 3, 5, 12, tzinfo=UTC)  # 20:00 in Kukar
    assert trigger.get_next_fire_time(None, noon) == datetime(2026, 3, 5, 17, 15, tzinfo=UTC)


# -- one leads ------------------------------------------------------------------------------------

LEADER = """
import sys, time
from server.config import Settings
from server.operations.scheduler import leadership
with leadership(Settings.from_env(), lambda: False) as leads:
    print("leads", flush=True)
    while leads():
        time.sleep(0.05)
print("lost", flush=True)
"""


class Candidate:
    """A process that wants to lead; `said` is what it has told."""

    def __init__(self, settings: Settings) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", LEADER],
            cwd=ROOT,
            env=environment(settings),
            stdout=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        self.said.extend(line.strip() for line in self.process.stdout)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.listener.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def candidates(settings: Settings, count: int) -> Iterator[list[Candidate]]:
    """Start processes that all want to lead."""
    started = [Candidate(settings) for _ in range(count)]
    try:
        yield started
    finally:
        for candidate in started:
            candidate.end()


def leaders(started: list[Candidate]) -> list[Candidate]:
    """Give those that lead."""
    return [c for c in started if c.said == ["leads"] and c.process.poll() is None]


def test_one_leads_and_the_next_takes_over_when_it_is_killed(installed: District) -> None:
    with candidates(installed.hub.settings, 3) as started:
        for expected in (3, 2, 1):
            wait_until(lambda: leaders(started), "somebody leads")
            alive = [c for c in started if c.process.poll() is None]
            assert (len(alive), len(leaders(started))) == (expected, 1)
            leader = leaders(started)[0]
            leader.process.send_signal(signal.SIGKILL)
            leader.process.wait()
            killed = time.monotonic()
            if expected > 1:
                wait_until(lambda: leaders(started), "another leads", 5)
                assert time.monotonic() - killed < 5


def test_waiting_ends_when_asked_to_stop(installed: District) -> None:
    asked: list[int] = []

    def stopping() -> bool:
        asked.append(1)
        return len(asked) > 2

    settings = installed.hub.settings
    with (
        scheduler.leadership(settings, lambda: False) as first,
        scheduler.leadership(settings, stopping) as second,
    ):
        assert first is not None
        assert first()
        assert second is None


@pytest.fixture
def handlers() -> Iterator[None]:
    """Put back who answers to signals."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def while_running(district: District, work: Callable[[], None]) -> bool:
    """Run the scheduler here, `work` beside it, then SIGTERM; give what the scheduler said."""
    failures: list[BaseException] = []

    def beside() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told below, in the test's own thread
            failures.append(error)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    helper = threading.Thread(target=beside)
    helper.start()
    asked = scheduler.run_scheduler(district.hub.settings)
    helper.join()
    assert failures == []
    return asked


@pytest.mark.usefixtures("handlers")
def test_scheduler_runs_its_first_jobs_at_once_until_told_to_stop(installed: District) -> None:
    assert while_running(
        installed, lambda: wait_until(lambda: len(runs(installed)) >= len(FIRST), "all of them")
    )
    assert set(runs(installed)) == {f"job:{name}" for name in FIRST}


@pytest.mark.usefixtures("handlers")
def test_scheduler_finishes_the_job_that_runs_when_told_to_stop(on_sqlite: District) -> None:
    """The first jobs wait for the database's write lock, which is held until after the signal."""
    path = sqlite_file(on_sqlite).with_name(f"{sqlite_file(on_sqlite).name}.write-lock")
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    release = threading.Timer(2, os.close, [lock])

    def work() -> None:
        wait_until(lambda: sum("ThreadPool" in t.name for t in threading.enumerate()) >= 2, "jobs run", 20)
        release.start()

    assert while_running(on_sqlite, work)
    assert set(runs(on_sqlite)) == {f"job:{name}" for name in FIRST}
    release.join()


@pytest.mark.postgresql
@pytest.mark.usefixtures("handlers")
def test_scheduler_gives_way_when_the_connection_with_its_lock_is_lost(
    postgresql_databases: Databases,
) -> None:
    with District.opened(postgresql_databases) as district:
        engine = create_engine(district.hub.settings.database_url)

        def cut() -> None:
            wait_until(lambda: len(runs(district)) >= 2, "this process leads")
            with candidates(district.hub.settings, 1) as started, engine.connect() as connection:
                connection.execute(CUT)
                wait_until(lambda: leaders(started), "the other leads")

        helper = threading.Thread(target=cut)
        helper.start()
        assert scheduler.run_scheduler(district.hub.settings) is False
        helper.join()
        engine.dispose()


CUT = text(
    "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database d ON d.oid = pg_locks.database"
    " WHERE locktype = 'advisory' AND granted AND datname = current_database()"
)
