"""Pages of posts and tablets, and the same as JSON: what is on them, for whom, and what of it is logged."""

import csv
import io
import re
from typing import Any

import pytest
import segno
from flask.testing import FlaskClient

from server.accounts import Person
from server.app import create_app
from server.children.sticker import PREFIX, spaced, sticker_code
from server.crypto.vault import SigningKey
from server.review.tablets import ENROL_PATH
from server.web.charts.last_digits import BOTTOM, TOP, digit_chart
from tests._time_zone import QUIET_ZONE
from tests.server._district import District
from tests.server.web._clinic import csrf_token, sign_in
from tests.server.web._posts import CHILDREN, MONTHS, Posyandu, open_posyandu


@pytest.fixture(scope="module")
def posyandu(sqlite_databases: Any) -> Any:
    """Give a posyandu that nothing here changes but its log and tablets."""
    with District.opened(sqlite_databases, time_zone=QUIET_ZONE) as district:
        yield open_posyandu(district)


@pytest.fixture
def client(posyandu: Posyandu) -> FlaskClient:
    return create_app(posyandu.district.hub.settings, posyandu.district.hub).test_client()


@pytest.fixture(scope="module")
def people(posyandu: Posyandu) -> dict[str, Person]:
    clinic = posyandu.clinic
    return {
        "staff": clinic.person(),
        "supervisor": clinic.person("supervisor"),
        "administrator": clinic.person("administrator"),
        "cadre": clinic.person("cadre", "post", posyandu.post),
        "elsewhere": clinic.person("staff", "health_centre", clinic.other_centre),
    }


@pytest.fixture
def staff(client: FlaskClient, people: dict[str, Person]) -> Person:
    sign_in(client, people["staff"])
    return people["staff"]


def actions(posyandu: Posyandu) -> list[str]:
    return posyandu.district.actions(f"post/{posyandu.post}")


# -- posts ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("staff")
def test_the_list_shows_each_post_of_the_scope_at_a_glance(client: FlaskClient) -> None:
    page = client.get("/pos").text
    assert "Melati 1" in page
    assert "Kenanga 3" not in page  # of another health centre
    assert f"<b>{CHILDREN}</b> / {CHILDREN}" in page


@pytest.mark.usefixtures("staff")
def test_the_list_says_so_when_no_post_fits(client: FlaskClient) -> None:
    assert "Tidak ada posyandu yang cocok" in client.get("/pos?cari=tidakada").text
    assert client.get("/pos?puskesmas=x").status_code == 400
    assert client.get("/pos?hal=0").status_code == 400


@pytest.mark.usefixtures("staff")
def test_a_posts_page_shows_its_quality_with_advice(client: FlaskClient, posyandu: Posyandu) -> None:
    page = client.get(f"/pos/{posyandu.post}").text
    assert "Panjang/tinggi sering dibulatkan" in page
    assert "Baca papan ukur sampai 0,1 cm" in page
    assert "100 % dari 80 nilai berakhir dengan 0 atau 5; wajarnya 20 %." in page
    assert f"{MONTHS * CHILDREN} pengukuran dari {CHILDREN} anak" in page
    assert f"/antrean?pos={posyandu.post}" in page
    assert "Anak Contoh" not in page


@pytest.mark.usefixtures("staff")
def test_a_posts_page_says_what_lacks_when_there_is_too_little(
    client: FlaskClient, posyandu: Posyandu
) -> None:
    page = client.get(f"/pos/{posyandu.district.posts[1]}").text
    assert "perlu 29 pengukuran lagi" in page
    pooled = client.get(f"/pos/{posyandu.district.posts[1]}?gabungan=puskesmas").text
    assert "Gabungan 2 posyandu Puskesmas Contoh" in pooled


@pytest.mark.usefixtures("staff")
@pytest.mark.parametrize("query", ["bulan=5", "gabungan=semua", "bulan=x"])
def test_an_address_that_means_nothing_is_refused(
    client: FlaskClient, posyandu: Posyandu, query: str
) -> None:
    assert client.get(f"/pos/{posyandu.post}?{query}").status_code == 400


def test_a_cadre_sees_the_own_post_and_neither_tablets_nor_the_account_of_what_arrived(
    client: FlaskClient, posyandu: Posyandu, people: dict[str, Person]
) -> None:
    sign_in(client, people["cadre"])
    page = client.get(f"/pos/{posyandu.post}").text
    assert "Mutu pengukuran" in page
    assert "Kelola tablet" not in page
    assert "Apakah semua data sampai" not in page
    assert client.get(f"/pos/{posyandu.district.posts[1]}").status_code == 404
    assert client.get("/tablet").status_code == 403


@pytest.mark.usefixtures("staff")
def test_posts_and_their_quality_are_there_as_json(client: FlaskClient, posyandu: Posyandu) -> None:
    answer = client.get("/api/v1/posts?name=melati&limit=1").get_json()
    assert (answer["total"], answer["posts"][0]["measured"]) == (1, CHILDREN)
    report = client.get(f"/api/v1/posts/{posyandu.post}/quality?months=24&pool=centre").get_json()
    assert (report["pool"], report["months"], report["digits"]["length"]["zero_five"]) == ("centre", 24, 1)
    assert client.get(f"/api/v1/posts/{posyandu.post}/quality?months=1").status_code == 400


# -- the list of a posyandu day -------------------------------------------------------------------


@pytest.mark.usefixtures("staff")
def test_the_list_for_the_day_has_flagged_children_first_and_is_logged(
    client: FlaskClient, posyandu: Posyandu
) -> None:
    page = client.get(f"/pos/{posyandu.post}/daftar").text
    names = re.findall(r"Anak Contoh \d{3}", page)
    assert len(names) == CHILDREN
    assert names[0] == "Anak Contoh 005"
    assert page.index("Perlu dilihat dahulu (") < page.index("Anak lainnya, menurut nama (")
    assert page.count("Hasil penapisan, bukan diagnosis") == 2
    assert actions(posyandu)[-1] == "post.list-viewed"


@pytest.mark.usefixtures("staff")
def test_vitamin_a_stands_on_the_list_in_its_months_alone(client: FlaskClient, posyandu: Posyandu) -> None:
    year = posyandu.today.year
    days = [f"{year}-02-10", f"{year}-08-10", f"{year}-05-10"]
    shown = ["Vitamin A" in client.get(f"/pos/{posyandu.post}/daftar?tanggal={day}").text for day in days]
    assert shown == [True, True, False]


@pytest.mark.usefixtures("staff")
def test_each_child_of_the_post_has_a_sticker_whose_code_holds_nothing_personal(
    client: FlaskClient, posyandu: Posyandu
) -> None:
    page = client.get(f"/pos/{posyandu.post}/stiker").text
    names = re.findall(r'<b class="name">([^<]+)</b>', page)
    assert names == sorted(names)
    assert len(names) == CHILDREN
    codes = re.findall(r'<span class="code">([^<]+)</span>', page)
    assert sorted(codes) == sorted(spaced(sticker_code(child)) for child in posyandu.children)
    for child in posyandu.children:
        made = segno.make(f"{PREFIX}{sticker_code(child)}", error="q", micro=False)
        assert made.version == 1
        assert made.svg_inline(omitsize=True, border=4, svgclass="qr", lineclass=None) in page
        assert child not in page
    assert actions(posyandu)[-1] == "post.stickers-viewed"


@pytest.mark.usefixtures("staff")
@pytest.mark.parametrize("day", ["2026", "2026-02-30", "1999-01-01", "20260230xx"])
def test_a_day_that_is_none_or_far_off_is_refused(client: FlaskClient, posyandu: Posyandu, day: str) -> None:
    assert client.get(f"/pos/{posyandu.post}/daftar?tanggal={day}").status_code == 400


# -- tablets --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("staff")
def test_tablets_are_listed_in_words(client: FlaskClient, posyandu: Posyandu) -> None:
    page = client.get("/tablet").text
    assert "Tablet A" in page
    assert "Tablet C" not in page
    assert "yang lalu" in page
    only = client.get(f"/tablet?pos={posyandu.post}&tampil=aktif").text
    assert "Tablet B" not in only
    assert "Tidak ada tablet yang cocok" in client.get("/tablet?tampil=berhenti").text


@pytest.mark.usefixtures("staff")
def test_a_code_is_shown_once_and_enrols_a_device(client: FlaskClient, posyandu: Posyandu) -> None:
    form = {"csrf_token": csrf_token(client, "/tablet/daftar"), "post": posyandu.post, "name": "Tablet 7"}
    page = client.post("/tablet/daftar", data=form, headers={"Referer": "http://localhost/"}).text
    (code,) = re.findall(r'id="code">([A-Z0-9-]{15})<', page)
    assert "<svg" in page
    assert code not in client.get("/tablet").text
    assert actions(posyandu)[-1] == "tablet.code-made"


@pytest.mark.usefixtures("staff")
def test_a_code_for_a_device_that_only_sends_is_made_by_page_and_as_json(
    client: FlaskClient, posyandu: Posyandu
) -> None:
    asked = {"post": posyandu.post, "name": "Timbangan 1"}
    form = {"csrf_token": csrf_token(client, "/tablet/daftar"), **asked, "write_only": "1"}
    page = client.post("/tablet/daftar", data=form, headers={"Referer": "http://localhost/"}).text
    (code,) = re.findall(r'id="code">([A-Z0-9-]{15})<', page)
    as_json = post_json(client, "/api/v1/tablets/codes", **asked, write_only=True).get_json()
    plain = post_json(client, "/api/v1/tablets/codes", **asked).get_json()
    assert (as_json["write_only"], plain["write_only"]) == (True, False)
    marks = []
    for made in (code, as_json["code"], plain["code"]):
        device = {"code": made, "public_key": SigningKey().jwk(), "app": "timbangan 1", "device": "uji"}
        marks.append("write_only" in client.post("/api/v1/enrol", json=device).get_json())
    assert marks == [True, True, False]
    assert "hanya mengirim" in client.get("/tablet?tampil=semua").text
    wrong = post_json(client, "/api/v1/tablets/codes", **asked, write_only="ya").get_json()
    assert [reason["path"] for reason in wrong["reasons"]] == ["write_only"]


@pytest.mark.usefixtures("staff")
def test_a_code_that_nobody_used_is_cancelled(client: FlaskClient, posyandu: Posyandu) -> None:
    made = post_json(client, "/api/v1/tablets/codes", post=posyandu.post, name="Tablet salah").get_json()
    page = client.get("/tablet").text
    assert made["code"] not in page
    addresses = re.findall(r'action="(/tablet/kode/[^"]+)"', page)
    called = re.findall(r"Batalkan kode<span class=\"unseen\"> ([^<]+)<", page)
    address = addresses[called.index("Tablet salah")]
    form = {"csrf_token": csrf_token(client, "/tablet/daftar")}
    after = client.post(address, data=form, headers={"Referer": "http://localhost/"}, follow_redirects=True)
    assert "Kode dibatalkan" in after.text
    assert "Tablet salah" not in after.text
    assert actions(posyandu)[-1] == "tablet.code-cancelled"
    device = {"code": made["code"], "public_key": SigningKey().jwk(), "app": "uji/1", "device": "uji"}
    assert client.post("/api/v1/enrol", json=device).get_json()["code"] == "enrolment-code-invalid"
    again = client.post(address, data=form, headers={"Referer": "http://localhost/"})
    assert again.status_code == 409


@pytest.mark.usefixtures("staff")
def test_the_form_says_what_is_wrong(client: FlaskClient) -> None:
    form = {"csrf_token": csrf_token(client, "/tablet/daftar"), "post": "", "name": ""}
    answer = client.post("/tablet/daftar", data=form, headers={"Referer": "http://localhost/"})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


def post_json(client: FlaskClient, path: str, **sent: Any) -> Any:
    token = client.get("/api/v1/session").get_json()["csrf_token"]
    return client.post(path, json=sent, headers={"X-CSRFToken": token, "Referer": "http://localhost/"})


@pytest.mark.usefixtures("staff")
def test_a_code_is_made_as_json(client: FlaskClient, posyandu: Posyandu) -> None:
    answer = post_json(client, "/api/v1/tablets/codes", post=posyandu.post, name="Tablet 8")
    made = answer.get_json()
    assert (answer.status_code, made["link"]) == (201, f"{ENROL_PATH}#{made['code']}")
    elsewhere = post_json(
        client, "/api/v1/tablets/codes", post=posyandu.clinic.elsewhere.replica.post_id, name="Tablet 8"
    )
    assert elsewhere.get_json()["code"] == "record-unknown"
    assert post_json(client, "/api/v1/tablets/codes", name="x").status_code == 422


def test_a_supervisor_revokes_and_sees_who_was_on_a_tablet_but_makes_no_code(
    client: FlaskClient, posyandu: Posyandu, people: dict[str, Person]
) -> None:
    sign_in(client, people["supervisor"])
    assert client.get("/tablet/daftar").status_code == 403
    page = client.get(f"/tablet/{posyandu.clinic.first.id}/hilang").text
    assert "Anak Contoh 000" in page
    assert "Anak Pindah" in page
    assert f"Data {CHILDREN + 1} anak ada di tablet itu" in page
    assert actions(posyandu)[-1] == "tablet.exposure-viewed"


def test_an_administrator_sees_no_names_of_who_was_on_a_tablet(
    client: FlaskClient, posyandu: Posyandu, people: dict[str, Person]
) -> None:
    sign_in(client, people["administrator"])
    page = client.get(f"/tablet/{posyandu.clinic.first.id}/hilang").text
    assert "Anak Contoh" not in page
    assert f"Data {CHILDREN + 1} anak ada di tablet itu" in page
    file = client.get(f"/tablet/{posyandu.clinic.first.id}/hilang.csv").text
    rows = list(csv.DictReader(io.StringIO(file.removeprefix("\ufeff"))))
    assert len(rows) == CHILDREN + 1
    assert {row["name"] for row in rows} == {""}
    assert actions(posyandu)[-1] == "tablet.exposure-exported"
    assert client.get(f"/pos/{posyandu.post}/daftar").status_code == 403
    assert client.get(f"/pos/{posyandu.post}/stiker").status_code == 403


@pytest.mark.usefixtures("staff")
def test_whose_data_was_on_a_tablet_is_there_as_json(client: FlaskClient, posyandu: Posyandu) -> None:
    answer = client.get(f"/api/v1/tablets/{posyandu.clinic.first.id}/exposure").get_json()
    assert answer["counts"] == {"present": CHILDREN, "left": 1, "written": 0}
    assert client.get(f"/api/v1/tablets/{posyandu.clinic.elsewhere.id}/exposure").status_code == 404


@pytest.mark.usefixtures("staff")
def test_a_tablet_is_revoked_only_after_it_was_asked_about(client: FlaskClient, posyandu: Posyandu) -> None:
    tablet = posyandu.district.tablet(0, "Tablet Tua")
    path = f"/tablet/{tablet.id}/cabut"
    assert "Cabut Tablet Tua?" in client.get(path).text
    token = {"csrf_token": csrf_token(client, path)}
    answer = client.post(path, data={**token, "lost": "1"}, headers={"Referer": "http://localhost/"})
    assert answer.headers["Location"] == f"/tablet/{tablet.id}/hilang"
    assert actions(posyandu)[-1] == "tablet.revoked"
    assert "Sudah dicabut" in client.get(f"/tablet/{tablet.id}/hilang").text
    assert "sudah dicabut" in client.get(path).text
    again = client.post(path, data=token, headers={"Referer": "http://localhost/"})
    assert again.headers["Location"] == f"/tablet?pos={posyandu.post}"


def test_nothing_of_another_health_centre_is_found(
    client: FlaskClient, posyandu: Posyandu, people: dict[str, Person]
) -> None:
    sign_in(client, people["elsewhere"])
    tablet = posyandu.clinic.first.id
    paths = [
        f"/pos/{posyandu.post}",
        f"/pos/{posyandu.post}/daftar",
        f"/pos/{posyandu.post}/stiker",
        f"/tablet/{tablet}/hilang",
        f"/tablet/{tablet}/cabut",
    ]
    assert [client.get(path).status_code for path in paths] == [404] * 5


# -- words and charts -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset_ms", "said"),
    [
        (0, "tepat"),
        (-119_000, "tepat"),
        (7_500_000, "2 jam 5 menit terlalu cepat"),
        (-600_000, "10 menit terlalu lambat"),
        (26 * 3_600_000, "1 hari 2 jam terlalu cepat"),
        (-(1440 * 400 + 61) * 60_000, "400 hari 1 jam terlalu lambat"),
    ],
)
def test_a_clock_is_told_in_words(client: FlaskClient, offset_ms: int, said: str) -> None:
    app = client.application
    with app.test_request_context("/tablet"):
        assert app.jinja_env.filters["clock"](offset_ms) == said


def test_a_share_is_a_whole_per_cent_or_has_a_decimal_when_it_is_small(client: FlaskClient) -> None:
    app = client.application
    with app.test_request_context("/pos"):
        written = [app.jinja_env.filters["percent"](share) for share in (0, 1 / 365.25, 0.01, 0.626, 1)]
    assert written == ["0 %", "0,3 %", "1 %", "63 %", "100 %"]


def test_bars_stand_on_the_ground_and_the_tallest_fills_the_chart() -> None:
    chart = digit_chart([60, 5, 5, 5, 5, 0, 5, 5, 5, 5])
    assert (chart.bars[0].y, chart.bars[0].percent, chart.bars[0].round) == (TOP, 60, True)
    assert chart.bars[5].height == 0
    assert all(bar.y + bar.height == BOTTOM for bar in chart.bars)
    assert chart.expected_y == pytest.approx(BOTTOM - (BOTTOM - TOP) / 6, abs=0.1)
