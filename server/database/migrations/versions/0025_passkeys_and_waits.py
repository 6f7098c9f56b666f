"""passkeys; waits after failed attempts, and nothing that locks an account

Revision: 0025, after 0019.
"""

import sqlalchemy as sa
from alembic import op

from server.database import models

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


ID = sa.Uuid(as_uuid=False).with_variant(sa.Text(), "sqlite")
COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.drop_column("account", "failed_tries")
    op.drop_column("account", "locked_until")
    op.add_column("rate_limit", sa.Column("last_at", models.Moment(), nullable=True))
    op.create_table(
        "passkey",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("user_handle", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", COUNT, nullable=False),
        sa.Column("created_at", models.Moment(), nullable=False),
        sa.Column("used_at", models.Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["district", "account_id"], ["account.district", "account.id"], name=op.f("fk_passkey_account")
        ),
        sa.PrimaryKeyConstraint("district", "credential_id", name=op.f("pk_passkey")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_passkey_account", "passkey", ["district", "account_id"])
    if op.get_bind().dialect.name == "sqlite":  # statistics for its planner, as in 0001
        for index, shape in (("passkey", "500 500 1"), ("ix_passkey_account", "500 500 2")):
            statement = sa.text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('passkey', :idx, :stat)")
            op.get_bind().execute(statement, {"idx": index, "stat": shape})


def downgrade() -> None:
    op.drop_table("passkey")
    op.drop_column("rate_limit", "last_at")
    op.add_column("account", sa.Column("locked_until", models.Moment(), nullable=True))
    op.add_column("account", sa.Column("failed_tries", sa.Integer(), nullable=False, server_default="0"))
    if op.get_bind().dialect.name != "sqlite":  # SQLite cannot drop a default
        op.alter_column("account", "failed_tries", server_default=None)
