"""Rows that hold decisions are bound to the log: what is changed, added or removed outside is named, and nothing else."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any, Final

import pytest
from sqlalchemy import Table, create_engine, delete, func, insert, select, text, update
from sqlalchemy.orm import Session

from server import audit
from server.audit import adoption
from server.audit.unbound import Unbound, unbound_rows
from server.backup import backup, restore
from server.context import AppContext
from server.crypto.vault import SigningKey
from server.database.bound_rows import (
    BINDINGS,
    BOUND,
    CHAINED,
    DERIVED,
    ELSEWHERE,
    EXEMPT,
    MACED,
    vouched_by,
)
from server.database.engine import UnauditedWrite
from server.database.models import Account, Base, ChangeRow, Child, Region, Username, table
from server.database.touched_rows import UnboundWrite
from tests.server._district import DISTRICT, NOW, Databases, District
from tests.server.backup._files import unsealed

SOURCES: Final = Path(__file__).parents[3] / "server"
WRITING_TEXT: Final = re.compile(r"text\(\s*f?\"\s*(INSERT|UPDATE|DELETE|REPLACE|MERGE)", re.IGNORECASE)
ONLY_ROW: Final = "installation"
"""The table with one row, which is there already."""
REFERRED_TO: Final = frozenset({"audit_checkpoint"})
"""Tables that are not bound, to whose rows bound ones refer."""


@pytest.fixture
def district(installed: District) -> District:
    """Give an installed district, on each kind of database in turn."""
    return installed


def unbound(district: District, session: Session | None = None) -> set[Unbound]:
    """Return what the log does not vouch for."""
    key = district.hub.vault.row_key(DISTRICT)
    if session is not None:
        return set(unbound_rows(session, DISTRICT, key, [0]))
    with district.hub.database.reading() as reading:
        return set(unbound_rows(reading, DISTRICT, key, [0]))


def write(district: District, *statements: Any, stream: str = audit.OFFICE) -> None:
    """Execute statements in one transaction of the product, with an entry."""
    with district.hub.database.transaction() as session:
        for statement in statements:
            session.execute(statement)
        audit.append(session, DISTRICT, stream, "test.written", actor="operator", now=NOW)


@contextmanager
def outside(district: District) -> Iterator[Session]:
    """Open a connection of somebody who has the database's password; nothing of it stays. Nothing checks foreign keys."""
    free = {} if district.hub.database.is_sqlite else {"options": "-c session_replication_role=replica"}
    engine = create_engine(district.hub.settings.database_url, connect_args=free)
    try:
        with Session(engine) as session:
            yield session
            session.rollback()
    finally:
        engine.dispose()


# -- rows of every table --------------------------------------------------------------------------


class MadeUp:
    """Rows of every bound table, made from the types of their columns; each refers to the newest row of another table."""

    def __init__(self) -> None:
        self.numbers = count(1)
        self.newest: dict[str, dict[str, Any]] = {}

    def row(self, of: Table) -> dict[str, Any]:
        """Make a row, with every column filled."""
        row = {c.name: self.value(c) for c in of.columns}
        for constraint in of.foreign_key_constraints:
            known = self.newest.get(constraint.referred_table.name)
            if known is not None:
                row |= {e.parent.name: known[e.column.name] for e in constraint.elements}
        row["district"] = DISTRICT
        if of.name == "duplicate_pair":
            row["status"] = "linked"
        self.newest[of.name] = row
        return row

    def value(self, column: Any) -> Any:
        """Make a value that differs from every other of its kind, as far as the kind allows."""
        number = next(self.numbers)
        kind = type(column.type).__name__
        made: dict[str, Any] = {
            "Text": f"text {number}",
            "Uuid": f"01900000-0000-7000-8000-{number:012x}",
            "Integer": number,
            "BigInteger": number,
            "Boolean": True,
            "Moment": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
            "CalendarDay": date(2020, 1, 1) + timedelta(days=number),
            "LargeBinary": f"bytes {number}".encode(),
        }
        return made[kind]


def filled(district: District) -> dict[str, list[dict[str, Any]]]:
    """Write two rows of every bound table, nothing refers to the second; return them by table."""
    made: dict[str, list[dict[str, Any]]] = {}
    rows = MadeUp()
    for _ in range(2):
        for of in Base.metadata.sorted_tables:
            if of.name in REFERRED_TO and of.name not in rows.newest:
                rows.row(of)
            if of.name in BINDINGS and of.name != ONLY_ROW:
                made.setdefault(of.name, []).append(rows.row(of))
    for of in Base.metadata.sorted_tables:
        if of.name in REFERRED_TO:
            write(district, insert(of).values(rows.newest[of.name]))
        if of.name in made:
            write(district, insert(of).values(made[of.name][0]), insert(of).values(made[of.name][1]))
    made[ONLY_ROW] = [dict(district.rows(select(Base.metadata.tables[ONLY_ROW]))[0]._mapping)]
    return made


def where(of: Table, row: dict[str, Any]) -> Any:
    """Return the condition of being a row."""
    keys = of.primary_key.columns
    condition = keys[0] == row[keys[0].name]
    for key in keys[1:]:
        condition &= key == row[key.name]
    return condition


def test_every_column_has_what_vouches_for_it() -> None:
    words = {BOUND, DERIVED, MACED, CHAINED, EXEMPT}
    assert {vouched_by(t.name, c.name) for t in Base.metadata.sorted_tables for c in t.columns} <= words
    assert BINDINGS.keys().isdisjoint(ELSEWHERE)
    tables = {name for name in ELSEWHERE if "." not in name}
    assert BINDINGS.keys() | tables == Base.metadata.tables.keys()


def test_columns_named_apart_are_columns() -> None:
    for binding in BINDINGS.values():
        named = {*binding.by, *binding.apart, *binding.shown}
        assert named <= set(binding.table.columns.keys()), binding.table.name


def test_no_text_of_ours_writes_rows() -> None:
    texts = [path for path in SOURCES.rglob("*.py") if "migrations" not in path.parts]
    assert [path.name for path in texts if WRITING_TEXT.search(path.read_text("utf-8"))] == []


def test_changed_rows_are_named_column_by_column(district: District) -> None:
    made, values = filled(district), MadeUp()
    values.numbers = count(1_000_000)
    missed = []
    assert unbound(district) == set()
    with outside(district) as session:
        for name, rows in made.items():
            binding = BINDINGS[name]
            for column in sorted({*binding.counting} - {*binding.key}):
                new = _other(values.value(binding.table.c[column]), column in binding.shown)
                session.execute(
                    update(binding.table).where(where(binding.table, rows[0])).values({column: new})
                )
                found = unbound(district, session)
                if {(one.table, one.what) for one in found} != {(name, "changed")}:
                    missed.append((name, column, found))
                session.rollback()
    assert missed == []


def _other(value: Any, shown: bool) -> Any:
    """Return a value that differs from the one in the row: what is shown of a column is whether it is empty."""
    return None if shown else value is not True and value


def test_removed_rows_are_named(district: District) -> None:
    made = filled(district)
    missed = []
    with outside(district) as session:
        for name, rows in made.items():
            binding = BINDINGS[name]
            session.execute(delete(binding.table).where(where(binding.table, rows[-1])))
            found = {(one.table, one.what) for one in unbound(district, session)}
            if found != {(name, "changed" if binding.when else "removed")}:
                missed.append((name, found))
            session.rollback()
    assert missed == []


def test_added_rows_are_named(district: District) -> None:
    made, values = filled(district), MadeUp()
    values.numbers = count(1_000_000)
    missed = []
    with outside(district) as session:
        for name, rows in made.items():
            binding = BINDINGS[name]
            if name == ONLY_ROW:
                continue
            row = {**rows[1], **{column: values.value(binding.table.c[column]) for column in binding.key}}
            session.execute(insert(binding.table).values(row))
            found = {(one.table, one.what) for one in unbound(district, session)}
            if found not in ({(name, "added")}, {(name, "changed")}):
                missed.append((name, found))
            session.rollback()
    assert missed == []


# -- orders, keys and erasures --------------------------------------------------------------------


def account_rows(district: District) -> tuple[Any, dict[str, Any]]:
    """Write an account; return its condition and the row."""
    row = MadeUp().row(table(Account))
    write(district, insert(table(Account)).values(row))
    return where(table(Account), row), row


def test_newest_digest_counts_whatever_stream_and_clock_say(district: District) -> None:
    is_it, row = account_rows(district)
    with district.hub.database.transaction() as session:
        session.execute(update(table(Account)).where(is_it).values(disabled_at=NOW))
        earlier = NOW - timedelta(days=9)
        stream = audit.post_stream(district.posts[0])
        audit.append(session, DISTRICT, stream, "test.disabled", actor="operator", now=earlier)
    assert unbound(district) == set()
    with outside(district) as session:
        session.execute(update(table(Account)).where(is_it).values(disabled_at=row["disabled_at"]))
        assert unbound(district, session) == {Unbound("account", row["id"], "changed")}


def test_two_who_write_at_once_are_bound_in_the_order_of_their_commits(district: District) -> None:
    is_it, _ = account_rows(district)
    batch = [change_of_a_batch(number) for number in (1, 2)]
    write(district, *(insert(table(ChangeRow)).values(row) for row in batch))
    begun = Event()

    def second() -> None:
        begun.set()
        with district.hub.database.transaction() as session:
            write_both(session, district.posts[1], batch[1], "second")

    with ThreadPoolExecutor(1) as threads:
        with district.hub.database.transaction() as session:
            write_both(session, district.posts[0], batch[0], "first")
            waiting = threads.submit(second)
            begun.wait(30)
        waiting.result(30)
    assert district.rows(select(Account.role).where(is_it)) == [("second",)]
    assert unbound(district) == set()


def change_of_a_batch(number: int) -> dict[str, Any]:
    """Make one of several changes of a batch."""
    ids = {
        "actor": "01900000-0000-7000-8000-00000000aaaa",
        "batch_id": "01900000-0000-7000-8000-00000000bbbb",
    }
    return {**MadeUp().row(table(ChangeRow)), **ids, "counter": number}


def write_both(session: Session, post: str, change: dict[str, Any], word: str) -> None:
    """Change the account that both want, and one change of the batch that both share; log it at a post."""
    session.execute(update(table(Account)).values(role=word))
    session.execute(update(table(ChangeRow)).where(where(table(ChangeRow), change)).values(reasons=word))
    audit.append(session, DISTRICT, audit.post_stream(post), "test.written", actor="operator", now=NOW)


def test_reverted_row_is_named_when_the_counter_of_orders_was_set_back(district: District) -> None:
    is_it, row = account_rows(district)
    engine = create_engine(district.hub.settings.database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE audit_stream SET bound = 0"))
    write(district, update(table(Account)).where(is_it).values(disabled_at=NOW))
    with engine.begin() as connection:
        connection.execute(update(table(Account)).where(is_it).values(disabled_at=row["disabled_at"]))
    engine.dispose()
    assert Unbound("audit_stream", "office", "out of order") in unbound(district)


def test_digest_copied_into_another_entry_does_not_count(district: District) -> None:
    is_it, row = account_rows(district)
    write(district, update(table(Account)).where(is_it).values(role="supervisor"))
    with district.hub.database.transaction() as session:  # as somebody without the key would
        c = Base.metadata.tables["audit_entry"].c
        told = session.scalars(select(c.details).where(c.action == "test.written").order_by(c.number)).first()
        details = json.loads(str(told))
        details["bound"]["order"] = 10**6
        audit.append(
            session, DISTRICT, audit.OFFICE, "test.forged", actor="operator", now=NOW, details=details
        )
    with outside(district) as session:
        session.execute(update(table(Account)).where(is_it).values(role=row["role"]))
        assert Unbound("account", row["id"], "changed") in unbound(district, session)


def test_fake_erasure_is_named(district: District) -> None:
    made = filled(district)
    child = made["child"][1]["id"]
    write(district, update(table(Child)).where(Child.id == child).values(restricted_at=None))
    assert unbound(district) == set()
    with outside(district) as session:
        session.execute(update(table(Child)).where(Child.id == child).values(wrapped_key=None, state=None))
        assert unbound(district, session) == {Unbound("child", child, "changed")}


def test_usual_state_of_a_child_costs_no_digest(district: District) -> None:
    made = filled(district)
    child, before = made["child"][1]["id"], digests(district)
    write(district, update(table(Child)).where(Child.id == child).values(restricted_at=None))
    write(district, update(table(Child)).where(Child.id == child).values(wrapped_key=b"again"))
    assert digests(district) == before + 1  # of the restriction that was lifted


def test_write_of_what_does_not_count_costs_no_digest(district: District) -> None:
    is_it, _ = account_rows(district)
    before = digests(district)
    write(district, update(table(Account)).where(is_it).values(totp_step=3))
    assert digests(district) == before


def test_values_that_the_database_computes_are_bound_as_it_computed_them(district: District) -> None:
    row = MadeUp().row(table(Account))
    write(district, insert(table(Account)).values({**row, "role": func.lower("STAFF")}))
    write(district, update(table(Account)).values(role=func.upper(Account.role)))
    assert unbound(district) == set()


def test_statement_that_cannot_be_followed_is_refused(district: District) -> None:
    rows = select(*table(Account).columns)
    with pytest.raises(UnboundWrite):
        write(district, insert(table(Account)).from_select(table(Account).columns.keys(), rows))
    with pytest.raises(UnboundWrite):
        write(district, update(table(Username)).values(account_id="01900000-0000-7000-8000-000000000001"))


def test_rows_of_a_district_without_an_entry_are_refused(district: District) -> None:
    row = {**MadeUp().row(table(Account)), "district": "64.03"}
    with pytest.raises(UnauditedWrite):
        write(district, insert(table(Account)).values(row))


def digests(district: District) -> int:
    """Count the entries that hold digests."""
    c = Base.metadata.tables["audit_entry"].c
    return len(district.rows(select(c.number).where(c.details.contains('"bound":'))))


# -- adoption -------------------------------------------------------------------------------------


def as_of_an_older_release(district: District) -> None:
    """Take the digests out of the log, as if it had been written by a release without them."""
    with district.hub.database.transaction() as session:
        session.execute(text("DELETE FROM audit_entry"))
        session.execute(text("DELETE FROM audit_stream"))
        audit.append(session, DISTRICT, audit.OFFICE, "district.installed", actor="operator", now=NOW)


def test_rows_of_an_older_release_are_adopted_once(district: District) -> None:
    made = filled(district)
    as_of_an_older_release(district)
    assert unbound(district) == set()  # nothing is bound, so nothing is missed
    taken = adoption.adopt(district.hub.database, DISTRICT, actor="operator", now=lambda: NOW)
    assert taken == len(BINDINGS)
    assert unbound(district) == set()
    with district.hub.database.transaction() as session:
        session.execute(
            text("UPDATE region SET name = 'Tempat lain' WHERE code = :code"),
            {"code": made["region"][0]["code"]},
        )
        audit.append(session, DISTRICT, audit.OFFICE, "test.written", actor="operator", now=NOW)
    assert adoption.adopt(district.hub.database, DISTRICT, actor="operator", now=lambda: NOW) == 0
    assert unbound(district) == {Unbound("region", made["region"][0]["code"], "changed")}


def test_adoption_goes_on_in_pieces(district: District, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(district)
    as_of_an_older_release(district)
    monkeypatch.setattr(adoption, "CHUNK", 7)
    adoption.adopt(district.hub.database, DISTRICT, actor="operator", now=lambda: NOW)
    regions = len(district.rows(select(Region.code)))
    entries = [row for row in district.actions("office") if row == adoption.ADOPTED]
    assert len(entries) >= len(BINDINGS) + regions // 7
    assert unbound(district) == set()


def test_backup_of_an_older_release_is_adopted_when_it_is_restored(
    databases: Databases, district: District, tmp_path: Path
) -> None:
    tablet = district.tablet()
    tablet.measure(tablet.register_child(), weight_g=9000)
    tablet.sync_until_quiet()
    as_of_an_older_release(district)
    file, told = tmp_path / "older.backup", dict[str, Any](now=NOW, progress=lambda *_: None)
    backup(district.hub, file, force=False, **told)
    (tmp_path / "new").mkdir()
    elsewhere = replace(district.hub.settings, data_dir=tmp_path / "new", database_url=databases.empty())
    restore(elsewhere, file, plain=False, agreed=lambda _: True, **told)
    hub = AppContext.open(elsewhere)
    with hub.database.reading() as session:
        assert adoption.adopted(session, DISTRICT) == BINDINGS.keys()
        assert list(unbound_rows(session, DISTRICT, hub.vault.row_key(DISTRICT), [0])) == []
    hub.database.dispose()
    databases.drop(elsewhere.database_url)


def test_restore_without_keys_is_vouched_for_once_they_are_back(
    databases: Databases, district: District, tmp_path: Path
) -> None:
    district.enrol(SigningKey())
    file, told = tmp_path / "kept.backup", dict[str, Any](now=NOW, progress=lambda *_: None)
    backup(district.hub, file, force=False, **told)
    plain = tmp_path / "plain.zip"
    plain.write_bytes(unsealed(district.hub.settings, file))
    (tmp_path / "new").mkdir()
    keys = tmp_path / "new" / "keys.json"
    elsewhere = replace(
        district.hub.settings, data_dir=tmp_path / "new", database_url=databases.empty(), key_file=keys
    )
    assert restore(elsewhere, plain, plain=True, agreed=lambda _: True, **told).keys_missing
    keys.write_bytes(district.hub.settings.key_file.read_bytes())
    hub = AppContext.open(elsewhere)
    with hub.database.reading() as session:
        assert list(unbound_rows(session, DISTRICT, hub.vault.row_key(DISTRICT), [0])) == []
    hub.database.dispose()
    databases.drop(elsewhere.database_url)
