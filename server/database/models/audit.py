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


class Witness(Base):
    """Who cosigns the checkpoints of this log: another server, or a directory that keeps a copy of each.

    `place`: the address of a server, or a directory. `public_keys` (JSON): its verifier keys, none for a directory. A
    removed witness stays, as what it cosigned does. `failure`: why it lacks the newest checkpoint, `failed_at`: since when.
    """

    __tablename__ = "witness"
    __table_args__ = table_args()
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    place: Mapped[str] = mapped_column(Text)
    public_keys: Mapped[str] = mapped_column(Text)
    added_at: Mapped[datetime] = mapped_column(Moment)
    removed_at: Mapped[datetime | None] = mapped_column(Moment)
    failure: Mapped[str | None] = mapped_column(Text)
    failed_at: Mapped[datetime | None] = mapped_column(Moment)


class Cosignature(Base):
    """What a witness answered for one checkpoint: lines of signatures; "" from a directory. `at`: by the witness's clock."""

    __tablename__ = "cosignature"
    __table_args__ = table_args(
        refers_to("audit_checkpoint", "checkpoint", to=("number",)),
        refers_to("witness", "witness", to=("name",)),
        Index("ix_cosignature_witness", "district", "witness", "checkpoint"),
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    checkpoint: Mapped[int] = mapped_column(Count, primary_key=True)
    witness: Mapped[str] = mapped_column(Text, primary_key=True)
    lines: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Moment)


class WitnessedLog(Base):
    """A log of somebody else that this installation witnesses. `origin`: without the incarnation, for a log of our kind.

    `public_keys` (JSON): the verifier keys that are trusted for it.
    """

    __tablename__ = "witnessed_log"
    __table_args__ = table_args()
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    origin: Mapped[str] = mapped_column(Text, primary_key=True)
    public_keys: Mapped[str] = mapped_column(Text)
    added_at: Mapped[datetime] = mapped_column(Moment)
    removed_at: Mapped[datetime | None] = mapped_column(Moment)


class WitnessedCheckpoint(Base):
    """The largest checkpoint of a log that this installation has cosigned, one for each incarnation of the log.

    `note`: as it is served, with the signatures of the log and ours. `conflict`: the first note that the log signed and that
    cannot be true beside it.
    """

    __tablename__ = "witnessed_checkpoint"
    __table_args__ = table_args(refers_to("witnessed_log", "log", to=("origin",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    origin: Mapped[str] = mapped_column(Text, primary_key=True)
    log: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(Count)
    root: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    first_at: Mapped[datetime] = mapped_column(Moment)
    at: Mapped[datetime] = mapped_column(Moment)
    conflict: Mapped[str | None] = mapped_column(Text)
    conflict_at: Mapped[datetime | None] = mapped_column(Moment)
