"""What all commands share: opening the installation, errors in one line, names in options, output files."""

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, BinaryIO, NoReturn
from uuid import UUID

import click

from server.cli.reasons import log_command
from server.config import Settings

NEEDS_ATTENTION, WRONG_USE = 1, 2
OPERATOR = "operator"
ROLES = ("cadre", "staff", "supervisor", "tpps", "donor", "administrator")


def settings_of(data: Path | None) -> Settings:
    """Return settings from the environment; `--data` has precedence over POSYANDU_DATA and DATABASE_URL."""
    try:
        if data is None:
            return Settings.from_env()
        environment = {"POSYANDU_DATA": str(data)}
        return Settings.from_env(Settings.environment_without_place() | environment)
    except ValueError as error:
        wrong_use(str(error))


def wrong_use(message: str) -> NoReturn:
    """Print what was wrong and exit with code 2."""
    click.echo(f"posyandu-sync: {message}", err=True)
    sys.exit(WRONG_USE)


def data_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--data` to a command."""
    option = click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        help="Directory of the installation (SQLite, keys); else POSYANDU_DATA and DATABASE_URL.",
    )
    return option(command)


def format_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--format` to a command: table, csv or json."""
    forms = click.Choice(["table", "csv", "json"])
    return click.option("--format", "form", type=forms, default="table", show_default=True)(command)


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Print errors that an operator can mend in one line and exit: database out of reach, keys missing, disk full."""
    from sqlalchemy.exc import ArgumentError, DBAPIError

    from server.crypto.vault import KeyUnusable

    try:
        yield
    except DBAPIError as error:
        wrong_use(f"the database cannot be used: {str(error.orig).splitlines()[0]}")
    except ArgumentError:  # its text repeats the URL with the password
        wrong_use("DATABASE_URL is not an address of a database")
    except KeyUnusable as error:
        wrong_use(str(error))
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise  # click handles it: the reader of our output has closed it
        wrong_use(os_error_text(error))


def os_error_text(error: OSError) -> str:
    """Return a line with the file and the system's message."""
    return ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)


def open_hub(data: Path | None, *, only_reads: bool = False) -> Any:
    """Open an installation that was set up before, and log the command.

    Parameters
    ----------
    only_reads : for commands that examine an installation, perhaps one that cannot be written: not logged
    """
    from server.backup.withdrawals import follow
    from server.context import AppContext
    from server.database.migrations import newest, present
    from server.database.models import Installation

    settings = settings_of(data)
    with errors_in_one_line():
        if settings.sqlite_file is not None and not settings.sqlite_file.exists():
            wrong_use(
                f"there is no installation in {settings.sqlite_file.parent}:"
                " start one with 'serve --data DIR' or 'demo'"
            )
        if present(settings.database_url) != newest():
            wrong_use("the database is of another release: 'serve' brings it up to date")
        hub = AppContext.open(settings)
        follow(hub)
        click.get_current_context().call_on_close(hub.database.dispose)
        with hub.database.reading() as session:
            if session.get(Installation, hub.district) is None:
                wrong_use(f"district {hub.district} is not installed here: set POSYANDU_DISTRICT")
        if not only_reads:
            log_command(hub)
        return hub


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="posyandu-sync")
def main() -> None:
    """Offline-first backend for posyandu: sync, merge, WHO z-scores, and a queue of children to look at."""
    before = os.umask(0o077)  # whatever a command writes is its owner's alone, from its first byte on
    click.get_current_context().call_on_close(lambda: os.umask(before))


def post_id_of(session: Any, hub: Any, wanted: str) -> str:
    """Return the id of a post, by its name or id; exit with code 2 if there is none, or if several have that name."""
    from server.places import health_posts

    found = health_posts.find_posts(session, hub.district, wanted)
    if not found or (len(wanted) == 36 and not is_uuid(wanted)):
        wrong_use(f"there is no post {wanted!r}: 'post add' makes one, 'post list' shows those that are here")
    open_posts = [one for one in found if one.closed_at is None] or found
    if len(open_posts) > 1:
        candidates = "; ".join(f"{one.id} ({one.village_code or 'no village'})" for one in open_posts)
        wrong_use(f"several posts are called {wanted!r}: {candidates}. Give the id of the right one")
    return open_posts[0].id


def is_uuid(text: str) -> bool:
    """Return whether a text is a UUID in canonical form."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


area_option = click.option(
    "--area", default=None, help="Code of a desa, kecamatan or kabupaten, or name or id of a posyandu."
)


def first_day_of(month: str) -> date:
    """Return the first day of a month such as 2026-03; exit with code 2 for anything else."""
    try:
        if len(month) != 7:
            raise ValueError
        return date.fromisoformat(f"{month}-01")
    except ValueError:
        wrong_use(f"{month!r} is no month: write it like 2026-03")


def load_text(data: Path | None, look: Callable[[Any, datetime], str]) -> str:
    """Return what is to be shown; print a refusal and exit with code 2."""
    from server.errors import Problem

    hub = open_hub(data)
    try:
        with errors_in_one_line():
            return look(hub, datetime.now(UTC))
    except Problem as problem:
        exit_refused(problem)


def read_json(source: Path) -> dict[str, Any]:
    """Read a JSON object from a file or, for "-", from standard input."""
    import json

    try:
        text = sys.stdin.read() if str(source) == "-" else source.read_text(encoding="utf-8")
        read = json.loads(text)
    except (OSError, ValueError) as error:
        wrong_use(f"{source} cannot be read as JSON: {error}")
    if not isinstance(read, dict):
        wrong_use(f"{source} holds no JSON object")
    return read


def commit_change(data: Path | None, work: Callable[[Any, Any, datetime], Any]) -> Any:
    """Make a change in one transaction; print a refusal and exit with code 2."""
    from server.errors import Problem
    from server.sync.server_edits import decide

    hub = open_hub(data)
    try:
        with errors_in_one_line():
            return decide(hub, lambda session: work(hub, session, datetime.now(UTC)))
    except Problem as problem:
        exit_refused(problem)
    except ValueError as error:
        wrong_use(str(error))


def exit_refused(problem: Any) -> NoReturn:
    """Print why something was refused: each reason with its remedy, in both languages."""
    for reason in problem.details.get("reasons", ()):
        click.echo(f"{reason['path']}: {reason['id']} / {reason['en']}", err=True)
    wrong_use(str(problem.body()["title_en"]))


def donor_id_of(session: Any, hub: Any, wanted: str) -> str:
    """Return the id of a donor, by its name or id; exit with code 2 if there is none."""
    from server.aid import register

    found = register.find_donor(session, hub, wanted)
    if found is None:
        wrong_use(f"there is no donor {wanted!r}")
    return found.id


def print_progress() -> Callable[[str, int, int], None]:
    """Print the progress of a long operation every few seconds."""
    told = [datetime.now(UTC)]

    def tell(what: str, done: int, total: int) -> None:
        if (datetime.now(UTC) - told[0]).total_seconds() > 3:
            told[0] = datetime.now(UTC)
            click.echo(f"{what}: {100 * done // max(total, 1)} %", err=True)

    return tell


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file to write to, which takes its name only when it is complete: a failure keeps the older file.

    A device or a pipe is written to as it is: to rename a file to its name would remove it, such as /dev/null for everybody.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        with path.open("wb") as writing:
            yield writing
        return
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as writing:
            yield writing
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_atomically(file: Path, pieces: Iterable[bytes]) -> int:
    """Write to a file, complete or not at all, or for "-" to standard output; return the number of pieces."""
    with nullcontext(sys.stdout.buffer) if str(file) == "-" else atomic_file(file) as writing:
        return sum(writing.write(piece) > 0 for piece in pieces)
