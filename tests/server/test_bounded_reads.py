"""What a look, a job or an erasure reads does not grow with what was there before."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import select, text, update

from server import audit
from server.audit import anchors, checkpoints, verification
from server.crypto.vault import Vault
from server.database.models import AuditEntry, ChangeRow, HealthPost, ImportChunk, table
from server.interchange import import_chunks
from server.review import Scope, pending_counts
from server.supervision import completeness
from tests.server._counting import Asked, counted
from tests.server._district import District, FakeTablet, identity
from tests.server.interchange._files import row, xlsx
from tests.server.interchange._office import answer, children, outcomes, taken, waiting
from tests.server.privacy._requests import erased

LITTLE, MUCH = 2, 20
MARCH = date(2026, 3, 1), date(2026, 3, 31)


def reads(district: District, look: Callable[[Any], object]) -> Asked:
    """Look once to fill caches, then count what a second look asks."""
    with district.hub.database.reading() as session:
        look(session)
    with counted(district.hub.database.engine) as asked, district.hub.database.reading() as session:
        look(session)
    return asked


def grown(work: Callable[[int], object], look: Callable[[], Asked]) -> tuple[int, int]:
    """Give the rows that a look reads after a little history, and after ten times as much."""
    rows = []
    for until, since in ((LITTLE, 0), (MUCH, LITTLE)):
        for number in range(since, until):
            work(number)
        rows.append(look().rows)
    return rows[0], rows[1]


def whole(district: District) -> Scope:
    return Scope.whole_district(district.hub, shows_names=True)


# -- looks ----------------------------------------------------------------------------------------


def test_completeness_of_a_month_reads_nothing_of_the_months_before(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()

    def month_before(number: int) -> None:
        installed.clock.now = datetime(2025, 2, 1 + number, 2, tzinfo=UTC)
        for weight_g in (9000, 90):  # the second is quarantined
            tablet.measure(child, f"2025-01-{11 + number // 2:02}", weight_g=weight_g)
        tablet.sync_until_quiet()

    def look() -> Asked:
        return reads(
            installed, lambda s: completeness.completeness(s, installed.hub, whole(installed), *MARCH)
        )

    little, much = grown(month_before, look)
    assert much == little
    with installed.hub.database.reading() as session:
        report = completeness.completeness(session, installed.hub, whole(installed), *MARCH)
    ((line,),) = ([t for t in post.tablets if t.id == tablet.id] for post in report.posts if post.tablets)
    assert (line.counters.quarantined, line.counters.received) == (MUCH, 2 * MUCH + 1)
    assert line.doubtful == ()


@pytest.mark.parametrize("wrong", ["applied", "quarantined", "more"])
def test_batch_whose_receipt_and_ledger_disagree_is_named_among_many(installed: District, wrong: str) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    for number in range(LITTLE):
        tablet.measure(child, f"2026-03-0{1 + number}", weight_g=9000 if number else 90)
        tablet.sync()
    batch = installed.rows(select(ChangeRow.batch_id).where(ChangeRow.counter == 2))[0].batch_id
    told = {
        "applied": '{"applied":2,"quarantined":1}',
        "quarantined": '{"applied":1}',
        "more": '{"applied":1,"quarantined":2}',  # sent twice, which is no fault
    }[wrong]
    with installed.hub.database.transaction() as session:
        session.execute(
            text("UPDATE batch SET outcomes = :told WHERE batch_id = :batch"), {"told": told, "batch": batch}
        )
        audit.append(
            session, installed.hub.district, audit.OFFICE, "test.told", actor="operator", now=MARCH_5
        )
    with installed.hub.database.reading() as session:
        report = completeness.completeness(session, installed.hub, whole(installed), *MARCH)
    ((line,),) = (post.tablets for post in report.posts if post.tablets)
    assert [one for one in line.doubtful if one] == ([] if wrong == "more" else [batch])


MARCH_5 = datetime(2026, 3, 5, 2, tzinfo=UTC)


def test_future_measurement_that_was_quarantined_before_is_still_counted_on_its_day(
    installed: District,
) -> None:
    installed.clock.now = datetime(2026, 1, 10, 2, tzinfo=UTC)
    tablet = installed.tablet()
    tablet.measure(tablet.register_child(), "2026-03-05", weight_g=9000)
    tablet.sync_until_quiet()
    installed.clock.now = datetime(2026, 3, 6, 2, tzinfo=UTC)
    with installed.hub.database.reading() as session:
        report = completeness.completeness(session, installed.hub, whole(installed), *MARCH)
    assert report.days()[date(2026, 3, 5)].in_quarantine == 1


def waiting_cases(district: District, tablets: tuple[FakeTablet, FakeTablet], number: int) -> None:
    """Add a conflict, a quarantined change, and a pair of possible duplicates."""
    one, other = tablets
    child = one.register_child(identity=identity(name=f"Anak {number}"))
    one.sync_until_quiet()
    other.sync_until_quiet()
    one.edit_child(child, identity=identity(name=f"Satu {number}"))
    other.edit_child(child, identity=identity(name=f"Dua {number}"))
    one.measure(child, weight_g=90)
    for tablet in tablets:
        tablet.sync_until_quiet()


def test_counting_what_waits_reads_none_of_it(installed: District) -> None:
    tablets = installed.tablet(), installed.tablet()

    def look() -> Asked:
        return reads(installed, lambda s: pending_counts.waiting(s, installed.hub, whole(installed)))

    little, much = grown(lambda number: waiting_cases(installed, tablets, number), look)
    assert much == little
    with installed.hub.database.reading() as session:
        found = pending_counts.waiting(session, installed.hub, whole(installed))
    assert (found.conflicts, found.quarantined) == (MUCH, MUCH)
    assert found.duplicates > 0


# -- imports --------------------------------------------------------------------------------------


def asked_row(number: int) -> dict[str, Any]:
    """Give a row of a child of another posyandu than the one whose file is counted."""
    return row(
        NIK="",
        Nama=f"Anak Kembar {number}",
        Nama_Ortu=f"Bapak {number} / Ibu {number}",
    )


def test_import_reads_no_decision_about_other_children(on_sqlite: District) -> None:
    sheet = xlsx([row(NIK="", Nama="Anak Biasa", Nama_Ortu="Bapak Biasa / Ibu Biasa")])
    taken(on_sqlite, sheet)
    # children of one village are read to find the row's child; these are of another
    with on_sqlite.hub.database.transaction() as session:
        session.execute(
            update(HealthPost).where(HealthPost.id == on_sqlite.posts[1]).values(village_code=None)
        )
        audit.append(
            session, on_sqlite.hub.district, audit.OFFICE, "test.moved", actor="operator", now=MARCH_5
        )

    def decided(number: int) -> None:
        for weight in ("9.1", "8.8"):  # the second differs: a question
            there = xlsx([{**asked_row(number), "Berat": weight}])
            taken(on_sqlite, there, post_id=on_sqlite.posts[1])
        (case,) = waiting(on_sqlite)
        answer(on_sqlite, case, "skip")

    def look() -> Asked:
        with counted(on_sqlite.hub.database.engine) as asked:
            assert outcomes(taken(on_sqlite, sheet, apply=False)[1]) == ["unchanged"]
        return asked

    little, much = grown(decided, look)
    assert much == little


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what is unsealed with the district's key, by kind of purpose."""
    found: Counter[str] = Counter()
    unseal = Vault.unseal_for_district

    def counting(vault: Vault, sealed: bytes, purpose: str) -> bytes:
        found[purpose.split("/")[0]] += 1
        return unseal(vault, sealed, purpose)

    monkeypatch.setattr(Vault, "unseal_for_district", counting)
    return found


def test_erasure_opens_only_the_chunks_with_rows_of_the_child(
    installed: District, monkeypatch: pytest.MonkeyPatch, opened: Counter[str]
) -> None:
    monkeypatch.setattr(import_chunks, "CHUNK_ROWS", 1)
    monkeypatch.setattr(import_chunks, "FEW_ROWS", 1)
    names = [f"Anak {name}" for name in ("Satu", "Dua", "Tiga", "Empat", "Lima", "Enam")]
    rows = [row(NIK="", Nama=name, Nama_Ortu=f"Bapak {name} / Ibu {name}") for name in names]
    taken(installed, xlsx(rows))
    assert len(installed.rows(select(ImportChunk.number))) == len(names)
    first, second, third, *_ = sorted(children(installed))
    opened.clear()
    erased(installed, first)
    assert opened["import"] == 1
    # chunks of before this index are opened once, by the first erasure
    with installed.hub.database.transaction() as session:
        session.execute(update(table(ImportChunk)).values(children=None))
        audit.append(
            session, installed.hub.district, audit.OFFICE, "test.older", actor="operator", now=MARCH_5
        )
    for child, chunks in ((second, len(names)), (third, 1)):
        opened.clear()
        erased(installed, child)
        assert opened["import"] == chunks


# -- the log --------------------------------------------------------------------------------------


def test_log_and_its_checkpoints_are_verified_in_blocks(
    installed: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (anchors, checkpoints, verification):
        monkeypatch.setattr(module, "ROWS_AT_ONCE", 3)
    tablet = installed.tablet()
    child = tablet.register_child()
    for number in range(MUCH):
        tablet.measure(child, f"2026-02-{1 + number:02}", weight_g=9000)
        tablet.sync()
        with installed.hub.database.transaction() as session:
            checkpoints.make(session, installed.hub, installed.clock.now, actor="operator")
    district, keys = installed.hub.district, installed.hub.vault.checkpoint_keys()
    with installed.hub.database.reading() as session:
        assert len(list(checkpoints.stored(session, district))) == MUCH
        assert audit.verify(session, district, keys=keys)[1] == []
    with counted(installed.hub.database.engine) as asked, installed.hub.database.reading() as session:
        for _ in zip(checkpoints.stored(session, district), range(4), strict=False):
            pass
    assert asked.rows <= 4 * 3 * 2
    assert asked.most_at_once <= 3


def test_ledger_is_compared_with_the_log_in_blocks(
    installed: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchors, "ROWS_AT_ONCE", 3)
    tablet, other = installed.tablet(), installed.tablet(1)
    for each in (tablet, other):
        child = each.register_child()
        for number in range(MUCH):
            each.measure(child, f"2026-02-{1 + number:02}", weight_g=9000)
            each.sync()
    district = installed.hub.district
    found = reads(installed, lambda session: list(anchors.unheld(session, district)))
    assert found.most_at_once <= 3
    with installed.hub.database.reading() as session:
        assert list(anchors.unheld(session, district)) == []
    c = table(ChangeRow).c
    with installed.hub.database.transaction() as session:
        session.execute(
            update(table(ChangeRow)).where(c.actor == tablet.id, c.counter >= 5).values(hash="other")
        )
        session.execute(table(ChangeRow).delete().where(c.actor == other.id, c.counter > 7))
        audit.append(session, district, audit.OFFICE, "test.altered", actor="operator", now=MARCH_5)
    logged = installed.rows(select(AuditEntry.details).where(AuditEntry.actor == f"tablet:{tablet.id}"))
    ends = sorted(
        int(one.details.split('"chain":[')[1].split(",")[0]) for one in logged if '"chain":[' in one.details
    )
    hit = next(number for number in ends if number >= 5)
    good = max(number for number in ends if number < 5)
    with installed.hub.database.reading() as session:
        assert sorted(anchors.unheld(session, district)) == sorted(
            [(tablet.id, good + 1, hit), (other.id, 8, None)]
        )
