"""tables and columns by plain names: what was `tries`, `sign_in` and `departure`, and seven columns

Revision: 0014, after 0013.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLES = (("tries", "rate_limit"), ("sign_in", "session"), ("departure", "post_exit"))
COLUMNS = (
    ("tablet", "taken", "last_counter"),
    ("tablet", "split_at", "closed_at"),
    ("tablet_day", "told_at", "reported_at"),
    ("follow_up", "resulted", "has_result"),
    ("attention", "place", "sort_key"),
    ("rate_limit", "place", "source"),
    ("nik_index", "blind", "blind_index"),
)
INDEXES = (
    ("attention", "ix_attention_place", "ix_attention_sort_key"),
    ("post_exit", "ix_departure_stream", "ix_post_exit_stream"),
)
_CONSTRAINTS = "SELECT conname FROM pg_constraint WHERE conrelid = CAST(:named AS regclass)"


def upgrade() -> None:
    for old, new in TABLES:
        op.rename_table(old, new)
        _rename_constraints(new, old, new)
    for table, old, new in COLUMNS:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
    for table, old, new in INDEXES:
        _rename_index(table, old, new)


def downgrade() -> None:
    for table, old, new in INDEXES:
        _rename_index(table, new, old)
    for table, old, new in COLUMNS:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {new} TO {old}")
    for old, new in TABLES:
        op.rename_table(new, old)
        _rename_constraints(old, new, old)


def _rename_constraints(table: str, old: str, new: str) -> None:
    """Give the keys of a table the names that they have in a new database. SQLite keeps names of keys as a remark only."""
    if op.get_bind().dialect.name == "sqlite":
        statement = sa.text("UPDATE sqlite_stat1 SET tbl = :new WHERE tbl = :old")
        op.get_bind().execute(statement, {"old": old, "new": new})
        statement = sa.text("UPDATE sqlite_stat1 SET idx = :new WHERE idx = :old")
        op.get_bind().execute(statement, {"old": old, "new": new})
        return
    for (name,) in op.get_bind().execute(sa.text(_CONSTRAINTS), {"named": table}).all():
        if f"_{old}" in name:
            op.execute(f'ALTER TABLE {table} RENAME CONSTRAINT "{name}" TO "{name.replace(old, new, 1)}"')


def _rename_index(table: str, old: str, new: str) -> None:
    """SQLite cannot rename an index: it is made anew, from the statement that it keeps of it."""
    bind = op.get_bind()
    if bind.dialect.name != "sqlite":
        op.execute(f"ALTER INDEX {old} RENAME TO {new}")
        return
    made = bind.execute(sa.text("SELECT sql FROM sqlite_master WHERE name = :old"), {"old": old}).scalar_one()
    op.drop_index(old, table)
    op.execute(made.replace(old, new, 1))
    shape = sa.text("UPDATE sqlite_stat1 SET idx = :new WHERE idx = :old")
    bind.execute(shape, {"old": old, "new": new})
