"""The fold and its rules, one case each; `test_histories.py` tries them on random ones."""

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given, strategies as st

from sync_protocol import (
    Change,
    Dot,
    Entry,
    History,
    Json,
    LocalProtocolError,
    Merge,
    Order,
    Outcome,
    VersionVector,
    covers,
    fold,
    hub_actor,
    order,
    outcome_of,
)
from tests.builders import MEASUREMENT, length, make_change, make_history, removal, vector_of, weight

HUB = hub_actor(MEASUREMENT)


def values(history: History, register: str) -> list[Json]:
    """Give the live values of a register."""
    return [sibling.value for sibling in fold(history).registers[register]]


def after(
    earlier: Change, actor: str, registers: Mapping[str, Json], counter: int = 1, *seen: Change
) -> Change:
    """Give a change whose author had seen `earlier` and `seen`."""
    return make_change(actor, counter, context=vector_of(earlier, *seen), registers=registers)


# -- one register -------------------------------------------------------------------------------------


def test_fold_keeps_the_later_value_when_its_author_had_seen_the_earlier() -> None:
    first = make_change("t1", registers=weight(8200))
    second = after(first, "t2", weight(8300))
    assert values(make_history(first, second), "weight") == [weight(8300)["weight"]]


def test_fold_keeps_both_siblings_when_contexts_are_concurrent() -> None:
    one, other = make_change("t1", registers=weight(8200)), make_change("t2", registers=weight(8300))
    state = fold(make_history(other, one))
    assert [sibling.dots for sibling in state.registers["weight"]] == [(one.dot,), (other.dot,)]
    assert state.conflicts == ("weight",)


def test_fold_merges_silently_when_concurrent_changes_touch_different_registers() -> None:
    state = fold(
        make_history(make_change("t1", registers=weight(8200)), make_change("t2", registers=length(700)))
    )
    assert state.conflicts == ()
    assert {name: state.value(name) for name in state.registers} == {**weight(8200), **length(700)}


def test_fold_collapses_equal_values_and_keeps_their_dots() -> None:
    changes = [make_change(actor, registers=weight(8200)) for actor in ("t2", "t1", "t3")]
    (sibling,) = fold(make_history(*changes)).registers["weight"]
    assert sibling.dots == (Dot("t1", 1), Dot("t2", 1), Dot("t3", 1))


def test_fold_replaces_only_the_register_that_a_later_change_sets() -> None:
    first = make_change("t1", registers={**weight(8200), **length(700)})
    state = fold(make_history(first, after(first, "t2", weight(8300))))
    assert state.value("length") == length(700)["length"]
    assert state.value("weight") == weight(8300)["weight"]


def test_fold_keeps_both_when_one_tablet_saved_two_forms_that_were_open_together() -> None:
    first, second = make_change("t1", 1, registers=weight(8200)), make_change("t1", 2, registers=weight(8300))
    assert len(values(make_history(first, second), "weight")) == 2


def test_settlement_removes_only_what_was_on_the_screen() -> None:
    one, other = make_change("t1", registers=weight(8200)), make_change("t2", registers=weight(8300))
    late = make_change("t3", registers=weight(8400))
    settled = after(one, HUB, weight(8250), 1, other)
    assert values(make_history(one, other, late, settled), "weight") == [
        weight(8250)["weight"],
        weight(8400)["weight"],
    ]


# -- what a context is worth --------------------------------------------------------------------------


def test_entry_covers_earlier_changes_of_its_actor_when_it_is_held() -> None:
    first = make_change("t1", 1, registers=weight(8200))
    second = make_change("t1", 2, registers=length(700), context=vector_of(first))
    later = after(second, "t2", weight(8300))
    assert values(make_history(first, second, later), "weight") == [weight(8300)["weight"]]


def test_entry_covers_nothing_when_the_number_is_held_with_another_tag() -> None:
    lost = make_change("t1", 1, registers=weight(8200))
    held = make_change("t1", 1, registers=weight(8500), nonce="another")
    later = after(lost, "t2", weight(8300))
    history = make_history(held, later)
    assert not covers(later, held, history.held())
    assert len(values(history, "weight")) == 2


def test_entry_covers_nothing_when_the_change_it_names_is_not_held() -> None:
    first, second = make_change("t1", 1, registers=weight(8200)), make_change("t1", 2, registers=weight(8300))
    later = after(second, "t2", weight(8400))
    assert len(values(make_history(first, later), "weight")) == 2


def test_quarantined_change_counts_as_held() -> None:
    first = make_change("t1", 1, registers=weight(8200))
    refused = make_change("t1", 2, registers=weight(99_999), context=vector_of(first))
    later = after(refused, "t2", weight(8300))
    history = make_history(first, later, quarantined=(refused,))
    assert values(history, "weight") == [weight(8300)["weight"]]
    assert not fold(history).incomplete


def test_released_copy_replaces_what_the_quarantined_original_had_seen() -> None:
    first = make_change("t1", registers=weight(8200))
    refused = after(first, "t2", weight(99_999))
    copy = make_change(HUB, context=refused.context, registers=weight(9_999))
    late = make_change("t3", registers=weight(8400))
    history = make_history(first, copy, late, quarantined=(refused,))
    assert values(history, "weight") == [weight(9_999)["weight"], weight(8400)["weight"]]


def test_record_is_incomplete_until_the_named_change_has_come() -> None:
    lost = make_change("t1", registers=weight(8200))
    later = after(lost, "t2", length(700))
    assert fold(make_history(later)).incomplete
    assert not fold(make_history(later, lost)).incomplete


def test_vector_names_the_newest_held_and_never_what_contexts_claim() -> None:
    first, second = make_change("t1", 1), make_change("t1", 2, registers=length(700))
    claim = VersionVector({"t9": Entry(5, "x" * 16), "t1": Entry(9, "y" * 16)})
    later = make_change("t2", context=claim)
    assert fold(make_history(second, later, first)).vector == vector_of(second, later)


# -- removing -----------------------------------------------------------------------------------------


def test_record_is_removed_when_the_remover_had_seen_everything() -> None:
    first = make_change("t1", registers=weight(8200))
    state = fold(make_history(first, after(first, "t2", removal())))
    assert (state.removed, state.removal_contested) == (True, False)


def test_removal_is_contested_when_an_edit_was_not_seen() -> None:
    first = make_change("t1", registers=weight(8200))
    edit = after(first, "t1", length(700), 2)
    state = fold(make_history(first, after(first, "t2", removal()), edit))
    assert (state.removed, state.removal_contested) == (False, True)


def test_record_stays_removed_when_only_a_replaced_change_was_not_seen() -> None:
    first = make_change("t1", registers=weight(8200))
    second = after(first, "t2", weight(8300))
    remover = after(second, "t3", removal())  # t3's server had lost the first
    assert fold(make_history(first, second, remover)).removed


def test_record_is_removed_when_two_removals_together_saw_everything() -> None:
    one, other = make_change("t1", registers=weight(8200)), make_change("t2", registers=length(700))
    state = fold(make_history(one, other, after(one, "t3", removal()), after(other, "t4", removal("ganda"))))
    assert state.removed
    assert state.conflicts == ("removed",)


def test_record_is_back_when_the_removal_is_taken_back() -> None:
    first = make_change("t1", registers=weight(8200))
    removed = after(first, "t2", removal())
    back = after(removed, "t1", removal(None), 2, first)
    state = fold(make_history(first, removed, back))
    assert (state.removed, state.removal_contested) == (False, False)


def test_removal_is_contested_when_another_took_it_back_unseen() -> None:
    first = make_change("t1", registers=weight(8200))
    gone = after(first, "t2", removal())
    again = after(gone, "t2", removal("ganda"), 2, first)
    back = after(gone, "t1", removal(None), 2, first)
    state = fold(make_history(first, gone, again, back))
    assert (state.removed, state.removal_contested) == (False, True)


def test_removal_is_contested_until_the_late_edit_was_seen_too() -> None:
    first = make_change("t1", registers=weight(8200))
    gone, edit = after(first, "t2", removal()), after(first, "t1", length(700), 2)
    final = after(edit, HUB, removal("ganda"), 1, gone)
    assert fold(make_history(first, gone, edit, final)).removed


# -- the set, and nothing else, decides ----------------------------------------------------------------


def small_world() -> tuple[Change, ...]:
    """Give five changes with each kind of relation among them."""
    first = make_change("t1", registers=weight(8200))
    one, other = after(first, "t2", weight(8300)), after(first, "t3", {**weight(8400), **length(700)})
    settled = after(one, HUB, weight(8350), 1, first, other)
    return first, one, other, settled, make_change("t4", registers={**weight(8350), **removal()})


def test_state_is_the_same_bytes_in_every_order_of_arrival() -> None:
    states = {fold(History(changes)).canonical() for changes in itertools.permutations(small_world())}
    assert len(states) == 1


@given(st.permutations(small_world()), st.integers(1, 5))
def test_state_is_the_same_bytes_when_folded_in_two_goes(changes: list[Change], cut: int) -> None:
    history = make_history(*changes[:cut])
    for change in changes[cut:]:
        history = history.with_change(change)
    assert fold(history).canonical() == fold(History(small_world())).canonical()


def test_fold_raises_when_there_is_nothing_to_fold() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        fold(make_history(quarantined=(make_change(),)))
    assert caught.value.code == "no-changes"


# -- four answers, and the outcomes --------------------------------------------------------------------


def test_order_of_changes_gives_each_of_four_answers() -> None:
    first, other = make_change("t1"), make_change("t3")
    second = after(first, "t2", weight(8300))
    held = make_history(first, second, other).held()
    pairs = [(first, first), (first, second), (second, first), (second, other)]
    answers = [order(one, two, held) for one, two in pairs]
    assert answers == [Order.EQUAL, Order.BEFORE, Order.AFTER, Order.CONCURRENT]


def test_order_is_concurrent_when_two_changes_claim_each_other() -> None:
    # No author can do this (a hash cannot name itself); made-up changes may, and must not loop or raise.
    claims = {name: VersionVector({name: Entry(1, name * 8)}) for name in ("t1", "t2")}
    one, other = make_change("t1", context=claims["t2"]), make_change("t2", context=claims["t1"])
    held = {one.dot: "t1" * 8, other.dot: "t2" * 8}
    assert order(one, other, held) is Order.CONCURRENT


FIRST = make_change("t1", registers=weight(8200))
SECOND = after(FIRST, "t2", weight(8300))
GONE = after(FIRST, "t2", removal())
BOTH = make_change("t3", registers={**weight(8400), **length(700)})
LOST = make_change("t8", registers=weight(8100))

OUTCOMES: Mapping[str, tuple[Outcome, Change, tuple[Change, ...]]] = {
    "the first of its record": (Outcome.APPLIED, FIRST, ()),
    "all before it was seen": (Outcome.APPLIED, SECOND, (FIRST,)),
    "an older edit of another register": (
        Outcome.MERGED,
        make_change("t3", registers=length(700)),
        (FIRST, SECOND),
    ),
    "concurrent, equal value": (Outcome.MERGED, make_change("t3", registers=weight(8200)), (FIRST,)),
    "concurrent, other value": (Outcome.CONFLICT, make_change("t3", registers=weight(8400)), (FIRST,)),
    "one register merged, one in conflict": (
        Outcome.CONFLICT,
        make_change("t3", registers={**weight(8400), **length(700)}),
        (FIRST,),
    ),
    "already overwritten": (Outcome.SUPERSEDED, FIRST, (SECOND,)),
    "one register overwritten, one live": (Outcome.APPLIED, BOTH, (after(BOTH, "t2", weight(8500)),)),
    "its context names what is not held": (Outcome.APPLIED, after(LOST, "t3", length(700)), ()),
    "an edit that the remover had not seen": (
        Outcome.CONFLICT,
        after(FIRST, "t1", length(700), 2),
        (FIRST, GONE),
    ),
    "a removal that misses an edit": (
        Outcome.CONFLICT,
        after(FIRST, "t3", removal("ganda")),
        (FIRST, after(FIRST, "t1", length(700), 2)),
    ),
    "a removal that saw everything": (Outcome.APPLIED, GONE, (FIRST,)),
}


@pytest.mark.parametrize("case", OUTCOMES)
def test_outcome_is_as_the_table_has_it(case: str) -> None:
    outcome, change, others = OUTCOMES[case]
    history = make_history(*others, change)
    assert outcome_of(change, history) is outcome
    assert Merge(history).outcome(change) is outcome


def test_every_outcome_of_a_merge_is_in_the_table() -> None:
    given_by_the_ledger = {Outcome.DUPLICATE, Outcome.QUARANTINED}  # test_exchange.py
    assert {outcome for outcome, _, _ in OUTCOMES.values()} == set(Outcome) - given_by_the_ledger
