"""Texts for people: English in the code, other languages in catalogues, `<directory>/<language>/*.po`.

Hides how catalogues are read: as they are, when first asked for, without compiling. Where a catalogue lacks a text, it is
English; a test fails then. docs/adr/0028 says why so.
"""

import gettext
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

ENGLISH: Final = "en"


@cache
def languages(directory: Path) -> tuple[str, ...]:
    """Return the codes of the languages that have catalogues in a directory, and English last."""
    found = sorted(path.name for path in directory.iterdir() if any(path.glob("*.po")))
    return (*found, ENGLISH)


@cache
def translations(directory: Path, language: str) -> gettext.NullTranslations:
    """Read all catalogues of a language as one; of English or an unknown language there are none."""
    paths = sorted((directory / language).glob("*.po"))
    if not paths:
        return gettext.NullTranslations()
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    whole, *others = (read_po(io.BytesIO(path.read_bytes()), locale=language) for path in paths)
    for message in (message for other in others for message in other if message.id):
        whole.add(message.id, message.string, context=message.context)
    compiled = io.BytesIO()
    write_mo(compiled, whole)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


@dataclass(frozen=True, slots=True)
class Text:
    """A text in every language: `message` is the English one, `context` tells apart what English does not.

    Unpacking gives Indonesian and English, the languages of the protocol.
    """

    message: str
    directory: Path
    context: str | None = None
    positional: tuple[object, ...] = ()
    named: Mapping[str, object] = field(default_factory=dict)

    def in_(self, language: str) -> str:
        """Return the text in a language, filled in; values that are texts too are in the same language."""
        text = _translated(self.message, self.context, self.directory, language)
        if not self.positional and not self.named:
            return text
        positional = [_in_language(value, language) for value in self.positional]
        return text.format(
            *positional, **{name: _in_language(value, language) for name, value in self.named.items()}
        )

    def format(self, *positional: object, **named: object) -> "Text":
        """Return the text with values, or more of them, for its placeholders `{0}` or `{name}`."""
        positional, named = positional or self.positional, {**self.named, **named}
        return Text(self.message, self.directory, self.context, positional, named)

    @property
    def id(self) -> str:
        """The Indonesian text."""
        return self.in_("id")

    @property
    def en(self) -> str:
        """The English text."""
        return self.in_(ENGLISH)

    def __iter__(self) -> Iterator[str]:
        """Give the Indonesian and the English text."""
        yield self.id
        yield self.en

    def wire(self) -> dict[str, str]:
        """Write it as it is sent in answers."""
        return {"id": self.id, "en": self.en}

    def both(self) -> str:
        """Return the Indonesian and the English text in one line, for terminals."""
        return f"{self.id} / {self.en}"


@cache
def _translated(message: str, context: str | None, directory: Path, language: str) -> str:
    """Translate; cached, since a batch may be refused for thousands of reasons."""
    known = translations(directory, language)
    return known.pgettext(context, message) if context else known.gettext(message)


def _in_language(value: object, language: str) -> Any:
    return value.in_(language) if isinstance(value, Text) else value


def texts(directory: Path) -> Callable[..., Text]:
    """Return the function T_ of a package: it makes a `Text` of an English message and, if need be, its context."""

    def make(message: str, context: str | None = None) -> Text:
        return Text(message, directory, context)

    return make


T_: Final = texts(Path(__file__).parent / "translations")
"""The texts of this package."""
