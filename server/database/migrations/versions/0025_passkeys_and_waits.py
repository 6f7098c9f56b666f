"""waits after failed attempts; nothing locks an account any more

Revision: 0025, after 0019.
"""

import sqlalchemy as sa
from alembic import op

from server.database import models

revision = "0025"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("account", "failed_tries")
    op.drop_column("account", "locked_until")
    op.add_column("rate_limit", sa.Column("last_at", models.Moment(), nullable=True))


def downgrade() -> None:
    op.drop_column("rate_limit", "last_at")
    op.add_column("account", sa.Column("locked_until", models.Moment(), nullable=True))
    op.add_column("account", sa.Column("failed_tries", sa.Integer(), nullable=False, server_default="0"))
    if op.get_bind().dialect.name != "sqlite":  # SQLite cannot drop a default
        op.alter_column("account", "failed_tries", server_default=None)
