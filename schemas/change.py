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
    MANY,
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
from schemas.words import MAX_REASONS, Reason, reason, reasons_of
from sync_protocol import KEYS, REGISTERS, SCHEMA, TAG_LENGTH, id_of

MAX_ACTORS: Final = 1024
"""Most actors of a context that a tablet sends: 70 KiB of the 256 KiB of a batch. A record of five tablets that are each
enrolled anew ten times a year has 250 actors after five years. Of a record with more, a tablet names those whose values are
live (`RecordState.context`). What the server writes itself has no such limit (docs/adr/0030)."""

SERVERS_OWN: Final = frozenset({"operator", "carrier"})
SERVERS_PREFIXES: Final = ("account:", "job:", "hub:", "tablet:")
"""Authors, and beginnings of authors, that only the server writes: people with an account, and itself."""

TAG: Final = rf"[A-Za-z0-9_-]{{{TAG_LENGTH}}}"


class ContextField(MapOf):
    """A version vector as it is sent, `{actor: [counter, tag]}`; the context of a new record is empty. How many actors a
    context may have depends on who wrote it: `check_change`."""

    def __init__(self) -> None:
        actor = shaped(f"(?:hub:)?{UUID}", "not-actor")
        super().__init__(actor, Pair(whole(1), shaped(TAG, "not-tag")), MANY)


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

    def agree(self, value: Mapping[str, Any]) -> None:
        """Refuse a weighing without weight and oedema, except as a correction: there it takes the weighing back."""
        super().agree(value)
        weight = value.get("set", {}).get("weight", {})
        says_nothing = weight.get("weight_g", 0) is None and weight.get("oedema", 0) is None
        if says_nothing and not value.get("context"):
            raise ValidationError({"set": {"weight": ["nothing-measured"]}})


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


def check_change(wire: object, *, today: date, most_actors: int = MAX_ACTORS) -> list[Reason]:
    """Return every reason why a change cannot be applied.

    Parameters
    ----------
    wire : one member of a batch's `changes`, as it arrived
    today : the date at the posts of the district; nothing dated after it can have happened
    most_actors : of its context; MANY for the server's own changes, whose contexts are vectors that it published

    Returns
    -------
    list of Reason, in the order of their paths; empty for a valid change. A change with a newer schema than ours
    has the one reason `schema-too-new`, for our rules do not apply to it.
    """
    if not isinstance(wire, dict):
        return [reason("", "not-object", wire)]
    found = _check_contents(wire, today)
    context = wire.get("context")
    if isinstance(context, dict) and len(context) > most_actors and _is_ours(wire):
        found = _in_order([*found, reason("context", "list-length", None, "0", str(most_actors))])
    return found


def _check_contents(wire: Mapping[str, Any], today: date) -> list[Reason]:
    """Check all but the number of actors in the context."""
    kind = wire.get("kind")
    if type(kind) is not str or kind not in SCHEMAS:
        return _check_fully(UNKNOWN_KIND, wire, today)
    if wire.get("schema") == SCHEMA and TESTS[kind](wire):
        return _check_further_rules(wire, today, _PAST_DATES_OF[kind])
    return _check_fully(SCHEMAS[kind], wire, today)


def _is_ours(wire: Mapping[str, Any]) -> bool:
    """Say whether our rules apply: not to a change with a newer schema."""
    written_by = wire.get("schema")
    return type(written_by) is not int or written_by <= SCHEMA


def _in_order(found: Sequence[Reason]) -> list[Reason]:
    return sorted(found, key=lambda r: (r.path, r.code))


def check_tablet_change(wire: object, *, today: date) -> list[Reason]:
    """Return every reason why a change of a tablet cannot be applied: those of `check_change`, and an author whom only the
    server may name."""
    reasons = check_change(wire, today=today)
    author = wire.get("author") if isinstance(wire, dict) else None
    if not isinstance(author, str) or any(found.code == "schema-too-new" for found in reasons):
        return reasons
    if author in SERVERS_OWN or author.startswith(SERVERS_PREFIXES):
        reasons = [reason("author", "author-of-server", author), *reasons][:MAX_REASONS]
    return reasons


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
    return _in_order([*found, *_in_future(wire, today)])


_OF_CHILD: Final[Sequence[Path]] = (("id",), ("set", "same_as", "child"))
_OF_ITS_RECORDS: Final[Sequence[Path]] = (("key", "child"),)
"""Where a change names a child."""


def _check_fully(schema: ChangeSchema, wire: Mapping[str, Any], today: date) -> list[Reason]:
    """Check with marshmallow, which gives the reasons."""
    if not _is_ours(wire):
        return [reason("schema", "schema-too-new", wire["schema"], str(SCHEMA))]
    found = reasons_of(schema.validate(wire), wire)
    return _in_order([*found, *_check_further_rules(wire, today)])


def _check_further_rules(
    wire: Mapping[str, Any], today: date, happened: Sequence[Path] = _PAST_DATES
) -> list[Reason]:
    """Check the rules that are not in the schemas."""
    return [*_in_future(wire, today, happened), *_ids_of_keyed_records(wire)]


def _ids_of_keyed_records(wire: Mapping[str, Any]) -> list[Reason]:
    """Refuse a UUIDv5, the version of keyed records, as the id of a child: the ids of different kinds must not be equal, and
    what is written of a child that can never exist would wait for it for ever."""
    paths = _OF_CHILD if wire.get("kind") == "child" else _OF_ITS_RECORDS
    return [
        reason(".".join(path), "id-mismatch", id_)
        for path in paths
        if type(id_ := _inside(wire, *path)) is str and id_[14:15] == "5"
    ]


def only_removes(kind: object, registers: object) -> bool:
    """Say whether a change only removes a measurement. It is taken whatever the measurement's day: so a tablet takes back
    what it recorded under a wrong one."""
    removed = registers.get("removed") if isinstance(registers, Mapping) and len(registers) == 1 else None
    return kind == "measurement" and isinstance(removed, Mapping) and removed.get("reason") is not None


def _in_future(wire: Mapping[str, Any], today: date, happened: Sequence[Path] = _PAST_DATES) -> list[Reason]:
    """Return reasons for dates after today of things that have happened, in a change valid or not."""
    if only_removes(wire.get("kind"), wire.get("set")):
        return []
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
