"""The layers of the tablet app (docs/tablet.md): a module imports from its own layer or from those below, never from above.

Import statements are read as text; types named in comments do not count. `sw.js` and `browser.js` stand alone.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Final

import pytest

from tests.tablet._modules import TABLET

LAYERS: Final = (
    "first_load.js",
    "main.js",
    "app.js",
    "screens",
    "parts",
    "store",
    "sync",
    "words",
    "growth updates.js version.js",
)
"""From the top down; several names are one layer."""
RANK: Final = {name: rank for rank, names in enumerate(LAYERS) for name in names.split()}
IMPORT: Final = re.compile(
    r"""^(?:import|export)\b[^;"']*["'](\.[^"']+)["']|\bimport\(["'](\.[^"']+)["']\)""", re.MULTILINE
)
COMMENT: Final = re.compile(r"/\*.*?\*/|^\s*//[^\n]*", re.DOTALL | re.MULTILINE)


def upward(directory: Path) -> list[str]:
    """List the imports that go up, as `file -> imported`."""
    found = []
    for path in sorted(directory.rglob("*.js")):
        name = PurePosixPath(path.relative_to(directory))
        for match in IMPORT.finditer(COMMENT.sub("", path.read_text())):
            parts: list[str] = []
            for part in (name.parent / (match[1] or match[2])).parts:
                parts = parts[:-1] if part == ".." else [*parts, part]
            if RANK[parts[0]] < RANK[name.parts[0]]:
                found.append(f"{name} -> {'/'.join(parts)}")
    return found


def test_no_module_imports_from_a_layer_above() -> None:
    known = {path.name for path in TABLET.iterdir() if path.suffix == ".js" or path.is_dir()} - {
        "sw.js",
        "browser.js",
        "translations",
        "drawings",
    }
    assert known == RANK.keys() - {"version.js"}  # made by the server
    assert upward(TABLET) == []


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("parts/a.js", 'import { b } from "../screens/b.js";\n', ["parts/a.js -> screens/b.js"]),
        ("sync/a.js", 'import {\n  b,\n} from "../store/b.js";\n', ["sync/a.js -> store/b.js"]),
        ("store/a.js", 'export { b } from "../parts/b.js";\n', ["store/a.js -> parts/b.js"]),
        ("growth/a.js", 'const b = await import("../words/b.js");\n', ["growth/a.js -> words/b.js"]),
        ("sync/a.js", '/** @param {import("../store/b.js").B} b */\nimport "./c.js";\n', []),
        ("screens/a.js", 'import { b } from "../parts/b.js";\n', []),
    ],
)
def test_import_that_goes_up_is_found(tmp_path: Path, name: str, text: str, found: list[str]) -> None:
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text(text)
    assert upward(tmp_path) == found
