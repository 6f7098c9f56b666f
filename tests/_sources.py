"""The product's Python sources: what each imports, worked out once for a text; and its syntax."""

import ast
from collections.abc import Iterator
from functools import cache

from tests._repository import ROOT


def sources(*rooms: str) -> Iterator[tuple[str, str]]:
    """Give the path and the text of every module of some rooms."""
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def nodes(text: str, *words: str) -> list[ast.AST]:
    """Give all nodes of a module that has one of these words; none of another, since parsing takes long."""
    return list(ast.walk(ast.parse(text))) if any(word in text for word in words) else []


@cache
def imported(text: str) -> frozenset[str]:
    """Give the modules that a module imports by their whole names, wherever it does."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module or "")
    return frozenset(found)


def dotted(node: ast.AST) -> str:
    """Give a name such as `os.path.join` as it is written; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""
