"""People and tablets: who may sign in, and which devices may send.

A tablet is one *enrolment* of one device: a one-time code, made for a post, is exchanged for an identity together with
the device's public key. Codes, passwords and session tokens are stored only as digests.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from schemas import EnrolAgainRequest, EnrolRequest
from server import audit
from server.errors import Problem
from server.hub import Hub
from server.models import Account, ChangeRow, EnrolmentCode, HealthPost, SignIn, Tablet, Username, table
from server.places import new_id
from server.security import (
    base64url,
    hash_password,
    password_fits,
    public_key,
    signature_fits,
    token_digest,
)
from sync_protocol import TAG_LENGTH, canonical

ROLES: Final = ("staff", "supervisor", "administrator")
SCOPE_KINDS: Final = ("post", "health_centre", "district")
CODE_ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Without 0, O, 1, I and L, which are misread on paper."""
CODE_DAYS: Final = 7
MAX_HEIRS: Final = 5
"""Devices that may go on from one closed enrolment by themselves; a copied key must not make tablets without end."""
MAX_FAILED_TRIES: Final = 10
LOCK_MINUTES: Final = 15
MIN_PASSWORD: Final = 12


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody signed in. `scope` is the id or code of what they may see, by `scope_kind`."""

    account_id: str
    username: str
    display_name: str
    role: str
    scope_kind: str
    scope: str


# -- tablets --------------------------------------------------------------------------------------


def make_enrolment_code(
    session: Session, hub: Hub, post_id: str, tablet_name: str, *, actor: str, now: datetime
) -> str:
    """Give a one-time code for a device of a post, valid for CODE_DAYS days: XXXX-XXXX-XX.

    Raises
    ------
    Problem
        `record-unknown` if there is no such post.
    """
    if session.get(HealthPost, (hub.district, post_id)) is None:
        raise Problem("record-unknown")
    letters = "".join(secrets.choice(CODE_ALPHABET) for _ in range(10))
    code = f"{letters[:4]}-{letters[4:8]}-{letters[8:]}"
    row = {
        "district": hub.district,
        "code_digest": token_digest(code),
        "post_id": post_id,
        "tablet_name": tablet_name,
        "expires_at": now + timedelta(days=CODE_DAYS),
    }
    session.execute(insert(table(EnrolmentCode)), [row])
    details = {"post": post_id, "tablet_name": tablet_name}
    stream = audit.post_stream(post_id)
    audit.append(session, hub.district, stream, "tablet.code-made", actor=actor, now=now, details=details)
    return code


def enrol(session: Session, hub: Hub, request: EnrolRequest, now: datetime) -> Tablet:
    """Exchange a code for a new tablet. The same device with the same code, its answer lost, is the same tablet.

    Parameters
    ----------
    request : code, public key and app, as `schemas` read them

    Raises
    ------
    Problem
        `enrolment-code-invalid` (wrong, used or expired), `request-malformed` (not a point of the curve).
    """
    found = session.execute(
        select(EnrolmentCode)
        .where(
            EnrolmentCode.district == hub.district, EnrolmentCode.code_digest == token_digest(request.code)
        )
        .with_for_update()
    ).scalar_one_or_none()
    if found is None:
        raise Problem("enrolment-code-invalid")
    jwk = _jwk(request.x, request.y)
    made = found.tablet_id and session.get(Tablet, (hub.district, found.tablet_id))
    if made and orjson.loads(made.public_key) == jwk:
        return made
    if found.used_at is not None or found.expires_at < now:
        raise Problem("enrolment-code-invalid")
    tablet = _add_tablet(session, hub, found.post_id, found.tablet_name, jwk, request.app, now)
    found.used_at, found.tablet_id = now, tablet.id
    session.flush()
    return tablet


def enrol_again(session: Session, hub: Hub, request: EnrolAgainRequest, now: datetime) -> tuple[Tablet, int]:
    """Give a device whose enrolment was closed a new one, on the strength of its old key. Asked again, answer the same.

    Returns
    -------
    (the new tablet, the newest counter up to which the server's chain of the old one equals the device's)

    Raises
    ------
    Problem
        `tablet-unknown`, `tablet-revoked` or `signature-invalid` for the old enrolment; `request-malformed` for a key that
        is not a point of the curve; `too-many-enrolments` after MAX_HEIRS: then a person must look.
    """
    old = session.get(Tablet, (hub.district, request.tablet_id), with_for_update=True)
    if old is None:
        raise Problem("tablet-unknown", tablet=request.tablet_id, district=hub.district)
    if not signature_fits(orjson.loads(old.public_key), canonical(request.asked), request.signature):
        raise Problem("signature-invalid", tablet=old.id)
    if old.revoked_at is not None:
        raise Problem("tablet-revoked", tablet=old.id)
    jwk = _jwk(request.x, request.y)
    heirs = session.scalars(
        select(Tablet).where(Tablet.district == hub.district, Tablet.replaces == old.id)
    ).all()
    new = next((heir for heir in heirs if orjson.loads(heir.public_key) == jwk), None)
    if new is None:
        if len(heirs) >= MAX_HEIRS:
            raise Problem("too-many-enrolments", tablet=old.id)
        if old.split_at is None:
            old.split_at = now
        new = _add_tablet(session, hub, old.post_id, old.name, jwk, request.app, now, replaces=old.id)
    return new, _common(session, hub.district, old.id, request)


def _common(session: Session, district: str, tablet_id: str, request: EnrolAgainRequest) -> int:
    """Compare what the device keeps with what is held, from the oldest on."""
    rows = session.execute(
        select(ChangeRow.counter, ChangeRow.hash).where(
            ChangeRow.district == district,
            ChangeRow.actor == tablet_id,
            ChangeRow.counter.between(request.first, request.first + len(request.tags)),
        )
    )
    held = {row.counter: row.hash[:TAG_LENGTH] for row in rows}
    common = request.first - 1
    for counter, tag in enumerate(request.tags, request.first):
        if held.get(counter) != tag:
            break
        common = counter
    return common


def _jwk(x: bytes, y: bytes) -> dict[str, str]:
    jwk = {"kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y)}
    try:
        public_key(jwk)
    except ValueError as error:
        raise Problem("request-malformed", reason="public_key is not a point of P-256") from error
    return jwk


def _add_tablet(
    session: Session,
    hub: Hub,
    post_id: str,
    name: str,
    jwk: dict[str, str],
    app: str,
    now: datetime,
    *,
    replaces: str | None = None,
) -> Tablet:
    tablet = Tablet(
        district=hub.district,
        id=new_id(),
        post_id=post_id,
        name=name,
        public_key=orjson.dumps(jwk).decode(),
        taken=0,
        chain_hash="",
        enrolled_at=now,
        app=app,
        replaces=replaces,
    )
    session.add(tablet)
    session.flush()
    details = {"tablet": tablet.id, "name": name, "app": app}
    details |= {"replaces": replaces} if replaces else {}
    stream, actor = audit.post_stream(post_id), f"tablet:{tablet.id}"
    audit.append(session, hub.district, stream, "tablet.enrolled", actor=actor, now=now, details=details)
    return tablet


def revoke_tablet(session: Session, hub: Hub, tablet_id: str, *, actor: str, now: datetime) -> None:
    """Take a tablet's right to be believed: what it still sends is kept for a person to judge."""
    tablet = session.get(Tablet, (hub.district, tablet_id), with_for_update=True)
    if tablet is None:
        raise Problem("record-unknown")
    if tablet.revoked_at is not None:
        return
    tablet.revoked_at = now
    stream = audit.post_stream(tablet.post_id)
    details = {"tablet": tablet_id}
    audit.append(session, hub.district, stream, "tablet.revoked", actor=actor, now=now, details=details)


# -- people ---------------------------------------------------------------------------------------


def add_account(
    session: Session,
    hub: Hub,
    username: str,
    display_name: str,
    role: str,
    scope_kind: str,
    scope: str,
    password: str,
    *,
    actor: str,
    now: datetime,
) -> str:
    """Add a person who may sign in, and give the account's id.

    Raises
    ------
    ValueError
        Unknown role or kind of scope, a user name that is taken or odd, or a password that is too short.
    """
    username = username.strip().lower()
    if role not in ROLES or scope_kind not in SCOPE_KINDS:
        raise ValueError(f"role is one of {', '.join(ROLES)}; scope is one of {', '.join(SCOPE_KINDS)}")
    if not 3 <= len(username) <= 64 or not all(c.isalnum() or c in "._-@" for c in username):
        raise ValueError(f"user name {username!r}: 3 to 64 letters, digits, '.', '_', '-' or '@'")
    if len(password) < MIN_PASSWORD:
        raise ValueError(f"the password has {len(password)} characters: give at least {MIN_PASSWORD}")
    if session.get(Username, username) is not None:
        raise ValueError(f"user name {username!r} is taken: choose another")
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
            password_hash=hash_password(password),
            failed_tries=0,
            created_at=now,
        )
    )
    session.flush()
    details = {"account": account_id, "role": role, "scope_kind": scope_kind, "scope": scope}
    audit.append(session, hub.district, audit.OFFICE, "account.added", actor=actor, now=now, details=details)
    return account_id


def sign_in(session: Session, hub: Hub, username: str, password: str, now: datetime) -> str | None:
    """Check a password and open a session; give its token, or None (which is logged too, so let it commit).

    Raises
    ------
    Problem
        `too-many-tries` while the account is locked.
    """
    account = session.execute(
        select(Account)
        .where(Account.district == hub.district, Account.username == username.strip().lower())
        .with_for_update()
    ).scalar_one_or_none()
    if account and account.locked_until and account.locked_until > now:
        raise Problem("too-many-tries", seconds=int((account.locked_until - now).total_seconds()) + 1)
    usable = account is not None and account.disabled_at is None
    if not password_fits(account.password_hash if account and usable else None, password) or account is None:
        _note_failure(session, hub, account, now)
        return None
    account.failed_tries, account.locked_until = 0, None
    token = secrets.token_urlsafe(32)
    session.add(
        SignIn(
            district=hub.district,
            token_digest=token_digest(token),
            account_id=account.id,
            created_at=now,
            expires_at=now + timedelta(minutes=hub.settings.session_minutes),
        )
    )
    actor = f"account:{account.id}"
    audit.append(session, hub.district, audit.OFFICE, "sign-in.succeeded", actor=actor, now=now)
    return token


def _note_failure(session: Session, hub: Hub, account: Account | None, now: datetime) -> None:
    details = {"account": account.id if account else None}
    if account is not None:
        account.failed_tries += 1
        if account.failed_tries >= MAX_FAILED_TRIES:
            account.failed_tries, account.locked_until = 0, now + timedelta(minutes=LOCK_MINUTES)
            details["locked_minutes"] = str(LOCK_MINUTES)
    audit.append(
        session, hub.district, audit.OFFICE, "sign-in.failed", actor="unknown", now=now, details=details
    )


def who_is(session: Session, hub: Hub, token: str, now: datetime) -> Person | None:
    """Give the person of a session that has not ended."""
    row = session.execute(
        select(Account)
        .join(SignIn, (SignIn.district == Account.district) & (SignIn.account_id == Account.id))
        .where(
            SignIn.district == hub.district,
            SignIn.token_digest == token_digest(token),
            SignIn.expires_at > now,
            Account.disabled_at.is_(None),
        )
    ).scalar_one_or_none()
    if row is None:
        return None
    return Person(row.id, row.username, row.display_name, row.role, row.scope_kind, row.scope)


def sign_out(session: Session, hub: Hub, token: str, person: Person, now: datetime) -> None:
    """End a session."""
    session.execute(
        delete(table(SignIn)).where(
            SignIn.district == hub.district, SignIn.token_digest == token_digest(token)
        )
    )
    actor = f"account:{person.account_id}"
    audit.append(session, hub.district, audit.OFFICE, "sign-in.ended", actor=actor, now=now)


def disable_account(session: Session, hub: Hub, username: str, *, actor: str, now: datetime) -> None:
    """Take a person's right to sign in, and end their sessions."""
    account = session.execute(
        select(Account).where(Account.district == hub.district, Account.username == username.strip().lower())
    ).scalar_one_or_none()
    if account is None:
        raise Problem("record-unknown")
    session.execute(
        update(table(Account))
        .where(Account.district == hub.district, Account.id == account.id)
        .values(disabled_at=now)
    )
    session.execute(
        delete(table(SignIn)).where(SignIn.district == hub.district, SignIn.account_id == account.id)
    )
    details = {"account": account.id}
    audit.append(
        session, hub.district, audit.OFFICE, "account.disabled", actor=actor, now=now, details=details
    )
