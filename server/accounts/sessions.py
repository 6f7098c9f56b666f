"""Signing in, and sessions.

Rules kept here:
- A session's token is random, given out once, and stored as a digest; it changes when the second factor is passed, against
  session fixation.
- A session ends after its time, or `idle_minutes` after its last use, whichever comes first.
- Until its second factor was passed a session is at a stage before `OPEN`, which gives no access.
- An unknown user costs the same time as a wrong password.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from schemas.words import Reason
from server import audit
from server.accounts import attempt_limits
from server.accounts.passwords import password_faults
from server.accounts.people import Person, PersonRefused, normal_username, person_of
from server.accounts.roles import WITH_SECOND_FACTOR
from server.context import AppContext
from server.crypto.vault import hash_password, password_fits, password_hash_is_old, token_digest
from server.database.ids import UUID_TEXT, new_id
from server.database.models import Account, UserSession, table
from server.errors import Problem
from server.translations import T_

SEEN_SECONDS: Final = 60
"""Use of a session is recorded at most this often."""
OPEN, WAITING, BARE = "open", "second-factor", "set-up"
"""Stages of a session: full access; the second factor is asked for; it must be set up first."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that has not ended: its person, and its stage."""

    id: str
    person: Person
    stage: str
    has_second_factor: bool
    must_have_second_factor: bool
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class ListedSession:
    """One of a person's sessions in a list; without its token."""

    id: str
    agent: str
    began_at: datetime
    last_seen_at: datetime
    ends_at: datetime
    stage_passed: bool


def sign_in(
    session: Session,
    hub: AppContext,
    username: str,
    password: str,
    now: datetime,
    *,
    address: str = "",
    agent: str = "",
) -> str | None:
    """Check a password and open a session; return its token, or None (which is logged: commit it).

    Parameters
    ----------
    address : where the attempt comes from, for its limit; "" has none
    agent : short name of the browser

    Raises
    ------
    Problem
        `too-many-tries` while the account is locked, or after too many failures from the address.
    """
    attempt_limits.refuse_if_spent(session, hub, "sign-in", address, now)
    account = session.execute(
        select(Account)
        .where(Account.district == hub.district, Account.username == normal_username(username))
        .with_for_update()
    ).scalar_one_or_none()
    if account and account.locked_until and account.locked_until > now:
        raise Problem("too-many-tries", seconds=int((account.locked_until - now).total_seconds()) + 1)
    usable = account is not None and account.disabled_at is None and account.password_hash != ""
    if not password_fits(account.password_hash if account and usable else None, password) or account is None:
        attempt_limits.note_failure(session, hub, "sign-in", address, now)
        _note_failure(session, hub, account, now)
        return None
    account.failed_tries, account.locked_until = 0, None
    if password_hash_is_old(account.password_hash):
        account.password_hash = hash_password(password)
    return open_session(session, hub, account, now, agent=agent)


def open_session(
    session: Session, hub: AppContext, account: Account, now: datetime, *, agent: str = ""
) -> str:
    """Open a session for a person whose password was checked; return its token."""
    stage = _stage(hub, account, None)
    token = secrets.token_urlsafe(32)
    session.add(
        UserSession(
            district=hub.district,
            token_digest=token_digest(token),
            account_id=account.id,
            created_at=now,
            expires_at=now + timedelta(minutes=hub.settings.session_minutes),
            id=new_id(),
            agent=agent,
            last_seen_at=now,
            passed_at=now if stage == OPEN else None,
        )
    )
    action = "sign-in.succeeded" if stage == OPEN else "sign-in.password-fitted"
    actor = f"account:{account.id}"
    audit.append(session, hub.district, audit.OFFICE, action, actor=actor, now=now)
    return token


def _stage(hub: AppContext, account: Account, passed_at: datetime | None) -> str:
    if account.totp_sealed is not None:
        return WAITING if passed_at is None else OPEN
    return BARE if _requires_second_factor(hub, account) else OPEN


def _requires_second_factor(hub: AppContext, account: Account) -> bool:
    return hub.settings.second_factor and account.role in WITH_SECOND_FACTOR


def _note_failure(session: Session, hub: AppContext, account: Account | None, now: datetime) -> None:
    details = {"account": account.id if account else None}
    if account is not None:
        account.failed_tries += 1
        if account.failed_tries >= attempt_limits.MAX_FAILED_TRIES:
            account.failed_tries, account.locked_until = (
                0,
                now + timedelta(minutes=attempt_limits.LOCK_MINUTES),
            )
            details["locked_minutes"] = str(attempt_limits.LOCK_MINUTES)
    audit.append(
        session, hub.district, audit.OFFICE, "sign-in.failed", actor="unknown", now=now, details=details
    )


# -- sessions -----------------------------------------------------------------------------------------------------


def session_of(session: Session, hub: AppContext, token: str, now: datetime) -> SignedIn | None:
    """Return the session of a token, at any stage; None if it has ended."""
    row = session.execute(
        select(Account, UserSession)
        .join(
            UserSession, (UserSession.district == Account.district) & (UserSession.account_id == Account.id)
        )
        .where(
            UserSession.district == hub.district,
            UserSession.token_digest == token_digest(token),
            UserSession.expires_at > now,
            UserSession.last_seen_at > _idle_since(hub, now),
            Account.disabled_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        return None
    account, found = row
    return SignedIn(
        found.id,
        person_of(account),
        _stage(hub, account, found.passed_at),
        account.totp_sealed is not None,
        _requires_second_factor(hub, account),
        found.last_seen_at,
    )


def _idle_since(hub: AppContext, now: datetime) -> datetime:
    return now - timedelta(minutes=hub.settings.idle_minutes)


def who_is(session: Session, hub: AppContext, token: str, now: datetime) -> Person | None:
    """Return the person of a session with full access; None if it has ended or is at an earlier stage."""
    found = session_of(session, hub, token, now)
    return found.person if found is not None and found.stage == OPEN else None


def seen(hub: AppContext, signed_in: SignedIn, now: datetime) -> None:
    """Record that a session is in use, at most once in SEEN_SECONDS. Not logged: nothing was done."""
    if (now - signed_in.last_seen_at).total_seconds() < SEEN_SECONDS:
        return
    with hub.database.transaction() as session:
        session.execute(
            update(table(UserSession))
            .values(last_seen_at=now)
            .where(
                UserSession.district == hub.district,
                UserSession.account_id == signed_in.person.account_id,
                UserSession.id == signed_in.id,
            )
        )


def sign_out(session: Session, hub: AppContext, token: str, person: Person, now: datetime) -> None:
    """End a session."""
    session.execute(
        delete(table(UserSession)).where(
            UserSession.district == hub.district, UserSession.token_digest == token_digest(token)
        )
    )
    actor = f"account:{person.account_id}"
    audit.append(session, hub.district, audit.OFFICE, "sign-in.ended", actor=actor, now=now)


def sessions_of(session: Session, hub: AppContext, person: Person, now: datetime) -> list[ListedSession]:
    """List a person's sessions, the most recently used first."""
    rows = session.scalars(
        select(UserSession)
        .where(
            UserSession.district == hub.district,
            UserSession.account_id == person.account_id,
            UserSession.expires_at > now,
            UserSession.last_seen_at > _idle_since(hub, now),
        )
        .order_by(UserSession.last_seen_at.desc(), UserSession.id)
    )
    return [
        ListedSession(
            row.id, row.agent, row.created_at, row.last_seen_at, row.expires_at, row.passed_at is not None
        )
        for row in rows
    ]


def end_session(session: Session, hub: AppContext, person: Person, sign_in_id: str, now: datetime) -> None:
    """End one of a person's own sessions.

    Raises
    ------
    Problem
        `record-unknown` if it is not theirs, or has ended.
    """
    if not UUID_TEXT.fullmatch(sign_in_id):
        raise Problem("record-unknown")
    ended = session.execute(
        delete(table(UserSession)).where(
            UserSession.district == hub.district,
            UserSession.account_id == person.account_id,
            UserSession.id == sign_in_id,
        )
    )
    if not getattr(ended, "rowcount", 0):
        raise Problem("record-unknown")
    actor, details = f"account:{person.account_id}", {"sign_in": sign_in_id}
    audit.append(session, hub.district, audit.OFFICE, "sign-in.ended", actor=actor, now=now, details=details)


def end_others(session: Session, hub: AppContext, signed_in: SignedIn, now: datetime) -> int:
    """End all other sessions of a person; return how many."""
    ended = session.execute(
        delete(table(UserSession)).where(
            UserSession.district == hub.district,
            UserSession.account_id == signed_in.person.account_id,
            UserSession.id != signed_in.id,
        )
    )
    count = int(getattr(ended, "rowcount", 0))
    actor, details = f"account:{signed_in.person.account_id}", {"sessions": count}
    audit.append(
        session, hub.district, audit.OFFICE, "sign-in.others-ended", actor=actor, now=now, details=details
    )
    return count


def renew_token(session: Session, hub: AppContext, signed_in: SignedIn, now: datetime) -> str:
    """Give a session a new token and mark its second factor as passed; the caller logs it."""
    token = secrets.token_urlsafe(32)
    session.execute(
        update(table(UserSession))
        .where(
            UserSession.district == hub.district,
            UserSession.account_id == signed_in.person.account_id,
            UserSession.id == signed_in.id,
        )
        .values(token_digest=token_digest(token), passed_at=now, last_seen_at=now)
    )
    return token


# -- the own password ---------------------------------------------------------------------------------------------


def own_account(session: Session, hub: AppContext, person: Person) -> Account:
    """Load and lock the account of a person who is signed in."""
    return session.execute(
        select(Account)
        .where(Account.district == hub.district, Account.id == person.account_id)
        .with_for_update()
    ).scalar_one()


def proves_password(
    session: Session, hub: AppContext, account: Account, password: str, now: datetime, *, address: str = ""
) -> bool:
    """Check the password of a person who is signed in, before actions that an open session alone must not allow.

    A wrong password is counted and logged as at signing in: commit it.

    Raises
    ------
    Problem
        `too-many-tries`, as when signing in.
    """
    attempt_limits.refuse_if_spent(session, hub, "sign-in", address, now)
    if account.locked_until and account.locked_until > now:
        raise Problem("too-many-tries", seconds=int((account.locked_until - now).total_seconds()) + 1)
    if password_fits(account.password_hash or None, password):
        account.failed_tries, account.locked_until = 0, None
        return True
    attempt_limits.note_failure(session, hub, "sign-in", address, now)
    _note_failure(session, hub, account, now)
    return False


def change_password(
    session: Session,
    hub: AppContext,
    signed_in: SignedIn,
    old: str,
    new: str,
    now: datetime,
    *,
    address: str = "",
) -> bool:
    """Set a new password and end all other sessions; False if the old one is wrong (logged: commit it).

    Raises
    ------
    Problem
        `too-many-tries`.
    PersonRefused
        The new password is refused.
    """
    account = own_account(session, hub, signed_in.person)
    if not proves_password(session, hub, account, old, now, address=address):
        return False
    faults = password_faults(new, account.username, account.display_name)
    if not faults and new == old:
        faults = [
            Reason(
                "password",
                "same-as-before",
                None,
                *T_("The new password is the old one: use another."),
            )
        ]
    if faults:
        raise PersonRefused(*faults)
    account.password_hash, account.password_set_at = hash_password(new), now
    session.flush()
    end_others(session, hub, signed_in, now)
    actor, details = f"account:{account.id}", {"account": account.id}
    audit.append(
        session, hub.district, audit.OFFICE, "account.password-set", actor=actor, now=now, details=details
    )
    return True
