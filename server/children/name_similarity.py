"""Whether two registrations may be of one child: names as Indonesians write them, dates, parents, numbers. Pure.

Rules kept here:
- One NIK is one person; two different ones are two. Else name, birth date, sex and a parent must all speak for it.
- Twins are never one child: born within a day of each other, with other places among their siblings. (Other names are not
  alike anyway.) So are two who were measured on one day by one tablet: the cadre had both before her.
- Precision goes before recall: a village has many a Siti Aisyah, and a list full of false pairs is not read.

Names are compared by RapidFuzz's `token_sort_ratio` of their normal forms: an edit distance in percent that does not mind
the order of words. `token_set_ratio` and `WRatio` were refused: they give (nearly) 100 as soon as one name's words are all
in the other, so Siti would be every Siti Aisyah; Jaro-Winkler rewards a common beginning, which here is Muhammad or Siti.
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
"""Birth dates further apart are not one child's, but for day and month swapped."""
CERTAIN: Final = 100
"""The score of one NIK; whatever rests on names stays below."""

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
"""What stands before the mother's name while a newborn has none: By. Ny. Contoh."""
_COMMON: Final = frozenset({"muhamad", "siti", "ahmad", "nur", "abdul"})
"""Parts that half a village bears: they tell nobody apart, and are left out beside another part."""
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
"""The spelling before 1972 and what is written either way: Soekarno, Djoko, Tjahaja, Aisjah."""


_PARTS: Final = re.compile("[a-z0-9]+")
_DOUBLED: Final = re.compile(r"(.)\1+")


@lru_cache(maxsize=4096)  # the names of a chunk of rows, which are asked for thrice
def words_of(name: str) -> tuple[str, ...]:
    """Give a name's parts in their normal form: no titles, no accents, today's spelling, double letters once."""
    plain = name.casefold()
    if not plain.isascii():
        parted = unicodedata.normalize("NFKD", plain)
        plain = "".join(letter for letter in parted if not unicodedata.combining(letter))
    return tuple([_normal(part) for part in _PARTS.findall(plain.replace("'", "")) if part not in _TITLES])


@lru_cache(maxsize=4096)  # children of a village bear each other's names
def _normal(part: str) -> str:
    for old, new in _SPELLING:
        part = part.replace(old, new)
    part = _DOUBLED.sub(r"\1", part)
    part = _SHORT.get(part, part)
    return part[:-1] if len(part) > 4 and part.endswith("ah") else part


def likeness(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Compare two names in their normal form.

    Returns
    -------
    int : percent; 85 for a short form (each of its parts is one of the other's), 0 where either is empty or their numbers
        differ (a nameless second child is Anak 2)
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


@lru_cache(maxsize=4096)  # a name is compared with everybody's near it
def _form(parts: tuple[str, ...]) -> tuple[list[str], str]:
    """Give a name's numbers, and what tells of it in order: what `token_sort_ratio` would make of it each time."""
    return sorted(part for part in parts if part.isdigit()), " ".join(sorted(_telling(parts)))


def _telling(parts: Collection[str]) -> list[str]:
    telling = [part for part in parts if part not in _COMMON]
    return telling or list(parts)


Values = Sequence[Mapping[str, Any]]
"""The live values of a register."""
_READ: Final = ("identity", "parents", "nik")


@dataclass(frozen=True)
class Registration:
    """What of a child's record tells who it is: of registers in conflict each live value.

    `identities` are (name, sex, birth date, place among siblings).
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
        """Read a child's record as it is stored (`RecordState.wire`): of each register the bare value, or siblings."""
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
                    for i in identity
                    for born_on, order in [(i.get("born_on"), i.get("birth_order"))]
                ]
            ),
            tuple([name for value in parents if (name := value.get("mother"))]),
            tuple([name for value in parents if (name := value.get("father"))]),
            frozenset([number for value in nik if (number := value.get("nik"))]),
        )

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
    """How much speaks for one child: a score to 100, and what of, in codes and whole percents, never values."""

    score: int
    why: Mapping[str, int]


def dates_near(one: date, other: date) -> int | None:
    """Give how well two birth dates agree, percent; None if they do not: 31 days, or day and month swapped."""
    days = abs((one - other).days)
    if days == 0:
        return 100
    if swapped(one) == other:
        return 90
    return 95 - days if days <= WINDOW_DAYS else None


def swapped(day: date) -> date | None:
    """Give a date with day and month changed over; None where there is no such date."""
    return date(day.year, day.day, day.month) if day.day <= 12 else None


def compare(one: Registration, other: Registration) -> Likeness | None:
    """Say whether two registrations may be of one child.

    Returns
    -------
    Likeness or None : None if nothing, or not enough, speaks for it, or something against it
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
"""How alike names must be: where no parent can be compared, on one day or one swapped, on days near each other."""
_PARENT_ENOUGH: Final = 85


def _parents_alike(one: Registration, other: Registration) -> int | None:
    """Compare mothers, else fathers; None where neither is known of both."""
    for mine, yours in zip(one.parents, other.parents, strict=True):
        if mine and yours:
            return max(starmap(likeness, product(mine, yours)))
    return None


def _names_alike(one: Registration, mine: int, other: Registration, yours: int, parent: int | None) -> int:
    """Compare names; a newborn's who has none yet (By. Ny. Contoh) is any name, if the mother is the same."""
    name, its_name = one.names[mine], other.names[yours]
    unnamed, its_unnamed = _mother_in(name), _mother_in(its_name)
    if unnamed is None and its_unnamed is None:
        return likeness(name, its_name)
    if unnamed is not None and its_unnamed is not None:
        return likeness(unnamed, its_unnamed) if unnamed and its_unnamed else 0
    mother = unnamed if unnamed is not None else its_unnamed
    mothers = (other if unnamed is not None else one).parents[0]
    told = max((likeness(mother or (), known) for known in mothers), default=0)
    return max(told, parent or 0)


def _mother_in(name: tuple[str, ...]) -> tuple[str, ...] | None:
    """Give the mother's name out of a newborn's; None if the child has a name of its own."""
    return name[1:] if name and name[0] in _UNNAMED else None
