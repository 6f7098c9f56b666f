"""A forgotten PIN: staff give a code with which a tablet gets its data key back (docs/adr/0036).

A tablet seals its data key to this server when the first PIN is chosen, and keeps that box; it cannot open it itself. With
the code it sends the box here, and gets the key sealed to a key of that moment.

Rules kept here: a code is for one tablet, works once and for CODE_MINUTES; a newer one ends it. Nothing is opened before the
tablet's signature and the code are right. The box names its tablet, so no other tablet can have it opened. The key is not
kept.
"""

from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy.orm import Session

from schemas import RecoveryRequest
from server import audit
from server.accounts.codes import SHORT, new_code
from server.accounts.tablets import end_codes
from server.context import AppContext
from server.crypto.sealed_batch import read_letter
from server.crypto.vault import (
    ENCAPSULATED_BYTES,
    KeyUnusable,
    base64url,
    seal_to,
    signature_fits,
)
from server.database.models import EnrolmentCode, Tablet
from server.errors import Problem
from sync_protocol import canonical

CODE_MINUTES: Final = 60
BOX: Final = "posyandu-sync/forgotten-pin/box/1"
ANSWER: Final = "posyandu-sync/forgotten-pin/answer/1"
"""HPKE's `info` of the box, and of the answer."""


def make_pin_code(session: Session, hub: AppContext, tablet_id: str, *, actor: str, now: datetime) -> str:
    """Create the one-time code with which the cadre of a tablet chooses a new PIN: XXXX-XXXX-XX. It ends earlier ones.

    Raises
    ------
    Problem
        `record-unknown` if there is no such tablet, or it only sends; `tablet-revoked`.
    """
    tablet = session.get(Tablet, (hub.district, tablet_id), with_for_update=True)
    if tablet is None or tablet.write_only:
        raise Problem("record-unknown")
    if tablet.revoked_at is not None:
        raise Problem("tablet-revoked", tablet=tablet_id)
    end_codes(session, now, EnrolmentCode.district == hub.district, EnrolmentCode.tablet_id == tablet_id)
    code = new_code(SHORT)
    session.add(
        EnrolmentCode(
            district=hub.district,
            code_digest=_digest(hub, tablet_id, code),
            post_id=tablet.post_id,
            tablet_name=tablet.name,
            tablet_id=tablet_id,
            expires_at=now + timedelta(minutes=CODE_MINUTES),
            write_only=False,
        )
    )
    session.flush()
    _log(session, tablet, "tablet.pin-code-made", actor=actor, now=now)
    return code


def recover_key(session: Session, hub: AppContext, request: RecoveryRequest, now: datetime) -> dict[str, str]:
    """Open a tablet's box for the code that staff gave.

    Returns
    -------
    `enc` and `ciphertext`, base64url: the tablet's data key, sealed to the key that the request names

    Raises
    ------
    Problem
        `tablet-unknown`, `signature-invalid`, `tablet-revoked`; `pin-code-invalid` (wrong, used, expired or of another
        tablet); `sealed-for-another-server`, `sealed-unreadable` for a box that is not this tablet's; `request-malformed`
        for a key that is not a point of the curve.
    """
    tablet = _owned(session, hub, request)
    code = session.get(
        EnrolmentCode, (hub.district, _digest(hub, tablet.id, request.code)), with_for_update=True
    )
    if code is None or code.used_at is not None or code.expires_at < now:
        raise Problem("pin-code-invalid")
    answer = _sealed_again(request, _opened(hub, request))
    code.used_at = now
    _log(session, tablet, "tablet.key-returned", actor=f"tablet:{tablet.id}", now=now)
    session.flush()
    return answer


def _owned(session: Session, hub: AppContext, request: RecoveryRequest) -> Tablet:
    """Return the tablet that asks, once its key has proved it."""
    tablet = session.get(Tablet, (hub.district, request.tablet_id))
    if tablet is None:
        raise Problem("tablet-unknown", tablet=request.tablet_id, district=hub.district)
    if not signature_fits(orjson.loads(tablet.public_key), canonical(request.asked), request.signature):
        raise Problem("signature-invalid", tablet=tablet.id)
    if tablet.revoked_at is not None:
        raise Problem("tablet-revoked", tablet=tablet.id)
    return tablet


def _opened(hub: AppContext, request: RecoveryRequest) -> bytes:
    """Open the box; return the data key."""
    read_letter(hub.vault, request.asked["box"])
    try:
        inside: Any = orjson.loads(hub.vault.open_sealed(request.box.key, request.box.sealed, BOX))
    except (KeyUnusable, orjson.JSONDecodeError) as error:
        raise Problem("sealed-unreadable") from error
    if not isinstance(inside, dict) or inside.get("tablet") != request.tablet_id or not inside.get("key"):
        raise Problem("sealed-unreadable")
    return orjson.dumps({"key": str(inside["key"])})


def _sealed_again(request: RecoveryRequest, plain: bytes) -> dict[str, str]:
    try:
        sealed = seal_to(request.reply_to, plain, ANSWER)
    except ValueError as error:
        raise Problem("request-malformed", reason="public_key is not a point of P-256") from error
    return {
        "enc": base64url(sealed[:ENCAPSULATED_BYTES]),
        "ciphertext": base64url(sealed[ENCAPSULATED_BYTES:]),
    }


def _digest(hub: AppContext, tablet_id: str, code: str) -> str:
    """Return what a code is found by: never what an enrolment code is found by, nor a code of another tablet."""
    return hub.vault.digest(f"pin/{tablet_id}", code)


def _log(session: Session, tablet: Tablet, action: str, *, actor: str, now: datetime) -> None:
    stream, details = audit.post_stream(tablet.post_id), {"tablet": tablet.id}
    audit.append(session, tablet.district, stream, action, actor=actor, now=now, details=details)
