"""Valid changes to begin with: a test overrides the one thing it is about."""

from copy import deepcopy
from datetime import date
from typing import Any

from hypothesis import strategies as st

from schemas import Reason, check_change
from sync_protocol import KEYS, id_of

TODAY = date(2026, 6, 30)
TABLET = "019bf000-0000-7000-8000-00000000000a"
CHILD = "019bf000-0000-7000-8000-00000000000b"
POST = "019bf000-0000-7000-8000-00000000000c"
TASK = "019bf000-0000-7000-8000-00000000000d"
KEY_OF: dict[str, dict[str, str]] = {
    "child": {},
    "measurement": {"child": CHILD, "measured_on": "2026-05-04", "source": "cadre"},
    "follow_up": {"child": CHILD, "task": TASK},
    "delivery": {"child": CHILD, "delivery": TASK},
}
"""By kind of record, the key of the one that these changes are of."""

REGISTERS: dict[str, dict[str, dict[str, Any]]] = {
    "child": {
        "identity": {"name": "Anak Contoh", "sex": "M", "born_on": "2025-03-01", "birth_order": 1},
        "nik": {"nik": "9999994101259999"},
        "parents": {"mother": "Ibu Contoh", "father": None, "phone": "+620000000000"},
        "home": {"address": "Jalan Contoh 1\nlorong 2", "rt": "1", "rw": "001", "village": "64.02.06.1001"},
        "post": {"post": POST},
        "birth": {"weight_g": 3000, "length_mm": 490, "gestation_weeks": 39},
        "books": {"kia": True, "kms": False},
        "family": {"krs": True, "source": "pendataan contoh", "valid_until": "2027-12-31"},
        "consent": {
            "given": True, "by": "Ibu Contoh", "relation": "ibu", "on": "2026-01-05", "method": "lisan",
        },
        "same_as": {"child": POST},
        "book_doses": {"given": {"HB0": "2025-03-01", "BCG": "2025-03-20"}},
        "extra": {"ids": {"simpus:patient": "0012/A", "rs-contoh:rm": "Kartu 7"}},
        "removed": {"reason": "tertulis dua kali"},
    },
    "measurement": {
        "weight": {"weight_g": 9500, "oedema": "n"},
        "length": {"length_mm": 750, "position": "lying"},
        "muac": {"muac_mm": 140},
        "head": {"head_mm": 440},
        "services": {
            "vitamin_a": "blue", "exclusive_breastfeeding": None, "mbg": True, "mother_class": False,
            "kpsp": "S", "deworming": None, "immunised": True,
        },
        "doses": {"given": {"MR1": "A-123", "IPV2": None}},
        "note": {"text": "Anak rewel.\nDiukur dua kali."},
        "extra": {"ids": {"timbangan:reading": "4711"}},
        "removed": {"reason": None},
    },
    "follow_up": {
        "task": {
            "action": "pmt_week", "reason": "wasted", "due_on": "2027-01-31", "assigned_to": "kader.contoh",
            "course": POST, "week": 2, "funds": "dak",
        },
        "result": {
            "done_on": "2026-05-04", "outcome": "continue", "days_eaten": 6,
            "covers": ["wasted/2026-05-04/cadre", "not_seen/0123456789ab"],
        },
        "note": {"text": "Makan lahap."},
        "removed": {"reason": None},
    },
    "delivery": {
        "aid": {
            "menu": "food", "funds": "genting", "reaches": "child", "starts_on": "2026-05-04",
            "ends_on": "2027-01-31", "donor": POST, "commitment": TASK,
        },
        "delivered": {"given_on": "2026-05-04", "quantity": 30, "unit": "portion", "value_rp": 450_000},
        "evidence": {"what": "signature", "where": "buku bantuan posyandu"},
        "verified": {"verified_on": "2026-05-04", "outcome": "received"},
        "note": {"text": "Diterima ibu."},
        "removed": {"reason": None},
    },
}  # fmt: skip


def make_change(kind: str = "measurement", /, **overrides: Any) -> dict[str, Any]:
    """Make a valid change that sets every register of its kind."""
    key = dict(KEY_OF[kind])
    change = {
        "kind": kind,
        "id": id_of(kind, key) if key else CHILD,
        "key": key,
        "context": {TABLET: [7, "A" * 16], f"hub:{CHILD}": [1, "-_" * 8]},
        "set": deepcopy(REGISTERS[kind]),
        "author": "kader.contoh",
        "recorded_at": "2026-05-04T02:15:00Z",
        "nonce": "n" * 22,
        "app": "contoh 0.1",
        "schema": 1,
    }
    return {**change, **overrides}


def reasons(change: Any) -> list[Reason]:
    return check_change(change, today=TODAY)


def found(change: Any) -> set[tuple[str, str]]:
    """Give the path and code of every reason for refusing a change."""
    return {(reason.path, reason.code) for reason in reasons(change)}


def setting(kind: str, register: str, **fields: Any) -> dict[str, Any]:
    """Make a change that sets one register, with these fields of it overridden."""
    return make_change(kind, set={register: {**REGISTERS[kind][register], **fields}})


HOSTILE: list[Any] = [
    *(2**53, 10**400, -1, 9.5, 9500.0, float("nan"), float("inf")),
    *("9500", "", " ", "a\x00", "\ud800", "2026-02-29", "2099-01-01"),
    *("M", "n", "lying", "blue", "S", "child", CHILD, f"hub:{CHILD}"),
    *([], {}, [1, "A" * 16], [True, "A" * 16], {"weight_g": 1}, {"a": {"b": [1]}}),
]
JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 50_000),
    st.text(max_size=6),
    st.sampled_from(HOSTILE).map(deepcopy),
)


@st.composite
def valid_changes(draw: st.DrawFn) -> dict[str, Any]:
    """Draw valid changes: some registers of one kind, a context of some actors."""
    kind = draw(st.sampled_from(sorted(KEYS)))
    chosen = draw(st.sets(st.sampled_from(sorted(REGISTERS[kind])), min_size=1))
    registers = {name: deepcopy(REGISTERS[kind][name]) for name in sorted(chosen)}
    actors = draw(st.lists(st.uuids().map(str), max_size=4))
    context = {actor: [draw(st.integers(1, 2**53 - 1)), "Zz09-_Aa" * 2] for actor in actors}
    if "weight" in registers:
        registers["weight"]["weight_g"] = draw(st.integers(500, 40_000))
    if "result" in registers:
        registers["result"]["days_eaten"] = draw(st.none() | st.integers(0, 7))
        covered = st.lists(
            st.sampled_from(["oedema/", "stunted/2026-01-05/cadre", "not_seen/0a"]), max_size=3
        )
        registers["result"]["covers"] = draw(st.none() | covered)
    if "identity" in registers:
        registers["identity"]["name"] = draw(st.sampled_from(["A", "Anak Contoh 2", "‘Aisyah Contoh’", "安"]))
    change = make_change(kind, set=registers, context=context)
    if kind == "measurement":
        day = draw(st.dates(date(2000, 1, 1), TODAY)).isoformat()
        source = draw(st.sampled_from(["cadre", "staff"]))
        change["key"] = {"child": CHILD, "measured_on": day, "source": source}
    if kind == "follow_up":
        change["key"] = {"child": CHILD, "task": str(draw(st.uuids()))}
    if kind == "delivery":
        change["key"] = {"child": CHILD, "delivery": str(draw(st.uuids()))}
    if change["key"]:
        change["id"] = id_of(kind, change["key"])
    return change


@st.composite
def mutated_changes(draw: st.DrawFn) -> dict[str, Any]:
    """Draw changes spoiled in one to three places: a value replaced, left out, or put where none belongs."""
    change = draw(valid_changes())
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(_places(change)))
        if isinstance(place, list):
            place[:] = draw(st.lists(JUNK, max_size=3))
        else:
            name = draw(st.sampled_from([*place, "x", "weight", "name", "removed", CHILD]))
            if draw(st.integers(0, 3)) == 0:
                place.pop(name, None)
            else:
                place[name] = draw(JUNK)
    return change


def _places(value: Any) -> list[Any]:
    """List every object and list within a JSON value, itself first."""
    if not isinstance(value, dict | list):
        return []
    inner = value.values() if isinstance(value, dict) else value
    return [value, *(place for member in inner for place in _places(member))]
