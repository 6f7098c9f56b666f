"""How changes arrive: tablets, uploads, the ledger of changes, and what a person decided about quarantined ones.

A stored change is never edited. Only its `content` is ever replaced: removed when the child is erased, and, of a quarantined
change, encrypted again when the district's key is renewed.

`mac` of a row vouches for it (`database.row_macs`).
"""

from datetime import date, datetime

from sqlalchemy import ForeignKeyConstraint, Index, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from server.database.models.columns import (
    Base,
    CalendarDay,
    Count,
    Id,
    Moment,
    Truth,
    partial_index,
    refers_to,
    table_args,
)


class Tablet(Base):
    """One enrolment of one device.

    - `last_counter`, `chain_hash`: the last counter held here without a gap, and the hash of the chain up to it.
    - `head_counter`: the newest counter that the tablet has announced; those after `last_counter` are missing here.
    - `token` must come back with the next batch; `token_before` with a repetition of batch `token_batch`, whose answer
      handed out `token`.
    - `closed_at`: when this enrolment was closed, because two devices shared it or its own device was restored.
    - `replaces`: the closed enrolment that this one continues.
    - `write_only`: it sends and never gets a child's data, such as a scale.
    - `several`: a tablet of staff, whose posts are in `tablet_post`; `post_id` is the one of its code, and stays.
    """

    __tablename__ = "tablet"
    __table_args__ = table_args(refers_to("health_post", "post_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    post_id: Mapped[str] = mapped_column(Id)
    name: Mapped[str] = mapped_column(Text)
    public_key: Mapped[str] = mapped_column(Text)
    last_counter: Mapped[int] = mapped_column(Count, default=0)
    chain_hash: Mapped[str] = mapped_column(Text, default="")
    enrolled_at: Mapped[datetime] = mapped_column(Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)
    last_sync_at: Mapped[datetime | None] = mapped_column(Moment)
    clock_offset_ms: Mapped[int | None] = mapped_column(Count)
    app: Mapped[str] = mapped_column(Text, default="")
    head_counter: Mapped[int] = mapped_column(Count, default=0)
    token: Mapped[str] = mapped_column(Text, default="")
    token_before: Mapped[str] = mapped_column(Text, default="")
    token_batch: Mapped[str | None] = mapped_column(Id)
    closed_at: Mapped[datetime | None] = mapped_column(Moment)
    replaces: Mapped[str | None] = mapped_column(Id)
    write_only: Mapped[bool] = mapped_column(Truth, default=False)
    several: Mapped[bool] = mapped_column(Truth, default=False)
    mac: Mapped[bytes | None] = mapped_column(LargeBinary)


class TabletPost(Base):
    """A post of a tablet of staff, since when it has it, and since when no more. One that is given again keeps its row."""

    __tablename__ = "tablet_post"
    __table_args__ = table_args(
        refers_to("tablet", "tablet_id", to=("id",)),
        refers_to("health_post", "post_id", to=("id",)),
        Index("ix_tablet_post_post", "district", "post_id"),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    tablet_id: Mapped[str] = mapped_column(Id, primary_key=True)
    post_id: Mapped[str] = mapped_column(Id, primary_key=True)
    given_at: Mapped[datetime] = mapped_column(Moment)
    taken_at: Mapped[datetime | None] = mapped_column(Moment)
    mac: Mapped[bytes | None] = mapped_column(LargeBinary)


class EnrolmentCode(Base):
    """A one-time code that makes a device a tablet of a post. Only the code's keyed digest is stored.

    `posts`: the other posts that a tablet of staff gets, a JSON list of ids; null for a tablet of one post.
    """

    __tablename__ = "enrolment_code"
    __table_args__ = table_args(refers_to("health_post", "post_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    code_digest: Mapped[str] = mapped_column(Text, primary_key=True)
    post_id: Mapped[str] = mapped_column(Id)
    tablet_name: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    used_at: Mapped[datetime | None] = mapped_column(Moment)
    tablet_id: Mapped[str | None] = mapped_column(Id)
    write_only: Mapped[bool] = mapped_column(Truth, default=False)
    posts: Mapped[str | None] = mapped_column(Text)
    mac: Mapped[bytes | None] = mapped_column(LargeBinary)


class TabletDay(Base):
    """How many children a tablet says it measured on a day, to compare with what is stored."""

    __tablename__ = "tablet_day"
    __table_args__ = table_args(refers_to("tablet", "tablet_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    tablet_id: Mapped[str] = mapped_column(Id, primary_key=True)
    measured_on: Mapped[date] = mapped_column(CalendarDay, primary_key=True)
    measured: Mapped[int] = mapped_column(Integer)
    reported_at: Mapped[datetime] = mapped_column(Moment)


class Batch(Base):
    """An accepted upload with its receipt, stored without the reasons of quarantined changes (`sync.receipts`)."""

    __tablename__ = "batch"
    __table_args__ = table_args(
        refers_to("tablet", "tablet_id", to=("id",)),
        Index("ix_batch_received_at", "district", "received_at"),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    tablet_id: Mapped[str] = mapped_column(Id, primary_key=True)
    batch_id: Mapped[str] = mapped_column(Id, primary_key=True)
    digest: Mapped[str] = mapped_column(Text)
    receipt: Mapped[bytes] = mapped_column(LargeBinary)
    outcomes: Mapped[str] = mapped_column(Text)
    sent_at: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(Moment)
    clock_offset_ms: Mapped[int | None] = mapped_column(Count)
    size_bytes: Mapped[int] = mapped_column(Integer)


class ChangeRow(Base):
    """The ledger: every change that was accepted, kept for ever.

    - `header` is part of the hash chain; `content` holds the nonce and the registers, encrypted where `sealed` says so.
    - `sealed`: 0 plain, 1 under the child's key, 2 under the district's key (quarantined changes), 3 content erased.
    - `reasons` (JSON): why a change was quarantined, by field and code; the sentences, which quote values, are in `content`.
    - `clock_days`: the tablet's clock was wrong at upload; the date that the change names may be wrong by so many days.
    """

    __tablename__ = "change"
    __table_args__ = table_args(
        Index("ix_change_record", "district", "child_id", "record_id"),
        partial_index("ix_change_quarantined", "received_at", where="outcome = 'quarantined'"),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    actor: Mapped[str] = mapped_column(Text, primary_key=True)
    counter: Mapped[int] = mapped_column(Count, primary_key=True)
    hash: Mapped[str] = mapped_column(Text)
    kind: Mapped[str | None] = mapped_column(Text)
    record_id: Mapped[str | None] = mapped_column(Id)
    child_id: Mapped[str | None] = mapped_column(Id)
    batch_id: Mapped[str | None] = mapped_column(Id)
    outcome: Mapped[str] = mapped_column(Text)
    header: Mapped[bytes] = mapped_column(LargeBinary)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[int] = mapped_column(Integer)
    reasons: Mapped[str | None] = mapped_column(Text)
    clock_days: Mapped[int] = mapped_column(Integer, default=0)
    received_at: Mapped[datetime] = mapped_column(Moment)


class QuarantineDecision(Base):
    """What a person decided about a quarantined change; the ledger row itself is never altered.

    `decision`: released (a corrected copy was stored: change `released_actor`, `released_counter`) or dismissed.
    """

    __tablename__ = "quarantine_decision"
    __table_args__ = table_args(
        ForeignKeyConstraint(
            ["district", "actor", "counter"], ["change.district", "change.actor", "change.counter"]
        )
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    actor: Mapped[str] = mapped_column(Text, primary_key=True)
    counter: Mapped[int] = mapped_column(Count, primary_key=True)
    decision: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    released_actor: Mapped[str | None] = mapped_column(Text)
    released_counter: Mapped[int | None] = mapped_column(Count)
    decided_by: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime] = mapped_column(Moment)


class PostExit(Base):
    """A child that left a post: the post's pull stream tells its tablets."""

    __tablename__ = "post_exit"
    __table_args__ = table_args(
        refers_to("health_post", "post_id", to=("id",)),
        Index("ix_post_exit_stream", "district", "post_id", "position"),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    post_id: Mapped[str] = mapped_column(Id, primary_key=True)
    child_id: Mapped[str] = mapped_column(Id, primary_key=True)
    position: Mapped[int] = mapped_column(Count)
