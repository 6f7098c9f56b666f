"""After an upgrade that changed the rules, every child is assessed again: in steps, once, and whoever can be read."""

import json
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from server.audit import OFFICE, append
from server.children.assessment import ENGINE
from server.database.models import Assessment, Attention, AuditEntry, Child, Flag, JobRun, table
from server.operations import reassessment, scheduler
from tests.server._district import DISTRICT, District

MARCH = "2026-03-05"
OLDER: Any = "growth-1 who2006/2007 permenkes2-2020 kms-by-sex-1 flags-1"


def run(district: District) -> dict[str, Any]:
    return dict(scheduler.run_job(district.hub, reassessment.JOB, district.clock.now))


def engines(district: District) -> set[str]:
    return {row.engine for row in district.rows(select(Assessment.engine))}


def of_an_older_release(district: District, children: int) -> list[str]:
    """Give children as a release without flags of the head has left them: stored, and never touched again."""
    tablet = district.tablet()
    ids = [tablet.register_child() for _ in range(children)]
    for child in ids:
        tablet.measure(child, MARCH, weight_g=9600, length_mm=775, head_mm=420)
    tablet.sync_until_quiet()
    changed(
        district,
        update(table(Assessment)).values(engine=OLDER, inputs=1),
        delete(table(Flag)),
        delete(table(Attention)),
    )
    return ids


def changed(district: District, *statements: Any) -> None:
    """Change what is stored."""
    with district.hub.database.transaction() as session:
        for statement in statements:
            session.execute(statement)
        append(session, DISTRICT, OFFICE, "test", actor="test", now=district.clock.now)


def test_children_of_an_older_release_get_the_new_flags(installed: District) -> None:
    (child,) = of_an_older_release(installed, 1)
    assert installed.flags(child) == {}
    assert run(installed) == {"rules": ENGINE, "after": None, "children": 1, "unreadable": 0}
    assert installed.flags(child) == {"head_very_small": f"{MARCH}/cadre"}
    assert [row.child_id for row in installed.rows(select(Attention.child_id))] == [child]
    assert engines(installed) == {ENGINE}
    assert installed.broken_log() == []


def test_nothing_is_done_when_it_was_done_by_these_rules(on_sqlite: District) -> None:
    of_an_older_release(on_sqlite, 1)
    run(on_sqlite)
    before = on_sqlite.counts()
    assert run(on_sqlite) == {}
    assert on_sqlite.counts() == before


def test_interrupted_run_goes_on_where_it_stopped(
    on_sqlite: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = sorted(of_an_older_release(on_sqlite, 5))
    monkeypatch.setattr(reassessment, "CHUNK", 2)
    done = {"rules": ENGINE, "after": ids[1], "children": 2, "unreadable": 0}
    row = {
        "district": DISTRICT,
        "job": reassessment.JOB,
        "ran_at": on_sqlite.clock.now,
        "result": json.dumps(done),
    }
    changed(on_sqlite, insert(table(JobRun)).values(row))
    assert run(on_sqlite)["children"] == 5
    assert [child for child in ids if on_sqlite.flags(child)] == ids[2:]
    entries = on_sqlite.rows(select(AuditEntry.details).where(AuditEntry.action == "children.assessed"))
    assert [json.loads(entry.details)["children"] for entry in entries] == [2, 1]


def test_damaged_child_is_left_out_and_the_others_are_assessed(on_sqlite: District) -> None:
    ids = sorted(of_an_older_release(on_sqlite, 3))
    damaged = update(table(Child)).where(table(Child).c.id == ids[1])
    changed(on_sqlite, damaged.values(wrapped_key=b"damaged", state=b"damaged", conflicts="identity"))
    assert run(on_sqlite) == {"rules": ENGINE, "after": None, "children": 2, "unreadable": 1}
    assert [child for child in ids if on_sqlite.flags(child)] == [ids[0], ids[2]]
