"""What is in a backup: a zip with `manifest.json` and the data (SQLite's file, or PostgreSQL's COPY text, one member a
table), encrypted as a whole (`encrypted_file`). Older releases made unencrypted zips, which are still read.
"""

import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final
from zipfile import BadZipFile, ZipFile

from server.backup.encrypted_file import SealedReader, cipher_of, newer, read_header
from server.backup.refusals import BackupRefused, Progress
from server.config import Settings
from server.crypto.vault import Vault, base64url
from server.database import migrations
from server.translations import T_

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
SQLITE_MEMBER: Final = "posyandu.db"
CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says about itself.

    Parameters
    ----------
    format : version of the container; a newer one is refused
    product, revision : who made it, and the revision of its schema
    kind : "sqlite" or "postgresql"
    district, incarnation : of the installation that made it
    districts : every district in the data, with its incarnation
    made_at : ISO moment, UTC
    rows, columns : by table, in an order in which rows can be restored
    members : size (`bytes`) and `sha256` of every other member of the zip
    """

    format: int
    product: str
    revision: str
    kind: str
    district: str
    incarnation: str
    districts: dict[str, str]
    made_at: str
    rows: dict[str, int]
    columns: dict[str, list[str]]
    members: dict[str, dict[str, Any]]

    @property
    def total_rows(self) -> int:
        return sum(self.rows.values())

    @property
    def total_bytes(self) -> int:
        """Size of the data, not compressed."""
        return sum(member["bytes"] for member in self.members.values())


class Archive:
    """A backup file that is open for reading; `is_sealed`: it is encrypted. `digest`: as the log has it, once verified."""

    def __init__(self, file: Path, zipped: ZipFile, manifest: Manifest, is_sealed: bool) -> None:
        self.digest = ""
        self._file, self._zip, self.manifest, self.is_sealed = file, zipped, manifest, is_sealed

    @classmethod
    @contextmanager
    def open(cls, file: Path, key_file: Path, vault: Vault | None) -> Iterator["Archive"]:
        """Open a backup and read its manifest.

        Parameters
        ----------
        vault : the keys of `key_file`; None if there is none, which opens only unencrypted backups

        Raises
        ------
        BackupRefused
            It is no backup of ours, is truncated or altered, is of a newer release, or its key is not here.
        """
        with file.open("rb") as opened:
            is_sealed = opened.read(2) != b"PK"
            opened.seek(0)
            inside = _unsealed(file, opened, key_file, vault) if is_sealed else opened
            with _refuse_damaged(file), ZipFile(inside) as zipped:
                yield cls(file, zipped, _manifest_of(file, zipped), is_sealed)

    def verify(self, progress: Progress) -> None:
        """Read every member and compare size, checksum and count of rows with the manifest; BackupRefused if any differs."""
        listed, wanted = set(self._zip.namelist()), {MANIFEST, *self.manifest.members}
        if listed != wanted or len(self._zip.namelist()) != len(listed):
            raise altered(self._file, "member list")
        with self._file.open("rb") as whole:
            self.digest = base64url(hashlib.file_digest(whole, "sha256").digest())
        done, total = 0, self.manifest.total_bytes
        for name in self.manifest.members:
            lines = 0
            for chunk in self.chunks(name):
                lines += chunk.count(b"\n")
                done += len(chunk)
                progress("checking", done, total)
            if self.manifest.kind == "postgresql" and lines != self.manifest.rows[_table_of(name)]:
                raise altered(self._file, name)

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a member piece by piece; its checksum is compared at the end."""
        sha256, size, expected = hashlib.sha256(), 0, self.manifest.members[name]
        with _refuse_damaged(self._file), self._zip.open(name) as member:
            while chunk := member.read(CHUNK_BYTES):
                sha256.update(chunk)
                size += len(chunk)
                yield chunk
        if size != expected["bytes"] or sha256.hexdigest() != expected["sha256"]:
            raise altered(self._file, name)

    def extract(self, name: str, target: Path, progress: Progress) -> None:
        """Write a member to a file."""
        done, total = 0, int(self.manifest.members[name]["bytes"])
        with target.open("xb") as writing:
            for chunk in self.chunks(name):
                writing.write(chunk)
                done += len(chunk)
                progress("unpacking", done, total)


def _unsealed(file: Path, opened: BinaryIO, key_file: Path, vault: Vault | None) -> io.BufferedReader:
    header = read_header(file, opened)
    return io.BufferedReader(SealedReader(file, opened, header, cipher_of(file, header, key_file, vault)))


def member_of(name: str) -> str:
    """Return the name of the member that holds a table."""
    return f"tables/{name}.copy"


def _table_of(member: str) -> str:
    return member.removeprefix("tables/").removesuffix(".copy")


@contextmanager
def _refuse_damaged(file: Path) -> Iterator[None]:
    try:
        yield
    except (BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise BackupRefused(
            T_("{file} is not a whole backup ({error}): take another copy").format(file=file, error=error),
        ) from error


def altered(file: Path, what: str) -> BackupRefused:
    """Return the refusal of a file that does not fit its checksum."""
    return BackupRefused(
        T_("{file} is damaged or was altered ({what} does not fit its checksum): take another copy").format(
            file=file, what=what
        ),
    )


def _manifest_of(file: Path, zipped: ZipFile) -> Manifest:
    try:
        content = json.loads(zipped.read(MANIFEST))
        if isinstance(content["format"], int) and content["format"] > FORMAT:
            raise newer(file, content)
        manifest = Manifest(**content)
        tables = {member_of(name) for name in manifest.rows}
        whole = {SQLITE_MEMBER} if manifest.kind == "sqlite" else tables
        if set(manifest.members) != whole or manifest.columns.keys() != manifest.rows.keys():
            raise altered(file, MANIFEST)
        _ = manifest.total_rows, manifest.total_bytes, manifest.districts[manifest.district]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackupRefused(
            T_("{file} is not a backup of posyandu-sync").format(file=file),
        ) from error
    return manifest


def refuse_unfit(settings: Settings, file: Path, manifest: Manifest) -> None:
    """Refuse a sound backup that does not belong to this installation."""
    if settings.district not in manifest.districts:
        raise BackupRefused(
            T_("{file} is a backup of district {district}, and this is {district_}").format(
                file=file, district=manifest.district, district_=settings.district
            ),
        )
    if manifest.kind != kind_of(settings):
        raise BackupRefused(
            T_("{file} is a backup of {kind}, and this is {kind_of}: restore it to the same kind").format(
                file=file, kind=manifest.kind, kind_of=kind_of(settings)
            ),
        )
    if manifest.revision not in migrations.revisions():
        raise newer(file, asdict(manifest))


def kind_of(settings: Settings) -> str:
    """Return the kind of database."""
    return "sqlite" if settings.is_sqlite else "postgresql"
