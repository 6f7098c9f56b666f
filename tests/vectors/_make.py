"""The vectors that a client in any language checks itself against, made from the protocol as it is today.

`python -m tests.vectors._make` writes them anew. What each file holds is told in docs/protocol.md, "Test vectors".
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sync_protocol import (
    FIRST_PREVIOUS,
    NOTHING_SEEN,
    Change,
    Dot,
    Entry,
    Form,
    History,
    Item,
    Json,
    Outcome,
    Receipt,
    ReceiptStatus,
    RecordState,
    Replica,
    VersionVector,
    canonical,
    chain,
    change_hash,
    content_digest,
    digest,
    fold,
    id_of,
    measurement_id,
    outcome_of,
)
from tests.schemas._examples import (
    KEY,
    answer,
    base64url,
    result_of_the_tablet,
    signature,
    tablet,
)

DIRECTORY = Path(__file__).parents[2] / "schemas" / "examples" / "vectors"
CHILD = "019bf000-0000-7000-8000-0000000000c1"
ON = "2026-01-05"
KEY_OF = {"child": CHILD, "measured_on": ON, "source": "cadre"}
RECORD = measurement_id(CHILD, ON, "cadre")
TASK = "019bf000-0000-7000-8000-0000000000d1"
TASK_KEY = {"child": CHILD, "task": TASK}
ONE, TWO, THREE = (f"019bf000-0000-7000-8000-00000000000{n}" for n in (1, 2, 3))


@dataclass
class Author:
    """Somebody who writes changes of one record, each chained to the one before."""

    actor: str
    kind: str = "measurement"
    key: Mapping[str, str] = field(default_factory=lambda: KEY_OF)
    written: list[Change] = field(default_factory=list)

    def write(self, seen: Sequence[Change] = (), /, **registers: Json) -> Change:
        """Write a change whose author had some changes in view."""
        entries: dict[str, Entry] = {}
        for change in sorted(seen, key=lambda c: c.dot):
            entries[change.dot.actor] = change.entry
        return self._append(VersionVector(entries), registers)

    def claim(self, context: Mapping[str, Entry], /, **registers: Json) -> Change:
        """Write a change with a context as given, true or not."""
        return self._append(VersionVector(dict(context)), registers)

    def _append(self, context: VersionVector, registers: Mapping[str, Json]) -> Change:
        dot = Dot(self.actor, len(self.written) + 1)
        wire = {
            "kind": self.kind,
            "id": id_of(self.kind, self.key),
            "key": dict(self.key),
            "context": context.wire(),
            "set": dict(registers),
            "author": "kader:contoh",
            "recorded_at": "2026-01-05T02:00:00Z",
            "nonce": f"{self.actor[-1]}{dot.counter:021d}",
            "app": "contoh 0.1",
            "schema": 1,
        }
        previous = self.written[-1].hash if self.written else FIRST_PREVIOUS
        self.written.append(Change.from_wire(dot, wire, change_hash(dot, previous, wire)))
        return self.written[-1]


def weight(weight_g: int) -> dict[str, Any]:
    return {"weight_g": weight_g, "oedema": "n"}


def task(**fields: Any) -> dict[str, Any]:
    return {"action": "home_visit", "reason": "not_seen", "due_on": None, "assigned_to": None, **fields}


def result(outcome: str) -> dict[str, Any]:
    return {"done_on": ON, "outcome": outcome}


def length(length_mm: int) -> dict[str, Any]:
    return {"length_mm": length_mm, "position": "lying"}


def canonical_cases() -> Iterator[dict[str, Any]]:
    values = {
        "keys are sorted, no white space": {"b": 2, "a": [1, True, None, "x"]},
        "keys are sorted by UTF-16 code units": {"\U0001f600": 1, "\ufb33": 2, "é": 3, "a": 4},
        "text is not escaped but for what JSON demands": 'é€ "\\/\b\f\n\r\t\u0000\u001f\u007f',
        "whole numbers": [0, -1, 9007199254740991, -9007199254740991],
        "fractions as ECMAScript writes them": [0.1, 1.5, 1e21, 1e-7, 123456789.125],
        "nothing": {},
    }
    for note, value in values.items():
        yield {
            "note": note,
            "value": value,
            "canonical": canonical(value).decode(),
            "digest": digest(value),
        }


def chain_cases() -> Iterator[dict[str, Any]]:
    replica, sent = tablet(), tablet()
    sent.pending = sent.next_batch(answer(sent)["receipt"]["batch"], "2026-01-06T03:00:00Z")
    sent.receive(answer(sent), "2026-01-06T03:00:03Z")
    follow_up = result_of_the_tablet(sent)
    whole = [logged.change.wire() for logged in replica.log]
    odd = [{"kind": "unknown", "set": {"x": 1.5}, "more": [1, {"é": None}]}, {}]
    for note, first, previous, changes in (
        ("a tablet's first changes", 1, FIRST_PREVIOUS, whole),
        ("the same from the third on", 3, replica.log[1].change.hash, whole[2:]),
        ("a result of a task that came down", 5, sent.log[3].change.hash, [follow_up.wire()]),
        ("what a change holds does not matter: it is chained even if it is refused", 1, FIRST_PREVIOUS, odd),
    ):
        links = chain(ONE, first, previous, changes)
        yield {
            "note": note,
            "tablet": ONE,
            "first": first,
            "previous": previous,
            "changes": changes,
            "links": [
                {"content": content_digest(link.wire), "hash": link.hash, "tag": link.hash[:16]}
                for link in links
            ],
        }


def signature_cases() -> dict[str, Any]:
    batch = tablet().next_batch("019bf000-0000-7000-8000-000000000004", "2026-01-06T03:00:00Z")
    good = signature(batch)
    public = KEY.public_key().public_numbers()
    axes = {"x": public.x, "y": public.y}
    altered = {**batch, "cursor": 1}
    return {
        "public_key": {"kty": "EC", "crv": "P-256"}
        | {name: base64url(value.to_bytes(32)) for name, value in axes.items()},
        "cases": [
            {"note": "as signed", "batch": batch, "signature": good, "fits": True},
            {"note": "another order of keys is the same batch", "batch": dict(reversed(batch.items()))}
            | {"signature": good, "fits": True},
            {"note": "the batch was altered", "batch": altered, "signature": good, "fits": False},
            {"note": "the signature was altered", "batch": batch, "signature": "A" + good[1:], "fits": False},
        ],
    }


def histories() -> Iterator[tuple[str, list[Change], list[tuple[Dot, str]]]]:
    one, two = Author(ONE), Author(TWO)
    first = one.write(weight=weight(9000))
    yield "one change", [first], []
    second = two.write([first], weight=weight(9100))
    yield "a later edit replaces what its author had seen", [first, second], []

    one, two = Author(ONE), Author(TWO)
    pair = [one.write(weight=weight(9000)), two.write(length=length(742))]
    yield "concurrent edits of different registers merge", pair, []

    one, two = Author(ONE), Author(TWO)
    pair = [one.write(weight=weight(9000)), two.write(weight=weight(9400))]
    yield "concurrent edits of one register stand beside each other", pair, []
    three = Author(THREE)
    yield "a settlement replaces both", [*pair, three.write(pair, weight=weight(9400))], []
    late = Author("019bf000-0000-7000-8000-00000000000a").write(weight=weight(9600))
    yield "a value that arrived meanwhile survives the settlement", [*pair, three.written[0], late], []

    one, two = Author(ONE), Author(TWO)
    pair = [one.write(weight=weight(9000)), two.write(weight=weight(9000))]
    yield "equal values are one, with both dots", pair, []

    one, two = Author(ONE), Author(TWO)
    old, new = one.write(weight=weight(9000)), one.write(weight=weight(9050))
    older = two.write([old], weight=weight(9200))
    yield "an edit of an older state is a conflict with what came after", [old, new, older], []

    one, two = Author(ONE), Author(TWO)
    made = one.write(weight=weight(9000))
    removal = one.write([made], removed={"reason": "salah anak"})
    yield "a removal that saw everything removes", [made, removal], []
    edit = two.write([made], length=length(742))
    yield "an edit that the remover had not seen keeps the record", [made, removal, edit], []
    back = two.write([made, removal, edit], removed={"reason": None})
    yield "a removal is taken back", [made, removal, edit, back], []

    one, two = Author(ONE), Author(TWO)
    held = one.write(weight=weight(9000))
    lost = Entry(2, "A" * 16)
    claiming = two.claim({ONE: lost}, weight=weight(9100))
    yield "a context that names what is not held covers nothing", [held, claiming], []
    yield "a quarantined change counts as held", [held, claiming], [(Dot(ONE, 2), lost.tag)]
    false = two.claim({ONE: Entry(1, "B" * 16)}, weight=weight(9200))
    yield "an entry with another tag covers nothing", [held, claiming, false], []


def follow_ups() -> Iterator[tuple[str, list[Change], list[tuple[Dot, str]]]]:
    one, two, three = (Author(actor, "follow_up", TASK_KEY) for actor in (ONE, TWO, THREE))
    made = three.write(task=task())
    done = one.write([made], result=result("done"))
    yield "a follow-up: the result stands beside the task", [made, done], []
    other = two.write([made], result=result("not_reached"))
    yield "two results of one task stand beside each other", [made, done, other], []
    later = three.write([made], task=task(due_on="2026-01-12"))
    yield "a result and a new due date at once merge", [made, done, later], []


def fold_cases() -> Iterator[dict[str, Any]]:
    for note, changes, quarantined in (*histories(), *follow_ups()):
        history = History(tuple(changes), tuple(quarantined))
        state = fold(history)
        yield {
            "note": note,
            "changes": [dotted(change) for change in changes],
            "quarantined": [[*dot, tag] for dot, tag in quarantined],
            "state": published(state),
            "outcomes": [outcome_of(change, history).value for change in changes],
        }


def dotted(change: Change) -> dict[str, Any]:
    """Give a change with what follows from its place in its tablet's chain."""
    return {
        "actor": change.dot.actor,
        "counter": change.dot.counter,
        "hash": change.hash,
        "change": change.wire(),
    }


def published(state: RecordState) -> dict[str, Any]:
    if state.kind == "follow_up":
        return {"task": TASK, **state.wire()}
    return {"on": ON, "source": "cadre", **state.wire()}


def view_cases() -> Iterator[dict[str, Any]]:
    """Own unsent changes laid over a pulled state."""
    other = Author(TWO)
    seen = other.write(weight=weight(9000))
    base = fold(History((seen,)))
    unseen = fold(History((seen, other.write([seen], weight=weight(9300)))))
    for note, under, registers, context in (
        ("nothing was pulled", None, {"weight": weight(9100)}, NOTHING_SEEN),
        ("what the author had seen is replaced", base, {"weight": weight(9100)}, base.vector),
        ("another register is added", base, {"length": length(742)}, base.vector),
        (
            "news that came after the form was opened stands beside",
            unseen,
            {"weight": weight(9100)},
            base.vector,
        ),
        ("an equal value is one", unseen, {"weight": weight(9300)}, base.vector),
        (
            "removed by the author, as far as she has seen",
            base,
            {"removed": {"reason": "salah anak"}},
            base.vector,
        ),
        (
            "removed, and something came that she had not seen",
            unseen,
            {"removed": {"reason": "salah anak"}},
            base.vector,
        ),
    ):
        replica = Replica("64.02", ONE, THREE, "contoh 0.1")
        if under is not None:
            replica.base["measurement", RECORD] = under
        form = Form("measurement", RECORD, KEY_OF, context)
        change = replica.write(
            form, registers, author="kader:contoh", recorded_at="2026-01-05T02:00:00Z", nonce="n" * 22
        )
        shown = replica.view(("measurement", RECORD))
        assert shown is not None
        yield {
            "note": note,
            "tablet": ONE,
            "pulled": published(under) if under else None,
            "unsent": [dotted(change)],
            "shown": published(shown),
        }


def follow_up_view() -> dict[str, Any]:
    """A result that waits, laid over a task that came down."""
    made = Author(TWO, "follow_up", TASK_KEY).write(task=task())
    replica = Replica("64.02", ONE, THREE, "contoh 0.1")
    replica.base["follow_up", made.record_id] = fold(History((made,)))
    form = replica.open_follow_up(CHILD, TASK)
    at, registers = "2026-01-05T02:00:00Z", {"result": result("done")}
    change = replica.write(form, registers, author="kader:contoh", recorded_at=at, nonce="n" * 22)
    shown = replica.view(("follow_up", made.record_id))
    assert shown is not None
    return {
        "note": "a follow-up: the result stands beside the task that came down",
        "tablet": ONE,
        "pulled": published(replica.base["follow_up", made.record_id]),
        "unsent": [dotted(change)],
        "shown": published(shown),
    }


def receipt_cases() -> Iterator[dict[str, Any]]:
    """What a tablet that has written four changes makes of an answer."""

    def answered(counters: Sequence[int], outcome: Outcome = Outcome.APPLIED) -> tuple[Item, ...]:
        return tuple(Item(counter, outcome) for counter in counters)

    wrong = Item(2, Outcome.QUARANTINED, ({"path": "set.weight.weight_g", "code": "out-of-range"},))
    cases: list[tuple[str, int, Receipt]] = [
        ("all were taken", 4, Receipt("b", ReceiptStatus.ACCEPTED, 5, answered([1, 2, 3, 4]))),
        ("the first two were sent and taken", 2, Receipt("b", ReceiptStatus.ACCEPTED, 3, answered([1, 2]))),
        (
            "one was set aside: it counts as taken, and asks for a correction",
            4,
            Receipt("b", ReceiptStatus.ACCEPTED, 5, (Item(1, Outcome.APPLIED), wrong, *answered([3, 4]))),
        ),
        ("the server was restored and wants the second again", 4, Receipt("b", ReceiptStatus.GAP, 2)),
        ("this device was restored or cloned", 4, Receipt("b", ReceiptStatus.NEW_EPOCH_REQUIRED, 3)),
    ]
    for note, most, receipt in cases:
        replica = tablet()
        sent = replica.next_batch("b", "2026-01-06T03:00:00Z", max_changes=most)
        pull: dict[str, Any] = {"cursor": 0, "more": False, "children": [], "measurements": {}}
        pull |= {"follow_ups": {}, "deliveries": {}, "left": []}
        answer = {"incarnation": "i", "token": "t", "receipt": receipt.wire(), "pull": pull}
        events = replica.receive(answer, "2026-01-06T03:00:01Z")
        following = replica.next_batch("c", "2026-01-06T03:00:02Z")
        yield {
            "note": note,
            "sent": {"first": sent["first"], "changes": len(sent["changes"])},
            "receipt": receipt.wire(),
            "event": type(events[0]).__name__,
            "waiting": [logged.change.dot.counter for logged in replica.unanswered()],
            "in_question": [logged.change.dot.counter for logged in replica.in_question()],
            "next": {
                "first": following["first"],
                "changes": len(following["changes"]),
                "token": following["token"],
            },
        }


def vectors() -> dict[str, Any]:
    """Give every file's content by its name."""
    from tests.vectors._posts import post_cases  # these are written with the authors of this module
    from tests.vectors._renumbering import restoration_vectors

    made = {
        "canonical.json": list(canonical_cases()),
        "chains.json": list(chain_cases()),
        "signatures.json": signature_cases(),
        "folds.json": list(fold_cases()),
        "views.json": [*view_cases(), follow_up_view()],
        "receipts.json": list(receipt_cases()),
        **restoration_vectors(),
        "posts.json": list(post_cases()),
    }
    plain: dict[str, Any] = json.loads(json.dumps(made))
    return plain


def main() -> None:
    """Write the files anew."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for name, content in vectors().items():
        text = json.dumps(content, indent=1, ensure_ascii=False)
        (DIRECTORY / name).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
