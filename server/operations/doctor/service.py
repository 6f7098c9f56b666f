"""How the server runs: its clock, the second factor, the scheduler, the nightly round."""

import ctypes
from datetime import UTC, timedelta
from typing import Final

from sqlalchemy import func, select

from server.accounts.roles import WITH_SECOND_FACTOR
from server.backup import status
from server.database.models import Account, AuditEntry, Installation, JobRun, UserSession
from server.demo.directory import is_demo
from server.operations.doctor.checks import CheckContext, Findings
from server.operations.recomputation import rounds
from server.translations import T_

ROUND_DAYS: Final = 35
"""A round takes a month; a few nights may be missed."""
SCHEDULER_HOURS: Final = 3
"""Jobs run when the server starts, and the most frequent one every hour."""
CLOCK_SECONDS: Final = 60
"""Tolerance: several machines, with slightly different clocks, may serve one database."""
ADJTIMEX_BYTES: Final = 512
"""Larger than `struct timex` on any machine; all zero reads the clock's state and sets nothing."""
TIME_ERROR: Final = 5
"""What adjtimex returns when nothing synchronises the clock."""


def check_clock(context: CheckContext, findings: Findings) -> None:
    """Compare the clock with the newest entry of the log, and see whether the system synchronises it."""
    findings.looked_at = 1
    with context.reading() as session:
        query = select(func.max(AuditEntry.at)).where(AuditEntry.district == context.district)
        newest = session.execute(query).scalar()
    if newest is not None and newest > context.now + timedelta(seconds=CLOCK_SECONDS):
        clock, entry = (
            moment.astimezone(UTC).isoformat(timespec="seconds") for moment in (context.now, newest)
        )
        findings.add(f"{clock}, before the newest entry of the log, {entry}")
    if is_synchronised() is False:
        findings.remark = T_("the system is not synchronised with a time server: compare its clock yourself")


def is_synchronised() -> bool | None:
    """Ask Linux whether its clock is synchronised (adjtimex(2)); None where that cannot be read."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(ADJTIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != TIME_ERROR


def check_second_factor(context: CheckContext, findings: Findings) -> None:
    """Check that a second factor is required: by our own setting, and by the open sessions of accounts that need one."""
    settings = context.hub.settings
    required = (Account.district == context.district, Account.role.in_(WITH_SECOND_FACTOR))
    without = (*required, Account.disabled_at.is_(None), Account.totp_sealed.is_(None))
    own_session = (UserSession.district == Account.district) & (UserSession.account_id == Account.id)
    with context.reading() as session:
        query = select(func.count()).select_from(Account).where(*required)
        findings.looked_at = session.execute(query).scalar_one()
        if is_demo(settings.data_dir):
            return
        signed_in = select(Account.id).where(
            *without,
            select(UserSession.id)
            .where(own_session, UserSession.passed_at.is_not(None), UserSession.expires_at > context.now)
            .exists(),
        )
        ids = session.scalars(signed_in.order_by(Account.id)).all()
    if findings.looked_at and not settings.second_factor:
        findings.add("POSYANDU_SECOND_FACTOR=0")
    for id_ in ids:
        findings.add(f"account {id_}: signed in without one")


def check_scheduler(context: CheckContext, findings: Findings) -> None:
    """Check when a job last ran; a database that was just made or restored has SCHEDULER_HOURS from then."""
    with context.reading() as session:
        ran = select(func.max(JobRun.ran_at)).where(JobRun.district == context.district)
        last = session.execute(ran).scalar()
        installation = session.get_one(Installation, context.district)
    findings.looked_at = 1
    since = status.wanting_since(installation, last)
    if since < context.now - timedelta(hours=SCHEDULER_HOURS):
        findings.add(since.astimezone(UTC).isoformat(timespec="minutes"))


def check_round(context: CheckContext, findings: Findings) -> None:
    """Check that the nightly round ended lately, and list what it found; a new or restored database has ROUND_DAYS."""
    with context.reading() as session:
        state = rounds.Round.stored(session, context.hub)
        share = rounds.share_done(session, context.hub, state)
        standing = rounds.standing(session, context.hub, limit=None)
        installation = session.get_one(Installation, context.district)
    findings.looked_at = state.looked_at
    for one in standing:
        findings.add(f"{one.said}, since {one.since.astimezone(UTC).isoformat(timespec='minutes')}")
    since = status.wanting_since(installation, state.ended)
    if since < context.now - timedelta(days=ROUND_DAYS):
        findings.add(f"last round: {since.astimezone(UTC).isoformat(timespec='minutes')}")
    ended = state.ended.astimezone(UTC).isoformat(timespec="minutes") if state.ended else ""
    if ended:
        findings.remark = T_(
            "{share} per cent of this round; the last one ended {ended} and found {found}"
        ).format(share=int(share * 100), ended=ended, found=state.last_found)
    else:
        findings.remark = T_("{share} per cent of the first round").format(share=int(share * 100))
