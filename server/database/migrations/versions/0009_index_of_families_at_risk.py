"""index of families at risk, so that the aid gap is found without reading every child

Revision: 0009, after 0008.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    holds = sa.text("krs_until IS NOT NULL")
    op.create_index(
        "ix_child_krs", "child", ["district", "krs_until"], sqlite_where=holds, postgresql_where=holds
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('child', 'ix_child_krs', '5000 5000 25')"
        )


def downgrade() -> None:
    op.drop_index("ix_child_krs", "child")
