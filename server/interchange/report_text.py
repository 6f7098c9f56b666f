"""What became of a file, as text: a summary in both languages, and its rows as a table, CSV or JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from server.interchange.cases import OpenCase
from server.interchange.import_plan import ASK, OUTCOMES, REFUSED
from server.interchange.import_report import ImportReport
from server.interchange.refusals import QUESTIONS, RULES, RefusalText, words_of
from server.interchange.uploads import RunView
from server.tabular import csv_text, printable

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
OUTCOME_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "new": ("anak baru", "new child"),
    "added": ("pengukuran baru dari anak yang dikenal", "new measurement of a known child"),
    "filled": ("melengkapi yang kosong", "filled what was missing"),
    "unchanged": ("sudah ada, tidak berubah", "already here, unchanged"),
    "ask": ("menunggu keputusan orang", "a person must decide"),
    "refused": ("ditolak", "refused"),
    "skipped": ("dilewati menurut keputusan", "left out, as was decided"),
}


def concerning(accounts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Give the rows that need somebody: refused, or a question."""
    return [account for account in accounts if account["outcome"] in (REFUSED, ASK)]


NEEDS, ALL = "needs", "all"


def chosen(accounts: Sequence[Mapping[str, Any]], which: str) -> list[Mapping[str, Any]]:
    """Give the rows of a choice: NEEDS, ALL, an outcome, or a note, question or rule by its name."""
    if which == ALL:
        return list(accounts)
    if which == NEEDS:
        return concerning(accounts)
    return [account for account in accounts if which == account["outcome"] or which in _codes(account)]


def _codes(account: Mapping[str, Any]) -> set[str]:
    return {account["question"], *account["notes"], *(refusal["rule"] for refusal in account["refusals"])}


class Why(NamedTuple):
    """Why some rows need somebody: the rule or question, the column as the file spells it, the words, how many rows."""

    code: str
    column: str
    words: RefusalText
    rows: int


def reasons(accounts: Sequence[Mapping[str, Any]]) -> list[Why]:
    """Count why rows need somebody, most first."""
    counted: Counter[tuple[str, str]] = Counter()
    words: dict[str, RefusalText] = {}
    for account in concerning(accounts):
        for refusal in account["refusals"]:
            # the schemas' own rules are not in our table: their words come with the refusal
            words.setdefault(refusal["rule"], RefusalText(refusal["id"], refusal["en"]))
        counted.update({(refusal["rule"], refusal["column"]) for refusal in account["refusals"]})
        counted.update([(account["question"], "")] if account["question"] else [])
    known = {**words, **RULES, **QUESTIONS}
    return [Why(code, column, known[code], rows) for (code, column), rows in counted.most_common()]


def notes(accounts: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """Count what is worth knowing of the rows, most first."""
    return Counter(note for account in accounts for note in account["notes"]).most_common()


def lines_of(account: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give a row's account as lines of COLUMNS: one for each reason, question or note, at least one."""
    own = {name: account[name] for name in ("row", "outcome", "how", "child", "post", "measured_on")}
    told = [
        {name: refusal[name] for name in ("column", "value", "rule", "id", "en")}
        for refusal in account["refusals"]
    ]
    codes = ([account["question"]] if account["question"] else []) + account["notes"]
    for code in codes:
        words = words_of(code)
        told.append({"column": "", "value": account["case"], "rule": code, "id": words.id, "en": words.en})
    return [{**own, **one} for one in told] or [{**own, **dict.fromkeys(COLUMNS[6:])}]


def as_text(report: ImportReport, accounts: Sequence[Mapping[str, Any]], form: str) -> str:
    """Write a report with some of its rows as `table`, `csv` (rows alone) or `json`."""
    if form == "json":
        whole = {"summary": report.wire(), "rows": list(accounts)}
        return orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode()
    if form == "csv":
        return as_csv(accounts)
    return "\n".join([_summary(report), *_told(accounts)])


def rows_text(accounts: Sequence[Mapping[str, Any]], form: str) -> str:
    """Write some rows as `table`, `csv` or `json`."""
    if form == "json":
        return orjson.dumps(list(accounts), option=orjson.OPT_INDENT_2).decode()
    return as_csv(accounts) if form == "csv" else "\n".join(_told(accounts))


def _told(accounts: Sequence[Mapping[str, Any]]) -> list[str]:
    shown = []
    for line in (line for account in accounts for line in lines_of(account)):
        if line["rule"]:
            column = f", kolom {line['column']}" if line["column"] else ""
            value = f": {printable(line['value'])!r}" if line["value"] else ""
            place = f"baris {line['row']}{column}{value}"
            shown.append(f"{place} [{line['outcome']}, {line['rule']}] {line['id']} / {line['en']}")
        else:
            by = f" ({line['how']})" if line["how"] else ""
            shown.append(f"baris {line['row']} [{line['outcome']}{by}]")
    return shown


def as_csv(accounts: Sequence[Mapping[str, Any]]) -> str:
    """Write rows as CSV of COLUMNS."""
    return csv_text(COLUMNS, [line for account in accounts for line in lines_of(account)])


def _summary(report: ImportReport) -> str:
    width = len(f"{report.rows:,}")
    lines = [f"{report.rows:>{width},}  baris / rows"]
    for outcome in OUTCOMES:
        count = report.counts[outcome]
        if count:
            indonesian, english = OUTCOME_WORDS[outcome]
            lines.append(f"{count:>{width},}  {indonesian} / {english}")
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
    """Write files that were brought as `table`, `csv` or `json`."""
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
    """Write the rows that wait for a person as `table`, `csv` or `json`."""
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
        shown.append(f"{case.id}  baris {case.row}, {case.post}: {words.id} / {words.en}")
        shown.append(f"    {line['said']}")
        for c in case.candidates:
            shown.append(
                f"    {c.likeness:>3} %  {c.child_id}  {c.name or '-'}, {c.sex or '?'}, {c.born_on or '?'}, {c.post}"
            )
        shown.append(f"    jawaban / answers: {line['answers']}")
    return "\n".join(printable(line) for line in shown)
