"""devices that only send, such as scales: a mark of the enrolment and of its code

Revision: 0016, after 0015.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TABLES = ("tablet", "enrolment_code")
TRUTH = sa.Boolean().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table in TABLES:
        first = "0" if sqlite else sa.false()
        op.add_column(table, sa.Column("write_only", TRUTH, nullable=False, server_default=first))
        if not sqlite:  # SQLite cannot drop a default; the models always give a value
            op.alter_column(table, "write_only", server_default=None)


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "write_only")
