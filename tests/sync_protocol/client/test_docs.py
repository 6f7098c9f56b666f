"""docs/client.md runs as it stands."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults._running import ROOT, running
from tests.server._district import District
from tests.sync_protocol.client._hall import code_of

PAGE = ROOT / "docs" / "client.md"


def blocks() -> Iterator[str]:
    """Yield the Python of the page."""
    yield from re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def test_the_pages_example_runs(
    on_sqlite: District, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with running(on_sqlite.hub.settings) as server:
        names = {"URL": f"http://127.0.0.1:{server.port}", "CODE": code_of(on_sqlite)}
        exec("\n".join(blocks()), names)  # noqa: S102 - our own page
    assert capsys.readouterr().out == "2 of 2\n{<Outcome.APPLIED: 'applied'>: 2} waiting: 0\n"
    assert len(on_sqlite.stored()) == 2
