"""typed text is stored sealed: titles and evidence of activities, names and headers of sheets, saved views; and receipts are
stored without the reasons of quarantined changes, which quote values

Revision: 0023, after 0022. A migration has no key: what stands in the clear gets the version 0 (`NOT_SEALED`), and is sealed
when the installation is served next (`privacy.sealed_columns`), as are the reasons of quarantined changes. The way back
keeps what is sealed, as base64 behind a character that cannot be typed.
"""

import base64
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import orjson
import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False).with_variant(sa.Text(), "sqlite")
NOT_SEALED = b"\0\0"
SEALED_TEXT = b"\x1e"
COLUMNS = (
    ("aid_activity", "title", "title_sealed", False),
    ("aid_activity", "evidence", "evidence_sealed", True),
    ("csr_sheet", "name", "name_sealed", False),
    ("donor", "columns", "columns_sealed", True),
)
"""Table, column, its new name, and whether it could be empty."""


def upgrade() -> None:
    for table, column, sealed, _ in COLUMNS:
        _alter(table, column, sealed, sa.LargeBinary(), nullable=True)
        _convert(table, sealed, _marked)
    _seal_views()
    _cut_receipts()
    # chunks get also the digests of rows that name a child without being about it, when the next erasure looks into them
    op.execute("UPDATE import_chunk SET children = NULL")


def downgrade() -> None:
    for table, column, sealed, nullable in COLUMNS:
        _convert(table, sealed, _as_text)
        if not nullable:
            op.execute(f"UPDATE {table} SET {sealed} = {_nothing()} WHERE {sealed} IS NULL")  # noqa: S608
        _alter(table, sealed, column, sa.Text(), nullable=nullable)
    _open_views()


def _marked(text: bytes) -> bytes:
    """Mark text in the clear; what the way back wrote is sealed already."""
    return base64.b64decode(text[1:]) if text.startswith(SEALED_TEXT) else NOT_SEALED + text


def _as_text(value: bytes) -> bytes:
    if value.startswith(NOT_SEALED):
        return value.removeprefix(NOT_SEALED)
    return SEALED_TEXT + base64.b64encode(value)


def _nothing() -> str:
    return "x''" if op.get_bind().dialect.name == "sqlite" else "''::bytea"


def _alter(table: str, column: str, name: str, type_: Any, *, nullable: bool) -> None:
    """Give a column another name and type, in its place: text becomes its bytes in UTF-8, and back."""
    if op.get_bind().dialect.name == "sqlite":
        statistics = _statistics(table)
        options = {"sqlite_strict": True, "sqlite_with_rowid": False}
        with op.batch_alter_table(table, table_kwargs=options) as batch:
            batch.alter_column(column, new_column_name=name, type_=type_, nullable=nullable)
        _keep_statistics(table, statistics)
        return
    read = "convert_to" if isinstance(type_, sa.LargeBinary) else "convert_from"
    kind = "BYTEA" if isinstance(type_, sa.LargeBinary) else "TEXT"
    may = "DROP" if nullable else "SET"
    op.execute(f'ALTER TABLE {table} ALTER COLUMN "{column}" TYPE {kind} USING {read}("{column}", \'UTF8\')')
    op.execute(f'ALTER TABLE {table} ALTER COLUMN "{column}" {may} NOT NULL')
    op.execute(f'ALTER TABLE {table} RENAME COLUMN "{column}" TO {name}')


def _statistics(table: str) -> list[Any]:
    """Return the planner's statistics of a table, which go with it when it is made anew."""
    rows = op.get_bind().execute(
        sa.text("SELECT idx, stat FROM sqlite_stat1 WHERE tbl = :tbl"), {"tbl": table}
    )
    return [row._asdict() for row in rows]


def _keep_statistics(table: str, rows: list[Any]) -> None:
    if rows:
        statement = sa.text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:tbl, :idx, :stat)")
        op.get_bind().execute(statement, [{"tbl": table, **row} for row in rows])


def _convert(table: str, column: str, change: Callable[[bytes], bytes]) -> None:
    """Write every value of a column of bytes anew."""
    of = sa.table(
        table, sa.column("district", sa.Text()), sa.column("id", ID), sa.column(column, sa.LargeBinary())
    )
    connection = op.get_bind()
    rows = connection.execute(
        sa.select(of.c.district, of.c.id, of.c[column]).where(of.c[column].is_not(None))
    ).all()
    if rows:
        mine = of.c.district == sa.bindparam("of"), of.c.id == sa.bindparam("one")
        statement = sa.update(of).where(*mine).values({column: sa.bindparam("new")})
        given = [{"of": row[0], "one": row[1], "new": change(bytes(row[2]))} for row in rows]
        connection.execute(statement, given)


# -- saved views: a row for each, in the clear; now one row of an account with all of them ----------------------------------


def _seal_views() -> None:
    connection = op.get_bind()
    views: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    sealed: dict[tuple[str, str], bytes] = {}
    for row in connection.execute(sa.text("SELECT district, account_id, name, query FROM saved_view")):
        of, name = (row.district, str(row.account_id)), row.name.encode()
        if name.startswith(SEALED_TEXT):
            sealed[of] = base64.b64decode(name[1:])
        else:
            views[of][row.name] = row.query
    sealed |= {of: NOT_SEALED + orjson.dumps(kept) for of, kept in views.items()}
    op.drop_table("saved_view")
    table = _create_views(
        sa.Column("account_id", ID, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        key=(),
    )
    rows = [{"district": of[0], "account_id": of[1], "sealed": value} for of, value in sealed.items()]
    if rows:
        connection.execute(sa.insert(table), rows)


def _open_views() -> None:
    connection = op.get_bind()
    rows = []
    for row in connection.execute(sa.text("SELECT district, account_id, sealed FROM saved_view")):
        text = _as_text(bytes(row.sealed))
        views = {text.decode(): ""} if text.startswith(SEALED_TEXT) else orjson.loads(text)
        of = {"district": row.district, "account_id": str(row.account_id)}
        rows += [{**of, "name": name, "query": query} for name, query in views.items()]
    op.drop_table("saved_view")
    table = _create_views(
        sa.Column("account_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        key=("name",),
    )
    if rows:
        connection.execute(sa.insert(table), rows)


def _create_views(*columns: Any, key: tuple[str, ...]) -> sa.Table:
    table = op.create_table(
        "saved_view",
        sa.Column("district", sa.Text(), nullable=False),
        *columns,
        sa.ForeignKeyConstraint(
            ["district", "account_id"], ["account.district", "account.id"], name=op.f("fk_saved_view_account")
        ),
        sa.PrimaryKeyConstraint("district", "account_id", *key, name=op.f("pk_saved_view")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "sqlite":
        _keep_statistics("saved_view", [{"idx": "saved_view", "stat": "500 500 3 1" if key else "500 500 1"}])
    return table


# -- receipts ---------------------------------------------------------------------------------------------------------------


def _cut_receipts() -> None:
    """Cut the reasons out of the receipts that have some; they stand with the changes, too."""
    batch = sa.table(
        "batch",
        *(sa.column("district", sa.Text()), sa.column("tablet_id", ID), sa.column("batch_id", ID)),
        *(sa.column("outcomes", sa.Text()), sa.column("receipt", sa.LargeBinary())),
    )
    connection = op.get_bind()
    with_reasons = sa.select(batch).where(batch.c.outcomes.contains('"quarantined"'))
    rows = connection.execute(with_reasons).all()
    given = []
    for row in rows:
        wire = orjson.loads(bytes(row.receipt))
        cut = orjson.dumps({**wire, "items": [item[:2] for item in wire["items"]]})
        given.append({"of": row.district, "tablet": row.tablet_id, "one": row.batch_id, "cut": cut})
    if given:
        mine = (
            batch.c.district == sa.bindparam("of"),
            batch.c.tablet_id == sa.bindparam("tablet"),
            batch.c.batch_id == sa.bindparam("one"),
        )
        connection.execute(sa.update(batch).where(*mine).values(receipt=sa.bindparam("cut")), given)
