"""How records lie in the tables: ledger rows and merged states, sealed where they hold a person's data.

Sealed are: everything of a child but the sex and birth date that scores need; the note of a measurement, follow-up or
delivery, its evidence, and why one was removed; and a quarantined change whatever it holds. A sealed value is bound to its
row, so that moved to another it does not open. The header of a change stays plain and chained, so the ledger can be verified
after a person was erased. Of an erased child nothing is ever kept again: a change that still comes is
taken, and stored without its content.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, Final

import orjson
from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from server.crypto.vault import ChildKey, Vault, seal, unseal
from server.database.engine import among, among_pairs
from server.database.models import ChangeRow, Child, table
from sync_protocol import Change, Dot, History, Json, Link, Outcome, RecordState, header_of

PLAIN, UNDER_CHILD, UNDER_DISTRICT, ERASED = 0, 1, 2, 3
"""How a change's content lies in its row; ERASED: it was taken out when the person was erased, and only its hash is left."""
PERSONAL_REGISTERS: Final[Mapping[str, frozenset[str] | None]] = {
    "child": None,
    "measurement": frozenset({"note", "removed"}),
    "follow_up": frozenset({"note", "removed"}),
    "delivery": frozenset({"evidence", "note", "removed"}),
}
"""By kind: the registers that hold a person's data; None for all of them."""


def is_personal(kind: str, registers: Iterable[str]) -> bool:
    """Say whether any of the registers must be sealed."""
    personal = PERSONAL_REGISTERS[kind]
    return personal is None or not personal.isdisjoint(registers)


@dataclass(slots=True)
class Subject:
    """A child as far as its row goes: where it belongs, its key, and its row as it is stored, if it is there yet.

    `person_id` is whom the child's record is of: the same for children who were linked. `opened` is the key, ready for use.
    """

    id: str
    post_id: str
    vault: Vault
    wrapped_key: bytes | None
    key_version: int
    registered: bool
    first_seen_at: datetime
    row: Mapping[Any, Any] | None = None
    born_on: str | None = None
    person_id: str = ""
    opened: ChildKey | None = None

    @property
    def stored(self) -> bool:
        return self.row is not None

    @property
    def erased(self) -> bool:
        """Whether the person was erased: there is no key any more."""
        return self.wrapped_key is None

    @property
    def restricted(self) -> bool:
        """Whether a parent has had the processing of the child's data restricted."""
        return self.row is not None and self.row["restricted_at"] is not None

    @property
    def key(self) -> ChildKey:
        """The child's key, unwrapped when it is wanted, and once: a batch of weights wants none."""
        if self.opened is None:
            self.opened = self.vault.child_key(self.id, self.wrapped_key, self.key_version)
        return self.opened


def subjects(session: Session, vault: Vault, district: str, child_ids: Sequence[str]) -> dict[str, Subject]:
    """Load the rows of children that are known, by id."""
    if not child_ids:
        return {}
    rows = session.connection().execute(_subjects(), {"district": district, "among": list(child_ids)})
    return {
        row["id"]: Subject(
            row["id"],
            row["post_id"],
            vault,
            row["wrapped_key"],
            row["key_version"],
            bool(row["registered"]),
            row["first_seen_at"],
            row,
            row["born_on"].isoformat() if row["born_on"] else None,
            row["person_id"],
        )
        for row in rows.mappings()
    }


@cache
def _subjects() -> Select[*tuple[Any, ...]]:
    """Built once, of the table: kept ones are compiled and cached faster, and rows come without the ORM's loading."""
    c = table(Child).c
    return select(table(Child)).where(c.district == bindparam("district"), among(c.id))


def new_subject(vault: Vault, child_id: str, post_id: str, now: datetime) -> Subject:
    """Give a child that is heard of for the first time, with a key of its own."""
    wrapped, version, key = vault.new_child_key(child_id)
    return Subject(child_id, post_id, vault, wrapped, version, False, now, person_id=child_id, opened=key)


def histories(
    session: Session, district: str, children: Mapping[str, Subject], records: Mapping[str, str]
) -> dict[str, History]:
    """Load all that is held of some records.

    Parameters
    ----------
    children : each child that they belong to, by id
    records : the records: child id by record id

    Returns
    -------
    dict by record id; a record of which nothing is held is not in it
    """
    if not records:
        return {}
    pairs = orjson.dumps([(child_id, record_id) for record_id, child_id in records.items()]).decode()
    rows = session.connection().execute(_changes(), {"district": district, "records": pairs})
    found: dict[str, History] = {}
    for row in rows:
        known = found.get(row.record_id, History(()))
        dot = Dot(row.actor, row.counter)
        if row.outcome == Outcome.QUARANTINED.value or row.sealed == ERASED:
            found[row.record_id] = History(known.changes, (*known.quarantined, (dot, row.hash[:16])))
        else:
            found[row.record_id] = known.with_change(read_change(district, row, children[row.child_id]))
    return found


def clock_doubts(session: Session, district: str, records: Mapping[str, str]) -> dict[str, dict[Dot, int]]:
    """Load by how many days a wrong clock may have moved what the changes of some records name; only those it may have.

    Parameters
    ----------
    records : child id by record id

    Returns
    -------
    dict by record id, then by change: days, never 0
    """
    pairs = orjson.dumps([(child_id, record_id) for record_id, child_id in records.items()]).decode()
    rows = session.connection().execute(_doubts(), {"district": district, "records": pairs})
    found: dict[str, dict[Dot, int]] = {}
    for row in rows:
        found.setdefault(row.record_id, {})[Dot(row.actor, row.counter)] = row.clock_days
    return found


@cache
def _doubts() -> Select[*tuple[Any, ...]]:
    c = table(ChangeRow).c
    return select(c.record_id, c.actor, c.counter, c.clock_days).where(
        c.district == bindparam("district"),
        among_pairs(c.child_id, c.record_id, "records"),
        c.clock_days != 0,
        c.outcome != Outcome.QUARANTINED.value,
    )


@cache
def _changes() -> Select[*tuple[Any, ...]]:
    c = table(ChangeRow).c
    columns = (
        c.actor,
        c.counter,
        c.hash,
        c.record_id,
        c.child_id,
        c.outcome,
        c.header,
        c.content,
        c.sealed,
    )
    return select(*columns).where(
        c.district == bindparam("district"),
        among_pairs(c.child_id, c.record_id, "records"),
    )


def read_change(district: str, row: Any, child: Subject) -> Change:
    """Give the change of a ledger row (with `header`, `content`, `sealed`, `hash`, `actor`, `counter`)."""
    content = (
        row.content if row.sealed == PLAIN else unseal(child.key, row.content, bound_to(district, row.hash))
    )
    wire = {**orjson.loads(row.header), **orjson.loads(content)}
    return Change.from_wire(Dot(row.actor, row.counter), wire, row.hash)


def bound_to(district: str, hash_: str) -> str:
    """Name what the seal of a change's content is bound to."""
    return f"change/{district}/{hash_}"


def change_row(
    district: str,
    link: Link,
    change: Change | None,
    subject: Subject | None,
    vault: Vault,
    *,
    outcome: Outcome,
    reasons: Sequence[Json],
    child_id: str | None,
    record_id: str | None,
    batch_id: str | None,
    received_at: datetime,
    clock_days: int = 0,
) -> dict[str, Any]:
    """Give the ledger row of a change taken; of a quarantined one (`change` is None) everything is sealed but its place."""
    header = header_of(link.dot, link.previous, link.wire, link.content)
    content = {"nonce": link.wire.get("nonce"), "set": link.wire.get("set")}
    if subject is not None and subject.erased:
        sealed, stored = ERASED, b""
        header = {name: header[name] for name in ("actor", "counter", "previous", "content")}
    elif change is None:
        plain = orjson.dumps(
            link.wire
        )  # whole, since it may lack fields or have ones that the header overwrites
        sealed, stored = UNDER_DISTRICT, vault.seal_for_district(plain, bound_to(district, link.hash))
        header = {name: header[name] for name in ("actor", "counter", "previous", "content")}
    elif is_personal(change.kind, change.registers) and subject:
        sealed, stored = UNDER_CHILD, seal(subject.key, orjson.dumps(content), bound_to(district, link.hash))
    else:
        sealed, stored = PLAIN, orjson.dumps(content)
    return {
        "district": district,
        "actor": link.dot.actor,
        "counter": link.dot.counter,
        "hash": link.hash,
        "kind": change.kind if change else None,
        "record_id": record_id,
        "child_id": child_id,
        "batch_id": batch_id,
        "outcome": outcome.value,
        "header": orjson.dumps(header),
        "content": stored,
        "sealed": sealed,
        "reasons": orjson.dumps(reasons).decode() if reasons else None,
        "clock_days": clock_days,
        "received_at": received_at,
    }


def quarantined_change(district: str, row: Any, vault: Vault) -> dict[str, Any]:
    """Give back a quarantined change as it came: its wire object, whatever it holds."""
    wire: dict[str, Any] = orjson.loads(vault.unseal_for_district(row.content, bound_to(district, row.hash)))
    return wire


def child_row(
    district: str, subject: Subject, state: RecordState | None, position: int, clock_days: int = 0
) -> dict[str, Any]:
    """Give the row of a child; without a state, that of one not registered yet."""
    identities = [s.value for s in state.registers.get("identity", ())] if state else []
    born = {i.get("born_on") for i in identities}
    sexes = {i.get("sex") for i in identities}
    born_on = born.pop() if len(born) == 1 else None
    wire = {"id": subject.id, **state.wire()} if state else None
    return {
        "district": district,
        "id": subject.id,
        "post_id": subject.post_id,
        "position": position,
        "registered": state is not None,
        "removed": bool(state and state.removed),
        "conflicts": _conflicts(state) if state else "",
        "person_id": subject.person_id,
        "same_as": (state.value("same_as") or {}).get("child") if state else None,
        "clock_days": clock_days,
        "krs_until": _krs_until(state),
        "sex": sexes.pop() if len(sexes) == 1 else None,
        "born_on": date.fromisoformat(born_on) if born_on else None,
        "state": seal(subject.key, _dumped(wire), f"child/{district}/{subject.id}") if wire else None,
        "wrapped_key": subject.wrapped_key,
        "key_version": subject.key_version,
        "first_seen_at": subject.first_seen_at,
    }


def _krs_until(state: RecordState | None) -> date | None:
    """Give the last day on which a family counts as at risk: of several who differ, the latest; without an end, for ever."""
    families = [s.value for s in state.registers.get("family", ())] if state else []
    ends = [f.get("valid_until") or date.max.isoformat() for f in families if f["krs"]]
    return date.fromisoformat(max(ends)) if ends else None


def _dumped(wire: Json) -> bytes:
    """Write a state as JSON; dots are named tuples, which orjson does not write of itself."""
    return orjson.dumps(wire, default=tuple)


def read_child(district: str, child_id: str, sealed: bytes, key: ChildKey) -> bytes:
    """Give a child's state as it goes on the wire: JSON."""
    return unseal(key, sealed, f"child/{district}/{child_id}")


def measurement_row(
    district: str, subject: Subject, state: RecordState, position: int, clock_days: int = 0
) -> dict[str, Any]:
    """Give the row of a measurement: columns where there is one value, the state with all of them."""
    weight, length = state.value("weight") or {}, state.value("length") or {}
    on, source = state.key["measured_on"], state.key["source"]
    return {
        "district": district,
        "child_id": subject.id,
        "measured_on": date.fromisoformat(on),
        "source": source,
        "post_id": subject.post_id,
        "position": position,
        "removed": state.removed,
        "conflicts": _conflicts(state),
        "clock_days": clock_days,
        "weight_g": weight.get("weight_g"),
        "oedema": weight.get("oedema"),
        "length_mm": length.get("length_mm"),
        "length_position": length.get("position"),
        "muac_mm": (state.value("muac") or {}).get("muac_mm"),
        "head_mm": (state.value("head") or {}).get("head_mm"),
        **_sealed_state(district, subject, state, {"on": on, "source": source}),
    }


def follow_up_row(district: str, subject: Subject, state: RecordState, position: int) -> dict[str, Any]:
    """Give the row of a follow-up: columns of what its live values agree on, the state with all of them.

    Two people who close a case at once have both closed it, whatever else they differ in: `covers` is what either saw.
    """
    task, result = _agreed(state, "task"), _agreed(state, "result")
    due_on, done_on = task.get("due_on"), result.get("done_on")
    covers = {flag for s in state.registers.get("result", ()) for flag in s.value.get("covers") or ()}
    return {
        "district": district,
        "child_id": subject.id,
        "task": state.key["task"],
        "post_id": subject.post_id,
        "position": position,
        "removed": state.removed,
        "conflicts": _conflicts(state),
        "action": task.get("action"),
        "reason": task.get("reason"),
        "due_on": date.fromisoformat(due_on) if due_on else None,
        "assigned_to": task.get("assigned_to"),
        "course": task.get("course"),
        "week": task.get("week"),
        "resulted": int("result" in state.registers),
        "done_on": date.fromisoformat(done_on) if done_on else None,
        "outcome": result.get("outcome"),
        "covers": orjson.dumps(sorted(covers)).decode() if covers else None,
        **_sealed_state(district, subject, state, {"task": state.key["task"]}),
    }


def delivery_row(district: str, subject: Subject, state: RecordState, position: int) -> dict[str, Any]:
    """Give the row of an aid to a child: columns of what its live values agree on, the state with all of them."""
    aid, delivered = _agreed(state, "aid"), _agreed(state, "delivered")
    days = {name: aid.get(name) for name in ("starts_on", "ends_on")} | {
        "given_on": delivered.get("given_on")
    }
    return {
        "district": district,
        "child_id": subject.id,
        "delivery": state.key["delivery"],
        "post_id": subject.post_id,
        "position": position,
        "removed": state.removed,
        "conflicts": _conflicts(state),
        "menu": aid.get("menu"),
        "funds": aid.get("funds"),
        "reaches": aid.get("reaches"),
        "donor_id": aid.get("donor"),
        "commitment_id": aid.get("commitment"),
        **{name: date.fromisoformat(day) if day else None for name, day in days.items()},
        "given": int("delivered" in state.registers),
        "quantity": delivered.get("quantity"),
        "value_rp": delivered.get("value_rp"),
        "outcome": _agreed(state, "verified").get("outcome"),
        **_sealed_state(district, subject, state, {"delivery": state.key["delivery"]}),
    }


KEYED_ROWS: Final = {"follow_up": follow_up_row, "delivery": delivery_row}
"""The rows of records that hang on a child and are no measurements."""


def _agreed(state: RecordState, register: str) -> dict[str, Any]:
    """Give the fields of a register that are the same in all its live values."""
    first, *others = [sibling.value for sibling in state.registers.get(register, ())] or [{}]
    return {name: value for name, value in first.items() if all(o.get(name) == value for o in others)}


def _sealed_state(
    district: str, subject: Subject, state: RecordState, named: Mapping[str, str]
) -> dict[str, Any]:
    """Give the columns `state` and `sealed`: as it goes on the wire, under the child's key if anything in it is personal."""
    wire, personal = _dumped({**named, **state.wire()}), is_personal(state.kind, state.registers)
    bound = f"{state.kind}/{district}/{state.record_id}"
    return {
        "state": seal(subject.key, wire, bound) if personal else wire,
        "sealed": UNDER_CHILD if personal else PLAIN,
    }


def read_keyed(district: str, kind: str, record_id: str, row: Any, key: ChildKey) -> bytes:
    """Give a keyed record's state (of a row with `state` and `sealed`) as it goes on the wire: JSON."""
    stored: bytes = row.state
    return unseal(key, stored, f"{kind}/{district}/{record_id}") if row.sealed else stored


def read_measurement(district: str, record_id: str, row: Any, key: ChildKey) -> bytes:
    """Give a measurement's state (of a row with `state` and `sealed`) as it goes on the wire: JSON."""
    return read_keyed(district, "measurement", record_id, row, key)


def _conflicts(state: RecordState) -> str:
    names = (
        *state.conflicts,
        *(["removed"] if state.removal_contested else []),
        *(["incomplete"] if state.incomplete else []),
    )
    return " ".join(names)
