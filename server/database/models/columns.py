"""What all tables share: the declarative base, column types, and how keys and partial indexes are declared.

Hides the differences between SQLite and PostgreSQL: days and moments are `date` and aware UTC `datetime` in Python, ISO text
on SQLite and native types on PostgreSQL; ids are lower-case text in Python and `uuid` on PostgreSQL.
"""

from datetime import UTC, date, datetime
from typing import Any, cast

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    Uuid,
    text,
)
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeEngine


class _IsoText(TypeDecorator[Any]):
    """A type that SQLite's STRICT tables lack: stored there as ISO text, which sorts as the value does."""

    impl = Text
    cache_ok = True
    native: TypeEngine[Any]

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else self.native)


class CalendarDay(_IsoText):
    """A calendar day in the district: `datetime.date`."""

    cache_ok = True
    native = Date()

    def process_bind_param(self, value: date | None, dialect: Dialect) -> Any:
        return value.isoformat() if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> date | None:  # noqa: ARG002  # SQLAlchemy's signature
        return date.fromisoformat(value) if isinstance(value, str) else value


class Moment(_IsoText):
    """A moment: aware `datetime`, UTC."""

    cache_ok = True
    native = DateTime(timezone=True)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # as above
        if isinstance(value, str):
            return datetime.fromisoformat(value)
        return value.astimezone(UTC) if value is not None else None


Id = Uuid(as_uuid=False).with_variant(Text(), "sqlite")
Count = BigInteger().with_variant(Integer(), "sqlite")
Truth = Boolean().with_variant(Integer(), "sqlite")
Real = Float(53).with_variant(REAL(), "sqlite")


class Base(DeclarativeBase):
    """The base of all models. Constraints get fixed names, so that migrations can refer to them."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(referred_table_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        }
    )
    __table_args__: Any = {"sqlite_strict": True, "sqlite_with_rowid": False}  # noqa: RUF012  # only SQLAlchemy reads it


def table(model: type[Base]) -> Table:
    """Return the table of a model, for Core statements on the hot path."""
    return cast(Table, model.__table__)


def table_args(*items: Any) -> Any:
    """Return `__table_args__`: constraints and indexes, with the options that every table has."""
    return (*items, Base.__table_args__)


def refers_to(table: str, *columns: str, to: tuple[str, ...]) -> ForeignKeyConstraint:
    """Declare a foreign key to a table of the same district: `columns` hold the values of its columns `to`."""
    return ForeignKeyConstraint(["district", *columns], [f"{table}.{name}" for name in ("district", *to)])


def partial_index(name: str, *columns: str, where: str) -> Index:
    """Declare an index by district and columns over only the rows that satisfy `where`, which are few."""
    return Index(name, "district", *columns, sqlite_where=text(where), postgresql_where=text(where))
