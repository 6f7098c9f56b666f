"""What staff decide: quarantined changes, conflicts, duplicates, moves."""

from typing import Any, Final

from schemas.strict import Object, choice
from server.review import duplicate_pairs, quarantine
from server.web.request_schemas.parts import (
    DONE,
    ID,
    JSON,
    MAYBE_ID,
    POST,
    ROWS,
    SHORT_PAGE,
    TEXT,
    VECTOR,
    WORDS,
    chosen,
    one_of,
)
from server.web.request_schemas.schema import Fields, RequestSchema, Sent, checked
from sync_protocol import VersionVector

PAIR_STATES: Final = ("open", "linked", "different")
CHANGE_STATES: Final = ("open", "answered", "decided")
_PAIR_ACTIONS: Final = ("link", "unlink", "different", "reopen")
_CHANGE_ACTIONS: Final = ("release", "dismiss", "reopen", "undo")


class Contexts(Object):
    """A version vector for each record."""

    @staticmethod
    def accepts(value: Any) -> bool:
        """Say whether each member is a vector; whether the changes that it names are held is asked by the merge."""
        try:
            vectors_of(value)
        except (AttributeError, TypeError, ValueError):
            return False
        return True


def vectors_of(contexts: Any) -> dict[str, VersionVector]:
    """Read version vectors by record.

    Raises
    ------
    AttributeError, TypeError, ValueError
        where one is none
    """
    return {
        str(record): VersionVector.from_wire({str(a): (int(n), str(t)) for a, (n, t) in vector.items()})
        for record, vector in contexts.items()
    }


# -- pages ----------------------------------------------------------------------------------------

CONFLICTS: Final = RequestSchema({"pos": checked(MAYBE_ID), **SHORT_PAGE})
CONFLICT: Final = RequestSchema(DONE)
SETTLE: Final = RequestSchema(
    form={"konteks": TEXT, "alasan": WORDS, "pilih-removed": WORDS}, more_fields=True
)
PAIRS: Final = RequestSchema({"status": checked(one_of(PAIR_STATES), "", "open"), **SHORT_PAGE})
PAIR: Final = RequestSchema(DONE)
DECIDE_PAIR: Final = RequestSchema(
    form={"tindakan": checked(one_of(_PAIR_ACTIONS), check=choice(*_PAIR_ACTIONS)), "konteks": TEXT}
)
CHANGES: Final = RequestSchema(
    {
        "keadaan": checked(one_of(CHANGE_STATES), "", quarantine.OPEN),
        "pos": Sent(MAYBE_ID),
        **SHORT_PAGE,
    }
)
CHANGE: Final = RequestSchema(DONE)
DECIDE_CHANGE: Final = RequestSchema(
    form={"tindakan": checked(one_of(_CHANGE_ACTIONS), check=choice(*_CHANGE_ACTIONS)), "alasan": WORDS},
    more_fields=True,
)
MOVE: Final = RequestSchema({"cari": Sent(WORDS), "dari": Sent(MAYBE_ID)})
SEND_AWAY: Final = RequestSchema({"cari": Sent(WORDS)}, {"dari": TEXT, "ke": TEXT})

# -- JSON -----------------------------------------------------------------------------------------

QUARANTINE_LIST: Final = RequestSchema(
    {"state": chosen(quarantine.STATES, quarantine.OPEN, "state is one of {choices}"), "post": POST, **ROWS}
)
RELEASE: Final = RequestSchema(json={"set": JSON, "key": JSON})
DISMISS: Final = RequestSchema(json={"reason": choice(*quarantine.DISMISSALS)})
CONFLICT_LIST: Final = RequestSchema({"post": POST, **ROWS})
SETTLE_JSON: Final = RequestSchema(json={"context": VECTOR, "reason": TEXT, "set": Object(), "removal": JSON})
DUPLICATE_LIST: Final = RequestSchema(
    {"status": chosen(duplicate_pairs.STATES, "open", "status is one of {choices}"), **ROWS}
)
_CONTEXTS: Final[Fields] = {
    "contexts": checked(VECTOR, "contexts holds a vector for each record", check=Contexts())
}
LINK: Final = RequestSchema(json=_CONTEXTS)
MOVE_JSON: Final = RequestSchema(json={"from": ID, "to": ID})
