"""Many weighings at one post, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from server.review import Scope
from tests.server._district import District, FakeTablet, identity


@contextmanager
def counted(district: District) -> Iterator[list[str]]:
    """Collect the statements that are sent."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        sent.append(statement)

    engine = district.hub.database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def everybody(district: District) -> Scope:
    return Scope.whole_district(district.hub, shows_names=False)


def weigh_many(
    tablet: FakeTablet, children: int, days: tuple[str, ...], *, rounded: bool = False
) -> list[str]:
    """Register children and measure each on each day; `rounded` lengths end in 0 or 5."""
    ids = []
    for number in range(children):
        child_id = tablet.register_child(
            identity=identity(name=f"Anak Contoh {number:03d}", born_on="2025-01-10")
        )
        for month, day in enumerate(days):
            length = 700 + 10 * month + (number * 5 % 20 if rounded else number * 3 % 37)
            tablet.measure(
                child_id,
                day,
                weight_g=8000 + 100 * (number * 7 % 23) + 130 * month,
                length_mm=length,
                muac_mm=140 + number,
            )
        ids.append(child_id)
    tablet.sync_until_quiet()
    return ids
