"""Pages and API of the formats of others: a file is looked at, applied step by step, decided about; data are taken away."""

import csv
import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from server import audit
from server.database.models import Child, ImportRun, table
from server.interchange import import_chunks, uploads
from server.interchange.export_formats import FORMS
from server.interchange.sigizi import EXPORT
from tests.server._district import DISTRICT
from tests.server.interchange._files import html, row, xlsx
from tests.server.web._clinic import Clinic, csrf_token, sign_in

ROOT = Path(__file__).resolve().parents[3]
DIRTY = [
    row(),
    row(NIK="", Nama="Anak Koma", Nama_Ortu="- / Ibu Koma", Berat="9,25", ZS_BB_U="-2,9", BB_U="Kurang"),
    row(NIK="", Nama="Anak Jam", Berat="09:30"),
    row(NIK="", Nama="Anak Hilang", Posyandu="Posyandu Hilang"),
    row(No="5", Berat="8.8"),
]
WHOLE_MONTH = {"dari": "2026-03-01", "sampai": "2026-03-31"}


@pytest.fixture
def office(clinic: Clinic, client: FlaskClient) -> FlaskClient:
    """Give a browser of somebody who may decide for the whole district."""
    sign_in(client, clinic.person("staff", "district", DISTRICT))
    return client


def post(client: FlaskClient, path: str, **form: Any) -> TestResponse:
    """Send a form."""
    return client.post(path, data={"csrf_token": csrf_token(client, "/pertukaran"), **form})


def ask(client: FlaskClient, path: str, body: Any = None, *, content: bytes | None = None) -> TestResponse:
    """Ask the API."""
    token = client.get("/api/v1/session").get_json()["csrf_token"]
    given = {"data": content} if content is not None else {"json": body or {}}
    return client.post(f"/api/v1{path}", headers={"X-CSRFToken": token}, **given)


def brought(client: FlaskClient, content: bytes, name: str = "balita.xlsx", **form: str) -> str:
    """Bring a file; give the address of its page."""
    answer = post(client, "/pertukaran/unggah", berkas=(io.BytesIO(content), name), **form)
    assert answer.status_code == 302, answer.text
    return str(answer.location)


def children(clinic: Clinic) -> int:
    with clinic.district.hub.database.reading() as session:
        return int(session.scalar(select(func.count()).select_from(table(Child))) or 0)


def noted(clinic: Clinic, session: Session) -> None:
    """Log something: no write is without an entry."""
    now = clinic.district.clock.now
    audit.append(session, DISTRICT, audit.OFFICE, "uji", actor="operator", now=now)


def test_file_is_looked_at_and_nothing_is_stored(clinic: Clinic, office: FlaskClient) -> None:
    page = office.get(brought(office, html(DIRTY), "balita.xls")).text
    assert "Inilah yang akan terjadi. Belum ada yang disimpan." in page
    assert "baris 5" in page
    assert "<b>Berat</b>: “09:30”" in page
    assert "Excel mengubah angka menjadi jam" in page
    assert "Posyandu Hilang, JAHAB" in page
    assert "Skor-z berkas dan hitungan di sini" in page
    assert "Anak Koma" not in page  # no name is needed to say what is wrong
    assert children(clinic) == 0


def test_file_that_was_brought_lies_in_no_file_afterwards(clinic: Clinic, office: FlaskClient) -> None:
    """Nothing that was sent is put where anything is served from, or run: it is in the database, sealed."""
    settings = clinic.district.hub.settings
    places = (ROOT / "server", ROOT / "schemas", settings.data_dir)

    def files() -> set[Path]:
        there = {path for place in places for path in place.rglob("*") if path.is_file()}
        return {path for path in there if path.suffix not in (".pyc", ".db") and "posyandu" not in path.name}

    before = files()
    marked = [row(Nama="<script>Anak Titipan</script>")]
    assert office.get(brought(office, html(marked), "../../static/jahat.html")).status_code == 200
    assert {path for path in files() - before if b"Anak Titipan" in path.read_bytes()} == set()
    assert [path for path in files() - before if ROOT in path.parents or "jahat" in path.name] == []


def test_applied_file_tells_what_became_of_its_rows_also_as_a_file(
    clinic: Clinic, office: FlaskClient
) -> None:
    address = brought(office, xlsx(DIRTY))
    assert post(office, address, tindakan="terapkan").location.endswith(address)
    page = office.get(address).text
    assert "Diterapkan" in page
    assert "1 baris menunggu keputusan" in page
    assert children(clinic) == 2
    lines = list(csv.DictReader(io.StringIO(office.get(f"{address}/baris.csv").text.removeprefix("\ufeff"))))
    assert {(line["row"], line["column"], line["rule"]) for line in lines} >= {
        ("7", "Berat", "excel-time"),
        ("8", "Posyandu", "post-unknown"),
    }
    assert "di berkas −2,90, di sini" in office.get(f"{address}?tampil=score-differs").text
    assert office.get(f"{address}?tampil=new").text.count("anaknya</a>") == 2
    assert clinic.district.broken_log() == []


def test_file_is_taken_in_steps_and_goes_on_where_it_stopped(
    clinic: Clinic, office: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_chunks, "CHUNK_ROWS", 2)
    monkeypatch.setattr(uploads, "STEP_SECONDS", 0.0)
    many = [row(NIK="", Nama=f"Anak Nomor {n:02d}", Nama_Ortu=f"- / Ibu {n:02d}") for n in range(5)]
    address = brought(office, xlsx(many))
    first = post(office, address, tindakan="terapkan")
    assert first.location.endswith("?lanjut=1")
    page = office.get(first.location).text
    assert "2 dari 5 baris selesai" in page
    assert "interchange.js" in page
    assert "interchange.js" not in office.get(address).text  # who only looks sets nothing going
    assert children(clinic) == 2
    assert post(office, address, tindakan="terapkan").location.endswith("?lanjut=1")
    assert not post(office, address, tindakan="terapkan").location.endswith("?lanjut=1")
    assert "Diterapkan" in office.get(address).text
    assert children(clinic) == 5
    assert post(office, address, tindakan="terapkan").status_code == 409


def test_file_that_was_thrown_away_is_gone(clinic: Clinic, office: FlaskClient) -> None:
    address = brought(office, xlsx(DIRTY))
    assert post(office, address, tindakan="buang").status_code == 302
    assert "Dibuang" in office.get(address).text
    assert post(office, address, tindakan="terapkan").status_code == 409
    assert post(office, address, tindakan="lihat").status_code == 409
    assert post(office, address, tindakan="apa").status_code == 400
    (kept,) = clinic.district.rows(select(ImportRun.sealed))
    assert kept.sealed is None
    assert children(clinic) == 0


def test_file_that_nobody_applied_is_thrown_away_after_a_month(clinic: Clinic, office: FlaskClient) -> None:
    forgotten = brought(office, xlsx(DIRTY))
    with clinic.district.hub.database.transaction() as session:
        old = datetime.now(UTC) - timedelta(days=uploads.KEPT_DAYS + 1)
        session.execute(update(table(ImportRun)).values(started_at=old))
        noted(clinic, session)
    brought(office, xlsx(DIRTY[:1]))
    assert "Dibuang" in office.get(forgotten).text


def test_file_is_looked_at_again_after_posts_were_added(clinic: Clinic, office: FlaskClient) -> None:
    address = brought(office, xlsx(DIRTY))
    other = brought(office, xlsx(DIRTY[3:4]), tambah_pos="ya")
    post(office, other, tindakan="terapkan")
    assert "Posyandu yang belum ada di sini" in office.get(address).text
    post(office, address, tindakan="lihat")
    assert "Posyandu yang belum ada di sini" not in office.get(address).text


def test_what_is_no_sheet_is_told_on_the_page(office: FlaskClient) -> None:
    answer = post(office, "/pertukaran/unggah", berkas=(io.BytesIO(b"%PDF-1.7 bukan lembar"), "a.pdf"))
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert post(office, "/pertukaran/unggah").status_code == 422


def test_rows_of_other_posts_are_refused_to_who_is_not_in_charge_there(
    clinic: Clinic, client: FlaskClient
) -> None:
    sign_in(client, clinic.person("staff", "post", clinic.district.posts[1]))
    address = brought(client, xlsx(DIRTY[:1]), tambah_pos="ya")
    assert "di luar wilayah Anda" in client.get(address).text
    post(client, address, tindakan="terapkan")
    assert children(clinic) == 0
    sign_in(client, clinic.person("staff", "post", clinic.district.posts[0]))
    assert client.get(address).status_code == 404
    post_id = clinic.district.posts[1]
    stranger = post(client, "/pertukaran/unggah", berkas=(io.BytesIO(xlsx(DIRTY)), "a.xlsx"), pos=post_id)
    assert stranger.status_code == 404


def test_values_that_differ_stand_side_by_side_and_a_person_decides(
    clinic: Clinic, office: FlaskClient
) -> None:
    address = brought(office, xlsx([DIRTY[0], DIRTY[4]]))
    post(office, address, tindakan="terapkan")
    page = office.get("/pertukaran/baris?pertanyaan=values-differ").text
    assert "<b>8,80 kg</b>" in page
    assert "<b>9,60 kg</b>" in page
    assert "Bapak Contoh / Ibu Contoh" in page
    assert "6402061001250001" not in page
    (found,) = office.get("/api/v1/import-cases").get_json()["cases"]
    assert found["differences"] == [{"field": "weight_g", "theirs": 8800, "ours": [9600]}]
    answer = post(office, f"/pertukaran/baris/{found['id']}?pertanyaan=values-differ", jawaban="theirs")
    assert "hasil=filled" in answer.location
    assert "Tersimpan" in office.get(answer.location).text
    again = post(office, f"/pertukaran/baris/{found['id']}", jawaban="theirs")
    assert (again.status_code, "sudah diputuskan" in again.text) == (409, True)
    assert "import-cases.viewed" in clinic.district.actions("office")


def test_child_that_is_alike_is_shown_with_what_speaks_for_it(clinic: Clinic, office: FlaskClient) -> None:
    child = clinic.child("Anak Mirip Contoh", parents={"mother": "Ibu Sini", "father": None, "phone": None})
    alike = row(NIK="", Nama="Anak Mirip Contoh", Nama_Ortu="-", Tanggal_Pengukuran="2026-03-06")
    address = brought(office, xlsx([alike]))
    post(office, address, tindakan="terapkan")
    page = office.get("/pertukaran/baris").text
    assert "Ini anaknya" in page
    assert "- / Ibu Sini" in page
    (found,) = office.get("/api/v1/import-cases").get_json()["cases"]
    wrong = ask(office, f"/import-cases/{found['id']}/decide", {"decision": "child"})
    assert (wrong.status_code, wrong.get_json()["code"]) == (400, "request-malformed")
    right = ask(office, f"/import-cases/{found['id']}/decide", {"decision": "child", "child": child})
    assert right.get_json()["outcome"] == "added"
    assert office.get("/api/v1/import-cases?status=decided").get_json()["total"] == 1


def test_removed_child_that_comes_again_is_asked_about_and_becomes_another_record(
    clinic: Clinic, office: FlaskClient
) -> None:
    address = brought(office, xlsx([row(NIK="")]))
    post(office, address, tindakan="terapkan")
    (child,) = clinic.district.rows(select(Child.id))
    clinic.first.sync_until_quiet()
    clinic.first.edit_child(child.id, removed={"reason": "moved"})
    clinic.first.sync_until_quiet()
    for expected in ("ask", "unchanged"):
        again = brought(office, xlsx([row(NIK="")]))
        post(office, again, tindakan="terapkan")
        found = office.get(
            f"/api/v1{again.removeprefix('/pertukaran').replace('berkas', 'imports')}?rows=all"
        )
        assert [account["outcome"] for account in found.get_json()["rows"]] == [expected]
        if expected == "ask":
            (waiting,) = office.get("/api/v1/import-cases").get_json()["cases"]
            assert waiting["question"] == "removed"
            new = ask(office, f"/import-cases/{waiting['id']}/decide", {"decision": "new"})
            assert new.get_json()["outcome"] == "new"
    assert children(clinic) == 2


def test_api_brings_looks_applies_and_lists(clinic: Clinic, office: FlaskClient) -> None:
    told = ask(office, "/imports", content=xlsx(DIRTY)).get_json()
    assert told["foreseen"]["outcomes"]["refused"] == 2
    assert [account["row"] for account in told["rows"]] == [7, 8, 9]
    run_id = told["run"]["id"]
    every = office.get(f"/api/v1/imports/{run_id}?rows=all&limit=2&offset=2").get_json()
    assert (every["total"], [account["row"] for account in every["rows"]]) == (5, [7, 8])
    assert ask(office, f"/imports/{run_id}/look").status_code == 200
    done = ask(office, f"/imports/{run_id}/apply").get_json()
    assert (done["rows_done"], done["rows"], done["outcomes"]["new"]) == (5, 5, 2)
    (run,) = office.get("/api/v1/imports").get_json()["imports"]
    assert (run["id"], run["state"], run["rows_done"]) == (run_id, "done", 5)
    assert ask(office, f"/imports/{run_id}/discard").status_code == 409
    assert ask(office, "/imports", content=b"x" * (uploads.PAGE_LIMITS.bytes + 1)).status_code == 413
    assert children(clinic) == 2


# -- what leaves ----------------------------------------------------------------------------------


@pytest.fixture
def full(clinic: Clinic, office: FlaskClient) -> FlaskClient:
    """Give a browser at a district with what a file brought, with a name that a spreadsheet would run."""
    brought_rows = [
        row(),
        row(NIK="", Nama="=1+1 Anak Rumus", Nama_Ortu="- / @Ibu Rumus", Posyandu="Anggrek 2"),
    ]
    run = ask(office, "/imports", content=xlsx(brought_rows)).get_json()["run"]["id"]
    assert ask(office, f"/imports/{run}/apply").get_json()["outcomes"]["new"] == 2
    return office


@pytest.mark.parametrize("form", FORMS)
def test_every_form_leaves_as_a_file_and_is_logged(clinic: Clinic, full: FlaskClient, form: str) -> None:
    answer = post(full, "/pertukaran/ekspor", bentuk=form, **WHOLE_MONTH)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Disposition"].startswith(f'attachment; filename="posyandu-{form}-2026-03.')
    assert answer.headers["Cache-Control"] == "no-store"
    if form.startswith("sigizi"):
        assert "xl/worksheets/sheet1.xml" in zipfile.ZipFile(io.BytesIO(answer.data)).namelist()
    if form == "fhir":
        Bundle.model_validate(json.loads(answer.data))
    assert (form == "codebook") != ("data.exported" in clinic.district.actions("office"))


def exported(client: FlaskClient, **form: str) -> list[dict[str, str]]:
    """Take Sigizi's export as CSV; give its rows by heading."""
    asked = {"bentuk": "sigizi-export", "jenis": "csv", **WHOLE_MONTH, **form}
    text = post(client, "/pertukaran/ekspor", **asked).data.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_export_has_their_headings_and_runs_no_formula(full: FlaskClient) -> None:
    found = exported(full)
    assert list(found[0]) == list(EXPORT)
    assert {line["Nama"] for line in found} == {"Anak Contoh Satu", "'=1+1 Anak Rumus"}
    assert {line["NIK"] for line in found} == {"640206**********", "-"}


def test_export_is_of_the_days_the_area_and_the_names_that_were_asked_for(
    clinic: Clinic, full: FlaskClient
) -> None:
    assert exported(full, sampai="2026-03-04") == []
    second = clinic.district.posts[1]
    assert [line["Posyandu"] for line in exported(full, wilayah=f"post:{second}")] == ["Anggrek 2"]
    assert len(exported(full, wilayah="subdistrict:64.02.06")) == 2
    assert exported(full, wilayah="village:64.02.01.2001") == []
    assert {line["Nama"] for line in exported(full, tanpa_nama="ya")} == {"-"}
    assert "6402061001250001" in {line["NIK"] for line in exported(full, nik="ya")}
    sign_in(full, clinic.person("staff", "post", second))
    assert [line["Posyandu"] for line in exported(full)] == ["Anggrek 2"]
    assert exported(full, wilayah=f"post:{clinic.district.posts[0]}") == []


def test_export_that_cannot_be_is_told_on_the_page(full: FlaskClient) -> None:
    for wrong in ({"bentuk": "apa"}, {"dari": "2026-02-30"}, {"sampai": "2026-02-01"}):
        asked = {"bentuk": "csv", **WHOLE_MONTH, **wrong}
        answer = post(full, "/pertukaran/ekspor", **asked)
        assert answer.status_code in (400, 422), wrong
        assert 'role="alert"' in answer.text


def test_child_whose_key_was_destroyed_breaks_no_export(clinic: Clinic, full: FlaskClient) -> None:
    gone = clinic.district.posts[0]
    with clinic.district.hub.database.transaction() as session:
        session.execute(update(table(Child)).where(Child.post_id == gone).values(wrapped_key=None))
        noted(clinic, session)
    for form in FORMS:
        asked = ask(full, "/exports", {"form": form, "first": "2026-03-01", "last": "2026-03-31"})
        assert asked.status_code == 200, form
    assert [line["Posyandu"] for line in exported(full)] == ["Anggrek 2"]


def test_api_export_refuses_what_is_malformed(full: FlaskClient) -> None:
    assert ask(full, "/exports", {"form": "csv"}).status_code == 400
    days = {"first": "2026-03-01", "last": "2026-03-31"}
    assert ask(full, "/exports", {"form": "csv", "area": "x", **days}).status_code == 400
    area = {"kind": "village", "id": "64.02.01.2001"}
    told = ask(full, "/exports", {"form": "csv", "area": area, "anonymous": True, **days})
    assert told.data.decode("utf-8-sig").count("\r\n") == 1
