"""A CSV file comes back with the scores of the reference; bad rows are refused, the others scored."""

import csv
import gzip
import io
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.interchange.score_csv import OUTPUT_COLUMNS, RULES, CellProblem, ScoreSummary, score_csv
from tests.server.growth.golden import GOLDEN_FILE

HEADER = "id,sex,age,weight,lenhei,measure,oedema"
GOOD_ROW = "7,1,365,9.6,75.7,l,n"
# What GOOD_ROW is given, in the order of OUTPUT_COLUMNS.
GOOD_SCORES = "75.7,l,0,16.7524941148139,-0.02,0,-0.04,0,-0.06,0,-0.03,0,,,,"


def scored(text: str | bytes) -> tuple[list[str], list[CellProblem], ScoreSummary]:
    source = text.encode() if isinstance(text, str) else text
    target, problems = io.BytesIO(), list[CellProblem]()
    summary = score_csv(io.BytesIO(source), target, errors=problems.append)
    return target.getvalue().decode(errors="surrogateescape").split("\n")[:-1], problems, summary


def no_problem(problem: CellProblem) -> None:
    raise AssertionError(problem)


def cells(line: str) -> dict[str, str]:
    return dict(zip([*HEADER.split(","), *OUTPUT_COLUMNS], line.split(","), strict=True))


@pytest.fixture(scope="module")
def golden_text() -> bytes:
    return gzip.decompress(GOLDEN_FILE.read_bytes())


# ---- the reference


def test_every_line_equals_the_golden_file_when_its_values_can_be_measured(golden_text: bytes) -> None:
    lines, problems, summary = scored(golden_text)
    # The reference prints minus nought; we do not. All else is equal to the letter.
    expected = [line.replace(",-0.00,", ",0.00,") for line in golden_text.decode().splitlines()]
    usual = [index for index, line in enumerate(expected) if ",quirk," not in line]
    assert [lines[index] for index in usual] == [expected[index] for index in usual]
    assert (summary.rows, summary.scored, summary.refused) == (20_214, 20_154, 60)
    assert summary.rules == {"not-above-zero": len(problems)}


def test_row_keeps_its_inputs_without_scores_when_a_value_cannot_be_measured(golden_text: bytes) -> None:
    lines, _, _ = scored(golden_text)
    quirks = [
        (old, new)
        for old, new in zip(golden_text.decode().splitlines(), lines, strict=True)
        if ",quirk," in old
    ]
    assert len(quirks) == 60
    for old, new in quirks:
        assert new == ",".join(old.split(",")[:11]) + "," * len(OUTPUT_COLUMNS)


def test_summary_counts_missing_scores_by_reason_when_rows_were_scored(golden_text: bytes) -> None:
    rows = csv.DictReader(io.StringIO(golden_text.decode()))
    empty = sum(row["zwfl"] == "" for row in rows if row["case"] != "quirk")
    _, _, summary = scored(golden_text)
    assert sum(summary.undefined["zwfl"].values()) == empty
    assert summary.undefined["zwfl"]["OEDEMA"] == 937


# ---- what a file may look like


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\n{GOOD_ROW}\n",
        f"{HEADER}\n{GOOD_ROW}",
        f"{HEADER}\r\n{GOOD_ROW}\r\n",
        f"\ufeff{HEADER}\n{GOOD_ROW}\n",
        f"\n{HEADER}\n\n{GOOD_ROW}\n\n",
        HEADER.upper() + "\n" + GOOD_ROW + "\n",
        HEADER.replace("sex", '"sex"') + "\n" + GOOD_ROW.replace("9.6", '"9.6"') + "\n",
        f"{HEADER}\n{GOOD_ROW.replace('9.6', ' 9.60 ').replace(',1,', ', m ,')}\n",
        f"{HEADER}\n{GOOD_ROW.replace('9.6', '96e-1').replace(',l,', ',L,')}\n",
    ],
)
def test_scores_are_the_same_when_the_file_is_written_another_way(text: str) -> None:
    lines, problems, summary = scored(text)
    assert [line.split(",", 7)[7] for line in lines] == [",".join(OUTPUT_COLUMNS), GOOD_SCORES]
    assert problems == []
    assert (summary.rows, summary.scored, summary.refused) == (1, 1, 0)


def test_byte_order_mark_does_not_hide_the_first_column_when_it_is_quoted() -> None:
    lines, _, _ = scored('\ufeff"sex","age"\n1,10\n')
    assert lines[0].startswith("sex,age,clenhei")


def test_other_columns_pass_through_when_they_hold_anything() -> None:
    lines, problems, _ = scored('nama,sex,age,catatan\n"Contoh, A","1","10","baris\nkedua ""x"""\n')
    rows = list(csv.reader(io.StringIO("\n".join(lines))))
    assert rows[1][:4] == ["Contoh, A", "1", "10", 'baris\nkedua "x"']
    assert problems == []


def test_other_columns_pass_through_when_they_are_not_utf8() -> None:
    source, target = io.BytesIO(b"nama,sex,age\nCaf\xe9,1,10\n"), io.BytesIO()
    score_csv(source, target, errors=no_problem)
    assert b"\nCaf\xe9,1,10," in target.getvalue()


def test_score_columns_are_replaced_when_the_file_has_them_already() -> None:
    lines, _, _ = scored(f"ZWEI,{HEADER},zhc,note\n9.99,{GOOD_ROW},8.88,kept\n")
    assert lines[0] == ",".join([HEADER, "note", *OUTPUT_COLUMNS])
    assert lines[1] == f"{GOOD_ROW},kept,{GOOD_SCORES}"


def test_age_is_read_in_months_when_its_unit_says_so() -> None:
    lines, _, _ = scored("sex,age,age_unit,weight\n1,365.25,d,9.6\n1,12,m,9.6\n1,365.25,,9.6\n")
    assert len({line.split(",", 4)[4] for line in lines[1:]}) == 1


def test_scores_stay_empty_without_a_fault_when_values_are_missing() -> None:
    lines, problems, summary = scored(f"{HEADER}\n1,,365,9.6,75.7,l,n\n2,2,,9.6,75.7,,\n3,2,NA,NA,NA,NA,NA\n")
    assert problems == []
    assert summary.scored == 3
    assert [cells(line)["zwfl"] for line in lines[1:]] == ["", "0.38", ""]
    assert summary.undefined["zlen"] == {"NO_SEX": 1, "NO_AGE": 2}


def test_text_streams_work_when_given_instead_of_bytes() -> None:
    target = io.StringIO()
    score_csv(io.StringIO(f"{HEADER}\n{GOOD_ROW}\n"), target, errors=no_problem)
    assert target.getvalue().endswith(f"{GOOD_ROW},{GOOD_SCORES}\n")
    assert not target.closed


def test_streams_stay_open_when_they_are_real_files(tmp_path: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=tmp_path) as source, (tmp_path / "out.csv").open("wb") as target:
        source.write(f"{HEADER}\n{GOOD_ROW}\n".encode())
        source.seek(0)
        score_csv(source, target, errors=no_problem)  # type: ignore[arg-type]  # a wrapper in all but its type
        target.write(b"after\n")
    assert (tmp_path / "out.csv").read_text().endswith(f"{GOOD_SCORES}\nafter\n")


def test_header_comes_back_when_there_are_no_rows() -> None:
    lines, _, summary = scored(HEADER)
    assert lines == [",".join([HEADER, *OUTPUT_COLUMNS])]
    assert summary.rows == 0


# ---- rows that cannot be right


@pytest.mark.parametrize(
    ("row", "column", "value", "rule"),
    [
        ("1,1,-1,9.6,75.7,l,n", "age", "-1", "negative-age"),
        ("1,1,365,0,75.7,l,n", "weight", "0", "not-above-zero"),
        ("1,1,365,-9.6,75.7,l,n", "weight", "-9.6", "not-above-zero"),
        ("1,1,365,9.6,0,l,n", "lenhei", "0", "not-above-zero"),
        ("1,X,365,9.6,75.7,l,n", "sex", "X", "sex-code"),
        ("1,3,365,9.6,75.7,l,n", "sex", "3", "sex-code"),
        ("1,1,365,9.6,75.7,x,n", "measure", "x", "measure-code"),
        ("1,1,365,9.6,75.7,l,maybe", "oedema", "maybe", "oedema-code"),
        ("1,1,365,9.6 kg,75.7,l,n", "weight", "9.6 kg", "not-a-number"),
        ("1,1,1 year,9.6,75.7,l,n", "age", "1 year", "not-a-number"),
        ("1,1,365,1_0,75.7,l,n", "weight", "1_0", "not-a-number"),
        ("1,1,365,--9,75.7,l,n", "weight", "--9", "not-a-number"),
        ("1,1,365,٩,75.7,l,n", "weight", "٩", "not-a-number"),
        ('1,1,365,"9,6",75.7,l,n', "weight", "9,6", "decimal-comma"),
        ("1,1,365,nan,75.7,l,n", "weight", "nan", "not-finite"),
        ("1,1,365,9.6,-Inf,l,n", "lenhei", "-Inf", "not-finite"),
        ("1,1,365,9.6,1e999,l,n", "lenhei", "1e999", "not-finite"),
        ("1,1,365,x,1e999,l,n", "lenhei", "1e999", "not-finite"),
        ("1,1,365,9.6,75.7,l", "", "6", "cell-count"),
        ("1,1,365,9.6,75.7,l,n,8", "", "8", "cell-count"),
    ],
)
def test_row_is_refused_alone_when_it_cannot_be_right(row: str, column: str, value: str, rule: str) -> None:
    lines, problems, summary = scored(f"{HEADER}\n{GOOD_ROW}\n{row}\n{GOOD_ROW}\n")
    assert CellProblem(row=3, column=column, value=value, rule=rule) in problems
    assert {problem.row for problem in problems} == {3}
    assert lines[1] == lines[3] == f"{GOOD_ROW},{GOOD_SCORES}"
    assert lines[2].endswith("," * len(OUTPUT_COLUMNS))
    assert (summary.rows, summary.scored, summary.refused) == (3, 2, 1)
    assert summary.rules[rule] >= 1


def test_unit_of_age_is_refused_when_it_is_none_of_ours() -> None:
    _, problems, _ = scored("sex,age,age_unit\n1,10,w\n")
    assert problems == [CellProblem(2, "age_unit", "w", "age-unit-code")]


def test_every_fault_is_told_when_a_row_has_several() -> None:
    _, problems, summary = scored(f"{HEADER}\n1,X,-1,0,a,l,n\n2,1,365,0,75.7,l,n\n")
    told = [(problem.row, problem.column, problem.rule) for problem in problems]
    assert sorted(told) == [
        (2, "age", "negative-age"),
        (2, "lenhei", "not-a-number"),
        (2, "sex", "sex-code"),
        (2, "weight", "not-above-zero"),
        (3, "weight", "not-above-zero"),
    ]
    assert [row for row, _, _ in told] == [2, 2, 2, 2, 3]
    assert summary.refused == 2
    assert summary.rules["not-above-zero"] == 2


def test_rows_stay_rectangular_when_cells_are_too_many_or_too_few() -> None:
    lines, _, _ = scored(f"{HEADER}\n1,1\n{GOOD_ROW},8,9\n")
    assert {len(line.split(",")) for line in lines} == {7 + len(OUTPUT_COLUMNS)}
    assert lines[1].startswith("1,1,,,,,,")


def test_only_the_count_is_told_when_cells_have_shifted() -> None:
    _, problems, _ = scored(f"{HEADER}\n1,1,l,n\n")
    assert [problem.rule for problem in problems] == ["cell-count"]


def test_problem_names_row_rule_and_remedy_when_printed() -> None:
    text = str(CellProblem(3, "weight", "9,6", "decimal-comma"))
    assert text.startswith("baris 3, kolom weight: '9,6' [decimal-comma] koma desimal: gunakan titik")
    assert "use a point" in text
    assert str(CellProblem(3, "", "6", "cell-count")).startswith("baris 3: '6' ")


def test_every_rule_has_words_in_both_languages_when_told() -> None:
    assert all(indonesian and english for indonesian, english in RULES.values())


# ---- files that cannot be read at all


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("sex,weight\n1,9\n", "column age is missing"),
        ("nama;sex;age\nA;1;10\n", "commas"),
        ("sex,age,weight,Weight\n1,10,5,5\n", "weight is there twice"),
        (f'{HEADER}\n{GOOD_ROW}\n"7,' + f"{GOOD_ROW}\n" * 8000, "after row 2: a quotation mark"),
    ],
)
def test_file_is_an_error_when_it_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scored(text)


# ---- long files


class Repeated(io.RawIOBase):
    """A binary file of any length that is never held in memory."""

    def __init__(self, row: bytes, rows: int) -> None:
        self._lines: Iterator[bytes] = iter([f"{HEADER}\n".encode(), *[row] * rows])
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while len(self._left) < len(buffer) and (line := next(self._lines, None)):
            self._left += line
        part, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


class Discarded(io.RawIOBase):
    """A binary file that only counts its lines."""

    lines = 0

    def writable(self) -> bool:
        return True

    def write(self, text: bytes) -> int:  # type: ignore[override]
        self.lines += bytes(text).count(b"\n")
        return len(text)


def peak_bytes(rows: int) -> int:
    target, done = Discarded(), list[int]()
    tracemalloc.start()
    try:
        score_csv(Repeated(f"{GOOD_ROW}\n".encode(), rows), target, errors=no_problem, progress=done.append)  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert target.lines == rows + 1
    assert done == sorted(done)
    assert (len(done), done[-1]) == (-(-rows // 10_000), rows)
    return peak


def test_memory_stays_flat_when_the_file_is_three_times_as_long() -> None:
    peak_bytes(10)  # tables and caches
    assert peak_bytes(75_000) < 1.2 * peak_bytes(25_000)


def test_scores_far_out_are_written_in_full_when_beyond_the_look_up() -> None:
    lines, _, _ = scored(f"{HEADER}\n1,1,365,960,75.7,l,n\n")
    assert float(cells(lines[1])["zwei"]) > 100
    assert cells(lines[1])["fwei"] == "1"
