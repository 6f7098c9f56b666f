"""The list of what was withdrawn: decisions that an older backup must not undo.

A tablet revoked, a post taken from one, an account disabled, a password replaced, a child restricted or erased: each is an
entry of the log. The list is a copy of those entries outside the database, as ids and moments. It lies in the data directory
and beside the backups, and `reapplying` makes a restored database follow it.

Rules kept here:
- The database is the truth and the list its shadow. It is brought up to date after each commit that logs such a decision
  (`follow`), by a job, and with every backup, which reads the whole log; so what a killed process did not write, or what was
  logged while the clock was wrong, is found in the log later.
- A list is only added to. Of two decisions about the same subject in the same matter the later one counts: a restriction
  that was lifted stays lifted. Where the clock went back, a stream of the log knows which is later; the list then names for
  it a moment just after the other.
- It is encrypted with the key of backups, so only a holder of the key file can read it or make one that is accepted. It is
  replaced as a whole: a kill leaves the old one or the new one.
- It names every incarnation of the databases that it was made from. So a list of another installation, or of a new and
  empty one, is not taken for that of a backup.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from server.backup.encrypted_file import SealedReader, SealedWriter, cipher_of, part_of, read_header
from server.backup.refusals import BackupRefused
from server.config import Settings
from server.context import AppContext
from server.crypto.vault import KeyUnusable, Vault
from server.database.models import AuditEntry, Erasure, Installation, table
from server.privacy import leftovers
from server.translations import T_
from sync_protocol import canonical

LIST_KIND: Final = "posyandu-sync.withdrawals"
POST_TAKEN, POST_GIVEN = "tablet.post-taken", "tablet.post-given"
REVOKED, CLOSED, DISABLED, ENABLED = "tablet.revoked", "tablet.closed", "account.disabled", "account.enabled"
SECRETS, RECOVERY_CODES, PASSKEYS = "account.secrets", "account.recovery-codes", "account.passkeys"
RESTRICTED, LIFTED, ERASED = "rights.restricted", "rights.restriction-lifted", "rights.erased"
MATTER: Final[Mapping[str, str]] = {
    **{kind: kind for kind in (REVOKED, CLOSED, SECRETS, RECOVERY_CODES, PASSKEYS, ERASED)},
    **dict.fromkeys((POST_TAKEN, POST_GIVEN), "tablet-post"),
    **dict.fromkeys((DISABLED, ENABLED), "account"),
    **dict.fromkeys((RESTRICTED, LIFTED), "processing"),
}
"""The matter that each kind of decision is about; within one, the later decision counts."""
OVERLAP: Final = timedelta(hours=1)
"""How far before its last entry the log is read again: an entry's moment is that of its request, not of its commit."""
REREAD: Final = timedelta(days=1)
"""How much of the log may be read again each time before the list is written only to say how far it goes."""

_About = Callable[[str, Mapping[str, Any]], Sequence[str | None]]


def _named(name: str) -> _About:
    return lambda _actor, details: [details.get(name)]


def _children(_actor: str, details: Mapping[str, Any]) -> Sequence[str]:
    return list(details.get("children", ()))


def _by_recovery_code(actor: str, details: Mapping[str, Any]) -> Sequence[str]:
    return [actor.removeprefix("account:")] if details.get("second_factor") == "recovery-code" else []


def _sender(actor: str, _details: Mapping[str, Any]) -> Sequence[str]:
    return [actor.removeprefix("tablet:")]


DECISIONS: Final[Mapping[str, tuple[str, _About]]] = {
    "tablet.revoked": (REVOKED, _named("tablet")),
    "tablet.closed": (CLOSED, _named("tablet")),
    "tablet.post-taken": (POST_TAKEN, _named("tablet_post")),
    "tablet.post-given": (POST_GIVEN, _named("tablet_post")),
    "tablet.enrolled": (CLOSED, _named("replaces")),
    "batch.new_epoch_required": (CLOSED, _sender),
    "account.disabled": (DISABLED, _named("account")),
    "account.enabled": (ENABLED, _named("account")),
    "account.password-set": (SECRETS, _named("account")),
    "account.secrets-ended": (SECRETS, _named("account")),
    "second-factor.set-up": (SECRETS, _named("account")),
    "second-factor.codes-made": (RECOVERY_CODES, _named("account")),
    "account.codes-ended": (RECOVERY_CODES, _named("account")),
    "passkey.removed": (PASSKEYS, _named("account")),
    "account.passkeys-ended": (PASSKEYS, _named("account")),
    "sign-in.succeeded": (RECOVERY_CODES, _by_recovery_code),
    "rights.restricted": (RESTRICTED, _children),
    "rights.restriction-lifted": (LIFTED, _children),
    "rights.erased": (ERASED, _children),
}
"""Actions of the log that are, or may be, such decisions: the kind, and whom or what an entry is about."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision. `subject`: the id of a tablet, account or child, or those of a tablet and a post with "/" between. `by`:
    of an erasure, who proposed it and who agreed."""

    district: str
    kind: str
    subject: str
    at: datetime
    by: tuple[str, ...] = ()

    @property
    def matter(self) -> tuple[str, str, str]:
        return self.district, MATTER[self.kind], self.subject


Decisions = Mapping[tuple[str, str, str], Decision]
"""The latest decision of each matter."""


@dataclass(frozen=True, slots=True)
class Withdrawals:
    """A list.

    Parameters
    ----------
    incarnations : of the databases whose decisions are in it
    until : by district, the newest entry of the log when it was made
    key : id of the key under which it was encrypted; "" if it was not written yet
    """

    decisions: Decisions = field(default_factory=dict)
    incarnations: frozenset[str] = frozenset()
    until: Mapping[str, datetime] = field(default_factory=dict)
    key: str = ""

    def joined(self, other: "Withdrawals") -> "Withdrawals":
        """Return a list with the decisions of both."""
        ends = sorted([*self.until.items(), *other.until.items()], key=lambda one: one[1])
        return Withdrawals(
            latest([*self.decisions.values(), *other.decisions.values()]),
            self.incarnations | other.incarnations,
            dict(ends),
            self.key or other.key,
        )


def latest(decisions: Iterable[Decision]) -> dict[tuple[str, str, str], Decision]:
    """Return the latest decision of each matter."""
    found: dict[tuple[str, str, str], Decision] = {}
    for one in decisions:
        if one.matter not in found or found[one.matter].at <= one.at:
            found[one.matter] = one
    return found


# -- from the log ---------------------------------------------------------------------------------


def from_log(session: Session, since: Mapping[str, datetime] | None = None) -> Withdrawals:
    """Return the decisions in a database's log, of all its districts.

    Parameters
    ----------
    since : by district, from when on; None: all. Works on the schema of every release
    """
    installed = session.execute(select(Installation.district, Installation.incarnation)).all()
    decisions, until = [], {}
    for row in installed:
        c = table(AuditEntry).c
        newest = session.scalar(select(func.max(c.at)).where(c.district == row.district))
        until.update({row.district: newest} if newest else {})
        decisions += _of_district(session, row.district, (since or {}).get(row.district))
    return Withdrawals(latest(decisions), frozenset(row.incarnation for row in installed), until)


def _of_district(session: Session, district: str, since: datetime | None) -> list[Decision]:
    c = table(AuditEntry).c
    columns = (c.district, c.stream, c.at, c.actor, c.action, c.details)
    query = select(*columns).where(
        c.district == district, c.action.in_(DECISIONS), *([] if since is None else [c.at >= since])
    )
    return _decisions(session, session.execute(query.order_by(c.stream, c.number)).mappings().all())


def _subjects(entry: Mapping[Any, Any]) -> list[str]:
    """Return the ids that an entry of the log decides about; none if it is no such decision."""
    if entry["action"] not in DECISIONS:
        return []
    about = DECISIONS[entry["action"]][1]
    return [subject for subject in about(entry["actor"], json.loads(entry["details"])) if subject]


def _decisions(session: Session, entries: Iterable[Mapping[Any, Any]]) -> list[Decision]:
    """Return the decisions that entries of the log tell of, in its order; erasures with who proposed and agreed."""
    found = _in_order(
        (entry["stream"], Decision(entry["district"], DECISIONS[entry["action"]][0], subject, entry["at"]))
        for entry in entries
        for subject in _subjects(entry)
    )
    if not any(one.kind == ERASED for one in found):
        return found  # the table of erasures is younger than the log
    e = table(Erasure).c
    rows = session.execute(select(e.district, e.child_id, e.proposed_by, e.agreed_by))
    by = {(row.district, ERASED, row.child_id): (row.proposed_by, row.agreed_by) for row in rows}
    return [replace(one, by=by.get(one.matter, ())) for one in found]


def _in_order(found: Iterable[tuple[str, Decision]]) -> list[Decision]:
    """Return decisions, by stream, with a moment that is no earlier than that of those before them in the same matter."""
    ordered: list[Decision] = []
    latest_at: dict[tuple[str, tuple[str, str, str]], datetime] = {}
    for stream, one in found:
        before = latest_at.get((stream, one.matter), one.at)
        at = one.at if before <= one.at else before + timedelta(microseconds=1)
        latest_at[stream, one.matter] = at
        ordered.append(replace(one, at=at))
    return ordered


# -- the file -------------------------------------------------------------------------------------


def list_in(directory: Path, district: str) -> Path:
    """Return the file of the list in a directory."""
    return directory / f"posyandu-{district}.withdrawals"


def read_list(file: Path, key_file: Path, vault: Vault) -> Withdrawals:
    """Read a list.

    Raises
    ------
    BackupRefused
        It is damaged, was altered or made by somebody else, or its key is not here.
    """
    try:
        with file.open("rb") as opened:
            header = read_header(file, opened, LIST_KIND)
            content = json.loads(
                SealedReader(file, opened, header, cipher_of(file, header, key_file, vault)).readall()
            )
        return Withdrawals(
            latest(_read(row) for row in content["decisions"]),
            frozenset(content["incarnations"]),
            {district: datetime.fromisoformat(at) for district, at in content["until"].items()},
            header.key,
        )
    except (BackupRefused, ValueError, KeyError, TypeError) as error:
        raise BackupRefused(
            T_(
                "the list of what was withdrawn, {file}, is damaged, was altered, or is sealed with a key that is not in "
                "{key_file}: put another copy of it there (one lies beside the backups)"
            ).format(file=file, key_file=key_file),
        ) from error


def _read(row: Mapping[str, Any]) -> Decision:
    if row["kind"] not in MATTER:
        raise ValueError(row["kind"])
    at = datetime.fromisoformat(row["at"])
    return Decision(row["district"], row["kind"], row["subject"], at, tuple(row["by"]))


def write_list(listed: Withdrawals, file: Path, settings: Settings, vault: Vault, now: datetime) -> None:
    """Replace a list; it is on the disk afterwards."""
    content = {
        "decisions": [
            {
                "district": d.district,
                "kind": d.kind,
                "subject": d.subject,
                "at": _text(d.at),
                "by": list(d.by),
            }
            for _, d in sorted(listed.decisions.items())
        ],
        "incarnations": sorted(listed.incarnations),
        "until": {district: _text(at) for district, at in listed.until.items()},
    }
    with part_of(file) as part:
        sealed = SealedWriter(part, settings, vault, now, LIST_KIND)
        sealed.write(canonical(content))
        sealed.finish()


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


# -- keeping it -----------------------------------------------------------------------------------


def keep(
    hub: AppContext,
    now: datetime,
    *,
    entries: Sequence[Mapping[str, Any]] | None = None,
    whole: bool = False,
    beside: Path | None = None,
) -> Withdrawals:
    """Add to the list what the log and the copies say since it was written, and copy it to the backups; return it.

    A copy that cannot be written, or is sealed with a key that is not here, is left as it is: `doctor` shows it.

    Parameters
    ----------
    entries : add only what these entries of the log say; the copies are left to the job, for their disk may be slow
    whole : read the whole log, and write the list even if nothing was added
    beside : another directory for a copy

    Raises
    ------
    BackupRefused
        The list that is here cannot be trusted. It is left as it is.
    OSError
        The data directory cannot be written.
    """
    settings = hub.settings
    own = list_in(settings.data_dir, settings.district)
    copies = [list_in(at, settings.district) for at in (settings.backup_dir, beside) if at and at.is_dir()]
    with _one_at_a_time(settings):
        mine = _read_all(hub, own, [own])
        known = mine.joined(_read_all(hub, own, copies if entries is None or not own.exists() else []))
        until = {} if whole else (mine if own.exists() else known).until
        with hub.database.reading() as session:
            listed = known.joined(_added(session, known, until, entries, now))
        if whole or not own.exists() or _is_outdated(mine, listed, hub.vault):
            write_list(listed, own, settings, hub.vault, now)
        for copy in copies if entries is None else ():
            _copy_or_log(own, copy, hub.vault)
    return listed


def _added(
    session: Session,
    known: Withdrawals,
    until: Mapping[str, datetime],
    entries: Sequence[Mapping[str, Any]] | None,
    now: datetime,
) -> Withdrawals:
    """Return what the log, or its given entries, say since some moments; what the whole log says if the clock went back."""
    if entries is not None and known.incarnations:
        found = latest(_decisions(session, entries))
        if all(
            known.decisions[matter].at <= found[matter].at for matter in found.keys() & known.decisions.keys()
        ):
            return Withdrawals(found)
        return from_log(session)
    went_back = any(at > now for at in until.values())
    return from_log(session, {} if went_back else {district: at - OVERLAP for district, at in until.items()})


def _read_all(hub: AppContext, own: Path, files: Sequence[Path]) -> Withdrawals:
    """Join the list or its copies. A copy can know more: of data that were lost, when its disk was not there.

    Raises
    ------
    BackupRefused
        The list cannot be trusted; or a copy, and there is no list.
    """
    joined = Withdrawals()
    for file in files:
        try:
            joined = joined.joined(read_list(file, hub.settings.key_file, hub.vault))
        except FileNotFoundError:
            continue
        except (BackupRefused, OSError):
            if file == own or not own.exists():
                raise
    return joined


def _copy_or_log(own: Path, copy: Path, vault: Vault) -> None:
    """Copy the list; a failure is only logged, since other copies and other work do not depend on it."""
    log = structlog.get_logger("posyandu.withdrawals")
    try:
        if _is_of_other_keys(copy, vault):
            log.error("list not copied", error="sealed with another key", file=str(copy))
        else:
            _copy(own, copy)
    except (BackupRefused, OSError) as error:
        log.error("list not copied", error=type(error).__name__, file=str(copy))


def _is_of_other_keys(file: Path, vault: Vault) -> bool:
    """Return whether a file is a list sealed with a key that is not here: that of another installation, perhaps."""
    try:
        with file.open("rb") as opened:
            return read_header(file, opened, LIST_KIND).key not in vault.backup_keys()
    except (BackupRefused, FileNotFoundError):
        return False


@contextmanager
def _one_at_a_time(settings: Settings) -> Iterator[None]:
    """Wait until no other process reads the list to replace it."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(settings.data_dir / "withdrawals.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_outdated(known: Withdrawals, listed: Withdrawals, vault: Vault) -> bool:
    """Return whether a list must be written again: for what it lacks, a newer key, or to have less of the log to read."""
    if (known.decisions, known.incarnations) != (listed.decisions, listed.incarnations):
        return True
    grown = any(at - known.until.get(district, at) > REREAD for district, at in listed.until.items())
    return grown or known.key != next(iter(vault.backup_keys()))


def _copy(file: Path, to: Path) -> None:
    content = file.read_bytes()
    if to == file or (to.exists() and not to.is_symlink() and to.read_bytes() == content):
        return
    with part_of(to) as part:
        part.write(content)


def add(listed: Withdrawals, settings: Settings, vault: Vault, now: datetime) -> None:
    """Replace the list in the data directory by one that holds more."""
    with _one_at_a_time(settings):
        write_list(listed, list_in(settings.data_dir, settings.district), settings, vault, now)


def take_along(files: Sequence[Path], settings: Settings) -> None:
    """Put a list into the data directory that cannot be read yet because the key file is missing."""
    with _one_at_a_time(settings):
        for file in files[:1]:
            _copy(file, list_in(settings.data_dir, settings.district))


def keep_or_log(hub: AppContext, now: datetime, **how: Any) -> None:
    """As `keep`; what was decided is committed, so a failure is only logged: `doctor` shows it, and the job tries again."""
    try:
        keep(hub, now, **how)
    except (BackupRefused, KeyUnusable, OSError, SQLAlchemyError) as error:
        structlog.get_logger("posyandu.withdrawals").error("list not kept", error=type(error).__name__)


def follow(hub: AppContext) -> None:
    """From now on bring the list up to date after each commit of such a decision, where there is a data directory."""

    def committed(entries: Sequence[Mapping[str, Any]]) -> None:
        leftovers.after_commit(hub, entries)
        decided = [entry for entry in entries if _subjects(entry)]
        if decided and hub.settings.data_dir.is_dir():
            keep_or_log(hub, datetime.now(UTC), entries=decided)

    hub.database.after_commit = committed
