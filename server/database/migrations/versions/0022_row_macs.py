"""MACs of the rows that decide who may do what, under a key that is not in the database

Rows that are here get theirs when the installation is next opened with its keys (`accounts.vouching`). Sessions, open
invitations and open enrolment codes end then: their digests were not keyed.

Revision: 0022, after 0019.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0020"
branch_labels = None
depends_on = None

TABLES = (
    *("account", "username", "invitation", "recovery_code", "session"),
    *("tablet", "tablet_post", "enrolment_code"),
)


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("mac", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "mac")
