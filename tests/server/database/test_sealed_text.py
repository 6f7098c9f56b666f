"""The sealing of typed text (0023), on a database of the schema before it with data in the clear, and of its backups."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from alembic import command
from sqlalchemy import select, text

from server.aid import sheets
from server.aid.typed_text import TextReader, evidence_of, headers_of
from server.backup import backup, restore
from server.children import ledger
from server.context import AppContext
from server.database import migrations
from server.database.models import AidActivity, Base, Batch, ChangeRow, CsrSheet, Donor, table
from server.operations.serve import prepare
from server.privacy import sealed_columns
from server.review import saved_views
from tests.server._district import Databases, District, behind_its_back, identity
from tests.server._people import add_person
from tests.server.aid._commitments import donor_of
from tests.server.privacy._planted import everything

BEFORE = "0022"
TITLE, EVIDENCE, FILE, HEADER, VIEW = (
    "Judul Lama",
    "Bukti Lama",
    "Berkas Lama.csv",
    "Kolom Lama",
    "Saringan Lama",
)
TYPED = (TITLE, EVIDENCE, FILE, HEADER, VIEW)
PASSWORD = "kuda laut menari di karang"
WRONG = "2052-11-29"


class Old:
    """A district as the release before left it."""

    def __init__(self, district: District) -> None:
        self.district = district
        tablet = district.tablet()
        self.child = tablet.register_child(identity=identity(born_on=WRONG))
        self.message = tablet.next_message()
        self.answer = orjson.loads(tablet.send_raw(self.message))["receipt"]
        assert self.answer["items"][0][1] == "quarantined"
        self.tablet = tablet
        hub, now = district.hub, district.clock.now
        self.account = add_person(
            *(hub, "petugas.contoh", "Petugas Contoh", "staff", "district", hub.district, PASSWORD, now)
        )
        donor = donor_of(district)
        with hub.database.transaction() as session:
            sheet = f"{HEADER};Desa;Tanggal\n{TITLE};Jahab;1/3/2026\n".encode()
            brought = {"name": FILE, "reported_to": "regency", "donor_id": donor}
            sheet_id = sheets.bring(session, hub, sheet, **brought, author="operator", now=now)
            found = session.get_one(CsrSheet, (hub.district, sheet_id))
            chosen = {"title": HEADER, "village": "Desa", "starts": "Tanggal"}
            sheets.take(session, hub, found, chosen, author="operator", now=now)
            saved_views.keep(session, hub, self.account, VIEW, "petugas=saya", now)
        self._go_back()

    def _go_back(self) -> None:
        """Give the schema before, and its data as that release wrote them."""
        hub = self.district.hub
        (row,) = self.district.rows(
            select(*(table(ChangeRow).c[n] for n in ("hash", "content", "sealed", "reasons", "counter")))
        )
        wire = ledger.quarantined_change(hub.district, row, hub.vault)
        reasons = ledger.quarantine_reasons(hub.district, row, hub.vault)
        content = hub.vault.seal_for_district(orjson.dumps(wire), ledger.bound_to(hub.district, row.hash))
        hub.database.dispose()
        command.downgrade(migrations._config(hub.settings.database_url), BEFORE)
        old = (
            ("UPDATE change SET content = :content, reasons = :reasons",),
            ("UPDATE batch SET receipt = :receipt",),
            ("UPDATE aid_activity SET title = :title, evidence = :evidence",),
            ("UPDATE csr_sheet SET name = :file",),
            ("UPDATE donor SET columns = :columns",),
            ("UPDATE saved_view SET name = :view, query = 'petugas=saya'",),
        )
        given = {
            **{
                "content": content,
                "reasons": orjson.dumps(reasons).decode(),
                "receipt": orjson.dumps(self.answer),
            },
            **{"title": TITLE, "evidence": EVIDENCE, "file": FILE, "view": VIEW},
            "columns": orjson.dumps({"title": HEADER}).decode(),
        }
        with behind_its_back(self.district) as connection:
            for (statement,) in old:
                names = {name for name in given if f":{name}" in statement}
                connection.execute(text(statement), {name: given[name] for name in names})

    def is_whole(self, district: District) -> None:
        """Assert that everything is there, and nothing in the clear."""
        hub = district.hub
        with hub.database.reading() as session:
            (row,) = session.scalars(select(AidActivity))
            (sheet,) = session.scalars(select(CsrSheet))
            (donor,) = session.scalars(select(Donor))
            reader = TextReader(hub, "operator", names=False)
            told = reader.title(row), evidence_of(hub, row), reader.name(sheet)
            assert told == (TITLE, EVIDENCE, FILE)
            assert headers_of(hub, donor) == {"title": HEADER}
            assert [(v.name, v.query) for v in saved_views.views(session, hub, self.account)] == [
                (VIEW, "petugas=saya")
            ]
        found = {
            p for p, value in everything(hub.database.engine) for word in TYPED if word.encode() in value
        }
        assert found == set()
        (stored,) = district.rows(select(ChangeRow.reasons))
        assert WRONG not in stored.reasons
        (kept,) = district.rows(select(Batch.receipt))
        assert WRONG.encode() not in kept.receipt
        assert district.broken_log() == []


@pytest.fixture
def old(installed: District) -> Old:
    return Old(installed)


def test_what_stood_in_the_clear_is_sealed_when_the_installation_is_served(old: Old) -> None:
    old.district.hub = prepare(old.district.hub.settings)
    old.is_whole(old.district)
    again = orjson.loads(old.tablet.send_raw(old.message))["receipt"]
    assert again == old.answer
    assert sealed_columns.seal_all(old.district.hub, old.district.clock.now) == {}


def test_way_back_and_forth_changes_nothing(old: Old) -> None:
    old.district.hub = prepare(old.district.hub.settings)
    before = contents(old.district)
    old.district.hub.database.dispose()
    command.downgrade(migrations._config(old.district.hub.settings.database_url), BEFORE)
    migrations.migrate(old.district.hub.settings.database_url)
    assert contents(old.district) == before


def contents(district: District) -> dict[str, list[Any]]:
    """Give all rows of the tables that the migration changes."""
    names = ("aid_activity", "csr_sheet", "donor", "saved_view", "batch", "change")
    tables = Base.metadata.tables
    return {name: sorted(map(tuple, district.rows(tables[name].select())), key=repr) for name in names}


def test_backup_of_the_release_before_is_sealed_when_it_is_restored(
    old: Old, databases: Databases, tmp_path: Path
) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    hub = AppContext.open(replace(old.district.hub.settings, data_dir=tmp_path / "old"))
    file, now = tmp_path / "old.backup", datetime.now(UTC)
    backup(hub, file, force=False, now=now, progress=lambda *_: None)
    hub.database.dispose()
    elsewhere = replace(hub.settings, data_dir=tmp_path / "new", database_url=databases.empty())
    restore(elsewhere, file, plain=False, now=now, agreed=lambda _: True, progress=lambda *_: None)
    old.district.hub = AppContext.open(elsewhere)
    old.is_whole(old.district)
    old.district.hub.database.dispose()
    databases.drop(elsewhere.database_url)
