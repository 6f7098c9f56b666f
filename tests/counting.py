"""Counts the lines and branches of the product that the tests run, and holds them against the floors.

As a plugin of pytest (`-p tests.counting`, with COUNT_INTO naming a directory) each process writes what it counted there.
`python -m tests.counting DIRECTORY 100 90` adds that up: it fails under so many per cent of the pure rooms
and of everything.

SlipCover rewrites each function so that a line is counted once and then runs at full speed. coverage.py's tracer, on Python
3.11, takes half as long again for every line, each time (30 November 2026).
"""

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import slipcover
from slipcover.slipcover import add_summaries

ROOMS: Final = ("sync_protocol", "schemas", "server")
PURE: Final = ("sync_protocol/", "server/growth/", "server/schedule/")
LEFT_OUT: Final = ["server/database/migrations/*"]
EXCLUDED: Final = ["if TYPE_CHECKING:", r"assert_never\(", r"^\s*\.\.\.$"]


class Counting:
    """What this process counts, from its making on: it must be made before anything of the product is imported."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / f"{os.getpid()}.json"
        self._counter = slipcover.Slipcover(branch=True, exclude_also=EXCLUDED)
        matcher = slipcover.FileMatcher(sources=list(ROOMS), omit=LEFT_OUT)
        slipcover.ImportManager(self._counter, matcher).__enter__()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps(self._counter.get_coverage()), encoding="utf-8")


COUNTING: Final = Counting(Path(os.environ["COUNT_INTO"])) if "COUNT_INTO" in os.environ else None


def pytest_configure(config: pytest.Config) -> None:
    if COUNTING is not None:
        config.pluginmanager.register(COUNTING, "counting")


def added_up(directory: Path) -> dict[str, Any]:
    """Add up what all processes counted, with the modules that none imported."""
    idle = slipcover.Slipcover(branch=True, source=list(ROOMS), omit=LEFT_OUT, exclude_also=EXCLUDED)
    found: dict[str, Any] = idle.get_coverage()
    for file in sorted(directory.glob("*.json")):
        slipcover.merge_coverage(found, json.loads(file.read_text(encoding="utf-8")))
    return found


def share(files: dict[str, Any]) -> float:
    """Give the lines and branches that ran, in per cent."""
    found: dict[str, Any] = {"files": files}
    add_summaries(found)
    return float(found["summary"]["percent_covered"])


def main(directory: Path, floor_pure: float, floor: float) -> int:
    """Print what was missed, and the shares; give 1 under a floor."""
    counted = added_up(directory)
    slipcover.print_coverage(counted, skip_covered=True)
    pure = {name: one for name, one in counted["files"].items() if name.startswith(PURE)}
    found = {"pure rooms": (share(pure), floor_pure), "everything": (share(counted["files"]), floor)}
    for what, (per_cent, least) in found.items():
        sys.stdout.write(f"{what}: {per_cent:.2f} %, at least {least:g}\n")
    return int(any(per_cent < least for per_cent, least in found.values()))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *map(float, sys.argv[2:])))
