"""The session, the own account, people."""

from typing import Final

from server.web.response_schemas.schema import (
    FLAG,
    MAYBE_MOMENT,
    MAYBE_TEXT,
    MOMENT,
    TEXT,
    WHOLE,
    obj,
    several,
    shape,
)

SESSION: Final = shape(
    {
        **dict.fromkeys(("account", "username", "name", "role", "csrf_token"), TEXT),
        "scope": obj({"kind": TEXT, "id": TEXT}),
        "permissions": several(TEXT),
    },
    "accounts.Session",
)
PEOPLE: Final = shape(
    {
        "total": WHOLE,
        "people": several(
            {
                **dict.fromkeys(("id", "username", "name", "role", "state"), TEXT),
                "scope": obj({"kind": TEXT, "id": TEXT, "name": MAYBE_TEXT}),
                "second_factor": FLAG,
                "invited_until": MAYBE_MOMENT,
                "last_seen_at": MAYBE_MOMENT,
            }
        ),
    },
    "accounts.People",
)
INVITATION: Final = shape(
    {"id": TEXT, "username": TEXT, "invitation": TEXT, "days": WHOLE}, "accounts.Invitation"
)
STATE: Final = shape({"id": TEXT, "state": TEXT}, "accounts.State")
SESSIONS: Final = shape(
    {
        "second_factor": FLAG,
        "recovery_codes_left": WHOLE,
        "sessions": several(
            {
                **{"id": TEXT, "agent": TEXT, "began_at": MOMENT, "last_seen_at": MOMENT},
                **{"ends_at": MOMENT, "this": FLAG},
            }
        ),
    },
    "accounts.Sessions",
)
ENDED: Final = shape({"ended": WHOLE}, "accounts.Ended")
PROVEN: Final = shape({"minutes": WHOLE, "csrf_token": TEXT}, "accounts.Proven")
CHANGED: Final = shape({"changed": FLAG}, "accounts.Changed")
