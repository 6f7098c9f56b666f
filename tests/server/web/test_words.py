"""Every word in both languages: the Indonesian catalogue is whole and fits the code; numbers and dates as written."""

import ast
import itertools
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Message
from flask import Flask
from flask.testing import FlaskClient

from server.children.flags import RULES
from server.children.labels import LABELS
from server.children.review_queue import NO_FLAG
from server.growth.weight_gain import GainReason
from server.growth.zscores import Reason
from server.review import STATUSES
from server.web import formatting
from sync_protocol import REGISTERS
from tests._repository import ROOT
from tests._sources import sources
from tests.catalogues import DIRECTORIES, PYTHON, Directory, Key, key_of, messages_of, update
from tests.server._district import District

WEB = Path(formatting.__file__).parent
HEADER = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"
"""
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|\{(\w*)\}")
CATALOGUES = [(directory, language) for directory in DIRECTORIES for language in directory.languages()]
NAMES = [f"{directory.path}/{language}" for directory, language in CATALOGUES]


@pytest.fixture(params=CATALOGUES, ids=NAMES)
def messages(request: pytest.FixtureRequest) -> list[Message]:
    """Give the messages of all catalogues of a language in a directory."""
    directory, language = request.param
    return [each for catalogue in directory.of(language).values() for each in messages_of(catalogue)]


def sorted_keys(keys: Iterable[Key]) -> list[tuple[str, str]]:
    """Put messages in an order in which they can be compared."""
    return sorted((context or "", text) for context, text in keys)


@pytest.mark.parametrize(
    ("directory", "language"),
    CATALOGUES,
    ids=[f"{directory.path}/{language}" for directory, language in CATALOGUES],
)
def test_catalogues_have_what_is_asked_for_once_and_nothing_else(directory: Directory, language: str) -> None:
    found = [key_of(each) for catalogue in directory.of(language).values() for each in messages_of(catalogue)]
    assert sorted_keys(found) == sorted_keys(directory.asked_for()), "run `make words`, then translate"


def test_every_message_is_translated_with_the_same_placeholders(messages: list[Message]) -> None:
    for message in messages:
        ids = [message.id] if isinstance(message.id, str) else list(message.id)
        said = [message.string] if isinstance(message.string, str) else list(message.string or ())
        assert said
        assert all(said), ids
        assert {name for text in said for name in PLACEHOLDER.findall(text)} == {
            name for text in ids for name in PLACEHOLDER.findall(text)
        }
        assert not message.fuzzy


def test_every_message_that_code_picks_by_name_has_words() -> None:
    assert set(formatting.NO_SCORE) == {reason.name.lower() for reason in Reason} - {"defined"}
    told = {reason.name.lower() for reason in GainReason} - {"compared", "first_weighing", "not_weighed"}
    assert set(formatting.NO_GAIN_BECAUSE) == told | {"conflict"}
    assert REGISTERS["child"] | REGISTERS["measurement"] <= set(formatting.REGISTERS)
    assert set(formatting.URGENCIES) == {rule.urgency for rule in RULES.values()} | {NO_FLAG}
    assert set(formatting.WORK_STATUSES) == set(STATUSES) - {"all"}


def test_templates_hold_no_words_of_their_own() -> None:
    for path in (WEB / "templates").glob("*.html"):
        source = re.sub(r"\{% block page %\}.*?\{% endblock %\}", "", path.read_text("utf-8"))
        markup = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", source, flags=re.DOTALL)
        text = re.sub(r"<[^>]*>", " ", markup)
        known = {"Posyandu", "Sync", "SD", "KPSP", "MBG", "NIK", "cm"}
        assert set(re.findall(r"[A-Za-z]{2,}", text)) <= known, path.name


def test_update_adds_new_texts_and_drops_those_that_are_gone(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package/new.py").write_text('T_("New"), T_("Kept"), T_("Kept", "again",)', encoding="utf-8")
    (tmp_path / "po/id").mkdir(parents=True)
    old = [HEADER, 'msgid "Kept"\nmsgstr "Disimpan"\n', 'msgid "Gone"\nmsgstr "Hilang"\n']
    (tmp_path / "po/id/old.po").write_text("\n".join(old), encoding="utf-8")
    directory = Directory(str(tmp_path / "package"), str(tmp_path / "po"), PYTHON, (".py",))
    assert sorted(update(directory, "id")) == ["Kept", "New"]
    found = {path.name: {key_of(each) for each in messages_of(of)} for path, of in directory.of("id").items()}
    assert found == {"old.po": {(None, "Kept")}, "new.po": {(None, "New"), ("again", "Kept")}}


# -- a third language is a directory ------------------------------------------------------------------

SUNDANESE = """
msgctxt "name of this language"
msgid "English"
msgstr "Basa Sunda"

msgid "Sign in"
msgstr "Asup"

msgid "There is nothing at this address."
msgstr "Euweuh nanaon di alamat ieu."
"""
OPEN_PAGES = """
from server.app import create_app
from server.config import Settings
client = create_app(Settings.from_env()).test_client()
client.set_cookie("__Host-bahasa", "su", secure=True)
print(client.get("/masuk", base_url="https://localhost").text)
print(client.get("/tidak-ada", base_url="https://localhost").text)
"""


def test_third_language_is_a_directory_of_files(on_sqlite: District, tmp_path: Path) -> None:
    for path in (ROOT / "schemas", ROOT / "sync_protocol", *(ROOT / "server").iterdir()):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(exist_ok=True)
        if path.name != "translations":
            copy.symlink_to(path)
    shutil.copytree(ROOT / "server/translations", tmp_path / "server/translations")
    (tmp_path / "server/translations/su").mkdir()
    (tmp_path / "server/translations/su/web.po").write_text(HEADER + SUNDANESE, encoding="utf-8")
    environment = {**on_sqlite.hub.settings.child_environment(), "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", OPEN_PAGES], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Asup" in done.stdout
    assert "Basa Sunda" in done.stdout
    assert "Euweuh nanaon di alamat ieu." in done.stdout
    assert "User name" in done.stdout, "what has no translation is English"


# -- no pairs in code ---------------------------------------------------------------------------------

LEFT: dict[str, str] = {
    "server/demo/stage.py": "who the people of the demo are, printed once, differently in each language",
    "server/demo/__init__.py": "lines for a terminal, each in both languages",
}
"""Files that may hold pairs, and why."""
INDONESIAN = re.compile(
    r"\b(yang|tidak|dan|atau|belum|sudah|dengan|untuk|dari|pada|ini|itu|bukan|harus|dapat|lebih|kurang)\b",
    re.IGNORECASE,
)


def pairs(source: str, known: Collection[tuple[str, str]]) -> list[tuple[int, str]]:
    """Find strings beside their translation in a call, a tuple, a list or a mapping: the line, and the first of them."""
    found: list[tuple[int, str]] = []
    strings = set(re.findall(r'"([^"\n]*)"', source))
    if not INDONESIAN.search(source) and not strings & {translated for _, translated in known}:
        return found
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(args=several) | ast.Tuple(elts=several) | ast.List(elts=several):
                pass
            case ast.Dict(values=several):
                pass
            case _:
                continue
        texts = [_text_of(each) for each in several]
        for one, other in itertools.pairwise(texts):
            sentences = (
                INDONESIAN.search(one) and " " in one and " " in other and not INDONESIAN.search(other)
            )
            if one and other and ((other, one) in known or sentences):
                found.append((node.lineno, one))
    return found


def _text_of(node: ast.expr) -> str:
    """Give a string as it is written, of an f-string what is constant in it; "" for anything else."""
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.JoinedStr(values):
            return "".join(_text_of(each) or "…" for each in values)
    return ""


@cache
def known_pairs() -> frozenset[tuple[str, str]]:
    """Give every English text of several words, with its translation."""
    catalogues = (each for directory in DIRECTORIES for each in directory.of("id").values())
    messages = (message for catalogue in catalogues for message in messages_of(catalogue))
    return frozenset(
        (key_of(m)[1], m.string) for m in messages if isinstance(m.string, str) and m.id != m.string
    )


def test_no_text_stands_beside_its_translation_in_code() -> None:
    found = [
        f"{path}:{line}: {text}"
        for path, source in sources("server", "schemas", "sync_protocol")
        for line, text in pairs(source, known_pairs())
        if path not in LEFT and "migrations" not in path
    ]
    assert found == []


@pytest.mark.parametrize(
    "planted",
    [
        'RULE = ("Tidak diukur", "Not measured")',
        'refuse("belum diisi", "is missing")',
        'Advice(1, f"kurang dari {low} tahun", f"less than {low} years")',
        'WORDS = {"id": "Laki-laki", "en": "Boy"}',
    ],
)
def test_pair_is_found_when_planted(planted: str) -> None:
    assert pairs(planted, known_pairs())


@pytest.fixture
def speaking(client: FlaskClient, request: pytest.FixtureRequest) -> Iterator[Flask]:
    """Give the application within a request in the language of the parameter."""
    cookie = {"Cookie": f"__Host-{formatting.LANGUAGE_COOKIE}={request.param}"}
    with client.application.test_request_context("/masuk", headers=cookie):
        yield client.application


CASES: list[tuple[Any, str, str]] = [
    (lambda: formatting.kilograms(7450), "7,45 kg", "7.45 kg"),
    (lambda: formatting.centimetres(741), "74,1 cm", "74.1 cm"),
    (lambda: formatting.signed(-2.35), "−2,35", "−2.35"),
    (lambda: formatting.signed(1.0), "+1,00", "+1.00"),
    (lambda: formatting.signed(0.0), "0,00", "0.00"),
    (lambda: formatting.gain(-300), "−300 g", "−300 g"),
    (lambda: formatting.day(date(2026, 8, 5)), "5 Agu 2026", "5 Aug 2026"),
    (
        lambda: formatting.moment(datetime(2026, 8, 5, 17, 30, tzinfo=UTC)),
        "6 Agu 2026 01.30",
        "6 Aug 2026 01:30",
    ),
    (lambda: formatting.age(1), "1 bulan", "1 month"),
    (lambda: formatting.age(23), "23 bulan", "23 months"),
    (lambda: formatting.age(24), "2 tahun", "2 years"),
    (lambda: formatting.age(29), "2 th 5 bln", "2 y 5 m"),
    (lambda: formatting.status("sangat_pendek"), "Sangat pendek", "severely stunted"),
    (lambda: formatting.rule("stunted"), *RULES["stunted"].text),
    (lambda: formatting.translate(formatting.SHORT_INDICES["haz"]), "TB/U", "HAZ"),
]


@pytest.mark.parametrize("speaking", ["id"], indirect=True)
def test_words_are_indonesian_when_nothing_else_was_chosen(speaking: Flask) -> None:
    assert [write() for write, _, _ in CASES] == [indonesian for _, indonesian, _ in CASES]


@pytest.mark.parametrize("speaking", ["en"], indirect=True)
def test_words_are_english_when_chosen(speaking: Flask) -> None:
    assert [write() for write, _, _ in CASES] == [english for _, _, english in CASES]


@pytest.mark.parametrize("speaking", ["xx"], indirect=True)
def test_words_are_indonesian_when_the_cookie_is_odd(speaking: Flask) -> None:
    assert formatting.language() == "id"


def test_every_status_has_a_class_in_the_style_sheet_or_needs_none() -> None:
    style = (WEB / "static" / "style.css").read_text("utf-8")
    alarming = (
        "sangat_pendek",
        "pendek",
        "gizi_buruk",
        "gizi_kurang",
        "bb_sangat_kurang",
        "bb_kurang",
        "obesitas",
    )
    assert set(alarming) <= set(LABELS)
    assert [code for code in alarming if f".st-{code}" not in style] == []
