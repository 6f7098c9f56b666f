"""Rows of a file -> ordinary changes by the hub: what each row would change here, and what became of it.

Rules kept here:
- What is here is never overwritten: a register that is missing is filled, equal values are left alone, other values are a
  question for a person.
- A row is taken whole or not at all, and every row is accounted for: taken, already here, asked about, or refused.
- A measurement is of (child, day, "cadre"): what a puskesmas typed in from a posyandu is the very weighing that a
  tablet may have sent too, so it is the same record. Imported figures are indicated (*terindikasi*), not confirmed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any, Final

import orjson
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from server.children import ledger
from server.context import AppContext
from server.database.engine import among
from server.database.models import Measurement, table
from server.interchange.child_matching import DryRunChildren, Match, Register, made_id, names_of
from server.interchange.refusals import RULES, RowRefusal
from server.interchange.sigizi import SigiziRow
from server.sync.server_edits import Edit
from sync_protocol import NOTHING_SEEN, RecordState, VersionVector, measurement_id

NEW, ADDED, FILLED, UNCHANGED, ASK, REFUSED, SKIPPED = (
    *("new", "added", "filled", "unchanged", "ask"),
    *("refused", "skipped"),
)
OUTCOMES: Final = (NEW, ADDED, FILLED, UNCHANGED, ASK, REFUSED, SKIPPED)
"""What becomes of a row. new: a new child with its measurement; added: a measurement of a known child; filled: something
that was missing here; unchanged: all of it is here; ask: a person decides; skipped: a person has decided to leave it out."""
SOURCE: Final = "cadre"
FILLS: Final = ("nik", "parents", "home", "birth", "books")
"""Registers of a known child that a file may fill where they are missing. Who it is (`identity`) and where it belongs
(`post`) are never changed by a file."""


@dataclass(slots=True)
class RowResult:
    """What became of one row."""

    row: SigiziRow
    outcome: str
    post_id: str = ""
    how: str = ""
    child_id: str = ""
    question: str = ""
    candidates: tuple[tuple[str, int], ...] = ()
    case_id: str = ""
    who: str = ""

    def wire(self) -> dict[str, Any]:
        """Write it as JSON: no name, no NIK."""
        return {
            "row": self.row.number,
            "outcome": self.outcome,
            "how": self.how,
            "child": self.child_id or None,
            "post": self.post_id or None,
            "measured_on": self.row.day or None,
            "question": self.question or None,
            "case": self.case_id if self.outcome == ASK else None,
            "notes": list(dict.fromkeys(self.row.notes)),
            "refusals": [refusal.wire() for refusal in self.row.refusals],
            "apart": [
                {"index": index, "theirs": theirs, "ours": ours} for index, theirs, ours in self.row.apart
            ],
        }


@dataclass(slots=True)
class ChunkPlan:
    """What a chunk of rows comes to: `results` of every row, the `edits` to be made, the posts of new children by id."""

    results: list[RowResult] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    new_at: dict[str, str] = field(default_factory=dict)

    def counts(self) -> Counter[str]:
        """Count rows by outcome."""
        return Counter(result.outcome for result in self.results)

    def cases(self) -> list[RowResult]:
        """Give the rows that a person must decide about."""
        return [result for result in self.results if result.outcome == ASK]


def take(
    session: Session,
    hub: AppContext,
    rows: Sequence[tuple[SigiziRow, str]],
    decided: Mapping[str, tuple[str, str | None]],
    foreseen: DryRunChildren,
    *,
    dry: bool,
    allowed: frozenset[str] | None = None,
) -> ChunkPlan:
    """Work out what rows would change.

    Parameters
    ----------
    rows : with the post that each belongs to; "" where it is refused
    decided : what people have decided about rows, by case id: (decision, child)
    foreseen : whom a dry run would have made in earlier chunks
    dry : nothing will be written: remember in `foreseen` what would be
    allowed : the posts that are the importing person's; None for all
    """
    work = _Work(session, hub, rows, decided, foreseen, allowed)
    for row, post_id in rows:
        work.add(row, post_id)
    work.finish()
    if dry:
        for result in work.taken.results:
            if result.outcome == NEW:
                work.register.foresee(result.row, result.post_id, result.child_id)
    return work.taken


def case_id(hub: AppContext, row: SigiziRow, name: str) -> str:
    """Name the question about a row: the same for a row that says the same."""
    said = orjson.dumps([row.child, row.measured], option=orjson.OPT_SORT_KEYS).decode()
    return made_id(hub, "import/case", name, row.day, said)


class _Work:
    """One chunk on its way through."""

    def __init__(
        self,
        session: Session,
        hub: AppContext,
        rows: Sequence[tuple[SigiziRow, str]],
        decided: Mapping[str, tuple[str, str | None]],
        foreseen: DryRunChildren,
        allowed: frozenset[str] | None,
    ) -> None:
        self._session, self._hub, self._decided, self._allowed = session, hub, decided, allowed
        good = [(row, post_id) for row, post_id in rows if not row.refusals]
        self._who = names_of(hub, (row for row, _ in good))
        self.register = Register(session, hub, good, self._who, foreseen)
        self._matches = _apart(
            {row.number: self.register.match(row, post_id) for row, post_id in good}, good, self._who
        )
        present = {m.child_id for m in self._matches.values() if m.how and self.register.known(m.child_id)}
        days = [row.measured_on for row, _ in good if row.measured_on]
        self._stored = measurements(session, hub, present, days)
        self._children: dict[str, Edit] = {}
        self._measured: dict[tuple[str, str], tuple[Edit | None, SigiziRow]] = {}
        self.taken = ChunkPlan()

    def add(self, row: SigiziRow, post_id: str) -> None:
        """Say what becomes of a row."""
        if row.refusals:
            self.taken.results.append(RowResult(row, REFUSED, post_id))
            return
        name, match = self._who[row.number], self._matches[row.number]
        known = self.register.known(match.child_id) if match.how else None
        beyond = "child-unknown" if match.question == "child-unknown" else ""
        if known is not None and self._allowed is not None and known.post_id not in self._allowed:
            beyond = "out-of-scope"
        if known is not None and known.restricted:
            beyond = "child-restricted"
        if beyond:
            row.refusals.append(RowRefusal("", None, beyond, *RULES[beyond]))
            self.taken.results.append(RowResult(row, REFUSED, post_id))
            return
        if match.nik_doubted:
            row.child.pop("nik", None)
        candidates = tuple(c for c in match.candidates if self._may_see(c[0]))
        likeliest = self.register.known(candidates[0][0]) if candidates else None
        post_id = post_id or (likeliest.post_id if likeliest else "")
        result = RowResult(row, ASK, post_id, match.how, match.child_id, match.question, candidates, who=name)
        if match.question or self._decided:  # naming it costs, and nearly no row is asked about
            result.case_id = case_id(self._hub, row, name)
        decision = self._decided.get(result.case_id, ("", None))[0]
        if decision == "skip":
            result.outcome, result.question = SKIPPED, ""
        elif not match.question:
            self._apply(result, theirs=decision == "theirs")
        if result.outcome == ASK:
            result.case_id = result.case_id or case_id(self._hub, row, name)
            result.how, result.child_id = (
                "",
                "" if result.question != "values-differ" else result.child_id,
            )
        self.taken.results.append(result)

    def finish(self) -> None:
        """Put the edits together: children before their measurements: birth dates must be known when those are judged."""
        measured = (edit for edit, _ in self._measured.values() if edit is not None)
        self.taken.edits = [*self._children.values(), *measured]

    def _may_see(self, child_id: str) -> bool:
        known = self.register.known(child_id)
        if known is not None and known.restricted:
            return False
        return self._allowed is None or (known is not None and known.post_id in self._allowed)

    def _apply(self, result: RowResult, *, theirs: bool) -> None:
        row, child_id = result.row, result.child_id
        known = self.register.known(child_id)
        if known is not None and known.post_id != result.post_id:
            if result.post_id:
                row.notes.append("other-post")
            result.post_id = known.post_id
        measured, differs = self._measurement(row, child_id, theirs=theirs)
        if differs:
            result.question = "values-differ"
            result.candidates = ((child_id, 100),)
            return
        if known is not None and known.state is not None:
            filled = self._fill(row, known.state)
            result.outcome = ADDED if measured == ADDED else FILLED if filled or measured else UNCHANGED
        elif child_id in self._children or self.register.foresees(child_id):
            result.outcome = ADDED if measured else UNCHANGED
        else:
            registers = {**row.child, "post": {"post": result.post_id}}
            self._children[child_id] = Edit.of_child(child_id, registers, NOTHING_SEEN)
            self.taken.new_at[child_id] = result.post_id
            result.outcome = NEW

    def _fill(self, row: SigiziRow, state: RecordState) -> bool:
        """Fill what is missing of a known child; say whether there was anything."""
        names = {sibling.value["name"] for sibling in state.registers.get("identity", ())}
        if names and row.name.casefold() not in {name.casefold() for name in names}:
            row.notes.append("name-differs")
        child_id = state.record_id
        missing = {
            name: value
            for name, value in row.child.items()
            if name in FILLS and _is_empty(state, name) and not (name == "nik" and _has_nik(state))
        }
        edit = self._children.get(child_id)
        if edit is not None:
            missing = {name: value for name, value in missing.items() if name not in edit.registers}
        if not missing:
            return False
        whole = {**(edit.registers if edit else {}), **missing}
        self._children[child_id] = Edit.of_child(child_id, whole, state.vector)
        return True

    def _measurement(self, row: SigiziRow, child_id: str, *, theirs: bool) -> tuple[str, bool]:
        """Add a row's measurement to the edits.

        Returns
        -------
        (ADDED, FILLED or "", whether other values are here already)
        """
        if not row.measured:
            return "", False
        key = (child_id, row.day)
        earlier = self._measured.get(key)
        if earlier is not None:
            return self._again(row, key, earlier)
        state = self._stored.get((*key, SOURCE))
        if state is None and self._confirmed(row, key):
            return "", False
        if state is None or state.removed:
            context = state.vector if state else NOTHING_SEEN
            registers = row.measured | ({"removed": {"reason": None}} if state else {})
            if state is not None and not theirs:
                return "", True  # somebody removed it here: a person decides whether it comes back
            self._edit(row, key, registers, context)
            return ADDED, False
        missing, other = compared(row.measured, state)
        if other and not theirs:
            return "", True
        changes = missing | (other if theirs else {})
        if not changes:
            self._measured[key] = (None, row)
            return "", False
        self._edit(row, key, changes, state.vector)
        return FILLED, False

    def _confirmed(self, row: SigiziRow, key: tuple[str, str]) -> bool:
        """Say whether these are the health centre's own figures of that day, which come back."""
        state = self._stored.get((*key, "staff"))
        return state is not None and not state.removed and compared(row.measured, state) == ({}, {})

    def _again(
        self, row: SigiziRow, key: tuple[str, str], earlier: tuple[Edit | None, SigiziRow]
    ) -> tuple[str, bool]:
        """Hold a row beside an earlier one of the same child and day in this file."""
        edit, first = earlier
        differing = any(
            first.measured.get(name) != value
            for name, value in row.measured.items()
            if name in first.measured
        )
        if differing:
            return "", True
        row.notes.append("repeated")
        more = {name: value for name, value in row.measured.items() if name not in first.measured}
        if more and edit is not None:
            first.measured |= more
            self._edit(first, key, {**edit.registers, **more}, edit.context)
            return FILLED, False
        return "", False

    def _edit(
        self, row: SigiziRow, key: tuple[str, str], registers: Mapping[str, Any], context: VersionVector
    ) -> None:
        self._measured[key] = (Edit.of_measurement(*key, SOURCE, registers, context), row)


def _apart(
    matches: dict[int, Match], rows: Sequence[tuple[SigiziRow, str]], names: Mapping[int, str]
) -> dict[int, Match]:
    """Ask about rows that speak of different children and would be one by name: twins, or two of one name."""
    by_child: dict[str, set[str]] = {}
    for row, _ in rows:
        match = matches[row.number]
        if match.how == "name":
            by_child.setdefault(match.child_id, set()).add(names[row.number])
    several = {child_id for child_id, whos in by_child.items() if len(whos) > 1}
    asked = dict(matches)
    for row, _ in rows:
        match = matches[row.number]
        if (
            match.how == "name"
            and match.child_id in several
            and _differ(by_child[match.child_id], rows, names)
        ):
            asked[row.number] = Match("", names[row.number], "several", ((match.child_id, 100),))
    return asked


def _differ(whos: set[str], rows: Sequence[tuple[SigiziRow, str]], names: Mapping[int, str]) -> bool:
    """Say whether rows of several `who` are of several children: measured on one day, or with other NIKs or places among
    siblings."""
    mine = [row for row, _ in rows if names[row.number] in whos]
    days = Counter((row.day, names[row.number]) for row in mine)
    per_day = Counter(day for day, _ in days)
    niks = {row.nik for row in mine if row.nik}
    orders = {row.birth_order for row in mine if row.birth_order}
    return len(niks) > 1 or len(orders) > 1 or any(count > 1 for count in per_day.values())


def _is_empty(state: RecordState, register: str) -> bool:
    siblings = state.registers.get(register, ())
    return all(all(value is None for value in sibling.value.values()) for sibling in siblings)


def _has_nik(state: RecordState) -> bool:
    return any(sibling.value.get("nik") for sibling in state.registers.get("nik", ()))


def compared(
    measured: Mapping[str, Mapping[str, Any]], state: RecordState
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Hold a row's values beside those here: (registers that are missing here, registers that differ, as the file has them).

    What the file does not say (a position, oedema) is no difference; a value that is in conflict here agrees if any does.
    """
    missing, other = {}, {}
    for name, value in measured.items():
        siblings = [sibling.value for sibling in state.registers.get(name, ())]
        if not siblings:
            missing[name] = dict(value)
            continue
        said = {field_: found for field_, found in value.items() if found is not None}
        if any(all(sibling.get(f) == v for f, v in said.items()) for sibling in siblings):
            continue
        if len(siblings) == 1 and all(siblings[0].get(f) in (None, v) for f, v in said.items()):
            missing[name] = {**siblings[0], **said}
            continue
        other[name] = {**(siblings[0] if len(siblings) == 1 else {}), **said}
    return missing, other


def measurements(
    session: Session, hub: AppContext, child_ids: set[str], days: Sequence[date]
) -> dict[tuple[str, str, str], RecordState]:
    """Load the measurements of some children between the first and last of some days, by child, day and source."""
    if not child_ids or not days:
        return {}
    given = {
        "district": hub.district,
        "among": sorted(child_ids),
        "first": min(days),
        "last": max(days),
    }
    wanted = set(days)
    rows = [row for row in session.connection().execute(_between(), given) if row.measured_on in wanted]
    sealed = sorted({row.child_id for row in rows if row.sealed})
    keys = {
        s.id: s.key
        for s in ledger.subjects(session, hub.vault, hub.district, sealed).values()
        if s.wrapped_key
    }
    found = {}
    for row in rows:
        if row.sealed and row.child_id not in keys:
            continue
        on = row.measured_on.isoformat()
        record_id = measurement_id(row.child_id, on, row.source)
        wire = row.state
        if row.sealed:
            wire = ledger.read_measurement(hub.district, record_id, row, keys[row.child_id])
        key = {"child": row.child_id, "measured_on": on, "source": row.source}
        found[row.child_id, on, row.source] = RecordState.from_wire(
            "measurement", record_id, key, orjson.loads(wire)
        )
    return found


@cache
def _between() -> Any:
    c = table(Measurement).c
    return select(c.child_id, c.measured_on, c.source, c.state, c.sealed).where(
        c.district == bindparam("district"),
        among(c.child_id),
        c.measured_on.between(bindparam("first"), bindparam("last")),
    )
