"""Aid: donors, what they promise, what was delivered, and the CSR sheets of companies."""

from datetime import date, datetime

from sqlalchemy import Index, Integer, LargeBinary, Text
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


class Donor(Base):
    """A donor: one of the five kinds of the pentahelix.

    - `authority`: who supervises a company: centre, province or regency.
    - `named`: it agreed to be named.
    - `contact`: person, phone, address and legal identity, encrypted under the district's key.
    - `columns_sealed`: how the headers of its CSR sheets were mapped last time, encrypted likewise: people write headers.
    """

    __tablename__ = "donor"
    __table_args__ = table_args()
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    authority: Mapped[str | None] = mapped_column(Text)
    named: Mapped[bool] = mapped_column(Truth)
    contact: Mapped[bytes | None] = mapped_column(LargeBinary)
    columns_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    made_by: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(Moment)


class Commitment(Base):
    """What a donor has promised: which menu, for how many children or families (`places`), how long, and where."""

    __tablename__ = "commitment"
    __table_args__ = table_args(refers_to("donor", "donor_id", to=("id",)))
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


class Delivery(Base):
    """Aid to a child or its family, merged: promised (`aid`) and delivered. A column whose live values differ is None;
    `state` has every value.

    - `delivery`: the id that, with the child's, makes the record's id.
    - `menu`, `funds`, `reaches`, `outcome`: words of `schemas`; `outcome` is what the verification found.
    - `given`: 1 if somebody recorded that it was delivered, in conflict or not; else 0.
    """

    __tablename__ = "delivery"
    __table_args__ = table_args(
        refers_to("child", "child_id", to=("id",)),
        Index("ix_delivery_stream", "district", "post_id", "position"),
        Index("ix_delivery_donor", "district", "donor_id"),
        Index(
            *("ix_delivery_standing", "district", "removed", "ends_on", "starts_on", "given_on", "given"),
            *("outcome", "menu", "funds", "donor_id", "value_rp", "child_id", "post_id"),
        ),
        partial_index(
            "ix_delivery_commitment", "commitment_id", "removed", "given", where="commitment_id IS NOT NULL"
        ),
        partial_index("ix_delivery_conflicts", "post_id", where="conflicts <> ''"),
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


class CsrSheet(Base):
    """A CSR sheet that a company or an agency handed in. `reported_to`: the authority it was made for.

    - `name_sealed`: the name of its file, under the district's key; None if it named somebody who was erased.
    - `state`: waiting or taken. `sealed` is the file while it waits, None afterwards: the imported rows keep their content.
    """

    __tablename__ = "csr_sheet"
    __table_args__ = table_args(
        refers_to("donor", "donor_id", to=("id",)), Index("ix_csr_sheet_digest", "district", "digest")
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    donor_id: Mapped[str | None] = mapped_column(Id)
    reported_to: Mapped[str] = mapped_column(Text)
    name_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    digest: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    counts: Mapped[str] = mapped_column(Text)
    brought_by: Mapped[str] = mapped_column(Text)
    brought_at: Mapped[datetime] = mapped_column(Moment)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)


class AidActivity(Base):
    """Something that a donor does for an area: recorded by hand, or one row of a CSR sheet.

    - `status`: open (a person must look), matched, refused (unusable) or dropped; `reasons` (JSON): why, in codes.
    - `category`: specific, sensitive, disaster or other; `category_by`: the rule or account that set it.
    - `child_id`: set where it is for one child or its family.
    - `same_as`: the entry that it duplicates ("activity/<id>" or "delivery/<child>/<delivery>"); it is then not counted.
      `same_by`: the rule or account that decided so, or decided that it is no duplicate.
    - `title_sealed`, `evidence_sealed`: as typed, under the district's key (`aid.typed_text`); None once erased.
    - `sealed`: the row as received, under the district's key; None once erased.
    """

    __tablename__ = "aid_activity"
    __table_args__ = table_args(
        refers_to("donor", "donor_id", to=("id",)),
        refers_to("csr_sheet", "sheet_id", to=("id",)),
        Index("ix_aid_activity_sheet", "district", "sheet_id", "row"),
        Index("ix_aid_activity_place", "district", "village_code", "starts_on"),
        Index(
            *("ix_aid_activity_period", "district", "ends_on", "starts_on", "status", "village_code"),
            *("category", "same_as", "value_rp", "donor_id", "reported_to"),
        ),
        partial_index("ix_aid_activity_open", "donor_id", where="status = 'open'"),
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
    title_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    reported_to: Mapped[str | None] = mapped_column(Text)
    village_code: Mapped[str | None] = mapped_column(Text)
    child_id: Mapped[str | None] = mapped_column(Id)
    commitment_id: Mapped[str | None] = mapped_column(Id)
    starts_on: Mapped[date | None] = mapped_column(CalendarDay)
    ends_on: Mapped[date | None] = mapped_column(CalendarDay)
    reached: Mapped[int | None] = mapped_column(Integer)
    value_rp: Mapped[int | None] = mapped_column(Count)
    evidence_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    same_as: Mapped[str | None] = mapped_column(Text)
    same_by: Mapped[str | None] = mapped_column(Text)
    verified_by: Mapped[str | None] = mapped_column(Text)
    verified_at: Mapped[datetime | None] = mapped_column(Moment)
    made_by: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(Moment)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
