"""The scheduled jobs, each a function: who is missing, figures, notices, the log signed and verified, backups.

`scheduler` runs them. A job is safe to run twice; it returns what it did, for the log.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import delete, func, or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from server import audit, isolation, reports
from server.accounts.attempt_limits import forget_old
from server.audit import checkpoints, verification
from server.backup import BackupRefused
from server.backup.status import BACKUP_FAILED, BACKUP_UNPROVEN
from server.children.assessment import assess, changed_absence, months_back
from server.context import AppContext
from server.crypto.vault import KeyUnusable
from server.database.models import Child, JobRun, Measurement, Notice, Tablet, UserSession, table
from server.database.writes import remove, upsert
from server.operations import nightly_backup, reassessment, witnesses
from server.operations.recomputation import rounds
from server.privacy import leftovers
from server.supervision import months

CHUNK: Final = 500
LONGEST_TAIL: Final = 2_000_000
"""The most entries that are verified before signing: an hour has a few hundred; a log that was never signed has all."""
ROUND_PAUSE: Final = timedelta(hours=12)
"""How long after a slice of the nightly round no other is looked at."""
LOG_BROKEN: Final = "log-broken"
"""Kind of the notice for each stream of the log, or checkpoint, that does not verify."""


def unmeasured_children(hub: AppContext, now: datetime) -> Mapping[str, Any]:
    """Count by post the children not measured this month; set and clear the flag `not_seen`.

    Returns
    -------
    dict : posts looked at, children expected, children not measured this calendar month
    """
    month = hub.settings.today(now).isoformat()[:7]
    expected, absent = _attendance(hub, now)
    _refresh_absence(hub, now)
    details = {
        post_id: {"month": month, "missing": absent.get(post_id, 0), "children": count}
        for post_id, count in expected.items()
    }
    result = {"posts": len(expected), "children": sum(expected.values()), "missing": sum(absent.values())}
    with hub.database.transaction() as session:
        _replace_notices(session, hub, "not-measured-this-month", details, now)
        _record_run(session, hub, "unmeasured-children", result, now)
    return result


def _attendance(hub: AppContext, now: datetime) -> tuple[dict[str, int], dict[str, int]]:
    """Count by post the children under five, and those of them without a measurement this month."""
    today = hub.settings.today(now)
    young = (
        Child.district == hub.district,
        Child.registered,
        ~Child.removed,
        Child.born_on > months_back(today, 60),
    )
    measured = (
        select(Measurement.child_id)
        .where(
            Measurement.district == Child.district,
            Measurement.child_id == Child.id,
            ~Measurement.removed,
            Measurement.measured_on >= months_back(today, 0),
        )
        .exists()
    )
    with hub.database.reading() as session:
        count = select(Child.post_id, func.count()).where(*young).group_by(Child.post_id)
        expected = {row[0]: row[1] for row in session.execute(count)}
        absent = {row[0]: row[1] for row in session.execute(count.where(~measured))}
    return expected, absent


def _refresh_absence(hub: AppContext, now: datetime) -> None:
    """Assess the children again whose flag `not_seen` the date has changed, and those set aside, in short transactions."""
    with hub.database.reading() as session:
        aside = {one.subject for one in isolation.set_aside(session, hub, isolation.ABSENCE, limit=None)}
        ids = sorted(aside.union(changed_absence(session, hub, hub.settings.today(now))))
    for start in range(0, len(ids), CHUNK):
        some = ids[start : start + CHUNK]
        _, failed = isolation.halved(lambda few: _assess(hub, few, now), some, "absence")
        isolation.note(hub, isolation.ABSENCE, some, failed, actor="job:absence", now=now)


def _assess(hub: AppContext, child_ids: Sequence[str], now: datetime) -> None:
    with hub.database.transaction() as session:
        if not assess(session, hub, child_ids, now):
            return
        details = {"children": len(child_ids)}
        actor, action = "job:absence", "children.assessed"
        audit.append(session, hub.district, audit.OFFICE, action, actor=actor, now=now, details=details)


def _replace_notices(
    session: Session, hub: AppContext, kind: str, wanted: Mapping[str, Mapping[str, Any]], now: datetime
) -> None:
    """Make the notices of a kind those that are wanted, by subject. One that says the same already keeps its time."""
    stored = select(Notice.subject, Notice.details).where(
        Notice.district == hub.district, Notice.kind == kind
    )
    known = {row.subject: row.details for row in session.execute(stored)}
    texts = {subject: orjson.dumps(details).decode() for subject, details in wanted.items()}
    key = {"district": hub.district, "kind": kind}
    gone = sorted(known.keys() - texts.keys())
    changed = [subject for subject, words in texts.items() if known.get(subject) != words]
    remove(session, table(Notice), [{**key, "subject": subject} for subject in gone])
    rows = [{**key, "subject": one, "details": texts[one], "raised_at": now} for one in changed]
    upsert(session, table(Notice), rows)


def silent_tablets(hub: AppContext, now: datetime) -> Mapping[str, Any]:
    """Raise a notice for each tablet that has not synced for `tablet_silent_days`, and remove the notices of all others."""
    limit = now - timedelta(days=hub.settings.tablet_silent_days)
    last = func.coalesce(Tablet.last_sync_at, Tablet.enrolled_at)
    with hub.database.transaction() as session:
        rows = session.execute(
            select(
                Tablet.id, Tablet.post_id, last.label("last"), Tablet.last_sync_at, Tablet.enrolled_at
            ).where(Tablet.district == hub.district, Tablet.revoked_at.is_(None), last < limit)
        ).all()
        silent = {row.id for row in rows}
        _remove_notices(session, hub, "tablet-silent", silent)
        known = _noticed_subjects(session, hub, "tablet-silent")
        notices = []
        for row in rows:
            since = hub.settings.today(row.last_sync_at or row.enrolled_at).isoformat()
            notice = {"district": hub.district, "kind": "tablet-silent", "subject": row.id, "raised_at": now}
            details = orjson.dumps({"post": row.post_id, "since": since}).decode()
            if row.id not in known:  # an existing notice keeps its time
                notices.append({**notice, "details": details})
        upsert(session, table(Notice), notices)
        result = {"silent": len(silent)}
        _record_run(session, hub, "silent-tablets", result, now)
    return result


def _noticed_subjects(session: Session, hub: AppContext, kind: str) -> set[str]:
    return set(
        session.scalars(select(Notice.subject).where(Notice.district == hub.district, Notice.kind == kind))
    )


def _remove_notices(session: Session, hub: AppContext, kind: str, standing: Collection[str]) -> None:
    """Remove the notices of a kind whose subject is not in `standing`."""
    for subject in _noticed_subjects(session, hub, kind).difference(standing):
        session.execute(
            delete(table(Notice)).where(
                Notice.district == hub.district, Notice.kind == kind, Notice.subject == subject
            )
        )


def figures(hub: AppContext, now: datetime) -> Mapping[str, Any]:
    """Recount the figures of areas with new data; if there is none, nothing is written, nor logged."""
    result = asdict(reports.refresh(hub, now, actor="job:figures"))
    if not any(count for name, count in result.items() if name != "failed"):
        return result
    with hub.database.transaction() as session:
        _record_run(session, hub, "figures", result, now)
    return result


def oversight(hub: AppContext, now: datetime) -> Mapping[str, Any]:
    """Recompute the monthly reports of posts with new data; if there is none, nothing is written, nor logged."""
    result = {"rows": months.refresh(hub, now, actor="job:oversight")}
    if result["rows"]:
        with hub.database.transaction() as session:
            _record_run(session, hub, "oversight", result, now)
    return result


def new_rules(hub: AppContext, now: datetime) -> Mapping[str, Any]:
    """Assess every child again after an upgrade that changed the rules; otherwise nothing is written, nor logged."""
    result = reassessment.reassess_all(hub, now)
    if result:
        with hub.database.transaction() as session:
            _record_run(session, hub, reassessment.JOB, result, now)
    return result


def recompute(hub: AppContext, now: datetime) -> Mapping[str, Any]:
    """Compute tonight's share of everything derived again; raise a notice for each difference, remove those that fit again.

    Once a night: a start of the server soon after leaves it, and nothing is written.
    """
    with hub.database.reading() as session:
        state = rounds.Round.stored(session, hub)
        ran = session.scalar(
            select(JobRun.ran_at).where(JobRun.district == hub.district, JobRun.job == rounds.JOB)
        )
    if ran is not None and timedelta(0) <= now - ran < ROUND_PAUSE:
        return {}
    seen = rounds.look_at_slice(hub, state, now)
    result = state.as_result()
    with hub.database.transaction() as session:
        rounds.save_notices(session, hub, seen, now)
        _record_run(session, hub, rounds.JOB, result, now)
    return result


def ended_sign_ins(hub: AppContext, now: datetime) -> Mapping[str, Any]:
    """Delete sessions that have expired, and outdated counters of failed attempts."""
    idle = timedelta(minutes=hub.settings.idle_minutes)
    with hub.database.transaction() as session:
        ended = session.execute(
            delete(table(UserSession)).where(
                UserSession.district == hub.district,
                or_(UserSession.expires_at < now, UserSession.last_seen_at < now - idle),
            )
        )
        result = {"ended": getattr(ended, "rowcount", 0), "counters": forget_old(session, hub, now)}
        _record_run(session, hub, "ended-sign-ins", result, now)
    return result


def sign_log(hub: AppContext, now: datetime) -> Mapping[str, Any]:
    """Sign a checkpoint of the log; if the newest entries do not verify, raise a notice instead."""
    with hub.database.reading() as session:
        tail = verification.verify_tail(session, hub.district, LONGEST_TAIL)
    with hub.database.transaction() as session:
        if tail.broken:
            result = _raise_log_notices(session, hub, tail.broken, now) | {"entries": tail.entries}
        else:
            made = checkpoints.make(session, hub, now, actor="job:sign-log")
            result = {"checkpoint": made.number, "entries": made.statement["entries"], "broken": 0}
        _record_run(session, hub, "sign-log", result, now)
    return result


def ask_witnesses(hub: AppContext, now: datetime) -> Mapping[str, Any]:
    """Submit the newest checkpoint to the witnesses that lack it; where none is asked, nothing is written, nor logged."""
    result = witnesses.submit(hub, now)
    if result["took"]:
        with hub.database.transaction() as session:
            _record_run(session, hub, "witnesses", result, now)
    return result


def verify_log(hub: AppContext, now: datetime) -> Mapping[str, Any]:
    """Verify the whole log and every checkpoint; raise a notice for each stream that fails, and remove the others'."""
    with hub.database.reading() as session:
        entries, broken = audit.verify(session, hub.district, keys=hub.vault.checkpoint_keys())
    with hub.database.transaction() as session:
        _remove_notices(session, hub, LOG_BROKEN, {one.stream for one in broken})
        result = _raise_log_notices(session, hub, broken, now) | {"entries": entries}
        _record_run(session, hub, "verify-log", result, now)
    return result


def _raise_log_notices(
    session: Session, hub: AppContext, broken: Sequence[audit.Broken], now: datetime
) -> dict[str, Any]:
    known = _noticed_subjects(session, hub, LOG_BROKEN)
    rows = []
    for one in broken:
        details = orjson.dumps({"number": one.number, "what": one.what, "until": one.until}).decode()
        row = {"district": hub.district, "kind": LOG_BROKEN, "subject": one.stream}
        if one.stream not in known:  # keep the first finding
            rows.append({**row, "details": details, "raised_at": now})
            known.add(one.stream)
    upsert(session, table(Notice), rows)
    return {"broken": len(broken)}


def back_up(hub: AppContext, now: datetime) -> Mapping[str, Any]:
    """Make the nightly backup if POSYANDU_BACKUP_DIR is set; on failure raise a notice, which stands until one succeeds."""
    with _notice_on_failure(hub, "back-up", BACKUP_FAILED, now):
        made, deleted = nightly_backup.back_up_nightly(hub, actor="job:back-up", now=now)
    result = {"rows": made.manifest.total_rows, "deleted": deleted}
    with hub.database.transaction() as session:
        _remove_notices(session, hub, BACKUP_FAILED, ())
        _record_run(session, hub, "back-up", result, now)
    return result


def prove_backup(hub: AppContext, now: datetime) -> Mapping[str, Any]:
    """Prove the newest nightly backup by a trial restore; on failure raise a notice, which stands until one succeeds."""
    with _notice_on_failure(hub, "prove-backup", BACKUP_UNPROVEN, now):
        proof = nightly_backup.prove_newest(hub, actor="job:prove-backup", now=now)
    result = {"rows": proof.manifest.total_rows, "proven": proof.is_proven}
    with hub.database.transaction() as session:
        _remove_notices(session, hub, BACKUP_UNPROVEN, ())
        if not proof.is_proven:
            wrong = [check.name for check in proof.checks if not check.is_ok]
            _raise_notice(session, hub, BACKUP_UNPROVEN, ", ".join([*wrong, *proof.miscounted]), now)
        _record_run(session, hub, "prove-backup", result, now)
    return result


@contextmanager
def _notice_on_failure(hub: AppContext, job: str, kind: str, now: datetime) -> Iterator[None]:
    """On an error raise a notice and log it. A database error's text may contain personal data and is left out."""
    try:
        yield
    except (BackupRefused, KeyUnusable, OSError, SQLAlchemyError) as error:
        message = type(error).__name__ if isinstance(error, SQLAlchemyError) else str(error)
        with hub.database.transaction() as session:
            _raise_notice(session, hub, kind, message, now)
            _record_run(session, hub, job, {"failed": type(error).__name__}, now)
        raise


def _raise_notice(session: Session, hub: AppContext, kind: str, message: str, now: datetime) -> None:
    row = {"district": hub.district, "kind": kind, "subject": hub.district, "raised_at": now}
    upsert(session, table(Notice), [{**row, "details": orjson.dumps({"said": message}).decode()}])


def checkpoint_wal(hub: AppContext, _now: datetime) -> Mapping[str, Any]:
    """Move SQLite's write-ahead log into its file and truncate it, so that it does not grow without bound.

    Changes no data, so nothing is logged.
    """
    return leftovers.fold_wal(hub)


def erased_remains(hub: AppContext, now: datetime) -> Mapping[str, Any]:
    """Overwrite what PostgreSQL's files hold of deleted rows, if somebody was erased since; what is in use waits."""
    if leftovers.is_due(hub) is None:
        return {}
    result = leftovers.vacuum(hub)
    if not result["busy"]:
        with hub.database.transaction() as session:
            _record_run(session, hub, leftovers.JOB, result, now)
    return result


def _record_run(
    session: Session, hub: AppContext, job: str, result: Mapping[str, Any], now: datetime
) -> None:
    row = {"district": hub.district, "job": job, "ran_at": now, "result": orjson.dumps(dict(result)).decode()}
    upsert(session, table(JobRun), [row])
    audit.append(
        session,
        hub.district,
        audit.OFFICE,
        "job.ran",
        actor=f"job:{job}",
        now=now,
        details={"job": job, **result},
    )
