"""The pages as a browser meets them: signing in, who gets what, the queue, a child's page, and the JSON."""

import re
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient

from server import accounts
from server.accounts import Person
from server.web.formatting import LANGUAGE_COOKIE
from tests.server.web._clinic import DAYS, PASSWORD, Clinic, csrf_token, sign_in, visible


def post(client: FlaskClient, path: str, **form: str) -> int:
    return client.post(path, data={"csrf_token": csrf_token(client), **form}).status_code


# -- signing in and out ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/antrean", "/antrean?urgensi=1&hal=2", "/anak/01900000-0000-7000-8000-000000000001"]
)
def test_visitor_is_led_to_sign_in_and_back(clinic: Clinic, client: FlaskClient, path: str) -> None:
    person = clinic.person()
    led = client.get(path)
    assert led.status_code == 302
    form = {"csrf_token": csrf_token(client), "username": person.username, "password": PASSWORD}
    back = client.post(led.location, data=form)
    assert (back.status_code, back.location) == (302, path)


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb", ""],
)
def test_signing_in_never_leads_elsewhere(clinic: Clinic, client: FlaskClient, target: str) -> None:
    form = {"csrf_token": csrf_token(client), "username": clinic.person().username, "password": PASSWORD}
    assert client.post("/masuk", query_string={"next": target}, data=form).location == "/"
    assert client.get("/bahasa/en", query_string={"next": target}).location == "/"


@pytest.mark.parametrize(
    ("username", "password"), [("", ""), ("tidak.ada", PASSWORD), (None, "salah"), ("x" * 5000, "y")]
)
def test_sign_in_refuses_what_does_not_fit(
    clinic: Clinic, client: FlaskClient, username: str | None, password: str
) -> None:
    username = clinic.person().username if username is None else username
    form = {"csrf_token": csrf_token(client), "username": username, "password": password}
    refused = client.post("/masuk", data=form)
    assert refused.status_code == 401
    assert 'role="alert"' in refused.text
    assert password == "" or f'value="{password}"' not in refused.text
    assert client.get("/antrean").status_code == 302


def test_form_without_its_token_is_refused(clinic: Clinic, client: FlaskClient) -> None:
    person = clinic.person()
    refused = client.post("/masuk", data={"username": person.username, "password": PASSWORD})
    assert refused.status_code == 400
    assert "csrf-invalid" in refused.text
    assert client.get("/antrean").status_code == 302


def test_signing_out_ends_the_session_on_the_server(
    client: FlaskClient, staff: Person, clinic: Clinic
) -> None:
    kept = client.get_cookie("__Host-posyandu")
    assert kept is not None
    assert post_signed_in(client, "/keluar") == 302
    client.set_cookie("__Host-posyandu", kept.value)
    assert client.get("/antrean").status_code == 302
    assert clinic.district.actions("office")[-1] == "sign-in.ended"


def post_signed_in(client: FlaskClient, path: str) -> int:
    return client.post(path, data={"csrf_token": csrf_token(client, "/antrean")}).status_code


def test_signing_out_is_not_a_link(client: FlaskClient, staff: Person) -> None:
    assert client.get("/keluar").status_code == 405
    assert client.get("/antrean").status_code == 200


def test_disabled_account_sees_nothing_more(client: FlaskClient, staff: Person, clinic: Clinic) -> None:
    hub = clinic.district.hub
    with hub.database.transaction() as session:
        accounts.disable_account(session, hub, staff.username, actor="operator", now=datetime.now(UTC))
    assert client.get("/antrean").status_code == 302


def test_pages_are_not_kept_by_anybody_and_run_no_inline_code(
    client: FlaskClient, staff: Person, clinic: Clinic
) -> None:
    child = clinic.child("Anak Merah", waz=-3.5)
    for path in ("/antrean", f"/anak/{child}", "/masuk"):
        answer = client.get(path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert not re.search(r"<script(?! type=\"module\" src=)|<style|\sstyle=|\son\w+=", answer.text)


# -- the queue ------------------------------------------------------------------------------------


def test_queue_shows_children_with_reasons_and_scores(
    client: FlaskClient, staff: Person, clinic: Clinic
) -> None:
    child = clinic.child("Anak <b>Merah</b>", haz=-3.4, waz=-3.8)
    page = client.get("/antrean").text
    assert "Anak &lt;b&gt;Merah&lt;/b&gt;" in page
    assert f'href="/anak/{child}"' in page
    assert "Di bawah garis merah (BB/U &lt; -3 SD)" in page
    assert "Hasil penapisan, bukan diagnosis." in page
    assert re.search(r"1 anak perlu ditinjau", visible(page))


def test_queue_filters_by_address(client: FlaskClient, staff: Person, clinic: Clinic) -> None:
    clinic.child("Anak Merah", waz=-3.5)
    clinic.child("Anak Pendek", haz=-2.4, waz=-1, tablet=clinic.second)
    assert "Anak Pendek" not in client.get("/antrean?urgensi=1").text
    assert "Anak Merah" not in client.get(f"/antrean?pos={clinic.district.posts[1]}").text
    assert "Anak Merah" not in client.get("/antrean?aturan=stunted").text
    chosen = client.get("/antrean?urgensi=1").text
    assert re.search(r'class="chip u1"[^>]*aria-current="true"', chosen)


@pytest.mark.parametrize(
    "query", ["urgensi=6", "urgensi=x", "pos=1", "aturan=nothing", "hal=0", "hal=-1", "hal=9999999999"]
)
def test_queue_refuses_an_address_that_means_nothing(client: FlaskClient, staff: Person, query: str) -> None:
    refused = client.get(f"/antrean?{query}")
    assert refused.status_code == 400
    assert query.split("=")[0] in visible(refused.text)


def test_queue_says_so_when_it_is_empty(client: FlaskClient, staff: Person, clinic: Clinic) -> None:
    assert "Tidak ada anak yang menunggu tinjauan" in client.get("/antrean").text
    clinic.child("Anak Merah", waz=-3.5)
    assert "Tidak ada anak yang sesuai" in client.get("/antrean?urgensi=4").text
    assert "Halaman itu tidak ada" in client.get("/antrean?hal=2").text


def test_queue_has_pages_when_it_is_long(client: FlaskClient, staff: Person, clinic: Clinic) -> None:
    for number in range(51):
        child = clinic.first.register_child()
        clinic.first.measure(child, DAYS[-1], weight_g=5500 + number, length_mm=700)
    clinic.first.sync_until_quiet()
    first = client.get("/antrean?urgensi=1").text
    assert "1 sampai 50 dari 51" in visible(first)
    assert 'rel="next" href="/antrean?urgensi=1&amp;hal=2"' in first
    assert "51 sampai 51 dari 51" in visible(client.get("/antrean?urgensi=1&hal=2").text)


def test_queue_offers_a_list_and_no_chips_when_there_are_many_posts(
    client: FlaskClient, staff: Person, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.web.pages.queue.CHIP_POSTS", 1)  # a constant of ours: two posts are many
    clinic.child("Anak Merah", waz=-3.5)
    clinic.child("Anak Pendek", haz=-2.4, waz=-1, tablet=clinic.second)
    page = client.get("/antrean").text
    assert '<select id="pos" name="pos">' in page
    assert "Melati 1 (1)" in page


def test_queue_hides_names_from_an_administrator(client: FlaskClient, clinic: Clinic) -> None:
    child = clinic.child("Anak Rahasia", waz=-3.5, parents={"mother": "Ibu Rahasia"})
    sign_in(client, clinic.person("administrator", "district", "64.02"))
    for path in ("/antrean", f"/anak/{child}", "/api/v1/flags"):
        page = client.get(path).text
        assert "Rahasia" not in page
        assert child in page


def test_looking_is_logged_before_it_is_shown(client: FlaskClient, staff: Person, clinic: Clinic) -> None:
    child = clinic.child("Anak Merah", waz=-3.5)
    client.get("/antrean")
    assert clinic.district.actions("office")[-1] == "queue.viewed"
    client.get(f"/anak/{child}")
    assert clinic.district.actions(f"post/{clinic.district.posts[0]}")[-1] == "child.viewed"


# -- one child ------------------------------------------------------------------------------------


def test_child_page_has_statuses_in_words_charts_and_measurements(
    client: FlaskClient, staff: Person, clinic: Clinic
) -> None:
    child = clinic.child("Anak Merah", haz=-3.4, waz=-3.8)
    page = client.get(f"/anak/{child}").text
    for word in (
        "Sangat pendek",
        "Berat badan sangat kurang",
        "Gizi buruk",
        "Hasil penapisan, bukan diagnosis.",
    ):
        assert word in page
    assert page.count("<figure") == 4
    assert page.count('class="sd sd3') == 8
    assert (
        len(re.findall(r"<circle cx=\"[\d.]+\" cy=\"[\d.]+\" r=\"5\"/>", page.split("chart-grid")[1])) == 16
    )
    assert "13 bulan" in page
    assert "kader-contoh · Tablet A" in page


def test_child_page_puts_no_name_into_title_or_address(
    client: FlaskClient, staff: Person, clinic: Clinic
) -> None:
    page = client.get(f"/anak/{clinic.child('Anak Rahasia', waz=-3.5)}").text
    assert "Rahasia" not in "".join(re.findall(r"<title.*?</title>", page, re.DOTALL))
    assert not any("Rahasia" in address for address in re.findall(r'(?:href|action|src)="([^"]*)"', page))


def test_child_page_shows_both_values_and_who_wrote_them(
    client: FlaskClient, staff: Person, clinic: Clinic
) -> None:
    page = client.get(f"/anak/{clinic.disputed_child()}").text
    text = visible(page)
    assert re.search(r"9,90 kg +kader-contoh · Tablet A", text)
    assert re.search(r"6,90 kg +kader-contoh · Tablet D", text)
    assert "Berat badan normal" in text
    assert "Berat badan sangat kurang" in text
    assert len(re.findall(r'<line class="join"', page.split("chart-grid")[1])) == 3  # BB/U, BB/TB, IMT/U


def test_child_page_tells_staff_measurements_apart(
    client: FlaskClient, staff: Person, clinic: Clinic
) -> None:
    child = clinic.child("Anak Merah", haz=-3.4, waz=-3.8)
    clinic.first.measure(child, DAYS[-1], source="staff", weight_g=8100, length_mm=720)
    clinic.first.sync_until_quiet()
    page = client.get(f"/anak/{child}").text
    assert page.split("chart-grid")[1].count('class="mark staff"') == 4
    assert "Ukur ulang oleh puskesmas" in visible(page.split('class="visits"')[1])


def test_child_page_zooms_by_address(client: FlaskClient, staff: Person, clinic: Clinic) -> None:
    child = clinic.child("Anak Merah", waz=-3.5)
    whole, near = (client.get(f"/anak/{child}{query}").text for query in ("", "?grafik=dekat"))
    months = [set(re.findall(r'y="348"[^>]*>(\d+)<', page)) for page in (whole, near)]
    assert "24" in months[0]
    assert "24" not in months[1]


def test_child_page_says_why_there_is_no_chart(client: FlaskClient, staff: Person, clinic: Clinic) -> None:
    child = clinic.district.new_id()
    clinic.first.measure(child, DAYS[-1], weight_g=8000, length_mm=720)
    clinic.first.sync_until_quiet()
    page = client.get(f"/anak/{child}").text
    assert "<figure" not in page
    assert "jenis kelamin anak ini belum diketahui" in page
    assert "Nama belum diketahui" in page


def test_child_of_another_health_centre_is_not_found(client: FlaskClient, clinic: Clinic) -> None:
    child = clinic.child("Anak Rahasia", waz=-3.5)
    sign_in(client, clinic.person(scope=clinic.other_centre))
    refused = client.get(f"/anak/{child}")
    assert refused.status_code == 404
    assert "Rahasia" not in refused.text
    assert "Rahasia" not in client.get("/antrean").text
    assert client.get("/api/v1/flags").json["children"] == []  # type: ignore[index]  # it is a dict


def test_whole_record_can_be_shown(client: FlaskClient, staff: Person, clinic: Clinic) -> None:
    """Every register that a tablet may set has words on the page."""
    child = clinic.child(
        "Anak Lengkap",
        waz=-3.5,
        nik={"nik": "6402065001250012"},
        parents={"mother": "Ibu Contoh", "father": "Bapak Contoh", "phone": "081200000000"},
        home={"address": "Jalan Contoh", "rt": "01", "rw": "02", "village": "64.02.06.1001"},
        birth={"weight_g": 2900, "length_mm": 480, "gestation_weeks": 38},
        books={"kia": True, "kms": False},
        family={"krs": True, "source": "BKKBN", "valid_until": "2026-12-31"},
        consent={"given": True, "by": "Ibu Contoh", "relation": "ibu", "on": "2026-01-05", "method": "lisan"},
    )
    form = clinic.first.replica.open_measurement(child, DAYS[-1], "cadre")
    services = {
        "vitamin_a": "red",
        "exclusive_breastfeeding": True,
        "mbg": True,
        "mother_class": True,
        "kpsp": "S",
    }
    clinic.first.write(form, {"services": services, "head": {"head_mm": 440}, "muac": {"muac_mm": 121}})
    clinic.first.sync_until_quiet()
    text = visible(client.get(f"/anak/{child}").text)
    for words in (
        "640206••••••••12",
        "ibu: Ibu Contoh, ayah: Bapak Contoh",
        "081200000000",
        "RT 01",
        "2,90 kg, 48,0 cm, 38 minggu",
    ):
        assert words in text
    for words in (
        "Buku KIA",
        "berisiko stunting, BKKBN, sampai 31 Des 2026",
        "vitamin A merah",
        "KPSP S",
        "44,0 cm",
    ):
        assert words in text
    assert "12,1 cm" in text


# -- languages ------------------------------------------------------------------------------------


def test_language_is_remembered(client: FlaskClient, staff: Person, clinic: Clinic) -> None:
    child = clinic.child("Anak Merah", haz=-3.4, waz=-3.8)
    assert '<html lang="id">' in client.get(f"/anak/{child}").text
    led = client.get(f"/bahasa/en?next=/anak/{child}")
    assert (led.status_code, led.location) == (302, f"/anak/{child}")
    cookie = client.get_cookie(f"__Host-{LANGUAGE_COOKIE}")
    assert cookie is not None
    assert cookie.http_only
    page = client.get(f"/anak/{child}").text
    assert '<html lang="en">' in page
    assert "severely stunted" in page
    assert "Screening result, not a diagnosis." in page


def test_unknown_language_is_not_found(client: FlaskClient) -> None:
    assert client.get("/bahasa/xx").status_code == 404


@pytest.mark.parametrize(
    ("language", "words"), [("id", "Alamat ini tidak ada."), ("en", "There is nothing at this address.")]
)
def test_problems_are_told_in_the_readers_language(client: FlaskClient, language: str, words: str) -> None:
    client.set_cookie(f"__Host-{LANGUAGE_COOKIE}", language)
    assert words in client.get("/tidak-ada").text


# -- the same as JSON -----------------------------------------------------------------------------


def test_flags_are_given_as_json(client: FlaskClient, staff: Person, clinic: Clinic) -> None:
    child = clinic.child("Anak Merah", haz=-3.4, waz=-3.8)
    clinic.child("Anak Pendek", haz=-2.4, waz=-1, tablet=clinic.second)
    body = client.get("/api/v1/flags?limit=1").json
    assert body is not None
    assert (body["total"], body["limit"], body["by_urgency"]) == (2, 1, {"1": 1, "2": 1})
    (row,) = body["children"]
    assert (row["id"], row["urgency"], row["post"]["name"]) == (child, 1, "Melati 1")
    assert row["newest"]["haz"] < -3
    assert {flag["rule"] for flag in row["flags"]} >= {"severely_stunted", "below_red_line"}
    assert body["screening_note"]["id"].startswith("Hasil penapisan")


def test_flags_need_a_signed_in_session(client: FlaskClient) -> None:
    refused = client.get("/api/v1/flags")
    assert (refused.status_code, refused.mimetype) == (401, "application/problem+json")
    assert refused.json is not None
    assert refused.json["code"] == "sign-in-required"


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "offset=-1", "urgency=9", "rule=x", "post='"])
def test_flags_refuse_what_means_nothing(client: FlaskClient, staff: Person, query: str) -> None:
    refused = client.get(f"/api/v1/flags?{query}")
    assert (refused.status_code, refused.mimetype) == (400, "application/problem+json")
