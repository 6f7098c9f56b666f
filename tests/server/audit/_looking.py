"""Looks at an altered database in every way that operator and auditor have: the checks of `doctor` and `audit verify`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Table, text
from sqlalchemy.orm import Session

from server import audit, isolation
from server.audit.checkpoints import KeptCheckpoint
from server.database.bound_rows import BOUND, CHAINED, DERIVED, EXEMPT, MACED, vouched_by
from server.operations import recomputation
from server.operations.doctor.checks import CheckContext, Findings
from server.operations.doctor.keys import check_sealed
from server.operations.doctor.ledger import check_batches, check_ledger
from server.operations.doctor.rows import check_rows
from server.operations.doctor.tablets import check_streams
from server.operations.doctor.vouched import check_vouched
from tests.server._district import DISTRICT, District

Look = Callable[["Looking"], list[str]]
PARTS: Final = {part.name: part for part in recomputation.PARTS}


@dataclass(frozen=True, slots=True)
class _Within(CheckContext):
    """A check's context whose every reading is one session: the altered one."""

    session: Session | None = None

    def reading(self) -> AbstractContextManager[Session]:
        assert self.session is not None
        return nullcontext(self.session)


@dataclass
class Looking:
    """An altered database, and the last checkpoint, which was kept elsewhere."""

    district: District
    session: Session
    kept: KeptCheckpoint

    def found(self, table: Table, column: str) -> str:
        """Give the first check that finds something, those that vouch for the column first; "" if none does."""
        return next((name for name in self._in_order(table, column) if CHECKS[name](self)), "")

    def _in_order(self, table: Table, column: str) -> Iterator[str]:
        kind = vouched_by(table.name, column)
        first = FIRST.get(table.name) or BY_KIND.get(kind, ())
        yield from first
        yield from (name for name in CHECKS if name not in first)

    def doctor(self, check: Callable[[CheckContext, Findings], None]) -> list[str]:
        findings = Findings()
        hub, now = self.district.hub, self.district.clock.now
        check(_Within(hub, now, False, lambda *_: None, self.session), findings)
        return findings.found


def part(name: str) -> Look:
    def look(looking: Looking) -> list[str]:
        one, hub, session = PARTS[name], looking.district.hub, looking.session
        units = one.list_units(session, hub, "", None)
        return [each.line() for each in one.look(session, hub, units, looking.district.clock.now)]

    return look


def log(looking: Looking) -> list[str]:
    hub, session = looking.district.hub, looking.session
    keys = hub.vault.checkpoint_keys()
    found, error = isolation.attempt(
        lambda: audit.verify(session, DISTRICT, keys=keys, kept=looking.kept)[1], "log"
    )
    return [error] if error else [one.words() for one in found or ()]


def foreign_keys(looking: Looking) -> list[str]:
    """Ask SQLite, as `doctor` does; PostgreSQL would not have taken the row."""
    if not looking.district.hub.database.is_sqlite:
        return []
    return [str(row) for row in looking.session.execute(text("PRAGMA foreign_key_check")).all()]


def doctor(check: Callable[[CheckContext, Findings], None]) -> Look:
    return lambda looking: looking.doctor(check)


CHECKS: Final[Mapping[str, Look]] = {
    "log": log,
    "rows": doctor(check_rows),
    **{name: part(name) for name in PARTS},
    "ledger": doctor(check_ledger),
    "batches": doctor(check_batches),
    "sealed": doctor(check_sealed),
    "streams": doctor(check_streams),
    "database": foreign_keys,
    "vouched": doctor(check_vouched),
}
BY_KIND: Final = {
    CHAINED: ("log", "ledger"),
    DERIVED: ("records", "assessments", "strays"),
    BOUND: (),
    MACED: ("vouched",),
    EXEMPT: (),
}
FIRST: Final = {
    "figures": ("figures", "areas"),
    "post_month": ("reports",),
    "assessment": ("assessments", "strays"),
    "flag": ("assessments", "strays"),
    "attention": ("assessments", "strays"),
    "nik_index": ("assessments", "strays"),
    "change": ("ledger", "rows"),
}
