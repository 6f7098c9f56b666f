"""Texts know every language that has a catalogue, and fill in values in the same language."""

from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.catalogue import Text, languages, texts, translations

HEADER = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n"Plural-Forms: nplurals=1; plural=0;\\n"\n'
FILES = {
    "id/one.po": 'msgid "{count} of {what}"\nmsgstr "dari {what}: {count}"\n',
    "id/two.po": 'msgid "a child"\nmsgstr "anak"\n\nmsgctxt "age"\nmsgid "a child"\nmsgstr "balita"\n',
    "su/one.po": 'msgid "a child"\nmsgstr "budak"\n',
}


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Text]:
    """Give the texts of a directory with two languages."""
    for name, messages in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{HEADER}\n{messages}", encoding="utf-8")
    return texts(tmp_path)


def test_languages_are_the_directories_with_catalogues_and_english_last(
    make: Callable[..., Text], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    assert make("a child").directory == tmp_path
    assert languages(tmp_path) == ("id", "su", "en")


def test_text_is_read_from_every_file_of_its_language(make: Callable[..., Text]) -> None:
    child = make("a child")
    assert (child.id, child.en, child.in_("su")) == ("anak", "a child", "budak")
    assert list(child) == ["anak", "a child"]
    assert child.wire() == {"id": "anak", "en": "a child"}
    assert child.both() == "anak / a child"


def test_context_tells_apart_what_english_does_not(make: Callable[..., Text]) -> None:
    assert make("a child", "age").id == "balita"
    assert make("a child", "age").en == "a child"


def test_values_that_are_texts_are_in_the_same_language(make: Callable[..., Text]) -> None:
    text = make("{count} of {what}").format(count=3, what=make("a child"))
    assert (text.id, text.en) == ("dari anak: 3", "3 of a child")


def test_values_may_be_given_in_two_steps(make: Callable[..., Text]) -> None:
    assert make("{count} of {what}").format(count=3).format(what="x").en == "3 of x"
    assert make("{0}, {unit}").format(1).format(unit="kg").en == "1, kg"


def test_text_without_a_translation_is_english(make: Callable[..., Text], tmp_path: Path) -> None:
    assert make("not in any file").id == "not in any file"
    assert make("{count} of {what}").in_("su") == "{count} of {what}"
    assert translations(tmp_path, "xx").gettext("a child") == "a child"
