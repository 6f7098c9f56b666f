"""Pages of figures: an area and month in every form, who sees which, small numbers hidden, and the Monev report."""

import csv
import io
import re
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask.testing import FlaskClient

from server import reports
from server.accounts import Person
from server.cli import main
from server.interchange.monev import ACTIONS
from server.interchange.sheets import read_rows
from server.operations import scheduler
from server.reports.measures import SHARES
from server.web.charts.figures import share_bars
from tests.server._district import DISTRICT
from tests.server.web._clinic import Clinic, csrf_token, sign_in

MARCH = "bulan=2026-03"


@pytest.fixture
def counted(clinic: Clinic) -> Clinic:
    """Give a clinic of two posts in one village, one of another centre; three short children among nine, counted."""
    for number in range(9):
        clinic.child(
            f"Anak {number}", haz=-2.6 if number < 3 else 0.1, tablet=clinic.second if number > 6 else None
        )
    reports.refresh(clinic.district.hub, clinic.district.clock.now, actor="test")
    return clinic


def signed_in(clinic: Clinic, client: FlaskClient, role: str, kind: str, scope: str) -> Person:
    person = clinic.person(role, kind, scope)
    sign_in(client, person)
    return person


def shown(client: FlaskClient, path: str) -> str:
    """Give the words of a page, without markup, spaces made one."""
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.text))


def test_own_figures_lead_to_the_own_area(counted: Clinic, client: FlaskClient) -> None:
    signed_in(counted, client, "tpps", "village", "64.02.06.1001")
    assert client.get("/").location == "/angka"
    assert client.get("/angka").location == "/angka/desa/64.02.06.1001"


def test_health_service_sees_every_number_and_that_the_codes_add_up(
    counted: Clinic, client: FlaskClient
) -> None:
    signed_in(counted, client, "staff", "health_centre", counted.centre)
    page = shown(client, f"/angka/puskesmas/{counted.centre}?{MARCH}&ukuran=indicated.stunted")
    assert "D = N + T + O + B : 9 = 9 + 0 + 0 + 0" in page
    assert "33,3 % (3/9)" in page
    assert "Melati 1" in page
    assert "Anggrek 2" in page
    assert "bukan hasil survei (SSGI/SKI)" in page


def test_small_numbers_are_hidden_from_tpps_and_others_with_them(
    counted: Clinic, client: FlaskClient
) -> None:
    signed_in(counted, client, "tpps", "village", "64.02.06.1001")
    page = shown(client, f"/angka/desa/64.02.06.1001?{MARCH}&ukuran=indicated.stunted")
    assert "(3/9)" not in page
    assert "33,3" not in page
    assert "·· disembunyikan" in page
    asked = client.get("/api/v1/figures?month=2026-03").get_json()["months"][0]
    assert asked["numbers"]["indicated.stunted"] is None
    assert asked["numbers"]["B"] is None
    assert asked["shares"]["indicated.stunted"] is None
    assert asked["numbers"]["S"] == 9
    december = client.get("/api/v1/figures?month=2025-12").get_json()["months"][0]["numbers"]
    assert (december["D"], december["OB"], december["O"]) == (9, 9, None)
    # 7 and 2 make 9: the post of two is hidden, so the other must be
    posts = read_csv(client, f"/angka/desa/64.02.06.1001/csv?{MARCH}")
    assert [row["S"] for row in posts] == ["", "", "9"]


def read_csv(client: FlaskClient, path: str) -> list[dict[str, str]]:
    answer = client.get(path)
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))


def test_centre_is_no_area_of_tpps(counted: Clinic, client: FlaskClient) -> None:
    signed_in(counted, client, "tpps", "district", DISTRICT)
    assert client.get(f"/angka/puskesmas/{counted.centre}").status_code == 404
    assert client.get(f"/angka/kabupaten/{DISTRICT}?menurut=puskesmas").status_code == 400
    assert client.get("/angka/kecamatan/64.02.06").status_code == 200


def test_area_outside_the_own_is_not_found_in_any_form(counted: Clinic, client: FlaskClient) -> None:
    signed_in(counted, client, "tpps", "village", "64.02.06.1001")
    for place in (
        "kabupaten/64.02",
        "kecamatan/64.02.06",
        "desa/64.02.06.1002",
        f"pos/{[*counted.district.posts][2]}",
    ):
        for form in ("", "/csv", "/monev"):
            assert client.get(f"/angka/{place}{form}").status_code == 404
    assert client.get("/api/v1/figures?kind=district&area=64.02").status_code == 404
    assert client.get("/angka/provinsi/64").status_code == 404


@pytest.mark.parametrize("wrong", ["bulan=2026", "bulan=2026-13", "ukuran=gizi", "menurut=rt"])
def test_wrong_choice_is_told(wrong: str, counted: Clinic, client: FlaskClient) -> None:
    signed_in(counted, client, "supervisor", "district", DISTRICT)
    assert client.get(f"/angka/kabupaten/{DISTRICT}?{wrong}").status_code == 400


def test_monev_report_is_a_pdf_and_a_workbook_of_the_same_numbers(
    counted: Clinic, client: FlaskClient
) -> None:
    person = signed_in(counted, client, "supervisor", "district", DISTRICT)
    path = f"/angka/kabupaten/{DISTRICT}/monev?dari=2026-01&sampai=2026-03&bentuk="
    pdf, book = client.get(f"{path}pdf"), client.get(f"{path}xlsx")
    assert pdf.data.startswith(b"%PDF-")
    assert pdf.headers["Content-Disposition"].endswith('2026-03.pdf"')
    with zipfile.ZipFile(io.BytesIO(book.data)) as parts:
        sheets = [parts.read(name).decode() for name in parts.namelist() if "worksheets" in name]
    assert len(sheets) == 7
    assert "Kutai Kartanegara" in sheets[0]
    assert "2026-01" in sheets[1]
    assert "Reviu kinerja tahunan" in sheets[6]
    assert "Realisasi anggaran" in sheets[6]
    assert dict(enumerate(read_rows(book.data)))[1][1][1] == "Kutai Kartanegara"
    logged = counted.district.actions("office")
    assert logged.count("figures.exported") == 2
    assert person.role == "supervisor"
    assert client.get(f"{path.replace('2026-01', '2020-01')}pdf").status_code == 400


def test_news_is_counted_on_demand_and_by_the_timetable(counted: Clinic, client: FlaskClient) -> None:
    signed_in(counted, client, "supervisor", "district", DISTRICT)
    counted.child("Anak Baru")
    page = f"/angka/kabupaten/{DISTRICT}?{MARCH}"
    assert "1 posyandu punya data baru" in shown(client, page)
    token = csrf_token(client, page)
    sent = {"csrf_token": token, "area_kind": "kabupaten", "area": DISTRICT}
    assert client.post("/angka/hitung", data=sent).location == f"/angka/kabupaten/{DISTRICT}"
    counted.child("Anak Lebih Baru")
    hub, now = counted.district.hub, counted.district.clock.now
    assert scheduler.run_job(hub, "figures", now)["posts"] >= 1
    assert scheduler.run_job(hub, "figures", now) == {
        "posts": 0,
        "rows": 0,
        "months": 0,
        "sums": 0,
        "failed": 0,
    }


def test_commands_count_show_and_write(counted: Clinic, tmp_path: Path) -> None:
    environment = counted.district.hub.settings.child_environment()

    def run(words: list[str]) -> Result:
        return CliRunner().invoke(main, words, env=environment)

    assert "3 posts counted" in run(["reports", "refresh"]).output  # months have passed since
    assert "0 posts counted" in run(["reports", "refresh"]).output
    table = run(["reports", "show", "--month", "2026-03", "--months", "2"])
    assert table.exit_code == 0, table.output
    assert "2026-03" in table.output
    public = run(["reports", "show", "--area", "64.02.06.1001", "--month", "2026-03", "--parts", "--public"])
    assert "··" in public.output
    for ending in ("pdf", "xlsx"):
        file = f"{tmp_path}/monev.{ending}"
        done = run(["reports", "monev", "--from", "2026-01", "--to", "2026-03", file])
        assert done.exit_code == 0, done.output
    assert run(["reports", "show", "--month", "maret"]).exit_code == 2
    assert run(["reports", "monev", "--from", "2026-01", "--to", "2026-03", "monev.doc"]).exit_code == 2


def test_shares_are_drawn_against_all_where_one_comes_near_it() -> None:
    assert share_bars([0.82, None, 0.41]) == [164.0, None, 82.0]
    assert share_bars([0.1, 0.05, 0.0]) == [200.0, 100.0, 0.0]
    assert share_bars([None, 0.0]) == [None, 0.0]


def test_no_convergence_action_tells_a_number_twice() -> None:
    for action in ACTIONS:
        shares = [SHARES[code] for code in action.shares]
        within = {number for share in shares for number in (share.part, *share.over)}
        assert not within & set(action.numbers), action.name
