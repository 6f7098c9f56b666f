"""Every column that holds text or bytes, and how it keeps what a person may have typed; a new column must be put here.

SEALED under the district's key, KEYED under a child's, DIGEST, CODE (ids, codes, numbers, words of our own vocabularies,
hashes), or the reason why text that somebody typed may stand in the clear.
"""

from typing import Final

from sqlalchemy import LargeBinary, Text

from server.database.models import Base
from server.privacy.sealed_columns import PLACES

SEALED, KEYED, DIGEST, CODE = "sealed", "under a child's key", "digest", "code"
PLACE = "the name of a place or an organisation: public, and in the log"
STAFF = "the name of a member of staff, who works here: readers of the log see who did what"
DEVICE = "what a device is called; not logged, and cut if it names a child who is erased"
DONOR = "a donor's name: public if it agreed, and shown to those who manage aid"
MEASURED = "a child's values under a random id: figures need them; emptied when it is erased"
OURS = "written by the program: codes, counts and ids, never a value that was typed"

COLUMNS: Final = {
    "account": {
        **{"username": STAFF, "display_name": STAFF, "role": CODE, "scope_kind": CODE, "scope": CODE},
        **{"password_hash": DIGEST, "totp_sealed": SEALED, "mac": DIGEST},
    },
    "aid_activity": {
        **{
            "status": CODE,
            "reasons": CODE,
            "category": CODE,
            "category_by": CODE,
            "menu": CODE,
            "funds": CODE,
        },
        **{"title_sealed": SEALED, "reported_to": CODE, "village_code": CODE, "evidence_sealed": SEALED},
        **{"same_as": CODE, "same_by": CODE, "verified_by": CODE, "made_by": CODE, "sealed": SEALED},
    },
    "assessment": {
        **{"source": CODE, "gain_code": CODE, "reasons": CODE, "candidates": MEASURED, "engine": CODE},
    },
    "attention": {"rules": CODE, "status": CODE, "assigned_to": CODE},
    "audit_checkpoint": {"statement": OURS, "signatures": OURS, "peaks": OURS},
    "audit_entry": {"stream": CODE, "actor": CODE, "action": CODE, "details": OURS, "hash": DIGEST},
    "audit_leaf": {"stream": CODE, "hash": DIGEST},
    "audit_stream": {"stream": CODE, "head_hash": DIGEST},
    "batch": {"digest": DIGEST, "receipt": OURS, "outcomes": OURS, "sent_at": CODE},
    "change": {
        **{"actor": CODE, "hash": DIGEST, "kind": CODE, "outcome": CODE, "header": OURS, "reasons": CODE},
        "content": f"{KEYED}, {SEALED} if quarantined, or {MEASURED}",
    },
    "child": {"conflicts": CODE, "sex": MEASURED, "state": KEYED, "wrapped_key": SEALED},
    "commitment": {"menu": CODE, "funds": CODE, "region_code": CODE, "made_by": CODE},
    "cosignature": {"lines": OURS, "witness": PLACE},
    "csr_sheet": {
        **{"reported_to": CODE, "name_sealed": SEALED, "digest": DIGEST, "state": CODE, "counts": OURS},
        **{"brought_by": CODE, "sealed": SEALED},
    },
    "delivery": {
        **{"conflicts": CODE, "menu": CODE, "funds": CODE, "reaches": CODE, "outcome": CODE, "state": KEYED},
    },
    "donor": {
        **{"kind": CODE, "name": DONOR, "authority": CODE, "contact": SEALED, "columns_sealed": SEALED},
        "made_by": CODE,
    },
    "duplicate_pair": {"why": OURS, "status": CODE, "decided_by": CODE},
    "enrolment_code": {"code_digest": DIGEST, "tablet_name": DEVICE, "posts": CODE, "mac": DIGEST},
    "erasure": {"proposed_by": CODE, "agreed_by": CODE},
    "figures": {"area_kind": CODE, "area": CODE, "counts": OURS, "hidden": CODE},
    "figures_month": {},
    "figures_post": {},
    "flag": {"rule": CODE, "subject": CODE, "details": MEASURED},
    "follow_up": {
        **{"conflicts": CODE, "action": CODE, "reason": CODE, "assigned_to": CODE, "outcome": CODE},
        **{"covers": CODE, "state": KEYED},
    },
    "health_centre": {"name": PLACE, "subdistrict_code": CODE},
    "health_post": {"name": PLACE, "village_code": CODE},
    "import_case": {
        **{"question": CODE, "candidates": OURS, "sealed": SEALED, "status": CODE, "decision": CODE},
        "decided_by": CODE,
    },
    "import_chunk": {"counts": OURS, "sealed": SEALED, "children": DIGEST},
    "import_run": {
        **{"kind": CODE, "digest": DIGEST, "state": CODE, "scope_kind": CODE, "scope": CODE, "counts": OURS},
        **{"started_by": CODE, "sealed": SEALED},
    },
    "installation": {"name": PLACE, "incarnation": CODE},
    "invitation": {"token_digest": DIGEST, "made_by": CODE, "mac": DIGEST},
    "job_run": {"job": CODE, "result": OURS},
    "measurement": {
        **{
            "source": CODE,
            "conflicts": CODE,
            "oedema": MEASURED,
            "length_position": MEASURED,
            "state": KEYED,
        },
    },
    "nik_index": {"blind_index": DIGEST},
    "notice": {"kind": CODE, "subject": CODE, "details": OURS},
    "passkey": {
        "credential_id": CODE,
        "name": DEVICE,
        "user_handle": CODE,
        "public_key": CODE,
        "mac": DIGEST,
    },
    "post_exit": {},
    "post_month": {"state": DIGEST, "others": CODE, "told": OURS},
    "quarantine_decision": {
        **{"actor": CODE, "decision": CODE, "reason": CODE, "released_actor": CODE, "decided_by": CODE},
    },
    "rate_limit": {"what": CODE, "source": DIGEST},
    "recovery_code": {"code_digest": DIGEST, "mac": DIGEST},
    "region": {"code": CODE, "parent_code": CODE, "level": CODE, "kind": CODE, "name": PLACE},
    "rights_request": {
        **{"kind": CODE, "status": CODE, "relation": CODE, "asked": KEYED, "received_by": CODE},
        **{"proposed_by": CODE, "decided_by": CODE, "outcome": CODE},
    },
    "saved_view": {"sealed": SEALED},
    "session": {"token_digest": DIGEST, "agent": OURS, "mac": DIGEST},
    "tablet": {
        **{"name": DEVICE, "public_key": CODE, "chain_hash": DIGEST, "app": CODE, "token": CODE},
        **{"token_before": CODE, "mac": DIGEST},
    },
    "tablet_day": {},
    "tablet_post": {"mac": DIGEST},
    "username": {"name": STAFF, "mac": DIGEST},
    "witness": {"name": PLACE, "place": PLACE, "public_keys": OURS, "failure": CODE},
    "witnessed_checkpoint": {"log": PLACE, "note": OURS, "origin": PLACE, "root": DIGEST, "conflict": OURS},
    "witnessed_log": {"origin": PLACE, "public_keys": OURS},
}
UNDER_KEYS_OF_THEIR_OWN: Final = {("child", "wrapped_key")}


def test_every_column_with_text_is_decided_about() -> None:
    held = {
        name: {
            column.name
            for column in one.columns
            if isinstance(column.type, Text | LargeBinary) and column.name != "district"
        }
        for name, one in Base.metadata.tables.items()
    }
    assert {name: set(columns) for name, columns in COLUMNS.items()} == held


def test_what_is_called_sealed_is_resealed_at_a_rotation() -> None:
    told = {
        (name, column)
        for name, columns in COLUMNS.items()
        for column, how in columns.items()
        if how == SEALED
    }
    places = {(place.table.name, place.column) for place in PLACES}
    assert told - UNDER_KEYS_OF_THEIR_OWN == places - {("change", "content")}
