"""`zscore`: adds WHO z-scores and status to a CSV of measurements."""

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import click

from server.cli.installation import NEEDS_ATTENTION, atomic_file, main, os_error_text, wrong_use


@main.command()
@click.argument("source", default="-", metavar="[IN.csv]")
@click.option(
    "-o", "--output", default="-", metavar="OUT.csv", help="Where to write; '-' is standard output."
)
def zscore(source: str, output: str) -> None:
    """Score a CSV of children against the WHO standards.

    Columns: sex, age (age_unit d or m), weight kg, lenhei cm, measure l or h, headc cm, armc cm, oedema. Rows that cannot be
    scored are written through with empty scores and reported; the exit code is then 1.
    """
    from server.interchange.score_csv import score_csv

    refused: list[str] = []

    def report(problem: object) -> None:
        refused.append("")
        if len(refused) <= 1000:
            click.echo(str(problem), err=True)

    try:
        with _reader(source) as reading, _writer(output, reading) as writing:
            summary = score_csv(reading, writing, errors=report, progress=_progress())
    except ValueError as error:
        wrong_use(str(error))
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise  # click handles it: the reader of our output has closed it
        wrong_use(os_error_text(error))
    if len(refused) > 1000:
        click.echo(f"... and {len(refused) - 1000} more", err=True)
    click.echo(f"{summary.rows} rows, {summary.scored} scored, {summary.refused} refused", err=True)
    sys.exit(NEEDS_ATTENTION if summary.refused else 0)


def _reader(source: str) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdin.buffer) if source == "-" else Path(source).open("rb")


@contextmanager
def _writer(output: str, reading: BinaryIO) -> Iterator[BinaryIO]:
    """Yield where to write: a new file takes its name only when it is complete, so that a failure keeps the older file."""
    if _is_input(output, reading):
        raise ValueError(f"{output} is the input: name another file to write to")
    if output == "-":
        yield sys.stdout.buffer
        return
    path = Path(output)
    if path.exists() and not path.is_file():  # a pipe or a device has no older content to keep
        with path.open("wb") as writing:
            yield writing
        return
    with atomic_file(path) as writing:
        yield writing


def _is_input(output: str, reading: BinaryIO) -> bool:
    """Return whether the output is the same file as the input, by any name."""
    try:
        here = os.fstat(reading.fileno())
        there = os.fstat(sys.stdout.fileno()) if output == "-" else Path(output).stat()
    except OSError:  # no file yet, or not a file
        return False
    return stat.S_ISREG(here.st_mode) and os.path.samestat(here, there)


def _progress() -> Callable[[int], None] | None:
    """Print the progress of a long file, on a terminal only."""
    if not sys.stderr.isatty():
        return None
    told = [datetime.now(UTC)]

    def tell(rows: int) -> None:
        if (datetime.now(UTC) - told[0]).total_seconds() > 1:
            told[0] = datetime.now(UTC)
            click.echo(f"\r{rows:,} rows", err=True, nl=False)

    return tell
