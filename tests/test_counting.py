"""What no test runs is below the floor."""

from pathlib import Path
from typing import Any

import pytest
from slipcover.slipcover import add_summaries

from tests import counting


def counted(**files: tuple[int, int]) -> dict[str, Any]:
    """Give what was counted: by file, how many lines ran and how many did not."""
    named = {
        f"{room}/made_up.py": {
            "executed_lines": list(range(ran)),
            "missing_lines": list(range(ran, ran + missing)),
            "executed_branches": [],
            "missing_branches": [],
        }
        for room, (ran, missing) in files.items()
    }
    found = {"files": named, "meta": {"branch_coverage": True}}
    add_summaries(found)
    return found


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (counted(sync_protocol=(50, 0), server=(45, 5)), 0),
        (counted(sync_protocol=(49, 1), server=(50, 0)), 1),
        (counted(sync_protocol=(50, 0), server=(39, 11)), 1),
    ],
    ids=["enough", "too little of the pure rooms", "too little of everything"],
)
def test_floors_hold(monkeypatch: pytest.MonkeyPatch, found: dict[str, Any], status: int) -> None:
    monkeypatch.setattr(counting, "added_up", lambda _: found)
    assert counting.main(Path(), 100, 90) == status
