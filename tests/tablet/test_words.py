"""The tablet app's words: every text of the code is in every catalogue, and nothing else; no text stands in code twice.

Calls of `say`, `later` and the like are read from the sources; `make words` extracts the same from them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from playwright.sync_api import Browser

from server.web.tablet_words import packed, words_file
from tests.tablet._modules import TABLET, Modules

KEYWORDS: Final = {
    "say": None,
    "later": None,
    "sayIn": ((1, "c"), 2),
    "laterIn": ((1, "c"), 2),
}
"""Functions that take an English text; with `In` a context before it."""
OPTIONS: Final = {"**.js": {"parse_template_string": "true"}}
FORWARDED: Final = {"words/words.js": ("text, values)", "context, text, values)")}
"""The definitions of `say` and `sayIn` pass on what they were given."""
IN_TWO_LANGUAGES: Final = {
    "index.html": [
        "Aplikasi sedang diunduh, sekali saja. / The app is being downloaded, once only.",
        "Aplikasi ini memerlukan JavaScript. / This app needs JavaScript.",
    ],
    "first_load.js": [
        "Aplikasi sedang diunduh, sekali saja. / The app is being downloaded, once only.",
        "Menunggu sambungan. Unduhan lanjut sendiri. / Waiting for a connection. The download goes on by itself.",
    ],
    "main.js": [
        "Aplikasi sudah terbuka di jendela lain. / The app is open in another window.",
        "Aplikasi tidak dapat dibuka. Tutup lalu buka lagi. / The app cannot open. Close it and open it again.",
    ],
}
"""Fixed sentences, for they are shown where no words are loaded; the pages also have a paragraph in each language."""
NUMBERS: Final = "growth/number_text.js"
"""Writes numbers in both ways: no texts."""

COMMENT: Final = re.compile(r"/\*.*?\*/|^\s*//[^\n]*", re.DOTALL | re.MULTILINE)
CALL: Final = re.compile(r"(?<![\w.])(?:say|later)(In)?\(\s*")
STRING: Final = re.compile(r'"((?:[^"\\\n]|\\.)*)"\s*,?\s*')
VALUES: Final = re.compile(r"\{([^{}]*)\}\s*,?\s*\)")
KEY: Final = re.compile(r"(?:^|,)\s*(\w+)\s*(?=[:,]|$)")
PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
PAIR: Final = re.compile(r"\bid: *([\"'`]).*?\1,\s*en: *[\"'`]", re.DOTALL)
TWO_LANGUAGES: Final = re.compile(r'[">]([^">\n]*\. / [^"<\n]*)[<"]')

Key = tuple[str | None, str]
"""A text's context and its English."""


@dataclass(frozen=True, slots=True)
class Call:
    """A text that the code says: what is asked of the catalogues, and what is wrong with the call."""

    key: Key
    fault: str = ""


def sources(directory: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(directory.rglob("*.js")):
        yield path.relative_to(directory).as_posix(), COMMENT.sub("", path.read_text("utf-8"))


def calls(name: str, source: str) -> Iterator[Call]:
    for start in CALL.finditer(source):
        if source.startswith(FORWARDED.get(name, ()), start.end()):
            continue
        at, given = start.end(), []
        while (literal := STRING.match(source, at)) is not None:
            given.append(str(orjson.loads(f'"{literal[1]}"')))
            at = literal.end()
        if len(given) != (2 if start[1] else 1):
            yield Call((None, ""), f"{name}: {source[start.start() : at + 20]!r}: not one text")
            continue
        values = VALUES.match(source, at)
        keys = set(KEY.findall(values[1].strip())) if values else set()
        fits = keys == set(PLACEHOLDER.findall(given[-1])) and (values or source[at] == ")")
        context = given[0] if start[1] else None
        yield Call((context, given[-1]), "" if fits else f"{name}: {given[-1]!r}: other values")


def extracted(directory: Path) -> set[Key]:
    found = extract_from_dir(
        str(directory), [("**.js", "javascript")], options_map=OPTIONS, keywords=KEYWORDS
    )
    return {(context, text if isinstance(text, str) else text[0]) for _, _, text, _, context in found}


def catalogues(directory: Path) -> Iterator[tuple[str, Catalog]]:
    for path in sorted(directory.glob("translations/*/tablet.po")):
        with path.open("rb") as file:
            yield path.parent.name, read_po(file, locale=path.parent.name, abort_invalid=True)


def faults(directory: Path) -> list[str]:
    """List what is wrong with the words of the sources and catalogues in a directory."""
    said = [call for name, source in sources(directory) for call in calls(name, source)]
    found = [call.fault for call in said if call.fault]
    asked = {call.key for call in said if call.key[1]}
    found += [f"not extracted: {key}" for key in asked ^ extracted(directory)]
    for name, source in sources(directory):
        found += [
            f"{name}: a text in two languages: {pair[0]}" for pair in PAIR.finditer(source) if name != NUMBERS
        ]
    for language, catalogue in catalogues(directory):
        known = {(one.context, str(one.id)): one for one in catalogue if one.id}
        found += [f"{language}: not asked for: {key}" for key in known.keys() - asked]
        found += [f"{language}: missing: {key}" for key in asked - known.keys()]
        for key, one in known.items():
            text = str(one.string)
            same = set(PLACEHOLDER.findall(key[1])) == set(PLACEHOLDER.findall(text))
            if not text or one.fuzzy or not same:
                found.append(f"{language}: not translated: {key}")
    return found


def test_every_text_is_translated_and_every_translation_is_used() -> None:
    assert faults(TABLET) == []
    assert [language for language, _ in catalogues(TABLET)] == ["id"]
    assert len(list(extracted(TABLET))) > 400


def test_sentences_in_two_languages_are_those_shown_before_words_are_there() -> None:
    found = {name: TWO_LANGUAGES.findall(source) for name, source in sources(TABLET)}
    found["index.html"] = TWO_LANGUAGES.findall((TABLET / "index.html").read_text("utf-8"))
    assert {name: texts for name, texts in found.items() if texts} == IN_TWO_LANGUAGES


HEAD: Final = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'
SOUND: Final = (
    'say("Save {count}", { count: all.length });',
    'msgid "Save {count}"\nmsgstr "Simpan {count}"\n',
)


@pytest.mark.parametrize(
    ("code", "catalogue", "fault"),
    [
        (*SOUND, ""),
        ('sayIn("list", "All");', 'msgctxt "list"\nmsgid "All"\nmsgstr "Semua"\n', ""),
        ('const a = `${later("All")}`;', 'msgid "All"\nmsgstr "Semua"\n', ""),
        (SOUND[0], "", "id: missing: (None, 'Save {count}')"),
        (SOUND[0], 'msgid "Save {count}"\nmsgstr ""\n', "id: not translated: (None, 'Save {count}')"),
        (SOUND[0], 'msgid "Save {count}"\nmsgstr "Simpan"\n', "id: not translated: (None, 'Save {count}')"),
        (SOUND[0], f"#, fuzzy\n{SOUND[1]}", "id: not translated: (None, 'Save {count}')"),
        (SOUND[0], f'{SOUND[1]}\nmsgid "Old"\nmsgstr "Lama"\n', "id: not asked for: (None, 'Old')"),
        ('say("Save {count}", { number });', SOUND[1], "a.js: 'Save {count}': other values"),
        ('say("Save {count}");', SOUND[1], "a.js: 'Save {count}': other values"),
        ('say("Simpan", "Save");', 'msgid "Simpan"\nmsgstr "x"\n', "not one text"),
        ("say(`Save`);", "", "not one text"),
        ("say(words[code]);", "", "not one text"),
        ('const a = { id: "Simpan", en: "Save" };', "", "a.js: a text in two languages"),
    ],
)
def test_planted_fault_is_found(tmp_path: Path, code: str, catalogue: str, fault: str) -> None:
    (tmp_path / "translations" / "id").mkdir(parents=True)
    (tmp_path / "translations" / "id" / "tablet.po").write_text(HEAD + catalogue)
    (tmp_path / "a.js").write_text(code)
    found = faults(tmp_path)
    assert bool(found) == bool(fault)
    assert any(fault in one for one in found) == bool(fault)


def test_another_language_is_a_file(tmp_path: Path, browser: Browser) -> None:
    jawa = (
        'msgid "Save"\nmsgstr "Simpen"\n\nmsgctxt "name of this language"\nmsgid "English"\nmsgstr "Jawa"\n'
    )
    (tmp_path / "jv").mkdir()
    (tmp_path / "jv" / "tablet.po").write_text(HEAD + jawa)
    modules = Modules.opened(browser, "growth")
    given = {**orjson.loads(words_file()), **orjson.loads(packed(tmp_path))}
    said = modules.call(
        """(() => {
          words.learn(given);
          words.speak('jv');
          const count = words.say('{count} packages taken.', { count: words.later('Save') });
          return [words.languages(), words.say('Save'), count, words.decimal(9.5), words.decimalMark()];
        })()""",
        given,
    )
    assert said[0] == [["id", "Indonesia"], ["jv", "Jawa"], ["en", "English"]]
    assert said[1:] == ["Simpen", "Simpen packages taken.", "9,5", ","]
