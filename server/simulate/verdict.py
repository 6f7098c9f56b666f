"""The result of the day: every promise checked against the database, the cadres' notebooks and the file.

Nothing here asks the server over HTTP or trusts its answers: tables are read directly, and each check lists its failures.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from server import audit
from server.children import ledger
from server.context import AppContext
from server.database.models import (
    Assessment,
    Batch,
    ChangeRow,
    Child,
    Delivery,
    Flag,
    FollowUp,
    Measurement,
    Notice,
    Tablet,
)
from server.growth.zscores import FEMALE, MALE, zscores
from server.simulate.device import RefusedChange
from server.simulate.fleet import SOURCE, Fleet, Sharing, SurveyChild
from server.simulate.line import Cut
from server.simulate.survey import Exact
from server.sync.receipts import IssuedReceipt
from sync_protocol import KEYS, Dot, Json, Outcome, RecordState, Replica, id_of

Ref = tuple[str, str]
AT_ONCE: Final = 200
"""Ids in one query."""
SHOWN: Final = 10
"""Failures of each check that are printed."""
ODD_ROWS: Final = 200
SEX: Final = {"M": MALE, "F": FEMALE, None: 0}
COUNTED: Final = (
    "offline spells",
    "restarts",
    "repeats",
    "overlaps",
    "sent twice at once",
    "cloned",
    "restored from a copy",
    "new enrolments",
    "conflicts seen",
    "tasks answered",
)


@dataclass(frozen=True, slots=True)
class PromiseCheck:
    """One promise: how often it was tested, and every failure."""

    promise: str
    compared: int
    failures: Sequence[str]

    @property
    def holds(self) -> bool:
        return not self.failures


@dataclass(frozen=True, slots=True)
class SimulationReport:
    """The result of `simulate`.

    Parameters
    ----------
    checks : every promise
    facts : lines of counts
    odd_rows : the result of each unusual row
    """

    checks: Sequence[PromiseCheck]
    facts: Sequence[str]
    odd_rows: Sequence[str]

    @property
    def holds(self) -> bool:
        return all(check.holds for check in self.checks)

    def check(self, promise: str) -> PromiseCheck:
        """Return the check of a promise by its first words."""
        return next(check for check in self.checks if check.promise.startswith(promise))

    def text(self) -> str:
        """Return the whole report as lines for a terminal."""
        lines = [*self.facts, "", f"Rows out of the ordinary: {len(self.odd_rows) or 'none'}"]
        lines += _cut(self.odd_rows, ODD_ROWS)
        lines += ["", "Promises:"]
        for check in self.checks:
            lines.append(
                f"  {'ok    ' if check.holds else 'BROKEN'} {check.promise}: {check.compared:,} compared"
            )
            lines += [f"         {failure}" for failure in _cut(check.failures, SHOWN)]
        lines.append("")
        lines.append(
            "Semua janji ditepati. / Everything holds."
            if self.holds
            else "ADA JANJI YANG TIDAK DITEPATI. / NOT everything holds: see BROKEN above."
        )
        return "\n".join(lines)


def _cut(lines: Sequence[str], most: int) -> list[str]:
    shown = [f"  {line}" for line in lines[:most]]
    return [*shown, f"  ... and {len(lines) - most} more"] if len(lines) > most else shown


def judge(hub: AppContext, fleet: Fleet) -> SimulationReport:
    """Check every promise."""
    with hub.database.reading() as session:
        held = _held(session, hub, {device.replica.post_id for device in fleet.devices})
        scores = _Scores(session, hub, fleet)
        checks = (
            _nobody_complained(fleet),
            _agreement(fleet, held),
            _same_after_restart(fleet),
            _as_in_the_file(fleet, held),
            _nothing_lost(session, hub, fleet),
            _outcomes_agree(session, hub, fleet),
            _receipts_add_up(session, hub, fleet),
            _copies_found_out(session, hub, fleet),
            _meetings(fleet),
            *scores.checks(),
            _log_is_whole(session, hub, fleet),
        )
    return SimulationReport(checks, _facts(fleet), [*_odd_rows(fleet), *scores.explained])


# -- what the server holds --------------------------------------------------------------------------


def _held(session: Session, hub: AppContext, post_ids: set[str]) -> dict[str, dict[Ref, RecordState]]:
    """Read every record of some posts, by post: also of earlier runs, since tablets pull those as well."""
    held: dict[str, dict[Ref, RecordState]] = {post_id: {} for post_id in post_ids}
    for some in _some(sorted(post_ids)):
        children = session.scalars(
            select(Child).where(Child.district == hub.district, Child.post_id.in_(some))
        )
        keys = {}
        for child in children:
            keys[child.id] = hub.vault.child_key(child.id, child.wrapped_key, child.key_version)
            if child.state is not None:
                wire = orjson.loads(ledger.read_child(hub.district, child.id, child.state, keys[child.id]))
                held[child.post_id]["child", child.id] = RecordState.from_wire("child", child.id, {}, wire)
        rows: list[tuple[str, Any]] = []
        for kind, model in (("measurement", Measurement), ("follow_up", FollowUp), ("delivery", Delivery)):
            theirs = select(model).where(model.district == hub.district, model.post_id.in_(some))
            rows += [(kind, row) for row in session.scalars(theirs)]
        elsewhere = sorted({row.child_id for _, row in rows} - keys.keys())  # only if the tables disagree
        keys |= {s.id: s.key for s in ledger.subjects(session, hub.vault, hub.district, elsewhere).values()}
        for kind, row in rows:
            key = {"child": row.child_id} | {name: str(getattr(row, name)) for name in KEYS[kind][1:]}
            record_id = id_of(kind, key)
            wire = orjson.loads(ledger.read_keyed(hub.district, kind, record_id, row, keys[row.child_id]))
            held[row.post_id][kind, record_id] = RecordState.from_wire(kind, record_id, key, wire)
    return held


def _some(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]


# -- the checks -------------------------------------------------------------------------------------


def _nobody_complained(fleet: Fleet) -> PromiseCheck:
    failures = [f"{d.name}: {text}" for d in fleet.devices for text in d.notebook.broken]
    failures += [
        f"{device.name}: {count} {answer}"
        for device in fleet.devices
        for answer, count in device.notebook.traffic.items()
        if answer.startswith("answers 500")
    ]
    batches = len({name for device in fleet.devices for name in device.notebook.receipts})
    return PromiseCheck("every batch is taken, and answered alike when it comes again", batches, failures)


def _agreement(fleet: Fleet, held: dict[str, dict[Ref, RecordState]]) -> PromiseCheck:
    """Compare what each tablet shows with what the server holds of its post, byte for byte."""
    compared, failures = 0, []
    canonical = {
        post_id: {ref: state.canonical() for ref, state in records.items()}
        for post_id, records in held.items()
    }
    for device in fleet.devices:
        records, shown = canonical[device.replica.post_id], _shown(device.replica)
        compared += len(records)
        for ref in sorted(records.keys() | shown.keys()):
            if ref not in shown:
                failures.append(f"{device.name} lacks {' '.join(ref)}")
            elif ref not in records:
                failures.append(f"{device.name} shows {' '.join(ref)}, which its post does not hold")
            elif shown[ref] != records[ref]:
                failures.append(f"{device.name} shows another {' '.join(ref)} than the server holds")
    return PromiseCheck("every tablet shows what the server holds, byte for byte", compared, failures)


def _shown(replica: Replica) -> dict[Ref, bytes]:
    own = {(logged.change.kind, logged.change.record_id) for logged in replica.log}
    views = {ref: replica.view(ref) for ref in replica.base.keys() | own}
    return {ref: view.canonical() for ref, view in views.items() if view is not None}


def _same_after_restart(fleet: Fleet) -> PromiseCheck:
    failures = [
        device.name
        for device in fleet.devices
        if _shown(device.client.store.reread()) != _shown(device.replica)
    ]
    return PromiseCheck("a tablet that restarts shows the same", len(fleet.devices), failures)


def _as_in_the_file(fleet: Fleet, held: dict[str, dict[Ref, RecordState]]) -> PromiseCheck:
    """Compare every register on the server with the file, less what was refused."""
    compared, failures = 0, []
    for case in fleet.cases:
        records = held[case.owner.replica.post_id]
        of_case = {"child": case.child_id, "measurement": case.measurement_id, "follow_up": case.follow_up_id}
        for kind, record_id in of_case.items():
            wanted, state = case.expected(kind), records.get((kind, record_id))
            compared += len(wanted)
            if wanted and state is None:
                failures.append(f"row {case.row.label}: its {kind} is not on the server")
            elif state is not None:
                failures += [f"row {case.row.label}: {kind} {text}" for text in _differences(state, wanted)]
    return PromiseCheck("every register on the server is the file's", compared, failures)


def _differences(state: RecordState, wanted: dict[str, Json]) -> Iterator[str]:
    for name in sorted(state.registers.keys() | wanted.keys()):
        if state.value(name) != wanted.get(name):
            values = [dict(sibling.value) for sibling in state.registers.get(name, ())]
            yield f"{name} is {values}, not {wanted.get(name)}"
    yield from (
        f"is {mark}" for mark in ("removed", "removal_contested", "incomplete") if getattr(state, mark)
    )


def _nothing_lost(session: Session, hub: AppContext, fleet: Fleet) -> PromiseCheck:
    """Check that every change that a cadre was told is saved is in the ledger once, with the same hash, and nothing else.

    Only what was unsent when a tablet was cloned, and so is in two outboxes, may be there under two names.
    """
    failures, compared = [], 0
    hashes, names = _by_dot(session, hub, fleet, ChangeRow.hash), defaultdict(set)
    for device in fleet.devices:
        compared += len(device.notebook.written)
        for hash_, (dot, nonce) in device.notebook.written.items():
            names[nonce].add(dot)
            if (found := hashes.get(dot)) != hash_:
                failures.append(f"{device.name}: change {dot.counter} is {'another' if found else 'lost'}")
    written = {dot for dots in names.values() for dot in dots}
    failures += [
        f"{_whose(fleet, dot)}: change {dot.counter} was never written" for dot in hashes.keys() - written
    ]
    copied = _copied(fleet)
    failures += [
        f"{_whose(fleet, min(dots))}: change {min(dots).counter} was taken {len(dots)} times"
        for nonce, dots in names.items()
        if len(dots) > (2 if nonce in copied else 1)
    ]
    return PromiseCheck(
        "nothing that was saved is lost: the ledger holds every change, same hash", compared, failures
    )


def _copied(fleet: Fleet) -> set[str]:
    return {nonce for device in fleet.devices for nonce in device.notebook.copied}


def _doubled(fleet: Fleet) -> int:
    """Count the changes that were sent from two outboxes."""
    names: dict[str, set[Dot]] = defaultdict(set)
    for device in fleet.devices:
        for dot, nonce in device.notebook.written.values():
            names[nonce].add(dot)
    return sum(len(dots) - 1 for dots in names.values())


def _whose(fleet: Fleet, dot: Dot) -> str:
    return next((d.name for d in fleet.devices if dot.actor in d.notebook.enrolments), dot.actor)


def _enrolments(fleet: Fleet) -> list[str]:
    return sorted({tablet_id for device in fleet.devices for tablet_id in device.notebook.enrolments})


def _outcomes_agree(session: Session, hub: AppContext, fleet: Fleet) -> PromiseCheck:
    outcomes = _by_dot(session, hub, fleet, ChangeRow.outcome)
    answers: dict[Dot, set[str]] = defaultdict(set)
    for device in fleet.devices:
        for dot, heard in device.notebook.told.items():
            answers[dot] |= heard
    failures = [
        f"{_whose(fleet, dot)}: change {dot.counter} was answered {sorted(answers[dot])}, "
        f"the ledger says {outcomes.get(dot)}"
        for dot in sorted(answers.keys() | outcomes.keys())
        if answers[dot] - {Outcome.DUPLICATE.value} != {outcomes.get(dot)}
    ]
    return PromiseCheck(
        "the ledger says of each change what its tablet was told first", len(answers), failures
    )


def _by_dot(session: Session, hub: AppContext, fleet: Fleet, column: Any) -> dict[Dot, str]:
    found: dict[Dot, str] = {}
    for some in _some(_enrolments(fleet)):
        rows = session.execute(
            select(ChangeRow.actor, ChangeRow.counter, column).where(
                ChangeRow.district == hub.district, ChangeRow.actor.in_(some)
            )
        )
        found.update((Dot(actor, counter), value) for actor, counter, value in rows)
    return found


def _receipts_add_up(session: Session, hub: AppContext, fleet: Fleet) -> PromiseCheck:
    """Received = applied + merged + duplicate + superseded + conflict + quarantined; each change has one first answer: sent
    again it is a duplicate, or again quarantined, with its reasons.
    """
    failures, compared = [], 0
    given: dict[str, dict[str, bytes]] = defaultdict(dict)
    for device in fleet.devices:
        for (tablet_id, batch_id), receipt in device.notebook.receipts.items():
            if given[tablet_id].setdefault(batch_id, receipt) != receipt:
                failures.append(f"{device.name}: batch {batch_id} got two receipts")
    dots = {dot for device in fleet.devices for dot, _ in device.notebook.written.values()}
    written = Counter(dot.actor for dot in dots)
    for tablet_id in _enrolments(fleet):
        # receipts of batches without changes are not kept
        of_tablet = (Batch.district == hub.district, Batch.tablet_id == tablet_id, Batch.outcomes != "{}")
        rows = session.execute(select(Batch.batch_id, Batch.receipt, Batch.outcomes).where(*of_tablet)).all()
        compared += len(rows)
        name = _whose(fleet, Dot(tablet_id, 1))
        stored = {
            row.batch_id: IssuedReceipt.given_again(
                session, hub, tablet_id, row.receipt, orjson.loads(row.outcomes)
            ).json
            for row in rows
        }
        if stored != given[tablet_id]:
            failures.append(f"{name}: stored receipts are not those that it was given")
        items = [item for receipt in stored.values() for item in orjson.loads(receipt)["items"]]
        in_receipts = Counter(item[1] for item in items)
        counted = sum((Counter(orjson.loads(row.outcomes)) for row in rows), Counter[str]())
        if in_receipts != counted:
            failures.append(
                f"{name}: its receipts say {dict(in_receipts)}, the batches' counts {dict(counted)}"
            )
        quarantined = {item[0] for item in items if item[1] == Outcome.QUARANTINED.value}
        again = (
            in_receipts[Outcome.DUPLICATE.value] + in_receipts[Outcome.QUARANTINED.value] - len(quarantined)
        )
        if len(items) - again != written[tablet_id]:
            failures.append(
                f"{name}: wrote {written[tablet_id]}, receipts answer {len(items) - again} for the first time"
            )
    return PromiseCheck(
        "received = sum of outcomes, in every receipt; answered for the first time = written",
        compared,
        failures,
    )


def _copies_found_out(session: Session, hub: AppContext, fleet: Fleet) -> PromiseCheck:
    """Every cloned or restored tablet continues under an enrolment that names the old one, and a person is told."""
    replaced: dict[str, str | None] = {}
    alerted: set[str] = set()
    for some in _some(_enrolments(fleet)):
        tablets = select(Tablet.id, Tablet.replaces).where(
            Tablet.district == hub.district, Tablet.id.in_(some)
        )
        replaced.update((row.id, row.replaces) for row in session.execute(tablets))
        notices = select(Notice.subject).where(
            Notice.district == hub.district,
            Notice.kind == "tablet-cloned-or-restored",
            Notice.subject.in_(some),
        )
        alerted.update(session.scalars(notices))
    failures, copies = [], 0
    for device in fleet.devices:
        old, *new = device.notebook.enrolments
        copies += int(device.was_copied)
        if len(new) != int(device.was_copied):
            failures.append(f"{device.name}: {len(new)} new enrolments, {int(device.was_copied)} called for")
        elif new and replaced.get(new[0]) != old:
            failures.append(f"{device.name}: its new enrolment does not name the old one")
        if new and old not in alerted:
            failures.append(f"{device.name}: nobody was told that it was copied")
    return PromiseCheck(
        "every copied tablet is found out, and goes on under a new enrolment", copies, failures
    )


def _meetings(fleet: Fleet) -> PromiseCheck:
    """Two tablets that edited one register gave a conflict or a merge exactly where that was planned."""
    counts = outcomes(fleet)
    conflicts = fleet.planned(Sharing.CONFLICT)
    merges = fleet.planned(Sharing.MERGE, Sharing.EQUAL, Sharing.BOTH)
    doubled = _doubled(fleet)  # and so merges with itself
    found = {
        "conflicts": (counts[Outcome.CONFLICT.value], conflicts),
        "conflicts seen and decided on a tablet": (
            sum(device.notebook.traffic["conflicts seen"] for device in fleet.devices),
            conflicts,
        ),
        "merges": (
            min(counts[Outcome.MERGED.value], max(merges, counts[Outcome.MERGED.value] - doubled)),
            merges,
        ),
    }
    failures = [
        f"{got} {what}, {planned} planned" for what, (got, planned) in found.items() if got != planned
    ]
    return PromiseCheck(
        "two tablets conflict only where they differ, and merge elsewhere", conflicts + merges, failures
    )


def _log_is_whole(session: Session, hub: AppContext, fleet: Fleet) -> PromiseCheck:
    streams = {audit.post_stream(device.replica.post_id) for device in fleet.devices} | {audit.OFFICE}
    entries, broken = audit.verify(session, hub.district)
    failures = [f"{b.stream} from entry {b.number}: {b.what}" for b in broken if b.stream in streams]
    return PromiseCheck("the log of every post touched, and of the office, is whole", entries, failures)


# -- scores -----------------------------------------------------------------------------------------


class _Scores:
    """The server's scores and marks compared with the file's."""

    def __init__(self, session: Session, hub: AppContext, fleet: Fleet) -> None:
        self.explained: list[str] = []
        self._fleet = fleet
        self._scores: dict[tuple[str, str], Any] = {}
        self._marks: set[tuple[str, str]] = set()
        for some in _some([case.child_id for case in fleet.cases]):
            for row in session.scalars(
                select(Assessment).where(
                    Assessment.district == hub.district,
                    Assessment.child_id.in_(some),
                    Assessment.source == SOURCE,
                )
            ):
                self._scores[row.child_id, row.measured_on.isoformat()] = row
            marks = select(Flag.child_id, Flag.subject).where(
                Flag.district == hub.district, Flag.child_id.in_(some), Flag.rule == "implausible"
            )
            self._marks.update((child_id, subject) for child_id, subject in session.execute(marks))

    def checks(self) -> tuple[PromiseCheck, PromiseCheck, PromiseCheck]:
        """Compare cells: a score, a score that must be absent, a mark."""
        compared = Counter[str]()
        failures: dict[str, list[str]] = {"given": [], "absent": [], "marked": []}
        for case in self._fleet.cases:
            for index, of_file in case.row.scores.items():
                wanted = None if self._refused(case, index) else of_file
                which = "absent" if wanted is None else "given"
                compared[which] += 1
                failures[which] += self._compared(case, index, wanted)
            for index, mark in case.row.implausible.items():
                compared["marked"] += 1
                found = (case.child_id, f"{case.row.measured_on}/{SOURCE}/{index}") in self._marks
                if found != mark and not self._refused(case, index):
                    word = "" if found else "not "
                    failures["marked"].append(f"row {case.row.label}: {index} is {word}marked implausible")
        return (
            PromiseCheck("scores equal the file's at two decimals", compared["given"], failures["given"]),
            PromiseCheck("no score where the file has none", compared["absent"], failures["absent"]),
            PromiseCheck(
                "implausible exactly where the file says so", compared["marked"], failures["marked"]
            ),
        )

    def _refused(self, case: SurveyChild, index: str) -> bool:
        """Return whether the server refused what this index needs: then the file's score cannot be expected."""
        needs = {"haz": {"length"}, "waz": {"weight"}, "acz": {"muac"}}.get(index, {"weight", "length"})
        if needs <= case.row.registers().keys() and not needs <= case.expected("measurement").keys():
            return True
        known = case.expected("child").get("identity", {})
        return index != "whz" and known.get("born_on") != case.row.born_on

    def _compared(self, case: SurveyChild, index: str, wanted: Decimal | None) -> Iterator[str]:
        row = self._scores.get((case.child_id, case.row.measured_on))
        stored = getattr(row, index) if row is not None else None
        found = None if stored is None else Decimal(str(stored))
        if found == wanted:
            return
        text = f"row {case.row.label}: {index} is {found}, the file has {wanted}"
        if case.row.rounded and self._is_rounding(case, index, found, wanted):
            self.explained.append(f"{text}: of what the file has unrounded, that is right")
        else:
            yield text

    def _is_rounding(
        self, case: SurveyChild, index: str, found: Decimal | None, wanted: Decimal | None
    ) -> bool:
        """Return whether the same engine gives the file's score for the unrounded value, the server's for the rounded."""
        row = case.row
        whole = Exact(
            None if row.weight_g is None else Decimal(row.weight_g) / 1000,
            None if row.length_mm is None else Decimal(row.length_mm) / 10,
            None if row.muac_mm is None else Decimal(row.muac_mm),
        )
        return _score(case, row.exact, index) == wanted and _score(case, whole, index) == found


def _score(case: SurveyChild, measured: Exact, index: str) -> Decimal | None:
    row = case.row
    arm_cm = None if measured.muac_mm is None else measured.muac_mm / 10
    scores = zscores(
        sex=SEX[row.sex],
        age_days=row.age_days,
        weight_kg=_float(measured.weight_kg),
        lenhei_cm=_float(measured.height_cm),
        armc_cm=_float(arm_cm),
        oedema=row.oedema not in (None, "n"),
    )
    z = float(getattr(scores, index).z)
    return None if z != z else Decimal(str(z))


def _float(number: Decimal | None) -> float | None:
    return None if number is None else float(number)


# -- words ------------------------------------------------------------------------------------------


def outcomes(fleet: Fleet) -> Counter[str]:
    """Count the outcomes of changes, with duplicates of repeated ranges."""
    receipts: dict[tuple[str, str], bytes] = {}
    for device in fleet.devices:
        receipts.update(device.notebook.receipts)
    return Counter(item[1] for receipt in receipts.values() for item in orjson.loads(receipt)["items"])


def _facts(fleet: Fleet) -> list[str]:
    counts, traffic = outcomes(fleet), Counter[str]()
    for device in fleet.devices:
        traffic.update(device.notebook.traffic)
    posts = len({device.replica.post_id for device in fleet.devices})
    cuts = {cut: traffic[cut] for cut in (c.value for c in Cut if c is not Cut.NOWHERE)}
    faster = len(fleet.cases) / fleet.seconds if fleet.seconds else 0
    lines = [
        f"{len(fleet.cases):,} children, {posts} posts, {len(fleet.devices)} tablets; "
        f"{fleet.seconds:.1f} s, {faster:.0f} children a second",
        f"Changes received {sum(counts.values()):,} = "
        + " + ".join(f"{outcome.value} {counts[outcome.value]:,}" for outcome in Outcome),
        f"HTTP: {traffic['requests']:,} requests; cut {sum(cuts.values()):,}: "
        + ", ".join(f"{count:,} {where}" for where, count in cuts.items()),
        "Chaos: " + ", ".join(f"{traffic[name]:,} {name}" for name in COUNTED),
    ]
    answers = {name: count for name, count in sorted(traffic.items()) if name.startswith("answers ")}
    if answers:
        lines.append(
            "Other answers: " + ", ".join(f"{count} x {name[8:]}" for name, count in answers.items())
        )
    if doubled := _doubled(fleet):
        lines.append(
            f"Changes in the outboxes of both a tablet and its clone, taken under two names: {doubled}"
        )
    if any(case.sharing for case in fleet.cases):
        met = ", ".join(f"{fleet.planned(sharing)} {sharing.value}" for sharing in Sharing)
        lines.append(f"Children that two tablets edited at once: {met}")
    return lines


def _odd_rows(fleet: Fleet) -> list[str]:
    lines = []
    for case in fleet.cases:
        lines += [f"row {case.row.label}: {oddity}" for oddity in case.row.oddities]
        for refusal in case.refusals:
            lines += [f"row {case.row.label}: {text}" for text in _told(refusal, case)]
    return lines


def _told(refusal: RefusedChange, case: SurveyChild) -> Iterator[str]:
    for reason in refusal.reasons:
        yield f"set aside: {reason['id']} / {reason['en']}"
    if refusal.left_out is None:
        yield "  cannot be corrected on a tablet: it waits for a person, its bytes are kept"
    elif not case.expected(refusal.change.kind):
        yield f"  {', '.join(refusal.left_out)} was all there was: nothing left to correct"
    else:
        yield f"  the cadre corrected it: sent again without {', '.join(refusal.left_out)}, the rest is held"
