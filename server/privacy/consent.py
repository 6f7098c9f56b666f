"""A parent's consent (UU 27/2022, article 25): a register of the child, so it syncs and has a history like any other."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from server.context import AppContext
from server.errors import Problem
from server.privacy import requests
from server.review import Scope
from server.sync import server_edits
from server.sync.server_edits import Edit
from sync_protocol import VersionVector


def consent(
    session: Session,
    hub: AppContext,
    scope: Scope,
    child_id: str,
    said: Mapping[str, Any],
    context: Any,
    *,
    author: str,
    now: datetime,
) -> None:
    """Record that a parent gives or withdraws consent.

    Parameters
    ----------
    said : the register: `given`, `by`, `relation`, `on`, `method`
    context : the child's vector as shown on the screen (`RightsStatus.context`)

    Raises
    ------
    Problem
        `record-unknown` outside the scope, `request-malformed` for an invalid context, `change-invalid`.
    """
    requests.subject(session, hub, scope, child_id)
    try:
        seen = VersionVector.from_wire(context)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise Problem("request-malformed", reason="context") from error
    edit = Edit.of_child(child_id, {"consent": said}, seen)
    server_edits.write(session, hub, [edit], "consent.recorded", author=author, now=now)
