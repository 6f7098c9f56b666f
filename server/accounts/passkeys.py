"""Passkeys (WebAuthn): a second factor beside the app, and the way to sign in without a password. No site but ours can ask
for one, so that nothing can be phished.

Rules kept here:
- Origin and RP id come from the configured public address; without one there are no passkeys.
- A challenge carries its time and a MAC over what it is for. It is good for some minutes and is used once: an answer that is
  sent again is refused, also where the authenticator does not count.
- A counter must grow where an authenticator has one. An authenticator is not asked what it is (attestation "none").
- Beside the app, never instead of it: who loses the authenticator has the app and the recovery codes.
- Signing in without a password needs the authenticator to have verified its user; after a password its presence is enough.
- Wrong answers have the limits of wrong codes.
"""

import ipaddress
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
import webauthn
from sqlalchemy import select
from sqlalchemy.orm import Session
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AttestationFormat,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from server import audit
from server.accounts import attempt_limits
from server.accounts.sessions import SignedIn, open_session, own_account, renew_token
from server.config import Settings
from server.context import AppContext
from server.crypto.vault import base64url, unbase64
from server.database.ids import new_id
from server.database.models import Account, Passkey
from server.errors import Problem

SITE_NAME: Final = "Posyandu Sync"
MINUTES: Final = 5
"""How long a challenge is good."""
MOST_KEYS: Final = 10
MOST_NAME: Final = 60
MOST_ANSWER: Final = 16_384
"""Characters of a browser's answer."""
REGISTER, PROVE, SIGN_IN = "register", "prove", "sign-in"
"""What a challenge is for: a new passkey, the second factor of a session, signing in without a password."""


@dataclass(frozen=True, slots=True)
class ListedPasskey:
    """One of a person's passkeys, in a list."""

    id: str
    name: str
    created_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Site:
    """Where passkeys are good: the RP id (a domain) and the origin."""

    rp_id: str
    origin: str


def site(settings: Settings) -> Site | None:
    """Return the site of the configured public address; None without one, or where it has no domain (WebAuthn wants one)."""
    host = urlsplit(settings.public_url).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return Site(host, settings.public_url) if host else None
    return None


# -- challenges ---------------------------------------------------------------------------------------------------


def _challenge(hub: AppContext, purpose: str, now: datetime) -> bytes:
    drawn = f"{int(now.timestamp() * 1000)}.{secrets.token_urlsafe(16)}"
    return f"{drawn}.{_mac(hub, purpose, drawn)}".encode()


def _mac(hub: AppContext, purpose: str, drawn: str) -> str:
    return hub.vault.digest(f"passkey/{purpose}", drawn)


def _use_challenge(session: Session, hub: AppContext, purpose: str, answer: str, now: datetime) -> bytes:
    """Return the challenge of an answer, used up; `passkey-failed` if it is not ours, too old or was used before."""
    text = _challenge_in(answer)
    drawn, _, mac = text.rpartition(".")
    if not compare_digest(mac.encode(), _mac(hub, purpose, drawn).encode()):
        raise Problem("passkey-failed")
    made_at = datetime.fromtimestamp(int(drawn.partition(".")[0]) / 1000, UTC)
    if not timedelta(0) <= now - made_at < timedelta(minutes=MINUTES):
        raise Problem("passkey-failed")
    # counted in the window in which it was made, however late it is used
    if attempt_limits.seconds_to_wait(session, hub, "passkey-answer", text, made_at, lock=True):
        raise Problem("passkey-failed")
    attempt_limits.note_failure(session, hub, "passkey-answer", text, made_at)
    return text.encode()


def _challenge_in(answer: str) -> str:
    """Read the challenge that a browser's answer names; "" if it cannot be read. Nothing is believed yet."""
    try:
        told = orjson.loads(unbase64(_read(answer)["response"]["clientDataJSON"]))
        return unbase64(told["challenge"]).decode("ascii")
    except (ValueError, KeyError, TypeError):
        return ""


def _read(answer: str) -> dict[str, Any]:
    read = orjson.loads(answer if len(answer) <= MOST_ANSWER else "")
    if not isinstance(read, dict):
        raise TypeError("an answer is an object")
    return read


# -- registering ------------------------------------------------------------------------------------------------------


def creation_options(session: Session, hub: AppContext, signed_in: SignedIn, now: datetime) -> str | None:
    """Return what the browser needs to make a passkey (JSON); None where passkeys cannot be."""
    here = site(hub.settings)
    if here is None:
        return None
    known = _rows(session, hub, signed_in.person.account_id)
    options = webauthn.generate_registration_options(
        rp_id=here.rp_id,
        rp_name=SITE_NAME,
        user_id=_handle(hub, signed_in.person.account_id),
        user_name=signed_in.person.username,
        user_display_name=signed_in.person.display_name,
        challenge=_challenge(hub, _bound(REGISTER, signed_in), now),
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.PREFERRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(unbase64(row.credential_id)) for row in known],
    )
    return webauthn.options_to_json(options)


def _handle(hub: AppContext, account_id: str) -> bytes:
    """Return what authenticators keep for a person: 32 bytes that tell nothing, the same for all of their passkeys."""
    return unbase64(hub.vault.digest("passkey-handle", account_id))


def _bound(purpose: str, signed_in: SignedIn) -> str:
    return f"{purpose}/{signed_in.id}"


def register(
    session: Session,
    hub: AppContext,
    signed_in: SignedIn,
    answer: str,
    name: str,
    now: datetime,
) -> None:
    """Keep a new passkey.

    Parameters
    ----------
    answer : the browser's, as JSON
    name : what its owner calls it

    Raises
    ------
    Problem
        `passkey-failed`; `passkey-name`; `passkeys-full`.
    """
    here, name = site(hub.settings), name.strip()
    if here is None or not signed_in.has_second_factor:
        raise Problem("passkey-failed")
    if not name or not name.isprintable() or len(name) > MOST_NAME:
        raise Problem("passkey-name", most=MOST_NAME)
    account = own_account(session, hub, signed_in.person)  # locked: two that come at once are counted
    known = _rows(session, hub, account.id)
    if len(known) >= MOST_KEYS:
        raise Problem("passkeys-full", most=MOST_KEYS)
    challenge = _use_challenge(session, hub, _bound(REGISTER, signed_in), answer, now)
    try:
        made = webauthn.verify_registration_response(
            credential=_read(answer),
            expected_challenge=challenge,
            expected_rp_id=here.rp_id,
            expected_origin=here.origin,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise Problem("passkey-failed") from error
    credential_id = base64url(made.credential_id)
    there = session.get(Passkey, (hub.district, credential_id)) is not None
    if made.fmt != AttestationFormat.NONE or there:
        raise Problem("passkey-failed")
    session.add(
        Passkey(
            district=hub.district,
            credential_id=credential_id,
            account_id=account.id,
            id=new_id(),
            name=name,
            user_handle=_handle(hub, account.id),
            public_key=made.credential_public_key,
            sign_count=made.sign_count,
            created_at=now,
        )
    )
    session.flush()
    _log(session, hub, account.id, "passkey.added", now, passkey=_short(credential_id))


def _short(credential_id: str) -> str:
    """Return the beginning of a credential's id, by which the log tells passkeys apart."""
    return credential_id[:12]


def _log(
    session: Session, hub: AppContext, account_id: str, action: str, now: datetime, **details: Any
) -> None:
    actor, told = f"account:{account_id}", {"account": account_id, **details}
    audit.append(session, hub.district, audit.OFFICE, action, actor=actor, now=now, details=told)


# -- using ------------------------------------------------------------------------------------------------------------


def request_options(session: Session, hub: AppContext, signed_in: SignedIn, now: datetime) -> str | None:
    """Return what the browser needs to use one of a person's passkeys (JSON); None where there is none."""
    here, known = site(hub.settings), _rows(session, hub, signed_in.person.account_id)
    if here is None or not known:
        return None
    options = webauthn.generate_authentication_options(
        rp_id=here.rp_id,
        challenge=_challenge(hub, _bound(PROVE, signed_in), now),
        allow_credentials=[PublicKeyCredentialDescriptor(unbase64(row.credential_id)) for row in known],
        user_verification=UserVerificationRequirement.PREFERRED,
    )
    return webauthn.options_to_json(options)


def sign_in_options(hub: AppContext, now: datetime) -> str | None:
    """Return what the browser needs to sign in somebody who is not named yet (JSON); None where there are no passkeys."""
    here = site(hub.settings)
    if here is None:
        return None
    options = webauthn.generate_authentication_options(
        rp_id=here.rp_id,
        challenge=_challenge(hub, SIGN_IN, now),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return webauthn.options_to_json(options)


def pass_with_passkey(
    session: Session,
    hub: AppContext,
    signed_in: SignedIn,
    answer: str,
    now: datetime,
    *,
    address: str = "",
    action: str = "sign-in.succeeded",
) -> str | None:
    """Take a passkey as the second factor of a session; return the session's new token, or None if it is wrong (which is
    counted and logged: commit it).

    Raises
    ------
    Problem
        `too-many-tries`, as for codes.
    """
    account = own_account(session, hub, signed_in.person)
    places = (("second-factor", address), ("second-factor-of", account.id))
    for what, place in places:
        attempt_limits.refuse_if_spent(session, hub, what, place, now, lock=True)
    if not _fits(session, hub, _bound(PROVE, signed_in), answer, now, account, verified=False):
        for what, place in places:
            attempt_limits.note_failure(session, hub, what, place, now)
        details = {"account": account.id, "by": "passkey"}
        told = (session, hub.district, audit.OFFICE, "second-factor.failed")
        audit.append(*told, actor="unknown", now=now, details=details)
        return None
    attempt_limits.forgive(session, hub, "second-factor-of", account.id)
    token = renew_token(session, hub, signed_in, now)
    _log(session, hub, account.id, action, now, second_factor="passkey")
    return token


def sign_in(
    session: Session, hub: AppContext, answer: str, now: datetime, *, address: str = "", agent: str = ""
) -> str | None:
    """Sign somebody in by a passkey alone; return the session's token, or None (which is counted and logged: commit it).

    Raises
    ------
    Problem
        `too-many-tries` after too many failures from the address.
    """
    attempt_limits.refuse_if_spent(session, hub, "sign-in", address, now, lock=True)
    account = _owner(session, hub, answer)
    if account is None or not _fits(session, hub, SIGN_IN, answer, now, account, verified=True):
        attempt_limits.note_failure(session, hub, "sign-in", address, now)
        details = {"account": account.id if account else None, "by": "passkey"}
        told = (session, hub.district, audit.OFFICE, "sign-in.failed")
        audit.append(*told, actor="unknown", now=now, details=details)
        return None
    return open_session(session, hub, account, now, agent=agent, passkey=True)


def _owner(session: Session, hub: AppContext, answer: str) -> Account | None:
    """Return the account whose passkey and user handle an answer names, if it may sign in."""
    try:
        told = _read(answer)
        credential_id, handle = str(told["id"]), unbase64(told["response"]["userHandle"])
    except (ValueError, KeyError, TypeError):
        return None
    row = session.get(Passkey, (hub.district, credential_id))
    if row is None or not compare_digest(row.user_handle, handle):
        return None
    account = session.get(Account, (hub.district, row.account_id), with_for_update=True)
    return account if account is not None and account.disabled_at is None else None


def _fits(
    session: Session,
    hub: AppContext,
    purpose: str,
    answer: str,
    now: datetime,
    account: Account,
    *,
    verified: bool,
) -> bool:
    """Check an answer by a passkey of an account, and remember its counter."""
    here = site(hub.settings)
    try:
        challenge = _use_challenge(session, hub, purpose, answer, now)
        told = _read(answer)
        row = _believed(session, hub, account.id, str(told["id"]))
        if here is None or row is None:
            return False
        used = webauthn.verify_authentication_response(
            credential=told,
            expected_challenge=challenge,
            expected_rp_id=here.rp_id,
            expected_origin=here.origin,
            credential_public_key=row.public_key,
            credential_current_sign_count=row.sign_count,
            require_user_verification=verified,
        )
    except (Problem, WebAuthnException, ValueError, KeyError, TypeError):
        return False
    row.sign_count, row.used_at = used.new_sign_count, now
    session.flush()
    return True


def _believed(session: Session, hub: AppContext, account_id: str, credential_id: str) -> Passkey | None:
    """Load a passkey of an account, locked: the one place where a row that was altered in the database would be refused."""
    row = session.get(Passkey, (hub.district, credential_id), with_for_update=True)
    return row if row is not None and row.account_id == account_id else None


# -- keeping ----------------------------------------------------------------------------------------------------------


def _rows(session: Session, hub: AppContext, account_id: str) -> list[Passkey]:
    mine = Passkey.district == hub.district, Passkey.account_id == account_id
    return list(session.scalars(select(Passkey).where(*mine).order_by(Passkey.created_at, Passkey.id)))


def passkeys_of(session: Session, hub: AppContext, account_id: str) -> list[ListedPasskey]:
    """List a person's passkeys, the oldest first."""
    return [
        ListedPasskey(row.id, row.name, row.created_at, row.used_at)
        for row in _rows(session, hub, account_id)
    ]


def rename(
    session: Session, hub: AppContext, signed_in: SignedIn, passkey_id: str, name: str, now: datetime
) -> None:
    """Give one of the own passkeys another name.

    Raises
    ------
    Problem
        `record-unknown`; `passkey-name`.
    """
    name = name.strip()
    if not name or not name.isprintable() or len(name) > MOST_NAME:
        raise Problem("passkey-name", most=MOST_NAME)
    row = _own(session, hub, signed_in, passkey_id)
    row.name = name
    session.flush()
    _log(session, hub, row.account_id, "passkey.renamed", now, passkey=_short(row.credential_id))


def remove(session: Session, hub: AppContext, signed_in: SignedIn, passkey_id: str, now: datetime) -> None:
    """Remove one of the own passkeys; `record-unknown` if it is not theirs."""
    row = _own(session, hub, signed_in, passkey_id)
    session.delete(row)
    session.flush()
    _log(session, hub, row.account_id, "passkey.removed", now, passkey=_short(row.credential_id))


def _own(session: Session, hub: AppContext, signed_in: SignedIn, passkey_id: str) -> Passkey:
    mine = Passkey.district == hub.district, Passkey.account_id == signed_in.person.account_id
    row = session.scalars(
        select(Passkey).where(*mine, Passkey.id == passkey_id).with_for_update()
    ).one_or_none()
    if row is None:
        raise Problem("record-unknown")
    return row
