"""audit log: signed checkpoints and the leaves of its Merkle tree

Revision: 0004, after 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "audit_checkpoint",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("number", COUNT, nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("signatures", sa.Text(), nullable=False),
        sa.Column("peaks", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("district", "number", name=op.f("pk_audit_checkpoint")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_leaf",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("checkpoint", COUNT, nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("entries", COUNT, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["district", "checkpoint"],
            ["audit_checkpoint.district", "audit_checkpoint.number"],
            name=op.f("fk_audit_leaf_audit_checkpoint"),
        ),
        sa.PrimaryKeyConstraint("district", "checkpoint", "stream", name=op.f("pk_audit_leaf")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_audit_leaf_stream", "audit_leaf", ["district", "stream", "entries"])
    if op.get_bind().dialect.name == "sqlite":
        for table, index, shape in _SHAPES:
            statement = sa.text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:tbl, :idx, :stat)")
            op.get_bind().execute(statement, {"tbl": table, "idx": index, "stat": shape})


# Statistics for SQLite's planner, as in 0001.
_SHAPES = (
    ("audit_checkpoint", "audit_checkpoint", "9000 9000 1"),
    ("audit_leaf", "audit_leaf", "200000 200000 25 1"),
    ("audit_leaf", "ix_audit_leaf_stream", "200000 200000 300 1"),
)


def downgrade() -> None:
    op.drop_table("audit_leaf")
    op.drop_table("audit_checkpoint")
