"""What supervisors read: notices, and the state of a post in a month."""

from datetime import date, datetime

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from server.database.models.columns import Base, CalendarDay, Id, Moment, refers_to, table_args


class Notice(Base):
    """Something for a supervisor or the health centre that is not about one child: a silent tablet, a cloned one."""

    __tablename__ = "notice"
    __table_args__ = table_args()
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    details: Mapped[str] = mapped_column(Text)
    raised_at: Mapped[datetime] = mapped_column(Moment)


class PostMonth(Base):
    """What a supervisor reads of a post's month, computed in advance (`supervision.months`).

    `told` (JSON) is valid while `state`, a digest of its inputs, equals the present one. `others` (JSON): the other posts
    whose streams it depends on.
    """

    __tablename__ = "post_month"
    __table_args__ = table_args(refers_to("health_post", "post_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    month: Mapped[date] = mapped_column(CalendarDay, primary_key=True)
    post_id: Mapped[str] = mapped_column(Id, primary_key=True)
    state: Mapped[str] = mapped_column(Text)
    others: Mapped[str] = mapped_column(Text)
    told: Mapped[str] = mapped_column(Text)
