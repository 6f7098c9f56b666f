"""The request of a tablet whose cadre has forgotten the PIN: its data key, sealed to the server, and the code of staff."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.batch import (
    MalformedEnrolment,
    PublicKeySchema,
    Sealed,
    SealedLetterSchema,
    parse_sealed,
    read_whole,
    unbase64,
)
from schemas.strict import Part, Strict, shaped, uuid


class RecoverySchema(Strict):
    """What a tablet asks: its enrolment, the code, a new key for the answer, and its box: the data key, sealed to the
    server.
    """

    tablet = uuid()
    code = shaped("[A-Z0-9]{4}-[A-Z0-9]{4}-[A-Z0-9]{2}", "not-enrolment-code")
    public_key = Part(PublicKeySchema)
    box = Part(SealedLetterSchema)


class RecoverSchema(Strict):
    """A request to open a tablet again, signed with the key of its enrolment."""

    request = Part(RecoverySchema)
    signature = shaped("[A-Za-z0-9_-]{86}", "not-signature")


RECOVER: Final = RecoverSchema()


@dataclass(frozen=True, slots=True)
class RecoveryRequest:
    """A request to open a tablet again. `asked` is the same object that was signed; `reply_to` is the key for the answer."""

    asked: Mapping[str, Any]
    signature: bytes
    tablet_id: str
    code: str
    reply_to: Mapping[str, Any]
    box: Sealed


def parse_recovery(raw: object) -> RecoveryRequest:
    """Read the body of a request to open a tablet again.

    Parameters
    ----------
    raw : decoded JSON

    Raises
    ------
    MalformedEnrolment
        `enrolment-malformed`, with every reason
    MalformedSealed
        `sealed-unreadable` for a box that cannot be decoded
    """
    read = read_whole(RECOVER, raw, MalformedEnrolment, "enrolment-malformed")
    asked = read["request"]
    box = parse_sealed(asked["box"])
    return RecoveryRequest(
        asked, unbase64(read["signature"]), asked["tablet"], asked["code"], asked["public_key"], box
    )
