"""Reports of imports as text: a summary in both languages, and rows, runs and questions as table, CSV or JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from server.csv_writer import csv_text, printable
from server.interchange.cases import OpenCase
from server.interchange.import_plan import ASK, OUTCOMES, REFUSED
from server.interchange.import_report import ImportReport
from server.interchange.refusals import QUESTIONS, RULES, words_of
from server.interchange.uploads import RunView
from server.translations import T_, Text

COLUMNS: Final = (
    "row",
    "outcome",
    "how",
    "child",
    "post",
    "measured_on",
    "column",
    "value",
    "rule",
    "id",
    "en",
)
OUTCOME_WORDS: Final[Mapping[str, Text]] = {
    "new": T_("new child"),
    "added": T_("new measurement of a known child"),
    "filled": T_("filled what was missing"),
    "unchanged": T_("already here, unchanged"),
    "ask": T_("a person must decide"),
    "refused": T_("refused"),
    "skipped": T_("left out, as was decided"),
}


def needing_attention(results: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Give the rows that need a person: refused ones and questions."""
    return [result for result in results if result["outcome"] in (REFUSED, ASK)]


NEEDS, ALL = "needs", "all"


def chosen(results: Sequence[Mapping[str, Any]], which: str) -> list[Mapping[str, Any]]:
    """Give the rows of a choice: NEEDS, ALL, an outcome, or the name of a note, question or rule."""
    if which == ALL:
        return list(results)
    if which == NEEDS:
        return needing_attention(results)
    return [result for result in results if which == result["outcome"] or which in _codes(result)]


def _codes(result: Mapping[str, Any]) -> set[str]:
    return {result["question"], *result["notes"], *(refusal["rule"] for refusal in result["refusals"])}


class Why(NamedTuple):
    """A reason why rows need a person: the rule or question, the column as the file spells it, its words, number of rows."""

    code: str
    column: str
    words: Mapping[str, str]
    rows: int


def reasons(results: Sequence[Mapping[str, Any]]) -> list[Why]:
    """Count the reasons why rows need a person, most frequent first."""
    counted: Counter[tuple[str, str]] = Counter()
    words: dict[str, Mapping[str, str]] = {}
    for result in needing_attention(results):
        for refusal in result["refusals"]:
            # the schemas' rules are not in RULES: their words come with the refusal
            words.setdefault(refusal["rule"], {"id": refusal["id"], "en": refusal["en"]})
        counted.update({(refusal["rule"], refusal["column"]) for refusal in result["refusals"]})
        counted.update([(result["question"], "")] if result["question"] else [])
    known = {**words, **{code: text.wire() for code, text in {**RULES, **QUESTIONS}.items()}}
    return [Why(code, column, known[code], rows) for (code, column), rows in counted.most_common()]


def notes(results: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """Count the notes of rows, most frequent first."""
    return Counter(note for result in results for note in result["notes"]).most_common()


def lines_of(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give a row's result as lines with COLUMNS: one for each refusal, question and note, and at least one."""
    own = {name: result[name] for name in ("row", "outcome", "how", "child", "post", "measured_on")}
    details = [
        {name: refusal[name] for name in ("column", "value", "rule", "id", "en")}
        for refusal in result["refusals"]
    ]
    codes = ([result["question"]] if result["question"] else []) + result["notes"]
    for code in codes:
        words = words_of(code)
        details.append({"column": "", "value": result["case"], "rule": code, **words.wire()})
    return [{**own, **one} for one in details] or [{**own, **dict.fromkeys(COLUMNS[6:])}]


def as_text(report: ImportReport, results: Sequence[Mapping[str, Any]], form: str) -> str:
    """Write a report with some of its rows as `table`, `csv` (rows alone) or `json`."""
    if form == "json":
        whole = {"summary": report.wire(), "rows": list(results)}
        return orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode()
    if form == "csv":
        return as_csv(results)
    return "\n".join([_summary(report), *_row_lines(results)])


def rows_text(results: Sequence[Mapping[str, Any]], form: str) -> str:
    """Write some rows as `table`, `csv` or `json`."""
    if form == "json":
        return orjson.dumps(list(results), option=orjson.OPT_INDENT_2).decode()
    return as_csv(results) if form == "csv" else "\n".join(_row_lines(results))


def _row_lines(results: Sequence[Mapping[str, Any]]) -> list[str]:
    shown = []
    for line in (line for result in results for line in lines_of(result)):
        if line["rule"]:
            column = f", kolom {line['column']}" if line["column"] else ""
            value = f": {printable(line['value'])!r}" if line["value"] else ""
            place = f"baris {line['row']}{column}{value}"
            shown.append(f"{place} [{line['outcome']}, {line['rule']}] {line['id']} / {line['en']}")
        else:
            by = f" ({line['how']})" if line["how"] else ""
            shown.append(f"baris {line['row']} [{line['outcome']}{by}]")
    return shown


def as_csv(results: Sequence[Mapping[str, Any]]) -> str:
    """Write rows as CSV of COLUMNS."""
    return csv_text(COLUMNS, [line for result in results for line in lines_of(result)])


def _summary(report: ImportReport) -> str:
    width = len(f"{report.rows:,}")
    lines = [f"{report.rows:>{width},}  baris / rows"]
    for outcome in OUTCOMES:
        count = report.counts[outcome]
        if count:
            lines.append(f"{count:>{width},}  {OUTCOME_WORDS[outcome].both()}")
    if report.posts_added:
        lines.append(f"{report.posts_added:>{width},}  posyandu ditambahkan / posts added")
    for (post, village), count in report.posts_missing.most_common(20):
        lines.append(
            f"{count:>{width},}  baris posyandu yang belum ada / rows of a post that is not here: {post}, {village}"
        )
    for index, found in report.scores.items():
        if found.compared:
            largest = f"{found.largest[0][0]:+.2f} (baris {found.largest[0][1]})" if found.largest else "-"
            lines.append(
                f"skor-z {index}: {found.compared:,} dibandingkan / compared, {found.far:,} beda > 0,3 / apart,"
                f" {found.categories:,} kategori lain / other category, terbesar / largest {largest}"
            )
    return "\n".join(printable(line) for line in lines)


def runs_text(runs: Sequence[RunView], form: str) -> str:
    """Write uploaded files as `table`, `csv` or `json`."""
    if form == "json":
        return orjson.dumps([run.wire() for run in runs], option=orjson.OPT_INDENT_2).decode()
    lines = [
        {
            "run": run.id,
            "state": run.state,
            "started_at": run.started_at.isoformat(timespec="minutes"),
            "scope": f"{run.scope_kind} {run.scope}",
            "rows_done": run.done,
            "outcomes": " ".join(f"{name}={run.counts[name]}" for name in OUTCOMES if run.counts.get(name)),
        }
        for run in runs
    ]
    columns = ("run", "state", "started_at", "scope", "rows_done", "outcomes")
    if form == "csv":
        return csv_text(columns, lines)
    return "\n".join("  ".join(str(line[name]) for name in columns) for line in lines)


def cases_text(cases: Sequence[OpenCase], form: str) -> str:
    """Write questions as `table`, `csv` or `json`."""
    if form == "json":
        return orjson.dumps([case.wire() for case in cases], option=orjson.OPT_INDENT_2).decode()
    columns = ("case", "row", "question", "post", "answers", "candidates", "said")
    lines = [
        {
            "case": case.id,
            "row": case.row,
            "question": case.question,
            "post": case.post,
            "answers": " ".join(case.answers),
            "candidates": " ".join(f"{c.child_id}={c.likeness}%" for c in case.candidates),
            "said": "; ".join(f"{name}: {value}" for name, value in (case.said or {}).items()),
        }
        for case in cases
    ]
    if form == "csv":
        return csv_text(columns, lines)
    shown = []
    for case, line in zip(cases, lines, strict=True):
        words = QUESTIONS[case.question]
        shown.append(f"{case.id}  baris {case.row}, {case.post}: {words.both()}")
        shown.append(f"    {line['said']}")
        for c in case.candidates:
            shown.append(
                f"    {c.likeness:>3} %  {c.child_id}  {c.name or '-'}, {c.sex or '?'}, {c.born_on or '?'}, {c.post}"
            )
        shown.append(f"    jawaban / answers: {line['answers']}")
    return "\n".join(printable(line) for line in shown)
