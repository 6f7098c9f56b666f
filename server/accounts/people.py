"""People: who there is, in which role, for which area; how they are invited, start anew, and are shut out.

Rules kept here:
- Nobody is given a password: an invitation is a one-time link with which the invited set their own. Its digest is stored.
- A new invitation for somebody who has a password takes nothing away until it is taken up; then the old password, the second
  factor and every session end.
- Who manages people does so within their own area, and gives none beyond it. Scope is a condition of the query.
- Details of the log are ids and codes: no user name, no name.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Text, and_, cast, delete, false, func, insert, or_, select, update
from sqlalchemy.orm import Session

from schemas.words import Reason
from server import audit
from server.accounts import roles
from server.accounts.passwords import password_faults
from server.accounts.roles import ROLES, SCOPE_KINDS, SCOPES_OF
from server.context import AppContext
from server.crypto.vault import hash_password, token_digest
from server.database.ids import UUID_TEXT, new_id
from server.database.models import (
    Account,
    Donor,
    HealthCentre,
    HealthPost,
    Invitation,
    RecoveryCode,
    Region,
    Username,
    UserSession,
    table,
)
from server.errors import Problem

INVITATION_DAYS: Final = 7
STATES: Final = ("invited", "active", "disabled")


class PersonRefused(ValueError):
    """A person cannot be added or changed like this; `reasons` say why, in both languages and with the remedy."""

    def __init__(self, *reasons: Reason) -> None:
        super().__init__(" ".join(reason.en for reason in reasons))
        self.reasons = reasons


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody signed in. `scope` is the id or code of what they may see, by `scope_kind`."""

    account_id: str
    username: str
    display_name: str
    role: str
    scope_kind: str
    scope: str

    def may(self, permission: str) -> bool:
        """Say whether this person's role has a permission (`roles.PERMISSIONS`)."""
        return roles.may(self.role, permission)


@dataclass(frozen=True, slots=True)
class ListedPerson:
    """A person as a list shows them.

    `state` is one of STATES; `invited_until` stands while an invitation can be taken up; `place` is the scope's name.
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


def person_of(account: Account) -> Person:
    """Give the person of an account's row."""
    return Person(
        account.id, account.username, account.display_name, account.role, account.scope_kind, account.scope
    )


# -- adding -------------------------------------------------------------------------------------------------------


def add_account(
    session: Session,
    hub: AppContext,
    username: str,
    display_name: str,
    role: str,
    scope_kind: str,
    scope: str,
    password: str | None,
    *,
    actor: str,
    now: datetime,
) -> str:
    """Add a person who may sign in, and give the account's id.

    Parameters
    ----------
    password : None for somebody who is to be invited, and cannot sign in before that is taken up

    Raises
    ------
    PersonRefused
        Unknown role or kind of scope, a role that may not have it, a place that is not there, a user name that is taken
        or odd, a name that cannot be shown, or a password that is refused.
    """
    username, display_name = normal(username), display_name.strip()
    reasons = [
        *_role_faults(role, scope_kind),
        *_username_faults(username),
        *_name_faults(display_name),
        *(password_faults(password, username, display_name) if password is not None else ()),
    ]
    if not reasons and place_name(session, hub, scope_kind, scope) is None:
        reasons = [
            Reason(
                "scope",
                "unknown",
                None,
                f"Tidak ada {SCOPE_KINDS[scope_kind].id.lower()} itu di sini: pilih dari daftar.",
                f"There is no such {SCOPE_KINDS[scope_kind].en.lower()} here: choose from the list.",
            )
        ]
    if not reasons and session.get(Username, username) is not None:
        reasons = [
            Reason(
                "username",
                "taken",
                username,
                f"Nama pengguna {username!r} sudah dipakai: pilih yang lain.",
                f"user name {username!r} is taken: choose another",
            )
        ]
    if reasons:
        raise PersonRefused(*reasons)
    account_id = new_id()
    session.execute(
        insert(table(Username)), [{"name": username, "district": hub.district, "account_id": account_id}]
    )
    session.add(
        Account(
            district=hub.district,
            id=account_id,
            username=username,
            display_name=display_name,
            role=role,
            scope_kind=scope_kind,
            scope=scope,
            password_hash=hash_password(password) if password is not None else "",
            password_set_at=now if password is not None else None,
            failed_tries=0,
            created_at=now,
        )
    )
    session.flush()
    details = {"account": account_id, "role": role, "scope_kind": scope_kind, "scope": scope}
    audit.append(session, hub.district, audit.OFFICE, "account.added", actor=actor, now=now, details=details)
    return account_id


def normal(username: str) -> str:
    """Write a user name as it is kept: whatever its letter case, it is the same person."""
    return username.strip().lower()


def _role_faults(role: str, scope_kind: str) -> list[Reason]:
    if role not in ROLES:
        names = ", ".join(ROLES)
        return [
            Reason(
                "role", "unknown", None, f"Peran adalah salah satu dari {names}.", f"role is one of {names}"
            )
        ]
    if scope_kind not in SCOPE_KINDS:
        kinds = " / ".join(words.id for words in SCOPE_KINDS.values())
        return [
            Reason(
                "scope_kind",
                "unknown",
                None,
                f"Wilayah belum dipilih: pilih dari daftar ({kinds}).",
                f"scope is one of {', '.join(SCOPE_KINDS)}",
            )
        ]
    allowed = SCOPES_OF[role]
    if scope_kind not in allowed:
        indonesian = " / ".join(SCOPE_KINDS[kind].id for kind in allowed)
        return [
            Reason(
                "scope_kind",
                "not-of-this-role",
                scope_kind,
                f"Peran {ROLES[role].id} tidak dapat diberi wilayah {SCOPE_KINDS[scope_kind].id}: pilih {indonesian}.",
                f"the role {role} cannot have a scope of kind {scope_kind}: choose {' or '.join(allowed)}",
            )
        ]
    return []


def _username_faults(username: str) -> list[Reason]:
    if 3 <= len(username) <= 64 and all(c.isalnum() or c in "._-@" for c in username):
        return []
    return [
        Reason(
            "username",
            "odd",
            None,
            "Nama pengguna: 3 sampai 64 huruf, angka, '.', '_', '-' atau '@'.",
            f"user name {username[:70]!r}: 3 to 64 letters, digits, '.', '_', '-' or '@'",
        )
    ]


def _name_faults(name: str) -> list[Reason]:
    if name and name.isprintable() and len(name) <= 100:
        return []
    return [
        Reason(
            "name",
            "odd",
            None,
            "Nama: 1 sampai 100 karakter yang terlihat.",
            "name: give 1 to 100 visible characters",
        )
    ]


# -- places -------------------------------------------------------------------------------------------------------


def place_name(session: Session, hub: AppContext, scope_kind: str, scope: str) -> str | None:
    """Give the name of a scope's place; "" for a scope without one, None if there is no such place here."""
    if scope_kind == "none":
        return "" if scope == "" else None
    if scope_kind == "post" and UUID_TEXT.fullmatch(scope):
        post = session.get(HealthPost, (hub.district, scope))
        return post.name if post else None
    if scope_kind == "health_centre" and UUID_TEXT.fullmatch(scope):
        centre = session.get(HealthCentre, (hub.district, scope))
        return centre.name if centre else None
    if scope_kind == "district":
        region = session.get(Region, (hub.district, scope)) if scope == hub.district else None
        return region.name if region else (scope if scope == hub.district else None)
    if scope_kind in ("village", "subdistrict"):
        level = {"village": "village", "subdistrict": "district"}[scope_kind]  # as `regions` calls them
        region = session.get(Region, (hub.district, scope))
        return region.name if region and region.level == level else None
    if scope_kind == "donor" and UUID_TEXT.fullmatch(scope):
        donor = session.get(Donor, (hub.district, scope))
        return donor.name if donor else None
    return None


@dataclass(frozen=True, slots=True)
class ScopePlace:
    """A place that may be somebody's scope; `under` is the name of what holds it."""

    kind: str
    id: str
    name: str
    under: str


def places_to_give(session: Session, hub: AppContext, manager: Person, role: str) -> list[ScopePlace]:
    """List the places that a manager may give to somebody of a role, by kind and name."""
    kinds = SCOPES_OF[role]
    found: list[ScopePlace] = []
    whole = _is_whole(hub, manager)
    if whole and "none" in kinds:
        found.append(ScopePlace("none", "", "", ""))
    if whole and "district" in kinds:
        found.append(
            ScopePlace("district", hub.district, place_name(session, hub, "district", hub.district) or "", "")
        )
    centres = select(HealthCentre).where(HealthCentre.district == hub.district)
    posts = (
        select(HealthPost, HealthCentre.name)
        .join(
            HealthCentre,
            and_(
                HealthCentre.district == HealthPost.district, HealthCentre.id == HealthPost.health_centre_id
            ),
        )
        .where(HealthPost.district == hub.district)
    )
    if not whole:
        own = manager.scope if manager.scope_kind == "health_centre" else None
        centres = centres.where(HealthCentre.id == own if own else false())
        posts = posts.where(HealthPost.health_centre_id == own if own else false())
    if "health_centre" in kinds:
        rows = session.scalars(centres.order_by(HealthCentre.name))
        found += [ScopePlace("health_centre", row.id, row.name, "") for row in rows]
    if whole:
        found += _regions(session, hub, kinds)
    if whole and "donor" in kinds:
        donors = select(Donor).where(Donor.district == hub.district).order_by(Donor.name)
        found += [ScopePlace("donor", donor.id, donor.name, "") for donor in session.scalars(donors)]
    if "post" in kinds:
        ordered = posts.order_by(HealthCentre.name, HealthPost.name)
        found += [ScopePlace("post", post.id, post.name, centre) for post, centre in session.execute(ordered)]
    return found


def _regions(session: Session, hub: AppContext, kinds: Sequence[str]) -> list[ScopePlace]:
    rows = session.scalars(
        select(Region)
        .where(Region.district == hub.district, Region.level.in_(("district", "village")))
        .order_by(Region.code)
    ).all()
    names = {row.code: row.name for row in rows}
    kind_of = {"district": "subdistrict", "village": "village"}
    places = [
        ScopePlace(kind_of[row.level], row.code, row.name, names.get(row.parent_code or "", ""))
        for row in rows
        if kind_of[row.level] in kinds
    ]
    return sorted(places, key=lambda place: (place.kind, place.under, place.name))


def _is_whole(hub: AppContext, manager: Person) -> bool:
    return manager.scope_kind == "district" and manager.scope == hub.district


def _managed(hub: AppContext, manager: Person | None) -> ColumnElement[bool]:
    """Give the condition on Account that holds for those whom somebody manages; None is who operates the installation.

    Of a health centre: those of the centre and of its posts. Every other scope manages nobody.
    """
    own = Account.district == hub.district
    if manager is None or (manager.may("manage_people") and _is_whole(hub, manager)):
        return own
    if manager.may("manage_people") and manager.scope_kind == "health_centre":
        # text, as scopes are: PostgreSQL keeps the posts' ids as uuid
        posts = select(cast(HealthPost.id, Text)).where(
            HealthPost.district == hub.district, HealthPost.health_centre_id == manager.scope
        )
        return and_(
            own,
            or_(
                and_(Account.scope_kind == "health_centre", Account.scope == manager.scope),
                and_(Account.scope_kind == "post", Account.scope.in_(posts)),
            ),
        )
    return false()


def may_give(session: Session, hub: AppContext, manager: Person, scope_kind: str, scope: str) -> bool:
    """Say whether a scope is within a manager's own."""
    if not manager.may("manage_people"):
        return False
    if _is_whole(hub, manager):
        return True
    if manager.scope_kind != "health_centre":
        return False
    if scope_kind == "health_centre":
        return scope == manager.scope
    if scope_kind != "post" or not UUID_TEXT.fullmatch(scope):
        return False
    post = session.get(HealthPost, (hub.district, scope))
    return post is not None and post.health_centre_id == manager.scope


# -- listing ------------------------------------------------------------------------------------------------------


def people(session: Session, hub: AppContext, manager: Person | None, now: datetime) -> list[ListedPerson]:
    """List those whom somebody manages (None: everybody), by user name. A few statements, however many they are."""
    accounts = session.scalars(select(Account).where(_managed(hub, manager)).order_by(Account.username)).all()
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
    names = _names_of_places(session, hub)
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


def _names_of_places(session: Session, hub: AppContext) -> dict[tuple[str, str], str]:
    names: dict[tuple[str, str], str] = {}
    for id_, name in session.execute(
        select(HealthPost.id, HealthPost.name).where(HealthPost.district == hub.district)
    ):
        names["post", id_] = name
    for id_, name in session.execute(
        select(HealthCentre.id, HealthCentre.name).where(HealthCentre.district == hub.district)
    ):
        names["health_centre", id_] = name
    kinds = {"regency": "district", "district": "subdistrict", "village": "village"}
    for code, name, level in session.execute(
        select(Region.code, Region.name, Region.level).where(Region.district == hub.district)
    ):
        if level in kinds:
            names[kinds[level], code] = name
    return names


def managed_account(session: Session, hub: AppContext, manager: Person | None, account_id: str) -> Account:
    """Load, and lock, the account of somebody whom a manager manages.

    Raises
    ------
    Problem
        `record-unknown` if there is none within the manager's area.
    """
    found = None
    if UUID_TEXT.fullmatch(account_id):
        found = session.execute(
            select(Account).where(_managed(hub, manager), Account.id == account_id).with_for_update()
        ).scalar_one_or_none()
    if found is None:
        raise Problem("record-unknown")
    return found


def account_named(session: Session, hub: AppContext, username: str) -> Account:
    """Load, and lock, the account with a user name.

    Raises
    ------
    Problem
        `record-unknown` if there is none in this district.
    """
    found = session.execute(
        select(Account)
        .where(Account.district == hub.district, Account.username == normal(username))
        .with_for_update()
    ).scalar_one_or_none()
    if found is None:
        raise Problem("record-unknown")
    return found


# -- invitations --------------------------------------------------------------------------------------------------


def make_invitation(session: Session, hub: AppContext, account: Account, *, actor: str, now: datetime) -> str:
    """Give the token of a one-time link with which somebody sets a password; earlier ones work no more.

    Raises
    ------
    Problem
        `account-disabled`: enable the account first.
    """
    if account.disabled_at is not None:
        raise Problem("account-disabled")
    session.execute(
        update(table(Invitation))
        .where(
            Invitation.district == hub.district,
            Invitation.account_id == account.id,
            Invitation.used_at.is_(None),
            Invitation.expires_at > now,
        )
        .values(expires_at=now)
    )
    token = secrets.token_urlsafe(32)
    row = {
        "district": hub.district,
        "token_digest": token_digest(token),
        "account_id": account.id,
        "made_by": actor,
        "made_at": now,
        "expires_at": now + timedelta(days=INVITATION_DAYS),
    }
    session.execute(insert(table(Invitation)), [row])
    action = "account.reset-offered" if account.password_hash else "account.invited"
    details = {"account": account.id}
    audit.append(session, hub.district, audit.OFFICE, action, actor=actor, now=now, details=details)
    return token


def invited(session: Session, hub: AppContext, token: str, now: datetime) -> Person:
    """Give whom an invitation is for.

    Raises
    ------
    Problem
        `invitation-invalid`: wrong, used, expired, or of a disabled account.
    """
    return person_of(_invitation(session, hub, token, now)[1])


def take_up(session: Session, hub: AppContext, token: str, password: str, now: datetime) -> Person:
    """Set the password of who was invited; the old one, the second factor and every session end.

    Raises
    ------
    Problem
        `invitation-invalid`.
    PersonRefused
        The password is refused; the invitation can still be taken up.
    """
    invitation, account = _invitation(session, hub, token, now, locked=True)
    faults = password_faults(password, account.username, account.display_name)
    if faults:
        raise PersonRefused(*faults)
    invitation.used_at = now
    account.password_hash, account.password_set_at = hash_password(password), now
    account.failed_tries, account.locked_until = 0, None
    account.totp_sealed = account.totp_step = None
    for model in (RecoveryCode, UserSession):
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
            Invitation.token_digest == token_digest(token),
            Invitation.used_at.is_(None),
            Invitation.expires_at > now,
            Account.disabled_at.is_(None),
        )
    )
    found = session.execute(query.with_for_update() if locked else query).one_or_none()
    if found is None:
        raise Problem("invitation-invalid")
    return found[0], found[1]


# -- shutting out -------------------------------------------------------------------------------------------------


def disable_account(session: Session, hub: AppContext, username: str, *, actor: str, now: datetime) -> None:
    """Take a person's right to sign in, and end their sessions."""
    disable(session, hub, account_named(session, hub, username), actor=actor, now=now)


def disable(session: Session, hub: AppContext, account: Account, *, actor: str, now: datetime) -> None:
    """Take a person's right to sign in, and end their sessions and invitations."""
    if account.disabled_at is None:
        account.disabled_at = now
    session.execute(
        delete(table(UserSession)).where(
            UserSession.district == hub.district, UserSession.account_id == account.id
        )
    )
    session.execute(
        update(table(Invitation))
        .where(
            Invitation.district == hub.district,
            Invitation.account_id == account.id,
            Invitation.used_at.is_(None),
            Invitation.expires_at > now,
        )
        .values(expires_at=now)
    )
    session.flush()
    details = {"account": account.id}
    audit.append(
        session, hub.district, audit.OFFICE, "account.disabled", actor=actor, now=now, details=details
    )


def enable(session: Session, hub: AppContext, account: Account, *, actor: str, now: datetime) -> None:
    """Give the right to sign in back, with the password and the second factor as they were."""
    if account.disabled_at is None:
        return
    account.disabled_at = None
    account.failed_tries, account.locked_until = 0, None
    session.flush()
    details = {"account": account.id}
    audit.append(
        session, hub.district, audit.OFFICE, "account.enabled", actor=actor, now=now, details=details
    )
