"""covering index of aid activities by period: their rows are long, since they hold rows of CSR sheets

Revision: 0013, after 0012.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

COLUMNS = (
    *("district", "ends_on", "starts_on", "status", "village_code", "category"),
    *("same_as", "value_rp", "donor_id", "reported_to"),
)


def upgrade() -> None:
    op.create_index("ix_aid_activity_period", "aid_activity", COLUMNS)
    if op.get_bind().dialect.name == "sqlite":
        shape = "5000 5000 14 7 6 2 2 2 1 1 1"
        statement = sa.text(
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('aid_activity', :index, :shape)"
        )
        op.get_bind().execute(statement, {"index": "ix_aid_activity_period", "shape": shape})


def downgrade() -> None:
    op.drop_index("ix_aid_activity_period", "aid_activity")
