"""tablets of staff with several posts: the posts of each, and of a code that was not used yet

Revision: 0019, after 0018.
"""

import sqlalchemy as sa
from alembic import op

from server.database import models

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False).with_variant(sa.Text(), "sqlite")
TRUTH = sa.Boolean().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    first = "0" if sqlite else sa.false()
    op.add_column("tablet", sa.Column("several", TRUTH, nullable=False, server_default=first))
    if not sqlite:  # SQLite cannot drop a default; the models always give a value
        op.alter_column("tablet", "several", server_default=None)
    op.add_column("enrolment_code", sa.Column("posts", sa.Text(), nullable=True))
    op.create_table(
        "tablet_post",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("tablet_id", ID, nullable=False),
        sa.Column("post_id", ID, nullable=False),
        sa.Column("given_at", models.Moment(), nullable=False),
        sa.Column("taken_at", models.Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["district", "tablet_id"],
            ["tablet.district", "tablet.id"],
            name=op.f("fk_tablet_post_tablet"),
        ),
        sa.ForeignKeyConstraint(
            ["district", "post_id"],
            ["health_post.district", "health_post.id"],
            name=op.f("fk_tablet_post_health_post"),
        ),
        sa.PrimaryKeyConstraint("district", "tablet_id", "post_id", name=op.f("pk_tablet_post")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_tablet_post_post", "tablet_post", ["district", "post_id"])
    if sqlite:  # statistics for its planner, as in 0001
        for index, shape in (("tablet_post", "500 500 5 1"), ("ix_tablet_post_post", "500 500 2")):
            statement = sa.text(
                "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('tablet_post', :idx, :stat)"
            )
            op.get_bind().execute(statement, {"idx": index, "stat": shape})


def downgrade() -> None:
    op.drop_table("tablet_post")
    op.drop_column("enrolment_code", "posts")
    op.drop_column("tablet", "several")
