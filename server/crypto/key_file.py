"""The file in which the master keys lie, and a key service that may keep it shut.

    plain    {"masters": {"1": …}, "index_key": …, "session_secret": …}: JSON, keys in base64, mode 0600
    wrapped  {"wrapped": {"key": …, "content": …}}: that JSON under a random key, which only the key command can unwrap

Rules kept here: a key file is only ever replaced whole, by one process at a time, and no master key that was in it is lost
by that; a wrapped file is opened by the command and nothing else, and what it answers is never written down or told. The
command (POSYANDU_KEY_COMMAND) is run with one more argument: `wrap` reads a key in base64 from standard input and writes
text of its own, `unwrap` reads that text and writes the key, as a few lines around a cloud's key service do.
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
"""How long a key command may take: a service far away, asked once when a process starts."""
AGAIN_SECONDS: Final = 5.0
"""After which a key file that could not be read is tried again."""
_BOUND: Final = "posyandu-sync/key-file/1"

Read = TypeVar("Read")


def load_keys(path: Path, *, create: bool, command: str = "") -> Keys:
    """Read a key file.

    Parameters
    ----------
    path : JSON, mode 0600
    create : make one with fresh keys if there is none (only for a new installation), wrapped if there is a command
    command : what opens a wrapped file

    Raises
    ------
    KeyUnusable
        No file and `create` is False, a file that is not a key file, or a command that does not open it.
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
        )  # never replaces keys that another process has just made
    content = _understood(path, lambda: dict(json.loads(path.read_text())))
    if "wrapped" in content:
        content = _unwrapped(path, content["wrapped"], command)
    keys = _understood(
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


def _understood(path: Path, read: Callable[[], Read]) -> Read:
    try:
        return read()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeyUnusable(f"{path} is not a key file: restore it from your backup of the keys") from error


def is_wrapped(path: Path) -> bool:
    """Say whether a key file needs the command to be opened."""
    return "wrapped" in _understood(path, lambda: dict(json.loads(path.read_text())))


class KeyFile:
    """A key file that a process has read, and may have to read again because it was replaced."""

    def __init__(self, path: Path, command: str) -> None:
        self._path, self._command = path, command
        self._seen = self._look()
        self._again_at = 0.0

    def read(self, *, create: bool) -> Keys:
        """Read the keys, as `load_keys`."""
        keys = load_keys(self._path, create=create, command=self._command)
        self._seen = self._look()
        return keys

    def renewed(self) -> Keys | None:
        """Give the keys if the file is another one than when it was read last. One that cannot be read now is told in the
        log and tried again a little later: until then the process goes on with the keys that it has."""
        look = self._look()
        if look is None or look == self._seen or time.monotonic() < self._again_at:
            return None
        try:
            keys = load_keys(self._path, create=False, command=self._command)
        except (KeyUnusable, OSError) as error:
            log = structlog.get_logger("posyandu.keys")
            log.warning("key-file-unreadable", error=type(error).__name__)
            self._again_at = time.monotonic() + AGAIN_SECONDS
            return None
        self._seen = look
        return keys

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns


# -- replacing a key file -------------------------------------------------------------------------


def add_master(path: Path, command: str) -> int:
    """Add a fresh master key, from now on the newest; give its version. The caller holds `changing(path)`."""
    keys = load_keys(path, create=False, command=command)
    masters = {**keys.masters, keys.newest + 1: secrets.token_bytes(KEY_BYTES)}
    _write(path, _content(replace(keys, masters=masters), command), os.replace)
    return keys.newest + 1


def retire_master(path: Path, command: str, version: int) -> None:
    """Take an old master key out of the file: what is under it cannot be read any more, by anyone."""
    keys = load_keys(path, create=False, command=command)
    if version not in keys.masters or version == keys.newest:
        raise KeyUnusable(
            f"master key {version} is the newest, or not in the key file: there is nothing to retire"
        )
    masters = {number: key for number, key in keys.masters.items() if number != version}
    _write(path, _content(replace(keys, masters=masters), command), os.replace)


def rewrite(path: Path, before: str, after: str) -> None:
    """Bring a key file under another command, or under none ("")."""
    _write(path, _content(load_keys(path, create=False, command=before), after), os.replace)


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Be the only one who changes a key file.

    Raises
    ------
    KeyUnusable
        Somebody else does.
    """
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise KeyUnusable("the keys are being changed by another command: wait until it has ended") from error
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
    if _key_from(command, wrapped) != key:  # before anything rests on it
        raise KeyUnusable(f"{_name(command)}: does not unwrap what it has wrapped itself; mend it first")
    return {
        "wrapped": {"key": wrapped, "content": _text(seal(ChildKey(key), json.dumps(plain).encode(), _BOUND))}
    }


def _unwrapped(path: Path, wrapped: Any, command: str) -> dict[str, Any]:
    if not command:
        raise KeyUnusable(f"{path} is wrapped by a key command: set POSYANDU_KEY_COMMAND to it")
    key, content = _understood(path, lambda: (str(wrapped["key"]), base64.b64decode(wrapped["content"])))
    opened = unseal(ChildKey(_key_from(command, key)), content, _BOUND)
    return _understood(path, lambda: dict(json.loads(opened)))


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
    """Run the key command; what it says of an error is told by its first line."""
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
            f"{name}: no answer in {COMMAND_SECONDS:.0f} seconds; is the key service within reach?"
        ) from error
    except (OSError, ValueError) as error:
        raise KeyUnusable(f"{name}: cannot be run ({error}); check POSYANDU_KEY_COMMAND") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()[:1] or ["nothing said"]
        raise KeyUnusable(f"{name}: ended with status {done.returncode}: {said[0][:200]}")
    if not done.stdout.strip():
        raise KeyUnusable(f"{name}: ended well and answered nothing; see docs/keys.md")
    return done.stdout.strip()


def _name(command: str) -> str:
    """Name a command without its arguments, which may hold a secret."""
    return f"key command {command.split()[0]}"


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _write(path: Path, content: Mapping[str, Any], put: Callable[[Path, Path], None]) -> None:
    """Write a key file beside its place, then put it there: whole, and on the disk."""
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
        _settle(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _settle(directory: Path) -> None:
    """Make sure that a new name is on the disk too."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
