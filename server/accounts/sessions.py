"""Signing in, and sessions.

Rules kept here:
- A session's token is random, given out once, and stored as a keyed digest; it changes when the second factor is passed,
  against session fixation.
- A session ends after its time, or `idle_minutes` after its last use, whichever comes first.
- Until its second factor was passed a session is at a stage before `OPEN`, which gives no access.
- An unknown user costs the same time as a wrong password.
- A password is checked before the writing transaction that acts on it.
- Wrong passwords are counted by where they come from, never against the account, whose owner they would keep out.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

from sqlalchemy import Select, delete, select, update
from sqlalchemy.orm import Session

from schemas.words import Reason
from server import audit
from server.accounts import attempt_limits
from server.accounts.attempt_limits import Place
from server.accounts.passwords import NewPassword, hash_password, new_password, password_fits
from server.accounts.people import Person, PersonRefused, normal_username, person_of
from server.accounts.roles import WITH_SECOND_FACTOR
from server.context import AppContext
from server.crypto.vault import password_hash_is_old
from server.database import row_macs
from server.database.ids import UUID_TEXT, new_id
from server.database.models import Account, UserSession, table
from server.errors import Problem
from server.translations import T_

ATTEMPTS: Final = 3
"""How often a password is checked again because it was changed meanwhile."""
SAME_AS_BEFORE: Final = Reason(
    "password", "same-as-before", None, *T_("The new password is the old one: use another.")
)
SEEN_SECONDS: Final = 60
"""Use of a session is recorded at most this often."""
PROOF_MINUTES: Final = 10
"""How long the second factor, or the password of somebody without one, need not be given again."""
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
    proved_at: datetime | None

    def is_proven(self, now: datetime) -> bool:
        """Say whether the person has shown, within the last minutes, that they are there: by signing in, or again."""
        return self.proved_at is not None and now - self.proved_at < timedelta(minutes=PROOF_MINUTES)


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
    hub: AppContext,
    username: str,
    password: str,
    now: datetime,
    *,
    address: str = "",
    known: str = "",
    agent: str = "",
    replaced: tuple[str, Person] | None = None,
) -> str | None:
    """Check a password and open a session; return its token, or None (which is logged).

    Parameters
    ----------
    address : where the attempt comes from, for its limits; "" has none
    known : a browser with which this person has signed in before: counted by itself, whatever its address has failed
    agent : short name of the browser
    replaced : token and person of a session that ends when the new one opens

    Raises
    ------
    Problem
        `too-many-tries` after too many failures from the address or the known browser.
    """

    def rehashed(stored: str) -> str:
        return hash_password(password) if password_hash_is_old(stored) else stored

    def enter(session: Session, account: Account, fresh: str) -> str:
        account.password_hash = fresh
        if replaced is not None:
            sign_out(session, hub, *replaced, now)
        return open_session(session, hub, account, now, agent=agent)

    name = normal_username(username)
    named = select(Account).where(Account.district == hub.district, Account.username == name)
    places = _places(name, address, known)
    return with_password(hub, named, password, now, rehashed, enter, places=places)


def _places(name: str, address: str, known: str) -> tuple[Place, ...]:
    """Return what a wrong password is counted for."""
    if known:
        return (("sign-in-as", f"browser/{known}/{name}"),)
    return (("sign-in", address), ("sign-in-as", address and f"address/{address}/{name}"))


Prepared = TypeVar("Prepared")
Result = TypeVar("Result")


def with_password(
    hub: AppContext,
    whose: Select[Account],
    password: str,
    now: datetime,
    prepare: Callable[[str], Prepared],
    then: Callable[[Session, Account, Prepared], Result],
    *,
    places: Sequence[Place] = (),
) -> Result | None:
    """Check a password before a writing transaction, and do something within one if it fits.

    The limits are checked before and within: attempts at the same time learn no more than one after another. If the password
    was changed meanwhile, the new one is checked.

    Parameters
    ----------
    whose : selects one account, or none
    prepare : given the stored hash; called before the transaction, where passwords may be hashed
    then : given the locked account and what was prepared
    places : the limits, and what a wrong password counts for

    Returns
    -------
    what `then` returns; None if the password is wrong, which is counted, logged and committed

    Raises
    ------
    Problem
        `too-many-tries` after too many failures.
    """
    for _ in range(ATTEMPTS):
        with hub.database.reading() as session:
            stored = _usable_hash(_admitted(session, hub, whose, places, now, lock=False))
        prepared = prepare(stored) if password_fits(stored, password) and stored else None
        with hub.database.transaction() as session:
            account = _admitted(session, hub, whose, places, now, lock=True)
            if _usable_hash(account) != stored:
                continue
            if account is None or prepared is None:
                _note_failure(session, hub, account, places, now)
                return None
            for what, place in places:
                if (
                    what != "sign-in"
                ):  # an address guesses at other people too: one who comes in excuses no failures
                    attempt_limits.forgive(session, hub, what, place)
            return then(session, account, prepared)
    raise Problem("too-many-tries", seconds=1)


def _admitted(
    session: Session,
    hub: AppContext,
    whose: Select[Account],
    places: Sequence[Place],
    now: datetime,
    *,
    lock: bool,
) -> Account | None:
    """Load an account whose password may be tried now."""
    # locked before they are read: of attempts at once, each must see what the one before it came to
    account = session.execute(whose.with_for_update() if lock else whose).scalar_one_or_none()
    for what, place in places:
        attempt_limits.refuse_if_spent(session, hub, what, place, now, lock=lock)
    return account


def _usable_hash(account: Account | None) -> str | None:
    return account.password_hash or None if account is not None and account.disabled_at is None else None


def open_session(
    session: Session,
    hub: AppContext,
    account: Account,
    now: datetime,
    *,
    agent: str = "",
    passkey: bool = False,
) -> str:
    """Open a session for a person whose password was checked, or who is through by a passkey alone; return its token."""
    stage = OPEN if passkey else _stage(hub, account, None)
    token = secrets.token_urlsafe(32)
    session.add(
        UserSession(
            district=hub.district,
            token_digest=_digest(hub, token),
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
    details = {"second_factor": "passkey"} if passkey else None
    audit.append(session, hub.district, audit.OFFICE, action, actor=actor, now=now, details=details)
    return token


def _stage(hub: AppContext, account: Account, passed_at: datetime | None) -> str:
    if account.totp_sealed is not None:
        return WAITING if passed_at is None else OPEN
    return BARE if _requires_second_factor(hub, account) else OPEN


def _requires_second_factor(hub: AppContext, account: Account) -> bool:
    return hub.settings.second_factor and account.role in WITH_SECOND_FACTOR


def _note_failure(
    session: Session, hub: AppContext, account: Account | None, places: Sequence[Place], now: datetime
) -> None:
    for what, place in places:
        attempt_limits.note_failure(session, hub, what, place, now)
    details = {"account": account.id if account else None}
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
            UserSession.token_digest == _digest(hub, token),
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
        found.passed_at,
    )


def _digest(hub: AppContext, token: str) -> str:
    return hub.vault.digest("session", token)


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
            UserSession.district == hub.district, UserSession.token_digest == _digest(hub, token)
        )
    )
    actor = f"account:{person.account_id}"
    audit.append(session, hub.district, audit.OFFICE, "sign-in.ended", actor=actor, now=now)


def sessions_of(session: Session, hub: AppContext, person: Person, now: datetime) -> list[ListedSession]:
    """List a person's sessions, the most recently used first."""
    rows = row_macs.genuine(
        session,
        select(UserSession)
        .where(
            UserSession.district == hub.district,
            UserSession.account_id == person.account_id,
            UserSession.expires_at > now,
            UserSession.last_seen_at > _idle_since(hub, now),
        )
        .order_by(UserSession.last_seen_at.desc(), UserSession.id),
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
    row = session.execute(
        select(UserSession)
        .where(
            UserSession.district == hub.district,
            UserSession.account_id == signed_in.person.account_id,
            UserSession.id == signed_in.id,
        )
        .with_for_update()
    ).scalar_one_or_none()
    if row is not None:  # it may have ended meanwhile; then the token opens nothing
        row.token_digest, row.passed_at, row.last_seen_at = _digest(hub, token), now, now
        session.flush()
    return token


# -- the own password ---------------------------------------------------------------------------------------------


def own_account(session: Session, hub: AppContext, person: Person) -> Account:
    """Load and lock the account of a person who is signed in."""
    return session.execute(_own(hub, person).with_for_update()).scalar_one()


def _own(hub: AppContext, person: Person) -> Select[Account]:
    return select(Account).where(Account.district == hub.district, Account.id == person.account_id)


def proving(
    hub: AppContext,
    signed_in: SignedIn,
    password: str,
    now: datetime,
    then: Callable[[Session], Result],
) -> Result:
    """Do something in a writing transaction that an open session alone must not allow: after the own password.

    Raises
    ------
    Problem
        `password-wrong`, counted for this session and logged; `too-many-tries`.
    """
    done = with_password(
        hub,
        _own(hub, signed_in.person),
        password,
        now,
        lambda stored: stored,
        lambda session, _account, _stored: (then(session),),
        places=[("password-again", signed_in.id)],
    )
    if done is None:
        raise Problem("password-wrong")
    return done[0]


def change_password(hub: AppContext, signed_in: SignedIn, old: str, new: str, now: datetime) -> bool:
    """Set a new password and end all other sessions; False if the old one is wrong (logged).

    Raises
    ------
    Problem
        `too-many-tries`.
    PersonRefused
        The new password is refused.
    """
    person = signed_in.person

    def chosen(_stored: str) -> NewPassword:
        made = new_password(new, person.username, person.display_name)
        return made if made.faults or new != old else NewPassword("", (SAME_AS_BEFORE,))

    def change(session: Session, account: Account, made: NewPassword) -> bool:
        if made.faults:
            raise PersonRefused(*made.faults)
        account.password_hash, account.password_set_at = made.hash, now
        session.flush()
        end_others(session, hub, signed_in, now)
        actor, details = f"account:{account.id}", {"account": account.id}
        action = "account.password-set"
        audit.append(session, hub.district, audit.OFFICE, action, actor=actor, now=now, details=details)
        return True

    places = [("password-again", signed_in.id)]
    done = with_password(hub, _own(hub, person), old, now, chosen, change, places=places)
    return done is not None
