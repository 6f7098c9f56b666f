"""when a post was closed: it takes no new tablets or children, and may be opened again

Revision: 0017, after 0016.
"""

import sqlalchemy as sa
from alembic import op

from server.database import models

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("health_post", sa.Column("closed_at", models.Moment(), nullable=True))


def downgrade() -> None:
    op.drop_column("health_post", "closed_at")
