"""Requests of tablets: "take this batch" (sent, or sealed to be carried) and "enrol me". Hides their schemas.

Of a batch, only what is needed to number, chain and verify its changes is checked here. The content of each change is
checked later by `check_change`, one by one, so that an invalid one is quarantined and the others are taken.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from marshmallow import ValidationError, validate

from schemas.change import TAG
from schemas.fast import plain_test
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
from schemas.words import MAX_REASONS, Reason, reason, reasons_of
from sync_protocol import MAX_CHANGES, MAX_SAFE_INTEGER, PROTOCOL, RemoteProtocolError

MAX_DAYS: Final = 400
"""Most days of which the counts of measurements are taken: the newest."""
MAX_COUNT: Final = 10_000
"""Most measurements of one tablet on a day."""
MOST_POSTS: Final = 10
"""Most posts of a tablet of staff."""
MAX_KEPT: Final = 10_000
"""Most changes that a tablet keeps. It keeps those of 90 days, which are far fewer."""
HASH: Final = "[A-Za-z0-9_-]{43}"
DISTRICT: Final = r"[0-9]{2}\.[0-9]{2}"


class BatchSchema(Strict):
    """What a tablet sends: its changes in order, their place in its chain, and up to where it has pulled.

    Nothing that a person may have typed wrong is checked here, nor what a wrong clock shows: the same batch is sent until it
    is answered, so it would never get through. `tally_of` reads `tally`; of `sent_at` only the form is checked. `cursors`,
    by post, are sent by a tablet that handles several posts; then `cursor` is not read.
    """

    protocol = whole(0)
    district = shaped(DISTRICT, "not-district")
    tablet = uuid()
    batch = uuid()
    sent_at = Instant()
    app = words(64)
    token = Text(Need.VALUE, validate.Length(0, 64, error="text-length {min} {max}"))
    carried = Flag()
    tally = Object()
    incarnation = Text(Need.VALUE, validate.Length(0, 64, error="text-length {min} {max}"))
    head = Pair(whole(0), shaped(f"(?:{TAG})?", "not-tag"))
    first = whole(1)
    previous = shaped(f"(?:{HASH})?", "not-hash")
    changes = ListOf(Object(), 0, MAX_CHANGES)
    cursor = whole(0)
    cursors = MapOf(uuid(), whole(0), MOST_POSTS, Need.ABSENT)


class EnvelopeSchema(Strict):
    """A batch and its signature: ECDSA P-256 over the batch's canonical bytes, r and s, 32 bytes each, base64url."""

    batch = Part(BatchSchema)
    signature = shaped("[A-Za-z0-9_-]{86}", "not-signature")


MAX_SEALED_BYTES: Final = 262_144
"""Of one ciphertext. A batch of MAX_BYTES, compressed, is a third of this."""
KEY_ID: Final = "[A-Za-z0-9_-]{11}"
_REPLY_KEY: Final = re.compile(r"[A-Za-z0-9_-]{22}\Z").match


class SealedSchema(Strict):
    """A batch sealed to the server's public key: the version of this format, the key's id, HPKE's encapsulated key (65
    bytes) and the ciphertext, both base64url.
    """

    v = whole(1, 1)
    key = shaped(KEY_ID, "not-key-id")
    enc = shaped("[A-Za-z0-9_-]{87}", "not-encapsulated-key")
    ciphertext = shaped(f"[A-Za-z0-9_-]{{22,{MAX_SEALED_BYTES * 4 // 3}}}", "not-ciphertext")


class SealedLetterSchema(Strict):
    """What a carrier hands over, one for each batch."""

    sealed = Part(SealedSchema)


def _never_private(_: str) -> None:
    """Refuse `d`, the private key (RFC 7518 section 6.2.2), with a code of its own: the tablet must make a new key."""
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

    code = shaped("[A-Z0-9]{4}-[A-Z0-9]{4}-[A-Z0-9]{2}(?:[A-Z0-9]{3})?", "not-enrolment-code")
    public_key = Part(PublicKeySchema)
    app = words(64)
    device = words(80)


class AgainSchema(Strict):
    """A device whose enrolment was closed and that continues under a new one: its old enrolment, its new key, and the tags
    of the changes that it keeps, the first of which has the counter `first`.
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


_DAY: Final = plain_test(day())
_COUNT: Final = plain_test(whole(0, MAX_COUNT))
ENVELOPE: Final = EnvelopeSchema()
ENROL: Final = EnrolSchema()
ENROL_AGAIN: Final = EnrolAgainSchema()
SEALED: Final = SealedLetterSchema()


class Malformed(RemoteProtocolError):
    """A whole request is malformed. `reasons` say where and why, like those of a change."""

    def __init__(self, code: str, reasons: Sequence[Reason]) -> None:
        super().__init__(code, " ".join(r.en for r in reasons))
        self.reasons = tuple(reasons)


class MalformedBatch(Malformed):
    """A batch is malformed; nothing of it was taken."""


class MalformedEnrolment(Malformed):
    """A request to enrol is malformed; no tablet was enrolled."""


class MalformedSealed(Malformed):
    """What a carrier brought is not a sealed batch."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed batch as it arrived: the id of the key to which it is sealed, and the sealed bytes (`enc` first)."""

    key: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Letter:
    """The content of a sealed batch: the signed batch, unchecked, and the key for the receipt."""

    message: Mapping[str, Any]
    reply_key: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A well-formed batch, and the signature to check. `batch` is the same object that arrived."""

    batch: Mapping[str, Any]
    signature: bytes


@dataclass(frozen=True, slots=True)
class EnrolRequest:
    """A request to enrol; `x` and `y` are the public key's coordinates, 32 bytes each. Whether they are on the curve is not
    checked.
    """

    code: str
    x: bytes
    y: bytes
    app: str
    device: str


@dataclass(frozen=True, slots=True)
class EnrolAgainRequest:
    """A request to enrol again. `asked` is the same object that was signed; `tags` are of the counters from `first` on."""

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
    Envelope : its changes are objects, at most MAX_CHANGES of them; nothing else is known of them

    Raises
    ------
    MalformedBatch
        `batch-malformed`, with every reason. A batch of another protocol has the one reason
        `protocol-unsupported`.
    """
    batch = raw.get("batch") if isinstance(raw, dict) else None
    version = batch.get("protocol") if isinstance(batch, dict) else None
    if type(version) is int and version != PROTOCOL:
        foreign = reason("batch.protocol", "protocol-unsupported", version, str(PROTOCOL))
        raise MalformedBatch("batch-malformed", [foreign])
    read = read_whole(ENVELOPE, raw, MalformedBatch, "batch-malformed")
    return Envelope(read["batch"], unbase64(read["signature"]))


def tally_of(batch: Mapping[str, Any]) -> tuple[dict[str, int], int]:
    """Read how many measurements a tablet has written, by day.

    A day that no measurement can have (the slip of a year: the measurement itself is quarantined) is left out, and a count
    that cannot be.

    Returns
    -------
    (count by day, at most MAX_DAYS; how many days were left out)
    """
    told = batch["tally"]
    sound = {day: count for day, count in told.items() if _DAY(day) and _COUNT(count)}
    kept = dict(sorted(sound.items())[-MAX_DAYS:])
    return kept, len(told) - len(kept)


def inexact_numbers(value: object, path: str = "batch") -> list[Reason]:
    """Return a reason for each number that is not written alike by every client: a fraction, or beyond MAX_SAFE_INTEGER.

    At most MAX_REASONS of them. RFC 8785 rounds an integer to a double, and writes 9500.0 as 9500: a client that signed
    other digits has another signature.
    """
    kind = type(value)
    if kind is float or (kind is int and not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER):  # type: ignore[operator]  # an int
        return [reason(path, "number-not-exact", None, str(MAX_SAFE_INTEGER))]
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    found = (why for name, member in members for why in inexact_numbers(member, f"{path}.{name}"))
    return list(islice(found, MAX_REASONS))


def parse_sealed(raw: object) -> Sealed:
    """Read what a carrier brought.

    Parameters
    ----------
    raw : decoded JSON

    Raises
    ------
    MalformedSealed
        `sealed-unreadable`, with every reason
    """
    sealed = read_whole(SEALED, raw, MalformedSealed, "sealed-unreadable")["sealed"]
    try:
        return Sealed(sealed["key"], unbase64(sealed["enc"]) + unbase64(sealed["ciphertext"]))
    except ValueError as error:  # no base64 text has 4n + 1 characters
        refusal = reason("sealed.ciphertext", "not-ciphertext", sealed["ciphertext"][-8:])
        raise MalformedSealed("sealed-unreadable", [refusal]) from error


def parse_letter(raw: object) -> Letter:
    """Read what was sealed: the signed batch, and the key for its receipt.

    Parameters
    ----------
    raw : decoded JSON

    Raises
    ------
    MalformedBatch
        as for `parse_envelope`
    """
    reply = raw.get("reply") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or type(reply) is not str or not _REPLY_KEY(reply):
        raise MalformedBatch("batch-malformed", [reason("reply", "not-reply-key", reply)])
    message = {name: value for name, value in raw.items() if name != "reply"}
    return Letter(message, unbase64(reply))


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
    read = read_whole(ENROL, raw, MalformedEnrolment, "enrolment-malformed")
    key = read["public_key"]
    return EnrolRequest(read["code"], unbase64(key["x"]), unbase64(key["y"]), read["app"], read["device"])


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
    read = read_whole(ENROL_AGAIN, raw, MalformedEnrolment, "enrolment-malformed")
    asked = read["request"]
    key = asked["public_key"]
    return EnrolAgainRequest(
        asked,
        unbase64(read["signature"]),
        asked["tablet"],
        unbase64(key["x"]),
        unbase64(key["y"]),
        asked["app"],
        asked["first"],
        asked["tags"],
    )


def read_whole(schema: Strict, raw: object, refusal: type[Malformed], code: str) -> Mapping[str, Any]:
    """Return a request as it came, if nothing in it is wrong; else raise `refusal` with every reason."""
    if not isinstance(raw, dict):
        raise refusal(code, [reason("", "not-object", raw)])
    reasons = reasons_of(schema.validate(raw), raw)
    if reasons:
        raise refusal(code, reasons)
    return raw


def unbase64(text: str) -> bytes:
    """Decode base64url without padding (RFC 4648 section 5), of a length that was checked."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
