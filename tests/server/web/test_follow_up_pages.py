"""Deciding by form and as JSON: what is done, what is refused beside its field with what was typed, who may, the letter."""

from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient

from server.accounts import Person
from tests.server.web._clinic import Clinic, csrf_token, fields, sign_in


@pytest.fixture
def stunted(clinic: Clinic) -> str:
    parents: dict[str, object] = {"mother": "Ibu Contoh", "father": None, "phone": "+62000000001"}
    home: dict[str, object] = {"address": "Jalan Contoh 1", "rt": "2", "rw": "3", "village": "64.02.06.1001"}
    return clinic.child("Anak Pendek #eval(1) Contoh", haz=-2.4, waz=-1, parents=parents, home=home)


def send(client: FlaskClient, child: str, form: str, query: str = "", **typed: str) -> Any:
    """Open a form, fill it in and send it as a browser does."""
    address = f"/anak/{child}/tindak/{form}"
    page = client.get(f"{address}{query}")
    assert page.status_code == 200, page.text
    return client.post(address, data=fields(page.text) | typed, follow_redirects=False)


def got(client: FlaskClient, path: str) -> Any:
    """Give the JSON at an address."""
    return client.get(path).json


def signed(client: FlaskClient) -> dict[str, str]:
    """Give the header that a program sends with a POST."""
    return {"X-CSRFToken": got(client, "/api/v1/session")["csrf_token"]}


def decide(client: FlaskClient, path: str, **asked: Any) -> Any:
    return client.post(f"/api/v1/children/{path}", json=asked, headers=signed(client))


def follow_ups(client: FlaskClient, child: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = got(client, f"/api/v1/children/{child}/follow-ups")["follow_ups"]
    return found


def test_staff_take_charge_with_one_click_from_the_childs_page(
    client: FlaskClient, staff: Person, stunted: str
) -> None:
    page = client.get(f"/anak/{stunted}").text
    form = page[page.index("/tindak/take") :]
    given = fields(form[: form.index("</form>")])
    answer = client.post(f"/anak/{stunted}/tindak/take", data=given)
    assert answer.status_code == 302
    after = client.get(f"/anak/{stunted}").text
    assert "Ditangani oleh: saya" in after
    assert "Tangani anak ini" not in after


def test_a_task_is_planned_and_its_result_told_on_pages(
    client: FlaskClient, staff: Person, stunted: str
) -> None:
    sent = send(client, stunted, "plan", action="home_visit", due_on="2026-12-01", note="Satu\r\nDua")
    assert sent.status_code == 302
    (task,) = follow_ups(client, stunted)
    assert (task["action"], task["notes"], task["reason"]) == ("home_visit", ["Satu\nDua"], "stunted")
    told = send(client, stunted, "answer", f"?task={task['task']}", outcome="better", done_on="2026-03-05")
    assert told.status_code == 302
    assert [r["outcome"] for r in follow_ups(client, stunted)[0]["results"]] == ["better"]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"weight": "8,35x"}, "“8,35x” bukan angka kg"),
        ({"length": "745,55"}, "bukan angka cm"),
        ({"weight": "85"}, "harus antara 500 dan 40000"),
        ({}, "Belum ada yang diukur"),
    ],
)
def test_a_second_measurement_that_is_wrong_comes_back_with_what_was_typed(
    client: FlaskClient, staff: Person, stunted: str, typed: dict[str, str], told: str
) -> None:
    answer = send(client, stunted, "remeasure", measured_on="2026-03-05", **typed)
    assert answer.status_code == 422
    assert told in answer.text
    for value in typed.values():
        assert f'value="{value}"' in answer.text
    assert follow_ups(client, stunted) == []


def test_a_second_measurement_takes_a_decimal_comma_and_says_what_it_found(
    client: FlaskClient, staff: Person, stunted: str
) -> None:
    answer = send(client, stunted, "remeasure", measured_on="2026-03-05", weight="9,5", length="80.2")
    assert answer.status_code == 302
    page = client.get(f"/anak/{stunted}").text
    assert "Pengukuran ulang tidak memastikannya." in page


def test_a_case_is_closed_with_what_was_on_the_screen(
    client: FlaskClient, staff: Person, stunted: str
) -> None:
    assert send(client, stunted, "take").status_code == 302  # by which the calendar's flags are raised, too
    assert send(client, stunted, "close", outcome="followed_elsewhere").status_code == 302
    assert got(client, "/api/v1/flags")["total"] == 0
    assert got(client, "/api/v1/flags?status=closed")["total"] == 1


def test_a_form_without_a_choice_says_what_to_choose(
    client: FlaskClient, staff: Person, stunted: str
) -> None:
    answer = send(client, stunted, "close")
    assert answer.status_code == 422
    assert "Belum tersimpan" in answer.text


def test_decisions_as_json_take_only_what_they_know(client: FlaskClient, staff: Person, stunted: str) -> None:
    answer = decide(client, f"{stunted}/plan", action="counsel", due_on="2026-12-01", harapan="x")
    assert (answer.status_code, answer.json["code"]) == (422, "change-invalid")
    answer = decide(client, f"{stunted}/pmt", starts_on="2026-03-05", weeks=4, reason="stunted", funds="apbd")
    assert answer.status_code == 200
    assert len(follow_ups(client, stunted)) == 5
    task = answer.json["task"]
    context = next(f["context"] for f in follow_ups(client, stunted) if f["task"] == task)
    done = decide(client, f"{stunted}/follow-ups/{task}/result", outcome="cancelled", context=context)
    assert done.status_code == 200
    assert not any(each["open"] for each in follow_ups(client, stunted))


@pytest.mark.parametrize("role", ["cadre", "administrator"])
def test_who_may_not_decide_sees_no_form_and_is_refused(
    clinic: Clinic, client: FlaskClient, stunted: str, role: str
) -> None:
    kind, scope = ("post", clinic.district.posts[0]) if role == "cadre" else ("district", "64.02")
    sign_in(client, clinic.person(role, kind, scope))
    assert "/tindak/" not in client.get(f"/anak/{stunted}").text
    assert client.get(f"/anak/{stunted}/tindak/plan").status_code == 403
    assert decide(client, f"{stunted}/take").status_code == 403


def test_a_child_elsewhere_is_not_found(clinic: Clinic, client: FlaskClient, staff: Person) -> None:
    child = clinic.child("Anak Lain", haz=-2.4, tablet=clinic.elsewhere)
    assert client.get(f"/anak/{child}/tindak/plan").status_code == 404
    assert decide(client, f"{child}/take").status_code == 404
    assert client.get(f"/api/v1/children/{child}/follow-ups").status_code == 404
    assert client.get("/anak/x/tindak/plan").status_code == 404
    assert client.get(f"/anak/{child}/tindak/terbang").status_code == 404


def letter(client: FlaskClient, child: str) -> Any:
    task = decide(
        client, f"{child}/plan", action="refer_hospital", due_on="2026-03-06", note="*Segera* #pagebreak()"
    )
    return client.get(f"/anak/{child}/tindak/{task.json['task']}/surat.pdf")


def test_letter_is_a_pdf_of_one_page_and_logged_as_unmasked(
    clinic: Clinic, client: FlaskClient, staff: Person, stunted: str
) -> None:
    made = letter(client, stunted)
    assert (made.status_code, made.mimetype) == (200, "application/pdf")
    assert made.data.startswith(b"%PDF-")
    assert (
        made.data.count(b"/Type /Page\n") + made.data.count(b"/Type/Page/") + made.data.count(b"/Type /Page/")
        <= 1
    )
    stream = f"post/{clinic.district.posts[0]}"
    assert clinic.district.actions(stream)[-1] == "letter.written"


def test_letter_is_made_of_a_referral_alone(client: FlaskClient, staff: Person, stunted: str) -> None:
    task = decide(client, f"{stunted}/plan", action="counsel", due_on="2026-03-06").json["task"]
    assert client.get(f"/anak/{stunted}/tindak/{task}/surat.pdf").status_code == 404


def test_letter_in_english_when_that_is_chosen(client: FlaskClient, staff: Person, stunted: str) -> None:
    client.set_cookie("__Host-bahasa", "en")
    assert letter(client, stunted).data != b""


# -- the queue's own ------------------------------------------------------------------------------


def test_search_finds_by_the_beginnings_of_names_and_by_nik_and_keeps_neither(
    clinic: Clinic, client: FlaskClient, staff: Person
) -> None:
    clinic.child("Ának Élok Contoh", nik={"nik": "6402065001250003"})
    clinic.child("Anak Élok Lain", tablet=clinic.elsewhere)
    for typed in ("elok an", "ELOK", "6402065001250003", "64020650 01250003"):
        page = client.post("/cari", data={"cari": typed, "csrf_token": csrf_token(client, "/cari")})
        assert "Ának Élok Contoh" in page.text, typed
        assert "Élok Lain" not in page.text
    assert clinic.district.actions("office")[-1] == "children.searched"
    assert b"elok" not in orjson.dumps([str(row) for row in clinic.district.rows(_log())]).lower()


def _log() -> Any:
    from sqlalchemy import text

    return text("SELECT details FROM audit_entry WHERE action = 'children.searched'")


@pytest.mark.parametrize(("typed", "status"), [("x", 400), ("", 400), ("zzzz", 200)])
def test_search_says_what_is_wanted_or_that_nobody_was_found(
    client: FlaskClient, staff: Person, typed: str, status: int
) -> None:
    page = client.post("/cari", data={"cari": typed, "csrf_token": csrf_token(client, "/cari")})
    assert page.status_code == status
    assert ("Ketik sedikitnya 2 huruf" in page.text) == (status == 400)


def test_search_of_too_many_people_asks_for_an_area(
    clinic: Clinic, client: FlaskClient, staff: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.review.search.MOST_NAMES", 1)
    clinic.child("Anak Satu")
    clinic.child("Anak Dua")
    headers = signed(client)
    refused: Any = client.post("/api/v1/search", json={"words": "anak"}, headers=headers)
    assert (refused.status_code, refused.json["code"]) == (400, "search-too-wide")
    asked = {"words": "anak", "post": clinic.district.posts[1]}
    found: Any = client.post("/api/v1/search", json=asked, headers=headers)
    assert (found.status_code, found.json["children"]) == (200, [])


def test_a_view_is_kept_and_forgotten(client: FlaskClient, staff: Person, stunted: str) -> None:
    token = csrf_token(client, "/antrean")
    kept = client.post(
        "/tampilan",
        data={"csrf_token": token, "nama": " Pendek  kami ", "saringan": "aturan=stunted&petugas=saya&x=1"},
    )
    assert kept.location.endswith("/antrean?aturan=stunted&petugas=saya")
    page = client.get("/antrean").text
    assert 'href="/antrean?aturan=stunted&amp;petugas=saya">Pendek kami</a>' in page
    client.post("/tampilan/lupakan", data={"csrf_token": token, "nama": "Pendek kami"})
    assert "Pendek kami" not in client.get("/antrean").text


@pytest.mark.parametrize("name", ["", "x" * 41, "a\u202eb"])
def test_a_view_of_an_odd_name_is_refused(client: FlaskClient, staff: Person, name: str) -> None:
    token = csrf_token(client, "/antrean")
    data = {"csrf_token": token, "nama": name, "saringan": "aturan=stunted"}
    assert client.post("/tampilan", data=data).status_code == 422


def test_the_file_has_what_the_filters_show_and_is_logged(
    clinic: Clinic, client: FlaskClient, staff: Person, stunted: str
) -> None:
    clinic.child("Anak Merah", haz=-1, waz=-3.5)
    saved = client.get("/antrean.csv?aturan=stunted")
    lines = saved.text.removeprefix("\ufeff").splitlines()
    assert (saved.mimetype, len(lines)) == ("text/csv", 2)
    assert "Anak Pendek" in lines[1]
    assert clinic.district.actions("office")[-1] == "queue.exported"


@pytest.mark.parametrize(
    "query",
    ["urgensi=6", "pos=x", "aturan=x", "umur=9", "status=x", "petugas=Budi", "desa=64", "hal=0"],
)
def test_a_filter_that_means_nothing_is_refused(client: FlaskClient, staff: Person, query: str) -> None:
    assert client.get(f"/antrean?{query}").status_code == 400
