"""statistics of every table and index for SQLite's planner: two were lost when indexes were made anew under other names, and
small tables had none, so that it began with all posts where one page of the queue was asked for

Revision: 0018, after 0017.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# As in 0001: number of rows, then average rows for each prefix of the index's columns.
SHAPES = (
    ("attention", "ix_attention_sort_key", "20000 20000 2 1 1 1 1"),
    ("post_exit", "ix_post_exit_stream", "1000 1000 5 1"),
    ("account", "account", "2000 2000 1"),
    ("audit_stream", "audit_stream", "3000 3000 1"),
    ("enrolment_code", "enrolment_code", "2000 2000 1"),
    ("health_centre", "health_centre", "30 30 1"),
    ("health_post", "health_post", "800 800 1"),
    ("invitation", "invitation", "200 200 1"),
    ("job_run", "job_run", "20 20 1"),
    ("nik_index", "nik_index", "40000 1 1 1"),
    ("notice", "notice", "500 500 50 1"),
    ("rate_limit", "rate_limit", "500 500 50 2 1"),
    ("recovery_code", "recovery_code", "2000 2000 10 1"),
    ("region", "region", "300 300 1"),
    ("saved_view", "saved_view", "500 500 3 1"),
    ("session", "session", "500 500 1"),
    ("tablet", "tablet", "2000 2000 1"),
    ("username", "username", "2000 1"),
)


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    downgrade()  # `ANALYZE` may have been run since
    for table, index, shape in SHAPES:
        statement = sa.text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:tbl, :idx, :stat)")
        op.get_bind().execute(statement, {"tbl": table, "idx": index, "stat": shape})


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for _, index, _ in SHAPES:
            op.get_bind().execute(sa.text("DELETE FROM sqlite_stat1 WHERE idx = :idx"), {"idx": index})
