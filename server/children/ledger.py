"""How records are stored: rows of the ledger and merged states, encrypted ("sealed") where they hold personal data.

- Encrypted under the child's key: everything of a child but sex and birth date, which the scores need; notes and evidence of
  measurements, follow-ups and deliveries, and why one was removed.
- Encrypted under the district's key: a quarantined change, whatever it holds, with the reasons as they were told, since they
  quote values (a mistyped birth date, a weight). In the clear stand only their codes and the fields that they are about.
- A sealed value is bound to its row: copied to another row it cannot be decrypted.
- The header of a change stays plain and is part of the hash chain, so the ledger can be verified after an erasure.
- Nothing of an erased child is stored again: a change that still arrives is quarantined (`sync.judging`: `child-erased`).
  Its row holds ids, the reasons, and what the chain needs (counter and hashes), but no content.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, Final

import orjson
from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from schemas.words import reason
from server import isolation
from server.crypto.vault import ChildKey, KeyUnusable, Vault, seal, unseal
from server.database.engine import among, among_pairs
from server.database.models import ChangeRow, Child, table
from sync_protocol import Change, Dot, History, Json, Link, Outcome, RecordState, header_of

PLAIN, UNDER_CHILD, UNDER_DISTRICT, ERASED = 0, 1, 2, 3
"""How the content of a row is stored. ERASED: removed because the person was erased; only the hash is left."""
PERSONAL_REGISTERS: Final[Mapping[str, frozenset[str] | None]] = {
    "child": None,
    "measurement": frozenset({"note", "extra", "removed"}),
    "follow_up": frozenset({"note", "removed"}),
    "delivery": frozenset({"evidence", "note", "removed"}),
}
"""By kind of record: the registers that hold personal data; None: all of them."""


def is_personal(kind: str, registers: Iterable[str]) -> bool:
    """Say whether any of the registers must be encrypted."""
    personal = PERSONAL_REGISTERS[kind]
    return personal is None or not personal.isdisjoint(registers)


@dataclass(slots=True)
class Subject:
    """A child's post, key and stored row.

    Parameters
    ----------
    row : the row as stored; None if there is none yet
    person_id : the canonical id, the same for all linked children
    opened : the unwrapped key; None until it is first needed
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
        """Whether the person was erased: the key was destroyed."""
        return self.wrapped_key is None

    @property
    def restricted(self) -> bool:
        """Whether processing is restricted on a parent's request."""
        return self.row is not None and self.row["restricted_at"] is not None

    @property
    def key(self) -> ChildKey:
        """The child's key. Lazy: rows without personal data need no key. Unwrapped once."""
        if self.opened is None:
            self.opened = self.vault.child_key(self.id, self.wrapped_key, self.key_version)
        return self.opened


def subjects(session: Session, vault: Vault, district: str, child_ids: Sequence[str]) -> dict[str, Subject]:
    """Load children by id; one without a row is left out."""
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
    """Built once, on the table: cached statements compile faster, and rows skip the ORM's loading."""
    c = table(Child).c
    return select(table(Child)).where(c.district == bindparam("district"), among(c.id))


def new_subject(vault: Vault, child_id: str, post_id: str, now: datetime) -> Subject:
    """Return a child that has no row yet, with a new key."""
    wrapped, version, key = vault.new_child_key(child_id)
    return Subject(child_id, post_id, vault, wrapped, version, False, now, person_id=child_id, opened=key)


def histories(
    session: Session, district: str, children: Mapping[str, Subject], records: Mapping[str, str]
) -> dict[str, History]:
    """Load all stored changes of some records.

    Parameters
    ----------
    children : the children that they belong to, by id
    records : child id by record id

    Returns
    -------
    dict by record id; a record without changes is not in it
    """
    if not records:
        return {}
    pairs = orjson.dumps([(child_id, record_id) for record_id, child_id in records.items()]).decode()
    rows = session.connection().execute(_changes(), {"district": district, "records": pairs})
    found: dict[str, tuple[list[Change], list[tuple[Dot, str]]]] = {}
    for row in rows:
        changes, quarantined = found.setdefault(row.record_id, ([], []))
        if row.outcome == Outcome.QUARANTINED.value or row.sealed == ERASED:
            quarantined.append((Dot(row.actor, row.counter), row.hash[:16]))
        else:
            changes.append(read_change(district, row, children[row.child_id]))
    return {record_id: History(tuple(c), tuple(q)) for record_id, (c, q) in found.items()}


def readable_histories(
    session: Session, district: str, children: Mapping[str, Subject], records: Mapping[str, str]
) -> tuple[dict[str, History], frozenset[str]]:
    """Load all stored changes of those records that can be read, as `histories`; return also the ids of the others.

    Raises
    ------
    KeyUnusable
        The key file opens no child's key: see `key_is_damaged`.
    """
    if not records:
        return {}, frozenset()

    def read(some: list[str]) -> dict[str, History]:
        return histories(session, district, children, {record_id: records[record_id] for record_id in some})

    found, failed = isolation.halved(read, list(records), "record")
    for record_id in failed:
        child = children[records[record_id]]
        key_is_damaged(session, child.vault, district, child)  # raises if all are without theirs
    return {record_id: history for part in found for record_id, history in part.items()}, frozenset(failed)


def key_is_damaged(session: Session, vault: Vault, district: str, child: Any) -> bool:
    """Say whether a child's key cannot be unwrapped though those of others can.

    Parameters
    ----------
    child : a Subject or a row with `id`, `wrapped_key` and `key_version`, who was not erased

    Raises
    ------
    KeyUnusable
        Those of others cannot either: the key file may be the wrong one, and no child is at fault.
    """
    try:
        vault.child_key(child.id, child.wrapped_key, child.key_version)
    except (KeyUnusable, ValueError):
        if not _opens_another(session, vault, district, child.id):
            raise
        return True
    return False


def _opens_another(session: Session, vault: Vault, district: str, child_id: str) -> bool:
    """Say whether the key of at least one of three other children can be unwrapped."""
    c = table(Child).c
    others = select(c.id, c.wrapped_key, c.key_version).where(
        c.district == district, c.id != child_id, c.wrapped_key.is_not(None)
    )
    for other in session.execute(others.order_by(c.id.desc()).limit(3)):
        with suppress(KeyUnusable, ValueError):
            vault.child_key(other.id, other.wrapped_key, other.key_version)
            return True
    return False


def clock_doubts(session: Session, district: str, records: Mapping[str, str]) -> dict[str, dict[Dot, int]]:
    """Load by how many days the dates in the changes of some records may be wrong, because a tablet's clock was wrong.

    Parameters
    ----------
    records : child id by record id

    Returns
    -------
    dict by record id, then by change: days to add to the date in the change to get the true one, negative if the clock was
        ahead; never 0, since changes without doubt are left out, as quarantined ones are
    """
    pairs = orjson.dumps([(child_id, record_id) for record_id, child_id in records.items()]).decode()
    rows = session.connection().execute(_doubtful_changes(), {"district": district, "records": pairs})
    found: dict[str, dict[Dot, int]] = {}
    for row in rows:
        found.setdefault(row.record_id, {})[Dot(row.actor, row.counter)] = row.clock_days
    return found


@cache
def _doubtful_changes() -> Select[*tuple[Any, ...]]:
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
    """Decode the change of a ledger row (with `header`, `content`, `sealed`, `hash`, `actor`, `counter`)."""
    content = (
        row.content if row.sealed == PLAIN else unseal(child.key, row.content, bound_to(district, row.hash))
    )
    wire = {**orjson.loads(row.header), **orjson.loads(content)}
    return Change.from_wire(Dot(row.actor, row.counter), wire, row.hash)


def bound_to(district: str, hash_: str) -> str:
    """Return what a change's encrypted content is bound to (the associated data)."""
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
    """Return the ledger row of an accepted change.

    Of a quarantined one (`change` is None) everything is encrypted but its place in the chain, and the codes of its reasons.
    """
    header = header_of(link.dot, link.previous, link.wire, link.content)
    content = {"nonce": link.wire.get("nonce"), "set": link.wire.get("set")}
    if subject is not None and subject.erased:
        sealed, stored = ERASED, b""
        header = {name: header[name] for name in ("actor", "counter", "previous", "content")}
    elif change is None:
        # the whole wire object: it may lack fields, or have some that the header would overwrite
        plain = orjson.dumps([link.wire, list(reasons)])
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
        "reasons": codes_of(reasons),
        "clock_days": clock_days,
        "received_at": received_at,
    }


def codes_of(reasons: Sequence[Json]) -> str | None:
    """Return reasons as they stand in the clear: which field, and the code. Their sentences quote values."""
    codes = [{"path": each["path"], "code": each["code"]} for each in reasons]
    return orjson.dumps(codes).decode() if codes else None


def quarantined_change(district: str, row: Any, vault: Vault) -> dict[str, Any]:
    """Decrypt a quarantined change: its wire object as it arrived."""
    return _quarantined(district, row, vault)[0]


def quarantine_reasons(district: str, row: Any, vault: Vault) -> list[Json]:
    """Return why a change was quarantined, as its receipt says; of an erased child only that it was erased.

    Parameters
    ----------
    row : with `hash`, `content`, `sealed`, `reasons`
    """
    if not row.reasons:
        return []
    if row.sealed == ERASED:
        return [reason("id", "child-erased", None).wire()]
    told = _quarantined(district, row, vault)[1]
    return orjson.loads(row.reasons) if told is None else told


def _quarantined(district: str, row: Any, vault: Vault) -> tuple[dict[str, Any], list[Json] | None]:
    """Decrypt a quarantined change and its reasons; None for these in a row that an older release wrote, which has them in
    the clear (`privacy.sealed_columns` seals them)."""
    held = orjson.loads(vault.unseal_for_district(row.content, bound_to(district, row.hash)))
    return (held, None) if isinstance(held, dict) else (held[0], held[1])


def with_sealed_reasons(district: str, row: Any, vault: Vault) -> dict[str, Any]:
    """Return the columns of a quarantined change of an older release with its reasons sealed.

    Parameters
    ----------
    row : with `hash`, `content`, `sealed`, `reasons`
    """
    told = orjson.loads(row.reasons)
    columns: dict[str, Any] = {"reasons": codes_of(told)}
    if row.sealed == UNDER_DISTRICT:
        plain = orjson.dumps([quarantined_change(district, row, vault), told])
        columns["content"] = vault.seal_for_district(plain, bound_to(district, row.hash))
    return columns


def child_row(
    district: str, subject: Subject, state: RecordState | None, position: int, clock_days: int = 0
) -> dict[str, Any]:
    """Return the row of a child; without a state, that of a child not registered yet."""
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
    """Return the last day on which the family counts as at risk of stunting; None if it does not.

    Of several live values the latest counts; without an end date, `date.max`.
    """
    families = [s.value for s in state.registers.get("family", ())] if state else []
    ends = [f.get("valid_until") or date.max.isoformat() for f in families if f["krs"]]
    return date.fromisoformat(max(ends)) if ends else None


def _dumped(wire: Json) -> bytes:
    """Write a state as JSON. Dots are named tuples, which orjson does not write by default."""
    return orjson.dumps(wire, default=tuple)


def read_child(district: str, child_id: str, sealed: bytes, key: ChildKey) -> bytes:
    """Decrypt a child's state: JSON in wire form."""
    return unseal(key, sealed, f"child/{district}/{child_id}")


def measurement_row(
    district: str, subject: Subject, state: RecordState, position: int, clock_days: int = 0
) -> dict[str, Any]:
    """Return the row of a measurement: a column where there is one live value, and the state with all of them."""
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
    """Return the row of a follow-up: columns of what its live values agree on, and the state with all of them.

    If two people close a case concurrently, both closings count: `covers` has the flags that either saw.
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
        "has_result": int("result" in state.registers),
        "done_on": date.fromisoformat(done_on) if done_on else None,
        "outcome": result.get("outcome"),
        "covers": orjson.dumps(sorted(covers)).decode() if covers else None,
        **_sealed_state(district, subject, state, {"task": state.key["task"]}),
    }


def delivery_row(district: str, subject: Subject, state: RecordState, position: int) -> dict[str, Any]:
    """Return the row of a delivery: columns of what its live values agree on, and the state with all of them."""
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
"""By kind of record other than child and measurement: what makes its row."""


def _agreed(state: RecordState, register: str) -> dict[str, Any]:
    """Return the fields of a register that are equal in all its live values."""
    first, *others = [sibling.value for sibling in state.registers.get(register, ())] or [{}]
    return {name: value for name, value in first.items() if all(o.get(name) == value for o in others)}


def _sealed_state(
    district: str, subject: Subject, state: RecordState, named: Mapping[str, str]
) -> dict[str, Any]:
    """Return the columns `state` (JSON in wire form, under the child's key if it holds personal data) and `sealed`."""
    wire, personal = _dumped({**named, **state.wire()}), is_personal(state.kind, state.registers)
    bound = f"{state.kind}/{district}/{state.record_id}"
    return {
        "state": seal(subject.key, wire, bound) if personal else wire,
        "sealed": UNDER_CHILD if personal else PLAIN,
    }


def read_keyed(district: str, kind: str, record_id: str, row: Any, key: ChildKey) -> bytes:
    """Decode the state of a record other than a child (a row with `state` and `sealed`): JSON in wire form."""
    stored: bytes = row.state
    return unseal(key, stored, f"{kind}/{district}/{record_id}") if row.sealed else stored


def read_measurement(district: str, record_id: str, row: Any, key: ChildKey) -> bytes:
    """Decode a measurement's state (a row with `state` and `sealed`): JSON in wire form."""
    return read_keyed(district, "measurement", record_id, row, key)


def _conflicts(state: RecordState) -> str:
    """Return the record's marks: registers in conflict, "removed" for a contested removal, "incomplete"."""
    names = (
        *state.conflicts,
        *(["removed"] if state.removal_contested else []),
        *(["incomplete"] if state.incomplete else []),
    )
    return " ".join(names)
