"""The second factor: a code of an app that changes every half minute (TOTP, RFC 6238), and recovery codes on paper.

Rules kept here:
- The secret is encrypted under the district's key, bound to its account. Until a code confirms it, it is stored nowhere: it
  is in the form that asks for the code, encrypted and bound to the session.
- A code is accepted one step early or late, and each time step only once, so that an observed code is useless.
- Wrong codes have limits of their own, by account and by address: knowing the password allows few guesses.
- A recovery code works once. Its digest is keyed, so that codes cannot be guessed from the table alone.
"""

import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import pyotp
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from server import audit
from server.accounts import attempt_limits
from server.accounts.codes import LONG, letters_of, new_code
from server.accounts.sessions import SignedIn, end_others, own_account, renew_token
from server.context import AppContext
from server.crypto.vault import KeyUnusable, base64url, unbase64
from server.database.models import Account, RecoveryCode, table

ISSUER: Final = "Posyandu Sync"
STEP_SECONDS: Final = 30
DIGITS: Final = 6
RECOVERY_CODES: Final = 10


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret that is not confirmed yet: for the app, as text, and encrypted for the form that sends it back."""

    text: str = field(repr=False)
    address: str = field(repr=False)
    sealed: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Passed:
    """A second factor was accepted: the session's new token, and the number of recovery codes left.

    `by_recovery_code`: a recovery code was used.
    """

    token: str = field(repr=False)
    by_recovery_code: bool
    codes_left: int


def new_secret(hub: AppContext, signed_in: SignedIn) -> NewSecret:
    """Generate a secret for a person who sets up an app; `address` is the content of the QR code."""
    text = pyotp.random_base32()
    address = pyotp.TOTP(text).provisioning_uri(name=signed_in.person.username, issuer_name=ISSUER)
    return NewSecret(text, address, _seal_pending(hub, signed_in, text))


def pending_secret(hub: AppContext, signed_in: SignedIn, sealed: str) -> NewSecret | None:
    """Decrypt the secret that a form sent back; None if it is of another session, or not ours."""
    try:
        text = hub.vault.unseal_for_district(unbase64(sealed), _pending_purpose(hub, signed_in)).decode()
    except (KeyUnusable, ValueError):
        return None
    address = pyotp.TOTP(text).provisioning_uri(name=signed_in.person.username, issuer_name=ISSUER)
    return NewSecret(text, address, sealed)


def _seal_pending(hub: AppContext, signed_in: SignedIn, text: str) -> str:
    return base64url(hub.vault.seal_for_district(text.encode(), _pending_purpose(hub, signed_in)))


def _pending_purpose(hub: AppContext, signed_in: SignedIn) -> str:
    return f"totp-pending/{hub.district}/{signed_in.id}"


def purpose(hub: AppContext, account_id: str) -> str:
    """Return what a secret's encryption is bound to."""
    return f"totp/{hub.district}/{account_id}"


def set_up(
    session: Session, hub: AppContext, signed_in: SignedIn, secret: NewSecret, code: str, now: datetime
) -> tuple[str, list[str]] | None:
    """Make a secret a person's second factor, if a code shows that their app has it.

    All other sessions end, and recovery codes of an earlier factor are deleted.

    Returns
    -------
    (the session's new token, the recovery codes, shown only now); None if the code is wrong
    """
    step = _step_of(secret.text, _digits(code), now, after=None)
    if step is None:
        return None
    account = own_account(session, hub, signed_in.person)
    account.totp_sealed = hub.vault.seal_for_district(secret.text.encode(), purpose(hub, account.id))
    account.totp_step = step
    session.flush()
    codes = _new_codes(session, hub, account)
    end_others(session, hub, signed_in, now)
    token = renew_token(session, hub, signed_in, now)
    actor, details = f"account:{account.id}", {"account": account.id}
    audit.append(
        session, hub.district, audit.OFFICE, "second-factor.set-up", actor=actor, now=now, details=details
    )
    return token, codes


def pass_second_factor(
    session: Session,
    hub: AppContext,
    signed_in: SignedIn,
    given: str,
    now: datetime,
    *,
    address: str = "",
    action: str = "sign-in.succeeded",
) -> Passed | None:
    """Check a code of the app or a recovery code; None if it is wrong (which is counted and logged: commit it).

    Parameters
    ----------
    action : as what the right code is logged

    Raises
    ------
    Problem
        `too-many-tries` after too many wrong codes for this account, or from this address.
    """
    # locked before the limits are read: of attempts at once, each must see what the one before it came to
    account = own_account(session, hub, signed_in.person)
    attempt_limits.refuse_if_spent(session, hub, "second-factor", address, now, lock=True)
    attempt_limits.refuse_if_spent(session, hub, "second-factor-of", account.id, now, lock=True)
    how = None
    if _uses_app(session, hub, account, given, now):
        how = "code"
    elif _uses_recovery_code(session, hub, account, given, now):
        how = "recovery-code"
    if how is None:
        attempt_limits.note_failure(session, hub, "second-factor", address, now)
        attempt_limits.note_failure(session, hub, "second-factor-of", account.id, now)
        details = {"account": account.id}
        audit.append(
            session,
            hub.district,
            audit.OFFICE,
            "second-factor.failed",
            actor="unknown",
            now=now,
            details=details,
        )
        return None
    attempt_limits.forgive(session, hub, "second-factor-of", account.id)
    left = codes_left(session, hub, account.id)
    token = renew_token(session, hub, signed_in, now)
    actor, result = f"account:{account.id}", {"second_factor": how, "codes_left": left}
    audit.append(session, hub.district, audit.OFFICE, action, actor=actor, now=now, details=result)
    return Passed(token, how == "recovery-code", left)


def _uses_app(session: Session, hub: AppContext, account: Account, given: str, now: datetime) -> bool:
    if account.totp_sealed is None:
        return False
    text = hub.vault.unseal_for_district(account.totp_sealed, purpose(hub, account.id)).decode()
    step = _step_of(text, _digits(given), now, after=account.totp_step)
    if step is None:
        return False
    account.totp_step = step
    session.flush()
    return True


def _digits(given: str) -> str:
    """Remove the spaces with which apps show a code."""
    return "".join(given.split())


def _step_of(secret: str, code: str, now: datetime, *, after: int | None) -> int | None:
    """Return the time step of a code: this one or a neighbour, later than the last step used; None if there is none.

    All three are compared, each in constant time.
    """
    totp, present = (
        pyotp.TOTP(secret, digits=DIGITS, interval=STEP_SECONDS),
        int(now.timestamp()) // STEP_SECONDS,
    )
    fitting = None
    for step in (present - 1, present, present + 1):
        fits = hmac.compare_digest(totp.generate_otp(step).encode(), code.encode())
        if fits and (after is None or step > after):
            fitting = step
    return fitting


# -- recovery codes -----------------------------------------------------------------------------------------------


def new_recovery_codes(session: Session, hub: AppContext, signed_in: SignedIn, now: datetime) -> list[str]:
    """Generate ten new recovery codes, shown only now; delete the earlier ones."""
    account = own_account(session, hub, signed_in.person)
    codes = _new_codes(session, hub, account)
    actor, details = f"account:{account.id}", {"account": account.id}
    audit.append(
        session, hub.district, audit.OFFICE, "second-factor.codes-made", actor=actor, now=now, details=details
    )
    return codes


def codes_left(session: Session, hub: AppContext, account_id: str) -> int:
    """Count the unused recovery codes."""
    return session.execute(
        select(func.count()).where(
            RecoveryCode.district == hub.district,
            RecoveryCode.account_id == account_id,
            RecoveryCode.used_at.is_(None),
        )
    ).scalar_one()


def _new_codes(session: Session, hub: AppContext, account: Account) -> list[str]:
    session.execute(
        delete(table(RecoveryCode)).where(
            RecoveryCode.district == hub.district, RecoveryCode.account_id == account.id
        )
    )
    codes = [new_code(LONG) for _ in range(RECOVERY_CODES)]
    digests = [_digest(hub, account.id, letters_of(code)) for code in codes]
    mine = {"district": hub.district, "account_id": account.id}
    session.add_all(RecoveryCode(**mine, code_digest=digest) for digest in digests)
    session.flush()
    return codes


def _uses_recovery_code(
    session: Session, hub: AppContext, account: Account, given: str, now: datetime
) -> bool:
    key = hub.district, account.id, _digest(hub, account.id, letters_of(given))
    code = session.get(RecoveryCode, key, with_for_update=True)
    if code is None or code.used_at is not None:
        return False
    code.used_at = now
    session.flush()
    return True


def _digest(hub: AppContext, account_id: str, letters: str) -> str:
    return hub.vault.digest(f"recovery/{account_id}", letters)
