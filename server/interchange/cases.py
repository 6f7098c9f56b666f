"""Questions: rows that a person must decide about. They are listed with their candidates, decided, and then imported.

Rules kept here:
- Scope is a condition of the query: a question about a post outside the scope is neither found nor counted.
- The caller logs that names are shown (`log_listed`) before it shows them.
- A decision about the child of a row applies to that child's other rows too, in this file and in later ones.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.orm import Session

from server import audit
from server.context import AppContext
from server.database.ids import UUID_TEXT
from server.database.models import Child, HealthPost, ImportCase
from server.errors import Problem
from server.interchange.child_matching import DryRunChildren
from server.interchange.import_chunks import unpack_row
from server.interchange.import_plan import ASK, SOURCE, RowResult, compared, measurements, plan_rows
from server.interchange.import_runs import write_planned
from server.interchange.import_store import DECIDED, OPEN, case_purpose
from server.interchange.refusals import QUESTIONS
from server.interchange.sigizi import SigiziReader, SigiziRow, layout_of
from server.review import Scope, mask_nik
from server.review.scope import name_of, posts_within, state_of, within
from server.sync import server_edits

CHILD, NEW, THEIRS, SKIP = "child", "new", "theirs", "skip"
ANSWERS: Final[Mapping[str, tuple[str, ...]]] = {
    "several": (CHILD, NEW, SKIP),
    "alike": (CHILD, NEW, SKIP),
    "identity-differs": (CHILD, NEW, SKIP),
    "nik-shared": (CHILD, NEW, SKIP),
    "values-differ": (THEIRS, SKIP),
    "removed": (NEW, SKIP),
}
"""The allowed answers to each question."""


@dataclass(frozen=True, slots=True)
class CaseCandidate:
    """A child here that a row may mean; `likeness` in percent. Names are None for users who may not see names."""

    child_id: str
    likeness: int
    name: str | None
    parents: str | None
    sex: str | None
    born_on: str | None
    post: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A value of the day that differs: `field` of a measurement as in JSON ("removed": the measurement was removed here),
    `theirs` from the file, `ours` stored here (several values while they conflict)."""

    field: str
    theirs: Any
    ours: tuple[Any, ...]

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {"field": self.field, "theirs": self.theirs, "ours": list(self.ours)}


@dataclass(frozen=True, slots=True)
class OpenCase:
    """A row and the question about it.

    Parameters
    ----------
    said : the row's cells by heading, with the NIK masked; None for users who may not see names
    differences : the differing values, for the question `values-differ`
    """

    id: str
    run_id: str
    row: int
    question: str
    post_id: str
    post: str
    said: Mapping[str, str] | None
    candidates: tuple[CaseCandidate, ...]
    differences: tuple[Difference, ...]
    status: str
    decision: str | None
    decided_by: str | None
    decided_at: datetime | None
    found_at: datetime

    @property
    def answers(self) -> tuple[str, ...]:
        """The allowed answers."""
        return ANSWERS[self.question]

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "id": self.id,
            "run": self.run_id,
            "row": self.row,
            "question": self.question,
            "question_words": QUESTIONS[self.question].wire(),
            "answers": list(self.answers),
            "post": {"id": self.post_id, "name": self.post},
            "said": dict(self.said) if self.said is not None else None,
            "candidates": [
                {
                    "child": c.child_id,
                    "likeness": c.likeness,
                    "name": c.name,
                    "parents": c.parents,
                    "sex": c.sex,
                    "born_on": c.born_on,
                    "post": c.post,
                }
                for c in self.candidates
            ],
            "differences": [difference.wire() for difference in self.differences],
            "status": self.status,
            "decision": self.decision,
            "decided_by": self.decided_by,
            "decided_at": self.decided_at.isoformat() if self.decided_at else None,
            "found_at": self.found_at.isoformat(),
        }


SHOWN: Final = (
    *("Nama", "nama_anak", "NIK", "JK", "jenis_kelamin", "Tgl Lahir", "tgl_lahir", "Nama Ortu", "nama_ortu"),
    *("Tanggal Pengukuran", "TANGGALUKUR", "Berat", "BERAT", "Tinggi", "TINGGI", "Cara Ukur", "LiLA", "LILA"),
)
"""The columns of a row that are shown with the question."""


def cases(
    session: Session,
    hub: AppContext,
    scope: Scope,
    *,
    status: str = OPEN,
    run_id: str | None = None,
    question: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> tuple[list[OpenCase], int]:
    """List the open (or decided) questions in scope, oldest first, and count them all."""
    where = [_in_scope(hub, scope), ImportCase.status == status]
    if run_id is not None:
        where.append(ImportCase.run_id == run_id)
    if question is not None:
        where.append(ImportCase.question == question)
    total = session.execute(select(func.count()).select_from(ImportCase).where(*where)).scalar_one()
    rows = session.scalars(
        select(ImportCase)
        .where(*where)
        .order_by(ImportCase.found_at, ImportCase.row, ImportCase.id)
        .limit(limit)
        .offset(offset)
    ).all()
    return _open_cases(session, hub, scope, rows), total


def waiting(session: Session, hub: AppContext, scope: Scope, run_id: str | None = None) -> Counter[str]:
    """Count the open questions in scope by kind."""
    where = [_in_scope(hub, scope), ImportCase.status == OPEN]
    if run_id is not None:
        where.append(ImportCase.run_id == run_id)
    rows = session.execute(
        select(ImportCase.question, func.count()).where(*where).group_by(ImportCase.question)
    )
    return Counter({row[0]: row[1] for row in rows})


def log_listed(session: Session, hub: AppContext, actor: str, count: int, now: datetime) -> None:
    """Log that somebody was shown rows of a file with their names."""
    audit.append(
        session,
        hub.district,
        audit.OFFICE,
        "import-cases.viewed",
        actor=actor,
        now=now,
        details={"rows": count},
    )


def decide(
    session: Session,
    hub: AppContext,
    scope: Scope,
    case_id: str,
    decision: str,
    *,
    child_id: str | None = None,
    author: str,
    now: datetime,
) -> str:
    """Decide about a row and import it accordingly, in a writing transaction.

    Parameters
    ----------
    decision : one of ANSWERS for its question
    child_id : the child, for the decision `child` only

    Returns
    -------
    str : what became of the row (`import_plan.OUTCOMES`); `ask` if another question arises, such as differing values

    Raises
    ------
    Problem
        `record-unknown` if the question or the child is outside the scope; `request-malformed` for an answer that is not
        allowed; `import-case-decided` if it was decided before; `change-invalid`.
    """
    stored = _stored(session, hub, scope, case_id, lock=True)
    if stored.status != OPEN:
        raise Problem("import-case-decided")
    if decision not in ANSWERS[stored.question] or (decision == CHILD) != (child_id is not None):
        allowed = ", ".join(ANSWERS[stored.question])
        raise Problem(
            "request-malformed", reason=f"decision must be one of {allowed}; give child only with 'child'"
        )
    if child_id is not None and not _sees_child(session, hub, scope, child_id):
        raise Problem("record-unknown")
    values = {"status": DECIDED, "decision": decision, "decided_by": author, "decided_at": now}
    if child_id is not None:
        values["child_id"] = child_id
    _change(session, hub, case_id, values)
    result = _import_row(session, hub, stored, author, now)
    if decision == NEW and result.child_id:
        _change(session, hub, case_id, {"child_id": result.child_id})  # an erasure finds the row by it
    if result.outcome == ASK:  # the child is decided; another question about the row is open
        candidates = orjson.dumps(result.candidates).decode()
        _change(
            session,
            hub,
            case_id,
            {"status": OPEN, "question": result.question or "values-differ", "candidates": candidates},
        )
    details = {"case": case_id, "decision": decision, "outcome": result.outcome}
    audit.append(
        session, hub.district, audit.OFFICE, "import-case.decided", actor=author, now=now, details=details
    )
    return result.outcome


def _import_row(
    session: Session, hub: AppContext, stored: ImportCase, author: str, now: datetime
) -> RowResult:
    """Import the row of a question as it is stored."""
    row, _ = _row(hub, stored, now)
    plan = plan_rows(session, hub, [(row, stored.post_id)], DryRunChildren(), dry=False)
    if plan.edits:
        planned = server_edits.plan(
            session, hub, plan.edits, author=author, now=now, new_at=plan.new_at, lock=True
        )
        write_planned(session, hub, planned, stored.run_id, author=author, now=now)
    return plan.results[0]


def _row(hub: AppContext, stored: ImportCase, now: datetime) -> tuple[SigiziRow, Mapping[str, str]]:
    """Unseal and read the row of a question; return it, and its cells as text by heading."""
    content = orjson.loads(hub.vault.unseal_for_district(stored.sealed, case_purpose(hub, stored.id)))
    layout = layout_of(content["kind"], content["headings"])
    number, cells = unpack_row(orjson.dumps(content["row"]))
    row = SigiziReader(layout, hub.settings.today(now)).read(number, cells)
    texts = {heading: str(cell) for heading, cell in zip(layout.headings, cells, strict=False) if cell != ""}
    return row, texts


def _in_scope(hub: AppContext, scope: Scope) -> ColumnElement[bool]:
    own = select(HealthPost.id).where(posts_within(hub, scope))
    return and_(ImportCase.district == hub.district, ImportCase.post_id.in_(own))


def _stored(
    session: Session, hub: AppContext, scope: Scope, case_id: str, *, lock: bool = False
) -> ImportCase:
    if not UUID_TEXT.fullmatch(case_id):
        raise Problem("record-unknown")
    query = select(ImportCase).where(_in_scope(hub, scope), ImportCase.id == case_id)
    found = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if found is None:
        raise Problem("record-unknown")
    return found


def _change(session: Session, hub: AppContext, case_id: str, values: Mapping[str, Any]) -> None:
    own = (ImportCase.district == hub.district, ImportCase.id == case_id)
    session.execute(
        update(ImportCase).where(*own).values(**values).execution_options(synchronize_session=False)
    )


def _sees_child(session: Session, hub: AppContext, scope: Scope, child_id: str) -> bool:
    if not UUID_TEXT.fullmatch(child_id):
        return False
    return session.scalar(select(Child.id).where(within(hub, scope), Child.id == child_id)) is not None


def _open_cases(
    session: Session, hub: AppContext, scope: Scope, rows: Sequence[ImportCase]
) -> list[OpenCase]:
    """Load what is shown of questions: their rows, candidates and differences."""
    wanted = {child_id for row in rows for child_id, _ in orjson.loads(row.candidates)}
    found = session.execute(
        select(
            Child.id.label("child_id"),
            *(Child.sex, Child.born_on, Child.state, Child.wrapped_key, Child.key_version),
            HealthPost.name.label("post"),
        )
        .join(HealthPost, and_(HealthPost.district == Child.district, HealthPost.id == Child.post_id))
        .where(within(hub, scope), Child.id.in_(wanted))
    )
    children = {row.child_id: row for row in found}
    posts = {
        row.id: row.name
        for row in session.execute(
            select(HealthPost.id, HealthPost.name).where(
                HealthPost.district == hub.district, HealthPost.id.in_({row.post_id for row in rows})
            )
        )
    }
    read = {row.id: _row(hub, row, row.found_at) for row in rows}
    differing = {
        row.id: (child_id, read[row.id][0])
        for row in rows
        if row.question == "values-differ"
        for child_id, _ in orjson.loads(row.candidates)[:1]
        if child_id in children
    }
    differences = _differences(session, hub, differing)
    return [
        _case(hub, scope, row, read[row.id][1], children, differences.get(row.id, ()), posts[row.post_id])
        for row in rows
    ]


def _differences(
    session: Session, hub: AppContext, asked: Mapping[str, tuple[str, SigiziRow]]
) -> dict[str, tuple[Difference, ...]]:
    """Compare rows with the stored measurement of their child and day, by case id."""
    days = [row.measured_on for _, row in asked.values() if row.measured_on]
    stored = measurements(session, hub, {child_id for child_id, _ in asked.values()}, days)
    found: dict[str, tuple[Difference, ...]] = {}
    for case_id, (child_id, row) in asked.items():
        state = stored.get((child_id, row.day, SOURCE))
        if state is None:
            continue
        if state.removed:
            found[case_id] = (Difference("removed", None, ()),)
            continue
        found[case_id] = tuple(
            Difference(name, row.measured[register][name], ours)
            for register in compared(row.measured, state)[1]
            for name in row.measured[register]
            if (ours := tuple(sibling.value.get(name) for sibling in state.registers[register]))
            and row.measured[register][name] not in (None, *ours)
        )
    return found


def _case(
    hub: AppContext,
    scope: Scope,
    row: ImportCase,
    cells: Mapping[str, str],
    children: Mapping[str, Any],
    differences: tuple[Difference, ...],
    post: str,
) -> OpenCase:
    said = None
    if scope.shows_names:
        said = {heading: cells[heading] for heading in SHOWN if heading in cells}
        if "NIK" in said:
            said["NIK"] = mask_nik(said["NIK"]) or ""
    candidates = tuple(
        CaseCandidate(
            child_id,
            percent,
            *(_names(hub, child) if scope.shows_names else (None, None)),
            child.sex,
            child.born_on.isoformat() if child.born_on else None,
            child.post,
        )
        for child_id, percent in orjson.loads(row.candidates)
        if (child := children.get(child_id))
    )
    return OpenCase(
        *(row.id, row.run_id, row.row, row.question, row.post_id, post, said, candidates, differences),
        *(row.status, row.decision, row.decided_by, row.decided_at, row.found_at),
    )


def _names(hub: AppContext, child: Any) -> tuple[str | None, str | None]:
    """Unseal the names of a child and of its parents, in the file's form `AYAH / IBU`."""
    if child.state is None or child.wrapped_key is None:
        return None, None
    state = state_of(hub, child.child_id, child)
    parents = [
        f"{sibling.value.get('father') or '-'} / {sibling.value.get('mother') or '-'}"
        for sibling in state.registers.get("parents", ())
    ]
    return name_of(hub, child), "; ".join(dict.fromkeys(parents)) or None
