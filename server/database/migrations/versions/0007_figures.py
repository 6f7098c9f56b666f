"""figures by area and month, and which must be counted again

Revision: 0007, after 0006.
"""

import sqlalchemy as sa
from alembic import op

from server.database import models

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False).with_variant(sa.Text(), "sqlite")
COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_SHAPES = (
    ("figures", "figures", "60000 60000 1000 300 1"),
    ("figures", "ix_figures_area", "60000 60000 12000 60 1"),
    ("figures_post", "figures_post", "800 800 1"),
    ("figures_month", "figures_month", "20 20 1"),
)
"""Statistics for SQLite's planner, as in 0001."""


def upgrade() -> None:
    op.create_table(
        "figures",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("month", models.CalendarDay(), nullable=False),
        sa.Column("area_kind", sa.Text(), nullable=False),
        sa.Column("area", sa.Text(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("hidden", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("district", "month", "area_kind", "area", name=op.f("pk_figures")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_figures_area", "figures", ["district", "area_kind", "area", "month"])
    op.create_table(
        "figures_post",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("post_id", ID, nullable=False),
        sa.Column("position", COUNT, nullable=False),
        sa.Column("month", models.CalendarDay(), nullable=False),
        sa.Column("counted_at", models.Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["district", "post_id"],
            ["health_post.district", "health_post.id"],
            name=op.f("fk_figures_post_health_post"),
        ),
        sa.PrimaryKeyConstraint("district", "post_id", name=op.f("pk_figures_post")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "figures_month",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("month", models.CalendarDay(), nullable=False),
        sa.PrimaryKeyConstraint("district", "month", name=op.f("pk_figures_month")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "sqlite":
        for table, index, shape in _SHAPES:
            statement = sa.text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:tbl, :idx, :stat)")
            op.get_bind().execute(statement, {"tbl": table, "idx": index, "stat": shape})


def downgrade() -> None:
    for name in ("figures_month", "figures_post", "figures"):
        op.drop_table(name)
