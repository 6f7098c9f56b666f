"""Aid: the gap, donors, commitments, activities, sheets, a child's aid. `server.aid` says what is wrong with a field."""

from datetime import date
from typing import Final

from schemas.strict import Day, Flag, Need, Object, choice, uuid, whole
from server.aid.csr_parser import LIMITS
from server.aid.register import (
    COMMITMENT,
    CONTACT,
    DONOR,
    MOST_MONTHS,
    MOST_PLACES,
    MOST_REACHED,
    MOST_RP,
)
from server.aid.words import AUTHORITIES, CATEGORIES, CLOSINGS, DONOR_KINDS, FUNDS, MENUS
from server.web.request_schemas.parts import (
    ALL_ROWS,
    ID,
    JSON,
    MAYBE_DAY,
    MAYBE_ID,
    TEXT,
    VECTOR,
    WORDS,
    IsoDay,
    count,
    one_of,
    scalars,
)
from server.web.request_schemas.schema import BODY, RequestSchema, Sent, checked

ACTIVITY_ACTIONS: Final = ("apart", "drop", "restore", "verify")


def _delivery() -> Sent:
    """Declare the id of a delivery; anything else, also nothing, is no UUID."""
    check = uuid()
    check.error_messages |= dict.fromkeys(("required", "null", "invalid"), "not-uuid")
    return checked(ID, check=check)


def _day(reason: str) -> Sent:
    return checked(MAYBE_DAY, reason, check=IsoDay(Need.ABSENT))


def period(first: str | None, last: str | None, today: date) -> tuple[date, date]:
    """Return the days of an address in order; this month until today where they are left out."""
    days = (
        date.fromisoformat(first) if first else today.replace(day=1),
        date.fromisoformat(last) if last else today,
    )
    return min(days), max(days)


# -- pages ----------------------------------------------------------------------------------------

GAP: Final = RequestSchema(
    {
        "wilayah": Sent(WORDS, default=""),
        "dari": _day("{name}"),
        "sampai": _day("{name}"),
        "semua": Sent(WORDS, keeps_empty=True),
    }
)
ASSIGN: Final = RequestSchema(form=dict.fromkeys(("komitmen", "desa", "kebutuhan", "lihat"), TEXT))
DONORS: Final = RequestSchema(form=dict.fromkeys(("apa", *DONOR, *CONTACT, *COMMITMENT), WORDS))
CHANGE_DONOR: Final = RequestSchema(form=dict.fromkeys((*DONOR, *CONTACT), WORDS))
CHANGE_COMMITMENT: Final = RequestSchema(form=dict.fromkeys(COMMITMENT, WORDS))
CLOSE_COMMITMENT: Final = RequestSchema(form={"alasan": one_of(CLOSINGS)})
ACTIVITIES: Final = RequestSchema(
    form=dict.fromkeys(
        (
            *("donor", "title", "menu", "funds", "village", "starts_on", "ends_on", "value_rp"),
            *("reached", "evidence"),
        ),
        WORDS,
    )
)
DECIDE_ACTIVITY: Final = RequestSchema(
    form={**dict.fromkeys(("category", "menu", "village"), WORDS), "do": one_of(ACTIVITY_ACTIONS)}
)
WHOSE: Final = RequestSchema(form={"cari": WORDS, "anak": MAYBE_ID})
SHEETS: Final = RequestSchema(form=dict.fromkeys(("donatur", "kepada"), WORDS), file="berkas")
SHEET: Final = RequestSchema(
    {
        "hanya": Sent(WORDS, default=""),
        "baris": count(0, 100_000, 0),
        "hal": count(1, 100_000, 0),
    }
)
TAKE_SHEET: Final = RequestSchema(form={"ambil": one_of("1")}, more_fields=True)
"""And `kolom_<field>`, the header that means a field."""
CHILD_AID: Final = RequestSchema(
    form=dict.fromkeys(
        (
            *("delivery", "context", "do", "menu", "funds", "reaches", "donor", "starts_on", "ends_on"),
            *("given_on", "quantity", "unit", "value_rp", "what", "where", "outcome"),
        ),
        WORDS,
    )
)

# -- JSON -----------------------------------------------------------------------------------------

GAP_JSON: Final = RequestSchema(
    {
        "area": Sent(WORDS, default=""),
        "first": _day("{name}: 2026-03-01"),
        "last": _day("{name}: 2026-03-01"),
        **ALL_ROWS,
    }
)
ASSIGN_JSON: Final = RequestSchema(
    json=scalars(dict.fromkeys(("commitment", "village", "need", "seen"), TEXT))
)
ADD_DONOR: Final = RequestSchema(
    json=scalars(
        {
            **{"name": TEXT, "kind": choice(*DONOR_KINDS), "authority": one_of(AUTHORITIES)},
            **{"named": Flag(Need.ABSENT)},
            **dict.fromkeys(CONTACT, WORDS),
        }
    )
)
CHANGE_DONOR_JSON: Final = RequestSchema(
    json=scalars(
        {
            **{"name": WORDS, "kind": one_of(DONOR_KINDS), "authority": one_of(AUTHORITIES)},
            **{"named": Flag(Need.ABSENT)},
            **dict.fromkeys(CONTACT, WORDS),
        }
    )
)
CHANGE_COMMITMENT_JSON: Final = RequestSchema(
    json=scalars(
        {
            **{"donor": MAYBE_ID, "menu": one_of(MENUS), "funds": one_of(FUNDS), "region": WORDS},
            **{"places": whole(1, MOST_PLACES, Need.ABSENT), "value_rp": whole(0, MOST_RP, Need.ABSENT)},
            **{"starts_on": MAYBE_DAY, "months": whole(1, MOST_MONTHS, Need.ABSENT)},
        }
    )
)
ADD_COMMITMENT: Final = RequestSchema(
    json=scalars(
        {
            **{"donor": ID, "menu": choice(*MENUS), "funds": choice(*FUNDS), "region": TEXT},
            **{"places": whole(1, MOST_PLACES), "value_rp": whole(0, MOST_RP, Need.ABSENT)},
            **{"starts_on": Day(), "months": whole(1, MOST_MONTHS)},
        }
    )
)
CLOSE_COMMITMENT_JSON: Final = RequestSchema(json=scalars({"reason": choice(*CLOSINGS)}))
ADD_ACTIVITY: Final = RequestSchema(
    json=scalars(
        {
            **{"donor": MAYBE_ID, "title": TEXT, "menu": choice(*MENUS), "funds": choice(*FUNDS)},
            **{"village": TEXT, "starts_on": Day(), "ends_on": MAYBE_DAY, "evidence": WORDS},
            **{"value_rp": whole(0, MOST_RP, Need.ABSENT), "reached": whole(0, MOST_REACHED, Need.ABSENT)},
        }
    )
)
DECIDE_ACTIVITY_JSON: Final = RequestSchema(
    json=scalars(
        {
            **{"category": one_of(CATEGORIES), "menu": one_of(MENUS), "village": WORDS},
            "action": one_of(ACTIVITY_ACTIONS),
        }
    )
)
GIVE_ACTIVITY: Final = RequestSchema(json=scalars({"child": ID}))
BRING_SHEET: Final = RequestSchema(
    {
        "reported_to": Sent(choice(*AUTHORITIES), default=""),
        "donor": Sent(MAYBE_ID),
        "name": Sent(WORDS, default=""),
    },
    file=BODY,
    most_bytes=LIMITS.bytes,
)
TAKE_SHEET_JSON: Final = RequestSchema(json={"columns": Object(Need.ABSENT)})
RECORD_AID: Final = RequestSchema(
    json={
        **{"delivery": _delivery(), "context": VECTOR},
        **dict.fromkeys(("aid", "delivered", "evidence", "verified", "note"), JSON),
    }
)
