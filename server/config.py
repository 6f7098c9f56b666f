"""Settings: frozen, validated at start. Only this module reads the environment."""

import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from importlib.metadata import version
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from server.schedule import SHIPPED, Choices, Schedule, schedule

LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
MOST: Final = {
    "max_body_bytes": 16 * 1024 * 1024,
    "max_changes": 200,  # the protocol's limit
    "tablet_silent_days": 3650,
    "session_minutes": 527_040,  # a year
    "idle_minutes": 527_040,
    "proxies": 9,
    "slow_seconds": 3600,
    "connections_per_address": 100_000,
    "backup_keep": 3660,
}
"""The integers that an operator may set, and the largest value of each."""
TABLET_APP: Final = "posyandu-tablet"
"""The name of our tablet app, before its version, in changes and batches."""
NEVER: Final = "never"
PIN_DIGITS: Final = range(6, 13)
"""The fewest digits that a district may ask for in a tablet's PIN."""
PHRASE: Final = "passphrase"
PHRASE_LETTERS: Final = 12
TABLET_PINS: Final = (*map(str, PIN_DIGITS), PHRASE)
YES, NO = ("1", "yes", "true"), ("0", "no", "false")
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{20,200}=*")
_USER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_VERSION: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,3}")
_ADDRESS: Final = re.compile(r"https?://(\[[0-9a-f:]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?")
_DATABASE: Final = re.compile(r"postgresql(\+psycopg)?://.+|sqlite(\+pysqlite)?:///(?!:memory:).+")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that an operator may set.

    Parameters
    ----------
    data_dir : holds the SQLite file, the keys and the lock; created if absent
    database_url : SQLAlchemy URL; SQLite in `data_dir` unless set
    key_file : master keys (0600); in `data_dir` unless set
    key_command : wraps and unwraps the key file (`crypto.key_file`), a program and its arguments; "" for a plain file
    district : Kemendagri code of the kabupaten/kota that this installation serves
    time_zone : of the district; decides what "today" is (never UTC: 01:00 in Kukar is yesterday there)
    max_body_bytes, max_inflated_bytes, max_depth, max_changes : limits of one upload, before and after gunzip
    max_pull_bytes : limit of one answer to a pull, before gzip
    tablet_silent_days : a tablet is reported after so many days without contact
    session_minutes, idle_minutes : a session ends so long after it began, or after its last use
    second_factor : False only for a demo or tests on this machine: then it is required of nobody
    proxies : number of our own proxies in front, each of which adds to X-Forwarded-For and X-Forwarded-Proto
    slow_seconds : for so long a body may arrive, or an answer be read, more slowly than 500 bytes a second
    connections_per_address : how many connections one address may have to each worker (requests, behind a proxy)
    metrics_token : what a collector of metrics must send (`Authorization: Bearer …`); "": `/metrics` is for this machine
    cookie_secure : False only for plain http on this machine
    public_url : the address at which people open the server, such as https://posyandu.example.go.id; "": links are shown
        without it, since what a request says of its host could be anybody's
    guideline_file : due dates and lengths of courses; None for the default (`review.guideline`)
    schedule_file : what children are to be given and when; None for the default (`server.schedule`)
    je_endemic : whether children are vaccinated against Japanese encephalitis here
    deworming_months : months of the deworming rounds, such as (2, 8); () for none; None for those of the schedule
    backup_dir : where a backup is made each night, and `backup_keep` of them are kept; None: no nightly backups
    tablet_pin : what a tablet asks of a new PIN: at least so many digits, or a passphrase
    oldest_app : the oldest version of our tablet app that is still served, such as 0.2.0; "" for every one
    """

    data_dir: Path
    database_url: str
    key_file: Path
    district: str = "64.02"
    time_zone: str = "Asia/Makassar"
    max_body_bytes: int = 262_144
    max_inflated_bytes: int = 1_048_576
    max_depth: int = 12
    max_changes: int = 200
    max_pull_bytes: int = 1_048_576
    tablet_silent_days: int = 14
    session_minutes: int = 60
    idle_minutes: int = 30
    second_factor: bool = True
    proxies: int = 0
    slow_seconds: int = 60
    connections_per_address: int = 200
    cookie_secure: bool = True
    public_url: str = ""
    metrics_token: str = field(default="", repr=False)
    log_level: str = "INFO"
    guideline_file: Path | None = None
    schedule_file: Path | None = None
    je_endemic: bool = False
    deworming_months: tuple[int, ...] | None = None
    tablet_pin: str = "6"
    oldest_app: str = ""
    key_command: str = ""
    backup_dir: Path | None = None
    backup_keep: int = 30

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\d{2}\.\d{2}", self.district):
            raise ValueError(f"POSYANDU_DISTRICT is {self.district!r}: give a Kemendagri code such as 64.02")
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(
                f"POSYANDU_TIME_ZONE is {self.time_zone!r}: give a zone such as Asia/Makassar"
            ) from error
        if self.log_level.upper() not in LOG_LEVELS:
            raise ValueError(
                f"POSYANDU_LOG_LEVEL is {self.log_level!r}: give a level, one of {', '.join(LOG_LEVELS)}"
            )
        if not _is_database_url(self.database_url):  # it may hold a password, so it is not repeated
            raise ValueError(
                "DATABASE_URL is not usable: give an address such as postgresql://user:password@host:5432/posyandu"
            )
        if self.tablet_pin not in TABLET_PINS:
            raise ValueError(
                f"POSYANDU_TABLET_PIN is {self.tablet_pin!r}: give a number of digits from 6 to 12, or {PHRASE}"
            )
        if self.public_url and not _is_address(self.public_url):
            raise ValueError(
                f"POSYANDU_PUBLIC_URL is {self.public_url!r}: give an address such as https://posyandu.example.go.id"
            )
        if self.metrics_token and not _TOKEN.fullmatch(self.metrics_token):  # a secret, so it is not repeated
            raise ValueError(
                "POSYANDU_METRICS_TOKEN is not usable: give at least 20 letters and digits, drawn by chance"
            )
        if self.oldest_app and not _VERSION.fullmatch(self.oldest_app):
            raise ValueError(f"POSYANDU_OLDEST_APP is {self.oldest_app!r}: give a version such as 0.2.0")
        here = version("posyandu-sync")
        if _numbers(self.oldest_app) > _numbers(
            here
        ):  # it would shut out every tablet, and there is no newer app
            raise ValueError(
                f"POSYANDU_OLDEST_APP is {self.oldest_app!r}: give a version up to {here}, which this server hands out"
            )

    @classmethod
    def for_data(cls, data_dir: Path | str, **others: object) -> "Settings":
        """Return the default for an embedded installation: everything in one directory."""
        path = Path(data_dir).expanduser().resolve()
        given = {
            "database_url": f"sqlite:///{path / 'posyandu.db'}",
            "key_file": path / "keys.json",
            **others,
        }
        return cls(data_dir=path, **given)  # type: ignore[arg-type]  # checked by __post_init__ and by mypy at callers

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read POSYANDU_* and DATABASE_URL; an invalid value raises ValueError with its name and the remedy."""
        others: dict[str, object] = {}
        if environ.get("DATABASE_URL"):
            others["database_url"] = environ["DATABASE_URL"]
        if environ.get("POSYANDU_KEY_FILE"):
            others["key_file"] = Path(environ["POSYANDU_KEY_FILE"])
        if environ.get("POSYANDU_GUIDELINE"):
            others["guideline_file"] = Path(environ["POSYANDU_GUIDELINE"])
        if environ.get("POSYANDU_SCHEDULE"):
            others["schedule_file"] = Path(environ["POSYANDU_SCHEDULE"])
        if environ.get("POSYANDU_DEWORMING_MONTHS"):
            others["deworming_months"] = _months(environ["POSYANDU_DEWORMING_MONTHS"])
        if environ.get("POSYANDU_BACKUP_DIR"):
            others["backup_dir"] = Path(environ["POSYANDU_BACKUP_DIR"])
        for name in (
            "district",
            "time_zone",
            "log_level",
            "oldest_app",
            "key_command",
            "public_url",
            "metrics_token",
            "tablet_pin",
        ):
            if environ.get(f"POSYANDU_{name.upper()}"):
                others[name] = environ[f"POSYANDU_{name.upper()}"]
        for name, most in MOST.items():
            text = environ.get(f"POSYANDU_{name.upper()}")
            if text:
                least = 0 if name == "proxies" else 1
                if not text.isdecimal() or len(text) > 9 or not least <= int(text) <= most:
                    raise ValueError(
                        f"POSYANDU_{name.upper()} is {text!r}: give a whole number from {least} to {most}"
                    )
                others[name] = int(text)
        for name in ("cookie_secure", "second_factor", "je_endemic"):
            text = environ.get(f"POSYANDU_{name.upper()}", "").lower()
            if text not in ("", *YES, *NO):
                raise ValueError(f"POSYANDU_{name.upper()} is {text!r}: give a 1 or a 0")
            if text:
                others[name] = text in YES
        return cls.for_data(environ.get("POSYANDU_DATA", "data"), **others)

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    @property
    def sqlite_file(self) -> Path | None:
        """The database's file; None on PostgreSQL."""
        return Path(self.database_url.partition("///")[2].partition("?")[0]) if self.is_sqlite else None

    def today(self, now: datetime) -> date:
        """Return the district's calendar day at an aware moment, whether that is now or a stored one."""
        return now.astimezone(ZoneInfo(self.time_zone)).date()

    def start_of(self, day: date) -> datetime:
        """Return the moment at which a calendar day of the district begins, in UTC."""
        return datetime.combine(day, time(), ZoneInfo(self.time_zone)).astimezone(UTC)

    def schedule(self) -> Schedule:
        """Read the schedule of vaccines and services, with what this district has chosen in it.

        Raises
        ------
        ValueError
            The file of the schedule cannot be used.
        """
        return schedule(self.schedule_file or SHIPPED, Choices(self.je_endemic, self.deworming_months))

    @property
    def pin_policy(self) -> dict[str, str | int] | None:
        """What tablets are told to ask of a new PIN (docs/protocol.md); None: what they ask anyway."""
        if self.tablet_pin == PHRASE:
            return {"kind": "phrase", "least": PHRASE_LETTERS}
        least = int(self.tablet_pin)
        return {"kind": "digits", "least": least} if least > min(PIN_DIGITS) else None

    def too_old(self, app: str) -> bool:
        """Return whether an app, by its name and version, is our tablet app in a version that is no longer served.

        Versions are compared number by number; what follows the numbers (`+1a2b3c4d`) is ignored. A version without a
        leading number is the oldest of all. Other apps are never too old.
        """
        name, _, version = app.partition(" ")
        return name == TABLET_APP and _numbers(version) < _numbers(self.oldest_app)

    def for_plain_http(self) -> "Settings":
        """Return these settings for a demo on this machine: the session cookie is sent without TLS, and no second factor is
        required.
        """
        return replace(self, cookie_secure=False, second_factor=False)

    @staticmethod
    def environment_without_place() -> dict[str, str]:
        """Return the environment without the variables that say where the data are, for a command with --data."""
        place = ("POSYANDU_DATA", "DATABASE_URL", "POSYANDU_KEY_FILE", "POSYANDU_KEY_COMMAND")
        return {name: value for name, value in os.environ.items() if name not in place}

    def cookie(self, name: str) -> str:
        """Return the name of a cookie: over https with the prefix that restricts it to https and to this host (RFC 6265bis,
        section 4.1.3.2).
        """
        return f"__Host-{name}" if self.cookie_secure else name

    def child_environment(self, **others: str) -> dict[str, str]:
        """Return the environment in which a child process finds these same settings."""
        mine = {
            "POSYANDU_DATA": str(self.data_dir),
            "DATABASE_URL": self.database_url,
            "POSYANDU_KEY_FILE": str(self.key_file),
            "POSYANDU_DISTRICT": self.district,
            "POSYANDU_TIME_ZONE": self.time_zone,
            "POSYANDU_LOG_LEVEL": self.log_level,
            "POSYANDU_OLDEST_APP": self.oldest_app,
            "POSYANDU_TABLET_PIN": self.tablet_pin,
            "POSYANDU_KEY_COMMAND": self.key_command,
            "POSYANDU_PUBLIC_URL": self.public_url,
            "POSYANDU_METRICS_TOKEN": self.metrics_token,
            "POSYANDU_MAX_BODY_BYTES": str(self.max_body_bytes),
            "POSYANDU_MAX_CHANGES": str(self.max_changes),
            "POSYANDU_TABLET_SILENT_DAYS": str(self.tablet_silent_days),
            "POSYANDU_SESSION_MINUTES": str(self.session_minutes),
            "POSYANDU_IDLE_MINUTES": str(self.idle_minutes),
            "POSYANDU_SECOND_FACTOR": "1" if self.second_factor else "0",
            "POSYANDU_PROXIES": str(self.proxies),
            "POSYANDU_SLOW_SECONDS": str(self.slow_seconds),
            "POSYANDU_CONNECTIONS_PER_ADDRESS": str(self.connections_per_address),
            "POSYANDU_COOKIE_SECURE": "1" if self.cookie_secure else "0",
            "POSYANDU_BACKUP_KEEP": str(self.backup_keep),
            "POSYANDU_JE_ENDEMIC": "1" if self.je_endemic else "0",
        }
        if self.schedule_file is not None:
            mine["POSYANDU_SCHEDULE"] = str(self.schedule_file)
        if self.deworming_months is not None:
            mine["POSYANDU_DEWORMING_MONTHS"] = ",".join(map(str, self.deworming_months)) or NEVER
        if self.backup_dir is not None:
            mine["POSYANDU_BACKUP_DIR"] = str(self.backup_dir)
        if self.guideline_file is not None:
            mine["POSYANDU_GUIDELINE"] = str(self.guideline_file)
        return {**os.environ, **mine, **others}


def _is_address(url: str) -> bool:
    """Say whether a browser reaches us there safely: https, or http on this machine; no path, which passkeys do not know."""
    fits = _ADDRESS.fullmatch(url)
    here = fits is not None and (fits[1] in ("localhost", "[::1]") or fits[1].startswith("127."))
    return fits is not None and (url.startswith("https:") or here)


def _numbers(version: str) -> tuple[int, ...]:
    """Parse the numbers that a version begins with, without trailing zeros: 1.0 is 1."""
    found = _VERSION.match(version)
    numbers = [int(number) for number in found[0].split(".")] if found else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _months(text: str) -> tuple[int, ...]:
    """Read months of the year, "2,8"; "never" for none."""
    found = [] if text == NEVER else text.split(",")
    if not all(month.strip().isdecimal() and 1 <= int(month) <= 12 for month in found):
        raise ValueError(
            f"POSYANDU_DEWORMING_MONTHS is {text!r}: give months such as 2,8, or {NEVER} where nobody is dewormed in rounds"
        )
    return tuple(sorted({int(month) for month in found}))


def _is_database_url(url: str) -> bool:
    try:
        return _DATABASE.fullmatch(url) is not None and urlsplit(url).port != 0
    except ValueError:  # the port is no number
        return False


def take_on(environment: Mapping[str, str]) -> None:
    """Replace this process's environment by one that `child_environment` returned."""
    os.environ.update(environment)


def operating_user(environ: Mapping[str, str] = os.environ) -> str:
    """Return who runs this process: "budi", or "root/budi" where budi has become root with sudo; a number without a name."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = ""
    user = user if _USER.fullmatch(user) else str(os.getuid())
    before = environ.get("SUDO_USER", "")
    return f"{user}/{before}" if _USER.fullmatch(before) and before != user else user


def metrics_directory(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the directory in which the workers of one server share their metrics; None for a single process."""
    return environ.get("PROMETHEUS_MULTIPROC_DIR")
