"""Care of flagged children: follow-ups as merged states, and the review queue derived from flags and follow-ups."""

from datetime import date

from sqlalchemy import Index, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from server.database.models.columns import (
    Base,
    CalendarDay,
    Count,
    Id,
    Real,
    Truth,
    partial_index,
    refers_to,
    table_args,
)


class FollowUp(Base):
    """A task for a child and its result, merged. A column whose live values differ is None; `state` has every value.

    - `task`: the id that, with the child's, makes the record's id.
    - `action`, `outcome`: words of `schemas`.
    - `covers` (JSON): the flags that were on the screen when the case was closed.
    - `has_result`: 1 if a result was recorded, in conflict or not; else 0.
    """

    __tablename__ = "follow_up"
    __table_args__ = table_args(
        refers_to("child", "child_id", to=("id",)),
        Index("ix_follow_up_stream", "district", "post_id", "position"),
        partial_index("ix_follow_up_due", "due_on", where="has_result = 0"),
        partial_index("ix_follow_up_conflicts", "post_id", where="conflicts <> ''"),
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
    has_result: Mapped[int] = mapped_column(Integer)
    done_on: Mapped[date | None] = mapped_column(CalendarDay)
    outcome: Mapped[str | None] = mapped_column(Text)
    covers: Mapped[str | None] = mapped_column(Text)
    state: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[int] = mapped_column(Integer)


class Attention(Base):
    """A row of the review queue: a person with a flag or an open task. Derived, like flags.

    - `child_id`: the canonical id.
    - `urgency`: that of the most urgent flag, 1 to 4; 5 without a flag but with an open task. `red_flags`: how many have
      urgency 1.
    - `sort_key`: orders the queue by urgency, red flags, most serious rule, worst score (`review_queue.sort_key`).
    - `rules`: the rules of its flags, as `review_queue.rules_text` writes them.
    - `status`: new, taken (somebody is responsible), waiting (a task is open) or closed (every flag was seen when the case
      was closed).
    - `due_on`: due date of the first task.
    """

    __tablename__ = "attention"
    __table_args__ = table_args(
        refers_to("child", "child_id", to=("id",)),
        Index("ix_attention_sort_key", "district", "sort_key", "child_id", "urgency", "post_id", "rules"),
        Index("ix_attention_post", "district", "post_id", "urgency", "status"),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    child_id: Mapped[str] = mapped_column(Id, primary_key=True)
    post_id: Mapped[str] = mapped_column(Id)
    born_on: Mapped[date | None] = mapped_column(CalendarDay)
    urgency: Mapped[int] = mapped_column(Integer)
    red_flags: Mapped[int] = mapped_column(Integer)
    sort_key: Mapped[float] = mapped_column(Real)
    rules: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    assigned_to: Mapped[str | None] = mapped_column(Text)
    due_on: Mapped[date | None] = mapped_column(CalendarDay)
