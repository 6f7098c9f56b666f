"""Whether two registrations may be of one child: by NIK, or by name, birth date, sex and parents. Pure.

- If both have a NIK, the NIK alone decides. Otherwise name, birth date and sex must agree, and a parent's name where known.
- Twins are never one child: born within a day of each other, with different birth orders.
- Precision comes before recall: many children of a village are called Siti Aisyah, and nobody reads a list full of false
  pairs.

`sync.duplicate_search` chooses which pairs to compare; it also leaves out children measured on one day by one tablet.

Names are normalised (titles, accents, spelling), then compared as by RapidFuzz's `token_sort_ratio`: an edit distance in
percent that ignores the order of words. Not used: `token_set_ratio` and `WRatio`, which give (nearly) 100 when all words of
one name occur in the other, so Siti would equal every Siti Aisyah; and Jaro-Winkler, which favours a common beginning, here
Muhammad or Siti.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from itertools import product, starmap
from typing import Any, Final

from rapidfuzz.fuzz import ratio

from sync_protocol import RecordState

WINDOW_DAYS: Final = 31
"""Birth dates further apart than this do not agree, unless day and month are swapped."""
CERTAIN: Final = 100
"""The score of an equal NIK; a score based on names is always lower."""

_TITLES: Final = frozenset(
    (
        "an",
        "anak",
        "bapak",
        "bpk",
        "bu",
        "h",
        "haji",
        "hajjah",
        "hj",
        "ibu",
        "nn",
        "nona",
        "ny",
        "nyonya",
        "pak",
        "tn",
        "tuan",
    )
)
_UNNAMED: Final = frozenset({"by", "bayi", "baby"})
"""Written before the mother's name while a newborn has no name: By. Ny. Contoh."""
_COMMON: Final = frozenset({"muhamad", "siti", "ahmad", "nur", "abdul"})
"""Parts too common to distinguish anybody: left out if the name has another part."""
_SHORT: Final = {
    **dict.fromkeys(
        ("m", "muh", "moh", "mhd", "mohd", "muhd", "md", "mohamad", "muhamat", "mohamat"), "muhamad"
    ),
    **dict.fromkeys(("mochamad", "muchamad", "mokhamad", "mukhamad", "mochammad", "moch", "much"), "muhamad"),
    **dict.fromkeys(("st", "sity", "sitti"), "siti"),
    **dict.fromkeys(("abd", "abdl"), "abdul"),
    **dict.fromkeys(("nor", "nuur"), "nur"),
    **dict.fromkeys(("achmad", "akhmad", "ahmat", "akmad"), "ahmad"),
}
_SPELLING: Final = (
    ("oe", "u"),
    ("dj", "j"),
    ("tj", "c"),
    ("sj", "sy"),
    ("sy", "s"),
    ("nj", "ny"),
    ("kh", "h"),
    ("q", "k"),
)
"""Spelling from before 1972, and sounds written in two ways: Soekarno, Djoko, Tjahaja, Aisjah."""


_PARTS: Final = re.compile("[a-z0-9]+")
_DOUBLED: Final = re.compile(r"(.)\1+")


@lru_cache(maxsize=4096)  # holds the names of a chunk of rows, each of which is needed three times
def words_of(name: str) -> tuple[str, ...]:
    """Return the normalised parts of a name: no titles, no accents, present spelling, no double letters."""
    plain = name.casefold()
    if not plain.isascii():
        parted = unicodedata.normalize("NFKD", plain)
        plain = "".join(letter for letter in parted if not unicodedata.combining(letter))
    return tuple([_normal(part) for part in _PARTS.findall(plain.replace("'", "")) if part not in _TITLES])


@lru_cache(maxsize=4096)  # the same parts occur in many names of a village
def _normal(part: str) -> str:
    for old, new in _SPELLING:
        part = part.replace(old, new)
    part = _DOUBLED.sub(r"\1", part)
    part = _SHORT.get(part, part)
    return part[:-1] if len(part) > 4 and part.endswith("ah") else part


def likeness(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Compare two normalised names.

    Returns
    -------
    int : percent; at least 85 if each part of the shorter name is like one of the other's; 0 if either is empty, or if both
        have numbers and they differ (an unnamed second child is called Anak 2)
    """
    if not one or not other:
        return 0
    (numbers, text), (its_numbers, its_text) = _form(one), _form(other)
    if numbers and its_numbers and numbers != its_numbers:
        return 0
    alike = round(ratio(text, its_text))
    if len(one) == len(other):
        return alike
    short, long = sorted((one, other), key=len)
    left_out = all(any(ratio(s, w) >= 85 for w in long) for s in short)
    return max(alike, 85 if left_out else 0)


@lru_cache(maxsize=4096)  # each name is compared with many
def _form(parts: tuple[str, ...]) -> tuple[list[str], str]:
    """Return a name's numbers, and its distinctive parts sorted: `token_sort_ratio` would sort them again each time."""
    return sorted(part for part in parts if part.isdigit()), " ".join(sorted(_distinctive(parts)))


def _distinctive(parts: Collection[str]) -> list[str]:
    distinctive = [part for part in parts if part not in _COMMON]
    return distinctive or list(parts)


Values = Sequence[Mapping[str, Any]]
"""The live values of a register."""
_READ: Final = ("identity", "parents", "nik")
MOST_VALUES: Final = 16
"""Live values of one register that are compared. A record with more is in conflict, and is compared again once a person has
settled that."""


@dataclass(frozen=True)
class Registration:
    """The parts of a child's record that identify it; of registers in conflict MOST_VALUES live values.

    `identities`: (name, sex, birth date, birth order).
    """

    child_id: str
    post_id: str
    identities: tuple[tuple[str, str | None, date | None, int | None], ...]
    mothers: tuple[str, ...]
    fathers: tuple[str, ...]
    niks: frozenset[str]

    @classmethod
    def of(cls, post_id: str, state: RecordState) -> "Registration":
        """Read a child's record."""
        live = {name: [s.value for s in state.registers.get(name, ())] for name in _READ}
        return cls._read(state.record_id, post_id, **live)

    @classmethod
    def stored(cls, child_id: str, post_id: str, wire: Mapping[str, Any]) -> "Registration":
        """Read a child's stored record (`RecordState.wire`): a register holds one value, or a list of siblings."""
        live = {}
        for name in _READ:
            held = wire["set"].get(name, ())
            live[name] = [held] if isinstance(held, Mapping) else [sibling["value"] for sibling in held]
        return cls._read(child_id, post_id, **live)

    @classmethod
    def _read(
        cls, child_id: str, post_id: str, *, identity: Values, parents: Values, nik: Values
    ) -> "Registration":
        return cls(
            child_id,
            post_id,
            tuple(
                [
                    (i["name"], i.get("sex"), date.fromisoformat(born_on) if born_on else None, order)
                    for i in identity[:MOST_VALUES]
                    for born_on, order in [(i.get("born_on"), i.get("birth_order"))]
                ]
            ),
            tuple([name for value in parents[:MOST_VALUES] if (name := value.get("mother"))]),
            tuple([name for value in parents[:MOST_VALUES] if (name := value.get("father"))]),
            frozenset([number for value in nik if (number := value.get("nik"))]),
        )

    @property
    def content(self) -> tuple[object, ...]:
        """Return all that `compare` reads."""
        return self.identities, self.mothers, self.fathers, self.niks

    @cached_property
    def names(self) -> list[tuple[str, ...]]:
        return [words_of(name) for name, *_ in self.identities]

    @cached_property
    def parents(self) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
        return [words_of(name) for name in self.mothers], [words_of(name) for name in self.fathers]

    @cached_property
    def born(self) -> set[date]:
        return {born_on for _, _, born_on, _ in self.identities if born_on}


@dataclass(frozen=True, slots=True)
class Likeness:
    """How likely two registrations are one child: a score up to 100, and the evidence in codes and percents, not values."""

    score: int
    why: Mapping[str, int]


def dates_near(one: date, other: date) -> int | None:
    """Return how well two birth dates agree, percent; None if they are over WINDOW_DAYS apart and not swapped."""
    days = abs((one - other).days)
    if days == 0:
        return 100
    if swapped(one) == other:
        return 90
    return 95 - days if days <= WINDOW_DAYS else None


def swapped(day: date) -> date | None:
    """Return a date with day and month swapped; None if there is no such date."""
    return date(day.year, day.day, day.month) if day.day <= 12 else None


def compare(one: Registration, other: Registration) -> Likeness | None:
    """Compare two registrations, each live identity with each.

    Returns
    -------
    Likeness or None : the best match; None if there is not enough evidence, or some against it
    """
    if one.niks and other.niks:
        return None if one.niks.isdisjoint(other.niks) else Likeness(CERTAIN, {"nik": 100})
    best: Likeness | None = None
    for mine in range(len(one.identities)):
        for yours in range(len(other.identities)):
            like = _alike(one, mine, other, yours)
            if like and (best is None or like.score > best.score):
                best = like
    return best


def _alike(one: Registration, mine: int, other: Registration, yours: int) -> Likeness | None:
    (_, sex, born_on, order), (_, its_sex, its_born_on, its_order) = (
        one.identities[mine],
        other.identities[yours],
    )
    if (sex and its_sex and sex != its_sex) or not born_on or not its_born_on:
        return None
    near = dates_near(born_on, its_born_on)
    if near is None:
        return None
    if order and its_order and order != its_order and abs((born_on - its_born_on).days) <= 1:
        return None  # twins
    parent = _parents_alike(one, other)
    if near < 100 if parent is None else parent < _PARENT_ENOUGH:
        return None
    name = _names_alike(one, mine, other, yours, parent)
    if name < _ENOUGH["unknown" if parent is None else "exact" if near >= 90 else "near"]:
        return None
    why = {"name": name, "born_on": near} | ({} if parent is None else {"parent": parent})
    score = round(0.45 * name + 0.35 * (60 if parent is None else parent) + 0.2 * near)
    return Likeness(min(score, CERTAIN - 1), why)


_ENOUGH: Final = {"unknown": 92, "exact": 80, "near": 90}
"""Least likeness of names, percent: `unknown` where no parent can be compared, `exact` for the same or a swapped birth date,
`near` for close ones."""
_PARENT_ENOUGH: Final = 85


def _parents_alike(one: Registration, other: Registration) -> int | None:
    """Compare the mothers, or if one is unknown the fathers; None if neither is known on both sides."""
    for mine, yours in zip(one.parents, other.parents, strict=True):
        if mine and yours:
            return max(starmap(likeness, product(mine, yours)))
    return None


def _names_alike(one: Registration, mine: int, other: Registration, yours: int, parent: int | None) -> int:
    """Compare the children's names. A newborn without a name (By. Ny. Contoh) matches any name if the mother is the same."""
    name, its_name = one.names[mine], other.names[yours]
    unnamed, its_unnamed = _mother_in(name), _mother_in(its_name)
    if unnamed is None and its_unnamed is None:
        return likeness(name, its_name)
    if unnamed is not None and its_unnamed is not None:
        return likeness(unnamed, its_unnamed) if unnamed and its_unnamed else 0
    mother = unnamed if unnamed is not None else its_unnamed
    mothers = (other if unnamed is not None else one).parents[0]
    by_mother = max((likeness(mother or (), known) for known in mothers), default=0)
    return max(by_mother, parent or 0)


def _mother_in(name: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the mother's name from a newborn's provisional name; None if the child has its own name."""
    return name[1:] if name and name[0] in _UNNAMED else None
