"""Administrators and supervisors see on their pages when backups fail, grow old or cannot be restored, and what to do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from server import audit
from server.app import create_app
from server.backup import BackupRefused
from server.database.models import Installation, table
from server.operations import jobs
from tests.server._district import DISTRICT
from tests.server.web._clinic import Clinic, sign_in

LONG_AGO = "01900000-0000-7000-8000-000000000000"
"""An incarnation of 2024."""


def reader(clinic: Clinic, role: str) -> FlaskClient:
    client = create_app(clinic.district.hub.settings, clinic.district.hub).test_client()
    sign_in(client, clinic.person(role, "district", DISTRICT))
    return client


def log(clinic: Clinic, action: str, days_ago: float) -> None:
    """Enter something into the log of the office as it happened some days ago."""
    at = datetime.now(UTC) - timedelta(days=days_ago)
    with clinic.district.hub.database.transaction() as session:
        audit.append(session, DISTRICT, audit.OFFICE, action, actor="operator", now=at)


@pytest.fixture
def old(clinic: Clinic) -> Clinic:
    """Give an installation that is no longer new."""
    values = {"incarnation": LONG_AGO, "created_at": datetime(2024, 6, 23, tzinfo=UTC)}
    with clinic.district.hub.database.transaction() as session:
        session.execute(update(table(Installation)).values(**values))
        audit.append(session, DISTRICT, audit.OFFICE, "test", actor="operator", now=datetime.now(UTC))
    return clinic


@pytest.mark.parametrize(("role", "path"), [("administrator", "/orang"), ("supervisor", "/audit")])
def test_failed_backup_is_told_until_one_was_made(
    clinic: Clinic, tmp_path: Path, role: str, path: str
) -> None:
    client, hub = reader(clinic, role), clinic.district.hub
    assert "Belum ada cadangan" in client.get(path).text
    there = tmp_path / "cadangan"
    placed = replace(hub, settings=replace(hub.settings, backup_dir=there))
    for task in (jobs.back_up, jobs.prove_backup):
        with pytest.raises(BackupRefused):  # the disk is not mounted
            task(placed, datetime.now(UTC))
    told = client.get(path).text
    assert "Pencadangan otomatis gagal" in told
    assert "tidak dapat dipulihkan utuh" in told
    assert "posyandu-sync doctor" in told
    there.mkdir()
    jobs.back_up(placed, datetime.now(UTC))
    told = client.get(path).text
    assert "Pencadangan otomatis gagal" not in told
    assert "posyandu-sync restore FILE --trial" in told
    jobs.prove_backup(placed, datetime.now(UTC))
    assert 'class="alert"' not in client.get(path).text
    assert "Terakhir terbukti dapat dipulihkan" in client.get(path).text


def test_backup_that_is_too_old_or_never_was_is_told_in_both_languages(old: Clinic) -> None:
    client = reader(old, "administrator")
    assert "Belum pernah ada cadangan" in client.get("/orang").text
    log(old, "backup.made", 3)
    log(old, "backup.proven", 36)
    told = client.get("/orang").text
    assert "Cadangan terbaru sudah terlalu lama" in told
    assert "tidak ada cadangan yang terbukti dapat dipulihkan" in told
    client.get("/bahasa/en?next=/orang")
    told = client.get("/orang").text
    assert "The newest backup is too old" in told
    assert "Tell whoever runs the server today" in told
    log(old, "backup.made", 1)
    log(old, "backup.proven", 34)
    assert "The data is not safe" not in client.get("/orang").text


def test_staff_who_can_do_nothing_about_it_are_not_alarmed(old: Clinic) -> None:
    client = reader(old, "staff")
    for path in ("/antrean", "/pos", "/tablet"):
        assert "Data belum aman" not in client.get(path).text
