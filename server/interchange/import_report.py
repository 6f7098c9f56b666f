"""The outcome of an import in numbers: what became of the rows of a file, or would become of them in a dry run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from server.interchange.import_plan import OUTCOMES, RowResult
from server.interchange.score_comparison import ScoreComparison


@dataclass(slots=True)
class ImportReport:
    """Counts of an import.

    Parameters
    ----------
    rows : in the file (in the report of a task: the rows of that task)
    counts : rows by outcome; `how` : by how the child was matched
    questions, rules, notes : rows by question, by broken rule, by note
    scores : the file's z-scores compared with ours, by index
    posts_missing : rows by (posyandu, village) for posyandu that are not here
    resumed_rows : rows that an earlier, interrupted start of this run had done
    rows_done : rows done by now
    """

    run_id: str = ""
    kind: str = ""
    rows: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    how: Counter[str] = field(default_factory=Counter)
    questions: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    scores: dict[str, ScoreComparison] = field(default_factory=dict)
    posts_missing: Counter[tuple[str, str]] = field(default_factory=Counter)
    posts_added: int = 0
    resumed_rows: int = 0
    rows_done: int = 0

    @property
    def whole(self) -> bool:
        """Whether all rows are done; if not, the run was told to stop and can be continued."""
        return self.rows_done == self.rows

    @property
    def needs_attention(self) -> bool:
        """Whether a row was refused or waits for a person."""
        return bool(self.counts["refused"] or self.counts["ask"])

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "run": self.run_id or None,
            "kind": self.kind,
            "rows": self.rows,
            "outcomes": {outcome: self.counts[outcome] for outcome in OUTCOMES},
            "matched_by": dict(sorted(self.how.items())),
            "questions": dict(sorted(self.questions.items())),
            "rules": dict(sorted(self.rules.items())),
            "notes": dict(sorted(self.notes.items())),
            "scores": {index: comparison.wire() for index, comparison in self.scores.items()},
            "posts_missing": [
                {"post": post, "village": village, "rows": count}
                for (post, village), count in self.posts_missing.most_common()
            ],
            "posts_added": self.posts_added,
            "resumed_rows": self.resumed_rows,
            "rows_done": self.rows_done,
        }

    def merge(self, other: "ImportReport") -> None:
        """Add the counts of a task."""
        for name in ("counts", "how", "questions", "rules", "notes", "posts_missing"):
            getattr(self, name).update(getattr(other, name))
        for index, comparison in other.scores.items():
            self.scores.setdefault(index, ScoreComparison()).merge(comparison)

    def add(self, results: Sequence[RowResult]) -> None:
        """Count the rows of a chunk."""
        self.rows += len(results)
        for result in results:
            self.counts[result.outcome] += 1
            if result.how:
                self.how[result.how] += 1
            if result.question:
                self.questions[result.question] += 1
            if result.row.notes:
                self.notes.update(set(result.row.notes))
            if result.row.refusals:
                rules = {refusal.rule for refusal in result.row.refusals}
                self.rules.update(rules)
                if "post-unknown" in rules:
                    self.posts_missing[result.row.post, result.row.village] += 1
