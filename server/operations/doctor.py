"""What is wrong with this installation, and the remedy: from the disk it lies on to every stored state.

Hides how each thing is looked at, in what order, and how much at a time: forty thousand children are never in memory at
once. Only reads. Every check looks at one snapshot (the long ones at one for each few hundred children), so a server at work
is never taken for a damaged one. What a check rests on comes before it; where that fails, the rest is not guessed at. What
is found is named by ids and codes, never by a person's data.
"""

import ctypes
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Table, and_, func, select, text, tuple_, union_all
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, aliased

from server import audit
from server.accounts.roles import WITH_SECOND_FACTOR
from server.audit import checkpoints, verification
from server.backup import status
from server.children import ledger, record_linkage
from server.children.assessment import derive
from server.config import Settings
from server.context import AppContext
from server.crypto.key_file import load_keys
from server.crypto.vault import KeyUnusable
from server.database import migrations
from server.database.engine import Database, Writes, among
from server.database.models import (
    Account,
    Attention,
    AuditEntry,
    Batch,
    ChangeRow,
    Child,
    Delivery,
    FollowUp,
    HealthPost,
    Installation,
    JobRun,
    Measurement,
    PostExit,
    Tablet,
    UserSession,
    table,
)
from server.demo.directory import is_demo
from server.sync import clock_skew
from sync_protocol import (
    KEYS,
    Dot,
    ProtocolError,
    RecordState,
    change_hash,
    content_digest,
    digest,
    fold,
    id_of,
)

CHUNK: Final = 500
"""Children, or rows of the ledger, in memory at a time."""
SAMPLE: Final = 200
"""Children that a quick look opens and folds."""
MOST_KEPT, MOST_NAMED = 1000, 3
"""Of what a check found: so much is in the JSON, so much in a line."""
LEAST_FREE_BYTES: Final = 256 << 20
OLDEST_POSTGRESQL: Final = (15, 0)
SCHEDULER_HOURS: Final = 3
"""The busiest job runs every hour, and all of them when the server starts."""
CHECKPOINT_HOURS: Final = 24
"""One is signed every hour, and when the server starts."""
CLOCK_SECONDS: Final = 60
"""Several machines may serve one database, and their clocks are not one."""
QUICK_TAIL: Final = 100_000
"""Entries since the newest checkpoint that a quick look recomputes."""
ADJTIMEX_BYTES: Final = 512
"""More than its structure has on any machine; all zero it asks, and sets nothing."""
TIME_ERROR: Final = 5
"""What adjtimex gives when nothing synchronises the clock."""
NOT_FOLDED: Final = frozenset({"state", "position", "person_id"})
"""Columns that a record's own changes do not decide; sealed twice, a state is not the same bytes."""
BY_CALENDAR: Final = "not_seen"
"""The flag that the passing of time raises, which a job does after midnight; the child's row of the queue goes with it."""
UNREADABLE: Final = (KeyUnusable, ProtocolError, ValueError, KeyError, TypeError, AttributeError)
"""What bytes that are no longer ours may come to when they are read."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class CheckText:
    """What is said of a check, and its remedy; `{count}` is what was looked at."""

    ok: tuple[str, str]
    problem: tuple[str, str]


RESTORE: Final = (
    "pulihkan cadangan terakhir yang baik (posyandu-sync restore), tablet mengirim ulang sisanya",
    "restore the last good backup (posyandu-sync restore), tablets send again what it lacks",
)
WORDS: Final[Mapping[str, CheckText]] = {
    "place": CheckText(
        ("tempat data dapat ditulis, ruang cukup", "the place can be written, room enough"),
        (
            "beri hak tulis kepada pengguna server saja (chmod 600 pada basis data), atau kosongkan ruang disk",
            "give the server's user, and nobody else, the right (chmod 600 of the database), or make room on the disk",
        ),
    ),
    "keys": CheckText(
        ("berkas kunci ada, hanya terbaca pemiliknya", "the key file is there, for its owner alone"),
        (
            "pasang berkas kunci dari salinan Anda, lalu chmod 600",
            "put the key file back from your copy, then chmod 600",
        ),
    ),
    "database": CheckText(
        ("basis data terbuka dan utuh", "the database opens and is sound"),
        (
            "periksa DATABASE_URL dan layanannya (PostgreSQL 15 ke atas); bila rusak, pindahkan, lalu pulihkan cadangan",
            "check DATABASE_URL and its service (PostgreSQL 15 or later); if damaged, move it away and restore a backup",
        ),
    ),
    "schema": CheckText(
        ("skema terbaru", "the schema is the newest"),
        (
            "jalankan 'posyandu-sync serve' dari rilis ini, atau pasang rilis yang lebih baru",
            "run 'posyandu-sync serve' of this release, or install the newer one",
        ),
    ),
    "district": CheckText(
        ("wilayah terpasang", "the district is installed"),
        ("atur POSYANDU_DISTRICT, atau jalankan 'serve'", "set POSYANDU_DISTRICT, or run 'serve'"),
    ),
    "clock": CheckText(
        ("jam server tidak mundur", "the server's clock has not gone back"),
        (
            "betulkan jam server dan nyalakan penyelarasan (timedatectl set-ntp true)",
            "set the server's clock right and let it be synchronised (timedatectl set-ntp true)",
        ),
    ),
    "second-factor": CheckText(
        ("langkah kedua diminta dari semua kecuali kader", "a second factor is asked of all but cadres"),
        (
            "hapus POSYANDU_SECOND_FACTOR=0 dari lingkungan server, lalu jalankan ulang",
            "take POSYANDU_SECOND_FACTOR=0 out of the server's environment, and restart it",
        ),
    ),
    "backups": CheckText(
        ("cadangan terakhir masih baru", "a backup was made lately"),
        (
            "atur POSYANDU_BACKUP_DIR, atau jalankan 'posyandu-sync backup' tiap malam (cron), dan simpan di luar mesin ini",
            "set POSYANDU_BACKUP_DIR, or run 'posyandu-sync backup' each night (cron), and keep copies off this machine",
        ),
    ),
    "proof": CheckText(
        ("cadangan terbukti dapat dipulihkan", "a backup was proven by restoring it"),
        (
            "jalankan 'posyandu-sync restore --trial' pada cadangan terbaru",
            "run 'posyandu-sync restore --trial' on the newest backup",
        ),
    ),
    "sealed": CheckText(
        ("kunci membuka data {count} anak", "the keys open the data of {count} children"),
        (
            "pasang berkas kunci yang cocok; bila hanya beberapa anak, " + RESTORE[0],
            "put the right key file back; if it is only some children, " + RESTORE[1],
        ),
    ),
    "log": CheckText(
        ("catatan audit utuh: {count} entri", "the log is whole: {count} entries"),
        (
            "jangan ubah apa pun: simpan cadangan sekarang sebagai bukti dan laporkan ke dinas",
            "change nothing: keep a backup of this as evidence, and report it to the supervisor",
        ),
    ),
    "checkpoint": CheckText(
        ("titik periksa catatan audit baru ditandatangani", "a checkpoint of the log was signed lately"),
        (
            "jalankan 'posyandu-sync serve' dan biarkan hidup, atau 'posyandu-sync audit checkpoint'",
            "run 'posyandu-sync serve' and leave it running, or 'posyandu-sync audit checkpoint'",
        ),
    ),
    "ledger": CheckText(
        ("{count} perubahan, tanpa celah, rantai cocok", "{count} changes, no hole, every chain fits"),
        RESTORE,
    ),
    "batches": CheckText(
        ("{count} kiriman, jumlah hasil cocok", "{count} batches, the outcomes add up"),
        RESTORE,
    ),
    "states": CheckText(
        ("keadaan {count} anak sama dengan buku besar", "{count} children are as the ledger has them"),
        RESTORE,
    ),
    "streams": CheckText(
        ("nomor urut {count} posyandu unik", "the positions of {count} posts are unique"),
        RESTORE,
    ),
    "assessments": CheckText(
        ("penilaian {count} anak mutakhir", "the assessments of {count} children are up to date"),
        RESTORE,
    ),
    "scheduler": CheckText(
        ("penjadwal berjalan", "the scheduler runs"),
        (
            "jalankan 'posyandu-sync serve' dan biarkan hidup",
            "run 'posyandu-sync serve' and leave it running",
        ),
    ),
    "tablets": CheckText(
        ("{count} tablet, tidak ada yang terputus", "{count} tablets, none left behind"),
        (
            "buka aplikasi di tablet itu saat ada sinyal, atau daftarkan lagi: posyandu-sync tablet enrol",
            "open the app on that tablet with a signal, or enrol it anew: posyandu-sync tablet enrol",
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Check:
    """What became of one check. `found` names what is wrong, at most MOST_KEPT; `problems` counts all of it.

    `remark` (Indonesian, English) is what somebody should know although nothing is wrong.
    """

    name: str
    looked_at: int
    problems: int
    found: Sequence[str]
    remark: tuple[str, str] | None = None

    @property
    def is_ok(self) -> bool:
        return self.problems == 0

    def words(self) -> tuple[str, str]:
        """Say it, or the remedy, in Indonesian and in English."""
        said = WORDS[self.name].ok if self.is_ok else WORDS[self.name].problem
        indonesian, english = (sentence.format(count=f"{self.looked_at:,}") for sentence in said)
        if self.remark:
            indonesian, english = f"{indonesian} ({self.remark[0]})", f"{english} ({self.remark[1]})"
        return indonesian, english


def as_line(check: Check) -> str:
    """Write a check as one line."""
    indonesian, english = check.words()
    if check.is_ok:
        return f"ok       {check.name}: {indonesian} / {english}"
    named = "; ".join(check.found[:MOST_NAMED]) + ("; …" if check.problems > MOST_NAMED else "")
    return f"problem  {check.name}: {check.problems:,} ({named}): {indonesian} / {english}"


def as_json(checks: Sequence[Check]) -> str:
    """Write checks as JSON: a list of what each line says, with more of what was found."""
    told = []
    for check in checks:
        indonesian, english = check.words()
        told.append(
            {
                "check": check.name,
                "status": "ok" if check.is_ok else "problem",
                "looked_at": check.looked_at,
                "problems": check.problems,
                "found": list(check.found),
                "indonesian": indonesian,
                "english": english,
            }
        )
    return json.dumps(told, ensure_ascii=False, indent=1)


@dataclass(slots=True)
class _Notes:
    """What one check has looked at and found so far."""

    looked_at: int = 0
    problems: int = 0
    found: list[str] = field(default_factory=list)
    remark: tuple[str, str] | None = None

    def wrong(self, what: str) -> None:
        self.problems += 1
        if len(self.found) < MOST_KEPT:
            self.found.append(what)

    def check(self, name: str) -> Check:
        return Check(name, self.looked_at, self.problems, self.found, self.remark)


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What the checks of data need."""

    hub: AppContext
    now: datetime
    quick: bool
    progress: Progress

    @property
    def district(self) -> str:
        return self.hub.district

    def reading(self) -> Any:
        return self.hub.database.reading()


def examine(settings: Settings, *, now: datetime, quick: bool, progress: Progress) -> Iterator[Check]:
    """Look at everything, and give each check as soon as it is done.

    Parameters
    ----------
    now : aware; what "lately" means
    quick : count the ledger instead of hashing it, verify the log from its newest checkpoint on, and open and fold SAMPLE
        children instead of all
    progress : told often what is being looked at, how much of it is done, of how much
    """
    yield _place(settings)
    keys, keys_usable = _key_file(settings)
    yield keys
    with _closing(settings) as database:
        for name, look in _FOUNDATION.items():
            found = _noted(name, partial(look, settings, database, quick))
            yield found
            if not found.is_ok:
                return
    if not keys_usable:
        return
    hub = AppContext.open(settings)
    try:
        patient, sealed = CheckContext(hub, now, quick, progress), None
        for name, examined in _DATA.items():
            if name in _WANTS_KEYS and sealed is not None and not sealed.is_ok:
                continue
            check = _noted(name, partial(examined, patient))
            sealed = check if name == "sealed" else sealed
            yield check
    finally:
        hub.database.dispose()


@contextmanager
def _closing(settings: Settings) -> Iterator[Database]:
    database = Database(settings.database_url)
    try:
        yield database
    finally:
        database.dispose()


def _noted(name: str, look: Callable[[_Notes], None]) -> Check:
    """Do a check; a database that breaks down under it is a finding too."""
    notes = _Notes()
    try:
        look(notes)
    except DBAPIError as error:
        notes.wrong(str(error.orig).splitlines()[0])
    return notes.check(name)


# -- what everything rests on ---------------------------------------------------------------------


def _place(settings: Settings) -> Check:
    notes = _Notes(1)
    file = settings.sqlite_file
    for directory in {settings.data_dir, file.parent if file else settings.data_dir}:
        if not _is_writable(directory):
            notes.wrong(f"{directory}: not writable")
        else:
            # a backup, or what a restore prepares, wants as much again
            needed = max(LEAST_FREE_BYTES, 2 * file.stat().st_size if file and file.exists() else 0)
            free = shutil.disk_usage(directory).free
            if free < needed:
                notes.wrong(f"{directory}: {free >> 20} MiB free of {needed >> 20} MiB")
    if file and file.exists() and (mode := file.stat().st_mode & 0o777) & 0o077:
        notes.wrong(f"{file}: mode {mode:04o}")
    return notes.check("place")


def _is_writable(directory: Any) -> bool:
    return os.access(directory, os.W_OK | os.X_OK)


def _key_file(settings: Settings) -> tuple[Check, bool]:
    notes, usable = _Notes(1), False
    try:
        load_keys(settings.key_file, create=False, command=settings.key_command)
        usable = True
        mode = settings.key_file.stat().st_mode & 0o777
        if mode & 0o077:
            notes.wrong(f"{settings.key_file}: mode {mode:04o}")
    except (KeyUnusable, OSError) as error:
        notes.wrong(str(error))
    return notes.check("keys"), usable


def _is_sound(settings: Settings, database: Database, quick: bool, notes: _Notes) -> None:
    notes.looked_at = 1
    file = settings.sqlite_file
    if file is not None and not file.exists():  # looking would make it
        notes.wrong(f"{file}: none")
        return
    with database.reading() as session:
        if file is None:
            release = session.connection().dialect.server_version_info or (0,)
            if release < OLDEST_POSTGRESQL:
                notes.wrong(f"PostgreSQL {'.'.join(map(str, release))}")
            return
        looked = session.execute(text("PRAGMA quick_check(10)" if quick else "PRAGMA integrity_check(10)"))
        for (said,) in looked.all():
            if said != "ok":
                notes.wrong(said.replace("\n", " "))
        for row in session.execute(text("PRAGMA foreign_key_check")).all()[:MOST_KEPT]:
            notes.wrong(f"{row[0]} -> {row[2]}")


def _is_newest(settings: Settings, _database: Database, _quick: bool, notes: _Notes) -> None:
    notes.looked_at = 1
    present, newest = migrations.present(settings.database_url), migrations.newest()
    if present != newest:
        notes.wrong(f"{present}, not {newest}")


def _is_installed(settings: Settings, database: Database, _quick: bool, notes: _Notes) -> None:
    notes.looked_at = 1
    with database.reading() as session:
        if session.get(Installation, settings.district) is None:
            there = session.scalars(select(Installation.district)).all()
            notes.wrong(f"{settings.district}, not {', '.join(there) or '-'}")


_FOUNDATION: Final[Mapping[str, Callable[[Settings, Database, bool, _Notes], None]]] = {
    "database": _is_sound,
    "schema": _is_newest,
    "district": _is_installed,
}


# -- how it is run --------------------------------------------------------------------------------


def _clock(patient: CheckContext, notes: _Notes) -> None:
    """Compare the clock with the newest entry of the log, which every upload has too, and ask the system what sets it."""
    notes.looked_at = 1
    with patient.reading() as session:
        query = select(func.max(AuditEntry.at)).where(AuditEntry.district == patient.district)
        newest = session.execute(query).scalar()
    if newest is not None and newest > patient.now + timedelta(seconds=CLOCK_SECONDS):
        here, there = (
            moment.astimezone(UTC).isoformat(timespec="seconds") for moment in (patient.now, newest)
        )
        notes.wrong(f"{here}, before the newest entry of the log, {there}")
    if _is_synchronised() is False:
        notes.remark = (
            "sistem tidak diselaraskan dengan server waktu: cocokkan jamnya sendiri",
            "the system is not synchronised with a time server: compare its clock yourself",
        )


def _is_synchronised() -> bool | None:
    """Ask Linux whether something keeps its clock to the true time (adjtimex(2)); None where that cannot be read."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(ADJTIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != TIME_ERROR


def _second_factor(patient: CheckContext, notes: _Notes) -> None:
    """See that whoever must have a second factor is asked for it: by our environment, and by whom the server has let in."""
    settings = patient.hub.settings
    must = (Account.district == patient.district, Account.role.in_(WITH_SECOND_FACTOR))
    bare = (*must, Account.disabled_at.is_(None), Account.totp_sealed.is_(None))
    inside = (UserSession.district == Account.district) & (UserSession.account_id == Account.id)
    with patient.reading() as session:
        query = select(func.count()).select_from(Account).where(*must)
        notes.looked_at = session.execute(query).scalar_one()
        if is_demo(settings.data_dir):
            return
        let_in = select(Account.id).where(
            *bare,
            select(UserSession.id)
            .where(inside, UserSession.passed_at.is_not(None), UserSession.expires_at > patient.now)
            .exists(),
        )
        ids = session.scalars(let_in.order_by(Account.id)).all()
    if notes.looked_at and not settings.second_factor:
        notes.wrong("POSYANDU_SECOND_FACTOR=0")
    for id_ in ids:
        notes.wrong(f"account {id_}: signed in without one")


def _backups(patient: CheckContext, notes: _Notes) -> None:
    """Ask the log when the last backup was made; a database that was just made or put back has its time still to come."""
    notes.looked_at = 1
    settings = patient.hub.settings
    with patient.reading() as session:
        kept = status.backups(session, patient.hub, patient.now)
    if kept.is_late:
        since_when = "none" if kept.last is None else kept.last.astimezone(UTC).isoformat(timespec="minutes")
        notes.wrong(f"newest: {since_when}")
    for failure in kept.failures:
        notes.wrong(failure.said)
    if settings.backup_dir is None:
        return
    if not (settings.backup_dir.is_dir() and _is_writable(settings.backup_dir)):
        notes.wrong(f"{settings.backup_dir}: not writable")
    else:
        there = len(list(settings.backup_dir.glob("*.backup")))
        notes.remark = f"{there} di {settings.backup_dir}", f"{there} in {settings.backup_dir}"


def _proof(patient: CheckContext, notes: _Notes) -> None:
    """Ask the log when a backup was last restored aside, and found whole."""
    notes.looked_at = 1
    with patient.reading() as session:
        kept = status.proofs(session, patient.hub, patient.now)
    said = "" if kept.last is None else kept.last.astimezone(UTC).isoformat(timespec="minutes")
    if kept.is_late:
        notes.wrong(f"last: {said or 'never'}")
    notes.remark = (f"terakhir {said}", f"last {said}") if said else ("belum pernah", "never yet")
    for failure in kept.failures:
        notes.wrong(failure.said)


# -- keys and the log -----------------------------------------------------------------------------


def _sealed(patient: CheckContext, notes: _Notes) -> None:
    """Unwrap the children's keys, and open each child's state with its own."""
    for chunk in _chunks_of_children(patient, "keys"):
        with patient.reading() as session:
            held = ledger.subjects(session, patient.hub.vault, patient.district, chunk)
        for subject in held.values():
            if subject.wrapped_key is None:  # the person was erased
                continue
            notes.looked_at += 1
            state = subject.row["state"] if subject.row else None
            try:
                if state is None:
                    _ = subject.key
                else:
                    ledger.read_child(patient.district, subject.id, state, subject.key)
            except KeyUnusable as error:
                notes.wrong(str(error))


def _chunks_of_children(patient: CheckContext, what: str) -> Iterator[list[str]]:
    """Give the ids of all children, a few hundred at a time; of SAMPLE children when a quick look will do."""
    limit = SAMPLE if patient.quick else None
    with patient.reading() as session:
        query = select(Child.id).where(Child.district == patient.district).order_by(Child.id).limit(limit)
        ids = list(session.scalars(query))
    for start in range(0, len(ids), CHUNK):
        patient.progress(what, start, len(ids))
        yield ids[start : start + CHUNK]


def _log(patient: CheckContext, notes: _Notes) -> None:
    """Recompute the log; a quick look takes what was written since the newest checkpoint."""
    with patient.reading() as session:
        if patient.quick:
            tail = verification.verify_tail(session, patient.district, QUICK_TAIL)
            notes.looked_at, broken = tail.entries, tail.broken
        else:
            keys = patient.hub.vault.checkpoint_keys()
            notes.looked_at, broken = audit.verify(session, patient.district, keys=keys)
    for one in broken:
        notes.wrong(one.words())


def _checkpoint(patient: CheckContext, notes: _Notes) -> None:
    """Ask how old the newest checkpoint is, and whether a key of ours has signed it."""
    with patient.reading() as session:
        newest = checkpoints.newest(session, patient.district)
        installation = session.get_one(Installation, patient.district)
    notes.looked_at = 1
    since = status.wanting_since(installation, newest.at if newest else None)
    if since < patient.now - timedelta(hours=CHECKPOINT_HOURS):
        notes.wrong(since.astimezone(UTC).isoformat(timespec="minutes"))
    keys = patient.hub.vault.checkpoint_keys()
    if newest is not None and not checkpoints.is_signed(newest.statement, newest.signatures, keys):
        notes.wrong(f"{newest.number}: no signature of this key file")


# -- the ledger -----------------------------------------------------------------------------------


def _ledger(patient: CheckContext, notes: _Notes) -> None:
    """Follow every actor's chain from its first change to its last."""
    with patient.reading() as session:
        query = select(Tablet.id, Tablet.taken, Tablet.chain_hash).where(Tablet.district == patient.district)
        ends = {row.id: (row.taken, row.chain_hash) for row in session.execute(query)}
        heads = _counted if patient.quick else _followed
        for actor, taken, hash_ in heads(patient, session, notes):
            end = ends.pop(actor, None)
            if end is None and not actor.startswith("hub:"):
                notes.wrong(f"{actor}: no such tablet")
            elif end is not None and end[0] != taken:
                notes.wrong(f"{actor}: {taken} held, {end[0]} acknowledged")
            elif end is not None and end[1] != hash_:
                notes.wrong(f"{actor}: chain ends elsewhere")
        for actor, (taken, _) in ends.items():
            if taken:
                notes.wrong(f"{actor}: 0 held, {taken} acknowledged")


Head = tuple[str, int, str]
"""An actor, its newest counter, the hash of that change."""


def _counted(patient: CheckContext, session: Session, notes: _Notes) -> Iterator[Head]:
    """Count each actor's changes, which shows a hole, and look at the last of them."""
    c, last = ChangeRow, aliased(ChangeRow)
    counts = (
        select(
            c.actor,
            func.count().label("held"),
            func.min(c.counter).label("low"),
            func.max(c.counter).label("high"),
        )
        .where(c.district == patient.district)
        .group_by(c.actor)
        .subquery()
    )
    same = and_(
        last.district == patient.district, last.actor == counts.c.actor, last.counter == counts.c.high
    )
    for row in session.execute(select(counts, last.hash).join(last, same)):
        notes.looked_at += row.held
        if (row.low, row.high) != (1, row.held):
            notes.wrong(f"{row.actor}: {row.held} held of {row.low} to {row.high}")
        yield row.actor, row.high, row.hash


def _followed(patient: CheckContext, session: Session, notes: _Notes) -> Iterator[Head]:
    """Recompute every hash and compare every link."""
    for actor, rows in groupby(_changes(patient, session), key=attrgetter("row.actor")):
        number, previous = 0, ""
        for one in rows:
            row = one.row
            notes.looked_at += 1
            if row.counter != number + 1:
                notes.wrong(f"{actor}/{number + 1}: missing")
            elif one.previous != previous:
                notes.wrong(f"{actor}/{row.counter}: does not follow the one before")
            elif one.problem:
                notes.wrong(f"{actor}/{row.counter}: {one.problem}")
            number, previous = row.counter, row.hash
        yield actor, number, previous


@dataclass(frozen=True, slots=True)
class _Link:
    """A row of the ledger, the hash that it says comes before it, and what is wrong with it by itself."""

    row: Any
    previous: object
    problem: str


def _changes(patient: CheckContext, session: Session) -> Iterator[_Link]:
    """Give the whole ledger in order of actor and counter, page by page."""
    c = ChangeRow
    mine = select(c.actor, c.counter, c.hash, c.child_id, c.header, c.content, c.sealed).where(
        c.district == patient.district
    )
    total = session.execute(select(func.count()).where(c.district == patient.district)).scalar_one()
    done, after = 0, ("", 0)
    while True:
        page = mine.where(tuple_(c.actor, c.counter) > after).order_by(c.actor, c.counter).limit(CHUNK)
        rows = session.execute(page).all()
        if not rows:
            return
        children = sorted({row.child_id for row in rows if row.sealed == ledger.UNDER_CHILD and row.child_id})
        held = ledger.subjects(session, patient.hub.vault, patient.district, children)
        for row in rows:
            yield _read_link(patient, row, held)
        done, after = done + len(rows), (rows[-1].actor, rows[-1].counter)
        patient.progress("ledger", done, total)


def _read_link(patient: CheckContext, row: Any, held: Mapping[str, ledger.Subject]) -> _Link:
    try:
        header = orjson.loads(row.header)
        previous = header["previous"]
    except UNREADABLE:
        return _Link(row, None, "header unreadable")
    try:
        return _Link(row, previous, _problem_of(patient, row, header, held))
    except UNREADABLE:
        return _Link(row, previous, "content unreadable")


def _problem_of(
    patient: CheckContext, row: Any, header: Mapping[str, Any], held: Mapping[str, ledger.Subject]
) -> str:
    """Compare a change with its hash, and its content with its header, as far as the content can be read."""
    if (header["actor"], header["counter"]) != (row.actor, row.counter):
        return "header of another change"
    if (
        row.sealed == ledger.UNDER_DISTRICT
    ):  # what was set aside is sealed whole; its header holds only its place
        wire = ledger.quarantined_change(patient.district, row, patient.hub.vault)
        made = change_hash(Dot(row.actor, row.counter), header["previous"], wire)
        return "" if made == row.hash else "altered"
    if row.sealed == ledger.ERASED:  # of one that was set aside, the header alone does not tell the hash
        return "" if "kind" not in header or digest(header) == row.hash else "header altered"
    if digest(header) != row.hash:
        return "header altered"
    child = held.get(row.child_id)
    if row.sealed == ledger.UNDER_CHILD and (child is None or child.wrapped_key is None):
        return "" if child else "its child is missing"
    content = ledger.read_change(patient.district, row, child)  # type: ignore[arg-type]  # a plain one needs no child
    return "" if content_digest(content.wire()) == header["content"] else "content altered"


def _batches(patient: CheckContext, notes: _Notes) -> None:
    """Add up what each receipt says: what was received is the sum of the outcomes."""
    with patient.reading() as session:
        taken = dict(
            session.execute(select(Tablet.id, Tablet.taken).where(Tablet.district == patient.district)).all()
        )
        query = select(Batch.tablet_id, Batch.batch_id, Batch.receipt, Batch.outcomes)
        query = query.where(Batch.district == patient.district).execution_options(yield_per=CHUNK)
        for row in session.execute(query):
            notes.looked_at += 1
            try:
                items = orjson.loads(row.receipt)["items"]
                sums = Counter(item[1] for item in items) == Counter(orjson.loads(row.outcomes))
                known = all(item[0] <= taken[row.tablet_id] for item in items)
            except UNREADABLE:
                notes.wrong(f"{row.tablet_id}/{row.batch_id}: unreadable")
                continue
            if not sums:
                notes.wrong(f"{row.tablet_id}/{row.batch_id}: outcomes do not add up")
            elif not known:
                notes.wrong(f"{row.tablet_id}/{row.batch_id}: acknowledged what is not held")
        stray = select(ChangeRow.actor, ChangeRow.counter).where(
            ChangeRow.district == patient.district,
            ChangeRow.batch_id.is_not(None),
            ~select(Batch.batch_id)
            .where(
                Batch.district == ChangeRow.district,
                Batch.tablet_id == _as_id(patient),
                Batch.batch_id == ChangeRow.batch_id,
            )
            .exists(),
        )
        for row in session.execute(stray.limit(MOST_KEPT)):
            notes.wrong(f"{row.actor}/{row.counter}: its batch is missing")


def _as_id(patient: CheckContext) -> Any:
    """Give the ledger's actor as a tablet's id; an actor is text, for it may be the hub, but the hub sends no batches."""
    if patient.hub.settings.is_sqlite:
        return ChangeRow.actor
    return func.cast(ChangeRow.actor, Tablet.id.type)


# -- states ---------------------------------------------------------------------------------------


def _states(patient: CheckContext, notes: _Notes) -> None:
    """Fold the ledger again and compare with what is stored, child by child; then see who is one person."""
    for chunk in _chunks_of_children(patient, "states"):
        notes.looked_at += len(chunk)
        with patient.reading() as session:
            for problem in _or_each(chunk, partial(_compare, patient, session)):
                notes.wrong(problem)
    with patient.reading() as session:
        query = select(
            *(Child.id, Child.person_id, Child.same_as, Child.registered, Child.removed),
            Child.wrapped_key.is_(None).label("erased"),
        )
        rows = session.execute(query.where(Child.district == patient.district)).all()
    nodes = {
        row.id: record_linkage.Node(row.same_as, bool(row.registered), bool(row.removed))
        for row in rows
        if not row.erased
    }
    together = record_linkage.canonical_ids(nodes)
    for row in rows:
        if row.person_id != together.get(row.id, row.id):
            notes.wrong(f"child {row.id}: person_id differs")


def _or_each(ids: list[str], look: Callable[[list[str]], Iterable[str]]) -> list[str]:
    """Look at children together; where something cannot be read, at each by itself, so that it can be named."""
    try:
        return list(look(ids))
    except UNREADABLE as error:
        if len(ids) == 1:
            return [f"{ids[0]}: unreadable ({type(error).__name__})"]
    half = len(ids) // 2
    return [*_or_each(ids[:half], look), *_or_each(ids[half:], look)]


def _compare(patient: CheckContext, session: Session, ids: list[str]) -> Iterator[str]:
    """Name each record whose stored row is not what its changes come to."""
    district = patient.district
    held = ledger.subjects(session, patient.hub.vault, district, ids)
    held = {id_: subject for id_, subject in held.items() if subject.wrapped_key is not None}
    made = _folded(session, district, held)
    for subject in held.values():
        yield from _compare_child(district, subject, made.pop(subject.id, None))
    for kind, model in (("measurement", Measurement), ("follow_up", FollowUp), ("delivery", Delivery)):
        c = table(model).c
        query = select(table(model)).where(c.district == district, among(c.child_id))
        for row in session.connection().execute(query, {"among": list(held)}).mappings():
            yield from _compare_keyed(district, held[row["child_id"]], kind, row, made)
    for left in made.values():
        yield f"{left.state.kind} {left.state.record_id}: missing"


class _Made(NamedTuple):
    """What the ledger says of a record: its state, and by how many days a wrong clock may have moved its date."""

    state: RecordState
    clock_days: int


def _folded(session: Session, district: str, held: Mapping[str, ledger.Subject]) -> dict[str, _Made]:
    c = table(ChangeRow).c
    query = (
        select(c.record_id, c.child_id)
        .where(c.district == district, among(c.child_id), c.record_id.is_not(None))
        .distinct()
    )
    named = session.connection().execute(query, {"among": list(held)})
    records = {row.record_id: row.child_id for row in named}
    doubts = ledger.clock_doubts(session, district, records)
    made = {}
    for id_, history in ledger.histories(session, district, held, records).items():
        if history.changes:
            state = fold(history)
            made[id_] = _Made(state, clock_skew.doubt(state, history.changes, doubts.get(id_, {})))
    return made


def _compare_child(district: str, subject: ledger.Subject, made: _Made | None) -> Iterator[str]:
    row, name = subject.row, f"child {subject.id}"
    assert row is not None  # noqa: S101  # it was just read
    if (row["state"] is None) != (made is None):
        yield f"{name}: {'not in the ledger' if made is None else 'state missing'}"
        return
    state, clock_days = made or (None, 0)
    if state is not None:
        wire = orjson.loads(ledger.read_child(district, subject.id, row["state"], subject.key))
        stored = RecordState.from_wire("child", subject.id, {}, wire)
        post = state.value("post")
        if stored.canonical() != state.canonical():
            yield f"{name}: state differs"
        elif post and post["post"] != row["post_id"]:
            yield f"{name}: post differs"
    yield from _columns(name, row, ledger.child_row(district, subject, state, row["position"], clock_days))


def _compare_keyed(
    district: str, subject: ledger.Subject, kind: str, row: Mapping[Any, Any], made: dict[str, _Made]
) -> Iterator[str]:
    """Compare a measurement, follow-up or delivery with what the ledger says of it, which is taken out of `made`."""
    key = {"child": row["child_id"], **{name: _keyed(row, name) for name in KEYS[kind][1:]}}
    record_id = id_of(kind, key)
    name, of_ledger = f"{kind} {record_id}", made.pop(record_id, None)
    if of_ledger is None:
        yield f"{name}: not in the ledger"
        return
    state, clock_days = of_ledger
    stored_bytes = ledger.read_keyed(district, kind, record_id, _StateRow(row), subject.key)
    stored = RecordState.from_wire(kind, record_id, state.key, orjson.loads(stored_bytes))
    if stored.canonical() != state.canonical():
        yield f"{name}: state differs"
    if kind == "measurement":
        wanted = ledger.measurement_row(district, subject, state, row["position"], clock_days)
    else:
        wanted = ledger.KEYED_ROWS[kind](district, subject, state, row["position"])
    yield from _columns(name, row, wanted)


def _keyed(row: Mapping[Any, Any], name: str) -> str:
    return row[name].isoformat() if isinstance(row[name], date) else str(row[name])


@dataclass(frozen=True, slots=True)
class _StateRow:
    """A row as a mapping, read by attribute."""

    row: Mapping[Any, Any]

    def __getattr__(self, name: str) -> Any:
        return self.row[name]


def _columns(name: str, row: Mapping[Any, Any], made: Mapping[str, Any]) -> Iterator[str]:
    wrong = [column for column in made if column not in NOT_FOLDED and row[column] != made[column]]
    if wrong:
        yield f"{name}: {', '.join(wrong)} differ"


# -- streams, figures, work -----------------------------------------------------------------------


def _streams(patient: CheckContext, notes: _Notes) -> None:
    """No position twice, none beyond the stream's end: a tablet's cursor would pass over it."""
    with patient.reading() as session:
        heads = dict(
            session.execute(
                select(HealthPost.id, HealthPost.head_position).where(HealthPost.district == patient.district)
            ).all()
        )
        notes.looked_at = len(heads)
        given = [
            _positions(patient, table(model)) for model in (Child, Measurement, FollowUp, Delivery, PostExit)
        ]
        given[0] = given[0].where(Child.state.is_not(None))  # a child that is not registered is not published
        every = union_all(*given).subquery()
        counted = select(every.c.post_id, every.c.position, func.count().label("times"))
        twice = counted.group_by(every.c.post_id, every.c.position).having(func.count() > 1)
        for row in session.execute(twice):
            notes.wrong(f"{row.post_id}: position {row.position} {row.times} times")
        ends = select(
            every.c.post_id,
            func.max(every.c.position).label("last"),
            func.min(every.c.position).label("first"),
        ).group_by(every.c.post_id)
        for row in session.execute(ends):
            if row.last > heads[row.post_id] or row.first < 1:
                notes.wrong(f"{row.post_id}: positions {row.first} to {row.last}, head {heads[row.post_id]}")


def _positions(patient: CheckContext, of: Table) -> Any:
    return select(of.c.post_id, of.c.position).where(of.c.district == patient.district)


class _Unwritten(Writes):
    """Counts what would be written, by table, and writes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[str, Mapping[str, Any]]] = []

    def insert(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        self.rows += [(table.name, row) for row in rows]

    def upsert(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        self.insert(table, rows)

    def remove(self, table: Table, keys: Sequence[dict[str, Any]]) -> None:
        self.insert(table, keys)


def _assessments(patient: CheckContext, notes: _Notes) -> None:
    """Derive everything again, and see what that would change."""
    for chunk in _chunks_of_children(patient, "assessments"):
        notes.looked_at += len(chunk)
        with patient.reading() as session:
            for problem in _or_each(chunk, partial(_differences, patient, session)):
                notes.wrong(problem)


def _differences(patient: CheckContext, session: Session, ids: list[str]) -> list[str]:
    c = table(Child).c
    readable = select(c.id).where(c.district == patient.district, among(c.id), c.wrapped_key.is_not(None))
    present = list(session.connection().execute(readable, {"among": ids}).scalars())
    unwritten = _Unwritten()
    derive(session, patient.hub, present, patient.now, unwritten)
    passing = {row["child_id"] for _, row in unwritten.rows if row.get("rule") == BY_CALENDAR}
    queue = table(Attention).name
    return [
        f"{name} {row['child_id']}/{row.get('rule') or row.get('measured_on') or ''}"
        for name, row in unwritten.rows
        if row.get("rule") != BY_CALENDAR and not (name == queue and row["child_id"] in passing)
    ]


def _scheduler(patient: CheckContext, notes: _Notes) -> None:
    """Ask when a job last ran; a database that was just made or put back has its time still to come."""
    with patient.reading() as session:
        ran = select(func.max(JobRun.ran_at)).where(JobRun.district == patient.district)
        last = session.execute(ran).scalar()
        installation = session.get_one(Installation, patient.district)
    notes.looked_at = 1
    since = status.wanting_since(installation, last)
    if since < patient.now - timedelta(hours=SCHEDULER_HOURS):
        notes.wrong(since.astimezone(UTC).isoformat(timespec="minutes"))


def _tablets(patient: CheckContext, notes: _Notes) -> None:
    """Find enrolments that were closed, and whose device has not come back under another."""
    heir = aliased(Tablet)
    with patient.reading() as session:
        mine = Tablet.district == patient.district
        notes.looked_at = session.execute(select(func.count()).select_from(Tablet).where(mine)).scalar_one()
        left = select(Tablet.id, Tablet.split_at).where(
            mine,
            Tablet.split_at.is_not(None),
            Tablet.revoked_at.is_(None),
            ~select(heir.id).where(heir.district == Tablet.district, heir.replaces == Tablet.id).exists(),
        )
        for row in session.execute(left):
            notes.wrong(f"{row.id}: closed {row.split_at.isoformat(timespec='minutes')}")


_DATA: Final[Mapping[str, Callable[[CheckContext, _Notes], None]]] = {
    "clock": _clock,
    "second-factor": _second_factor,
    "backups": _backups,
    "proof": _proof,
    "sealed": _sealed,
    "log": _log,
    "checkpoint": _checkpoint,
    "ledger": _ledger,
    "batches": _batches,
    "states": _states,
    "streams": _streams,
    "assessments": _assessments,
    "scheduler": _scheduler,
    "tablets": _tablets,
}
_WANTS_KEYS: Final = frozenset({"ledger", "states", "assessments"})
"""Checks that would only repeat, record by record, that the keys do not fit."""
