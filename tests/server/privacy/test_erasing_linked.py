"""Erasing somebody who was registered several times: all that is linked goes, what was parted stays, and so do others."""

import pytest
from sqlalchemy import select

from server import privacy
from server.database.models import Child
from server.errors import Problem
from tests.server._district import District, FakeTablet
from tests.server.children._pairs import decide, open_pairs, persons, registered
from tests.server.privacy._planted import everything
from tests.server.privacy._requests import ailments, answer, ask, erased, seen, whole

NAMES = ("Bungarahasia", "Kenangatersembunyi", "Dahliaterpendam")


def mother_of(name: str) -> dict[str, str | None]:
    return {"mother": f"Ibu {name}", "father": None, "phone": None}


class Chain:
    """Three registrations, the outer two of one post and the middle of another, linked first to middle to last."""

    def __init__(self, district: District) -> None:
        self.district = district
        self.one, self.other = district.tablet(), district.tablet(1)
        self.tablets: list[FakeTablet] = [self.one, self.other]
        by = (self.one, self.other, self.one)
        self.first, self.middle, self.last = (
            registered(tablet, name, parents=mother_of(name)) for tablet, name in zip(by, NAMES, strict=True)
        )
        for child, tablet in zip(self.all, by, strict=True):
            tablet.measure(child, weight_g=9000)
            tablet.sync_until_quiet()
        decide(district, "link", self.last, self.middle)
        decide(district, "link", self.middle, self.first)
        assert len({persons(district)[child] for child in self.all}) == 1

    @property
    def all(self) -> tuple[str, str, str]:
        return self.first, self.middle, self.last

    def sync(self) -> None:
        for tablet in self.tablets:
            tablet.sync_until_quiet()

    def shown(self) -> set[str]:
        """Give the children whom the tablets show."""
        self.sync()
        return {ref[1] for tablet in self.tablets for ref in tablet.shown() if ref[0] == "child"}

    def left(self, *names: str) -> list[str]:
        """Tell where a name, or a word of it, still stands in the database or on a tablet."""
        stored = everything(self.district.hub.database.engine)
        found = [place for place, value in stored if any(name.encode() in value for name in names)]
        return found + [name for name in names for tablet in self.tablets if name in repr(tablet.replica)]

    def is_well(self) -> bool:
        return self.district.broken_log() == [] and ailments(self.district) == []


@pytest.fixture
def chain(installed: District) -> Chain:
    return Chain(installed)


def test_whole_chain_goes_from_either_end_and_who_only_looked_alike_stays(chain: Chain) -> None:
    district = chain.district
    alike = registered(chain.other, NAMES[0], parents=mother_of(NAMES[0]))
    chain.other.measure(alike, weight_g=9100)
    chain.sync()
    assert [pair for pair in open_pairs(district) if alike in pair] != []
    assert "possible_duplicate" in district.flags(alike)
    ask(district, chain.middle, "correction")
    ask(district, alike, "correction")
    erased(district, chain.first)
    assert chain.shown() == {alike}
    assert chain.left(NAMES[1], NAMES[2]) == []
    keys = {row.id: row.wrapped_key for row in district.rows(select(Child.id, Child.wrapped_key))}
    assert {child for child, key in keys.items() if key is None} == set(chain.all)
    assert persons(district) == {child: child for child in (*chain.all, alike)}
    assert open_pairs(district) == {}
    assert "possible_duplicate" not in district.flags(alike)
    assert chain.other.state(alike, "2026-03-05").registers
    with district.hub.database.reading() as session:
        (waiting,) = privacy.open_requests(session, district.hub, whole(district))
        (lapsed,) = privacy.of_child(session, district.hub, whole(district), chain.middle)
    assert waiting.child_id == alike
    assert (lapsed.status, lapsed.outcome, lapsed.words) == ("refused", "erased", None)
    assert chain.is_well()


def test_what_was_parted_before_stays_and_frees_the_others_of_its_hold(chain: Chain) -> None:
    district = chain.district
    chain.one.measure(chain.last, "2026-03-04", "staff", weight_g=9200)
    chain.one.sync_until_quiet()
    request = ask(district, chain.first, "erasure")
    with pytest.raises(Problem, match="retention-holds"):
        answer(district, request)
    decide(district, "unlink", chain.last, chain.middle)
    answer(district, request, "withdrawn")
    erased(district, chain.first)
    assert chain.shown() == {chain.last}
    assert chain.left(NAMES[0], NAMES[1]) == []
    assert seen(district, chain.last)
    assert [seen(district, child) for child in (chain.first, chain.middle)] == [False, False]
    assert (chain.one.state(chain.last, "2026-03-05").value("weight") or {}).get("weight_g") == 9000
    assert NAMES[2] in str(chain.one.state(chain.last).value("identity"))
    for what in ("link", "unlink"):
        with pytest.raises(Problem, match="record-unknown"):
            decide(district, what, chain.last, chain.middle)
    chain.one.measure(chain.last, "2026-03-01", weight_g=8900)
    chain.one.sync_until_quiet()
    assert chain.one.outcomes()[-1] == "applied"
    assert chain.is_well()


def test_link_to_who_was_erased_meanwhile_binds_nobody(chain: Chain) -> None:
    district = chain.district
    late = registered(chain.one, "Mawar Terlambat")
    chain.one.edit_child(late, same_as={"child": chain.last})
    rival = registered(chain.one, "Melati Pilihan")
    chain.sync()
    erased(district, chain.first)
    assert not seen(district, late)  # who was linked by then is the same person

    chain.one.edit_child(rival, same_as={"child": chain.middle})  # read before the tablet hears of it
    assert chain.shown() == {rival}
    assert persons(district)[rival] == rival
    assert seen(district, rival)
    chain.one.measure(rival, weight_g=7000)
    chain.sync()
    assert district.flags(rival)
    with pytest.raises(Problem, match="record-unknown"):
        decide(district, "link", rival, chain.first)
    assert chain.is_well()


def test_link_that_was_in_dispute_when_one_side_was_erased_can_be_settled(chain: Chain) -> None:
    """A child of whom two tablets say different things is nobody's until somebody decides, and is not erased with one."""
    district = chain.district
    torn, other = registered(chain.one, "Cempaka Bimbang"), registered(chain.one, "Seroja Lain")
    rival = district.tablet()
    chain.tablets.append(rival)
    rival.sync_until_quiet()
    chain.one.edit_child(torn, same_as={"child": chain.first})
    rival.edit_child(torn, same_as={"child": other})
    chain.sync()
    assert persons(district)[torn] == torn
    erased(district, chain.middle)
    assert chain.shown() == {torn, other}
    assert seen(district, torn)
    chain.one.edit_child(torn, same_as={"child": other})
    chain.sync()
    assert len({persons(district)[child] for child in (torn, other)}) == 1
    assert chain.is_well()
