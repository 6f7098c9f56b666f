"""rows bound to the log: how far the orders of digests in each stream have come

Revision: 0020, after 0019.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ENTRY = sa.table("audit_entry", *map(sa.column, ("district", "stream", "details")))
STREAM = sa.table("audit_stream", *map(sa.column, ("district", "stream", "bound")))


def upgrade() -> None:
    op.add_column("audit_stream", sa.Column("bound", COUNT, nullable=True))
    _count_again()


def _count_again() -> None:
    """Find in the log how far the orders had come, if the schema was put back to an earlier one in between."""
    bound = op.get_bind()
    entries = sa.select(ENTRY).where(ENTRY.c.details.contains('"bound":'))
    reached: dict[tuple[str, str], int] = {}
    for district, stream, details in bound.execute(entries):
        order = json.loads(details).get("bound", {}).get("order", 0)
        reached[district, stream] = max(order, reached.get((district, stream), 0))
    for (district, stream), order in reached.items():
        is_it = (STREAM.c.district == district, STREAM.c.stream == stream)
        bound.execute(sa.update(STREAM).where(*is_it).values(bound=order))


def downgrade() -> None:
    op.drop_column("audit_stream", "bound")
