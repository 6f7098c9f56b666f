"""Is a change valid? Hides the schema of a change, the quick check before it, and the order of the reasons.

A change is checked as it was sent and is never rewritten. Two rules are not in the schemas: dates in the future (they depend
on the day of the check) and the version of a child's id. They are checked for a change that the schemas refuse as well, so
that a cadre gets all reasons at once.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from marshmallow import ValidationError, validate
from marshmallow.fields import Field

from schemas.fast import surely_valid
from schemas.records import (
    ChildKey,
    ChildRegisters,
    DeliveryKey,
    DeliveryRegisters,
    FollowUpKey,
    FollowUpRegisters,
    MeasurementKey,
    MeasurementRegisters,
)
from schemas.strict import (
    UUID,
    Day,
    MapOf,
    Need,
    Object,
    Pair,
    Part,
    Strict,
    choice,
    moment,
    shaped,
    uuid,
    whole,
    words,
)
from schemas.words import Reason, reason, reasons_of
from sync_protocol import KEYS, REGISTERS, SCHEMA, TAG_LENGTH, id_of

MAX_ACTORS: Final = 64
"""Most actors of a context. A record is edited by a handful of tablets in its life."""

TAG: Final = rf"[A-Za-z0-9_-]{{{TAG_LENGTH}}}"


class ContextField(MapOf):
    """A version vector as it is sent, `{actor: [counter, tag]}`; the context of a new record is empty."""

    def __init__(self) -> None:
        actor = shaped(f"(?:hub:)?{UUID}", "not-actor")
        super().__init__(actor, Pair(whole(1), shaped(TAG, "not-tag")), MAX_ACTORS)


class ChangeSchema(Strict):
    """What every change has. Alone it checks the rest of a change of an unknown kind."""

    kind = choice(*REGISTERS)
    id = uuid()
    key: Field[Any] = Object()
    context = ContextField()
    set: Field[Any] = Object()
    author = shaped("[A-Za-z0-9_.:@-]{1,64}", "not-author")
    recorded_at = moment()
    nonce = shaped("[A-Za-z0-9_-]{22}", "not-nonce")
    app = words(64)
    schema = whole(1)


SOMETHING: Final = validate.Length(min=1, error="nothing-set")


class ChildChange(ChangeSchema):
    """A change of a child."""

    key = Part(ChildKey)
    set = Part(ChildRegisters, Need.VALUE, SOMETHING)

    def agree(self, value: Mapping[str, Any]) -> None:
        """Refuse a child that is linked to itself."""
        twin = value.get("set", {}).get("same_as", {}).get("child")
        if twin is not None and twin == value.get("id"):
            raise ValidationError({"set": {"same_as": {"child": ["same-as-itself"]}}})


class KeyedChange(ChangeSchema):
    """A change of a record whose id follows from its key."""

    keyed: str

    def agree(self, value: Mapping[str, Any]) -> None:
        """Refuse an id that does not follow from the key."""
        key = value.get("key", {})
        if "id" not in value or len(key) < len(KEYS[self.keyed]):
            return
        if value["id"] != id_of(self.keyed, key):
            raise ValidationError("id-mismatch", "id")


class MeasurementChange(KeyedChange):
    """A change of a measurement."""

    keyed = "measurement"
    key = Part(MeasurementKey)
    set = Part(MeasurementRegisters, Need.VALUE, SOMETHING)


class FollowUpChange(KeyedChange):
    """A change of a follow-up."""

    keyed = "follow_up"
    key = Part(FollowUpKey)
    set = Part(FollowUpRegisters, Need.VALUE, SOMETHING)


class DeliveryChange(KeyedChange):
    """A change of an aid to a child."""

    keyed = "delivery"
    key = Part(DeliveryKey)
    set = Part(DeliveryRegisters, Need.VALUE, SOMETHING)


UNKNOWN_KIND: Final = ChangeSchema()
SCHEMAS: Final[Mapping[str, ChangeSchema]] = {
    "child": ChildChange(),
    "measurement": MeasurementChange(),
    "follow_up": FollowUpChange(),
    "delivery": DeliveryChange(),
}
TESTS: Final = {kind: surely_valid(schema) for kind, schema in SCHEMAS.items()}
REGISTERS_OF: Final = {kind: schema.fields["set"].schema for kind, schema in SCHEMAS.items()}  # type: ignore[attr-defined]  # a Part
REGISTER_TESTS: Final = {kind: surely_valid(schema) for kind, schema in REGISTERS_OF.items()}
Path = tuple[str, ...]
_PAST_DATES_OF: Final[Mapping[str, Sequence[Path]]] = {
    "child": (("set", "identity", "born_on"),),
    "measurement": (("key", "measured_on"),),
    "follow_up": (("set", "result", "done_on"),),
    "delivery": (("set", "delivered", "given_on"), ("set", "verified", "verified_on")),
}
"""Where a change has the date of something that has happened, by kind."""
_PAST_DATES: Final = tuple(path for paths in _PAST_DATES_OF.values() for path in paths)


def check_change(wire: object, *, today: date) -> list[Reason]:
    """Return every reason why a change cannot be applied.

    Parameters
    ----------
    wire : one member of a batch's `changes`, as it arrived
    today : the date at the posts of the district; nothing dated after it can have happened

    Returns
    -------
    list of Reason, in the order of their paths; empty for a valid change. A change with a newer schema than ours
    has the one reason `schema-too-new`, for our rules do not apply to it.
    """
    if not isinstance(wire, dict):
        return [reason("", "not-object", wire)]
    kind = wire.get("kind")
    if type(kind) is not str or kind not in SCHEMAS:
        return _check_fully(UNKNOWN_KIND, wire, today)
    if wire.get("schema") == SCHEMA and TESTS[kind](wire):
        return _check_further_rules(wire, today, _PAST_DATES_OF[kind])
    return _check_fully(SCHEMAS[kind], wire, today)


def check_registers(kind: str, registers: Mapping[str, Any], *, today: date) -> list[Reason]:
    """Return every reason why no change could set some registers.

    Parameters
    ----------
    kind : one of SCHEMAS
    registers : by name
    today : as for `check_change`, which must still check the change that is made of them

    Returns
    -------
    list of Reason, as `check_change` would return them; their paths begin with `set.`
    """
    wire = {"set": registers}
    if REGISTER_TESTS[kind](registers):
        return _in_future(wire, today, _PAST_DATES_OF[kind])
    found = reasons_of({"set": REGISTERS_OF[kind].validate(registers)}, wire)
    return sorted([*found, *_in_future(wire, today)], key=lambda r: (r.path, r.code))


def _check_fully(schema: ChangeSchema, wire: Mapping[str, Any], today: date) -> list[Reason]:
    """Check with marshmallow, which gives the reasons."""
    written_by = wire.get("schema")
    if type(written_by) is int and written_by > SCHEMA:
        return [reason("schema", "schema-too-new", written_by, str(SCHEMA))]
    found = reasons_of(schema.validate(wire), wire)
    return sorted([*found, *_check_further_rules(wire, today)], key=lambda r: (r.path, r.code))


def _check_further_rules(
    wire: Mapping[str, Any], today: date, happened: Sequence[Path] = _PAST_DATES
) -> list[Reason]:
    """Check the rules that are not in the schemas."""
    return [*_in_future(wire, today, happened), *_id_of_keyed_record(wire)]


def _id_of_keyed_record(wire: Mapping[str, Any]) -> list[Reason]:
    """Refuse a child with a UUIDv5, the version of keyed records: the ids of different kinds must not be equal."""
    id_ = wire.get("id")
    if wire.get("kind") == "child" and isinstance(id_, str) and id_[14:15] == "5":
        return [reason("id", "id-mismatch", id_)]
    return []


def _in_future(wire: Mapping[str, Any], today: date, happened: Sequence[Path] = _PAST_DATES) -> list[Reason]:
    """Return reasons for dates after today of things that have happened, in a change valid or not."""
    last = today.isoformat()
    return [
        reason(".".join(path), "date-in-future", value, last)
        for path in happened
        if type(value := _inside(wire, *path)) is str and value > last and Day.accepts(value)
    ]


def _inside(value: Any, *path: str) -> Any:
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def check_against_birth(measured_on: str, born_on: str) -> Reason | None:
    """Return the reason against a measurement that is dated before the child's birth.

    Parameters
    ----------
    measured_on, born_on : ISO dates, as in a measurement's key and a child's identity

    Returns
    -------
    Reason; None if the dates agree (a child may be measured on the day of birth)
    """
    return reason("key.measured_on", "before-birth", measured_on, born_on) if measured_on < born_on else None
