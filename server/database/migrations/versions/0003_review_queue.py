"""follow-ups, the review queue, second factors, invitations, saved views

Revision: 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op

from server.database import models

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False).with_variant(sa.Text(), "sqlite")
COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TRUTH = sa.Boolean().with_variant(sa.Integer(), "sqlite")
REAL = sa.Float(precision=53).with_variant(sa.REAL(), "sqlite")


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    _follow_ups()
    _attention(sqlite)
    _accounts()
    op.create_index("ix_flag_rule", "flag", ["district", "rule", "child_id"])
    if sqlite:
        for table, index, shape in _SHAPES:
            statement = sa.text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:tbl, :idx, :stat)")
            op.get_bind().execute(statement, {"tbl": table, "idx": index, "stat": shape})


def _follow_ups() -> None:
    op.create_table(
        "follow_up",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("child_id", ID, nullable=False),
        sa.Column("task", ID, nullable=False),
        sa.Column("post_id", ID, nullable=False),
        sa.Column("position", COUNT, nullable=False),
        sa.Column("removed", TRUTH, nullable=False),
        sa.Column("conflicts", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("due_on", models.CalendarDay(), nullable=True),
        sa.Column("assigned_to", sa.Text(), nullable=True),
        sa.Column("course", ID, nullable=True),
        sa.Column("week", sa.Integer(), nullable=True),
        sa.Column("resulted", sa.Integer(), nullable=False),
        sa.Column("done_on", models.CalendarDay(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("covers", sa.Text(), nullable=True),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.Integer(), nullable=False),
        _of_a("follow_up", "child", "child_id"),
        sa.PrimaryKeyConstraint("district", "child_id", "task", name=op.f("pk_follow_up")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    few = (
        ("ix_follow_up_due", "due_on", "resulted = 0"),
        ("ix_follow_up_conflicts", "post_id", "conflicts <> ''"),
    )
    for name, column, condition in few:
        where = sa.text(condition)
        op.create_index(name, "follow_up", ["district", column], sqlite_where=where, postgresql_where=where)
    op.create_index("ix_follow_up_stream", "follow_up", ["district", "post_id", "position"])


def _attention(sqlite: bool) -> None:
    op.create_table(
        "attention",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("child_id", ID, nullable=False),
        sa.Column("post_id", ID, nullable=False),
        sa.Column("born_on", models.CalendarDay(), nullable=True),
        sa.Column("urgency", sa.Integer(), nullable=False),
        sa.Column("red_flags", sa.Integer(), nullable=False),
        sa.Column("place", REAL, nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("assigned_to", sa.Text(), nullable=True),
        sa.Column("due_on", models.CalendarDay(), nullable=True),
        _of_a("attention", "child", "child_id"),
        sa.PrimaryKeyConstraint("district", "child_id", name=op.f("pk_attention")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    z = (
        "CAST(json_extract(f.details, '$.z') AS REAL)"
        if sqlite
        else "CAST(CAST(f.details AS json)->>'z' AS double precision)"
    )
    ranks = " ".join(f"WHEN '{rule}' THEN {place}" for place, rule in enumerate(_RULES))
    worst = f"COALESCE(MAX(CASE WHEN f.rule = 'oedema' THEN 99.0 ELSE ABS({z}) END), 0.0)"
    reds = "SUM(CASE WHEN f.urgency = 1 THEN 1 ELSE 0 END)"
    place = (  # as `review_queue.sort_key`
        f"MIN(f.urgency) * 1000000.0 + (49 - {reds}) * 10000.0"
        f" + MIN(CASE f.rule {ranks} ELSE {len(_RULES)} END) * 100.0 + 99.99 - {worst}"
    )
    each = (
        "SELECT DISTINCT o.rule AS rule FROM flag o WHERE o.district = f.district AND o.child_id = f.child_id"
    )
    joined = "group_concat(rule, ' ')" if sqlite else "string_agg(rule, ' ' ORDER BY rule COLLATE \"C\")"
    # as `review_queue.rules_text`
    rules = f"' ' || (SELECT {joined} FROM ({each} ORDER BY rule) AS of_child) || ' '"  # noqa: S608  # our own words
    rounded = f"ROUND(CAST({place} AS {'REAL' if sqlite else 'numeric'}), 2)"
    op.execute(  # every flagged child; before this release there were no decisions about them
        "INSERT INTO attention (district, child_id, post_id, born_on, urgency, red_flags, place, rules, status)"  # noqa: S608  # our own words
        f" SELECT f.district, f.child_id, c.post_id, c.born_on, MIN(f.urgency), {reds}, {rounded}, {rules}, 'new'"
        " FROM flag f JOIN child c ON c.district = f.district AND c.id = f.child_id"
        " GROUP BY f.district, f.child_id, c.post_id, c.born_on"
    )
    op.create_index("ix_attention_place", "attention", ["district", "place", "child_id"])
    op.create_index("ix_attention_post", "attention", ["district", "post_id", "urgency", "status"])


def _accounts() -> None:
    op.add_column("account", sa.Column("totp_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("account", sa.Column("totp_step", COUNT, nullable=True))
    op.add_column("account", sa.Column("password_set_at", models.Moment(), nullable=True))
    op.drop_table("sign_in")  # everybody signs in again, with a second factor
    op.create_table(
        "sign_in",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("token_digest", sa.Text(), nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("created_at", models.Moment(), nullable=False),
        sa.Column("expires_at", models.Moment(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("last_seen_at", models.Moment(), nullable=False),
        sa.Column("passed_at", models.Moment(), nullable=True),
        _of_a("sign_in", "account", "account_id"),
        sa.PrimaryKeyConstraint("district", "token_digest", name=op.f("pk_sign_in")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "invitation",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("token_digest", sa.Text(), nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", models.Moment(), nullable=False),
        sa.Column("expires_at", models.Moment(), nullable=False),
        sa.Column("used_at", models.Moment(), nullable=True),
        _of_a("invitation", "account", "account_id"),
        sa.PrimaryKeyConstraint("district", "token_digest", name=op.f("pk_invitation")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "recovery_code",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("code_digest", sa.Text(), nullable=False),
        sa.Column("used_at", models.Moment(), nullable=True),
        _of_a("recovery_code", "account", "account_id"),
        sa.PrimaryKeyConstraint("district", "account_id", "code_digest", name=op.f("pk_recovery_code")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tries",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("window_at", models.Moment(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("district", "what", "place", "window_at", name=op.f("pk_tries")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "saved_view",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        _of_a("saved_view", "account", "account_id"),
        sa.PrimaryKeyConstraint("district", "account_id", "name", name=op.f("pk_saved_view")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _of_a(table: str, owner: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["district", column], [f"{owner}.district", f"{owner}.id"], name=op.f(f"fk_{table}_{owner}")
    )


# The rules in order, as of this release.
_RULES = (
    *("oedema", "severely_wasted", "muac_severe", "below_red_line", "severely_stunted", "stunted", "wasted"),
    *("muac_moderate", "underweight", "two_t", "conflict", "removal_contested", "implausible"),
    *(
        "measured_before_birth",
        "possible_duplicate",
        "date_doubtful",
        "length_shrank",
        "weight_jumped",
        "copied",
    ),
    *(
        "position_unlikely",
        "not_gaining",
        "overweight",
        "birth_date_unknown",
        "sex_unknown",
        "not_registered",
    ),
    *("incomplete", "above_orange_line", "not_seen"),
)

# Statistics for SQLite's planner, as in 0001.
_SHAPES = (
    ("follow_up", "follow_up", "40000 40000 4 1"),
    ("follow_up", "ix_follow_up_stream", "40000 40000 40 1"),
    ("follow_up", "ix_follow_up_due", "4000 4000 40"),
    ("follow_up", "ix_follow_up_conflicts", "100 100 5"),
    ("attention", "attention", "20000 20000 1"),
    ("attention", "ix_attention_place", "20000 20000 2 1"),
    ("attention", "ix_attention_post", "20000 20000 25 6 3"),
    ("flag", "ix_flag_rule", "60000 60000 2000 1"),
)


def downgrade() -> None:
    op.drop_index("ix_flag_rule", "flag")
    for table in ("saved_view", "tries", "recovery_code", "invitation"):
        op.drop_table(table)
    op.drop_table("sign_in")
    op.create_table(
        "sign_in",
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("token_digest", sa.Text(), nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("created_at", models.Moment(), nullable=False),
        sa.Column("expires_at", models.Moment(), nullable=False),
        _of_a("sign_in", "account", "account_id"),
        sa.PrimaryKeyConstraint("district", "token_digest", name=op.f("pk_sign_in")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    for column in ("password_set_at", "totp_step", "totp_sealed"):
        op.drop_column("account", column)
    op.drop_table("attention")
    op.drop_table("follow_up")
