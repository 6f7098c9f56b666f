"""Thousands of cases for everything that reads bytes from outside.

`make fuzz ARGS='--bytes'` goes on for as long as one likes.
"""

import io
import os
import random
import struct
import sys
import zipfile
from collections.abc import Iterator

import orjson
import pytest
from flask.testing import FlaskClient

from server.interchange.sheets import SheetUnreadable, read_rows
from tests.fuzz._bytes import PURE, Endless, Fuzz, Target, Unpacking, Wrong, bounded, depth
from tests.fuzz._served import SERVED, Forms
from tests.server._district import Databases
from tests.server.interchange import _files

TIMES = float(os.environ.get("FUZZ_TIMES", "1"))
CASES = {"unpacking": 3000, "schemas": 2500, "sheets": 2000, "endpoint": 400, "forms": 80}
CAME_TO = {
    "unpacking": {"body-not-gzip", "body-not-json", "body-too-deep", "batch-too-large", "dict", "list"},
    "schemas": {"Envelope", "Letter", "Sealed", "EnrolRequest", "change: missing"},
    "sheets": {"rows of ['str']", "sigizi []"},
    "endpoint": {
        *("body-not-gzip", "body-not-json", "batch-malformed", "signature-invalid", "sealed-unreadable"),
        *("receipt", "accepted quarantined", "accepted applied quarantined", "unsaid"),
    },
    "forms": {f"{path} {status}" for path in Forms.routes for status in (302, 400, 422)},
}
"""What among others must have become of cases: they were stopped at many doors, and some came through."""


# of a form that breaks off, werkzeug leaves the files to the collector
@pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", CASES)
def test_no_bytes_do_harm(name: str, sqlite_databases: Databases, capsys: pytest.CaptureFixture[str]) -> None:
    """Every case is taken or refused in words, in little time; what is stored in the end is what the ledger folds to."""
    target: Target = PURE[name]() if name in PURE else SERVED[name](sqlite_databases)
    fuzz = Fuzz(target, random.Random(64))
    fuzz.run(round(CASES[name] * TIMES))
    target.close()
    with capsys.disabled():
        sys.stdout.write(f"\nfuzz of {fuzz.told()}\n")
    assert fuzz.wrong == {}
    assert CAME_TO[name] <= set(fuzz.became)


# -- the fuzz itself ------------------------------------------------------------------------------


def test_what_runs_away_is_ended() -> None:
    def run() -> None:
        with bounded(0.05):
            while True:
                pass

    with pytest.raises(Endless):
        run()


def test_false_refusal_and_false_passage_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz._bytes.parse_json", lambda plain, _limit: orjson.loads(plain))
    with pytest.raises(Wrong, match="let through"):
        Unpacking().take(b"\x00" + b"[" * 13 + b"]" * 13)


@pytest.mark.parametrize(("value", "levels"), [(1, 0), ([], 1), ({"a": [1]}, 2), ([[], [[{}]]], 4)])
def test_depth(value: object, levels: int) -> None:
    assert depth(value) == levels


# -- what it found --------------------------------------------------------------------------------


def damaged(offset: int) -> bytes:
    """Give a workbook of which a byte of the first sheet's packed content is another."""
    file = _files.xlsx([_files.row()])
    with zipfile.ZipFile(io.BytesIO(file)) as book:
        info = book.getinfo("xl/worksheets/sheet1.xml")
    lengths = file[info.header_offset + 26 : info.header_offset + 30]
    at = info.header_offset + 30 + sum(struct.unpack("<HH", lengths)) + offset
    return file[:at] + bytes([file[at] ^ 0xFF]) + file[at + 1 :]


@pytest.mark.parametrize("offset", range(12))
def test_workbook_whose_packing_is_broken_is_refused_in_words(offset: int) -> None:
    with pytest.raises(SheetUnreadable):
        list(read_rows(damaged(offset)))


def test_workbook_whose_index_points_nowhere_is_refused_in_words() -> None:
    file = bytearray(_files.xlsx([_files.row()]))
    end = file.rindex(b"PK\x05\x06")
    file[end + 16 : end + 20] = b"\xff\xff\xff\x7f"  # where the directory of the zip begins
    with pytest.raises(SheetUnreadable):
        list(read_rows(bytes(file)))


def test_workbook_packed_in_a_way_that_unpacks_without_bound_is_refused() -> None:
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(_files.xlsx([_files.row()]))) as book,
        zipfile.ZipFile(made, "w") as other,
    ):
        for name in book.namelist():
            other.writestr(name, book.read(name), compress_type=zipfile.ZIP_BZIP2)
    with pytest.raises(SheetUnreadable):
        list(read_rows(made.getvalue()))


@pytest.fixture(scope="module")
def browser(sqlite_databases: Databases) -> Iterator[FlaskClient]:
    forms = Forms(sqlite_databases)
    yield forms.browser
    forms.close()


@pytest.mark.parametrize("path", [*Forms.routes, "/masuk"])
def test_form_with_a_part_that_has_no_name_is_refused_in_words(browser: FlaskClient, path: str) -> None:
    body = b"--batas\r\nContent-Disposition: form-data; nam\r\n\r\nregency\r\n--batas--\r\n"
    answer = browser.post(path, data=body, content_type="multipart/form-data; boundary=batas")
    assert answer.status_code == 400
    assert "Content-Disposition" in answer.text
