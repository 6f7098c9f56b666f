"""An office that imports: a district, and files taken into it."""

from typing import Any

from sqlalchemy import select

from server.database.models import Child, Measurement, table
from server.interchange.cases import OpenCase, cases, decide
from server.interchange.import_report import ImportReport
from server.interchange.import_runs import import_sheet
from server.interchange.import_store import Options
from server.review import Scope
from tests.server._district import DISTRICT, District

WHOLE = Scope("district", DISTRICT, shows_names=True)


def taken(
    district: District, content: bytes, *, apply: bool = True, **options: Any
) -> tuple[ImportReport, dict[int, dict[str, Any]]]:
    """Take a file (or look at it); give the report, and what became of each row by number."""
    accounts: dict[int, dict[str, Any]] = {}

    def each(found: Any) -> None:
        accounts.update({account["row"]: account for account in found})

    run = {
        name: options.pop(name)
        for name in ("workers", "progress", "run_id", "actor", "should_stop")
        if name in options
    }
    report = import_sheet(
        district.hub,
        content,
        Options(**options),
        apply=apply,
        now=district.clock.now,
        on_results=each,
        **{"actor": "operator", **run},
    )
    return report, accounts


def outcomes(accounts: dict[int, dict[str, Any]]) -> list[str]:
    """Give what became of the rows, in their order in the file."""
    return [accounts[number]["outcome"] for number in sorted(accounts)]


def waiting(district: District, scope: Scope = WHOLE) -> list[OpenCase]:
    """Give the rows that wait for a person."""
    with district.hub.database.reading() as session:
        return cases(session, district.hub, scope)[0]


def answer(district: District, case: OpenCase, decision: str, child: str | None = None) -> str:
    """Decide about a row."""
    with district.hub.database.transaction() as session:
        return decide(
            session,
            district.hub,
            WHOLE,
            case.id,
            decision,
            child_id=child,
            author="account:uji",
            now=district.clock.now,
        )


def children(district: District) -> dict[str, str]:
    """Give the names of the children here, by id."""
    found = {}
    for (kind, record_id), (_, state) in district.stored().items():
        if kind == "child":
            found[record_id] = " / ".join(s.value["name"] for s in state.registers.get("identity", ()))
    return found


def values(district: District, child_id: str) -> dict[str, dict[str, Any]]:
    """Give a child's registers that are in no conflict."""
    state = district.stored()["child", child_id][1]
    return {name: dict(value) for name in state.registers if (value := state.value(name))}


def weights(district: District) -> dict[str, list[int | None]]:
    """Give the weights of each child in order of day."""
    m = table(Measurement).c
    found: dict[str, list[int | None]] = {}
    for row in district.rows(select(m.child_id, m.weight_g).order_by(m.child_id, m.measured_on)):
        found.setdefault(row.child_id, []).append(row.weight_g)
    return found


def persons(district: District) -> int:
    """Count the children."""
    return len(district.rows(select(Child.id)))
