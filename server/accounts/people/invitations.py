"""Invitations: one-time links with which people set their own password."""

import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, delete, select
from sqlalchemy.orm import Session

from server import audit
from server.accounts.passwords import NewPassword
from server.accounts.people.person import Person, PersonRefused, person_of
from server.context import AppContext
from server.database import row_macs
from server.database.models import Account, Invitation, Passkey, RecoveryCode, UserSession, table
from server.errors import Problem

INVITATION_DAYS: Final = 7


def make_invitation(session: Session, hub: AppContext, account: Account, *, actor: str, now: datetime) -> str:
    """Return the token of a one-time link with which a person sets a password; earlier links end.

    Raises
    ------
    Problem
        `account-disabled`: enable the account first.
    """
    if account.disabled_at is not None:
        raise Problem("account-disabled")
    end_invitations(session, hub, account, now)
    token = secrets.token_urlsafe(32)
    session.add(
        Invitation(
            district=hub.district,
            token_digest=_digest(hub, token),
            account_id=account.id,
            made_by=actor,
            made_at=now,
            expires_at=now + timedelta(days=INVITATION_DAYS),
        )
    )
    session.flush()
    action = "account.reset-offered" if account.password_hash else "account.invited"
    details = {"account": account.id}
    audit.append(session, hub.district, audit.OFFICE, action, actor=actor, now=now, details=details)
    return token


def end_invitations(session: Session, hub: AppContext, account: Account, now: datetime) -> None:
    """Let an account's open invitations expire."""
    _end(session, now, Invitation.district == hub.district, Invitation.account_id == account.id)


def _digest(hub: AppContext, token: str) -> str:
    return hub.vault.digest("invitation", token)


def end_all_invitations(session: Session, district: str, now: datetime) -> int:
    """Let every open invitation expire; return how many. The caller logs it."""
    return _end(session, now, Invitation.district == district)


def _end(session: Session, now: datetime, *which: ColumnElement[bool]) -> int:
    open_ = Invitation.used_at.is_(None), Invitation.expires_at > now
    invitations = row_macs.genuine(session, select(Invitation).where(*which, *open_).with_for_update())
    for invitation in invitations:
        invitation.expires_at = now
    session.flush()
    return len(invitations)


def invited(session: Session, hub: AppContext, token: str, now: datetime) -> Person:
    """Return the person whom an invitation is for.

    Raises
    ------
    Problem
        `invitation-invalid`: wrong, used, expired, or of a disabled account.
    """
    return person_of(_invitation(session, hub, token, now)[1])


def take_up(session: Session, hub: AppContext, token: str, password: NewPassword, now: datetime) -> Person:
    """Set the password of the invited person; the second factor and every session end.

    Parameters
    ----------
    password : made before the transaction, for the person whom `invited` returns

    Raises
    ------
    Problem
        `invitation-invalid`.
    PersonRefused
        The password is refused; the invitation can still be used.
    """
    invitation, account = _invitation(session, hub, token, now, locked=True)
    if password.faults:
        raise PersonRefused(*password.faults)
    invitation.used_at = now
    account.password_hash, account.password_set_at = password.hash, now
    account.totp_sealed = account.totp_step = None
    for model in (RecoveryCode, Passkey, UserSession):
        session.execute(
            delete(table(model)).where(model.district == hub.district, model.account_id == account.id)
        )
    session.flush()
    details = {"account": account.id}
    actor = f"account:{account.id}"
    audit.append(
        session, hub.district, audit.OFFICE, "account.password-set", actor=actor, now=now, details=details
    )
    return person_of(account)


def _invitation(
    session: Session, hub: AppContext, token: str, now: datetime, *, locked: bool = False
) -> tuple[Invitation, Account]:
    query = (
        select(Invitation, Account)
        .join(Account, and_(Account.district == Invitation.district, Account.id == Invitation.account_id))
        .where(
            Invitation.district == hub.district,
            Invitation.token_digest == _digest(hub, token),
            Invitation.used_at.is_(None),
            Invitation.expires_at > now,
            Account.disabled_at.is_(None),
        )
    )
    found = session.execute(query.with_for_update() if locked else query).one_or_none()
    if found is None:
        raise Problem("invitation-invalid")
    return found[0], found[1]
