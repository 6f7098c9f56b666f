"""The two things that a tablet asks: "take this batch" (itself, or sealed for somebody to carry) and "enrol me". Hides their
schemas.

Of a batch, only what is needed to number, chain and verify its changes is checked here. What a change holds
is asked of `check_change` later, one by one, so that a wrong one is set aside and the rest goes on.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from marshmallow import ValidationError, validate

from schemas.change import TAG
from schemas.strict import (
    Flag,
    Instant,
    ListOf,
    MapOf,
    Need,
    Object,
    Pair,
    Part,
    Strict,
    Text,
    choice,
    day,
    shaped,
    uuid,
    whole,
    words,
)
from schemas.words import Reason, reason, reasons_of
from sync_protocol import MAX_CHANGES, PROTOCOL, RemoteProtocolError

MAX_DAYS: Final = 400
"""Days of measuring that a tablet counts up."""
MAX_KEPT: Final = 10_000
"""Changes that a tablet keeps: of 90 days, so never nearly as many."""
HASH: Final = "[A-Za-z0-9_-]{43}"
DISTRICT: Final = r"[0-9]{2}\.[0-9]{2}"


class BatchSchema(Strict):
    """What a tablet sends: its changes in order, where they stand in its chain, and what it has pulled so
    far.
    """

    protocol = whole(0)
    district = shaped(DISTRICT, "not-district")
    tablet = uuid()
    batch = uuid()
    sent_at = Instant()
    app = words(64)
    token = Text(Need.VALUE, validate.Length(0, 64, error="text-length {min} {max}"))
    carried = Flag()
    tally = MapOf(day(), whole(0, 10_000), MAX_DAYS)
    incarnation = Text(Need.VALUE, validate.Length(0, 64, error="text-length {min} {max}"))
    head = Pair(whole(0), shaped(f"(?:{TAG})?", "not-tag"))
    first = whole(1)
    previous = shaped(f"(?:{HASH})?", "not-hash")
    changes = ListOf(Object(), 0, MAX_CHANGES)
    cursor = whole(0)


class EnvelopeSchema(Strict):
    """A batch and its signature: ECDSA P-256 over the batch's canonical bytes, r and s, 32 bytes each,
    base64url.
    """

    batch = Part(BatchSchema)
    signature = shaped("[A-Za-z0-9_-]{86}", "not-signature")


MAX_SEALED_BYTES: Final = 262_144
"""Of one ciphertext. A batch of MAX_BYTES, compressed, is a third of this."""
KEY_ID: Final = "[A-Za-z0-9_-]{11}"
_REPLY_KEY: Final = re.compile(r"[A-Za-z0-9_-]{22}\Z").match


class SealedSchema(Strict):
    """A batch sealed to the server's public key: the form's version, the key's id, HPKE's encapsulated key (65 bytes) and
    the ciphertext, both base64url.
    """

    v = whole(1, 1)
    key = shaped(KEY_ID, "not-key-id")
    enc = shaped("[A-Za-z0-9_-]{87}", "not-encapsulated-key")
    ciphertext = shaped(f"[A-Za-z0-9_-]{{22,{MAX_SEALED_BYTES * 4 // 3}}}", "not-ciphertext")


class SealedLetterSchema(Strict):
    """What a carrier hands over, one for each batch."""

    sealed = Part(SealedSchema)


def _never_private(_: str) -> None:
    """Refuse `d`, the private half (RFC 7518 section 6.2.2), by a name of its own: the tablet must make a new
    key.
    """
    raise ValidationError("private-key-sent")


class PublicKeySchema(Strict):
    """A P-256 public key as JWK (RFC 7517), as WebCrypto exports it."""

    kty = choice("EC")
    crv = choice("P-256")
    x = shaped(HASH, "not-hash")
    y = shaped(HASH, "not-hash")
    ext = Flag(Need.ABSENT)
    key_ops = ListOf(choice("verify"), 0, 1, Need.ABSENT)
    d = Text(Need.ABSENT, _never_private)


class EnrolSchema(Strict):
    """A device that wants to be a tablet of the post for which the code was made."""

    code = shaped("[A-Z0-9]{4}-[A-Z0-9]{4}-[A-Z0-9]{2}", "not-enrolment-code")
    public_key = Part(PublicKeySchema)
    app = words(64)
    device = words(80)


class AgainSchema(Strict):
    """A device whose enrolment was closed, and that goes on under a new one: who it was, its new key, and the tags of the
    changes that it keeps, the first of which has the counter `first`.
    """

    tablet = uuid()
    public_key = Part(PublicKeySchema)
    app = words(64)
    device = words(80)
    first = whole(1)
    tags = ListOf(shaped(TAG, "not-tag"), 0, MAX_KEPT)


class EnrolAgainSchema(Strict):
    """A request to enrol again, signed with the key of the enrolment that was closed."""

    request = Part(AgainSchema)
    signature = shaped("[A-Za-z0-9_-]{86}", "not-signature")


ENVELOPE: Final = EnvelopeSchema()
ENROL: Final = EnrolSchema()
ENROL_AGAIN: Final = EnrolAgainSchema()
SEALED: Final = SealedLetterSchema()


class Malformed(RemoteProtocolError):
    """A whole request cannot be understood. `reasons` say where and why, as those of a change do."""

    def __init__(self, code: str, reasons: Sequence[Reason]) -> None:
        super().__init__(code, " ".join(r.en for r in reasons))
        self.reasons = tuple(reasons)


class MalformedBatch(Malformed):
    """Nothing of a batch was read."""


class MalformedEnrolment(Malformed):
    """Nobody was enrolled."""


class MalformedSealed(Malformed):
    """What was carried is not in the form of a sealed batch."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed batch as it was carried: the id of the key it is sealed to, and what to open with it (`enc` first)."""

    key: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Letter:
    """What was inside: the signed batch, not yet looked at, and the key for the receipt."""

    message: Mapping[str, Any]
    reply_key: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A batch whose outside is sound, and the signature to check. `batch` is the very object that arrived."""

    batch: Mapping[str, Any]
    signature: bytes


@dataclass(frozen=True, slots=True)
class EnrolRequest:
    """A request to enrol; `x` and `y` are the public key's coordinates, 32 bytes each (on the curve or not:
    unchecked).
    """

    code: str
    x: bytes
    y: bytes
    app: str
    device: str


@dataclass(frozen=True, slots=True)
class EnrolAgainRequest:
    """A request to enrol again. `asked` is the very object that was signed; `tags` are of the counters from `first` on."""

    asked: Mapping[str, Any]
    signature: bytes
    tablet_id: str
    x: bytes
    y: bytes
    app: str
    first: int
    tags: Sequence[str]


def parse_envelope(raw: object) -> Envelope:
    """Read the body of an upload.

    Parameters
    ----------
    raw : decoded JSON

    Returns
    -------
    Envelope : of the changes is known that each is an object and that there are at most MAX_CHANGES

    Raises
    ------
    MalformedBatch
        `batch-malformed`, with every reason. A batch of another protocol has the one reason
        `protocol-unsupported`.
    """
    batch = raw.get("batch") if isinstance(raw, dict) else None
    spoken = batch.get("protocol") if isinstance(batch, dict) else None
    if type(spoken) is int and spoken != PROTOCOL:
        foreign = reason("batch.protocol", "protocol-unsupported", spoken, str(PROTOCOL))
        raise MalformedBatch("batch-malformed", [foreign])
    read = _read(ENVELOPE, raw, MalformedBatch, "batch-malformed")
    return Envelope(read["batch"], _bytes(read["signature"]))


def parse_sealed(raw: object) -> Sealed:
    """Read what a carrier handed over.

    Parameters
    ----------
    raw : decoded JSON

    Raises
    ------
    MalformedSealed
        `sealed-unreadable`, with every reason
    """
    sealed = _read(SEALED, raw, MalformedSealed, "sealed-unreadable")["sealed"]
    try:
        return Sealed(sealed["key"], _bytes(sealed["enc"]) + _bytes(sealed["ciphertext"]))
    except ValueError as error:  # 4n + 1 characters are the base64 of nothing
        told = reason("sealed.ciphertext", "not-ciphertext", sealed["ciphertext"][-8:])
        raise MalformedSealed("sealed-unreadable", [told]) from error


def parse_letter(raw: object) -> Letter:
    """Read what was sealed, and part the signed batch from the key for its receipt.

    Parameters
    ----------
    raw : decoded JSON

    Raises
    ------
    MalformedBatch
        as `parse_envelope` does
    """
    reply = raw.get("reply") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or type(reply) is not str or not _REPLY_KEY(reply):
        raise MalformedBatch("batch-malformed", [reason("reply", "not-reply-key", reply)])
    message = {name: value for name, value in raw.items() if name != "reply"}
    return Letter(message, _bytes(reply))


def parse_enrolment(raw: object) -> EnrolRequest:
    """Read the body of a request to enrol.

    Parameters
    ----------
    raw : decoded JSON

    Raises
    ------
    MalformedEnrolment
        `enrolment-malformed`, with every reason
    """
    read = _read(ENROL, raw, MalformedEnrolment, "enrolment-malformed")
    key = read["public_key"]
    return EnrolRequest(read["code"], _bytes(key["x"]), _bytes(key["y"]), read["app"], read["device"])


def parse_enrolment_again(raw: object) -> EnrolAgainRequest:
    """Read the body of a request to enrol again.

    Parameters
    ----------
    raw : decoded JSON

    Raises
    ------
    MalformedEnrolment
        `enrolment-malformed`, with every reason
    """
    read = _read(ENROL_AGAIN, raw, MalformedEnrolment, "enrolment-malformed")
    asked = read["request"]
    key = asked["public_key"]
    return EnrolAgainRequest(
        asked,
        _bytes(read["signature"]),
        asked["tablet"],
        _bytes(key["x"]),
        _bytes(key["y"]),
        asked["app"],
        asked["first"],
        asked["tags"],
    )


def _read(schema: Strict, raw: object, refusal: type[Malformed], code: str) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        raise refusal(code, [reason("", "not-object", raw)])
    reasons = reasons_of(schema.validate(raw), raw)
    if reasons:
        raise refusal(code, reasons)
    return raw


def _bytes(text: str) -> bytes:
    """Decode base64url without padding (RFC 4648 section 5), of a length that was checked."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
