"""witnesses of the log and what they cosigned; logs of others that are witnessed here

Revision: 0024, after 0019.
"""

import sqlalchemy as sa
from alembic import op

from server.database import models

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPTIONS = {"sqlite_strict": True, "sqlite_with_rowid": False}
SHAPES = (
    ("witness", "witness", "4 4 1"),
    ("cosignature", "cosignature", "20000 20000 2 1"),
    ("cosignature", "ix_cosignature_witness", "20000 20000 7000 1"),
    ("witnessed_log", "witnessed_log", "4 4 1"),
    ("witnessed_checkpoint", "witnessed_checkpoint", "6 6 1"),
)
"""Statistics for SQLite's planner, as in 0001."""


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, models.Moment(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "witness",
        *(_text(name) for name in ("district", "name", "place", "public_keys")),
        _moment("added_at"),
        _moment("removed_at", nullable=True),
        _text("failure", nullable=True),
        _moment("failed_at", nullable=True),
        sa.PrimaryKeyConstraint("district", "name", name=op.f("pk_witness")),
        **OPTIONS,
    )
    op.create_table(
        "cosignature",
        _text("district"),
        sa.Column("checkpoint", COUNT, nullable=False),
        _text("witness"),
        _text("lines"),
        _moment("at"),
        sa.ForeignKeyConstraint(
            ["district", "checkpoint"],
            ["audit_checkpoint.district", "audit_checkpoint.number"],
            name=op.f("fk_cosignature_audit_checkpoint"),
        ),
        sa.ForeignKeyConstraint(
            ["district", "witness"], ["witness.district", "witness.name"], name=op.f("fk_cosignature_witness")
        ),
        sa.PrimaryKeyConstraint("district", "checkpoint", "witness", name=op.f("pk_cosignature")),
        **OPTIONS,
    )
    op.create_index("ix_cosignature_witness", "cosignature", ["district", "witness", "checkpoint"])
    op.create_table(
        "witnessed_log",
        *(_text(name) for name in ("district", "origin", "public_keys")),
        _moment("added_at"),
        _moment("removed_at", nullable=True),
        sa.PrimaryKeyConstraint("district", "origin", name=op.f("pk_witnessed_log")),
        **OPTIONS,
    )
    op.create_table(
        "witnessed_checkpoint",
        *(_text(name) for name in ("district", "origin", "log")),
        sa.Column("size", COUNT, nullable=False),
        *(_text(name) for name in ("root", "note")),
        *(_moment(name) for name in ("first_at", "at")),
        _text("conflict", nullable=True),
        _moment("conflict_at", nullable=True),
        sa.ForeignKeyConstraint(
            ["district", "log"],
            ["witnessed_log.district", "witnessed_log.origin"],
            name=op.f("fk_witnessed_checkpoint_witnessed_log"),
        ),
        sa.PrimaryKeyConstraint("district", "origin", name=op.f("pk_witnessed_checkpoint")),
        **OPTIONS,
    )
    if op.get_bind().dialect.name == "sqlite":
        for table, index, shape in SHAPES:
            statement = sa.text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:tbl, :idx, :stat)")
            op.get_bind().execute(statement, {"tbl": table, "idx": index, "stat": shape})


def downgrade() -> None:
    for table in ("witnessed_checkpoint", "witnessed_log", "cosignature", "witness"):
        op.drop_table(table)
