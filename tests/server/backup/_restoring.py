"""Making a backup of a district, and putting it back, for tests that ask nothing else of either."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from server.backup import backup, restore
from server.config import Settings
from tests.server._district import District


def silent(_what: str, _done: int, _total: int) -> None:
    """Tell nobody how far it has come."""


def back_up(place: District, file: Path) -> Path:
    backup(place.hub, file, force=False, now=place.clock.now, progress=silent)
    return file


def put_back(settings: Settings, file: Path, **others: Any) -> str:
    done = restore(
        settings,
        file,
        plain=False,
        now=datetime(2026, 3, 9, tzinfo=UTC),
        agreed=lambda _: True,
        progress=silent,
        **others,
    )
    return done.incarnation
