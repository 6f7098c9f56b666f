"""Answers of the server: receipt, pull, enrolment. For the examples, the documentation, and a client that checks answers.

The server builds its answers from `sync_protocol` types and committed rows and does not check them with these schemas; the
tests do, with every answer.
"""

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import Schema, ValidationError, validate

from schemas.batch import DISTRICT, HASH, KEY_ID, MOST_POSTS
from schemas.change import ContextField
from schemas.records import ChildRegisters, DeliveryRegisters, FollowUpRegisters, MeasurementRegisters
from schemas.strict import (
    MANY,
    UUID,
    Flag,
    Instant,
    Json,
    ListOf,
    MapOf,
    Member,
    Need,
    Pair,
    Part,
    Strict,
    Text,
    choice,
    collect,
    day,
    shaped,
    uuid,
    whole,
    words,
)
from schemas.words import Reason, reason, reasons_of
from sync_protocol import MAX_CHANGES, PROTOCOL, Outcome, ReceiptStatus

LETTER: Final = "[A-Za-z0-9_-]{22}"
"""The id of a sealed letter: 132 bits of the SHA-256 of what was sealed."""

DOT: Final = Pair(shaped(f"(?:hub:)?{UUID}", "not-actor"), whole(1))


class ReasonSchema(Strict):
    """Why a change was quarantined; `id` and `en` are sentences to show."""

    path = Text()
    code = words(40)
    value = Json(Need.NULLABLE)
    id = words(600)
    en = words(600)


class ItemField(Member):
    """What became of one change: `[counter, outcome]`, or `[counter, outcome, reasons]` if it was quarantined."""

    default_error_messages = {"invalid": "not-pair"}  # noqa: RUF012 (as marshmallow has it)

    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair(whole(1), choice(*(outcome.value for outcome in Outcome)))
        self.reasons = ListOf(Part(ReasonSchema), 1, MANY)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if type(value) is not list or len(value) not in (2, 3):
            raise self.make_error("invalid")
        self.pair.deserialize(value[:2])
        if len(value) == 3:
            collect({2: (self.reasons, value[2])})
        return value


class ReceiptSchema(Strict):
    """One outcome for each change of a batch; none if the batch was not accepted."""

    batch = uuid()
    status = choice(*(status.value for status in ReceiptStatus))
    wanted = whole(1)
    items = ListOf(ItemField(), 0, MAX_CHANGES)

    def agree(self, value: Mapping[str, Any]) -> None:
        """Refuse outcomes of a batch that was not accepted, and counters that are not consecutive."""
        counters = [item[0] for item in value.get("items", [])]
        if counters and value.get("status", "accepted") != "accepted":
            raise ValidationError("answer-incoherent", "status")
        if counters != list(range(counters[0], counters[0] + len(counters)) if counters else ()):
            raise ValidationError("answer-incoherent", "items")


class Published(Part):
    """A register of a published state: its value, or a list of `{"dots": …, "value": …}` (see `RecordState.wire`)."""

    def __init__(self, register: type[Schema]) -> None:
        super().__init__(register, Need.ABSENT)
        sibling = Strict.from_dict({"dots": ListOf(DOT, 1, MANY), "value": Part(register)})
        self.siblings = ListOf(Part(sibling), 1, MANY)

    def _deserialize(self, value: Any, *where: Any, **rest: Any) -> Any:
        if type(value) is list:
            return self.siblings.deserialize(value)
        return super()._deserialize(value, *where, **rest)


def _published(registers: type[Strict]) -> type[Schema]:
    """Make the schema of published registers from the schema of the registers that a change sets."""
    parts = registers._declared_fields.items()
    return Strict.from_dict({name: Published(part.inside) for name, part in parts if isinstance(part, Part)})


def _mark() -> Flag:
    """Declare a mark that is absent unless it is true."""
    return Flag(Need.ABSENT, validate.Equal(True, error="answer-incoherent"))


class StateSchema(Strict):
    """What every published state has besides its registers."""

    vector = ContextField()
    removed = _mark()
    removal_contested = _mark()
    incomplete = _mark()


class ChildStateSchema(StateSchema):
    """A child as the server holds it."""

    id = uuid()
    set = Part(_published(ChildRegisters))


class MeasurementStateSchema(StateSchema):
    """A measurement as the server holds it; its id follows from its child, day and source."""

    on = day()
    source = choice("cadre", "staff")
    set = Part(_published(MeasurementRegisters))


class FollowUpStateSchema(StateSchema):
    """A follow-up as the server holds it; its id follows from its child and task."""

    task = uuid()
    set = Part(_published(FollowUpRegisters))


class DeliveryStateSchema(StateSchema):
    """An aid to a child as the server holds it; its id follows from its child and delivery."""

    delivery = uuid()
    set = Part(_published(DeliveryRegisters))


class WrittenSchema(Strict):
    """Who wrote a value that stands beside another, and when: never later than the server received it."""

    dot = DOT
    author = words(64)
    at = Instant()


class PullSchema(Strict):
    """What changed at the post since the cursor that the batch named, and the cursor to name next."""

    cursor = whole(0)
    more = Flag()
    children = ListOf(Part(ChildStateSchema), 0, MANY)
    measurements = MapOf(uuid(), ListOf(Part(MeasurementStateSchema), 1, MANY), MANY)
    follow_ups = MapOf(uuid(), ListOf(Part(FollowUpStateSchema), 1, MANY), MANY)
    deliveries = MapOf(uuid(), ListOf(Part(DeliveryStateSchema), 1, MANY), MANY)
    left = ListOf(uuid(), 0, MANY)
    erased = ListOf(uuid(), 1, MANY, need=Need.ABSENT)
    written = MapOf(uuid(), ListOf(Part(WrittenSchema), 1, MANY), MANY, need=Need.ABSENT)


class PostPullSchema(PullSchema):
    """What changed at one post of a tablet with several."""

    post = uuid()


class TabletPostSchema(Strict):
    """A post that a tablet has now; a closed one takes no new children."""

    id = uuid()
    name = words(120)
    closed = _mark()


class AnswerSchema(Strict):
    """The answer to a batch. `posts` and `pulls` answer a batch with `cursors`, whose `pull` is empty but for `more`."""

    protocol = whole(PROTOCOL, PROTOCOL)
    incarnation = words(64)
    token = Text(Need.VALUE, validate.Length(0, 64, error="text-length {min} {max}"))
    server_time = Instant()
    receipt = Part(ReceiptSchema)
    pull = Part(PullSchema)
    posts = ListOf(Part(TabletPostSchema), 1, MOST_POSTS, need=Need.ABSENT)
    pulls = ListOf(Part(PostPullSchema), 0, MOST_POSTS, need=Need.ABSENT)


class PostSchema(Strict):
    """The posyandu that a tablet works for."""

    id = uuid()
    name = words(120)


class LimitsSchema(Strict):
    """How much the server takes in one batch: changes, and bytes before compression."""

    changes = whole(1)
    bytes = whole(1024)


class PointSchema(Strict):
    """A P-256 public key as JWK (RFC 7517)."""

    kty = choice("EC")
    crv = choice("P-256")
    x = shaped(HASH, "not-hash")
    y = shaped(HASH, "not-hash")


class SealingKeySchema(Strict):
    """The key to which batches for carriers are sealed, and its id."""

    key = shaped(KEY_ID, "not-key-id")
    public_key = Part(PointSchema)


class EnrolAnswerSchema(Strict):
    """The answer to a new tablet: its id, its post, and the server's data. A tablet that continues a closed enrolment also
    gets the id of that (`replaces`) and the counter up to which its changes are held (`common`). A device that only sends is
    told so (`write_only`). A tablet of staff gets all its `posts`.
    """

    tablet = uuid()
    district = shaped(DISTRICT, "not-district")
    post = Part(PostSchema)
    incarnation = words(64)
    server_time = Instant()
    limits = Part(LimitsSchema)
    sealing = Part(SealingKeySchema)
    write_only = _mark()
    posts = ListOf(Part(TabletPostSchema), 1, MOST_POSTS, need=Need.ABSENT)
    replaces = shaped(UUID, "not-uuid", Need.ABSENT)
    common = whole(0, need=Need.ABSENT)


class SealedReceiptSchema(Strict):
    """A receipt that only the tablet which sealed the batch can open: the letter it answers, and nonce with ciphertext."""

    v = whole(1, 1)
    letter = shaped(LETTER, "not-letter")
    ciphertext = shaped("[A-Za-z0-9_-]{38,400000}", "not-ciphertext")


class SealedAnswerSchema(Strict):
    """What a carrier takes back for one letter."""

    sealed_receipt = Part(SealedReceiptSchema)


ANSWER: Final = AnswerSchema()
RECEIPT: Final = ReceiptSchema()
ENROL_ANSWER: Final = EnrolAnswerSchema()
SEALED_ANSWER: Final = SealedAnswerSchema()


def check_answer(wire: object) -> list[Reason]:
    """Return every reason why this is not an answer to a batch; empty for a valid one."""
    return _check(ANSWER, wire)


def check_receipt(wire: object) -> list[Reason]:
    """Return every reason why this is not a receipt; empty for a valid one."""
    return _check(RECEIPT, wire)


def check_enrol_answer(wire: object) -> list[Reason]:
    """Return every reason why this is not an answer to a request to enrol; empty for a valid one."""
    return _check(ENROL_ANSWER, wire)


def check_sealed_receipt(wire: object) -> list[Reason]:
    """Return every reason why this is not a sealed receipt; empty for a valid one."""
    return _check(SEALED_ANSWER, wire)


def _check(schema: Strict, wire: object) -> list[Reason]:
    if not isinstance(wire, dict):
        return [reason("", "not-object", wire)]
    return reasons_of(schema.validate(wire), wire)
