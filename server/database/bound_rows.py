"""What vouches for every column: which rows are bound to the log, by what key, and why the others need not be.

The digest of a bound row stands in the entry of the log that was written with it (`server.audit.row_digests`): a row that
was changed, added or removed outside this program is named. Every column of a bound table counts, unless it is listed as
`apart`; every other table is in `ELSEWHERE`. So a new column is bound by itself, and a new table without a place here fails
`tests/server/audit/test_bound_rows.py`.

Rows are bound in groups with one digest: mostly a group is one row. Keys stand in the log for ever: so rows whose own key is
a name or the digest of a secret are grouped by an id.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property, lru_cache
from hashlib import sha256
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Boolean, LargeBinary, RowMapping, Table

from server.database import models
from server.database.models import Base, table

Values = Mapping[str, Any] | RowMapping
"""Values of a row by column."""
Key = tuple[Any, ...]
"""The values that name a group."""

BOUND: Final = "bound"
"""Vouched for by a digest in the log."""
DERIVED: Final = "derived"
"""Recomputed from what is bound or chained, and compared, by doctor."""
MACED: Final = "maced"
"""Carries a MAC under a key of the key file, checked whenever it is loaded."""
CHAINED: Final = "chained"
"""Part of the log itself or of a tablet's chain: checked by hashes and signatures."""
MAC: Final = "mac"
"""A row's MAC vouches for itself: an upgrade makes it without changing the row."""
EXEMPT: Final = "exempt"
"""Nothing vouches for it; docs/threats.md says why that is borne."""


@dataclass(frozen=True)
class Binding:
    """How the rows of a table are bound.

    Parameters
    ----------
    by : columns beside the district that name a group
    apart : columns that do not count, and what vouches for them
    shown : what counts of a column, in place of its value
    when : whether a row counts; the usual state of a row may count as none, so that it costs nothing. A column that is
        missing counts as None
    begins : whether a row that is inserted is the first of its group; None: only if each row is a group of its own
    at_home : whether a group is always written with an entry in the same stream, unless it is read back first
    by_key : whether rows in the order of their primary key come group by group
    """

    model: type[Base]
    by: tuple[str, ...]
    apart: Mapping[str, str] = field(default_factory=dict)
    shown: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    when: Callable[[Values], bool] | None = None
    begins: Callable[[Values], bool] | None = None
    at_home: bool = False
    by_key: bool = True

    @cached_property
    def table(self) -> Table:
        return table(self.model)

    @cached_property
    def key(self) -> tuple[str, ...]:
        """The primary key without the district."""
        return tuple(c.name for c in self.table.primary_key.columns if c.name != "district")

    @cached_property
    def single(self) -> bool:
        """Whether every row is a group of its own."""
        return set(self.by) == set(self.key)

    @cached_property
    def secret(self) -> bool:
        """Whether the primary key must not be in the log: the group then is all rows of an id."""
        return not self.single and self.begins is None

    @cached_property
    def counting(self) -> tuple[str, ...]:
        """The columns whose values count. A nullable column that is added last changes no digest of an older row."""
        apart = {"district", MAC, *self.by, *self.apart}
        return tuple(c.name for c in self.table.columns if c.name not in apart)

    @cached_property
    def sorted_by(self) -> tuple[str, ...]:
        """Columns that order the table group by group."""
        return self.key if self.by_key else (*self.by, *self.key)

    @cached_property
    def key_of(self) -> Callable[[Values], Key]:
        """Return the key of a row's group."""
        return _taking(self.by)

    @cached_property
    def full_key_of(self) -> Callable[[Values], Key]:
        """Return the key of a row's group, with the district before it."""
        return _taking(("district", *self.by))

    @cached_property
    def _values_of(self) -> Callable[[Values], Key]:
        return _taking(self.counting)

    @cached_property
    def _written_otherwise(self) -> list[tuple[int, Callable[[Any], Any]]]:
        """The places of columns whose values must be written in a way that is the same for every database."""
        found = ((place, self._writer(name)) for place, name in enumerate(self.counting))
        return [(place, writer) for place, writer in found if writer is not None]

    def _writer(self, name: str) -> Callable[[Any], Any] | None:
        return self.shown.get(name) or _WRITERS.get(type(self.table.c[name].type))

    def counts(self, row: Values) -> bool:
        """Say whether a row counts."""
        return self.when is None or self.when(row)

    def written(self, row: Values) -> list[Any]:
        """Return what counts of a row, the same whatever database it comes from, without empty values at the end."""
        values = list(self._values_of(row))
        for place, write in self._written_otherwise:
            values[place] = write(values[place])
        while values and values[-1] is None:
            values.pop()
        return values


def _taking(names: tuple[str, ...]) -> Callable[[Values], Key]:
    """Return a function that takes some values of a row."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda row: tuple(row[name] for name in names)


@lru_cache(64)  # all rows of a batch have the same moment
def _moment(value: Any) -> Any:
    return value.astimezone(UTC).isoformat(timespec="microseconds") if isinstance(value, datetime) else value


def _day(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _truth(value: Any) -> Any:
    return value if value is None else int(value)


def _bytes(value: Any) -> Any:
    return value if value is None else sha256(value).hexdigest()


_WRITERS: Final[Mapping[type, Callable[[Any], Any]]] = {
    models.Moment: _moment,
    models.CalendarDay: _day,
    Boolean: _truth,
    LargeBinary: _bytes,
}


def key_text(key: Key) -> str:
    """Write a group's key as it stands in the log."""
    return "/".join("" if part is None else str(_day(part)) for part in key)


def _all(reason: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, reason)


_MERGED: Final = _all(
    DERIVED,
    *(
        "post_id",
        "position",
        "registered",
        "removed",
        "conflicts",
        "person_id",
        "same_as",
        "clock_days",
        "krs_until",
    ),
    *("sex", "born_on", "state", "key_version", "first_seen_at"),
)

BINDINGS: Final[Mapping[str, Binding]] = {
    one.table.name: one
    for one in (
        # with an older step, a code of the last minute works once more
        Binding(models.Account, ("id",), _all(EXEMPT, "totp_step")),
        Binding(models.Username, ("account_id",), by_key=False),
        Binding(models.Invitation, ("account_id",), by_key=False),
        Binding(models.RecoveryCode, ("account_id",)),
        Binding(models.Passkey, ("account_id",), by_key=False),
        Binding(models.EnrolmentCode, ("post_id",), by_key=False),
        Binding(
            models.Tablet,
            ("id",),
            # the chain is compared with the ledger; the rest is the state of the exchange, renewed by every answer
            _all(DERIVED, "last_counter", "chain_hash")
            | _all(EXEMPT, "head_counter", "last_sync_at", "clock_offset_ms", "app")
            | _all(EXEMPT, "token", "token_before", "token_batch"),
        ),
        Binding(models.TabletPost, ("tablet_id", "post_id")),
        Binding(models.TabletDay, ("tablet_id", "measured_on"), at_home=True),
        Binding(models.Batch, ("tablet_id", "batch_id"), at_home=True),
        Binding(
            models.ChangeRow,
            ("actor", "batch_id"),
            _all(CHAINED, "header", "content"),
            begins=lambda row: row["batch_id"] is not None or row["counter"] == 1,
            at_home=True,
        ),
        Binding(models.QuarantineDecision, ("actor", "counter")),
        Binding(models.RightsRequest, ("id",)),
        Binding(models.Erasure, ("child_id",)),
        Binding(
            models.Child,
            ("id",),
            _MERGED,
            shown={"wrapped_key": lambda value: value is None},
            when=lambda row: row.get("restricted_at") is not None or row.get("wrapped_key") is None,
        ),
        Binding(models.DuplicatePair, ("child_id", "other_id")),
        Binding(models.PostExit, ("post_id", "child_id")),
        Binding(models.Notice, ("kind", "subject")),
        Binding(models.JobRun, ("job",)),
        Binding(models.FiguresPost, ("post_id",)),
        Binding(models.FiguresMonth, ("month",)),
        Binding(models.Donor, ("id",)),
        Binding(models.Commitment, ("id",)),
        Binding(models.CsrSheet, ("id",)),
        Binding(models.AidActivity, ("id",)),
        Binding(models.ImportRun, ("id",)),
        Binding(models.ImportChunk, ("run_id", "number")),
        Binding(models.ImportCase, ("id",)),
        # how the newest try to reach it ended
        Binding(models.Witness, ("name",), _all(EXEMPT, "failure", "failed_at")),
        Binding(models.Cosignature, ("checkpoint", "witness")),
        Binding(models.WitnessedLog, ("origin",)),
        Binding(models.WitnessedCheckpoint, ("origin",)),
        Binding(models.Installation, ()),
        Binding(models.Region, ("code",)),
        Binding(models.HealthCentre, ("id",)),
        Binding(models.HealthPost, ("id",), _all(DERIVED, "head_position")),
    )
}
"""How each bound table is bound, by its name."""

ELSEWHERE: Final[Mapping[str, str]] = {
    **_all(DERIVED, "measurement", "follow_up", "delivery", "nik_index"),
    **_all(DERIVED, "assessment", "flag", "attention"),
    **_all(DERIVED, "figures", "post_month.told"),
    **_all(MACED, "session"),
    **_all(CHAINED, "audit_stream", "audit_entry", "audit_checkpoint", "audit_leaf"),
    # filters that a person saved; attempts in a time window, of which each failed one is in the log
    **_all(EXEMPT, "saved_view", "rate_limit"),
    # with another key or state a report is not shown but computed anew; while it is shown, what it tells is compared
    **_all(EXEMPT, "post_month"),
    # ends an idle session, or keeps it until its end
    **_all(EXEMPT, "session.last_seen_at"),
}
"""What vouches for the tables that are not bound, by their names; and for a column (`table.column`) where it is another."""


def vouched_by(table_name: str, column: str) -> str:
    """Say what vouches for a column: BOUND, DERIVED, MACED, CHAINED or EXEMPT.

    Raises
    ------
    KeyError
        The table has no place here.
    """
    binding = BINDINGS.get(table_name)
    if binding is None:
        return ELSEWHERE.get(f"{table_name}.{column}", ELSEWHERE[table_name])
    return MACED if column == MAC else binding.apart.get(column, BOUND)
