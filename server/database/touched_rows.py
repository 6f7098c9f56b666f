"""Which groups of bound rows (`bound_rows`) a transaction has written, and their rows at its end.

Statements of Core and of the ORM are seen before they are executed. Of inserted rows the values given are kept, where they
are the whole group, so that an upload reads nothing back; other groups are read at the end of the transaction. A statement
that sets no column that counts costs nothing. What the driver is given directly (`writes`) is noted there. No text may write
to a bound table.

What a statement sets is read from attributes of SQLAlchemy's that are not public: there is no other way.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    Connection,
    Delete,
    Insert,
    Select,
    Update,
    and_,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.sql import ClauseElement

from server.database.bound_rows import BINDINGS, Binding, Key, Values

Rows = list[list[Any]]
"""What counts of the rows of a group."""
Written = tuple[Binding, list[tuple[Key, Rows]]]
"""The groups of a table that a transaction has written."""

NOTED: Final = {"rows_noted": True}
"""Execution option of a statement whose rows were noted by whoever executes it."""
_TOUCHED: Final = "posyandu_touched"
_READ_AT_ONCE: Final = 500


class UnboundWrite(RuntimeError):
    """A statement writes bound rows in a way that cannot be followed: a defect of this program."""


class Touched:
    """The groups that a transaction has written, by table and district.

    `suspended`: nothing is noted, as whole tables are replaced with their own log. `adopting`: the groups were not written,
    but are bound for the first time.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], dict[Key, Rows | None]] = {}
        self._unsure: set[tuple[str, str, Key]] = set()
        self.suspended = False
        self.adopting = False

    def given(self, binding: Binding, rows: Sequence[Values], *, new: bool) -> None:
        """Note rows with the same columns that are inserted, or (not `new`) may replace others."""
        if binding.when is not None:
            rows = [row for row in rows if binding.when(row)]
        if not rows:
            return
        whole = rows[0].keys() >= {*binding.counting}
        for (district, *parts), some in groupby(rows, binding.full_key_of):
            key = tuple(parts)
            self._unsure.discard((district, binding.table.name, key))
            groups = self._groups.setdefault((district, binding.table.name), {})
            groups[key] = self._with(binding, groups.get(key, ...), list(some), new=new) if whole else None

    def _with(self, binding: Binding, known: Any, rows: list[Values], *, new: bool) -> Rows | None:
        """Return a group with further rows; None if it must be read at the end."""
        if known is None:
            return None
        if binding.single:
            return [binding.written(rows[-1])]
        begins = known is ... and new and binding.begins is not None and binding.begins(rows[0])
        if known is ... and not begins:
            return None
        return [*(known if known is not ... else ()), *map(binding.written, rows)]

    def altered(self, binding: Binding, rows: Iterable[Values]) -> None:
        """Note groups that must be read at the end. One of a row that does not count yet matters only if it counts then."""
        for row in rows:
            district, name, key = row["district"], binding.table.name, binding.key_of(row)
            groups = self._groups.setdefault((district, name), {})
            if binding.counts(row):
                self._unsure.discard((district, name, key))
            elif key not in groups:
                self._unsure.add((district, name, key))
            groups[key] = None

    def districts(self) -> set[str]:
        """Return the districts whose rows were written."""
        return {district for (district, _), groups in self._groups.items() if groups}

    def at_home(self, district: str) -> bool:
        """Say whether nothing was written but groups whose earlier digests, if any, are in the same stream."""
        return all(
            BINDINGS[name].at_home and None not in groups.values()
            for (of, name), groups in self._groups.items()
            if of == district
        )

    def read(self, connection: Connection, district: str) -> list[Written]:
        """Return each table's groups with their rows as they are now; a group without rows was removed."""
        found = (
            (BINDINGS[name], self._rows_of(connection, BINDINGS[name], district, groups))
            for (of, name), groups in sorted(self._groups.items(), key=itemgetter(0))
            if of == district
        )
        return [(binding, groups) for binding, groups in found if groups]

    def _rows_of(
        self, connection: Connection, binding: Binding, district: str, groups: Mapping[Key, Rows | None]
    ) -> list[tuple[Key, Rows]]:
        wanted = [key for key, rows in groups.items() if rows is None]
        read = read_groups(connection, binding, district, wanted)
        now = [(key, read.get(key, []) if rows is None else rows) for key, rows in groups.items()]
        return [
            (key, rows)
            for key, rows in now
            if rows or (district, binding.table.name, key) not in self._unsure
        ]


def begin(connection: Connection) -> None:
    """Forget what an earlier transaction of the connection has written."""
    connection.info[_TOUCHED] = Touched()


def touched(connection: Connection) -> Touched:
    """Return what the present transaction has written."""
    found: Touched = connection.info[_TOUCHED]
    return found


def note(connection: Connection, table_name: str, rows: Sequence[Values], *, new: bool) -> None:
    """Note rows that are about to be inserted, or (not `new`) upserted, without a statement that `watch` could read."""
    binding = BINDINGS.get(table_name)
    if binding is not None and not touched(connection).suspended:
        touched(connection).given(binding, rows, new=new)


def note_removed(connection: Connection, table_name: str, keys: Sequence[Values]) -> None:
    """Note rows that are about to be deleted by primary key."""
    binding = BINDINGS.get(table_name)
    if binding is None or not keys or touched(connection).suspended:
        return
    names = tuple(keys[0])
    where = tuple_(*(binding.table.c[str(name)] for name in names)).in_([tuple(key.values()) for key in keys])
    _alter(connection, binding, select_keys(binding).where(where), [{}])


def watch(
    connection: Connection,
    clause: ClauseElement,
    many: Sequence[Values],
    one: Values,
    options: Mapping[str, Any],
) -> None:
    """Note what a statement is about to write (SQLAlchemy's `before_execute`)."""
    if not isinstance(clause, Insert | Update | Delete) or options.get("rows_noted"):
        return
    binding = BINDINGS.get(clause.table.name)  # type: ignore[union-attr]  # a table, never a join
    if binding is None or touched(connection).suspended:
        return
    given = many or [one]
    if isinstance(clause, Insert):
        _insert(connection, binding, clause, given)
    elif isinstance(clause, Delete) or _sets_what_counts(binding, clause, given):
        _alter(connection, binding, select_keys(binding).where(*clause._where_criteria), given)


def _insert(connection: Connection, binding: Binding, clause: Insert, given: Sequence[Values]) -> None:
    if clause.select is not None:
        raise UnboundWrite(f"INSERT … SELECT into {binding.table.name}")
    fixed = [_names(values) for values in _values(clause)]
    rows = [{**values, **row} for values in fixed for row in given]
    computed = any(isinstance(value, ClauseElement) for values in fixed for value in values.values())
    if clause._post_values_clause is None and not computed:
        touched(connection).given(binding, rows, new=True)
    else:  # an existing row may stay as it is, or take only some of the values
        touched(connection).altered(binding, rows)


def _values(clause: Any) -> list[Mapping[Any, Any]]:
    many: list[Mapping[Any, Any]] = [values for some in clause._multi_values for values in some]
    return many or [clause._values or {}]


def _names(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Return values by names of columns, without SQLAlchemy's wrapping; what the database computes stays as it is."""
    return {getattr(name, "key", name): _unwrapped(value) for name, value in values.items()}


def _unwrapped(value: Any) -> Any:
    is_given = isinstance(value, BindParameter) and not value.required and value.callable is None
    return value.value if is_given else value


def _sets_what_counts(binding: Binding, clause: Any, given: Sequence[Values]) -> bool:
    """Say whether an UPDATE sets a column that counts. The ORM names columns by the parameters alone."""
    written = (*(clause._values or ()), *given[0])
    named = {getattr(name, "key", name) for name in written}
    if not binding.single and not named.isdisjoint(binding.by):
        raise UnboundWrite(f"UPDATE of what groups the rows of {binding.table.name}")
    return not named.isdisjoint(binding.counting)


def select_keys(binding: Binding) -> Select[*tuple[Any, ...]]:
    """Select what names groups, and what tells whether a row counts."""
    names = ("district", *binding.by, *(binding.counting if binding.when else ()))
    query = select(*(binding.table.c[name] for name in names))
    return query if binding.when else query.distinct()


def _alter(connection: Connection, binding: Binding, query: Any, given: Sequence[Values]) -> None:
    """Note the groups of the rows that a statement is about to change."""
    for parameters in given:
        rows = connection.execute(query, dict(parameters)).mappings().all()
        touched(connection).altered(binding, rows)


def read_groups(
    connection: Connection, binding: Binding, district: str, keys: Sequence[Key]
) -> dict[Key, Rows]:
    """Read groups by key; those without a row that counts are missing."""
    found: dict[Key, Rows] = {}
    c = binding.table.c
    names = tuple(dict.fromkeys((*binding.by, *binding.counting, *binding.key)))
    for start in range(0, len(keys), _READ_AT_ONCE):
        some = _is_one_of(binding, keys[start : start + _READ_AT_ONCE])
        query = select(*(c[name] for name in names)).where(c.district == district, some)
        if not binding.single:  # another transaction may be writing other rows of the group
            query = query.with_for_update()
        rows = connection.execute(query).mappings().all()
        for row in rows:
            if binding.counts(row):
                found.setdefault(binding.key_of(row), []).append(binding.written(row))
    return found


def _is_one_of(binding: Binding, keys: Sequence[Key]) -> Any:
    columns = [binding.table.c[name] for name in binding.by]
    if not columns:
        return true()
    known = [key for key in keys if None not in key]
    conditions = [
        and_(*(c.is_(None) if part is None else c == part for c, part in zip(columns, key, strict=True)))
        for key in keys
        if None in key
    ]
    if known and len(columns) == 1:
        conditions.append(columns[0].in_([key[0] for key in known]))
    elif known:
        conditions.append(tuple_(*columns).in_(known))
    found = or_(*conditions)
    return found if len(columns) == 1 else columns[0].in_({key[0] for key in keys}) & found
