"""The tablet's question about a child who may be on the list already is the server's: both judge the same registrations."""

import random
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, Final

import pytest
from playwright.sync_api import Browser

from server.children.name_similarity import Registration, compare, likeness, words_of
from tests.tablet._modules import Modules

PARTS: Final = (
    *(
        "Muhammad",
        "Muh.",
        "M",
        "Moh",
        "Siti",
        "St",
        "Sitti",
        "Nur",
        "Noor",
        "Ahmad",
        "Akhmad",
        "Abd",
        "Abdul",
    ),
    *(
        "Aisyah",
        "Aisjah",
        "Asyiah",
        "Fauzi",
        "Fadli",
        "Djoko",
        "Joko",
        "Soesilo",
        "Susilo",
        "Tjahaja",
        "Cahaya",
    ),
    *(
        "Bunga",
        "Contoh",
        "Satu",
        "Satoe",
        "Kenanga",
        "Rina",
        "Rini",
        "Halimah",
        "Halima",
        "Rizqi",
        "Rizki",
        "2",
        "12",
    ),
    *(
        "By.",
        "Ny.",
        "Bayi",
        "An.",
        "Hj.",
        "Ibu",
        "Straße",
        "Éka",
        "Zoë",
        "ﬁtri",
        "İlham",
        "Nu'man",
        "Rahmaaah",
        "-",
    ),
)
NIKS: Final = ("6402061001250001", "6402061001250002", "3204174507240003")
LETTERS: Final = "abdhjkmnorstuy"
PAIRS: Final = 6_000


@pytest.fixture(scope="module")
def modules(browser: Browser) -> Iterator[Modules]:
    opened = Modules.opened(browser, "parts")
    yield opened
    opened.page.close()


def spoilt(chance: random.Random, name: str) -> str:
    """Give a name with a letter lost, doubled or exchanged, or with its words in another order."""
    at = chance.randrange(len(name)) if name else 0
    made = (
        name[:at] + name[at + 1 :],
        name[:at] + name[at : at + 1] * 2 + name[at + 1 :],
        name[:at] + chance.choice(LETTERS) + name[at + 1 :],
        " ".join(chance.sample(name.split(), len(name.split()))),
        name.upper(),
        name,
    )
    return chance.choice(made)


def name(chance: random.Random) -> str:
    return " ".join(chance.choices(PARTS, k=chance.choice((1, 2, 2, 3))))


def identity(chance: random.Random) -> dict[str, Any]:
    born_on = date(2025, 1, 1) + timedelta(days=chance.randrange(400))
    return {
        "name": name(chance),
        "sex": chance.choice(("M", "F", None)),
        "born_on": chance.choice((born_on.isoformat(),) * 9 + (None,)),
        "birth_order": chance.choice((None, None, 1, 2)),
    }


def registers(chance: random.Random) -> dict[str, list[dict[str, Any]]]:
    """Give the live values of a child's registers, of which some are in conflict or were never set."""
    parents = {
        "mother": chance.choice((name(chance), name(chance), None)),
        "father": chance.choice((name(chance), None)),
    }
    nik = [{"nik": chance.choice((*NIKS, None))}] if chance.random() < 0.2 else []
    identities = [identity(chance) for _ in range(chance.choice((1, 1, 1, 1, 2, 20, 0)))]
    return {"identity": identities, "parents": [parents] * chance.choice((0, 1, 1, 1)), "nik": nik}


def alike(chance: random.Random, one: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Give another registration of much the same child."""

    def moved(day: str | None) -> str | None:
        if day is None:
            return None
        on = date.fromisoformat(day)
        swapped = date(on.year, on.day, on.month) if on.day <= 12 else on
        days = chance.choice((0, 0, 1, 5, 6, 15, 31, 32))
        return chance.choice((swapped, on, on, on + timedelta(days=days))).isoformat()

    changed = {register: [dict(value) for value in values] for register, values in one.items()}
    for value in changed["identity"]:
        value |= {"name": spoilt(chance, value["name"]), "born_on": moved(value["born_on"])}
        value["sex"] = chance.choice((value["sex"], value["sex"], None, "M"))
        value["birth_order"] = chance.choice((value["birth_order"], None, 2))
    for value in changed["parents"]:
        value |= {parent: spoilt(chance, known) for parent, known in value.items() if known}
    if chance.random() < 0.1:
        changed["identity"].append({**identity(chance), "name": f"By. Ny. {name(chance)}"})
    return changed


def by_server(one: dict[str, list[dict[str, Any]]], other: dict[str, list[dict[str, Any]]]) -> Any:
    def read(live: dict[str, list[dict[str, Any]]]) -> Registration:
        wire = {"set": {name: [{"value": value} for value in values] for name, values in live.items()}}
        return Registration.stored("child", "post", wire)

    like = compare(read(one), read(other))
    return like and {"score": like.score, "why": dict(like.why)}


def test_tablet_and_server_judge_the_same_pairs_alike(modules: Modules) -> None:
    chance = random.Random(17)
    pairs = []
    for _ in range(PAIRS):
        one = registers(chance)
        pairs.append([one, registers(chance) if chance.random() < 0.2 else alike(chance, one)])
    expression = """given.map((pair) => {
        const [one, other] = pair.map(({ identity, parents, nik }) => name_similarity.registration(identity, parents, nik));
        return name_similarity.compare(one, other);
    })"""
    found = modules.call(expression, pairs)
    expected = [by_server(one, other) for one, other in pairs]
    assert found == expected
    asked = sum(like is not None for like in expected)
    assert PAIRS * 0.1 < asked < PAIRS * 0.9  # neither answer is rare


def test_tablet_and_server_read_names_alike(modules: Modules) -> None:
    chance = random.Random(18)
    names = [spoilt(chance, name(chance)) for _ in range(2_000)]
    words = modules.call("given.map(name_similarity.wordsOf)", names)
    assert words == [list(words_of(one)) for one in names]
    pairs = list(pairwise(words))
    alike = modules.call("given.map(([one, other]) => name_similarity.likeness(one, other))", pairs)
    assert alike == [likeness(tuple(one), tuple(other)) for one, other in pairs]


def test_published_state_of_a_child_is_read_with_its_conflicts(modules: Modules) -> None:
    one = {"name": "Bunga Contoh", "sex": "F", "born_on": "2025-01-10", "birth_order": None}
    sides = [{"dots": [["a", 1]], "value": one}, {"dots": [["b", 1]], "value": {**one, "name": "Kenanga"}}]
    state = {
        "vector": {},
        "set": {"identity": sides, "parents": {"mother": "Ibu Melati", "father": None, "phone": None}},
    }
    found = modules.call("name_similarity.registrationOf(given)", state)
    assert found["names"] == [["bunga", "contoh"], ["kenanga"]]
    assert (found["mothers"], found["fathers"], found["niks"]) == ([["melati"]], [], [])
