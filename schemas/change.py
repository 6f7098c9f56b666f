"""Is a change valid? Hides the schema of a change, the quick test in front of it, and the order of its
reasons.

A change is checked as it travels and is never rewritten. Two rules need the day on which it is checked, so
they stand beside the schemas; they are asked of a change that the schemas refuse as well, so that a cadre is
told everything at once.
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
    Instant,
    MapOf,
    Need,
    Object,
    Pair,
    Part,
    Strict,
    choice,
    shaped,
    uuid,
    whole,
    words,
)
from schemas.words import Reason, reason, reasons_of
from sync_protocol import KEYS, REGISTERS, SCHEMA, TAG_LENGTH, id_of

MAX_ACTORS: Final = 64
"""A record is touched by a handful of tablets in its life; a context of more is not one."""

TAG: Final = rf"[A-Za-z0-9_-]{{{TAG_LENGTH}}}"


class ContextField(MapOf):
    """A version vector as it travels, `{actor: [counter, tag]}`; a context is empty for a new record."""

    def __init__(self) -> None:
        actor = shaped(f"(?:hub:)?{UUID}", "not-actor")
        super().__init__(actor, Pair(whole(1), shaped(TAG, "not-tag")), MAX_ACTORS)


class ChangeSchema(Strict):
    """What every change has. By itself it says what else is wrong with a change of an unknown kind."""

    kind = choice(*REGISTERS)
    id = uuid()
    key: Field[Any] = Object()
    context = ContextField()
    set: Field[Any] = Object()
    author = shaped("[A-Za-z0-9_.:@-]{1,64}", "not-author")
    recorded_at = Instant()
    nonce = shaped("[A-Za-z0-9_-]{22}", "not-nonce")
    app = words(64)
    schema = whole(1)


SOMETHING: Final = validate.Length(min=1, error="nothing-set")


class ChildChange(ChangeSchema):
    """A change of a child."""

    key = Part(ChildKey)
    set = Part(ChildRegisters, Need.VALUE, SOMETHING)

    def agree(self, value: Mapping[str, Any]) -> None:
        """Refuse a child that is said to be the same as itself."""
        twin = value.get("set", {}).get("same_as", {}).get("child")
        if twin is not None and twin == value.get("id"):
            raise ValidationError({"set": {"same_as": {"child": ["same-as-itself"]}}})


class KeyedChange(ChangeSchema):
    """A change of a record whose id follows from its key."""

    keyed: str

    def agree(self, value: Mapping[str, Any]) -> None:
        """Refuse an id that is not the one that the parts of the key make."""
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
_HAPPENED_TO: Final[Mapping[str, Sequence[Path]]] = {
    "child": (("set", "identity", "born_on"),),
    "measurement": (("key", "measured_on"),),
    "follow_up": (("set", "result", "done_on"),),
    "delivery": (("set", "delivered", "given_on"), ("set", "verified", "verified_on")),
}
"""Where a change tells the day of what has happened, by kind."""
_HAPPENED: Final = tuple(path for paths in _HAPPENED_TO.values() for path in paths)


def check_change(wire: object, *, today: date) -> list[Reason]:
    """Give every reason why a change cannot be applied.

    Parameters
    ----------
    wire : one member of a batch's `changes`, as it arrived
    today : the day it is at the posts of the district; what is dated after it cannot have happened

    Returns
    -------
    list of Reason, in the order of their paths; empty for a valid change. A change written by a newer schema
    than ours has the one reason `schema-too-new`, for our rules say nothing of it.
    """
    if not isinstance(wire, dict):
        return [reason("", "not-object", wire)]
    kind = wire.get("kind")
    if type(kind) is not str or kind not in SCHEMAS:
        return _asked(UNKNOWN_KIND, wire, today)
    if wire.get("schema") == SCHEMA and TESTS[kind](wire):
        return _beside(wire, today, _HAPPENED_TO[kind])
    return _asked(SCHEMAS[kind], wire, today)


def check_registers(kind: str, registers: Mapping[str, Any], *, today: date) -> list[Reason]:
    """Give every reason why a change could not set some registers, before there is a change.

    Parameters
    ----------
    kind : one of SCHEMAS
    registers : those that it would set, by name
    today : as for `check_change`, which alone says whether the change that is made of them is valid

    Returns
    -------
    list of Reason, as `check_change` would give them; their paths begin with `set.`
    """
    wire = {"set": registers}
    if REGISTER_TESTS[kind](registers):
        return _too_late(wire, today, _HAPPENED_TO[kind])
    found = reasons_of({"set": REGISTERS_OF[kind].validate(registers)}, wire)
    return sorted([*found, *_too_late(wire, today)], key=lambda r: (r.path, r.code))


def _asked(schema: ChangeSchema, wire: Mapping[str, Any], today: date) -> list[Reason]:
    """Ask marshmallow itself."""
    written_by = wire.get("schema")
    if type(written_by) is int and written_by > SCHEMA:
        return [reason("schema", "schema-too-new", written_by, str(SCHEMA))]
    found = reasons_of(schema.validate(wire), wire)
    return sorted([*found, *_beside(wire, today)], key=lambda r: (r.path, r.code))


def _beside(wire: Mapping[str, Any], today: date, happened: Sequence[Path] = _HAPPENED) -> list[Reason]:
    """Ask the rules that stand beside the schemas."""
    return [*_too_late(wire, today, happened), *_like_a_keyed_record(wire)]


def _like_a_keyed_record(wire: Mapping[str, Any]) -> list[Reason]:
    """Refuse a child whose id is of the version that keyed records' ids are made in: one record must not be two kinds."""
    id_ = wire.get("id")
    if wire.get("kind") == "child" and isinstance(id_, str) and id_[14:15] == "5":
        return [reason("id", "id-mismatch", id_)]
    return []


def _too_late(wire: Mapping[str, Any], today: date, happened: Sequence[Path] = _HAPPENED) -> list[Reason]:
    """Find dates of things that have happened which lie after today, in a change valid or not."""
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
    """Say whether a measurement is dated before the child was born.

    Parameters
    ----------
    measured_on, born_on : ISO dates, as in a measurement's key and a child's identity

    Returns
    -------
    Reason, None where the dates agree (a child may be measured on the day of birth)
    """
    return reason("key.measured_on", "before-birth", measured_on, born_on) if measured_on < born_on else None
