"""what supervisors read of a post's month, computed in advance; covering indexes for the aid gap, and of linked children

Revision: 0010, after 0009.
"""

import sqlalchemy as sa
from alembic import op

from server.database import models

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

AT_RISK = "krs_until IS NOT NULL"
PROMISED = "commitment_id IS NOT NULL"
PLACE = ["district", "place", "child_id"]
ID = sa.Uuid(as_uuid=False).with_variant(sa.Text(), "sqlite")

_SHAPES = (
    ("post_month", "post_month", "10000 10000 800 1"),
    ("child", "ix_child_linked", "500 500 2"),
    ("child", "ix_child_krs", "5000 5000 25 1 1 1 1 1 1"),
    ("attention", "ix_attention_place", "20000 20000 2 1 1 1 1"),
    ("delivery", "ix_delivery_commitment", "5000 5000 30 30 20"),
)
"""Statistics for SQLite's planner, as in 0001."""


def upgrade() -> None:
    op.create_table(
        "post_month",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("month", models.CalendarDay(), nullable=False),
        sa.Column("post_id", ID, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("others", sa.Text(), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["district", "post_id"],
            ["health_post.district", "health_post.id"],
            name=op.f("fk_post_month_health_post"),
        ),
        sa.PrimaryKeyConstraint("district", "month", "post_id", name=op.f("pk_post_month")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    _index_few("delivery", "ix_delivery_commitment", "commitment_id", "removed", "given", where=PROMISED)
    _index_few("child", "ix_child_linked", "person_id", where="person_id <> id")
    op.drop_index("ix_child_krs", "child")
    whole = "krs_until", "person_id", "id", "post_id", "born_on", "removed", "restricted_at"
    _index_few("child", "ix_child_krs", *whole, where=AT_RISK)
    op.drop_index("ix_attention_place", "attention")
    op.create_index("ix_attention_place", "attention", [*PLACE, "urgency", "post_id", "rules"])
    if op.get_bind().dialect.name == "sqlite":
        for table, index, shape in _SHAPES:
            statement = sa.text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:tbl, :idx, :stat)")
            op.get_bind().execute(statement, {"tbl": table, "idx": index, "stat": shape})


def _index_few(table: str, name: str, *columns: str, where: str) -> None:
    holds = sa.text(where)
    op.create_index(name, table, ["district", *columns], sqlite_where=holds, postgresql_where=holds)


def downgrade() -> None:
    op.drop_index("ix_attention_place", "attention")
    op.create_index("ix_attention_place", "attention", PLACE)
    op.drop_index("ix_child_krs", "child")
    _index_few("child", "ix_child_krs", "krs_until", where=AT_RISK)
    op.drop_index("ix_child_linked", "child")
    op.drop_index("ix_delivery_commitment", "delivery")
    op.drop_table("post_month")
