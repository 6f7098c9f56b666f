"""Builders of test values: sensible defaults, and a test overrides the one thing it is about.

Names of people are clearly made up. Nothing here draws a random number or reads a clock.
"""

from collections.abc import Mapping
from typing import Any

from sync_protocol import (
    FIRST_PREVIOUS,
    NOTHING_SEEN,
    SCHEMA,
    Change,
    Dot,
    History,
    Json,
    Replica,
    VersionVector,
    change_hash,
    follow_up_id,
    measurement_id,
)

CHILD = "01900000-0000-7000-8000-000000000001"
MEASURED_ON = "2026-03-05"
MEASUREMENT = measurement_id(CHILD, MEASURED_ON, "cadre")
MEASUREMENT_KEY = {"child": CHILD, "measured_on": MEASURED_ON, "source": "cadre"}
TASK = "01900000-0000-7000-8000-000000000051"
FOLLOW_UP = follow_up_id(CHILD, TASK)
FOLLOW_UP_KEY = {"child": CHILD, "task": TASK}
TABLET, OTHER_TABLET, THIRD_TABLET = (f"01900000-0000-7000-8000-00000000001{n}" for n in (1, 2, 3))
POST = "01900000-0000-7000-8000-000000000099"
NONCE = "AAAAAAAAAAAAAAAAAAAAAA"
AUTHOR = "kader-contoh"
AT = "2026-03-05T02:00:00Z"
APP = "posyandu-sync/0.1.0"


def make_wire(**overrides: Any) -> dict[str, Any]:
    """Give a valid change of a measurement as it travels; `set` is its registers."""
    wire: dict[str, Any] = {
        "kind": "measurement",
        "id": MEASUREMENT,
        "key": dict(MEASUREMENT_KEY),
        "context": {},
        "set": {"weight": {"weight_g": 8200, "oedema": None}},
        "author": AUTHOR,
        "recorded_at": AT,
        "nonce": NONCE,
        "app": APP,
        "schema": SCHEMA,
    }
    return {**wire, **overrides}


def make_change(
    actor: str = TABLET,
    counter: int = 1,
    *,
    context: VersionVector = NOTHING_SEEN,
    registers: Mapping[str, Json] | None = None,
    previous: str = FIRST_PREVIOUS,
    **overrides: Any,
) -> Change:
    """Give a change of one measurement, hashed as its tablet would.

    Parameters
    ----------
    actor, counter : its dot
    context : what its author had in view, such as `vector_of(earlier, …)`
    registers : the registers it sets; a weight unless told
    previous : hash of the actor's change before it
    **overrides : other fields of the wire form
    """
    if registers is not None:
        overrides["set"] = registers
    wire = make_wire(context=context.wire(), **overrides)
    dot = Dot(actor, counter)
    return Change.from_wire(dot, wire, change_hash(dot, previous, wire))


def make_history(*changes: Change, quarantined: tuple[Change, ...] = ()) -> History:
    """Give what is held of one record."""
    return History(changes, tuple((change.dot, change.tag) for change in quarantined))


def vector_of(*changes: Change) -> VersionVector:
    """Give the vector of somebody who has all these changes in view."""
    vector = NOTHING_SEEN
    for change in changes:
        vector = vector.seeing(change.dot.actor, change.entry)
    return vector


def weight(weight_g: int) -> dict[str, Json]:
    """Give a weight register, to be merged with others into a change's registers."""
    return {"weight": {"weight_g": weight_g, "oedema": None}}


def length(length_mm: int) -> dict[str, Json]:
    """Give a length register."""
    return {"length": {"length_mm": length_mm, "position": "lying"}}


def task(action: str = "remeasure", **fields: Any) -> dict[str, Json]:
    """Give a task register: something to be done for a child."""
    return {"task": {"action": action, "reason": None, "due_on": None, "assigned_to": None, **fields}}


def result(outcome: str = "done", done_on: str = MEASURED_ON, **fields: Any) -> dict[str, Json]:
    """Give a result register: what came of a task."""
    return {"result": {"done_on": done_on, "outcome": outcome, **fields}}


def removal(reason: str | None = "salah anak") -> dict[str, Json]:
    """Give a removal (or, with None, the taking back of one)."""
    return {"removed": {"reason": reason}}


def make_replica(tablet_id: str = TABLET, **overrides: Any) -> Replica:
    """Give a tablet that has just been enrolled."""
    fields: dict[str, Any] = {"district": "64.02", "tablet_id": tablet_id, "post_id": POST, "app": APP}
    return Replica(**{**fields, **overrides})
