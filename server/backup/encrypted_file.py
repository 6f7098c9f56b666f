"""The file of a backup, or of the list beside it (`withdrawals`): one plain line, then encrypted chunks that only the key
file opens.

    {"kind": "posyandu-sync.backup", "v": 1, …}    one line: when, by which release and district, under which key
    chunk 0, chunk 1, …                            CHUNK_BYTES each and a tag of 16 bytes; the last may be shorter

Rules kept here:
- The key of a file is derived from a master key and the whole line, which holds a random value. So nothing opens if the line
  was changed, or if a chunk was altered, moved, left out, repeated, taken from another file or cut off.
- The content is never on a disk unencrypted: a writer passes bytes in, a reader gets them in any order.
- The line holds no personal data, and is not trusted before a chunk was opened.
"""

import hashlib
import io
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, Final

from server.backup.refusals import BackupRefused, busy, lock_or_refuse
from server.config import Settings
from server.crypto.vault import TAG_BYTES, FileCipher, KeyUnusable, Vault, base64url
from server.translations import T_
from sync_protocol import canonical

KIND: Final = "posyandu-sync.backup"
VERSION: Final = 1
CHUNK_BYTES: Final = 64 << 10
LONGEST_HEADER: Final = 4096
SALT_BYTES: Final = 32
PRODUCT: Final = f"posyandu-sync {version('posyandu-sync')}"


class SealedWriter(io.RawIOBase):
    """Encrypts what is written to it; the file is complete only after `finish`.

    `digest` is the SHA-256 of what was written to the file, in base64url.
    """

    def __init__(
        self, file: BinaryIO, settings: Settings, vault: Vault, now: datetime, kind: str = KIND
    ) -> None:
        super().__init__()
        self.key, key_version = next(iter(vault.backup_keys().items()))
        header = {
            "kind": kind,
            "v": VERSION,
            "product": PRODUCT,
            "district": settings.district,
            "made_at": now.astimezone(UTC).isoformat(timespec="seconds"),
            "key": self.key,
            "key_version": key_version,
            "salt": base64url(secrets.token_bytes(SALT_BYTES)),
        }
        line = canonical(header) + b"\n"
        self._file, self._cipher = file, vault.backup_cipher(self.key, line)
        self._sha256, self._waiting, self._number = hashlib.sha256(), bytearray(), 0
        self._write_raw(line)

    def writable(self) -> bool:
        return True

    def write(self, given: Any) -> int:
        self._waiting += given
        start = 0
        while len(self._waiting) - start > CHUNK_BYTES:  # the last chunk is written by `finish`
            self._seal(bytes(self._waiting[start : start + CHUNK_BYTES]), is_last=False)
            start += CHUNK_BYTES
        del self._waiting[:start]
        return len(given)

    def finish(self) -> None:
        """Write the last chunk, which is marked as the last."""
        self._seal(bytes(self._waiting), is_last=True)

    def _seal(self, plain: bytes, *, is_last: bool) -> None:
        self._write_raw(self._cipher.seal(self._number, plain, is_last=is_last))
        self._number += 1

    def _write_raw(self, raw: bytes) -> None:
        self._file.write(raw)
        self._sha256.update(raw)

    @property
    def digest(self) -> str:
        return base64url(self._sha256.digest())


@dataclass(frozen=True, slots=True)
class FileHeader:
    """The plain line: `raw` as it stands in the file, and what is needed to find the key."""

    raw: bytes
    key: str
    key_version: int


def read_header(file: Path, opened: BinaryIO, kind: str = KIND) -> FileHeader:
    """Read the plain line of a file of some kind; afterwards the file is positioned at the first chunk.

    Raises
    ------
    BackupRefused
        It is no backup of ours, or of a newer release.
    """
    raw = opened.readline(LONGEST_HEADER)
    try:
        content = json.loads(raw)
        if content["kind"] != kind or not raw.endswith(b"\n"):
            raise ValueError(kind)
        header = FileHeader(raw, str(content["key"]), int(content["key_version"]))
        if content["v"] != VERSION:
            raise newer(file, content)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BackupRefused(
            T_("{file} is not a whole backup of posyandu-sync: take another copy").format(file=file),
        ) from error
    return header


def newer(file: Path, content: Mapping[str, Any]) -> BackupRefused:
    """Return the refusal of a backup of a newer release."""
    by = content.get("product", "posyandu-sync")
    return BackupRefused(
        T_("{file} was made by a newer release ({by}): install that one first").format(file=file, by=by),
    )


def cipher_of(file: Path, header: FileHeader, key_file: Path, vault: Vault | None) -> FileCipher:
    """Return the cipher of a file.

    Raises
    ------
    BackupRefused
        Its key is not here; the text names it and those that are.
    """
    wanted = f"{header.key_version} ({header.key})"
    if vault is None:
        raise BackupRefused(
            T_(
                "{file} is sealed with key {wanted}, and there is no {key_file}: copy your backup of "
                "the key file there first"
            ).format(file=file, wanted=wanted, key_file=key_file),
        )
    try:
        return vault.backup_cipher(header.key, header.raw)
    except KeyUnusable as error:
        held = ", ".join(f"{number} ({key})" for key, number in vault.backup_keys().items())
        raise BackupRefused(
            T_(
                "{file} is sealed with key {wanted}, and {key_file} holds {held}: put the right key "
                "file there first, a copy from that time"
            ).format(file=file, wanted=wanted, key_file=key_file, held=held),
        ) from error


class SealedReader(io.RawIOBase):
    """Decrypts a file, from any position; every chunk is checked before a byte of it is returned.

    Any read raises BackupRefused if a chunk does not open.
    """

    def __init__(self, file: Path, opened: BinaryIO, header: FileHeader, cipher: FileCipher) -> None:
        super().__init__()
        self._path, self._file, self._cipher = file, opened, cipher
        self._start = len(header.raw)
        sealed = opened.seek(0, io.SEEK_END) - self._start
        self._count = max(1, -(-sealed // (CHUNK_BYTES + TAG_BYTES)))
        self._length, self._at = sealed - self._count * TAG_BYTES, 0
        self._number, self._plain = -1, b""
        self._chunk(self._count - 1)  # marked as the last: nothing was cut off

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, target: Any) -> int:
        number, within = divmod(self._at, CHUNK_BYTES)
        if self._at >= self._length:
            return 0
        given = self._chunk(number)[within : within + len(target)]
        target[: len(given)] = given
        self._at += len(given)
        return len(given)

    def _chunk(self, number: int) -> bytes:
        if number != self._number:
            size = CHUNK_BYTES + TAG_BYTES
            self._file.seek(self._start + number * size)
            sealed = self._file.read(size)
            try:
                self._plain = self._cipher.open(number, sealed, is_last=number == self._count - 1)
            except KeyUnusable as error:
                raise BackupRefused(
                    T_("{path} is damaged, cut short or was altered ({error}): take another copy").format(
                        path=self._path, error=error
                    ),
                ) from error
            self._number = number
        return self._plain


def digest_of(file: Path) -> str:
    """Return the SHA-256 of a file, as the log names it."""
    with file.open("rb") as opened:
        return base64url(hashlib.file_digest(opened, "sha256").digest())


@contextmanager
def part_of(file: Path) -> Iterator[BinaryIO]:
    """Yield a file to write; it takes its name if the block succeeds. What a killed run left is overwritten; a link is not
    followed, since others may write in a directory of backups."""
    part = file.with_name(f"{file.name}.part")
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "r+b") as writing:
        lock_or_refuse(descriptor, part)
        try:
            if os.fstat(descriptor).st_ino != part.stat().st_ino:  # renamed while we opened it
                raise busy(part)
            writing.truncate()
            yield writing
            writing.flush()
            os.fsync(descriptor)
            part.replace(file)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    _sync_directory(file.parent)


def _sync_directory(directory: Path) -> None:
    """Flush a directory, so that a new name is on disk; some file systems of USB sticks do not support it."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
