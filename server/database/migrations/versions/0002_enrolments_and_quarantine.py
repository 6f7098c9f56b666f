"""closed and continued enrolments, quarantine decisions, possible duplicates, days of measuring, doubtful clocks

Revision: 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

from server.database import models

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False).with_variant(sa.Text(), "sqlite")
COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    added = (
        ("tablet", "head_counter", COUNT, "0"),
        ("tablet", "token", sa.Text(), ""),
        ("tablet", "token_before", sa.Text(), ""),
        ("child", "clock_days", sa.Integer(), "0"),
        ("measurement", "clock_days", sa.Integer(), "0"),
        ("change", "clock_days", sa.Integer(), "0"),
    )
    for table, name, kind, first in added:
        op.add_column(table, sa.Column(name, kind, nullable=False, server_default=first))
        if not sqlite:  # SQLite cannot drop a default; the models always give a value
            op.alter_column(table, name, server_default=None)
    op.execute("UPDATE tablet SET head_counter = taken")
    op.add_column("tablet", sa.Column("token_batch", ID, nullable=True))
    op.add_column("tablet", sa.Column("split_at", models.Moment(), nullable=True))
    op.add_column("tablet", sa.Column("replaces", ID, nullable=True))
    if sqlite:
        op.add_column("child", sa.Column("person_id", ID, nullable=False, server_default=""))
    else:
        op.add_column("child", sa.Column("person_id", ID, nullable=True))
    op.execute("UPDATE child SET person_id = id")
    if not sqlite:
        op.alter_column("child", "person_id", nullable=False)
    op.create_index("ix_child_person", "child", ["district", "person_id"])
    op.create_index("ix_child_born_on", "child", ["district", "born_on", "sex"])
    op.add_column("child", sa.Column("same_as", ID, nullable=True))
    op.create_index("ix_child_same_as", "child", ["district", "same_as"])
    for table, name, column, where in _FEW:
        holds = sa.text(where)
        op.create_index(name, table, ["district", column], sqlite_where=holds, postgresql_where=holds)
    op.create_table(
        "quarantine_decision",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("counter", COUNT, nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("released_actor", sa.Text(), nullable=True),
        sa.Column("released_counter", COUNT, nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("decided_at", models.Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["district", "actor", "counter"],
            ["change.district", "change.actor", "change.counter"],
            name=op.f("fk_quarantine_decision_change"),
        ),
        sa.PrimaryKeyConstraint("district", "actor", "counter", name=op.f("pk_quarantine_decision")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "duplicate_pair",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("child_id", ID, nullable=False),
        sa.Column("other_id", ID, nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("found_at", models.Moment(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", models.Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["district", "child_id"],
            ["child.district", "child.id"],
            name=op.f("fk_duplicate_pair_child"),
        ),
        sa.PrimaryKeyConstraint("district", "child_id", "other_id", name=op.f("pk_duplicate_pair")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_duplicate_pair_other", "duplicate_pair", ["district", "other_id"])
    op.create_table(
        "tablet_day",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("tablet_id", ID, nullable=False),
        sa.Column("measured_on", models.CalendarDay(), nullable=False),
        sa.Column("measured", sa.Integer(), nullable=False),
        sa.Column("told_at", models.Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["district", "tablet_id"],
            ["tablet.district", "tablet.id"],
            name=op.f("fk_tablet_day_tablet"),
        ),
        sa.PrimaryKeyConstraint("district", "tablet_id", "measured_on", name=op.f("pk_tablet_day")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    if sqlite:
        for table, index, shape in _SHAPES:
            statement = sa.text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:tbl, :idx, :stat)")
            op.get_bind().execute(statement, {"tbl": table, "idx": index, "stat": shape})


# Partial indexes of the few rows that wait for a person.
_FEW = (
    ("change", "ix_change_quarantined", "received_at", "outcome = 'quarantined'"),
    ("child", "ix_child_conflicts", "post_id", "conflicts <> ''"),
    ("measurement", "ix_measurement_conflicts", "post_id", "conflicts <> ''"),
)

# Statistics for SQLite's planner, as in 0001.
_SHAPES = (
    ("child", "ix_child_person", "40000 40000 1"),
    ("child", "ix_child_born_on", "40000 40000 20 10"),
    ("change", "ix_change_quarantined", "5000 5000 1"),
    ("child", "ix_child_conflicts", "200 200 2"),
    ("measurement", "ix_measurement_conflicts", "2000 2000 10"),
    ("child", "ix_child_same_as", "40000 40000 2"),
    ("duplicate_pair", "duplicate_pair", "2000 2000 1 1"),
    ("duplicate_pair", "ix_duplicate_pair_other", "2000 2000 1"),
    ("quarantine_decision", "quarantine_decision", "2000 2000 10 1"),
    ("tablet_day", "tablet_day", "20000 20000 20 1"),
)


def downgrade() -> None:
    op.drop_table("tablet_day")
    op.drop_index("ix_duplicate_pair_other", "duplicate_pair")
    op.drop_table("duplicate_pair")
    op.drop_table("quarantine_decision")
    for table, name, _, _ in _FEW:
        op.drop_index(name, table)
    op.drop_index("ix_child_same_as", "child")
    op.drop_column("child", "same_as")
    op.drop_index("ix_child_born_on", "child")
    op.drop_index("ix_child_person", "child")
    op.drop_column("child", "person_id")
    for name in ("replaces", "split_at", "token_batch", "token_before", "token", "head_counter"):
        op.drop_column("tablet", name)
    for table in ("change", "measurement", "child"):
        op.drop_column(table, "clock_days")
