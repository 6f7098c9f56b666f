"""Children and their measurements as merged states, and what is derived from them.

`assessment` and `flag` are derived: they can be computed again from the states at any time.
"""

from datetime import date, datetime

from sqlalchemy import Index, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from server.database.models.columns import (
    Base,
    CalendarDay,
    Count,
    Id,
    Moment,
    Real,
    Truth,
    partial_index,
    refers_to,
    table_args,
)


class Child(Base):
    """A child's merged state. A measurement or other record that arrives before its child creates the row, unregistered
    (`linked_records` says what "registered" means).

    The columns hold what must be found or counted without decrypting. `state` (encrypted) has every register with all its
    live values; names, NIK, parents and address are in it alone.

    - `sex`, `born_on`: None while unknown, or while live values differ in it.
    - `same_as`: the child that this one was linked to; None if it was not, or while that register is in conflict.
    - `person_id`: the canonical id, the same for all linked children; a child without links has its own
      (`linked_records`).
    - `clock_days`: days to add to the birth date to get the true one, as far as a wrong tablet clock shifted it; 0 nearly
      always.
    - `krs_until`: the last day on which the family counts as at risk of stunting (KRS), 9999-12-31 if no end was given; None
      if it does not, or nobody has said. Of several live values the latest day counts.
    - `restricted_at`: since when the parents have processing restricted; only staff who handle their rights see the child.
    - `wrapped_key`: None once the person was erased (`privacy.erasure`).
    """

    __tablename__ = "child"
    __table_args__ = table_args(
        refers_to("health_post", "post_id", to=("id",)),
        Index("ix_child_stream", "district", "post_id", "position"),
        Index("ix_child_person", "district", "person_id"),
        Index("ix_child_born_on", "district", "born_on", "sex"),
        Index("ix_child_same_as", "district", "same_as"),
        partial_index("ix_child_conflicts", "post_id", where="conflicts <> ''"),
        partial_index("ix_child_restricted", "id", where="restricted_at IS NOT NULL"),
        partial_index(
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
        partial_index("ix_child_linked", "person_id", "id", "post_id", where="person_id <> id"),
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
    """A child's measurement of one day and source, merged. A column in conflict is None; `state` has every value.

    `clock_days`: days to add to the day of measuring to get the true one, as far as a wrong tablet clock shifted it; 0
    nearly always.
    """

    __tablename__ = "measurement"
    __table_args__ = table_args(
        refers_to("child", "child_id", to=("id",)),
        Index("ix_measurement_stream", "district", "post_id", "position"),
        partial_index("ix_measurement_conflicts", "post_id", where="conflicts <> ''"),
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


class NikIndex(Base):
    """Which children have which NIK, over all districts, by blind index."""

    __tablename__ = "nik_index"
    blind_index: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    child_id: Mapped[str] = mapped_column(Id, primary_key=True)


class DuplicatePair(Base):
    """Two children who may be one, found at an upload; `child_id` < `other_id`.

    `why` (JSON): the evidence as codes and whole percents, never values. `status`: open, linked or different; a pair that a
    person has called different is not reported again.
    """

    __tablename__ = "duplicate_pair"
    __table_args__ = table_args(
        refers_to("child", "child_id", to=("id",)),
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


class Assessment(Base):
    """What is derived from one measurement within its child's timeline. Never edited: the whole timeline is computed again.

    - z-scores: SD, 2 decimals. None with a word in `reasons` (JSON by index); None without one if nothing was measured.
    - `candidates` (JSON): the scores of every candidate, where values are in conflict.
    - `inputs`: hash of everything that it was computed from.
    """

    __tablename__ = "assessment"
    __table_args__ = table_args(refers_to("child", "child_id", to=("id",)))
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

    `subject`: the measurement ("2026-11-03/cadre"), or "" for the child as a whole. `urgency`: 1 (today) to 4.
    """

    __tablename__ = "flag"
    __table_args__ = table_args(
        refers_to("child", "child_id", to=("id",)),
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
