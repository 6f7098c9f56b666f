"""Many children who are all alike: how many pairs are proposed, and that none is lost."""

from collections import Counter
from datetime import date
from itertools import combinations

import orjson
from hypothesis import given, strategies as st
from sqlalchemy import select

from server.children.likely_pairs import MORE, MOST_PAIRS, Pair, compared, most_alike
from server.children.name_similarity import Likeness, Registration
from server.database.models import DuplicatePair
from tests.server._district import District
from tests.server.children._pairs import decide, open_pairs

BORN = date(2025, 1, 10)
CROWD = 3 * MOST_PAIRS


def registration(child_id: str, name: str) -> Registration:
    return Registration(child_id, "post", ((name, "M", BORN, None),), ("Ibu Contoh",), (), frozenset())


def evidence(district: District) -> list[tuple[Pair, dict[str, int]]]:
    rows = district.rows(select(DuplicatePair.child_id, DuplicatePair.other_id, DuplicatePair.why))
    return [((row.child_id, row.other_id), orjson.loads(row.why)) for row in rows]


def test_a_crowd_of_namesakes_gets_a_bounded_number_of_pairs_and_is_told_of_more(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    children = [tablet.register_child(parents={"mother": "Ibu Contoh"}) for _ in range(CROWD)]
    tablet.sync_until_quiet()
    found = evidence(on_sqlite)
    pairs_of = Counter(child_id for pair, _ in found for child_id in pair)
    assert len(found) <= CROWD * MOST_PAIRS
    assert min(pairs_of[child_id] for child_id in children) >= MOST_PAIRS
    for pair, why in found:
        assert why[MORE] == CROWD - 1 - min(pairs_of[child_id] for child_id in pair)


def test_pairs_that_were_left_out_are_proposed_once_the_others_are_decided(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    children = [tablet.register_child(parents={"mother": "Ibu Contoh"}) for _ in range(CROWD)]
    tablet.sync_until_quiet()
    child, met = children[0], set[Pair]()
    while mine := [pair for pair in open_pairs(on_sqlite) if child in pair]:
        assert met.isdisjoint(mine)
        met.update(mine)
        for pair in mine:
            decide(on_sqlite, "different", *pair)
        tablet.measure(child, f"2026-01-{len(met) % 28 + 1:02}", weight_g=8000)
        tablet.sync_until_quiet()
    assert {child_id for pair in met for child_id in pair} == set(children)


def test_registrations_that_read_the_same_are_compared_once() -> None:
    known = {str(n): registration(str(n), "Anak Contoh" if n % 2 else "Anak Lain") for n in range(40)}
    pairs = [(one, other) for one, other in combinations(sorted(known), 2)]
    likely = compared(pairs, known)
    assert set(likely) == {(a, b) for a, b in pairs if int(a) % 2 == int(b) % 2}
    assert len({id(like) for like in likely.values()}) == 2


@given(st.data())
def test_the_most_alike_are_kept_and_the_rest_is_counted(data: st.DataObject) -> None:
    children = [f"{n:03}" for n in range(data.draw(st.integers(2, 40)))]
    scores = st.integers(50, 99)
    likely = {pair: Likeness(data.draw(scores), {"name": 90}) for pair in combinations(children, 2)}
    kept = most_alike(likely, (), children)
    for child_id in children:
        mine = [pair for pair in likely if child_id in pair]
        chosen = [pair for pair in mine if pair in kept]
        worst = min(kept[pair].score for pair in sorted(chosen, key=lambda p: -kept[p].score)[:MOST_PAIRS])
        assert all(likely[pair].score <= worst for pair in mine if pair not in kept)
        told = max(kept[pair].why.get(MORE, 0) for pair in chosen)
        assert told >= len(mine) - len(chosen)
