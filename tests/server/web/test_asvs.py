"""docs/asvs.md and docs/threats.md claim nothing that is not shown: every requirement has its line, every threat its tests,
and every named test and document exists.

And the few tests that only their lines ask for.
"""

import ast
import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from server.accounts import Person
from server.accounts.codes import CODE_ALPHABET, LONG, SHORT
from server.database.models import Account
from tests._sources import dotted, imported, nodes, sources
from tests.server._district import District

ROOT = Path(__file__).resolve().parents[3]
LEVELS: Final = {
    # of each requirement of a section in turn, as version 5.0.0 has them
    **{"1.1": "22", "1.2": "1111122223", "1.3": "112222222223", "1.4": "222", "1.5": "123"},
    **{"2.1": "122", "2.2": "112", "2.3": "12223", "2.4": "23"},
    **{
        "3.1": "3",
        "3.2": "113",
        "3.3": "12223",
        "3.4": "11222233",
        "3.5": "11122333",
        "3.6": "3",
        "3.7": "22333",
    },
    **{"4.1": "12233", "4.2": "23333", "4.3": "22", "4.4": "1222"},
    **{"5.1": "2", "5.2": "112333", "5.3": "113", "5.4": "222"},
    **{"6.1": "122", "6.2": "111111112222", "6.3": "11223333", "6.4": "112233", "6.5": "22222333"},
    **{"6.6": "2223", "6.7": "33", "6.8": "2222"},
    **{"7.1": "222", "7.2": "1111", "7.3": "22", "7.4": "11222", "7.5": "223", "7.6": "22"},
    **{"8.1": "1233", "8.2": "1123", "8.3": "133", "8.4": "23"},
    **{"9.1": "111", "9.2": "1222"},
    **{"10.1": "22", "10.2": "223", "10.3": "22223", "10.4": "1111122222233333"},
    **{"10.5": "22222", "10.6": "22", "10.7": "222"},
    **{
        "11.1": "2233",
        "11.2": "22233",
        "11.3": "11233",
        "11.4": "1222",
        "11.5": "23",
        "11.6": "23",
        "11.7": "33",
    },
    **{"12.1": "12233", "12.2": "11", "12.3": "22223"},
    **{"13.1": "2333", "13.2": "222223", "13.3": "2233", "13.4": "1222233"},
    **{"14.1": "22", "14.2": "12223333", "14.3": "122"},
    **{"15.1": "12233", "15.2": "12233", "15.3": "1222222", "15.4": "3333"},
    **{"16.1": "2", "16.2": "22222", "16.3": "2222", "16.4": "222", "16.5": "2223"},
    **{"17.1": "23", "17.2": "22223333", "17.3": "22"},
}
WRITTEN_DOWN: Final = ("2.1", "5.1", "6.1", "7.1", "8.1", "11.1", "13.1", "14.1", "15.1", "16.1")
"""Sections that ask for a document, or for a list."""


def lines() -> Iterator[list[str]]:
    for line in (ROOT / "docs" / "asvs.md").read_text(encoding="utf-8").splitlines():
        if re.match(r"\| \d", line):
            yield [cell.strip() for cell in line.strip("|").split("|")]


@cache
def names_in(path: Path) -> set[str]:
    """Give the names of a file's tests."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_requirement_of_levels_1_and_2_has_one_line() -> None:
    wanted = {
        f"{section}.{number}": level
        for section, levels in LEVELS.items()
        for number, level in enumerate(levels, 1)
    }
    assert len(wanted) == 345
    found = [(cells[0], cells[1]) for cells in lines()]
    assert len(found) == len(dict(found))
    assert set(found) <= set(wanted.items())
    assert {one for one, level in wanted.items() if level in "12"} <= set(dict(found))


def test_every_line_says_how_or_why_not() -> None:
    for id_, _, about, status, how, shown in lines():
        assert status in ("met", "not met", "does not apply"), id_
        assert about, id_
        assert how, id_
        assert bool(shown) == (status == "met"), id_


def named(shown: str) -> list[tuple[str, str]]:
    """Give the tests, by file and name, and the documents (without a name) of a cell: code, with commas between."""
    assert re.fullmatch(r"`[^`]+`(, `[^`]+`)*", shown), shown
    parts = [one.partition("::") for one in re.findall("`([^`]+)`", shown)]
    return [(path, name) for path, _, name in parts]


def test_every_test_and_document_that_is_named_exists() -> None:
    for id_, _, _, _, _, shown in lines():
        for path, name in named(shown) if shown else []:
            if path.startswith("docs/"):
                assert (ROOT / path).is_file(), (id_, path)
                assert id_.rpartition(".")[0] in WRITTEN_DOWN, id_
            else:
                assert name in names_in(ROOT / path), (id_, path, name)


def test_count_at_the_top_is_that_of_the_lines() -> None:
    text = (ROOT / "docs" / "asvs.md").read_text(encoding="utf-8")
    told = re.search(r"\*\*(\d+) are met,\s+(\d+) are not, (\d+) do not apply\*\*", text)
    assert told is not None
    mine = [(cells[1], cells[3]) for cells in lines() if cells[1] != "3"]
    assert [int(n) for n in told.groups()] == [
        sum(status == what for _, status in mine) for what in ("met", "not met", "does not apply")
    ]


# -- threats --------------------------------------------------------------------------------------


def threats() -> dict[str, str]:
    """Give what is written of each threat, by its heading."""
    parts = (ROOT / "docs" / "threats.md").read_text(encoding="utf-8").split("\n## ")[1:]
    return {heading: text for heading, _, text in (part.partition("\n") for part in parts)}


def test_every_threat_says_what_stops_it_by_tests_that_exist_and_what_does_not() -> None:
    assert len(threats()) == 10
    for threat, text in threats().items():
        for part in ("**Wanted**: ", "**What does not stop it**: ", "**Left**: "):
            assert text.count(part) == 1, (threat, part)
        rows = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| ")][1:]
        assert len(rows) >= 3, threat
        for what, shown in rows:
            assert what.strip(), threat
            for path, name in named(shown.strip()):
                assert name in names_in(ROOT / path), (threat, path, name)


def test_every_document_that_a_threat_leads_to_exists() -> None:
    text = (ROOT / "docs" / "threats.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    assert len(linked) > 8
    assert [path for path in linked if not (ROOT / "docs" / path).is_file()] == []


# -- tests that only its lines ask for ------------------------------------------------------------


def test_new_installation_has_no_account(on_sqlite: District) -> None:
    assert on_sqlite.rows(select(func.count()).select_from(Account))[0][0] == 0


def test_password_has_no_last_day() -> None:
    assert not [name for name in Account.__table__.columns.keys() if "expire" in name or "renew" in name]  # noqa: SIM118


def test_password_fields_are_masked_and_take_what_a_manager_fills_in(client: FlaskClient) -> None:
    fields: list[str] = []
    for path in sorted((ROOT / "server/web/templates").rglob("*.html")):
        found = re.findall(r"<input[^>]*>", path.read_text(encoding="utf-8"))
        fields += [one for one in found if re.search(r'name="(?:password|again|old)"', one)]
    assert len(fields) >= 5
    for one in fields:
        assert 'type="password"' in one
        assert re.search(r'autocomplete="(?:current|new)-password"', one), one
        assert "onpaste" not in one
    assert 'autocomplete="current-password"' in client.get("/masuk").text


def test_recovery_codes_are_long_enough() -> None:
    assert math.log2(len(CODE_ALPHABET)) * sum(LONG) >= 64
    assert math.log2(len(CODE_ALPHABET)) * sum(SHORT) >= 45  # of an hour, for a forgotten PIN


def test_only_made_up_people_come_from_plain_chance() -> None:
    """`random` can be foretold: it draws names of the demo and faults of the simulator, and nothing that must be secret."""
    for path, text in sources("server", "schemas"):
        assert "random" not in imported(text) or path.startswith(("server/demo/", "server/simulate/")), path


@pytest.mark.parametrize("status", ["met", "not met"])
def test_table_is_honest_enough_to_have_both(status: str) -> None:
    assert any(cells[3] == status for cells in lines())


@pytest.mark.parametrize("path", ["/antrean", "/akun", "/hak", "/tablet", "/posyandu"])
def test_signing_out_is_on_every_page(client: FlaskClient, staff: Person, path: str) -> None:
    assert 'action="/keluar"' in client.get(path).text


def test_no_request_starts_a_process_or_handles_memory_itself() -> None:
    """`serve` starts its own processes, an import by command others of its kind, `keyfile` the operator's command, without a
    shell. `serve` and `doctor` ask the system for something with numbers and bytes of ours. None of it takes what was sent.
    """
    processes, memory = (
        {"subprocess", "pty", "asyncio.subprocess", "multiprocessing"},
        {"ctypes", "cffi", "mmap"},
    )
    starting: set[str] = set()
    handling: set[str] = set()
    for path, text in sources("server", "schemas", "sync_protocol"):
        names, found = imported(text), nodes(text, "os.", "shell")
        starting |= {path} if names & processes else set()
        handling |= {path} if names & memory else set()
        called = {dotted(node.func) for node in found if isinstance(node, ast.Call)}
        assert not [one for one in called if re.match(r"os\.(system|popen|exec|spawn|posix_spawn)", one)], (
            path
        )
        shells = [node for node in found if isinstance(node, ast.keyword) and node.arg == "shell"]
        assert not shells, path
    assert starting == {
        "server/operations/serve.py",
        "server/crypto/key_file.py",
        "server/interchange/import_workers.py",
    }
    assert handling == {"server/operations/serve.py", "server/operations/doctor/service.py"}
    compiled = [
        path for ending in ("so", "pyd", "c", "pyx", "rs") for path in (ROOT / "server").rglob(f"*.{ending}")
    ]
    assert compiled == []


def test_no_pattern_is_made_of_what_was_sent() -> None:
    """A pattern is written down, or put together of constants; what else is put in is escaped."""

    def put_in(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Call) and dotted(node.func) == "re.escape":
            return
        if isinstance(node, ast.Name):
            yield node.id
        parts = [node.elt] if isinstance(node, ast.GeneratorExp) else ast.iter_child_nodes(node)
        for part in parts:
            yield from put_in(part)

    found = 0
    for path, text in sources("server", "schemas", "sync_protocol"):
        for node in nodes(text, "re."):
            if isinstance(node, ast.Call) and re.fullmatch(r"re\.(?!escape)[a-z]+", dotted(node.func)):
                found += 1
                assert all(name.isupper() for name in put_in(node.args[0])), (path, ast.unparse(node))
    assert found > 20
