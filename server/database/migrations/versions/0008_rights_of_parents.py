"""rights of parents: consent, requests, restriction, erasure

Revision: 0008, after 0007.
"""

import sqlalchemy as sa
from alembic import op

from server.database import models

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False).with_variant(sa.Text(), "sqlite")

_RESTRICTED = "restricted_at IS NOT NULL"
_DUE = "status IN ('open', 'waiting')"
_SHAPES = (
    ("child", "ix_child_restricted", "20 20 1"),
    ("rights_request", "rights_request", "500 500 1"),
    ("rights_request", "ix_rights_request_child", "500 500 2"),
    ("rights_request", "ix_rights_request_due", "20 20 1"),
    ("erasure", "erasure", "100 100 1"),
)
"""Statistics for SQLite's planner, as in 0001."""


def upgrade() -> None:
    op.add_column("child", sa.Column("restricted_at", models.Moment(), nullable=True))
    _few("ix_child_restricted", "child", "id", _RESTRICTED)
    op.create_table(
        "rights_request",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("child_id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("relation", sa.Text(), nullable=False),
        sa.Column("asked", sa.LargeBinary(), nullable=True),
        sa.Column("asked_at", models.Moment(), nullable=False),
        sa.Column("due_at", models.Moment(), nullable=False),
        sa.Column("received_by", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", models.Moment(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        _of_a_child("rights_request"),
        sa.PrimaryKeyConstraint("district", "id", name=op.f("pk_rights_request")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_rights_request_child", "rights_request", ["district", "child_id"])
    _few("ix_rights_request_due", "rights_request", "due_at", _DUE)
    op.create_table(
        "erasure",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("child_id", ID, nullable=False),
        sa.Column("erased_at", models.Moment(), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("agreed_by", sa.Text(), nullable=False),
        _of_a_child("erasure"),
        sa.PrimaryKeyConstraint("district", "child_id", name=op.f("pk_erasure")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "sqlite":
        for table, index, shape in _SHAPES:
            statement = sa.text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:tbl, :idx, :stat)")
            op.get_bind().execute(statement, {"tbl": table, "idx": index, "stat": shape})


def _few(name: str, table: str, column: str, where: str) -> None:
    holds = sa.text(where)
    op.create_index(name, table, ["district", column], sqlite_where=holds, postgresql_where=holds)


def _of_a_child(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["district", "child_id"], ["child.district", "child.id"], name=op.f(f"fk_{table}_child")
    )


def downgrade() -> None:
    for name in ("erasure", "rights_request"):
        op.drop_table(name)
    op.drop_index("ix_child_restricted", "child")
    op.drop_column("child", "restricted_at")
