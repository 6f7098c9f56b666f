"""When each job runs, and the process that runs them (in a gunicorn worker, every worker would run every job).

One process leads: it holds an advisory lock (PostgreSQL) or a file lock (SQLite); another one waits and takes over. Jobs
never overlap with themselves. A leader that lost its lock stops.
"""

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from server import isolation
from server.backup.reapplying import keep_and_apply
from server.backup.withdrawals import follow
from server.config import Settings
from server.context import AppContext
from server.operations import jobs, reassessment
from server.operations.recomputation import rounds
from server.privacy import leftovers
from server.supervision import mass_reading

LEADER_LOCK: Final = 6_402_2027
WAIT_SECONDS: Final = 0.25
LEAD_SECONDS: Final = 5
"""How often the leader checks that it still holds the lock."""

Task = Callable[[AppContext, datetime], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Job:
    """A job, its trigger, and whether it also runs at the start."""

    task: Task
    trigger: Any
    at_start: bool = False
    only_sqlite: bool = False
    only_postgresql: bool = False


def _mass_reading(hub: AppContext, now: datetime) -> Mapping[str, Any]:
    return mass_reading.refresh(hub, now, actor="job:mass-reading")


def timetable(settings: Settings) -> Mapping[str, Job]:
    """Return every scheduled job by name; clock times are the district's. Backups only if a directory is set for them."""
    zone = settings.time_zone
    backups = {
        "back-up": Job(jobs.back_up, CronTrigger(hour=3, minute=10, timezone=zone)),
        "prove-backup": Job(
            jobs.prove_backup, CronTrigger(day_of_week="sun", hour=3, minute=40, timezone=zone)
        ),
    }
    return {
        **(backups if settings.backup_dir else {}),
        "unmeasured-children": Job(
            jobs.unmeasured_children, CronTrigger(hour=1, minute=15, timezone=zone), at_start=True
        ),
        "silent-tablets": Job(jobs.silent_tablets, CronTrigger(minute=20, timezone=zone), at_start=True),
        reassessment.JOB: Job(jobs.new_rules, IntervalTrigger(minutes=5, timezone=zone), at_start=True),
        "figures": Job(jobs.figures, IntervalTrigger(minutes=5, timezone=zone), at_start=True),
        "oversight": Job(jobs.oversight, IntervalTrigger(minutes=5, timezone=zone), at_start=True),
        "mass-reading": Job(_mass_reading, IntervalTrigger(minutes=5, timezone=zone), at_start=True),
        "ended-sign-ins": Job(jobs.ended_sign_ins, CronTrigger(hour=2, minute=5, timezone=zone)),
        "sign-log": Job(jobs.sign_log, CronTrigger(minute=40, timezone=zone), at_start=True),
        "witnesses": Job(jobs.ask_witnesses, IntervalTrigger(minutes=5, timezone=zone), at_start=True),
        "verify-log": Job(jobs.verify_log, CronTrigger(hour=2, minute=40, timezone=zone)),
        rounds.JOB: Job(jobs.recompute, CronTrigger(hour=2, minute=20, timezone=zone), at_start=True),
        "withdrawals": Job(keep_and_apply, IntervalTrigger(minutes=5, timezone=zone), at_start=True),
        "checkpoint-wal": Job(
            jobs.checkpoint_wal, IntervalTrigger(minutes=5, timezone=zone), only_sqlite=True
        ),
        leftovers.JOB: Job(
            jobs.erased_remains,
            IntervalTrigger(minutes=5, timezone=zone),
            at_start=True,
            only_postgresql=True,
        ),
    }


def run_job(hub: AppContext, name: str, now: datetime) -> Mapping[str, Any]:
    """Run one job now; a failure is logged and told (`isolation.JOB`) until it runs again, and the other jobs go on.

    Returns
    -------
    dict : the job's result; empty if it failed
    """
    log = structlog.get_logger("posyandu.jobs")
    started = time.perf_counter()
    try:
        result = timetable(hub.settings)[name].task(hub, now)
    except Exception as error:  # one job's failure must not end the others
        log.exception("job failed", job=name, error=type(error).__name__)
        _tell(hub, name, {name: type(error).__name__}, now)
        return {}
    _tell(hub, name, {}, now)
    log.info("job ran", job=name, ms=round((time.perf_counter() - started) * 1000), **result)
    return result


def _tell(hub: AppContext, name: str, failed: Mapping[str, str], now: datetime) -> None:
    """Raise or remove the notice of a job that failed. Where not even that can be written, the server's own log tells."""
    with suppress(SQLAlchemyError):
        isolation.note(hub, isolation.JOB, [name], failed, actor=f"job:{name}", now=now)


@contextmanager
def leadership(settings: Settings, stopping: Callable[[], bool]) -> Iterator[Callable[[], bool] | None]:
    """Wait until this process leads and hold the lock; yields a function that checks whether it still leads.

    Yields
    ------
    callable : False once the lock is lost (the connection that held it broke); None if asked to stop while waiting
    """
    lead = _file_leadership if settings.is_sqlite else _connection_leadership
    with lead(settings, stopping) as leads:
        yield leads


@contextmanager
def _file_leadership(settings: Settings, stopping: Callable[[], bool]) -> Iterator[Callable[[], bool] | None]:
    descriptor = os.open(settings.data_dir / "scheduler.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not stopping():
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(WAIT_SECONDS)
            else:
                yield lambda: True
                return
        yield None
    finally:
        os.close(descriptor)


@contextmanager
def _connection_leadership(
    settings: Settings, stopping: Callable[[], bool]
) -> Iterator[Callable[[], bool] | None]:
    # A connection of its own: behind a transaction pooler, a session's lock could pass to another client.
    engine = create_engine(settings.database_url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            ask = text("SELECT pg_try_advisory_lock(:number)")
            while not stopping():
                if connection.execute(ask, {"number": LEADER_LOCK}).scalar():
                    yield lambda: _is_connected(connection)
                    return
                time.sleep(WAIT_SECONDS)
            yield None
    finally:
        engine.dispose()


def _is_connected(connection: Connection) -> bool:
    try:
        connection.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True


def run_scheduler(settings: Settings) -> bool:
    """Wait to lead; then run the jobs until SIGTERM or SIGINT, and let the running job finish.

    Returns
    -------
    bool : True when asked to stop; False when the lock was lost, and another process may hold it
    """
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stop.append(received))
    with leadership(settings, lambda: bool(stop)) as leads:
        if leads is None:
            return True
        hub = AppContext.open(settings)
        follow(hub)
        scheduler = scheduled(hub)
        scheduler.start()
        while not stop and leads():
            _sleep(LEAD_SECONDS, stop)
        scheduler.shutdown(wait=True)
        hub.database.dispose()
    if not stop:
        structlog.get_logger("posyandu.jobs").error("lead lost")
    return bool(stop)


def _sleep(seconds: float, stop: list[int]) -> None:
    """Sleep, but return soon after a signal."""
    until = time.monotonic() + seconds
    while not stop and time.monotonic() < until:
        time.sleep(WAIT_SECONDS)


def scheduled(hub: AppContext) -> BackgroundScheduler:
    """Return a scheduler, not started, with every job that this database needs."""
    scheduler = BackgroundScheduler(timezone=hub.settings.time_zone)
    for name, job in timetable(hub.settings).items():
        if job.only_postgresql if hub.settings.is_sqlite else job.only_sqlite:
            continue
        first = {"next_run_time": datetime.now(UTC)} if job.at_start else {}
        scheduler.add_job(
            lambda name=name: run_job(hub, name, datetime.now(UTC)),
            job.trigger,
            id=name,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
            **first,
        )
    return scheduler
