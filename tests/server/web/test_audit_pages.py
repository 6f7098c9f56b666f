"""Pages of supervision: what is on them, for whom, what of it is logged; and the log, verified and taken away there."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient

from server.accounts import Person
from server.app import create_app
from server.audit import checkpoints
from server.audit.checkpoints import read_kept
from server.audit.export import verify_export
from server.operations import jobs
from server.supervision import lineage
from server.web.pages import audit
from sync_protocol import REGISTERS, Outcome
from tests.server._district import DISTRICT, District, sqlite_connection
from tests.server._people import add_person
from tests.server._supervised import NAME, Supervised, supervised
from tests.server.web._clinic import PASSWORD, csrf_token, sign_in

MARCH = "bulan=2026-03"


@pytest.fixture(scope="module")
def month(sqlite_databases: Any) -> Iterator[Supervised]:
    """Give a month that nothing here changes but its log."""
    with District.opened(sqlite_databases) as district:
        yield supervised(district)


def added(district: District, username: str, kind: str, scope: str) -> Person:
    who = (username, "Pengawas Contoh", "supervisor", kind, scope, PASSWORD)
    account_id = add_person(district.hub, *who, district.clock.now)
    return Person(account_id, username, "Pengawas Contoh", "supervisor", kind, scope)


def signed_in(district: District, person: Person) -> FlaskClient:
    client = create_app(district.hub.settings, district.hub).test_client()
    sign_in(client, person)
    return client


@pytest.fixture(scope="module")
def client(month: Supervised) -> FlaskClient:
    """Give the browser of who supervises the whole district."""
    return signed_in(month.district, added(month.district, "pengawas", "district", DISTRICT))


@pytest.fixture(scope="module")
def of_a_part(month: Supervised) -> FlaskClient:
    """Give the browser of who supervises a subdistrict in which nothing happened."""
    return signed_in(month.district, added(month.district, "pengawas.lain", "subdistrict", "64.02.01"))


def last_entry(district: District, stream: str = "office") -> tuple[str, dict[str, Any]]:
    with closing(sqlite_connection(district)) as raw:
        row = raw.execute(
            "SELECT action, details FROM audit_entry WHERE stream = ? ORDER BY number DESC LIMIT 1", (stream,)
        ).fetchone()
    return row[0], orjson.loads(row[1])


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_every_kind_and_outcome_has_words() -> None:
    assert set(audit.KIND_WORDS) == set(lineage.KINDS) == set(REGISTERS)
    assert set(audit.OUTCOME_WORDS) == {outcome.value for outcome in Outcome}


# -- syncs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", ["hari", "pos", "tablet", "kader"])
def test_overview_counts_in_every_way_without_a_childs_name(client: FlaskClient, group: str) -> None:
    page = client.get(f"/audit?{MARCH}&per={group}").text
    assert "Maret 2026" in page
    assert "nomornya sudah dipakai untuk isi lain" in page
    assert NAME not in page


def test_overview_says_which_changes_are_missing(client: FlaskClient) -> None:
    page = client.get(f"/audit?{MARCH}&per=tablet").text
    assert re.search(r"<b>2</b>\s*<span class=\"quiet\">nomor \d+ sampai \d+", page)
    assert "2 jam terlalu cepat" in page


def test_a_file_of_the_overview_is_logged(client: FlaskClient, month: Supervised) -> None:
    answer = client.get(f"/audit.csv?{MARCH}&per=tablet")
    assert {row["name"] for row in rows_of(answer.text)} == {"Tablet A", "Tablet B", "Tablet C", "Tablet D"}
    action, details = last_entry(month.district)
    assert (action, details["group"], details["lines"]) == ("syncs.exported", "tablet", 4)


def test_uploads_are_listed_by_day_and_tablet_with_the_refused_ones(
    client: FlaskClient, month: Supervised
) -> None:
    whole = client.get(f"/audit/kiriman?{MARCH}").text
    assert "Kiriman ditolak" in whole
    assert "tablet tidak dikenal" in whole
    only = client.get(f"/audit/kiriman?{MARCH}&tablet={month.night.id}").text
    assert "Tablet B" in only
    assert "Tablet C" not in only
    day = client.get("/audit/kiriman?hari=2026-03-12").text
    assert "12 Mar 2026 03." in day
    assert "Tidak ada kiriman" in client.get("/audit/kiriman?hari=2026-03-25").text
    rows = rows_of(client.get(f"/audit/kiriman.csv?{MARCH}").text)
    assert [row["refused"] for row in rows if row["refused"]] == ["tablet-unknown", "batch-id-reused"]


@pytest.mark.parametrize(
    "path",
    [
        "/audit?bulan=2026-13",
        "/audit?bulan=2026-3",
        "/audit?per=jam",
        "/audit/kiriman?hari=2026-02-30",
        "/audit/kiriman?hari=kemarin",
        "/audit/kiriman?tablet=x",
        "/audit/kiriman?hal=0",
        "/audit/titik-periksa.json?nomor=x",
    ],
)
def test_an_address_that_means_nothing_is_refused(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 400


def test_a_batch_is_opened_and_the_look_is_logged(client: FlaskClient, month: Supervised) -> None:
    receipts = [answer["receipt"] for answer in month.first.answers]
    aside = next(receipt["batch"] for receipt in receipts if "quarantined" in str(receipt))
    page = client.get(f"/audit/kiriman/{month.first.id}/{aside}").text
    assert "disisihkan, menunggu keputusan" in page
    assert "/karantina/" in page
    assert "/audit/riwayat/" in client.get(f"/audit/kiriman/{month.first.id}/{receipts[0]['batch']}").text
    action, details = last_entry(month.district, f"post/{month.district.posts[0]}")
    assert (action, details["batch"]) == ("batch.viewed", receipts[0]["batch"])
    unknown = month.first.id
    assert client.get(f"/audit/kiriman/{month.first.id}/{unknown}").status_code == 404


def test_patterns_are_told_as_questions_without_children(client: FlaskClient) -> None:
    page = client.get(f"/audit/pola?{MARCH}").text
    assert "9 dari 10 anak: +300 g" in page
    assert "4 dari 4 anak" in page
    assert "6 dari 6 pengukuran" in page
    assert "Mungkin" in page
    assert NAME not in page
    assert "Tidak ada yang janggal" in client.get("/audit/pola?bulan=2026-02").text


def test_completeness_is_told_by_subdistrict_and_village(client: FlaskClient, month: Supervised) -> None:
    page = client.get(f"/audit/kelengkapan?{MARCH}").text
    assert "2 dari 2 posyandu sudah melapor" in page
    assert "2 perubahan masih di tablet" in page
    rows = rows_of(client.get(f"/audit/kelengkapan.csv?{MARCH}").text)
    assert [row["level"] for row in rows] == ["subdistrict", "village"]
    assert last_entry(month.district)[0] == "completeness.exported"
    assert "Posyandu Melati 1" not in page  # it reported


# -- who had seen what ------------------------------------------------------------------------------


def test_history_is_drawn_and_values_are_shown_on_request_alone(
    client: FlaskClient, month: Supervised
) -> None:
    path = "/audit/riwayat/{}/{}".format(*month.disputed)
    page = client.get(path).text
    assert page.count('r="19"') == 6
    assert "Belum melihat:" in page
    assert "8,20 kg" not in page
    stream = f"post/{month.district.posts[0]}"
    action, details = last_entry(month.district, stream)
    assert (action, details["values"], details["record"]) == (
        "record.history-viewed",
        False,
        month.disputed[1],
    )
    assert "8,20 kg" in client.get(f"{path}?nilai=1").text
    assert last_entry(month.district, stream)[1]["values"] is True


def test_history_of_an_erased_child_says_so(client: FlaskClient, month: Supervised) -> None:
    child = month.second.register_child()
    month.second.sync_until_quiet()
    with closing(sqlite_connection(month.district)) as raw, raw:
        raw.execute("UPDATE child SET wrapped_key = NULL, state = NULL WHERE id = ?", (child,))
    page = client.get(f"/audit/riwayat/{child}/{child}?nilai=1").text
    assert "kuncinya dimusnahkan" in page
    assert 'r="19"' in page


def test_nothing_of_another_area_is_shown(of_a_part: FlaskClient, month: Supervised) -> None:
    batch = month.first.answers[-1]["receipt"]["batch"]
    assert of_a_part.get(f"/audit/kiriman/{month.first.id}/{batch}").status_code == 404
    assert of_a_part.get("/audit/riwayat/{}/{}".format(*month.disputed)).status_code == 404
    assert "Tablet A" not in of_a_part.get(f"/audit?{MARCH}&per=tablet").text
    assert of_a_part.get("/audit/catatan.jsonl").status_code == 403


# -- the log ----------------------------------------------------------------------------------------


def verify(client: FlaskClient, file: bytes | None = None) -> Any:
    form: dict[str, Any] = {"csrf_token": csrf_token(client, "/audit/catatan")}
    if file is not None:
        form["titik"] = (io.BytesIO(file), "titik.json")
    return client.post("/audit/catatan/periksa", data=form, headers={"Referer": "http://localhost/"})


@pytest.fixture
def signed(on_sqlite: District) -> tuple[District, FlaskClient]:
    """Give a log with a checkpoint, and the browser of who supervises it."""
    on_sqlite.tablet(0, "Tablet A").sync()
    with on_sqlite.hub.database.transaction() as session:
        checkpoints.make(session, on_sqlite.hub, on_sqlite.clock.now, actor="operator")
    return on_sqlite, signed_in(on_sqlite, added(on_sqlite, "pengawas", "district", DISTRICT))


def test_an_honest_log_is_verified_from_the_page_and_that_is_logged(
    signed: tuple[District, FlaskClient],
) -> None:
    district, client = signed
    kept = client.get("/audit/titik-periksa.json")
    assert read_kept(kept.data).number == 1
    assert last_entry(district) == ("checkpoint.downloaded", {"checkpoint": 1})
    page = verify(client, kept.data).text
    assert "Catatan audit cocok" in page
    assert "Dicocokkan dengan titik periksa 1" in page
    action, details = last_entry(district)
    assert (action, details["broken"], details["checkpoint"]) == ("log.verified", 0, 1)


def test_an_altered_entry_is_named_with_its_post(signed: tuple[District, FlaskClient]) -> None:
    district, client = signed
    with closing(sqlite_connection(district)) as raw, raw:
        raw.execute("UPDATE audit_entry SET actor = 'account:x' WHERE stream LIKE 'post/%' AND number = 1")
    page = verify(client).text
    assert "Catatan audit tidak cocok" in page
    assert re.search(r"<strong>Melati 1</strong>: entri 1: diubah", page)


def test_a_kept_checkpoint_shows_that_the_log_was_written_anew(signed: tuple[District, FlaskClient]) -> None:
    """Every stored table fits, but it is not the log of which the checkpoint was kept."""
    district, client = signed
    kept = client.get("/audit/titik-periksa.json").data
    with closing(sqlite_connection(district)) as raw, raw:
        for name in ("audit_leaf", "audit_checkpoint", "audit_entry", "audit_stream"):
            raw.execute(f"DELETE FROM {name} WHERE district = ?", (DISTRICT,))  # noqa: S608 - our own tables
    assert "Catatan audit cocok" in verify(client).text
    assert "Catatan audit tidak cocok" in verify(client, kept).text


def test_a_file_that_is_no_checkpoint_is_refused_in_words(signed: tuple[District, FlaskClient]) -> None:
    answer = verify(signed[1], b"{}")
    assert answer.status_code == 422
    assert "bukan berkas titik periksa" in answer.text


def test_a_log_that_is_too_long_is_verified_from_the_newest_checkpoint(
    signed: tuple[District, FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.web.pages.audit.CHECKED_AT_ONCE", 2)  # a constant of ours
    kept = signed[1].get("/audit/titik-periksa.json").data
    page = verify(signed[1], kept).text
    assert "2 entri sejak titik periksa terbaru dihitung ulang" in page
    assert "diperiksa nanti malam" in page
    assert "audit verify --checkpoint" in page


def test_the_whole_log_is_taken_away_and_verified_elsewhere(signed: tuple[District, FlaskClient]) -> None:
    district, client = signed
    answer = client.get("/audit/catatan.jsonl")
    found = verify_export(iter(answer.data.splitlines(keepends=True)))
    assert (found.broken, found.checkpoints) == ([], 1)
    assert last_entry(district)[0] == "log.exported"


def test_what_the_nightly_verification_found_stands_on_the_page(signed: tuple[District, FlaskClient]) -> None:
    district, client = signed
    assert "belum pernah berjalan" in client.get("/audit/catatan").text
    with closing(sqlite_connection(district)) as raw, raw:
        raw.execute("DELETE FROM audit_entry WHERE stream LIKE 'post/%' AND number = 1")
    jobs.verify_log(district.hub, district.clock.now)
    page = client.get("/audit/catatan").text
    assert "Temuan pemeriksaan" in page
    assert "<strong>Melati 1</strong>: entri 1: dihapus" in page
    assert "Tidak cocok." in page
