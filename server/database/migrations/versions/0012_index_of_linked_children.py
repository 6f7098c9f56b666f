"""covering index of linked children: PostgreSQL expects nearly every row to be linked, and reads the whole table unless the
index has all columns of the query

Revision: 0012, after 0011.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

LINKED = sa.text("person_id <> id")


def upgrade() -> None:
    _index("id", "post_id")
    if op.get_bind().dialect.name == "sqlite":
        shape = (
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('child', 'ix_child_linked', '500 500 2 1 1')"
        )
        op.get_bind().execute(sa.text(shape))


def downgrade() -> None:
    _index()


def _index(*more: str) -> None:
    op.drop_index("ix_child_linked", "child")
    columns = ["district", "person_id", *more]
    op.create_index("ix_child_linked", "child", columns, sqlite_where=LINKED, postgresql_where=LINKED)
