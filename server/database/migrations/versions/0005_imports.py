"""imported files: runs, their rows, and rows that a person must decide about

Revision: 0005, after 0004.
"""

import sqlalchemy as sa
from alembic import op

from server.database import models

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False).with_variant(sa.Text(), "sqlite")


_SHAPES = (
    ("import_run", "import_run", "500 500 1"),
    ("import_run", "ix_import_run_digest", "500 500 1"),
    ("import_chunk", "import_chunk", "20000 20000 100 1"),
    ("import_case", "import_case", "20000 20000 1"),
    ("import_case", "ix_import_case_open", "20000 20000 5000 20"),
    ("import_case", "ix_import_case_who", "20000 20000 2"),
)
"""Statistics for SQLite's planner, as in 0001."""


def upgrade() -> None:
    op.create_table(
        "import_run",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("scope_kind", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("started_by", sa.Text(), nullable=False),
        sa.Column("started_at", models.Moment(), nullable=False),
        sa.Column("finished_at", models.Moment(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("district", "id", name=op.f("pk_import_run")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_import_run_digest", "import_run", ["district", "digest"])
    op.create_table(
        "import_chunk",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        _of_a_run("import_chunk"),
        sa.PrimaryKeyConstraint("district", "run_id", "number", name=op.f("pk_import_chunk")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "import_case",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("post_id", ID, nullable=False),
        sa.Column("who", ID, nullable=False),
        sa.Column("candidates", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("child_id", ID, nullable=True),
        sa.Column("found_at", models.Moment(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", models.Moment(), nullable=True),
        _of_a_run("import_case"),
        sa.PrimaryKeyConstraint("district", "id", name=op.f("pk_import_case")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_import_case_open", "import_case", ["district", "status", "post_id"])
    op.create_index("ix_import_case_who", "import_case", ["district", "who"])
    if op.get_bind().dialect.name == "sqlite":
        for table, index, shape in _SHAPES:
            statement = sa.text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:tbl, :idx, :stat)")
            op.get_bind().execute(statement, {"tbl": table, "idx": index, "stat": shape})


def _of_a_run(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["district", "run_id"],
        ["import_run.district", "import_run.id"],
        name=op.f(f"fk_{table}_import_run"),
    )


def downgrade() -> None:
    for name in ("import_case", "import_chunk", "import_run"):
        op.drop_table(name)
