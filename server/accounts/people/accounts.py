"""Accounts: adding, listing, disabling and enabling people."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from schemas.words import Reason
from server import audit
from server.accounts.passwords import NewPassword
from server.accounts.people.invitations import end_invitations
from server.accounts.people.person import Person, PersonRefused
from server.accounts.people.scopes import managed_by, place_name, place_names
from server.accounts.roles import ROLES, SCOPE_KINDS, SCOPES_OF
from server.context import AppContext
from server.database import row_macs
from server.database.ids import UUID_TEXT, new_id
from server.database.models import Account, Invitation, Passkey, RecoveryCode, Username, UserSession, table
from server.errors import Problem
from server.translations import T_

STATES: Final = ("invited", "active", "disabled")


@dataclass(frozen=True, slots=True)
class ListedPerson:
    """A person in a list.

    Parameters
    ----------
    place : the scope's name
    state : one of STATES
    invited_until : when an open invitation expires
    """

    account_id: str
    username: str
    display_name: str
    role: str
    scope_kind: str
    scope: str
    place: str
    state: str
    second_factor: bool
    created_at: datetime
    invited_until: datetime | None
    last_seen_at: datetime | None


def add_account(
    session: Session,
    hub: AppContext,
    username: str,
    display_name: str,
    role: str,
    scope_kind: str,
    scope: str,
    password: NewPassword | None,
    *,
    actor: str,
    now: datetime,
) -> str:
    """Add a person who may sign in, and return the account's id.

    Parameters
    ----------
    password : made before the transaction; None for a person who will be invited, and cannot sign in before using the
        invitation

    Raises
    ------
    PersonRefused
        Unknown role, kind of scope or place; a scope that the role may not have; a user name that is taken or has other
        characters than it may; a name that cannot be shown; a password that is refused.
    """
    username, display_name = normal_username(username), display_name.strip()
    reasons = [
        *_role_faults(role, scope_kind),
        *_username_faults(username),
        *_name_faults(display_name),
        *(password.faults if password is not None else ()),
    ]
    if not reasons and place_name(session, hub, scope_kind, scope) is None:
        text, area = T_("There is no such {area} here: choose from the list."), SCOPE_KINDS[scope_kind].text
        indonesian, english = text.format(area=area.id.lower()), text.format(area=area.en.lower())
        reasons = [Reason("scope", "unknown", None, indonesian.id, english.en)]
    if not reasons and session.get(Username, username) is not None:
        reasons = [
            Reason(
                "username",
                "taken",
                username,
                *T_("user name {username!r} is taken: choose another").format(username=username),
            )
        ]
    if reasons:
        raise PersonRefused(*reasons)
    account_id = new_id()
    session.add(Username(name=username, district=hub.district, account_id=account_id))
    session.add(
        Account(
            district=hub.district,
            id=account_id,
            username=username,
            display_name=display_name,
            role=role,
            scope_kind=scope_kind,
            scope=scope,
            password_hash=password.hash if password is not None else "",
            password_set_at=now if password is not None else None,
            created_at=now,
        )
    )
    session.flush()
    details = {"account": account_id, "role": role, "scope_kind": scope_kind, "scope": scope}
    audit.append(session, hub.district, audit.OFFICE, "account.added", actor=actor, now=now, details=details)
    return account_id


def normal_username(username: str) -> str:
    """Normalise a user name: letter case does not matter."""
    return username.strip().lower()


def _role_faults(role: str, scope_kind: str) -> list[Reason]:
    if role not in ROLES:
        names = ", ".join(ROLES)
        return [Reason("role", "unknown", None, *T_("role is one of {names}").format(names=names))]
    if scope_kind not in SCOPE_KINDS:
        text = T_("scope is one of {kinds}")
        indonesian = text.format(kinds=" / ".join(kind.text.id for kind in SCOPE_KINDS.values()))
        english = text.format(kinds=", ".join(SCOPE_KINDS))
        return [Reason("scope_kind", "unknown", None, indonesian.id, english.en)]
    allowed = SCOPES_OF[role]
    if scope_kind not in allowed:
        text = T_("the role {role} cannot have a scope of kind {scope}: choose {kinds}")
        indonesian = text.format(
            role=ROLES[role].text,
            scope=SCOPE_KINDS[scope_kind].text,
            kinds=" / ".join(SCOPE_KINDS[kind].text.id for kind in allowed),
        )
        english = text.format(role=role, scope=scope_kind, kinds=" or ".join(allowed))
        return [Reason("scope_kind", "not-of-this-role", scope_kind, indonesian.id, english.en)]
    return []


def _username_faults(username: str) -> list[Reason]:
    if 3 <= len(username) <= 64 and all(c.isalnum() or c in "._-@" for c in username):
        return []
    text = T_("user name{username}: 3 to 64 letters, digits, '.', '_', '-' or '@'")
    indonesian, english = text.format(username=""), text.format(username=f" {username[:70]!r}")
    return [Reason("username", "odd", None, indonesian.id, english.en)]


def _name_faults(name: str) -> list[Reason]:
    if name and name.isprintable() and len(name) <= 100:
        return []
    return [
        Reason(
            "name",
            "odd",
            None,
            *T_("name: give 1 to 100 visible characters"),
        )
    ]


def people(session: Session, hub: AppContext, manager: Person | None, now: datetime) -> list[ListedPerson]:
    """List the people whom a manager manages (None: everybody), by user name; the number of queries is constant.

    An account that somebody without the keys has written or changed is nobody's, and not in the list.
    """
    query = select(Account).where(managed_by(hub, manager)).order_by(Account.username)
    accounts = row_macs.genuine(session, query)
    invited: dict[str, datetime] = {
        row.account_id: row.until
        for row in session.execute(
            select(Invitation.account_id, func.max(Invitation.expires_at).label("until"))
            .where(
                Invitation.district == hub.district, Invitation.used_at.is_(None), Invitation.expires_at > now
            )
            .group_by(Invitation.account_id)
        )
    }
    seen: dict[str, datetime] = {
        row.account_id: row.seen
        for row in session.execute(
            select(UserSession.account_id, func.max(UserSession.last_seen_at).label("seen"))
            .where(UserSession.district == hub.district)
            .group_by(UserSession.account_id)
        )
    }
    names = place_names(session, hub)
    return [
        ListedPerson(
            row.id,
            row.username,
            row.display_name,
            row.role,
            row.scope_kind,
            row.scope,
            names.get((row.scope_kind, row.scope), ""),
            _state(row),
            row.totp_sealed is not None,
            row.created_at,
            invited.get(row.id),
            seen.get(row.id),
        )
        for row in accounts
    ]


def _state(account: Account) -> str:
    if account.disabled_at is not None:
        return "disabled"
    return "active" if account.password_hash else "invited"


def managed_account(session: Session, hub: AppContext, manager: Person | None, account_id: str) -> Account:
    """Load and lock the account of a person whom a manager manages.

    Raises
    ------
    Problem
        `record-unknown` if there is none within the manager's scope.
    """
    found = None
    if UUID_TEXT.fullmatch(account_id):
        found = session.execute(
            select(Account).where(managed_by(hub, manager), Account.id == account_id).with_for_update()
        ).scalar_one_or_none()
    if found is None:
        raise Problem("record-unknown")
    return found


def account_named(session: Session, hub: AppContext, username: str) -> Account:
    """Load and lock the account with a user name.

    Raises
    ------
    Problem
        `record-unknown` if there is none in this district.
    """
    found = session.execute(
        select(Account)
        .where(Account.district == hub.district, Account.username == normal_username(username))
        .with_for_update()
    ).scalar_one_or_none()
    if found is None:
        raise Problem("record-unknown")
    return found


def disable_account(session: Session, hub: AppContext, username: str, *, actor: str, now: datetime) -> None:
    """As `disable`, by user name."""
    disable(session, hub, account_named(session, hub, username), actor=actor, now=now)


def disable(session: Session, hub: AppContext, account: Account, *, actor: str, now: datetime) -> None:
    """Disable an account, and end its sessions and invitations."""
    if account.disabled_at is None:
        account.disabled_at = now
    session.execute(
        delete(table(UserSession)).where(
            UserSession.district == hub.district, UserSession.account_id == account.id
        )
    )
    end_invitations(session, hub, account, now)
    session.flush()
    details = {"account": account.id}
    audit.append(
        session, hub.district, audit.OFFICE, "account.disabled", actor=actor, now=now, details=details
    )


def enable(session: Session, hub: AppContext, account: Account, *, actor: str, now: datetime) -> None:
    """Enable an account again; password and second factor are as before."""
    if account.disabled_at is None:
        return
    account.disabled_at = None
    session.flush()
    details = {"account": account.id}
    audit.append(
        session, hub.district, audit.OFFICE, "account.enabled", actor=actor, now=now, details=details
    )


def end_secrets(session: Session, hub: AppContext, account: Account, *, actor: str, now: datetime) -> None:
    """Delete the password and the second factor, which were replaced after the backup that was restored: whoever knows the
    old ones must not get in. The person needs an invitation.
    """
    account.password_hash, account.password_set_at = "", None
    account.totp_sealed = account.totp_step = None
    session.flush()
    _delete_recovery_codes(session, account)
    _delete_passkeys(session, account)
    details = {"account": account.id}
    audit.append(
        session, hub.district, audit.OFFICE, "account.secrets-ended", actor=actor, now=now, details=details
    )


def end_recovery_codes(
    session: Session, hub: AppContext, account: Account, *, actor: str, now: datetime
) -> None:
    """Delete the recovery codes, some of which were used or replaced after the backup that was restored."""
    _delete_recovery_codes(session, account)
    details = {"account": account.id}
    audit.append(
        session, hub.district, audit.OFFICE, "account.codes-ended", actor=actor, now=now, details=details
    )


def _delete_recovery_codes(session: Session, account: Account) -> None:
    c = table(RecoveryCode).c
    session.execute(
        delete(table(RecoveryCode)).where(c.district == account.district, c.account_id == account.id)
    )


def end_passkeys(session: Session, hub: AppContext, account: Account, *, actor: str, now: datetime) -> None:
    """Delete the passkeys, one of which was removed after the backup that was restored."""
    _delete_passkeys(session, account)
    details = {"account": account.id}
    audit.append(
        session, hub.district, audit.OFFICE, "account.passkeys-ended", actor=actor, now=now, details=details
    )


def _delete_passkeys(session: Session, account: Account) -> None:
    c = table(Passkey).c
    session.execute(delete(table(Passkey)).where(c.district == account.district, c.account_id == account.id))
