"""What README, docs/commands.md, Makefile and decision records promise, and the tools that the tests use."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import psycopg
import pytest
from playwright.sync_api import Browser

from server.cli import main
from tests._chromium import chromium_path
from tests._postgres import create_database, drop_database, postgres_server
from tests._repository import ROOT, ours

ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))

# In two halves, so that this file does not hold what it forbids.
FORBIDDEN = [
    a + b
    for a, b in [
        ("/wo", "rk/"),
        ("/tmp/", "brief"),
        ("/ro", "ot/"),
        ("pypi", ".org"),
        ("files.python", "hosted"),
        ("registry.", "npmjs"),
        ("proxy.", "golang"),
        ("deb.", "debian.org"),
    ]
]


def mentions(text: str) -> list[str]:
    """List the forbidden words of a text."""
    return [word for word in FORBIDDEN if word in text.casefold()]


def text_of(path: str) -> str:
    """Give the text of a file of the project."""
    return (ROOT / path).read_text(encoding="utf-8")


def command_documents() -> str:
    """Give the README and the page of the commands, one after the other."""
    return text_of("README.md") + text_of("docs/commands.md")


def documented_commands(text: str) -> list[list[str]]:
    """List what follows `posyandu-sync` in code, up to the first word that is no plain command name."""
    words = re.compile(r"(?<![\w/.-])posyandu-sync ([a-z][a-z0-9-]*(?: [a-z][a-z0-9-]*)*)")
    return [found.split() for found in words.findall("\n".join(code(text)))]


def code(text: str) -> Iterator[str]:
    """Yield the code blocks of a Markdown text, then its code spans."""
    block = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
    yield from block.findall(text)
    yield from re.findall(r"`[^`\n]+`", block.sub("", text))


def unknown_command(words: list[str]) -> str | None:
    """Give the first word that names no command where a command is called for; None when all is well."""
    command: click.Command = main
    for word in words:
        if not isinstance(command, click.Group):
            return None
        if word not in command.commands:
            return word
        command = command.commands[word]
    return None


def leaf_commands(command: click.Command, names: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """Yield the words of each command that is not a group."""
    if not isinstance(command, click.Group):
        yield list(names)
        return
    for name, below in command.commands.items():
        yield from leaf_commands(below, (*names, name))


def test_documented_commands_exist() -> None:
    documented = documented_commands(command_documents())
    assert ["demo"] in documented
    assert [words for words in documented if unknown_command(words)] == []


def test_every_command_is_documented() -> None:
    documented = documented_commands(text_of("docs/commands.md"))
    commands = list(leaf_commands(main))
    assert len(commands) > 70
    assert [words for words in commands if words not in documented] == []


def test_an_unknown_command_is_found_when_documented() -> None:
    assert documented_commands("run `posyandu-sync fly-away now --fast`") == [["fly-away", "now"]]
    assert unknown_command(["fly-away", "now"]) == "fly-away"


def test_readme_names_the_make_targets_that_everybody_needs() -> None:
    readme = text_of("README.md")
    assert [name for name in ("run", "test", "lint", "bench") if f"make {name}" not in readme] == []


def test_every_make_target_is_documented() -> None:
    targets = re.findall(r"^([a-z]+):.*## ", text_of("Makefile"), re.MULTILINE)
    assert {"run", "test", "lint", "bench"} <= set(targets)
    documented = text_of("docs/commands.md")
    assert [name for name in targets if f"`make {name}`" not in documented] == []


def test_make_lists_its_targets_when_called_alone() -> None:
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = re.findall(r"^  make (\w+)", done.stdout, re.MULTILINE)
    assert listed == [
        "help",
        "run",
        "test",
        "lint",
        "audit",
        "bench",
        "peers",
        "soak",
        "fuzz",
        "pictures",
        "words",
        "protocol",
        "clean",
    ]


def test_make_says_what_is_wrong_when_python_is_too_old(tmp_path: Path) -> None:
    command = ["make", "lint", "PYTHON=false", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "is not Python 3.11 or later" in done.stderr


def test_decision_records_are_numbered_without_gaps() -> None:
    assert [int(path.name[:4]) for path in ADRS] == list(range(1, len(ADRS) + 1))
    assert len(ADRS) >= 5


@pytest.mark.parametrize("path", ADRS, ids=lambda path: path.stem)
def test_decision_record_says_what_was_refused(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {path.name[:4]}. ")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert [name.split(",")[0] for name in headings[:3]] == ["Context", "Decision", "What we refused"]


def test_every_dependency_is_pinned() -> None:
    pins = (ROOT / "deploy" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    names = {normalised(pin.partition("==")[0]) for pin in pins if not pin.startswith("#")}
    wanted = re.findall(
        r"^    ([a-z][a-z0-9-]+)(?:\[\S+\])? >=", (ROOT / "setup.cfg").read_text(), re.MULTILINE
    )
    assert len(wanted) > 20
    assert [name for name in wanted if normalised(name) not in names] == []


def normalised(name: str) -> str:
    """Write the name of a distribution as PEP 503 does."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_no_file_mentions_where_it_was_written() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): words
        for path in ours()
        if (words := mentions(path.read_text(encoding="utf-8", errors="ignore")))
    }
    assert found == {}


def test_a_forbidden_word_is_found_when_it_is_there() -> None:
    assert mentions("see /wo" + "rk/main, from PyPI" + ".org") == ["/wo" + "rk/", "pypi" + ".org"]


FILES_OF_OTHERS = {"kinto/core/views/batch.py"}
"""Files of other projects that documents name."""


def unknown_files(text: str, known: set[str]) -> list[str]:
    """List the files of code that a Markdown text names in a code span and that do not exist, in whatever folder."""
    named = re.findall(r"`([a-z_/0-9]+\.(?:py|js|toml|po))`", text)
    return [name for name in named if not any(f"/{file}".endswith(f"/{name}") for file in known)]


def test_documents_name_files_that_exist() -> None:
    known = {path.relative_to(ROOT).as_posix() for path in ours()} | FILES_OF_OTHERS
    documents = [path for path in ours() if path.suffix == ".md"]
    found = {path.name: unknown_files(path.read_text(encoding="utf-8"), known) for path in documents}
    assert {name: files for name, files in found.items() if files} == {}


def test_a_file_that_does_not_exist_is_found_when_named() -> None:
    assert unknown_files("see `app.py` and `gone.py`", {"server/app.py"}) == ["gone.py"]


@pytest.fixture(scope="module")
def admin_url() -> Iterator[str]:
    """Give a real PostgreSQL for this module."""
    with postgres_server() as url:
        yield url


def names_of_databases(url: str) -> list[str]:
    """List the databases of a server."""
    with psycopg.connect(url) as connection:
        return [name for (name,) in connection.execute("SELECT datname FROM pg_database")]


@pytest.mark.postgresql
def test_create_database_copies_the_template_when_one_is_named(admin_url: str) -> None:
    first = create_database(admin_url, "house template")
    with psycopg.connect(first) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 'Ä' AS letter")
    copied = create_database(admin_url, "house_copy", template="house template")
    with psycopg.connect(copied) as connection:
        assert connection.execute("SELECT lower(letter) FROM kept").fetchone() == ("ä",)
    drop_database(admin_url, "house_copy")
    drop_database(admin_url, "house template")


@pytest.mark.postgresql
def test_drop_database_cuts_connections_when_there_are_some(admin_url: str) -> None:
    connection = psycopg.connect(create_database(admin_url, "house_busy"))
    drop_database(admin_url, "house_busy")
    assert "house_busy" not in names_of_databases(admin_url)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")


@pytest.mark.postgresql
def test_private_server_is_gone_when_the_test_that_used_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    with pytest.raises(ZeroDivisionError), postgres_server() as url:
        1 / 0  # noqa: B018 - the failure of a test
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=2)


@pytest.mark.browser
def test_chromium_runs_a_module_script(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content("<p></p><script type=module>document.querySelector('p').id = 'ran'</script>")
    page.wait_for_selector("#ran", state="attached", timeout=60_000)
    page.close()


def test_chromium_path_says_what_to_do_when_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMIUM", "no-such-browser")
    with pytest.raises(RuntimeError, match=r"CHROMIUM=no-such-browser cannot be run: install it"):
        chromium_path()


def test_chromium_module_exits_with_2_when_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMIUM", "no-such-browser")
    command = [sys.executable, "-m", "tests._chromium"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 2


IMPORTS_A_TEST = re.compile(
    r"^\s*(?:(?:from|import) tests[\w.]*\.test_\w|from tests[\w.]* import (?:\([^)]*|[^(\n]*)\btest_\w)",
    re.MULTILINE,
)


def test_no_file_imports_a_test_module() -> None:
    """Shared code is in modules without the prefix: fixtures of an imported test module would leak."""
    found = [
        path.name
        for path in ours()
        if path.suffix == ".py" and IMPORTS_A_TEST.search(path.read_text("utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "from tests.server.test_config import x",
        "from tests.server import (\n    _district,\n    test_config,\n)",
        "import tests.server.test_config",
    ],
)
def test_an_imported_test_module_is_found_when_planted(line: str) -> None:
    assert IMPORTS_A_TEST.search(f"import re\n{line}\n")
