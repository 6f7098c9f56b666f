"""Changes, states and receipts: what travels comes back the same, and a hash vouches for all of it."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from sync_protocol import (
    FIRST_PREVIOUS,
    KEYS,
    REGISTERS,
    TAG_LENGTH,
    Change,
    Dot,
    Entry,
    Item,
    Outcome,
    Receipt,
    ReceiptStatus,
    RecordState,
    Sibling,
    VersionVector,
    canonical,
    chain,
    change_hash,
    content_digest,
    digest,
    follow_up_id,
    header_of,
    hub_actor,
    id_of,
    measurement_id,
)
from tests.builders import (
    CHILD,
    FOLLOW_UP,
    FOLLOW_UP_KEY,
    MEASUREMENT,
    MEASUREMENT_KEY,
    TABLET,
    TASK,
    length,
    make_change,
    make_wire,
    weight,
)

SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8)
VALUES = st.dictionaries(st.text(max_size=5), SCALARS, max_size=3)
VECTORS = st.builds(
    VersionVector,
    st.dictionaries(
        st.sampled_from(["t1", "t2", "hub:r"]), st.builds(Entry, st.integers(1, 9), st.just("t" * TAG_LENGTH))
    ),
)
REGISTER_SETS = st.dictionaries(st.sampled_from(sorted(REGISTERS["measurement"])), VALUES, min_size=1)
CHANGES = st.builds(
    make_change,
    st.sampled_from(["t1", "t2"]),
    st.integers(1, 9),
    context=VECTORS,
    registers=REGISTER_SETS,
    author=st.text(max_size=8),
    nonce=st.text(max_size=8),
)
DOTS = st.builds(Dot, st.sampled_from(["t1", "t2", "hub:r"]), st.integers(1, 9))
SIBLINGS = st.builds(Sibling, st.lists(DOTS, min_size=1, max_size=3).map(tuple), VALUES)
STATES = st.builds(
    RecordState,
    st.just("measurement"),
    st.just(MEASUREMENT),
    st.just(MEASUREMENT_KEY),
    VECTORS,
    st.dictionaries(
        st.sampled_from(["weight", "length", "note"]), st.lists(SIBLINGS, min_size=1, max_size=3).map(tuple)
    ),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


def travelled(message: Any) -> Any:
    """Give what is read from the bytes that were sent."""
    return json.loads(canonical(message))


@given(CHANGES)
def test_change_survives_the_wire(change: Change) -> None:
    assert Change.from_wire(change.dot, travelled(change.wire()), change.hash) == change


@given(STATES)
def test_state_survives_the_wire(state: RecordState) -> None:
    again = RecordState.from_wire(state.kind, state.record_id, state.key, travelled(state.wire()))
    assert again == state
    assert again.canonical() == state.canonical()


def test_state_is_short_when_one_change_gave_everything() -> None:
    entry = Entry(1, "t" * TAG_LENGTH)
    registers = {name: (Sibling((Dot("t1", 1),), value),) for name, value in weight(8200).items()}
    state = RecordState("measurement", MEASUREMENT, {}, VersionVector({"t1": entry}), registers)
    assert state.wire() == {"vector": {"t1": [1, "t" * TAG_LENGTH]}, "set": weight(8200)}


def test_state_bytes_differ_when_only_a_mark_does() -> None:
    vector = VersionVector({"t1": Entry(1, "x")})
    plain = RecordState("child", CHILD, {}, vector, {})
    marked = {RecordState("child", CHILD, {}, vector, {}, *marks).canonical() for marks in MARKS}
    assert len(marked | {plain.canonical()}) == 4


MARKS = [(True, False, False), (False, True, False), (False, False, True)]


def test_value_is_none_when_unset_or_in_conflict() -> None:
    one, other = Sibling((Dot("t1", 1),), {"text": "satu"}), Sibling((Dot("t2", 1),), {"text": "dua"})
    registers = {"note": (one, other), "weight": (one,)}
    state = RecordState("measurement", MEASUREMENT, {}, VersionVector({}), registers)
    assert [state.value(name) for name in ("note", "weight", "muac")] == [None, one.value, None]
    assert state.conflicts == ("note",)


@pytest.mark.parametrize("status", ReceiptStatus)
def test_receipt_survives_the_wire(status: ReceiptStatus) -> None:
    reasons = ({"path": "set.weight.weight_g", "code": "out-of-range"},)
    items = (
        *(Item(n, outcome) for n, outcome in enumerate(Outcome, 3)),
        Item(9, Outcome.QUARANTINED, reasons),
    )
    receipt = Receipt("batch", status, 10, items)
    assert Receipt.from_wire(travelled(receipt.wire())) == receipt


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "child"),
        ("id", CHILD),
        ("key", {**MEASUREMENT_KEY, "source": "staff"}),
        ("context", {"t9": [1, "x" * TAG_LENGTH]}),
        ("set", weight(8201)),
        ("set", {**weight(8200), **length(700)}),
        ("author", "orang-lain"),
        ("recorded_at", "2026-03-05T02:00:01Z"),
        ("nonce", "BBBBBBBBBBBBBBBBBBBBBB"),
        ("app", "posyandu-sync/0.1.1"),
        ("schema", 2),
        ("unknown", None),
    ],
)
def test_hash_changes_when_a_field_changes(field: str, value: object) -> None:
    dot = Dot(TABLET, 1)
    before, after = make_wire(), make_wire(**{field: value})
    assert change_hash(dot, "", before) != change_hash(dot, "", after)


@pytest.mark.parametrize(
    ("dot", "previous"), [(Dot(TABLET, 2), ""), (Dot("t2", 1), ""), (Dot(TABLET, 1), "p")]
)
def test_hash_changes_when_the_place_in_the_chain_changes(dot: Dot, previous: str) -> None:
    assert change_hash(dot, previous, make_wire()) != change_hash(Dot(TABLET, 1), FIRST_PREVIOUS, make_wire())


@given(CHANGES)
def test_hash_is_verifiable_when_the_content_was_destroyed(change: Change) -> None:
    content = content_digest(change.wire())
    left = {name: value for name, value in change.wire().items() if name not in ("nonce", "set")}
    assert digest(header_of(change.dot, FIRST_PREVIOUS, left, content)) == change.hash


def test_header_holds_nothing_of_the_content() -> None:
    wire = make_wire(set={"note": {"text": "rahasia"}}, nonce="garam")
    header = canonical(header_of(Dot(TABLET, 1), "", wire, content_digest(wire))).decode()
    assert "rahasia" not in header
    assert "garam" not in header


def test_content_digest_differs_when_only_the_nonce_does() -> None:
    assert content_digest(make_wire(nonce="a")) != content_digest(make_wire(nonce="b"))


def test_change_hash_is_given_when_the_change_is_nonsense() -> None:
    assert len(change_hash(Dot(TABLET, 1), "", {"set": 0.5, "kind": ["?"]})) == 43


def test_tag_is_the_beginning_of_the_hash() -> None:
    change = make_change(counter=4)
    assert change.entry == Entry(4, change.hash[:TAG_LENGTH])
    assert change.tag == change.entry.tag


def test_chain_numbers_and_links_the_changes_of_a_batch() -> None:
    wires = [make_wire(nonce=str(n)) for n in range(3)]
    links = chain(TABLET, 5, "before", wires)
    assert [link.dot for link in links] == [Dot(TABLET, counter) for counter in (5, 6, 7)]
    assert [link.previous for link in links] == ["before", links[0].hash, links[1].hash]
    assert [link.hash for link in links] == [change_hash(x.dot, x.previous, x.wire) for x in links]
    assert [link.content for link in links] == [content_digest(wire) for wire in wires]


@given(st.integers(0, 4))
def test_chain_is_the_same_when_the_batch_is_split(cut: int) -> None:
    wires = [make_wire(nonce=str(n)) for n in range(4)]
    whole = chain(TABLET, 1, FIRST_PREVIOUS, wires)
    head = chain(TABLET, 1, FIRST_PREVIOUS, wires[:cut])
    assert head + chain(TABLET, cut + 1, head[-1].hash if head else FIRST_PREVIOUS, wires[cut:]) == whole


def test_chain_breaks_from_there_on_when_one_change_is_altered() -> None:
    wires = [make_wire(nonce=str(n)) for n in range(3)]
    altered = [wires[0], {**wires[1], **{"author": "orang-lain"}}, wires[2]]
    pairs = zip(chain(TABLET, 1, "", wires), chain(TABLET, 1, "", altered), strict=True)
    assert [one.hash == other.hash for one, other in pairs] == [True, False, False]


def test_measurement_has_one_id_when_two_tablets_make_it() -> None:
    ids = {
        measurement_id(CHILD, "2026-03-05", "cadre"),
        measurement_id(CHILD, "2026-03-05", "staff"),
        measurement_id(CHILD, "2026-03-06", "cadre"),
    }
    assert len(ids) == 3
    assert MEASUREMENT in ids


def test_follow_up_has_an_id_of_its_own_for_each_child_and_task() -> None:
    ids = {FOLLOW_UP, follow_up_id(CHILD, CHILD), follow_up_id(TASK, TASK), follow_up_id(TASK, CHILD)}
    assert len(ids) == 4
    assert id_of("follow_up", FOLLOW_UP_KEY) == FOLLOW_UP == "e5a57e57-cfbf-5160-b2cf-0806d4109b4b"


def test_id_is_made_of_the_parts_of_the_key_in_their_order() -> None:
    backwards = dict(reversed(MEASUREMENT_KEY.items()))
    assert id_of("measurement", backwards) == MEASUREMENT
    assert KEYS.keys() == REGISTERS.keys()


def test_hub_counts_per_record() -> None:
    assert hub_actor("r1") != hub_actor("r2")
