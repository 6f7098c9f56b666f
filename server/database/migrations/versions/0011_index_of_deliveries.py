"""covering index of deliveries, so that present aid is read from the index alone

Revision: 0011, after 0010.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

COLUMNS = (
    *("district", "removed", "ends_on", "starts_on", "given_on", "given", "outcome", "menu", "funds"),
    *("donor_id", "value_rp", "child_id", "post_id"),
)


def upgrade() -> None:
    op.create_index("ix_delivery_standing", "delivery", COLUMNS)
    if op.get_bind().dialect.name == "sqlite":
        shape = "5000 5000 5000 20 10 5 5 5 4 3 2 2 1 1"
        statement = sa.text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('delivery', :index, :shape)")
        op.get_bind().execute(statement, {"index": "ix_delivery_standing", "shape": shape})


def downgrade() -> None:
    op.drop_index("ix_delivery_standing", "delivery")
