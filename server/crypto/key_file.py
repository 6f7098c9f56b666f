"""The file with the master keys, and the key service that may wrap it.

    plain    {"masters": {"1": …}, "index_key": …, "session_secret": …}: JSON, keys in base64, mode 0600
    wrapped  {"wrapped": {"key": …, "content": …}}: that JSON under a random key, which only the key command can unwrap

- A key file is only replaced as a whole, by one process at a time; replacing never loses a master key.
- Only the key command opens a wrapped file. What the command answers is never stored or logged.

The command (POSYANDU_KEY_COMMAND) gets one more argument. With `wrap` it reads a key in base64 from standard input and
writes a text of its choice; with `unwrap` it reads that text and writes the key. It may be a short script around a cloud key
service.
"""

import base64
import binascii
import fcntl
import json
import os
import secrets
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog

from server.crypto.vault import KEY_BYTES, ChildKey, Keys, KeyUnusable, seal, unseal

COMMAND_SECONDS: Final = 20.0
"""Time limit of a key command: it may call a distant service, once when a process starts."""
AGAIN_SECONDS: Final = 5.0
"""Pause before an unreadable key file is tried again."""
_BOUND_TO: Final = "posyandu-sync/key-file/1"

Read = TypeVar("Read")


def load_keys(path: Path, *, create: bool, command: str = "") -> Keys:
    """Read a key file.

    Parameters
    ----------
    path : JSON, mode 0600
    create : create a missing file with new keys (only for a new installation), wrapped if there is a command
    command : the key command, which opens a wrapped file; "" for none

    Raises
    ------
    KeyUnusable
        There is no file and `create` is False, it is not a key file, or the command does not open it.
    """
    if not path.exists():
        if not create:
            raise KeyUnusable(f"there is no key file {path}: restore it from your backup of the keys")
        fresh = Keys(
            {1: secrets.token_bytes(KEY_BYTES)},
            secrets.token_bytes(KEY_BYTES),
            secrets.token_urlsafe(48),
        )
        _write(
            path, _content(fresh, command), os.link
        )  # a link never replaces keys that another process has just made
    content = _parsed(path, lambda: dict(json.loads(path.read_text())))
    if "wrapped" in content:
        content = _unwrapped(path, content["wrapped"], command)
    keys = _parsed(
        path,
        lambda: Keys(
            {int(version): base64.b64decode(key) for version, key in content["masters"].items()},
            base64.b64decode(content["index_key"]),
            content["session_secret"],
        ),
    )
    whole = all(len(key) == KEY_BYTES for key in (*keys.masters.values(), keys.index_key))
    if not (keys.masters and whole and keys.session_secret):
        raise KeyUnusable(f"{path} holds no usable master key: restore it from your backup of the keys")
    return keys


def _parsed(path: Path, read: Callable[[], Read]) -> Read:
    """Return what `read` returns; KeyUnusable if the content of the file is not what it expects."""
    try:
        return read()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeyUnusable(f"{path} is not a key file: restore it from your backup of the keys") from error


def is_wrapped(path: Path) -> bool:
    """Say whether a key file is wrapped, so that only the key command opens it."""
    return "wrapped" in _parsed(path, lambda: dict(json.loads(path.read_text())))


class KeyFile:
    """A key file that a process has read, and reads again when it is replaced."""

    def __init__(self, path: Path, command: str) -> None:
        self._path, self._command = path, command
        self._stamp = self._present_stamp()
        self._again_at = 0.0

    def read(self, *, create: bool) -> Keys:
        """Read the keys, as `load_keys`."""
        keys = load_keys(self._path, create=create, command=self._command)
        self._stamp = self._present_stamp()
        return keys

    def renewed(self) -> Keys | None:
        """Return the keys if the file was replaced since it was last read, else None.

        An unreadable file is logged and tried again after AGAIN_SECONDS; until then the process keeps the keys that it has.
        """
        stamp = self._present_stamp()
        if stamp is None or stamp == self._stamp or time.monotonic() < self._again_at:
            return None
        try:
            keys = load_keys(self._path, create=False, command=self._command)
        except (KeyUnusable, OSError) as error:
            log = structlog.get_logger("posyandu.keys")
            log.warning("key-file-unreadable", error=type(error).__name__)
            self._again_at = time.monotonic() + AGAIN_SECONDS
            return None
        self._stamp = stamp
        return keys

    def _present_stamp(self) -> tuple[int, int, int] | None:
        """Return inode, size and time of the file, which change when it is replaced; None without a file."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns


# -- replacing a key file -------------------------------------------------------------------------


def add_master(path: Path, command: str) -> int:
    """Add a new master key, from now on the newest, and return its version. The caller holds `changing(path)`."""
    keys = load_keys(path, create=False, command=command)
    masters = {**keys.masters, keys.newest + 1: secrets.token_bytes(KEY_BYTES)}
    _write(path, _content(replace(keys, masters=masters), command), os.replace)
    return keys.newest + 1


def retire_master(path: Path, command: str, version: int) -> None:
    """Remove an old master key from the file: what is encrypted under it can never be read again."""
    keys = load_keys(path, create=False, command=command)
    if version not in keys.masters or version == keys.newest:
        raise KeyUnusable(
            f"master key {version} is the newest one or not in the key file, so it cannot be retired"
        )
    masters = {number: key for number, key in keys.masters.items() if number != version}
    _write(path, _content(replace(keys, masters=masters), command), os.replace)


def rewrite(path: Path, before: str, after: str) -> None:
    """Write a key file for another key command, or for none ("")."""
    _write(path, _content(load_keys(path, create=False, command=before), after), os.replace)


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Be the only process that changes a key file.

    Raises
    ------
    KeyUnusable
        Another process is changing it.
    """
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise KeyUnusable("another command is changing the keys: wait until it has ended") from error
    try:
        yield
    finally:
        os.close(descriptor)


def _content(keys: Keys, command: str) -> dict[str, Any]:
    plain = {
        "masters": {str(version): _text(key) for version, key in keys.masters.items()},
        "index_key": _text(keys.index_key),
        "session_secret": keys.session_secret,
    }
    if not command:
        return plain
    key = secrets.token_bytes(KEY_BYTES)
    wrapped = _ask(command, "wrap", _text(key))
    if _key_from(command, wrapped) != key:  # checked before anything depends on it
        raise KeyUnusable(f"{_name(command)}: does not unwrap what it has just wrapped; repair it first")
    return {
        "wrapped": {
            "key": wrapped,
            "content": _text(seal(ChildKey(key), json.dumps(plain).encode(), _BOUND_TO)),
        }
    }


def _unwrapped(path: Path, wrapped: Any, command: str) -> dict[str, Any]:
    if not command:
        raise KeyUnusable(f"{path} is wrapped by a key command: set POSYANDU_KEY_COMMAND to it")
    key, content = _parsed(path, lambda: (str(wrapped["key"]), base64.b64decode(wrapped["content"])))
    opened = unseal(ChildKey(_key_from(command, key)), content, _BOUND_TO)
    return _parsed(path, lambda: dict(json.loads(opened)))


def _key_from(command: str, wrapped: str) -> bytes:
    answer = _ask(command, "unwrap", wrapped)
    try:
        key = base64.b64decode(answer, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise KeyUnusable(
            f"{_name(command)} unwrap: the answer is no key of {KEY_BYTES} bytes in base64; see docs/keys.md"
        )
    return key


def _ask(command: str, what: str, given: str) -> str:
    """Run the key command and return its answer. Of its error output only the first line is passed on."""
    name = f"{_name(command)} {what}"
    try:
        done = subprocess.run(
            [*shlex.split(command), what],
            input=f"{given}\n",
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise KeyUnusable(
            f"{name}: no answer in {COMMAND_SECONDS:.0f} seconds; can the key service be reached?"
        ) from error
    except (OSError, ValueError) as error:
        raise KeyUnusable(f"{name}: cannot be run ({error}); check POSYANDU_KEY_COMMAND") from error
    if done.returncode:
        first_line = done.stderr.strip().splitlines()[:1] or ["no error message"]
        raise KeyUnusable(f"{name}: ended with status {done.returncode}: {first_line[0][:200]}")
    if not done.stdout.strip():
        raise KeyUnusable(f"{name}: ended without an error but answered nothing; see docs/keys.md")
    return done.stdout.strip()


def _name(command: str) -> str:
    """Return a command without its arguments, which may contain a secret."""
    return f"key command {command.split()[0]}"


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _write(path: Path, content: Mapping[str, Any], put: Callable[[Path, Path], None]) -> None:
    """Write a key file under another name, flush it to disk, then move it into place with `put`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            put(part, path)
        _flush_directory(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _flush_directory(directory: Path) -> None:
    """Flush a directory to disk, so that a new name survives a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
