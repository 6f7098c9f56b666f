"""`make words`: bring every catalogue up to date with what code and templates ask for.

A message that is gone leaves its file. A new one, without a translation, goes to the file named after the package that asks
for it first; a test fails until somebody translates it. A message that is there stays in its file.
"""

import io
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

from schemas.catalogue import ENGLISH, languages
from tests._repository import ROOT

PYTHON: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("_", "N_", "translate")),
    "ngettext": (1, 2),
    "T_": {1: (1,), **dict.fromkeys((2, 3), (1, (2, "c")))},  # a comma at the end counts as one more
}
JAVASCRIPT: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("say", "later")),
    **dict.fromkeys(("sayIn", "laterIn"), ((1, "c"), 2)),
}
METHODS: Final = {".py": "python", ".html": "jinja2.ext:babel_extract", ".js": "javascript"}
OPTIONS: Final = {
    ".py": {},
    ".html": {"newstyle_gettext": "true", "silent": "false"},
    ".js": {"parse_template_string": "true"},
}

Key = tuple[str | None, str]
"""A message's context and its (singular) English text."""


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory with catalogues for each language, and the package whose sources ask for them by these functions.

    `endings`: of the sources. `file`: where new messages go; else to the file named after the package of the first source.
    """

    package: str
    path: str
    functions: Mapping[str, Any]
    endings: tuple[str, ...]
    file: str = ""

    def of(self, language: str) -> dict[Path, Catalog]:
        """Read the catalogues of a language, by file."""
        found = {}
        for path in sorted((ROOT / self.path / language).glob("*.po")):
            with path.open("rb") as file:
                found[path] = read_po(file, locale=language, abort_invalid=True)
        return found

    def languages(self) -> tuple[str, ...]:
        """Give the languages that have catalogues here, without English."""
        there = (ROOT / self.path).is_dir()
        return tuple(code for code in languages(ROOT / self.path) if code != ENGLISH) if there else ()

    def asked_for(self) -> dict[Key, tuple[Message, str]]:
        """Give what the sources ask for: each message and the path of the first source that does."""
        found: dict[Key, tuple[Message, str]] = {}
        for path in sorted((ROOT / self.package).rglob("*")):
            for message in self._in(path) if path.suffix in self.endings else ():
                if key_of(message) not in found or message.pluralizable:
                    found[key_of(message)] = message, str(path.relative_to(ROOT / self.package))
        return found

    def _in(self, path: Path) -> Iterator[Message]:
        source = path.read_bytes()
        if path.suffix != ".html" and not any(f"{name}(".encode() in source for name in self.functions):
            return  # reading a source word by word takes long
        method, options = METHODS[path.suffix], OPTIONS[path.suffix]
        for _, ids, _, context in extract(method, io.BytesIO(source), self.functions, options=options):
            yield Message(ids, context=context)


DIRECTORIES: Final = (
    Directory("schemas", "schemas/translations", PYTHON, (".py", ".html")),
    Directory("server", "server/translations", PYTHON, (".py", ".html")),
    Directory("server/tablet", "server/tablet/translations", JAVASCRIPT, (".js",), "tablet.po"),
)


def key_of(message: Message) -> Key:
    """Give what tells a message from others."""
    return message.context, message.id if isinstance(message.id, str) else message.id[0]


def messages_of(catalogue: Catalog) -> Iterator[Message]:
    """Give the messages of a catalogue, without its header."""
    return (message for message in catalogue if message.id)


def update(directory: Directory, language: str) -> list[str]:
    """Write the catalogues of a language anew; give what has no translation."""
    asked = directory.asked_for()
    files = directory.of(language)
    known: set[Key] = set()
    for catalogue in files.values():
        for message in list(messages_of(catalogue)):
            if key_of(message) in asked and key_of(message) not in known:
                known.add(key_of(message))
            else:
                catalogue.delete(message.id, context=message.context)
    for key in asked.keys() - known:
        message, source = asked[key]
        name = directory.file or f"{Path(source).parts[0].removesuffix('.py')}.po"
        path = ROOT / directory.path / language / name
        files.setdefault(path, Catalog(locale=language)).add(message.id, context=message.context)
    plural_forms = next(iter(files.values())).plural_forms
    for path, catalogue in files.items():
        write(path, catalogue, plural_forms)
    return [
        key_of(message)[1]
        for catalogue in files.values()
        for message in messages_of(catalogue)
        if not message.string
    ]


def write(path: Path, catalogue: Catalog, plural_forms: str) -> None:
    """Write a catalogue in one form: a short header, and each text in one line."""
    comment = catalogue.header_comment
    lines = [] if comment == Catalog(locale=catalogue.locale).header_comment else [comment]
    lines += ['msgid ""', 'msgstr ""', f'"Language: {catalogue.locale}\\n"']
    lines += ['"Content-Type: text/plain; charset=utf-8\\n"']
    lines += [f'"Plural-Forms: {plural_forms}\\n"', ""]
    body = io.BytesIO()
    write_po(body, catalogue, width=0, omit_header=True, ignore_obsolete=True)
    path.write_text("\n".join(lines) + "\n" + body.getvalue().decode().rstrip("\n") + "\n", encoding="utf-8")


def main() -> None:
    """Update every catalogue; end with 1 if a text has no translation."""
    missing = {
        f"{directory.path}/{language}: {text}"
        for directory in DIRECTORIES
        for language in directory.languages()
        for text in update(directory, language)
    }
    sys.exit("\n".join(["Not translated:", *sorted(missing)]) if missing else 0)


if __name__ == "__main__":
    main()
