"""Imported files: runs, the rows taken in each transaction, and rows that a person must decide about."""

from datetime import datetime

from sqlalchemy import Index, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from server.database.models.columns import Base, Id, Moment, refers_to, table_args


class ImportRun(Base):
    """One imported file: how far the import got, and the outcomes of its rows.

    - `digest`: of file and options; an interrupted import of the same file resumes where it stopped.
    - `counts` (JSON): rows by outcome.
    - `state`: waiting (a page shows the preview), running, done.
    - `sealed`: the file itself, between preview and import; None otherwise.
    """

    __tablename__ = "import_run"
    __table_args__ = table_args(Index("ix_import_run_digest", "district", "digest"))
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
    """The rows of a file that were imported in one transaction.

    - `sealed`: each row's content and outcome, packed.
    - `children`: the digests of the children that the rows are of, and of the questions that they raised, one after
      another, and keyed ones of the texts in rows that are of nobody (refused, say), so that an erasure finds their chunks
      without opening any; None in chunks of before 0023, until an erasure has looked into them.
    """

    __tablename__ = "import_chunk"
    __table_args__ = table_args(refers_to("import_run", "run_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    run_id: Mapped[str] = mapped_column(Id, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    rows: Mapped[int] = mapped_column(Integer)
    counts: Mapped[str] = mapped_column(Text)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    children: Mapped[bytes | None] = mapped_column(LargeBinary)


class ImportCase(Base):
    """A row of an imported file that a person must decide about: which child it is of, or which values are right.

    - `id` is computed from the whole row: the same row in another file is the same case, open or decided.
    - `who` is computed from what the row says of the child: a decision holds for the child's other rows.
    - `sealed`: the row, under the district's key.
    - `candidates` (JSON): children whom it may mean, with scores and reasons as codes.
    - `decision`: child (it is that child), new, theirs (the file's values are right) or skip.
    - `child_id`: the child that was chosen or made.
    """

    __tablename__ = "import_case"
    __table_args__ = table_args(
        refers_to("import_run", "run_id", to=("id",)),
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
