"""Where: the district, its regions, health centres and posts."""

from datetime import datetime

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from server.database.models.columns import Base, Count, Id, Moment, refers_to, table_args


class Installation(Base):
    """A district served by this database.

    `incarnation` identifies one history of the database: it must be renewed when a backup is restored.
    """

    __tablename__ = "installation"
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    incarnation: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)


class Region(Base):
    """A province, regency, subdistrict or village, by its Kemendagri code."""

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
    __table_args__ = table_args(refers_to("region", "subdistrict_code", to=("code",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    subdistrict_code: Mapped[str | None] = mapped_column(Text)


class HealthPost(Base):
    """A posyandu.

    Whoever writes about its children locks this row first, so those writes are serialised. `head_position` is the last
    position used in the post's pull stream. A closed post (`closed_at`) takes no new tablets, and no children that staff
    move.
    """

    __tablename__ = "health_post"
    __table_args__ = table_args(
        refers_to("health_centre", "health_centre_id", to=("id",)),
        refers_to("region", "village_code", to=("code",)),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    health_centre_id: Mapped[str] = mapped_column(Id)
    village_code: Mapped[str | None] = mapped_column(Text)
    head_position: Mapped[int] = mapped_column(Count, default=0)
    closed_at: Mapped[datetime | None] = mapped_column(Moment)
