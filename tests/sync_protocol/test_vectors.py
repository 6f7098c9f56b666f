"""Version vectors: the four answers, and the laws of a partial order."""

import pytest
from hypothesis import given, strategies as st

from sync_protocol import NOTHING_SEEN, Dot, Entry, Order, VersionVector

ENTRIES = st.builds(Entry, st.integers(1, 3), st.sampled_from(["x", "y"]))
VECTORS = st.builds(VersionVector, st.dictionaries(st.sampled_from("abc"), ENTRIES))
MIRROR = {
    Order.EQUAL: Order.EQUAL,
    Order.BEFORE: Order.AFTER,
    Order.AFTER: Order.BEFORE,
    Order.CONCURRENT: Order.CONCURRENT,
}


def vector(**entries: int) -> VersionVector:
    """Give a vector in which every tag is that of the one true history."""
    return VersionVector({actor: Entry(counter, f"tag{counter}") for actor, counter in entries.items()})


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [
        (vector(a=1), vector(a=1), Order.EQUAL),
        (NOTHING_SEEN, NOTHING_SEEN, Order.EQUAL),
        (NOTHING_SEEN, vector(a=1), Order.BEFORE),
        (vector(a=2), vector(a=1), Order.AFTER),
        (vector(a=2, b=1), vector(a=2, b=3, c=1), Order.BEFORE),
        (vector(a=2, b=1), vector(a=1, b=2), Order.CONCURRENT),
        (vector(a=1), vector(b=1), Order.CONCURRENT),
    ],
)
def test_order_gives_each_of_four_answers(one: VersionVector, other: VersionVector, answer: Order) -> None:
    assert one.order(other) is answer


def test_order_is_concurrent_when_one_number_has_two_tags() -> None:
    one, other = VersionVector({"a": Entry(7, "x")}), VersionVector({"a": Entry(7, "y")})
    assert one.order(other) is Order.CONCURRENT


@given(VECTORS)
def test_order_is_reflexive(one: VersionVector) -> None:
    assert one.order(VersionVector(dict(one.entries))) is Order.EQUAL


@given(VECTORS, VECTORS)
def test_order_is_mirrored_when_sides_are_swapped(one: VersionVector, other: VersionVector) -> None:
    assert one.order(other) is MIRROR[other.order(one)]


@given(VECTORS, VECTORS)
def test_order_is_equal_only_for_equal_vectors(one: VersionVector, other: VersionVector) -> None:
    assert (one.order(other) is Order.EQUAL) == (one == other)


@given(VECTORS, VECTORS, VECTORS)
def test_order_is_transitive(a: VersionVector, b: VersionVector, c: VersionVector) -> None:
    known = (Order.BEFORE, Order.EQUAL)
    if a.order(b) in known and b.order(c) in known:
        assert a.order(c) in known


@given(VECTORS, st.sampled_from("abcd"), ENTRIES)
def test_seeing_only_moves_forward(one: VersionVector, actor: str, entry: Entry) -> None:
    seen = one.seeing(actor, entry)
    assert seen.order(one) in (Order.AFTER, Order.EQUAL)
    assert seen.claims(Dot(actor, entry.counter))
    assert seen.seeing(actor, entry) is seen


def test_claims_covers_all_counters_up_to_the_entry() -> None:
    seen = vector(a=2)
    assert [seen.claims(Dot("a", counter)) for counter in (1, 2, 3)] == [True, True, False]
    assert not seen.claims(Dot("b", 1))


@given(VECTORS)
def test_vector_survives_the_wire(one: VersionVector) -> None:
    again = VersionVector.from_wire(one.wire())
    assert again == one
    assert {actor: again[actor] for actor in again} == dict(one.entries)
    assert len(again) == len(one.entries)
