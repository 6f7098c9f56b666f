"""Plan a chunk of rows: the ordinary changes by the hub that each row makes here, and the result of each row.

Rules kept here:
- Stored values are never overwritten: a missing register is filled, equal values are left as they are, and different
  values become a question for a person.
- A row is imported completely or not at all, and every row has a result: imported, already here, a question, or refused.
- A measurement is stored as (child, day, "cadre"): what a puskesmas typed in from a posyandu may be a weighing that a
  tablet sent too, so both are the same record. Imported figures are indicated (*terindikasi*), not confirmed.
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
from server.interchange.child_matching import (
    ChildIndex,
    DryRunChildren,
    Match,
    decisions_about,
    derived_child_ids,
    made_id,
)
from server.interchange.refusals import RULES, RowRefusal
from server.interchange.sigizi import SigiziRow
from server.sync.server_edits import Edit
from sync_protocol import NOTHING_SEEN, RecordState, VersionVector, measurement_id

NEW, ADDED, FILLED, UNCHANGED = "new", "added", "filled", "unchanged"
ASK, REFUSED, SKIPPED = "ask", "refused", "skipped"
OUTCOMES: Final = (NEW, ADDED, FILLED, UNCHANGED, ASK, REFUSED, SKIPPED)
"""Results of a row. new: a new child with its measurement; added: a new measurement of a known child; filled: values that
were missing here; unchanged: everything was here; ask: a person must decide; skipped: a person decided to leave it out."""
SOURCE: Final = "cadre"
FILLS: Final = ("nik", "parents", "home", "birth", "books")
"""Registers of a known child that a file may fill if they are missing. `identity` and `post` of a known child are never
changed by a file."""


@dataclass(slots=True)
class RowResult:
    """What became of one row, or would.

    Parameters
    ----------
    outcome : one of OUTCOMES
    how : how the child was found (`Match.how`)
    question : a key of `refusals.QUESTIONS`, "" if there is none
    candidates : children here that the row may mean, with their similarity in percent
    case_id : id of the question; "" if it was not needed
    who : id made from what the row says about its child (`derived_child_ids`)
    """

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
        """Write it as JSON, without names and NIKs."""
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
    """What importing a chunk does: the `results` of its rows, the `edits` to make, and the post of each new child by id."""

    results: list[RowResult] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    new_at: dict[str, str] = field(default_factory=dict)

    def counts(self) -> Counter[str]:
        """Count rows by outcome."""
        return Counter(result.outcome for result in self.results)

    def cases(self) -> list[RowResult]:
        """Give the rows that a person must decide about."""
        return [result for result in self.results if result.outcome == ASK]


def plan_rows(
    session: Session,
    hub: AppContext,
    rows: Sequence[tuple[SigiziRow, str]],
    dry_run: DryRunChildren,
    *,
    dry: bool,
    allowed: frozenset[str] | None = None,
) -> ChunkPlan:
    """Plan what rows would change.

    Parameters
    ----------
    rows : each with its post; "" for a refused row, or if the post follows from the child
    dry_run : children that a dry run would have made in earlier chunks
    dry : nothing will be written: add the children that would be made to `dry_run`
    allowed : posts in the area of the importing person; None for all
    """
    planner = _ChunkPlanner(session, hub, rows, dry_run, allowed)
    for row, post_id in rows:
        planner.add(row, post_id)
    planner.finish()
    if dry:
        for result in planner.plan.results:
            if result.outcome == NEW:
                planner.index.remember(result.row, result.post_id, result.child_id)
    return planner.plan


def case_id(hub: AppContext, row: SigiziRow, own_id: str) -> str:
    """Make the id of the question about a row: rows with the same content have the same id."""
    content = orjson.dumps([row.child, row.measured], option=orjson.OPT_SORT_KEYS).decode()
    return made_id(hub, "import/case", own_id, row.day, content)


class _ChunkPlanner:
    """Plans one chunk."""

    def __init__(
        self,
        session: Session,
        hub: AppContext,
        rows: Sequence[tuple[SigiziRow, str]],
        dry_run: DryRunChildren,
        allowed: frozenset[str] | None,
    ) -> None:
        self._session, self._hub, self._allowed = session, hub, allowed
        good = [(row, post_id) for row, post_id in rows if not row.refusals]
        self._own_ids = derived_child_ids(hub, (row for row, _ in good))
        self._decided = decisions_about(session, hub, self._own_ids.values())
        self.index = ChildIndex(session, hub, good, self._own_ids, dry_run)
        self._matches = _ask_about_twins(
            {row.number: self.index.match(row, post_id) for row, post_id in good}, good, self._own_ids
        )
        present = {m.child_id for m in self._matches.values() if m.how and self.index.known(m.child_id)}
        days = [row.measured_on for row, _ in good if row.measured_on]
        self._stored = measurements(session, hub, present, days)
        self._children: dict[str, Edit] = {}
        self._measured: dict[tuple[str, str], tuple[Edit | None, SigiziRow]] = {}
        self.plan = ChunkPlan()

    def add(self, row: SigiziRow, post_id: str) -> None:
        """Plan a row: add its edits and its result."""
        if row.refusals:
            self.plan.results.append(RowResult(row, REFUSED, post_id))
            return
        match = self._matches[row.number]
        if rule := self._rule_against(match):
            row.refusals.append(RowRefusal("", None, rule, *RULES[rule]))
            self.plan.results.append(RowResult(row, REFUSED, post_id))
            return
        if match.nik_doubted:
            row.child.pop("nik", None)
        result = self._matched(row, post_id, match)
        if match.question or self._decided:  # making the id takes time, and few rows raise a question
            result.case_id = case_id(self._hub, row, result.who)
        decision = self._decided.get(result.case_id, "")
        if decision == "skip":
            result.outcome, result.question = SKIPPED, ""
        elif not match.question:
            self._apply(result, theirs=decision == "theirs")
        if result.outcome == ASK:
            result.case_id = result.case_id or case_id(self._hub, row, result.who)
            result.how = ""
            if result.question != "values-differ":
                result.child_id = ""
        self.plan.results.append(result)

    def _rule_against(self, match: Match) -> str:
        """Give the rule for which a matched row is refused, or ""."""
        known = self.index.known(match.child_id) if match.how else None
        if known is not None and known.restricted:
            return "child-restricted"
        if known is not None and self._allowed is not None and known.post_id not in self._allowed:
            return "out-of-scope"
        return "child-unknown" if match.question == "child-unknown" else ""

    def _matched(self, row: SigiziRow, post_id: str, match: Match) -> RowResult:
        """Start the result of a matched row: a question until it is applied."""
        candidates = tuple(c for c in match.candidates if self._may_see(c[0]))
        likeliest = self.index.known(candidates[0][0]) if candidates else None
        post_id = post_id or (likeliest.post_id if likeliest else "")
        own_id = self._own_ids[row.number]
        return RowResult(row, ASK, post_id, match.how, match.child_id, match.question, candidates, who=own_id)

    def finish(self) -> None:
        """Collect the edits, children before measurements: birth dates must be known when measurements are checked."""
        measured = (edit for edit, _ in self._measured.values() if edit is not None)
        self.plan.edits = [*self._children.values(), *measured]

    def _may_see(self, child_id: str) -> bool:
        known = self.index.known(child_id)
        if known is not None and known.restricted:
            return False
        return self._allowed is None or (known is not None and known.post_id in self._allowed)

    def _apply(self, result: RowResult, *, theirs: bool) -> None:
        row, child_id = result.row, result.child_id
        known = self.index.known(child_id)
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
        elif child_id in self._children or self.index.is_planned(child_id):
            result.outcome = ADDED if measured else UNCHANGED
        else:
            registers = {**row.child, "post": {"post": result.post_id}}
            self._children[child_id] = Edit.of_child(child_id, registers, NOTHING_SEEN)
            self.plan.new_at[child_id] = result.post_id
            result.outcome = NEW

    def _fill(self, row: SigiziRow, state: RecordState) -> bool:
        """Fill missing registers of a known child; say whether any was filled."""
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
        (ADDED, FILLED or "", whether different values are stored for that day)
        """
        if not row.measured:
            return "", False
        key = (child_id, row.day)
        earlier = self._measured.get(key)
        if earlier is not None:
            return self._repeated(row, key, earlier)
        state = self._stored.get((*key, SOURCE))
        if state is None and self._confirmed(row, key):
            return "", False
        if state is None or state.removed:
            context = state.vector if state else NOTHING_SEEN
            registers = row.measured | ({"removed": {"reason": None}} if state else {})
            if state is not None and not theirs:
                return "", True  # it was removed here: a person decides whether to restore it
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
        """Say whether the row repeats the health centre's own (staff) measurement of that day."""
        state = self._stored.get((*key, "staff"))
        return state is not None and not state.removed and compared(row.measured, state) == ({}, {})

    def _repeated(
        self, row: SigiziRow, key: tuple[str, str], earlier: tuple[Edit | None, SigiziRow]
    ) -> tuple[str, bool]:
        """Compare a row with an earlier row of the same child and day in this chunk."""
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


def _ask_about_twins(
    matches: dict[int, Match], rows: Sequence[tuple[SigiziRow, str]], own_ids: Mapping[int, str]
) -> dict[int, Match]:
    """Turn name matches into questions if rows of different children match one child here: twins, or two of one name."""
    by_child: dict[str, set[str]] = {}
    for row, _ in rows:
        match = matches[row.number]
        if match.how == "name":
            by_child.setdefault(match.child_id, set()).add(own_ids[row.number])
    several = {child_id for child_id, ids in by_child.items() if len(ids) > 1}
    asked = dict(matches)
    for row, _ in rows:
        match = matches[row.number]
        if (
            match.how == "name"
            and match.child_id in several
            and _differ(by_child[match.child_id], rows, own_ids)
        ):
            asked[row.number] = Match("", own_ids[row.number], "several", ((match.child_id, 100),))
    return asked


def _differ(ids: set[str], rows: Sequence[tuple[SigiziRow, str]], own_ids: Mapping[int, str]) -> bool:
    """Say whether rows with several derived child ids are about several children: measured on the same day, or with
    different NIKs or birth orders."""
    theirs = [row for row, _ in rows if own_ids[row.number] in ids]
    days = Counter((row.day, own_ids[row.number]) for row in theirs)
    per_day = Counter(day for day, _ in days)
    niks = {row.nik for row in theirs if row.nik}
    orders = {row.birth_order for row in theirs if row.birth_order}
    return len(niks) > 1 or len(orders) > 1 or any(count > 1 for count in per_day.values())


def _is_empty(state: RecordState, register: str) -> bool:
    siblings = state.registers.get(register, ())
    return all(all(value is None for value in sibling.value.values()) for sibling in siblings)


def _has_nik(state: RecordState) -> bool:
    return any(sibling.value.get("nik") for sibling in state.registers.get("nik", ()))


def compared(
    measured: Mapping[str, Mapping[str, Any]], state: RecordState
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Compare a row's registers with the stored ones: (those missing here, those that differ, with the file's values).

    A field that the file leaves empty (position, oedema) makes no difference. If stored values conflict with each other, it
    is enough that one of them agrees.
    """
    missing, other = {}, {}
    for name, value in measured.items():
        siblings = [sibling.value for sibling in state.registers.get(name, ())]
        if not siblings:
            missing[name] = dict(value)
            continue
        given = {field_: found for field_, found in value.items() if found is not None}
        if any(all(sibling.get(f) == v for f, v in given.items()) for sibling in siblings):
            continue
        if len(siblings) == 1 and all(siblings[0].get(f) in (None, v) for f, v in given.items()):
            missing[name] = {**siblings[0], **given}
            continue
        other[name] = {**(siblings[0] if len(siblings) == 1 else {}), **given}
    return missing, other


def measurements(
    session: Session, hub: AppContext, child_ids: set[str], days: Sequence[date]
) -> dict[tuple[str, str, str], RecordState]:
    """Load the measurements of some children on some days, by child, day and source."""
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
