"""The tables, typed. No rules: what may be written, and what it means, is the rooms' affair.

Every table is distributed by district, which leads its primary key, unique keys and foreign keys, so the same schema
runs on one SQLite file and, unchanged, over a PostgreSQL cluster. What must be found across districts (a NIK, a
username) has a table of its own, distributed by its own key. Ids are UUIDs as lower-case text in Python. SQLite tables
are STRICT.
"""

from datetime import UTC, date, datetime
from typing import Any, Final, cast

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    Uuid,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeEngine

CROSS_DISTRICT: Final = {"nik_index": "blind", "username": "name"}
"""Tables that are distributed by a key of their own, and that key."""


class _StrictText(TypeDecorator[Any]):
    """A type that STRICT tables of SQLite lack, kept there as ISO text that sorts as the value does."""

    impl = Text
    cache_ok = True
    native: TypeEngine[Any]

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else self.native)


class CalendarDay(_StrictText):
    """A calendar day in the district: `datetime.date`."""

    cache_ok = True
    native = Date()

    def process_bind_param(self, value: date | None, dialect: Dialect) -> Any:
        return value.isoformat() if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> date | None:  # noqa: ARG002  # SQLAlchemy's signature
        return date.fromisoformat(value) if isinstance(value, str) else value


class Moment(_StrictText):
    """A moment: aware `datetime`, UTC."""

    cache_ok = True
    native = DateTime(timezone=True)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # as above
        if isinstance(value, str):
            return datetime.fromisoformat(value)
        return value.astimezone(UTC) if value is not None else None


Id = Uuid(as_uuid=False).with_variant(Text(), "sqlite")
Count = BigInteger().with_variant(Integer(), "sqlite")
Truth = Boolean().with_variant(Integer(), "sqlite")
Real = Float(53).with_variant(REAL(), "sqlite")


class Base(DeclarativeBase):
    """Names of constraints are fixed, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(referred_table_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        }
    )
    __table_args__: Any = {"sqlite_strict": True, "sqlite_with_rowid": False}  # noqa: RUF012  # SQLAlchemy reads it, nobody writes it


def table(model: type[Base]) -> Table:
    """Give the table of a model, for Core statements on the hot path."""
    return cast(Table, model.__table__)


def _args(*items: Any) -> Any:
    return (*items, Base.__table_args__)


def _refers(table: str, *columns: str, to: tuple[str, ...]) -> ForeignKeyConstraint:
    """Refer to another table of the same district."""
    return ForeignKeyConstraint(["district", *columns], [f"{table}.{name}" for name in ("district", *to)])


def _few(name: str, *columns: str, where: str) -> Index:
    """Index by district and some columns the few rows for which a condition holds: it costs nothing for all the others."""
    return Index(name, "district", *columns, sqlite_where=text(where), postgresql_where=text(where))


class Installation(Base):
    """A district served here. `incarnation` names one history of its database; whoever restores a backup must renew it."""

    __tablename__ = "installation"
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    incarnation: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)


class Region(Base):
    """A province, regency, sub-district or village, by Kemendagri code."""

    __tablename__ = "region"
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    code: Mapped[str] = mapped_column(Text, primary_key=True)
    parent_code: Mapped[str | None] = mapped_column(Text)
    level: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)


class HealthCentre(Base):
    """A puskesmas."""

    __tablename__ = "health_centre"
    __table_args__ = _args(_refers("region", "subdistrict_code", to=("code",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    subdistrict_code: Mapped[str | None] = mapped_column(Text)


class HealthPost(Base):
    """A posyandu. Its row's lock orders everything written about its children; `head_position` ends its stream."""

    __tablename__ = "health_post"
    __table_args__ = _args(
        _refers("health_centre", "health_centre_id", to=("id",)),
        _refers("region", "village_code", to=("code",)),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    health_centre_id: Mapped[str] = mapped_column(Id)
    village_code: Mapped[str | None] = mapped_column(Text)
    head_position: Mapped[int] = mapped_column(Count, default=0)


class Tablet(Base):
    """One enrolment of one device. `taken` and `chain_hash` are how far its chain is held.

    `head_counter` is the newest counter that it has announced: what lies beyond `taken` is missing here. `token` must come
    back with its next batch, `token_before` with a repetition of `token_batch`, whose answer handed `token` out. From
    `split_at` on this enrolment is closed, because two devices share it or its own was restored; `replaces` names the
    closed one that an enrolment goes on from.
    """

    __tablename__ = "tablet"
    __table_args__ = _args(_refers("health_post", "post_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    post_id: Mapped[str] = mapped_column(Id)
    name: Mapped[str] = mapped_column(Text)
    public_key: Mapped[str] = mapped_column(Text)
    taken: Mapped[int] = mapped_column(Count, default=0)
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
    split_at: Mapped[datetime | None] = mapped_column(Moment)
    replaces: Mapped[str | None] = mapped_column(Id)


class EnrolmentCode(Base):
    """A one-time code with which a device becomes a tablet of a post; only its digest is stored."""

    __tablename__ = "enrolment_code"
    __table_args__ = _args(_refers("health_post", "post_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    code_digest: Mapped[str] = mapped_column(Text, primary_key=True)
    post_id: Mapped[str] = mapped_column(Id)
    tablet_name: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    used_at: Mapped[datetime | None] = mapped_column(Moment)
    tablet_id: Mapped[str | None] = mapped_column(Id)


class Batch(Base):
    """An accepted upload with its receipt, byte for byte as it was answered."""

    __tablename__ = "batch"
    __table_args__ = _args(
        _refers("tablet", "tablet_id", to=("id",)),
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
    """The ledger: every change taken, for ever. `header` is chained; `content` (nonce and registers) may be sealed.

    `sealed`: 0 plain, 1 under the child's key, 2 under the district's (a quarantined change, which also has `reasons`).
    `clock_days` is by how many days its tablet's clock, wrong when this was uploaded, may have moved the day that it names.
    """

    __tablename__ = "change"
    __table_args__ = _args(
        Index("ix_change_record", "district", "child_id", "record_id"),
        _few("ix_change_quarantined", "received_at", where="outcome = 'quarantined'"),
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
    """What a person decided about a quarantined change; the ledger itself never changes.

    `decision`: released (a corrected copy was made, whose dot stands beside) or dismissed.
    """

    __tablename__ = "quarantine_decision"
    __table_args__ = _args(
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


class DuplicatePair(Base):
    """Two children who may be one, found at an upload; `child_id` < `other_id`.

    `why` (JSON): what speaks for it, in codes and whole percents, never values. `status`: open, linked or different; what
    a person has called different is not found again.
    """

    __tablename__ = "duplicate_pair"
    __table_args__ = _args(
        _refers("child", "child_id", to=("id",)),
        Index("ix_duplicate_pair_other", "district", "other_id"),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    child_id: Mapped[str] = mapped_column(Id, primary_key=True)
    other_id: Mapped[str] = mapped_column(Id, primary_key=True)
    why: Mapped[str] = mapped_column(Text)
    score: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(Text)
    found_at: Mapped[datetime] = mapped_column(Moment)
    decided_by: Mapped[str | None] = mapped_column(Text)
    decided_at: Mapped[datetime | None] = mapped_column(Moment)


class TabletDay(Base):
    """How many children a tablet says it has measured on a day ("41 weighed"), to be held against what is stored."""

    __tablename__ = "tablet_day"
    __table_args__ = _args(_refers("tablet", "tablet_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    tablet_id: Mapped[str] = mapped_column(Id, primary_key=True)
    measured_on: Mapped[date] = mapped_column(CalendarDay, primary_key=True)
    measured: Mapped[int] = mapped_column(Integer)
    told_at: Mapped[datetime] = mapped_column(Moment)


class Child(Base):
    """A child's merged state. Made, unregistered, by the first measurement if that comes before the child itself.

    `sex` and `born_on` are None while unknown or in conflict; everything else about the person is in the sealed `state`.
    `same_as` is the child that this one was linked to, None while that is in conflict. `person_id` is the same for children
    who were linked, and its own id for one who was not (`persons`). `clock_days` is by
    how many days a wrong tablet clock may have moved the birth date, 0 nearly always. `krs_until`: the last day on which
    the family counts as at risk of stunting (KRS), None where it does not or nobody says. Since
    `restricted_at` nobody but who looks after the parents' rights sees or uses it. Without `wrapped_key` the person was
    erased (`rights.erasing`).
    """

    __tablename__ = "child"
    __table_args__ = _args(
        _refers("health_post", "post_id", to=("id",)),
        Index("ix_child_stream", "district", "post_id", "position"),
        Index("ix_child_person", "district", "person_id"),
        Index("ix_child_born_on", "district", "born_on", "sex"),
        Index("ix_child_same_as", "district", "same_as"),
        _few("ix_child_conflicts", "post_id", where="conflicts <> ''"),
        _few("ix_child_restricted", "id", where="restricted_at IS NOT NULL"),
        _few(
            *(
                "ix_child_krs",
                "krs_until",
                "person_id",
                "id",
                "post_id",
                "born_on",
                "removed",
                "restricted_at",
            ),
            where="krs_until IS NOT NULL",
        ),
        _few("ix_child_linked", "person_id", "id", "post_id", where="person_id <> id"),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    post_id: Mapped[str] = mapped_column(Id)
    position: Mapped[int] = mapped_column(Count)
    registered: Mapped[bool] = mapped_column(Truth)
    removed: Mapped[bool] = mapped_column(Truth)
    conflicts: Mapped[str] = mapped_column(Text)
    person_id: Mapped[str] = mapped_column(Id)
    same_as: Mapped[str | None] = mapped_column(Id)
    clock_days: Mapped[int] = mapped_column(Integer, default=0)
    krs_until: Mapped[date | None] = mapped_column(CalendarDay)
    sex: Mapped[str | None] = mapped_column(Text)
    born_on: Mapped[date | None] = mapped_column(CalendarDay)
    state: Mapped[bytes | None] = mapped_column(LargeBinary)
    wrapped_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    key_version: Mapped[int] = mapped_column(Integer)
    first_seen_at: Mapped[datetime] = mapped_column(Moment)
    restricted_at: Mapped[datetime | None] = mapped_column(Moment)


class Measurement(Base):
    """A child's measurement of one day and source, merged. Columns in conflict are None; `state` has every value.

    `clock_days` is by how many days a wrong tablet clock may have moved the day of measuring, 0 nearly always.
    """

    __tablename__ = "measurement"
    __table_args__ = _args(
        _refers("child", "child_id", to=("id",)),
        Index("ix_measurement_stream", "district", "post_id", "position"),
        _few("ix_measurement_conflicts", "post_id", where="conflicts <> ''"),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    child_id: Mapped[str] = mapped_column(Id, primary_key=True)
    measured_on: Mapped[date] = mapped_column(CalendarDay, primary_key=True)
    source: Mapped[str] = mapped_column(Text, primary_key=True)
    post_id: Mapped[str] = mapped_column(Id)
    position: Mapped[int] = mapped_column(Count)
    removed: Mapped[bool] = mapped_column(Truth)
    conflicts: Mapped[str] = mapped_column(Text)
    clock_days: Mapped[int] = mapped_column(Integer, default=0)
    weight_g: Mapped[int | None] = mapped_column(Integer)
    oedema: Mapped[str | None] = mapped_column(Text)
    length_mm: Mapped[int | None] = mapped_column(Integer)
    length_position: Mapped[str | None] = mapped_column(Text)
    muac_mm: Mapped[int | None] = mapped_column(Integer)
    head_mm: Mapped[int | None] = mapped_column(Integer)
    state: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[int] = mapped_column(Integer)


class FollowUp(Base):
    """Something to be done for a child and what came of it, merged. A column in which live values differ is None; `state`
    has them all.

    `task` is what its id is made from beside the child. `action`, `outcome`: words of `schemas`. `covers` (JSON): the flags
    that were on a screen where the case was closed. `resulted`: whether anybody has told a result, in conflict or not.
    """

    __tablename__ = "follow_up"
    __table_args__ = _args(
        _refers("child", "child_id", to=("id",)),
        Index("ix_follow_up_stream", "district", "post_id", "position"),
        _few("ix_follow_up_due", "due_on", where="resulted = 0"),
        _few("ix_follow_up_conflicts", "post_id", where="conflicts <> ''"),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    child_id: Mapped[str] = mapped_column(Id, primary_key=True)
    task: Mapped[str] = mapped_column(Id, primary_key=True)
    post_id: Mapped[str] = mapped_column(Id)
    position: Mapped[int] = mapped_column(Count)
    removed: Mapped[bool] = mapped_column(Truth)
    conflicts: Mapped[str] = mapped_column(Text)
    action: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    due_on: Mapped[date | None] = mapped_column(CalendarDay)
    assigned_to: Mapped[str | None] = mapped_column(Text)
    course: Mapped[str | None] = mapped_column(Id)
    week: Mapped[int | None] = mapped_column(Integer)
    resulted: Mapped[int] = mapped_column(Integer)
    done_on: Mapped[date | None] = mapped_column(CalendarDay)
    outcome: Mapped[str | None] = mapped_column(Text)
    covers: Mapped[str | None] = mapped_column(Text)
    state: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[int] = mapped_column(Integer)


class Delivery(Base):
    """An aid to a child, or through it to its family, merged: promised (`aid`), and brought (`delivered`). A column in which
    live values differ is None; `state` has them all.

    `delivery` is what its id is made from beside the child. `menu`, `funds`, `reaches`, `outcome`: words of `schemas`.
    `given`: whether anybody has told that it came, in conflict or not. `outcome`: what whoever verified it found.
    """

    __tablename__ = "delivery"
    __table_args__ = _args(
        _refers("child", "child_id", to=("id",)),
        Index("ix_delivery_stream", "district", "post_id", "position"),
        Index("ix_delivery_donor", "district", "donor_id"),
        Index(
            *("ix_delivery_standing", "district", "removed", "ends_on", "starts_on", "given_on", "given"),
            *("outcome", "menu", "funds", "donor_id", "value_rp", "child_id", "post_id"),
        ),
        _few(
            "ix_delivery_commitment", "commitment_id", "removed", "given", where="commitment_id IS NOT NULL"
        ),
        _few("ix_delivery_conflicts", "post_id", where="conflicts <> ''"),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    child_id: Mapped[str] = mapped_column(Id, primary_key=True)
    delivery: Mapped[str] = mapped_column(Id, primary_key=True)
    post_id: Mapped[str] = mapped_column(Id)
    position: Mapped[int] = mapped_column(Count)
    removed: Mapped[bool] = mapped_column(Truth)
    conflicts: Mapped[str] = mapped_column(Text)
    menu: Mapped[str | None] = mapped_column(Text)
    funds: Mapped[str | None] = mapped_column(Text)
    reaches: Mapped[str | None] = mapped_column(Text)
    donor_id: Mapped[str | None] = mapped_column(Id)
    commitment_id: Mapped[str | None] = mapped_column(Id)
    starts_on: Mapped[date | None] = mapped_column(CalendarDay)
    ends_on: Mapped[date | None] = mapped_column(CalendarDay)
    given: Mapped[int] = mapped_column(Integer)
    given_on: Mapped[date | None] = mapped_column(CalendarDay)
    quantity: Mapped[int | None] = mapped_column(Integer)
    value_rp: Mapped[int | None] = mapped_column(Count)
    outcome: Mapped[str | None] = mapped_column(Text)
    state: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[int] = mapped_column(Integer)


class Donor(Base):
    """Who gives: one of the five kinds of pentahelix. `authority` supervises a company: centre, province or regency.

    `named`: it agreed to be named. `contact` (person, phone, address, legal identity) is sealed under the district's key.
    `columns` (JSON): how the headers of its sheets were mapped the last time.
    """

    __tablename__ = "donor"
    __table_args__ = _args()
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    authority: Mapped[str | None] = mapped_column(Text)
    named: Mapped[bool] = mapped_column(Truth)
    contact: Mapped[bytes | None] = mapped_column(LargeBinary)
    columns: Mapped[str | None] = mapped_column(Text)
    made_by: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(Moment)


class Commitment(Base):
    """What a donor has promised: a menu, for how many children or families, how long, and where (a region's code)."""

    __tablename__ = "commitment"
    __table_args__ = _args(_refers("donor", "donor_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    donor_id: Mapped[str] = mapped_column(Id)
    menu: Mapped[str] = mapped_column(Text)
    funds: Mapped[str] = mapped_column(Text)
    region_code: Mapped[str] = mapped_column(Text)
    places: Mapped[int] = mapped_column(Integer)
    value_rp: Mapped[int] = mapped_column(Count)
    starts_on: Mapped[date] = mapped_column(CalendarDay)
    months: Mapped[int] = mapped_column(Integer)
    closed_at: Mapped[datetime | None] = mapped_column(Moment)
    made_by: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(Moment)


class CsrSheet(Base):
    """A sheet of a company or an agency that was brought in. `reported_to`: the authority that it was made for.

    `sealed` is the file between looking and taking, None after that: its rows keep what they held. `state`: waiting, taken.
    """

    __tablename__ = "csr_sheet"
    __table_args__ = _args(
        _refers("donor", "donor_id", to=("id",)), Index("ix_csr_sheet_digest", "district", "digest")
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    donor_id: Mapped[str | None] = mapped_column(Id)
    reported_to: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    counts: Mapped[str] = mapped_column(Text)
    brought_by: Mapped[str] = mapped_column(Text)
    brought_at: Mapped[datetime] = mapped_column(Moment)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)


class AidActivity(Base):
    """Something that a donor does for a place: recorded by hand (a delivery to a village), or a row of a sheet.

    `category`: specific, sensitive, disaster or other; `category_by` the rule or the account that said so. `status`: open (a
    person must look), matched, refused (unusable) or dropped. `reasons` (JSON): why, in codes. `child_id` where it is
    one child's (or its family's). `same_as` ("activity/<id>" or "delivery/<child>/<delivery>") names what it doubles: then
    it does not count; `same_by` the rule or the account that said so, or that it is apart. `sealed`: the row as it came,
    under the district's key.
    """

    __tablename__ = "aid_activity"
    __table_args__ = _args(
        _refers("donor", "donor_id", to=("id",)),
        _refers("csr_sheet", "sheet_id", to=("id",)),
        Index("ix_aid_activity_sheet", "district", "sheet_id", "row"),
        Index("ix_aid_activity_place", "district", "village_code", "starts_on"),
        Index(
            *("ix_aid_activity_period", "district", "ends_on", "starts_on", "status", "village_code"),
            *("category", "same_as", "value_rp", "donor_id", "reported_to"),
        ),
        _few("ix_aid_activity_open", "donor_id", where="status = 'open'"),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    donor_id: Mapped[str | None] = mapped_column(Id)
    sheet_id: Mapped[str | None] = mapped_column(Id)
    row: Mapped[int | None] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(Text)
    reasons: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(Text)
    category_by: Mapped[str] = mapped_column(Text)
    menu: Mapped[str] = mapped_column(Text)
    funds: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    reported_to: Mapped[str | None] = mapped_column(Text)
    village_code: Mapped[str | None] = mapped_column(Text)
    child_id: Mapped[str | None] = mapped_column(Id)
    commitment_id: Mapped[str | None] = mapped_column(Id)
    starts_on: Mapped[date | None] = mapped_column(CalendarDay)
    ends_on: Mapped[date | None] = mapped_column(CalendarDay)
    reached: Mapped[int | None] = mapped_column(Integer)
    value_rp: Mapped[int | None] = mapped_column(Count)
    evidence: Mapped[str | None] = mapped_column(Text)
    same_as: Mapped[str | None] = mapped_column(Text)
    same_by: Mapped[str | None] = mapped_column(Text)
    verified_by: Mapped[str | None] = mapped_column(Text)
    verified_at: Mapped[datetime | None] = mapped_column(Moment)
    made_by: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(Moment)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)


class Attention(Base):
    """A person who needs a second look, or for whom something is to be done: a row of the queue, derived like flags.

    `child_id` is the person's head. `urgency` 1 to 4 is that of the most urgent flag, 5 where no flag stands but work is
    open; `red_flags` counts those of urgency 1. `place` orders the queue: urgency, red flags, gravest flag, worst score
    (`attention.place`). `rules` are those of its flags, as `attention.rules_text` writes them. `status`: new, taken
    (somebody has charge), waiting (a task is open), closed (with what was on the screen then). `due_on`: of the task that
    is due first.
    """

    __tablename__ = "attention"
    __table_args__ = _args(
        _refers("child", "child_id", to=("id",)),
        Index("ix_attention_place", "district", "place", "child_id", "urgency", "post_id", "rules"),
        Index("ix_attention_post", "district", "post_id", "urgency", "status"),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    child_id: Mapped[str] = mapped_column(Id, primary_key=True)
    post_id: Mapped[str] = mapped_column(Id)
    born_on: Mapped[date | None] = mapped_column(CalendarDay)
    urgency: Mapped[int] = mapped_column(Integer)
    red_flags: Mapped[int] = mapped_column(Integer)
    place: Mapped[float] = mapped_column(Real)
    rules: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    assigned_to: Mapped[str | None] = mapped_column(Text)
    due_on: Mapped[date | None] = mapped_column(CalendarDay)


class PostExit(Base):
    """A child that left a post: the post's stream tells its tablets."""

    __tablename__ = "departure"
    __table_args__ = _args(
        _refers("health_post", "post_id", to=("id",)),
        Index("ix_departure_stream", "district", "post_id", "position"),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    post_id: Mapped[str] = mapped_column(Id, primary_key=True)
    child_id: Mapped[str] = mapped_column(Id, primary_key=True)
    position: Mapped[int] = mapped_column(Count)


class NikIndex(Base):
    """Who has which NIK, over all districts, by blind index."""

    __tablename__ = "nik_index"
    blind: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    child_id: Mapped[str] = mapped_column(Id, primary_key=True)


class Assessment(Base):
    """What is derived from one measurement in its child's timeline. Never edited: the whole timeline is made again.

    z-scores in SD, 2 decimals; None with a word in `reasons` (JSON by index), or without one where the value was not
    measured. `candidates` (JSON) holds the scores of every candidate where values are in conflict. `inputs` is a hash of
    what it was made from.
    """

    __tablename__ = "assessment"
    __table_args__ = _args(_refers("child", "child_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    child_id: Mapped[str] = mapped_column(Id, primary_key=True)
    measured_on: Mapped[date] = mapped_column(CalendarDay, primary_key=True)
    source: Mapped[str] = mapped_column(Text, primary_key=True)
    age_days: Mapped[int | None] = mapped_column(Integer)
    haz: Mapped[float | None] = mapped_column(Real)
    waz: Mapped[float | None] = mapped_column(Real)
    whz: Mapped[float | None] = mapped_column(Real)
    baz: Mapped[float | None] = mapped_column(Real)
    hcz: Mapped[float | None] = mapped_column(Real)
    acz: Mapped[float | None] = mapped_column(Real)
    gain_code: Mapped[str | None] = mapped_column(Text)
    gain_g: Mapped[int | None] = mapped_column(Integer)
    reasons: Mapped[str | None] = mapped_column(Text)
    candidates: Mapped[str | None] = mapped_column(Text)
    inputs: Mapped[int] = mapped_column(Count)
    engine: Mapped[str] = mapped_column(Text)


class Flag(Base):
    """A reason for a person to look at a child, with the rule that raised it. Derived, like assessments.

    `subject` is the measurement ("2026-11-03/cadre") or "" for the child as a whole. Urgency 1 (today) to 4.
    """

    __tablename__ = "flag"
    __table_args__ = _args(
        _refers("child", "child_id", to=("id",)),
        Index("ix_flag_urgency", "district", "urgency", "child_id"),
        Index("ix_flag_rule", "district", "rule", "child_id"),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    child_id: Mapped[str] = mapped_column(Id, primary_key=True)
    rule: Mapped[str] = mapped_column(Text, primary_key=True)
    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    urgency: Mapped[int] = mapped_column(Integer)
    details: Mapped[str] = mapped_column(Text)
    raised_at: Mapped[datetime] = mapped_column(Moment)


class Notice(Base):
    """Something a supervisor or the health centre should know that is not about one child: a silent tablet, a cloned one."""

    __tablename__ = "notice"
    __table_args__ = _args()
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    details: Mapped[str] = mapped_column(Text)
    raised_at: Mapped[datetime] = mapped_column(Moment)


class Account(Base):
    """A person who signs in. `scope` is what they may see: a post, health centre or region code, by `scope_kind`.

    `password_hash` is "" until an invitation was taken up. `totp_sealed` is the second factor's secret under the district's
    key, None until it was set up; `totp_step` the newest time step that was used, so that no code opens twice.
    """

    __tablename__ = "account"
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    username: Mapped[str] = mapped_column(Text)
    display_name: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    scope_kind: Mapped[str] = mapped_column(Text)
    scope: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(Text)
    failed_tries: Mapped[int] = mapped_column(Integer, default=0)
    locked_until: Mapped[datetime | None] = mapped_column(Moment)
    disabled_at: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment)
    totp_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    totp_step: Mapped[int | None] = mapped_column(Count)
    password_set_at: Mapped[datetime | None] = mapped_column(Moment)


class Invitation(Base):
    """A one-time link with which a person sets a password, the first or a new one; only its digest is stored."""

    __tablename__ = "invitation"
    __table_args__ = _args(_refers("account", "account_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    token_digest: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[str] = mapped_column(Id)
    made_by: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    used_at: Mapped[datetime | None] = mapped_column(Moment)


class RecoveryCode(Base):
    """A code that stands in once for the second factor; only its digest is stored."""

    __tablename__ = "recovery_code"
    __table_args__ = _args(_refers("account", "account_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[str] = mapped_column(Id, primary_key=True)
    code_digest: Mapped[str] = mapped_column(Text, primary_key=True)
    used_at: Mapped[datetime | None] = mapped_column(Moment)


class RateLimit(Base):
    """How often something was tried from one place within a window of time, over all workers; `place` is a digest."""

    __tablename__ = "tries"
    __table_args__ = _args()
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    what: Mapped[str] = mapped_column(Text, primary_key=True)
    place: Mapped[str] = mapped_column(Text, primary_key=True)
    window_at: Mapped[datetime] = mapped_column(Moment, primary_key=True)
    count: Mapped[int] = mapped_column(Integer)


class SavedView(Base):
    """A choice of the queue's filters that somebody keeps under a name; `query` is the address's part after "?"."""

    __tablename__ = "saved_view"
    __table_args__ = _args(_refers("account", "account_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    query: Mapped[str] = mapped_column(Text)


class Username(Base):
    """Who has which username, over all districts."""

    __tablename__ = "username"
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    district: Mapped[str] = mapped_column(Text)
    account_id: Mapped[str] = mapped_column(Id)


class UserSession(Base):
    """A signed-in session; only the digest of its token is stored. `id` names it where it is listed and ended.

    `agent` is the browser in a few words. Until `passed_at` the second factor is still asked for, and nothing else is open.
    """

    __tablename__ = "sign_in"
    __table_args__ = _args(_refers("account", "account_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    token_digest: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[str] = mapped_column(Id)
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    id: Mapped[str] = mapped_column(Id)
    agent: Mapped[str] = mapped_column(Text, default="")
    last_seen_at: Mapped[datetime] = mapped_column(Moment)
    passed_at: Mapped[datetime | None] = mapped_column(Moment)


class AuditStream(Base):
    """The head of one hash-chained stream of the log: `post/<id>` or `office`."""

    __tablename__ = "audit_stream"
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    stream: Mapped[str] = mapped_column(Text, primary_key=True)
    entries: Mapped[int] = mapped_column(Count)
    head_hash: Mapped[str] = mapped_column(Text)


class AuditEntry(Base):
    """One entry of the log. `hash` covers everything else of it and the hash before."""

    __tablename__ = "audit_entry"
    __table_args__ = _args(
        _refers("audit_stream", "stream", to=("stream",)), Index("ix_audit_entry_at", "district", "at")
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    stream: Mapped[str] = mapped_column(Text, primary_key=True)
    number: Mapped[int] = mapped_column(Count, primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment)
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    details: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(Text)


class AuditCheckpoint(Base):
    """A signed statement of how far the log had come. `statement` and `signatures` are canonical JSON, as they are exported.

    `peaks` (JSON) are the roots of the perfect subtrees over all leaves so far: what the next one goes on from.
    """

    __tablename__ = "audit_checkpoint"
    __table_args__ = _args()
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    number: Mapped[int] = mapped_column(Count, primary_key=True)
    statement: Mapped[str] = mapped_column(Text)
    signatures: Mapped[str] = mapped_column(Text)
    peaks: Mapped[str] = mapped_column(Text)


class AuditLeaf(Base):
    """A leaf of the log's Merkle tree: the head of a stream that had moved when a checkpoint was made. In the order of
    checkpoints, and of the streams' names within one, they are all leaves."""

    __tablename__ = "audit_leaf"
    __table_args__ = _args(
        _refers("audit_checkpoint", "checkpoint", to=("number",)),
        Index("ix_audit_leaf_stream", "district", "stream", "entries"),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    checkpoint: Mapped[int] = mapped_column(Count, primary_key=True)
    stream: Mapped[str] = mapped_column(Text, primary_key=True)
    entries: Mapped[int] = mapped_column(Count)
    hash: Mapped[str] = mapped_column(Text)


class JobRun(Base):
    """The newest run of a scheduled job."""

    __tablename__ = "job_run"
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    job: Mapped[str] = mapped_column(Text, primary_key=True)
    ran_at: Mapped[datetime] = mapped_column(Moment)
    result: Mapped[str] = mapped_column(Text)


class ImportRun(Base):
    """One file that was brought in from elsewhere: how far it came, and what became of its rows.

    `digest` is of the file and the options, so that a file which was cut short goes on where it stopped. `counts`
    (JSON): rows by outcome. `sealed` is the file itself, kept between looking and applying; None otherwise. `state`:
    waiting (a page shows it), running, done.
    """

    __tablename__ = "import_run"
    __table_args__ = _args(Index("ix_import_run_digest", "district", "digest"))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    scope_kind: Mapped[str] = mapped_column(Text)
    scope: Mapped[str] = mapped_column(Text)
    chunks: Mapped[int] = mapped_column(Integer)
    counts: Mapped[str] = mapped_column(Text)
    started_by: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime] = mapped_column(Moment)
    finished_at: Mapped[datetime | None] = mapped_column(Moment)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)


class ImportChunk(Base):
    """Rows of a file that were taken in one transaction. `sealed`: what each row held and what became of it, packed."""

    __tablename__ = "import_chunk"
    __table_args__ = _args(_refers("import_run", "run_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    run_id: Mapped[str] = mapped_column(Id, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    rows: Mapped[int] = mapped_column(Integer)
    counts: Mapped[str] = mapped_column(Text)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class ImportCase(Base):
    """A row of somebody's file that a person must decide about: whose it is, or which values hold.

    `id` follows from what the row says, so the same row again is the same case, open or decided. `who` follows from what it
    says of the child alone: what was decided about it holds for the child's other rows. `sealed`: the row, under the
    district's key. `candidates` (JSON): children here whom it may mean, with scores and reasons in codes. `decision`: child
    (that is who it is), new, theirs (the file's values hold) or skip.
    """

    __tablename__ = "import_case"
    __table_args__ = _args(
        _refers("import_run", "run_id", to=("id",)),
        Index("ix_import_case_open", "district", "status", "post_id"),
        Index("ix_import_case_who", "district", "who"),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    run_id: Mapped[str] = mapped_column(Id)
    row: Mapped[int] = mapped_column(Integer)
    question: Mapped[str] = mapped_column(Text)
    post_id: Mapped[str] = mapped_column(Id)
    who: Mapped[str] = mapped_column(Id)
    candidates: Mapped[str] = mapped_column(Text)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[str] = mapped_column(Text)
    decision: Mapped[str | None] = mapped_column(Text)
    child_id: Mapped[str | None] = mapped_column(Id)
    found_at: Mapped[datetime] = mapped_column(Moment)
    decided_by: Mapped[str | None] = mapped_column(Text)
    decided_at: Mapped[datetime | None] = mapped_column(Moment)


class Figures(Base):
    """What there is of an area in a month, in whole numbers: `counts` (JSON by name, without zeros).

    `month` is its first day. `area_kind` is post, village, subdistrict, district or health_centre, `area` the id or code: ""
    for the district itself, and for the village of posts of which none is known. `hidden` are the names that are not told
    outside the health service, because the number is small or would give a small one away.
    """

    __tablename__ = "figures"
    __table_args__ = _args(Index("ix_figures_area", "district", "area_kind", "area", "month"))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    month: Mapped[date] = mapped_column(CalendarDay, primary_key=True)
    area_kind: Mapped[str] = mapped_column(Text, primary_key=True)
    area: Mapped[str] = mapped_column(Text, primary_key=True)
    counts: Mapped[str] = mapped_column(Text)
    hidden: Mapped[str] = mapped_column(Text)


class FiguresPost(Base):
    """How far a post is in the figures: where its stream was when it was counted, and the last month that was counted."""

    __tablename__ = "figures_post"
    __table_args__ = _args(_refers("health_post", "post_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    post_id: Mapped[str] = mapped_column(Id, primary_key=True)
    position: Mapped[int] = mapped_column(Count)
    month: Mapped[date] = mapped_column(CalendarDay)
    counted_at: Mapped[datetime] = mapped_column(Moment)


class FiguresMonth(Base):
    """A month whose sums by area have to be made anew."""

    __tablename__ = "figures_month"
    __table_args__ = _args()
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    month: Mapped[date] = mapped_column(CalendarDay, primary_key=True)


class PostMonth(Base):
    """What a supervisor is told of a post in a month, worked out before it is asked (`oversight.months`).

    `told` (JSON) holds while `state` is what there is now of all that it follows from; `others` (JSON) are the posts whose
    streams it follows from beside its own.
    """

    __tablename__ = "post_month"
    __table_args__ = _args(_refers("health_post", "post_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    month: Mapped[date] = mapped_column(CalendarDay, primary_key=True)
    post_id: Mapped[str] = mapped_column(Id, primary_key=True)
    state: Mapped[str] = mapped_column(Text)
    others: Mapped[str] = mapped_column(Text)
    told: Mapped[str] = mapped_column(Text)


class RightsRequest(Base):
    """What a parent asked for a child: to see, correct, restrict or erase what is held.

    `asked` is sealed with the child's key: who asked, how to reach them, and what they said. `relation` is the word for who
    they are to the child. `due_at` is when the answer is due by law. `status`: open, waiting (for a second person's
    agreement), done, refused, withdrawn; `outcome` a code of why.
    """

    __tablename__ = "rights_request"
    __table_args__ = _args(
        _refers("child", "child_id", to=("id",)),
        Index("ix_rights_request_child", "district", "child_id"),
        _few("ix_rights_request_due", "due_at", where="status IN ('open', 'waiting')"),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    child_id: Mapped[str] = mapped_column(Id)
    kind: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    relation: Mapped[str] = mapped_column(Text)
    asked: Mapped[bytes | None] = mapped_column(LargeBinary)
    asked_at: Mapped[datetime] = mapped_column(Moment)
    due_at: Mapped[datetime] = mapped_column(Moment)
    received_by: Mapped[str] = mapped_column(Text)
    proposed_by: Mapped[str | None] = mapped_column(Text)
    decided_by: Mapped[str | None] = mapped_column(Text)
    decided_at: Mapped[datetime | None] = mapped_column(Moment)
    outcome: Mapped[str | None] = mapped_column(Text)


class Erasure(Base):
    """A child who was erased, when, and by whose agreement: what has to be done again after an older backup was put back."""

    __tablename__ = "erasure"
    __table_args__ = _args(_refers("child", "child_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    child_id: Mapped[str] = mapped_column(Id, primary_key=True)
    erased_at: Mapped[datetime] = mapped_column(Moment)
    proposed_by: Mapped[str] = mapped_column(Text)
    agreed_by: Mapped[str] = mapped_column(Text)
