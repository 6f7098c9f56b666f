"""Vectors of what a tablet does when it or the server was restored: contexts, new enrolments, another incarnation."""

from collections.abc import Iterator, Sequence
from typing import Any

from sync_protocol import (
    Change,
    History,
    Item,
    Logged,
    Outcome,
    Receipt,
    ReceiptStatus,
    RecordState,
    Replica,
    fold,
)
from tests.schemas._examples import tablet
from tests.vectors._make import (
    ONE,
    RECORD,
    THREE,
    TWO,
    Author,
    dotted,
    length,
    published,
    weight,
)

NEW = "019bf000-0000-7000-8000-0000000000b1"
"""The enrolment under which changes are numbered again."""
BEFORE = "019bf000-0000-7000-8000-0000000000a1"
"""An earlier enrolment of the same device."""
OLD_CONTENT = "2026-01-05T02:00:00Z"


# -- what a form names ----------------------------------------------------------------------------------


def context_cases() -> Iterator[dict[str, Any]]:
    """The context of a form that is opened on a state, if it may name `most` actors."""
    one, two, three = Author(ONE), Author(TWO), Author(THREE)
    first = one.write(weight=weight(9000), length=length(742))
    second = two.write([first], weight=weight(9100))
    third = three.write([first, second], weight=weight(9200))
    chain = [first, second, third]
    yield context_case("a vector with as many actors as may be named is named whole", 3, chain)
    yield context_case("else those whose values are live come first", 2, chain)
    apart = [Author(a).write(length=length(740 + n)) for n, a in enumerate((ONE, TWO, BEFORE))]
    crowd = [*apart, Author(THREE).write(weight=weight(9000))]
    yield context_case("of registers with fewer live changes before others", 2, crowd)
    equal = [Author(a).write(weight=weight(9000)) for a in (ONE, TWO, THREE)]
    yield context_case("equal values are live too", 2, equal)


def context_case(note: str, most: int, changes: Sequence[Change]) -> dict[str, Any]:
    state = fold(History(tuple(changes)))
    return {"note": note, "most": most, "shown": published(state), "context": state.context(most).wire()}


# -- numbering again ------------------------------------------------------------------------------------


def renumbering_cases() -> Iterator[dict[str, Any]]:
    """What is numbered again under a new enrolment; `common` is null where the server knew none of the old ones."""
    first, second, third = edits_in_turn()
    log = [first, second, third]
    yield renumbered("nothing was delivered: all is numbered again", 0, log)
    yield renumbered("what is held keeps its name, and is named beside the new one", 1, log)
    yield renumbered("all was delivered: nothing is numbered again", 3, log)

    other, mine = Author(TWO).write(weight=weight(9000)), Author(ONE)
    seeing = mine.write([other], weight=weight(9100))
    later = mine.write([other, seeing], weight=weight(9200))
    yield renumbered("what others wrote keeps its name", 0, [seeing, later])

    mine = Author(ONE)
    blind = [mine.write(weight=weight(9000)), mine.write(length=length(742))]
    yield renumbered("what the author had not seen is not claimed", 0, blind)
    note = "an entry claims every change before the one that it names, by the old name as by the new one"
    yield renumbered(note, 0, [*blind, mine.write([blind[1]], length=length(743))])

    first, *rest = edits_in_turn()
    note = "a change that is held and no longer kept is known by the pulled state"
    yield renumbered(note, 1, rest, forgotten=[first], pulled=fold(History((first,))))


def readmission_cases() -> Iterator[dict[str, Any]]:
    """The server was restored to a time before every enrolment of the device, which has a new code."""
    before, mine = Author(BEFORE), Author(ONE)
    delivered = before.write(weight=weight(9000))
    seen = mine.write([delivered], weight=weight(9100))
    yield renumbered("closed enrolments first, then the last", None, [seen], past=[delivered])
    mine = Author(ONE)
    unseen = mine.write(length=length(742))
    again = mine.write([unseen], length=length(743))
    note = "a new number claims all before it: left out where the author had not seen them"
    yield renumbered(note, None, [unseen, again], past=[delivered])


def edits_in_turn() -> list[Change]:
    """Give three changes of one record, each in sight of those before it."""
    mine = Author(ONE)
    written: list[Change] = []
    for number in range(3):
        written.append(mine.write(written, weight=weight(9000 + 100 * number)))
    return written


def renumbered(
    note: str,
    common: int | None,
    log: Sequence[Change],
    *,
    past: Sequence[Change] = (),
    forgotten: Sequence[Change] = (),
    pulled: RecordState | None = None,
) -> dict[str, Any]:
    """Tell a case: what the device keeps, and what it has under its new enrolment."""
    old = Replica("64.02", ONE, THREE, "contoh 0.1", forgotten=len(forgotten))
    old.forgotten_hash = forgotten[-1].hash if forgotten else ""
    previous = old.forgotten_hash
    for change in log:
        old.log.append(Logged(change, previous))
        previous = change.hash
    old.past = [{**dotted(change), "acknowledged_at": OLD_CONTENT} for change in past]
    if pulled is not None:
        old.base["measurement", RECORD] = pulled
    new = old.enrol_afresh(NEW) if common is None else old.enrol_anew(NEW, common)
    return {
        "note": note,
        "tablet": ONE,
        "new": NEW,
        "common": common,
        "past": [dotted(change) for change in past],
        "forgotten": [len(forgotten), old.forgotten_hash],
        "log": [dotted(change) for change in log],
        "pulled": published(pulled) if pulled else None,
        "renumbered": [dotted(logged.change) for logged in new.log],
    }


# -- another incarnation --------------------------------------------------------------------------------


def incarnation_cases() -> Iterator[dict[str, Any]]:
    """A tablet with the four changes of batch.json, all acknowledged, knows incarnation `i`, token `t` and cursor 7."""
    answered = tuple(Item(counter, Outcome.APPLIED) for counter in (1, 2, 3, 4))
    cases = (
        ("as it was: the pull is taken", "i", Receipt("b", ReceiptStatus.ACCEPTED, 5)),
        (
            "the server was restored, and lost nothing of this tablet: the pull is not taken, and begins again",
            "j",
            Receipt("b", ReceiptStatus.ACCEPTED, 5),
        ),
        (
            "the server was restored, and wants the third again",
            "j",
            Receipt("b", ReceiptStatus.GAP, 3),
        ),
    )
    for note, incarnation, receipt in cases:
        replica = tablet()
        replica.next_batch("a", "2026-01-06T03:00:00Z")
        replica.receive(an_answer("i", Receipt("a", ReceiptStatus.ACCEPTED, 5, answered), 7), OLD_CONTENT)
        replica.next_batch("b", "2026-01-06T04:00:00Z")
        answer = an_answer(incarnation, receipt, 9)
        replica.receive(answer, "2026-01-06T04:00:01Z")
        following = replica.next_batch("c", "2026-01-06T05:00:00Z")
        named = ("incarnation", "token", "cursor", "first")
        yield {
            "note": note,
            "answer": answer,
            "waiting": [logged.change.dot.counter for logged in replica.unanswered()],
            "next": {**{name: following[name] for name in named}, "changes": len(following["changes"])},
        }


def an_answer(incarnation: str, receipt: Receipt, cursor: int) -> dict[str, Any]:
    pull: dict[str, Any] = {"cursor": cursor, "more": False, "children": [], "measurements": {}}
    pull |= {"follow_ups": {}, "deliveries": {}, "left": []}
    return {"incarnation": incarnation, "token": "t", "receipt": receipt.wire(), "pull": pull}


def restoration_vectors() -> dict[str, Any]:
    """Give every file's content by its name."""
    return {
        "contexts.json": list(context_cases()),
        "renumberings.json": [*renumbering_cases(), *readmission_cases()],
        "incarnations.json": list(incarnation_cases()),
    }
