"""The audit log: hash-chained streams of entries, and signed checkpoints over them."""

from datetime import datetime

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from server.database.models.columns import Base, Count, Moment, refers_to, table_args


class AuditStream(Base):
    """The newest entry of one hash-chained stream of the log: `post/<id>` or `office`.

    `bound`: the newest order of its entries, which orders the digests of rows over all streams (`server.audit.row_digests`);
    None before the first.
    """

    __tablename__ = "audit_stream"
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    stream: Mapped[str] = mapped_column(Text, primary_key=True)
    entries: Mapped[int] = mapped_column(Count)
    head_hash: Mapped[str] = mapped_column(Text)
    bound: Mapped[int | None] = mapped_column(Count)


class AuditEntry(Base):
    """One entry of the log. `hash` covers all its other columns and the hash of the entry before."""

    __tablename__ = "audit_entry"
    __table_args__ = table_args(
        refers_to("audit_stream", "stream", to=("stream",)), Index("ix_audit_entry_at", "district", "at")
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
    """A signed statement of how far the log had come. `statement` and `signatures`: canonical JSON, as exported.

    `peaks` (JSON): the roots of the perfect subtrees over all leaves so far; the next checkpoint continues from them.
    """

    __tablename__ = "audit_checkpoint"
    __table_args__ = table_args()
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    number: Mapped[int] = mapped_column(Count, primary_key=True)
    statement: Mapped[str] = mapped_column(Text)
    signatures: Mapped[str] = mapped_column(Text)
    peaks: Mapped[str] = mapped_column(Text)


class AuditLeaf(Base):
    """A leaf of the log's Merkle tree: the head of a stream that had advanced when a checkpoint was made.

    All leaves in order: by checkpoint, then by name of the stream.
    """

    __tablename__ = "audit_leaf"
    __table_args__ = table_args(
        refers_to("audit_checkpoint", "checkpoint", to=("number",)),
        Index("ix_audit_leaf_stream", "district", "stream", "entries"),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    checkpoint: Mapped[int] = mapped_column(Count, primary_key=True)
    stream: Mapped[str] = mapped_column(Text, primary_key=True)
    entries: Mapped[int] = mapped_column(Count)
    hash: Mapped[str] = mapped_column(Text)
