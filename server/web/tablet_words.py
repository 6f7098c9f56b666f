"""The tablet app's texts as one file, made of its catalogues, `tablet/translations/<language>/tablet.po`. Pure.

The app's code has the English texts, by which the others are found. The file is an object of languages, each an object of
texts by their English. Where one English text has several meanings, its context and U+0004 stand before it, as in gettext.
"""

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

import orjson
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

__all__ = ["words_file"]

CATALOGUE: Final = "tablet.po"
AFTER_CONTEXT: Final = "\x04"


@cache
def words_file() -> bytes:
    """Make the file: compact JSON in UTF-8, the same bytes each time."""
    return packed(files("server") / "tablet" / "translations")


def packed(translations: Traversable) -> bytes:
    """Pack the catalogues of a directory that has one directory for each language."""
    languages = sorted(one.name for one in translations.iterdir() if (one / CATALOGUE).is_file())
    return orjson.dumps({code: _texts(translations / code / CATALOGUE, code) for code in languages})


def _texts(path: Traversable, code: str) -> dict[str, str]:
    with path.open("rb") as file:
        catalogue: Catalog = read_po(file, locale=code, abort_invalid=True)
    return {
        f"{one.context}{AFTER_CONTEXT}{one.id}" if one.context else str(one.id): str(one.string)
        for one in catalogue
        if one.id and one.string and not one.fuzzy
    }
