"""the first tables

Revision: 0001, the first.
"""

import sqlalchemy as sa
from alembic import op

from server.database import models

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False).with_variant(sa.Text(), "sqlite")
COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TRUTH = sa.Boolean().with_variant(sa.Integer(), "sqlite")
REAL = sa.Float(precision=53).with_variant(sa.REAL(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("scope_kind", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("failed_tries", sa.Integer(), nullable=False),
        sa.Column("locked_until", models.Moment(), nullable=True),
        sa.Column("disabled_at", models.Moment(), nullable=True),
        sa.Column("created_at", models.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("district", "id", name=op.f("pk_account")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_stream",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("entries", COUNT, nullable=False),
        sa.Column("head_hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("district", "stream", name=op.f("pk_audit_stream")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "change",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("counter", COUNT, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("record_id", ID, nullable=True),
        sa.Column("child_id", ID, nullable=True),
        sa.Column("batch_id", ID, nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("header", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.Integer(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=True),
        sa.Column("received_at", models.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("district", "actor", "counter", name=op.f("pk_change")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("change", schema=None) as batch_op:
        batch_op.create_index("ix_change_record", ["district", "child_id", "record_id"], unique=False)

    op.create_table(
        "installation",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("incarnation", sa.Text(), nullable=False),
        sa.Column("created_at", models.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("district", name=op.f("pk_installation")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "job_run",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("ran_at", models.Moment(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("district", "job", name=op.f("pk_job_run")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "nik_index",
        sa.Column("blind", sa.LargeBinary(), nullable=False),
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("child_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("blind", "district", "child_id", name=op.f("pk_nik_index")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "notice",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("raised_at", models.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("district", "kind", "subject", name=op.f("pk_notice")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "region",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("parent_code", sa.Text(), nullable=True),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("district", "code", name=op.f("pk_region")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "username",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_username")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_entry",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("number", COUNT, nullable=False),
        sa.Column("at", models.Moment(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["district", "stream"],
            ["audit_stream.district", "audit_stream.stream"],
            name=op.f("fk_audit_entry_audit_stream"),
        ),
        sa.PrimaryKeyConstraint("district", "stream", "number", name=op.f("pk_audit_entry")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("audit_entry", schema=None) as batch_op:
        batch_op.create_index("ix_audit_entry_at", ["district", "at"], unique=False)

    op.create_table(
        "health_centre",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("subdistrict_code", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["district", "subdistrict_code"],
            ["region.district", "region.code"],
            name=op.f("fk_health_centre_region"),
        ),
        sa.PrimaryKeyConstraint("district", "id", name=op.f("pk_health_centre")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sign_in",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("token_digest", sa.Text(), nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("created_at", models.Moment(), nullable=False),
        sa.Column("expires_at", models.Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["district", "account_id"], ["account.district", "account.id"], name=op.f("fk_sign_in_account")
        ),
        sa.PrimaryKeyConstraint("district", "token_digest", name=op.f("pk_sign_in")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "health_post",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("health_centre_id", ID, nullable=False),
        sa.Column("village_code", sa.Text(), nullable=True),
        sa.Column("head_position", COUNT, nullable=False),
        sa.ForeignKeyConstraint(
            ["district", "health_centre_id"],
            ["health_centre.district", "health_centre.id"],
            name=op.f("fk_health_post_health_centre"),
        ),
        sa.ForeignKeyConstraint(
            ["district", "village_code"],
            ["region.district", "region.code"],
            name=op.f("fk_health_post_region"),
        ),
        sa.PrimaryKeyConstraint("district", "id", name=op.f("pk_health_post")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "child",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("post_id", ID, nullable=False),
        sa.Column("position", COUNT, nullable=False),
        sa.Column("registered", TRUTH, nullable=False),
        sa.Column("removed", TRUTH, nullable=False),
        sa.Column("conflicts", sa.Text(), nullable=False),
        sa.Column("sex", sa.Text(), nullable=True),
        sa.Column("born_on", models.CalendarDay(), nullable=True),
        sa.Column("state", sa.LargeBinary(), nullable=True),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("key_version", sa.Integer(), nullable=False),
        sa.Column("first_seen_at", models.Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["district", "post_id"],
            ["health_post.district", "health_post.id"],
            name=op.f("fk_child_health_post"),
        ),
        sa.PrimaryKeyConstraint("district", "id", name=op.f("pk_child")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("child", schema=None) as batch_op:
        batch_op.create_index("ix_child_stream", ["district", "post_id", "position"], unique=False)

    op.create_table(
        "departure",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("post_id", ID, nullable=False),
        sa.Column("child_id", ID, nullable=False),
        sa.Column("position", COUNT, nullable=False),
        sa.ForeignKeyConstraint(
            ["district", "post_id"],
            ["health_post.district", "health_post.id"],
            name=op.f("fk_departure_health_post"),
        ),
        sa.PrimaryKeyConstraint("district", "post_id", "child_id", name=op.f("pk_departure")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("departure", schema=None) as batch_op:
        batch_op.create_index("ix_departure_stream", ["district", "post_id", "position"], unique=False)

    op.create_table(
        "enrolment_code",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("code_digest", sa.Text(), nullable=False),
        sa.Column("post_id", ID, nullable=False),
        sa.Column("tablet_name", sa.Text(), nullable=False),
        sa.Column("expires_at", models.Moment(), nullable=False),
        sa.Column("used_at", models.Moment(), nullable=True),
        sa.Column("tablet_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["district", "post_id"],
            ["health_post.district", "health_post.id"],
            name=op.f("fk_enrolment_code_health_post"),
        ),
        sa.PrimaryKeyConstraint("district", "code_digest", name=op.f("pk_enrolment_code")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tablet",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("post_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("taken", COUNT, nullable=False),
        sa.Column("chain_hash", sa.Text(), nullable=False),
        sa.Column("enrolled_at", models.Moment(), nullable=False),
        sa.Column("revoked_at", models.Moment(), nullable=True),
        sa.Column("last_sync_at", models.Moment(), nullable=True),
        sa.Column("clock_offset_ms", COUNT, nullable=True),
        sa.Column("app", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["district", "post_id"],
            ["health_post.district", "health_post.id"],
            name=op.f("fk_tablet_health_post"),
        ),
        sa.PrimaryKeyConstraint("district", "id", name=op.f("pk_tablet")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "assessment",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("child_id", ID, nullable=False),
        sa.Column("measured_on", models.CalendarDay(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("age_days", sa.Integer(), nullable=True),
        sa.Column("haz", REAL, nullable=True),
        sa.Column("waz", REAL, nullable=True),
        sa.Column("whz", REAL, nullable=True),
        sa.Column("baz", REAL, nullable=True),
        sa.Column("hcz", REAL, nullable=True),
        sa.Column("acz", REAL, nullable=True),
        sa.Column("gain_code", sa.Text(), nullable=True),
        sa.Column("gain_g", sa.Integer(), nullable=True),
        sa.Column("reasons", sa.Text(), nullable=True),
        sa.Column("candidates", sa.Text(), nullable=True),
        sa.Column("inputs", COUNT, nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["district", "child_id"], ["child.district", "child.id"], name=op.f("fk_assessment_child")
        ),
        sa.PrimaryKeyConstraint("district", "child_id", "measured_on", "source", name=op.f("pk_assessment")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "batch",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("tablet_id", ID, nullable=False),
        sa.Column("batch_id", ID, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("receipt", sa.LargeBinary(), nullable=False),
        sa.Column("outcomes", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.Text(), nullable=False),
        sa.Column("received_at", models.Moment(), nullable=False),
        sa.Column("clock_offset_ms", COUNT, nullable=True),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["district", "tablet_id"], ["tablet.district", "tablet.id"], name=op.f("fk_batch_tablet")
        ),
        sa.PrimaryKeyConstraint("district", "tablet_id", "batch_id", name=op.f("pk_batch")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("batch", schema=None) as batch_op:
        batch_op.create_index("ix_batch_received_at", ["district", "received_at"], unique=False)

    op.create_table(
        "flag",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("child_id", ID, nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("urgency", sa.Integer(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("raised_at", models.Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["district", "child_id"], ["child.district", "child.id"], name=op.f("fk_flag_child")
        ),
        sa.PrimaryKeyConstraint("district", "child_id", "rule", "subject", name=op.f("pk_flag")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("flag", schema=None) as batch_op:
        batch_op.create_index("ix_flag_urgency", ["district", "urgency", "child_id"], unique=False)

    op.create_table(
        "measurement",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("child_id", ID, nullable=False),
        sa.Column("measured_on", models.CalendarDay(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("post_id", ID, nullable=False),
        sa.Column("position", COUNT, nullable=False),
        sa.Column("removed", TRUTH, nullable=False),
        sa.Column("conflicts", sa.Text(), nullable=False),
        sa.Column("weight_g", sa.Integer(), nullable=True),
        sa.Column("oedema", sa.Text(), nullable=True),
        sa.Column("length_mm", sa.Integer(), nullable=True),
        sa.Column("length_position", sa.Text(), nullable=True),
        sa.Column("muac_mm", sa.Integer(), nullable=True),
        sa.Column("head_mm", sa.Integer(), nullable=True),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["district", "child_id"], ["child.district", "child.id"], name=op.f("fk_measurement_child")
        ),
        sa.PrimaryKeyConstraint("district", "child_id", "measured_on", "source", name=op.f("pk_measurement")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("measurement", schema=None) as batch_op:
        batch_op.create_index("ix_measurement_stream", ["district", "post_id", "position"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        _add_statistics()


def _add_statistics() -> None:
    """Give SQLite's query planner statistics of typical data while the tables are still empty.

    Without them it assumes that every equality is selective: it preferred `district = ?` alone to any index that begins with
    the district, and one batch read the whole ledger.
    """
    op.execute("ANALYZE")
    for table, index, shape in _SHAPES:
        statement = sa.text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:tbl, :idx, :stat)")
        op.get_bind().execute(statement, {"tbl": table, "idx": index, "stat": shape})


# As in `sqlite_stat1`: number of rows, then average rows for each prefix of the index's columns (a district, a post …).
# The primary key of a table WITHOUT ROWID is listed under the table's name.
_SHAPES = (
    ("change", "change", "1000000 1000000 4000 1"),
    ("change", "ix_change_record", "1000000 1000000 30 2"),
    ("measurement", "measurement", "600000 600000 15 1 1"),
    ("measurement", "ix_measurement_stream", "600000 600000 1200 1"),
    ("assessment", "assessment", "600000 600000 15 1 1"),
    ("child", "child", "40000 40000 1"),
    ("child", "ix_child_stream", "40000 40000 70 1"),
    ("departure", "departure", "1000 1000 5 1"),
    ("departure", "ix_departure_stream", "1000 1000 5 1"),
    ("flag", "flag", "60000 60000 2 1 1"),
    ("flag", "ix_flag_urgency", "60000 60000 15000 2"),
    ("batch", "batch", "50000 50000 60 1"),
    ("batch", "ix_batch_received_at", "50000 50000 1"),
    ("audit_entry", "audit_entry", "100000 100000 100 1"),
    ("audit_entry", "ix_audit_entry_at", "100000 100000 1"),
)


def downgrade() -> None:
    with op.batch_alter_table("measurement", schema=None) as batch_op:
        batch_op.drop_index("ix_measurement_stream")

    op.drop_table("measurement")
    with op.batch_alter_table("flag", schema=None) as batch_op:
        batch_op.drop_index("ix_flag_urgency")

    op.drop_table("flag")
    with op.batch_alter_table("batch", schema=None) as batch_op:
        batch_op.drop_index("ix_batch_received_at")

    op.drop_table("batch")
    op.drop_table("assessment")
    op.drop_table("tablet")
    op.drop_table("enrolment_code")
    with op.batch_alter_table("departure", schema=None) as batch_op:
        batch_op.drop_index("ix_departure_stream")

    op.drop_table("departure")
    with op.batch_alter_table("child", schema=None) as batch_op:
        batch_op.drop_index("ix_child_stream")

    op.drop_table("child")
    op.drop_table("health_post")
    op.drop_table("sign_in")
    op.drop_table("health_centre")
    with op.batch_alter_table("audit_entry", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_entry_at")

    op.drop_table("audit_entry")
    op.drop_table("username")
    op.drop_table("region")
    op.drop_table("notice")
    op.drop_table("nik_index")
    op.drop_table("job_run")
    op.drop_table("installation")
    with op.batch_alter_table("change", schema=None) as batch_op:
        batch_op.drop_index("ix_change_record")

    op.drop_table("change")
    op.drop_table("audit_stream")
    op.drop_table("account")
