"""Monthly figures by area, and how far each post has been counted."""

from datetime import date, datetime

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from server.database.models.columns import Base, CalendarDay, Count, Id, Moment, refers_to, table_args


class Figures(Base):
    """The figures of an area in a month: `counts` (JSON: whole numbers by name, without zeros).

    - `month`: its first day.
    - `area_kind`: post, village, subdistrict, district or health_centre. `area`: id or code; "" for the district itself, and
      for the village of posts whose village is unknown.
    - `hidden`: names of figures not shown outside the health service, because the number is small or would reveal a small
      one.
    """

    __tablename__ = "figures"
    __table_args__ = table_args(Index("ix_figures_area", "district", "area_kind", "area", "month"))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    month: Mapped[date] = mapped_column(CalendarDay, primary_key=True)
    area_kind: Mapped[str] = mapped_column(Text, primary_key=True)
    area: Mapped[str] = mapped_column(Text, primary_key=True)
    counts: Mapped[str] = mapped_column(Text)
    hidden: Mapped[str] = mapped_column(Text)


class FiguresPost(Base):
    """How far a post is counted: the position of its stream at the count, and the last month counted."""

    __tablename__ = "figures_post"
    __table_args__ = table_args(refers_to("health_post", "post_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    post_id: Mapped[str] = mapped_column(Id, primary_key=True)
    position: Mapped[int] = mapped_column(Count)
    month: Mapped[date] = mapped_column(CalendarDay)
    counted_at: Mapped[datetime] = mapped_column(Moment)


class FiguresMonth(Base):
    """A month whose sums by area must be computed again."""

    __tablename__ = "figures_month"
    __table_args__ = table_args()
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    month: Mapped[date] = mapped_column(CalendarDay, primary_key=True)
