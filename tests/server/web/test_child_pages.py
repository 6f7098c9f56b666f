"""A child's page over HTTP: five seconds, the NIK, charts with zones, the timeline and its filters, paper, and JSON."""

import re
from datetime import date
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from server import review
from server.accounts import Person
from server.review import ChildView, Scope
from server.review.child import KINDS
from server.web.pages.child import NEXT, glance
from server.web.request_schemas.children import FILTERS
from tests.server._district import NOW
from tests.server.web._clinic import DAYS, Clinic, csrf_token, sign_in, visible

NIK = "6402065001250012"
CONSENT = {"given": True, "by": "Ibu Contoh", "relation": "ibu", "on": "2026-01-05", "method": "lisan"}


def logged(clinic: Clinic, action: str) -> list[Any]:
    found = text("SELECT stream, actor, details FROM audit_entry WHERE action = :action")
    return clinic.district.rows(found.bindparams(action=action))


def look_at(clinic: Clinic, child: str) -> ChildView:
    with clinic.district.hub.database.reading() as session:
        scope = Scope("health_centre", clinic.centre, True)
        return review.child_view(session, clinic.district.hub, scope, child, NOW.date())


def page(client: FlaskClient, child: str, query: str = "") -> str:
    answer = client.get(f"/anak/{child}{query}")
    assert answer.status_code == 200, answer.text
    return answer.text


# -- five seconds ---------------------------------------------------------------------------------


def test_glance_says_what_since_when_and_what_now(client: FlaskClient, staff: Person, clinic: Clinic) -> None:
    child = clinic.child("Anak Merah", haz=-3.4, waz=-3.8)
    shown = visible(page(client, child).split('class="glance"')[1].split("</dl>")[0])
    assert "Gizi buruk" in shown
    assert "Sangat pendek" in shown
    assert "5 Des 2025 di bawah −2 SD pada 4 kali ukur berturut-turut" in shown
    assert "Belum ada yang tercatat" in shown
    assert "Hari ini: temui anak dan ukur ulang." in shown


def test_glance_is_calm_when_nothing_is_wrong(client: FlaskClient, staff: Person, clinic: Clinic) -> None:
    child = clinic.child("Anak Sehat")
    summed = glance(look_at(clinic, child))
    assert (summed.wrong, summed.rule, summed.since) == ((), None, None)
    assert summed.step == "watch"


def test_next_step_follows_what_is_known(clinic: Clinic) -> None:
    stunted = clinic.child("Anak Pendek", haz=-2.4, waz=-1)
    assert glance(look_at(clinic, stunted)).step == "again-2"
    clinic.first.measure(stunted, DAYS[-1], source="staff", weight_g=9000, length_mm=720)
    clinic.first.sync_until_quiet()
    confirmed = glance(look_at(clinic, stunted))
    assert (confirmed.step, confirmed.remeasured_on) == ("decide", date(2026, 3, 5))
    unmeasured = clinic.child("Anak Baru", days=())
    assert glance(look_at(clinic, unmeasured)).step == "measure"
    assert {"decide", "again-1", "again-2", "again-3", "check", "watch", "measure"} <= set(NEXT)


def test_indicated_and_confirmed_are_told_apart(client: FlaskClient, staff: Person, clinic: Clinic) -> None:
    child = clinic.child("Anak Merah", haz=-3.4, waz=-1)
    assert "Terindikasi dari ukuran kader, 5 Mar 2026; belum diukur ulang" in visible(page(client, child))
    clinic.first.measure(child, DAYS[-1], source="staff", weight_g=9500, length_mm=765)
    clinic.first.sync_until_quiet()
    shown = visible(page(client, child))
    assert "Tidak terkonfirmasi (diukur ulang 5 Mar 2026)" in shown
    assert "Terkonfirmasi oleh puskesmas" not in shown


def test_status_is_followed_by_a_sentence(client: FlaskClient, staff: Person, clinic: Clinic) -> None:
    shown = visible(page(client, clinic.child("Anak Merah", haz=-3.4, waz=-3.8)))
    assert "Jauh lebih pendek daripada anak seusianya." in shown
    assert "di bawah garis merah KMS" in shown


# -- the record -----------------------------------------------------------------------------------


def test_missing_consent_is_noticed_and_given_one_is_told(
    client: FlaskClient, staff: Person, clinic: Clinic
) -> None:
    without = clinic.child("Anak Satu")
    assert "Persetujuan belum tercatat." in visible(page(client, without))
    given = visible(page(client, clinic.child("Anak Dua", consent=CONSENT)))
    assert "Persetujuan diberikan: Ibu Contoh, ibu, 5 Jan 2026 (lisan)" in given
    refused = clinic.child("Anak Tiga", consent={**CONSENT, "given": False})
    assert "Persetujuan tidak diberikan" in visible(page(client, refused))


def test_phone_can_be_called_and_old_validity_and_early_birth_are_said(
    client: FlaskClient, staff: Person, clinic: Clinic
) -> None:
    child = clinic.child(
        "Anak Contoh",
        parents={"mother": "Ibu Contoh", "phone": "081200000000"},
        family={"krs": True, "source": "BKKBN", "valid_until": "2025-12-31"},
        birth={"weight_g": 2300, "gestation_weeks": 35},
        home={"address": "Jalan Contoh", "village": "64.02.06.1001"},
    )
    shown = page(client, child)
    assert 'href="tel:081200000000"' in shown
    told = visible(shown)
    assert "tidak berlaku lagi" in told
    assert "lahir sebelum 37 minggu" in told
    assert "berat lahir rendah" in told
    assert "64.02.06.1001" not in told


def test_nik_is_shown_whole_once_asked_for_and_the_log_has_it(
    client: FlaskClient, staff: Person, clinic: Clinic
) -> None:
    child = clinic.child("Anak Contoh", nik={"nik": NIK})
    assert NIK not in page(client, child)
    form = {"csrf_token": csrf_token(client, f"/anak/{child}")}
    shown = client.post(f"/anak/{child}/nik", data=form)
    assert shown.status_code == 200
    assert shown.text.count(NIK) == 1
    (entry,) = logged(clinic, "nik.unmasked")
    assert (entry.stream, entry.actor) == (f"post/{clinic.district.posts[0]}", f"account:{staff.account_id}")
    assert child in entry.details
    assert NIK not in entry.details
    assert NIK not in page(client, child)
    assert clinic.district.broken_log() == []


def test_nik_is_for_nobody_without_its_token_permission_or_scope(client: FlaskClient, clinic: Clinic) -> None:
    child = clinic.child("Anak Contoh", nik={"nik": NIK})
    sign_in(client, clinic.person("administrator", "district", "64.02"))
    form = {"csrf_token": csrf_token(client, f"/anak/{child}")}
    assert "Tampilkan NIK" not in page(client, child)
    assert client.post(f"/anak/{child}/nik", data=form).status_code == 403
    client.post("/keluar", data=form)
    sign_in(client, clinic.person(scope=clinic.other_centre))
    form = {"csrf_token": csrf_token(client, "/antrean")}
    assert client.post(f"/anak/{child}/nik", data=form).status_code == 404
    assert client.post(f"/anak/{child}/nik").status_code == 400
    assert logged(clinic, "nik.unmasked") == []


# -- charts and measurements ----------------------------------------------------------------------


def test_zones_are_drawn_and_named_when_asked_for(client: FlaskClient, staff: Person, clinic: Clinic) -> None:
    child = clinic.child("Anak Merah", haz=-3.4, waz=-3.8)
    plain, zoned, near = (page(client, child, query) for query in ("", "?grafik=kms", "?grafik=kms-dekat"))
    assert 'class="zone ' not in plain
    assert zoned.count('class="zone ') == 4 + 4 + 6 + 6
    assert zoned.count("red-line") == near.count("red-line") == 1
    assert zoned.count("orange-line") == 1
    assert "Risiko berat badan lebih" in visible(zoned.split('class="zone-key"')[2])
    months = [set(re.findall(r'y="348"[^>]*>(\d+)<', shown)) for shown in (zoned, near)]
    assert "24" in months[0]
    assert "24" not in months[1]


@pytest.mark.parametrize("query", ["grafik=x", "riwayat=x", "hal=0", "hal=x", "hal=٣", "hal=9999999"])
def test_address_that_means_nothing_is_refused(
    client: FlaskClient, staff: Person, clinic: Clinic, query: str
) -> None:
    refused = client.get(f"/anak/{clinic.child('Anak Contoh')}?{query}")
    assert refused.status_code == 400
    assert query.split("=")[0] in visible(refused.text)


def test_older_measurements_are_shown_when_asked_for(
    client: FlaskClient, staff: Person, clinic: Clinic
) -> None:
    child = clinic.child("Anak Lama", days=DAYS)
    few, all_ = page(client, child), page(client, child, "?semua=1")
    assert "Tampilkan 6 pengukuran sebelumnya" in visible(few)
    rows = [len(re.findall(r'role="rowheader"', shown)) for shown in (few, all_)]
    assert rows == [6, 12]


def test_page_for_paper_has_who_when_and_everything_measured(
    client: FlaskClient, staff: Person, clinic: Clinic
) -> None:
    child = clinic.child("Anak Lama", days=DAYS, nik={"nik": NIK})
    shown = page(client, child, "?cetak=1")
    assert re.search(r"Dicetak \d+ \w+ \d{4} \d\d\.\d\d oleh Petugas Contoh", visible(shown))
    assert shown.count('class="half"') == 4
    assert shown.count('class="whose"') == 4
    assert len(re.findall(r'role="rowheader"', shown)) == 12
    assert NIK not in shown
    assert "<form" not in shown.split("<main")[1]


# -- what happened --------------------------------------------------------------------------------


def test_timeline_is_filtered_by_address_and_has_pages(
    client: FlaskClient, staff: Person, clinic: Clinic
) -> None:
    child = clinic.child("Anak Merah", haz=-3.5, waz=-3.8, days=DAYS, parents={"mother": "Ibu Contoh"})
    clinic.first.edit_child(child, parents={"mother": "Ibu Baru"})
    clinic.first.sync_until_quiet()
    counts = {}
    for name in FILTERS:
        shown = page(client, child, f"?riwayat={name}")
        counts[name] = shown.count('<li class="event')
        assert counts[name] or "Belum ada kejadian seperti ini." in shown
    assert (counts["ukur"], counts["data"], counts["beda"], counts["pindah"]) == (12, 2, 0, 0)
    assert counts["dilihat"] == 1
    assert "Diubah: Orang tua" in visible(page(client, child, "?riwayat=data"))
    assert 'href="/anak/' in page(client, child, "?riwayat=ukur")
    assert "Belum ada kejadian" in page(client, child, "?riwayat=ukur&hal=2")


def test_timeline_keeps_the_chart_that_was_chosen(client: FlaskClient, staff: Person, clinic: Clinic) -> None:
    child = clinic.child("Anak Merah", haz=-3.5)
    links = re.findall(rf'href="/anak/{child}\?([^"#]*)', page(client, child, "?grafik=dekat&riwayat=ukur"))
    assert "grafik=dekat&amp;riwayat=data" in links
    assert "grafik=kms-dekat&amp;riwayat=ukur" in links


def test_english_page_has_english_words(client: FlaskClient, staff: Person, clinic: Clinic) -> None:
    child = clinic.child("Anak Merah", haz=-3.4, waz=-3.8)
    client.get("/bahasa/en")
    shown = visible(page(client, child, "?grafik=kms"))
    for words in (
        "What to do now",
        "Today: see the child and measure again.",
        "Much shorter than",
        "March 2026",
    ):
        assert words in shown


# -- as JSON --------------------------------------------------------------------------------------


def test_child_is_given_as_json_and_the_look_is_logged(
    client: FlaskClient, staff: Person, clinic: Clinic
) -> None:
    child = clinic.child("Anak Merah", haz=-3.4, waz=-3.8, nik={"nik": NIK})
    answer = client.get(f"/api/v1/children/{child}")
    assert NIK not in answer.text
    body = answer.get_json()
    assert (body["id"], body["name"], body["urgency"]) == (child, "Anak Merah", 1)
    assert body["confirmations"]["whz"] == {
        "state": "indicated",
        "confirmed": None,
        "indicated_on": "2026-03-05",
        "measured_on": None,
        "z": None,
        "severe": True,
        "indicated_again": False,
    }
    assert body["record"]["nik"][0]["value"] == {"nik": "640206••••••••12"}
    assert body["record"]["nik"][0]["recorded"][0]["tablet"] == "Tablet A"
    assert len(logged(clinic, "child.viewed")) == 1


def test_timeline_is_given_as_json(client: FlaskClient, staff: Person, clinic: Clinic) -> None:
    child = clinic.child("Anak Merah", haz=-3.4, waz=-3.8)
    path = f"/api/v1/children/{child}/timeline"
    body = client.get(f"{path}?kind=measured&limit=2&offset=1").get_json()
    assert (body["total"], body["limit"], body["offset"], len(body["events"])) == (4, 2, 1, 2)
    assert set(body["by_kind"]) == set(KINDS)
    assert body["events"][0]["measured_on"] == DAYS[-2]
    for wrong in ("kind=x", "limit=0", "offset=-1"):
        refused = client.get(f"{path}?{wrong}")
        assert (refused.status_code, refused.get_json()["code"]) == (400, "request-malformed")


def test_nik_is_given_as_json_to_who_may_know_names(
    client: FlaskClient, staff: Person, clinic: Clinic
) -> None:
    child = clinic.child("Anak Contoh", nik={"nik": NIK})
    token = client.get("/api/v1/session").get_json()["csrf_token"]
    path = f"/api/v1/children/{child}/nik"
    answer = client.post(path, json={}, headers={"X-CSRFToken": token})
    assert answer.get_json() == {"id": child, "nik": [NIK]}
    assert len(logged(clinic, "nik.unmasked")) == 1
    assert client.post(path, json={}).status_code == 400
    assert client.get(path).status_code == 405


def test_strangers_and_other_health_centres_are_given_nothing(client: FlaskClient, clinic: Clinic) -> None:
    child = clinic.child("Anak Rahasia", nik={"nik": NIK})
    for path in (f"/api/v1/children/{child}", f"/api/v1/children/{child}/timeline"):
        assert client.get(path).status_code == 401
    sign_in(client, clinic.person(scope=clinic.other_centre))
    for path in (f"/api/v1/children/{child}", f"/api/v1/children/{child}/timeline"):
        refused = client.get(path)
        assert (refused.status_code, refused.get_json()["code"]) == (404, "record-unknown")
        assert "Rahasia" not in refused.text
