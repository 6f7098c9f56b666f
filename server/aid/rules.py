"""What a row of a CSR sheet is about, and which menu helps which need: rules read from a file, so that people can read and
change them, and see which rule decided. Pure except for reading the file once."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from schemas.records import MENUS
from server.aid.words import CATEGORIES, NEEDS

SHIPPED: Final = Path(__file__).parent / "rules.toml"
NO_RULE: Final = "none"


@dataclass(frozen=True, slots=True)
class AidRule:
    """One rule: the category and menu of a row that has one of its words."""

    id: str
    category: str
    menu: str
    words: Sequence[str]
    found: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Class:
    """The category and menu of a row: `by` is the rule that decided, `word` the word that it found."""

    category: str
    menu: str
    by: str
    word: str


@dataclass(frozen=True, slots=True)
class AidRules:
    """All rules in order, and the menus that help each need, the best first."""

    version: str
    rules: Sequence[AidRule]
    fits: Mapping[str, Sequence[str]]

    def classify(self, *texts: str) -> Class:
        """Classify texts by the first rule that fits; if none does, they are `other`, by NO_RULE."""
        text = " " + " ".join(" ".join(texts).casefold().split())
        for rule in self.rules:
            if found := rule.found.search(text):
                return Class(rule.category, rule.menu, rule.id, found[1])
        return Class("other", "other", NO_RULE, "")


@cache
def rules(path: Path = SHIPPED) -> AidRules:
    """Read the rules.

    Raises
    ------
    ValueError
        The file cannot be used; the message says what is wrong and where.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        made = [
            AidRule(r["id"], r["category"], r["menu"], tuple(r["words"]), _any_of(r["words"]))
            for r in raw["rule"]
        ]
        found = AidRules(str(raw["version"]), tuple(made), {need: tuple(raw["fits"][need]) for need in NEEDS})
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"the rules {path} are not TOML: {error}") from error
    except KeyError as error:
        raise ValueError(
            f"the rules {path} lack {error.args[0]!r}: compare them with {SHIPPED.name}"
        ) from error
    for rule in made:
        if rule.category not in CATEGORIES or rule.menu not in MENUS:
            raise ValueError(f"rule {rule.id!r} of {path}: no such category or menu")
    return found


def _any_of(words: Sequence[str]) -> re.Pattern[str]:
    """Match any of some words at the start of a word."""
    return re.compile(r"(?<![a-z])(" + "|".join(re.escape(word.casefold()) for word in words) + ")")
