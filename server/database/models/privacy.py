"""Parents' rights: requests, and who was erased."""

from datetime import datetime

from sqlalchemy import Index, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from server.database.models.columns import Base, Id, Moment, partial_index, refers_to, table_args


class RightsRequest(Base):
    """A parent's request about a child: to see, correct, restrict or erase the data.

    - `asked`: who asked, how to reach them and what they said, under the child's key.
    - `relation`: who they are to the child.
    - `due_at`: when the answer is due by law.
    - `status`: open, waiting (for a second person to agree), done, refused or withdrawn; `outcome`: a code for why.
    """

    __tablename__ = "rights_request"
    __table_args__ = table_args(
        refers_to("child", "child_id", to=("id",)),
        Index("ix_rights_request_child", "district", "child_id"),
        partial_index("ix_rights_request_due", "due_at", where="status IN ('open', 'waiting')"),
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
    """A child who was erased, when, and who agreed. An older backup still holds the child's key: after it is restored, the
    child is erased again (`backup.reapplying`)."""

    __tablename__ = "erasure"
    __table_args__ = table_args(refers_to("child", "child_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    child_id: Mapped[str] = mapped_column(Id, primary_key=True)
    erased_at: Mapped[datetime] = mapped_column(Moment)
    proposed_by: Mapped[str] = mapped_column(Text)
    agreed_by: Mapped[str] = mapped_column(Text)
