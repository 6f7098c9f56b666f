"""digests of the children in each chunk of an imported file, so that an erasure opens only the chunks that it changes

Revision: 0015, after 0014. Chunks that are stored already get theirs when the first erasure looks into them: a migration has
no key.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("import_chunk", sa.Column("children", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("import_chunk") as batch:
        batch.drop_column("children")
