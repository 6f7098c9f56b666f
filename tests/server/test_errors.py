"""Every refusal can be put into words wherever it is raised."""

import ast
import string
from collections.abc import Iterator
from pathlib import Path

from server.errors import PROBLEMS

SERVER = Path(__file__).resolve().parents[2] / "server"


def wanted(code: str) -> set[str]:
    """Give what the sentences of a problem name."""
    kind = PROBLEMS[code]
    parts = (part for text in kind.text for part in string.Formatter().parse(text))
    return {name for _, name, _, _ in parts if name}


def missing(source: str) -> Iterator[tuple[int, str, list[str]]]:
    """Find where a problem is made without what its sentences name: line, code, names."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name("Problem"), args=[ast.Constant(str(code)), *_], keywords=given):
                left = wanted(code) - {keyword.arg or "" for keyword in given}
                if left:
                    yield node.lineno, code, sorted(left)


def test_every_refusal_is_made_with_all_that_its_sentences_name() -> None:
    found = [(path.name, *one) for path in SERVER.rglob("*.py") for one in missing(path.read_text("utf-8"))]
    assert found == []


def test_refusal_without_its_details_is_found() -> None:
    assert list(missing('raise Problem("retention-holds", till=1)')) == [(1, "retention-holds", ["until"])]
