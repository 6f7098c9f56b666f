"""aid: donors, commitments, deliveries, and CSR sheets of companies

Revision: 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op

from server.database import models

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False).with_variant(sa.Text(), "sqlite")
COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TRUTH = sa.Boolean().with_variant(sa.Integer(), "sqlite")

_SHAPES = (
    ("donor", "donor", "500 500 1"),
    ("commitment", "commitment", "1000 1000 1"),
    ("csr_sheet", "csr_sheet", "500 500 1"),
    ("csr_sheet", "ix_csr_sheet_digest", "500 500 1"),
    ("aid_activity", "aid_activity", "20000 20000 1"),
    ("aid_activity", "ix_aid_activity_sheet", "20000 20000 40 1"),
    ("aid_activity", "ix_aid_activity_place", "20000 20000 80 1"),
    ("aid_activity", "ix_aid_activity_open", "200 200 5"),
    ("delivery", "delivery", "40000 40000 4 1"),
    ("delivery", "ix_delivery_stream", "40000 40000 40 1"),
    ("delivery", "ix_delivery_donor", "40000 40000 200"),
    ("delivery", "ix_delivery_conflicts", "100 100 5"),
)
"""Statistics for SQLite's planner, as in 0001."""


def upgrade() -> None:
    op.add_column("child", sa.Column("krs_until", models.CalendarDay(), nullable=True))
    op.create_table(
        "donor",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("authority", sa.Text(), nullable=True),
        sa.Column("named", TRUTH, nullable=False),
        sa.Column("contact", sa.LargeBinary(), nullable=True),
        sa.Column("columns", sa.Text(), nullable=True),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", models.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("district", "id", name=op.f("pk_donor")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "commitment",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("donor_id", ID, nullable=False),
        sa.Column("menu", sa.Text(), nullable=False),
        sa.Column("funds", sa.Text(), nullable=False),
        sa.Column("region_code", sa.Text(), nullable=False),
        sa.Column("places", sa.Integer(), nullable=False),
        sa.Column("value_rp", COUNT, nullable=False),
        sa.Column("starts_on", models.CalendarDay(), nullable=False),
        sa.Column("months", sa.Integer(), nullable=False),
        sa.Column("closed_at", models.Moment(), nullable=True),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", models.Moment(), nullable=False),
        _of_a("commitment", "donor", "donor_id"),
        sa.PrimaryKeyConstraint("district", "id", name=op.f("pk_commitment")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "csr_sheet",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("donor_id", ID, nullable=True),
        sa.Column("reported_to", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("brought_by", sa.Text(), nullable=False),
        sa.Column("brought_at", models.Moment(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        _of_a("csr_sheet", "donor", "donor_id"),
        sa.PrimaryKeyConstraint("district", "id", name=op.f("pk_csr_sheet")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_csr_sheet_digest", "csr_sheet", ["district", "digest"])
    op.create_table(
        "aid_activity",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("donor_id", ID, nullable=True),
        sa.Column("sheet_id", ID, nullable=True),
        sa.Column("row", sa.Integer(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("category_by", sa.Text(), nullable=False),
        sa.Column("menu", sa.Text(), nullable=False),
        sa.Column("funds", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("reported_to", sa.Text(), nullable=True),
        sa.Column("village_code", sa.Text(), nullable=True),
        sa.Column("child_id", ID, nullable=True),
        sa.Column("commitment_id", ID, nullable=True),
        sa.Column("starts_on", models.CalendarDay(), nullable=True),
        sa.Column("ends_on", models.CalendarDay(), nullable=True),
        sa.Column("reached", sa.Integer(), nullable=True),
        sa.Column("value_rp", COUNT, nullable=True),
        sa.Column("evidence", sa.Text(), nullable=True),
        sa.Column("same_as", sa.Text(), nullable=True),
        sa.Column("same_by", sa.Text(), nullable=True),
        sa.Column("verified_by", sa.Text(), nullable=True),
        sa.Column("verified_at", models.Moment(), nullable=True),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", models.Moment(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        _of_a("aid_activity", "donor", "donor_id"),
        _of_a("aid_activity", "csr_sheet", "sheet_id"),
        sa.PrimaryKeyConstraint("district", "id", name=op.f("pk_aid_activity")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_aid_activity_sheet", "aid_activity", ["district", "sheet_id", "row"])
    op.create_index("ix_aid_activity_place", "aid_activity", ["district", "village_code", "starts_on"])
    _few("ix_aid_activity_open", "aid_activity", "donor_id", "status = 'open'")
    op.create_table(
        "delivery",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("child_id", ID, nullable=False),
        sa.Column("delivery", ID, nullable=False),
        sa.Column("post_id", ID, nullable=False),
        sa.Column("position", COUNT, nullable=False),
        sa.Column("removed", TRUTH, nullable=False),
        sa.Column("conflicts", sa.Text(), nullable=False),
        sa.Column("menu", sa.Text(), nullable=True),
        sa.Column("funds", sa.Text(), nullable=True),
        sa.Column("reaches", sa.Text(), nullable=True),
        sa.Column("donor_id", ID, nullable=True),
        sa.Column("commitment_id", ID, nullable=True),
        sa.Column("starts_on", models.CalendarDay(), nullable=True),
        sa.Column("ends_on", models.CalendarDay(), nullable=True),
        sa.Column("given", sa.Integer(), nullable=False),
        sa.Column("given_on", models.CalendarDay(), nullable=True),
        sa.Column("quantity", sa.Integer(), nullable=True),
        sa.Column("value_rp", COUNT, nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.Integer(), nullable=False),
        _of_a("delivery", "child", "child_id"),
        sa.PrimaryKeyConstraint("district", "child_id", "delivery", name=op.f("pk_delivery")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_delivery_stream", "delivery", ["district", "post_id", "position"])
    op.create_index("ix_delivery_donor", "delivery", ["district", "donor_id"])
    _few("ix_delivery_conflicts", "delivery", "post_id", "conflicts <> ''")
    if op.get_bind().dialect.name == "sqlite":
        for table, index, shape in _SHAPES:
            statement = sa.text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:tbl, :idx, :stat)")
            op.get_bind().execute(statement, {"tbl": table, "idx": index, "stat": shape})


def _of_a(table: str, owner: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["district", column], [f"{owner}.district", f"{owner}.id"], name=op.f(f"fk_{table}_{owner}")
    )


def _few(name: str, table: str, column: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, ["district", column], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name in ("delivery", "aid_activity", "csr_sheet", "commitment", "donor"):
        op.drop_table(name)
    op.drop_column("child", "krs_until")
