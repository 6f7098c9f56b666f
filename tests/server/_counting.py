"""Counts what a piece of work asks of the database: rows fetched, and statements that change rows."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from sqlalchemy import Engine, event
from sqlalchemy.engine import CursorResult

from server.database.engine import WRITES


@dataclass(slots=True)
class Asked:
    """What was asked of a database so far; `most_at_once`: rows in one fetch; `writes` are the statements, in order."""

    rows: int = 0
    most_at_once: int = 0
    statements: int = 0
    writes: list[str] = field(default_factory=list)


@contextmanager
def counted(engine: Engine) -> Iterator[Asked]:
    """Count what is asked while the block runs. Rows are those of all engines of this process."""
    asked = Asked()

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.statements += 1
        if WRITES.match(statement):
            asked.writes.append(statement)

    def counting(fetch: Callable[..., Any]) -> Callable[..., Any]:
        def fetched(result: Any, *given: Any, **named: Any) -> Any:
            found = fetch(result, *given, **named)
            count = len(found) if isinstance(found, list) else int(found is not None)
            asked.rows += count
            asked.most_at_once = max(asked.most_at_once, count)
            return found

        return fetched

    def counting_each(fetch: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def fetched(result: Any) -> Iterator[Any]:
            for row in fetch(result):
                asked.rows += 1
                yield row

        return fetched

    event.listen(engine, "before_cursor_execute", note)
    with ExitStack() as patches:
        for name in ("_fetchone_impl", "_fetchmany_impl", "_fetchall_impl"):
            patches.enter_context(patch.object(CursorResult, name, counting(getattr(CursorResult, name))))
        each = counting_each(CursorResult._fetchiter_impl)
        patches.enter_context(patch.object(CursorResult, "_fetchiter_impl", each))
        try:
            yield asked
        finally:
            event.remove(engine, "before_cursor_execute", note)
