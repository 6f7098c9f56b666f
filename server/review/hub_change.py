"""Check a change that the hub is about to write as if a tablet had sent it: staff and tablets obey the same schemas."""

from datetime import datetime
from typing import Final

from schemas import Reason, check_change
from schemas.strict import MANY
from server.context import AppContext
from sync_protocol import SCHEMA

_NONCE: Final = "A" * 22
"""Any valid nonce: the change that is written later gets its own."""


def check_hub_change(
    hub: AppContext,
    kind: object,
    record_id: object,
    key: object,
    registers: object,
    context: object,
    now: datetime,
) -> list[Reason]:
    """Give every reason why a change cannot be applied; none if it can.

    Parameters
    ----------
    context : what its author had seen, as JSON; None where it is missing
    """
    wire = {
        "kind": kind,
        "id": record_id,
        "key": key,
        "set": registers,
        "author": "hub",
        "recorded_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "nonce": _NONCE,
        "app": "hub",
        "schema": SCHEMA,
        **({} if context is None else {"context": context}),
    }
    return check_change(wire, today=hub.settings.today(now), most_actors=MANY)


def is_about_context(fault: Reason) -> bool:
    return fault.path.partition(".")[0] == "context"
