"""The pages where staff decide, as a browser meets them: what is shown, what a form does, what is refused and how."""

import html
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from server.app import create_app
from server.web.forms import registers as desk_forms
from server.web.forms.registers import FIELDS, SCALES
from sync_protocol import REGISTERS, measurement_id
from tests.builders import make_wire
from tests.server._district import District, FakeTablet, identity
from tests.server.web._clinic import DAYS, Clinic, sign_in

ON = DAYS[-1]
NAME = "Anak Berselisih"
NIK = "6402061001250001"
MOTHER: dict[str, object] = {"mother": "Ibu Contoh Melati", "father": None, "phone": None}


class Desk:
    """Somebody of the office at a browser."""

    def __init__(self, district: District) -> None:
        self.clinic, self.district = Clinic.opened(district), district
        self.app = create_app(district.hub.settings, district.hub)
        self.staff = self.clinic.person()
        self.client = self.app.test_client()
        sign_in(self.client, self.staff)

    def another(self, role: str = "staff", *scope: str) -> FlaskClient:
        """Sign in somebody else, at a browser of their own."""
        client = self.app.test_client()
        sign_in(client, self.clinic.person(role, *(scope or ("district", "64.02"))))
        return client

    def get(self, path: str, client: FlaskClient | None = None) -> str:
        answer = (client or self.client).get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(
        self, path: str, form: dict[str, str] | None = None, /, by: FlaskClient | None = None, **more: str
    ) -> TestResponse:
        """Send a form as the page at `path` has it, with its hidden fields."""
        client = by or self.client
        shown = fields(self.get(path, client))
        hidden = {name: shown[name] for name in ("csrf_token", "konteks", "dari") if name in shown}
        return client.post(path, data={**hidden, **(form or {}), **more})

    def disputed(self) -> tuple[str, str]:
        """Let two tablets weigh a child differently; give the child and the card's address."""
        child = self.clinic.disputed_child(NAME)
        return child, f"/selisih/measurement/{measurement_id(child, ON, 'cadre')}"

    def set_aside(self, **values: Any) -> tuple[str, str]:
        """Let a tablet send a weighing that is set aside; give the child and the case's address."""
        child = self.clinic.child("Anak Karantina", days=DAYS[-3:-1])
        tablet = self.clinic.first
        tablet.measure(child, ON, **(values or {"weight_g": 92, "length_mm": 785}))
        tablet.sync_until_quiet()
        return child, f"/karantina/{tablet.id}/{tablet.replica.log[-1].change.dot.counter}"

    def twice(self) -> tuple[str, str, str]:
        """Let two posts register one child; give both and the pair's address."""
        clinic = self.clinic
        one = clinic.child("Bunga Contoh Satu", days=DAYS[-3:-1], parents=MOTHER)
        other = clinic.child("Bunga Contoh Satoe", days=DAYS[-1:], parents=MOTHER, tablet=clinic.second)
        return one, other, f"/kembar/{one}/{other}"


@pytest.fixture
def desk(installed: District) -> Desk:
    """Give a desk on each kind of database."""
    return Desk(installed)


@pytest.fixture
def small(on_sqlite: District) -> Desk:
    """Give a desk on SQLite, for what does not depend on the database."""
    return Desk(on_sqlite)


def fields(page: str) -> dict[str, str]:
    """Give the values of a page's inputs by name, the first of each (of the main content)."""
    found: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", page.partition("<main")[2]):
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if "name" in attributes:
            found.setdefault(attributes["name"], html.unescape(attributes.get("value", "")))
    return found


def radios(page: str, name: str) -> list[str]:
    """Give the values that can be chosen under a name."""
    tags = re.findall(rf'<input type="radio"[^>]*name="{name}"[^>]*>', page)
    return [html.unescape(re.search(r'value="([^"]*)"', tag)[1]) for tag in tags]  # type: ignore[index]


def visible(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.partition("<main")[2])))


# -- conflicts ------------------------------------------------------------------------------------


def test_conflict_is_listed_and_shown_with_what_each_value_would_mean(small: Desk) -> None:
    _, path = small.disputed()
    listed = small.get("/selisih")
    assert f'href="{path}"' in listed
    assert NAME in listed
    card = visible(small.get(path))
    for said in ("9,90 kg", "6,90 kg", "Tablet A", "Tablet D", "Dicatat", "Tiba di server", "N/T"):
        assert said in card
    assert "Turun 2,94 kg sejak 5 Feb 2026 (9,84 kg): lebih dari 2 kg dalam sebulan." in card
    assert re.search("Nilai [AB] kurang masuk akal", card)


def test_childs_page_leads_to_where_it_can_be_decided(small: Desk) -> None:
    child, path = small.disputed()
    page = small.get(f"/anak/{child}")
    assert f'class="button" href="{path}"' in page
    assert f'href="/anak/{child}/pindah"' in page
    seen = small.get(f"/anak/{child}", small.another("cadre", "post", small.district.posts[0]))
    assert path not in seen
    assert "pindah" not in seen


def test_conflict_shows_the_growth_curve_with_each_value_under_its_letter(small: Desk) -> None:
    _, path = small.disputed()
    page = small.get(path)
    assert page.count('class="letter"') == 4  # A and B on two charts
    assert re.search(r"<desc[^>]*>[^<]*A: 5 Mar 2026, \d,\d\d kg \([−+]\d,\d\d SD\)\. B: ", page)


def test_conflict_is_settled_with_one_of_the_values(desk: Desk) -> None:
    child, path = desk.disputed()
    first = radios(desk.get(path), "pilih-weight")[0]
    answer = desk.post(path, {"pilih-weight": first, "alasan": "measured-again"})
    assert (answer.status_code, answer.location) == (303, f"{path}?selesai=1")
    page = visible(desk.get(answer.location))
    assert "Tersimpan." in page
    assert "Petugas Contoh" in page
    assert all(value in page for value in ("9,90 kg kader-contoh", "6,90 kg kader-contoh"))
    desk.clinic.first.sync_until_quiet()
    value = desk.clinic.first.state(child, ON).value("weight")
    assert value is not None
    assert value["weight_g"] in (9900, 6900)
    assert "Tidak ada nilai berbeda" in desk.get("/selisih")


@pytest.mark.parametrize("typed", ["9,2", "9.2", "9.200"])
def test_conflict_is_settled_with_a_new_value_in_kilograms(small: Desk, typed: str) -> None:
    child, path = small.disputed()
    form = {"pilih-weight": "baru", "weight-weight_g": typed, "alasan": "measured-again"}
    assert small.post(path, form).status_code == 303
    small.clinic.first.sync_until_quiet()
    assert small.clinic.first.state(child, ON).value("weight") == {"weight_g": 9200, "oedema": None}


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (
            {"pilih-weight": "baru", "weight-weight_g": "92"},
            "92 kg tidak mungkin benar. Tulis angka dari 0,5",
        ),
        ({"pilih-weight": "baru", "weight-weight_g": "sembilan"}, "Tulis angka dari 0,5 sampai 40 kg."),
        ({"pilih-weight": "baru", "weight-weight_g": "9,2345"}, "Tulis angka dari 0,5 sampai 40 kg."),
        ({"pilih-weight": "baru"}, "belum diisi"),
        ({"alasan": "measured-again"}, "Pilih satu nilai dahulu."),
        ({"pilih-weight": "omong kosong", "alasan": "measured-again"}, "Belum tersimpan"),
    ],
)
def test_settling_refuses_beside_the_field_and_keeps_what_was_typed(
    small: Desk, form: dict[str, str], said: str
) -> None:
    _, path = small.disputed()
    refused = small.post(path, form)
    assert refused.status_code == 422
    assert said in visible(refused.text)
    if typed := form.get("weight-weight_g"):
        assert f'name="weight-weight_g" value="{typed}"' in refused.text
        assert 'aria-describedby="e-weight-weight_g"' in refused.text
    if "alasan" not in form:
        assert 'aria-describedby="e-alasan"' in refused.text or "weight-weight_g" not in form


def test_value_that_arrives_between_reading_and_settling_is_asked_about(desk: Desk) -> None:
    child, path = desk.disputed()
    page = desk.get(path)
    shown = fields(page)
    rival = desk.district.tablet(0, "Tablet E")
    rival.measure(child, ON, weight_g=9300)
    rival.sync_until_quiet()
    form = {name: shown[name] for name in ("csrf_token", "konteks")}
    form |= {"pilih-weight": radios(page, "pilih-weight")[0], "alasan": "asked-the-cadres"}
    answer = desk.client.post(path, data=form)
    left = visible(desk.get(answer.location))
    assert "nilai lain tiba sementara itu" in left
    assert "9,30 kg" in left


def test_whoever_comes_second_is_told_who_settled_and_keeps_what_was_typed(desk: Desk) -> None:
    _, path = desk.disputed()
    page = desk.get(path)
    late = {name: fields(page)[name] for name in ("csrf_token", "konteks")}
    other = desk.another()
    chosen = {"pilih-weight": radios(page, "pilih-weight")[0], "alasan": "measured-again"}
    assert desk.post(path, chosen, by=other).status_code == 303
    late |= {"pilih-weight": "baru", "weight-weight_g": "9,25", "alasan": "measured-again"}
    for form in (late, late | {"weight-weight_g": "", "muac-muac_mm": "9,25"}):
        answer = desk.client.post(path, data=form)
        assert answer.status_code == 409
        assert "Sudah didahului: Petugas Contoh" in visible(answer.text)
        assert "9,25" in visible(answer.text)


def test_contested_removal_is_decided_on_its_card(desk: Desk) -> None:
    clinic = desk.clinic
    rival = desk.district.tablet(0, "Tablet D")
    child = clinic.child("Anak Dihapus", days=())
    clinic.first.measure(child, ON, weight_g=9000)
    desk.district.settle(clinic.first, rival)
    clinic.first.remove(child, ON)
    rival.measure(child, ON, muac_mm=140)
    desk.district.settle(clinic.first, rival)
    path = f"/selisih/measurement/{measurement_id(child, ON, 'cadre')}"
    assert "salah anak" in visible(desk.get(path))
    assert desk.post(path, {"pilih-removed": "keep", "alasan": "asked-the-cadres"}).status_code == 303
    desk.district.settle(clinic.first, rival)
    assert not rival.state(child, ON).removed


def test_identity_and_nik_in_conflict_are_shown_whole_and_settled_together(small: Desk) -> None:
    clinic = small.clinic
    rival = small.district.tablet(0, "Tablet D")
    child = clinic.child("Anak Tanggal", waz=-2.5)
    rival.sync_until_quiet()
    for tablet, nik, born_on in ((clinic.first, NIK, "2025-01-10"), (rival, f"{NIK[:-1]}3", "2025-10-01")):
        tablet.edit_child(child, nik={"nik": nik}, identity=identity(name="Anak Tanggal", born_on=born_on))
        tablet.sync_until_quiet()
    path = f"/selisih/child/{child}"
    page = small.get(path)
    assert NIK in page
    assert "Hasil ukur terbaru akan menjadi" in page
    form = {f"pilih-{name}": radios(page, f"pilih-{name}")[0] for name in ("identity", "nik")}
    assert small.post(path, form, alasan="seen-on-a-document").status_code == 303
    (row,) = small.district.rows(text("SELECT details FROM audit_entry WHERE action = 'conflict.settled'"))
    assert '"registers":["identity","nik"]' in row.details


def test_incomplete_record_names_the_tablet_it_waits_for(small: Desk) -> None:
    clinic, district = small.clinic, small.district
    child = clinic.child("Anak Menunggu", days=())
    rival = district.tablet(0, "Tablet D")
    rival.sync_until_quiet()
    backup = district.back_up()
    clinic.first.measure(child, ON, weight_g=9000)
    district.settle(clinic.first, rival)
    rival.measure(child, ON, muac_mm=140)
    district.restore(backup)
    rival.sync_until_quiet()
    sign_in(small.client, small.staff)
    assert "Menunggu kiriman ulang dari tablet" in visible(small.get("/selisih"))
    card = visible(small.get(f"/selisih/measurement/{measurement_id(child, ON, 'cadre')}"))
    assert "Tablet A" in card
    assert "Tidak ada yang perlu diputuskan" in card


def test_list_is_filtered_by_post_and_friendly_when_empty(small: Desk) -> None:
    assert "Tidak ada nilai berbeda" in small.get("/selisih")
    small.disputed()
    assert NAME in small.get(f"/selisih?pos={small.district.posts[0]}")
    assert NAME not in small.get(f"/selisih?pos={small.district.posts[1]}")
    for query in ("pos=x", "hal=0", "hal=x"):
        assert small.client.get(f"/selisih?{query}").status_code == 400


# -- the same child twice -------------------------------------------------------------------------


def test_pair_is_compared_and_every_decision_can_be_taken_back(desk: Desk) -> None:
    _, _, path = desk.twice()
    assert f'href="{path}"' in desk.get("/kembar")
    card = visible(desk.get(path))
    for said in (
        "Bunga Contoh Satu",
        "Bunga Contoh Satoe",
        "Ibu Contoh Melati",
        "Melati 1",
        "Anggrek 2",
        "= sama",
    ):
        assert said in card
    for what, heading in (
        ("different", "Dua anak berbeda"),
        ("reopen", "Apakah ini anak yang sama?"),
        ("link", "Satu anak dengan dua data"),
        ("unlink", "Apakah ini anak yang sama?"),
    ):
        answer = desk.post(path, tindakan=what)
        assert answer.status_code == 303
        assert heading in visible(desk.get(answer.location))
    assert "Petugas Contoh" in visible(desk.get("/kembar") + desk.get(path))


def test_second_of_two_who_decide_about_a_pair_is_told(desk: Desk) -> None:
    _, _, path = desk.twice()
    shown = fields(desk.get(path))
    assert desk.post(path, by=desk.another(), tindakan="link").status_code == 303
    form = {"csrf_token": shown["csrf_token"], "konteks": shown["konteks"], "tindakan": "different"}
    late = desk.client.post(path, data=form)
    assert late.status_code == 409
    assert "Diputuskan oleh Petugas Contoh" in visible(late.text)


def test_pair_refuses_what_is_no_decision(small: Desk) -> None:
    _, _, path = small.twice()
    assert small.post(path, tindakan="omong-kosong").status_code == 400
    token = fields(small.get(path))["csrf_token"]
    for context in ("", "[]", '{"x": 1}', '{"x": {"y": 1}}'):
        form = {"csrf_token": token, "tindakan": "link", "konteks": context}
        assert small.client.post(path, data=form).status_code == 400


def test_pairs_are_listed_by_what_became_of_them(small: Desk) -> None:
    _, _, path = small.twice()
    small.post(path, tindakan="different")
    assert "Tidak ada pasangan yang menunggu" in small.get("/kembar")
    assert f'href="{path}"' in small.get("/kembar?status=different")
    assert small.client.get("/kembar?status=x").status_code == 400


# -- what was set aside ---------------------------------------------------------------------------


def test_case_is_shown_in_words_with_every_reason_beside_its_field(small: Desk) -> None:
    _, path = small.set_aside()
    listed = visible(small.get("/karantina"))
    assert "Anak Karantina" in listed
    page = small.get(path)
    assert 'name="weight-weight_g" value="0,092"' in page
    assert "0,092 kg tidak mungkin benar. Tulis angka dari 0,5 sampai 40 kg." in visible(page)
    assert 'name="length-length_mm" value="78,5"' in page
    assert f'name="key-measured_on" value="{ON}"' in page


def test_case_is_corrected_released_and_taken_back(desk: Desk) -> None:
    child, path = desk.set_aside()
    form = fields(desk.get(path)) | {
        "weight-weight_g": "9,2",
        "tindakan": "release",
        "length-position": "lying",
    }
    form["key-source"] = "cadre"
    answer = desk.client.post(path, data=form)
    assert answer.status_code == 303, visible(answer.text)
    assert "Sudah diperbaiki dan disimpan" in desk.get(answer.location)
    desk.clinic.first.sync_until_quiet()
    state = desk.clinic.first.state(child, ON)
    assert state.value("weight") == {"weight_g": 9200, "oedema": None}
    assert state.value("length") == {"length_mm": 785, "position": "lying"}
    assert desk.post(path, tindakan="undo").status_code == 303
    desk.clinic.first.sync_until_quiet()
    assert desk.clinic.first.state(child, ON).removed
    assert "Dibuka kembali oleh Petugas Contoh" in visible(desk.get(path))
    told = visible(desk.get(f"/anak/{child}"))
    assert "dibuka kembali, menunggu puskesmas" in told
    assert "perbaikan dibatalkan" in told


def test_correction_is_refused_beside_the_field_and_kept(small: Desk) -> None:
    _, path = small.set_aside()
    form = fields(small.get(path)) | {
        "weight-weight_g": "920",
        "tindakan": "release",
        "key-measured_on": "2030-01-01",
    }
    refused = small.client.post(path, data=form)
    assert refused.status_code == 422
    assert 'name="weight-weight_g" value="920"' in refused.text
    assert "sesudah hari ini" in visible(refused.text)


def test_field_that_was_emptied_is_left_out(small: Desk) -> None:
    child, path = small.set_aside()
    form = fields(small.get(path)) | {
        "weight-weight_g": "",
        "tindakan": "release",
        "length-position": "lying",
    }
    assert small.client.post(path, data=form).status_code == 303
    small.clinic.first.sync_until_quiet()
    state = small.clinic.first.state(child, ON)
    assert list(state.registers) == ["length"]


def test_case_is_dismissed_with_a_reason_and_opened_again(desk: Desk) -> None:
    _, path = desk.set_aside()
    refused = desk.post(path, tindakan="dismiss")
    assert refused.status_code == 422
    assert "Pilih alasan menyingkirkannya." in visible(refused.text)
    assert desk.post(path, tindakan="dismiss", alasan="practice").status_code == 303
    assert "latihan atau uji coba" in visible(desk.get(path))
    assert "Disingkirkan oleh Petugas Contoh" in visible(desk.get("/karantina?keadaan=decided"))
    assert desk.post(path, tindakan="reopen").status_code == 303
    assert "Anak Karantina" in desk.get("/karantina")


def test_second_of_two_who_decide_about_a_case_keeps_what_was_typed(desk: Desk) -> None:
    _, path = desk.set_aside()
    form = fields(desk.get(path)) | {
        "weight-weight_g": "9,25",
        "tindakan": "release",
        "length-position": "lying",
    }
    assert desk.post(path, by=desk.another(), tindakan="dismiss", alasan="practice").status_code == 303
    late = desk.client.post(path, data=form)
    assert late.status_code == 409
    assert "Sudah didahului: Petugas Contoh" in visible(late.text)
    assert "9,25" in visible(late.text)


def test_release_that_somebody_built_upon_is_not_taken_back_and_says_why(desk: Desk) -> None:
    child, path = desk.set_aside()
    form = fields(desk.get(path)) | {
        "weight-weight_g": "9,2",
        "tindakan": "release",
        "length-position": "lying",
    }
    desk.client.post(path, data=form)
    tablet = desk.clinic.first
    tablet.sync_until_quiet()
    tablet.measure(child, ON, weight_g=9250)
    tablet.sync_until_quiet()
    refused = desk.post(path, tindakan="undo")
    assert refused.status_code == 409
    assert "sudah diubah atau dipakai orang lain sesudahnya (Berat)" in visible(refused.text)


def test_registration_with_a_wrong_nik_is_corrected_and_the_rest_stays(desk: Desk) -> None:
    tablet = desk.clinic.first
    child = tablet.register_child(identity=identity(name="Anak NIK"), nik={"nik": NIK[:-1]}, parents=MOTHER)
    tablet.sync_until_quiet()
    path = f"/karantina/{tablet.id}/{tablet.replica.log[-1].change.dot.counter}"
    page = desk.get(path)
    assert NIK[:-1] in page
    assert "harus tepat 16 angka" in visible(page)
    form = fields(page) | {"nik-nik": NIK, "identity-sex": "M", "tindakan": "release"}
    assert desk.client.post(path, data=form).status_code == 303
    tablet.sync_until_quiet()
    state = tablet.state(child)
    assert (state.value("nik"), state.value("parents")) == ({"nik": NIK}, {"mother": MOTHER["mother"]})


@pytest.mark.parametrize("came", [None, [], {"weight": 5}, {"weight": {"weight_g": [1]}}, {"berat": {}}, {}])
def test_case_is_shown_whatever_a_tablet_sent(small: Desk, came: object) -> None:
    tablet = small.clinic.first
    child = small.clinic.child("Anak Aneh", days=())
    wire = make_wire(
        key={"child": child, "measured_on": ON, "source": "cadre"},
        id=measurement_id(child, ON, "cadre"),
        set=came,
    )
    path = sent_raw(tablet, wire)
    page = small.get(path)
    assert "Anak Aneh" in page
    assert 'name="weight-weight_g"' in page


def test_case_of_an_unknown_kind_can_only_be_put_away(small: Desk) -> None:
    path = sent_raw(small.clinic.first, make_wire(kind="imunisasi"))
    page = visible(small.get(path))
    assert "tidak dapat diperbaiki di sini" in page
    assert small.post(path, tindakan="dismiss", alasan="practice").status_code == 303


def sent_raw(tablet: FakeTablet, wire: dict[str, Any]) -> str:
    """Let a tablet send a change as it stands here, whatever it is; give the case's address."""
    tablet.register_child()  # in the place of which it is sent
    batch = tablet.replica.next_batch(tablet.district.new_id(), tablet.district.clock.text())
    batch = {**batch, "changes": [wire]}
    answer = tablet.send(tablet.signed(batch))
    return f"/karantina/{tablet.id}/{answer['receipt']['items'][0][0]}"


# -- moving ---------------------------------------------------------------------------------------


def test_child_is_moved_and_moved_back(desk: Desk) -> None:
    child = desk.clinic.child("Anak Pindah")
    first, second, _ = desk.clinic.district.posts  # type: ignore[misc]  # a clinic has three
    path = f"/anak/{child}/pindah"
    page = desk.get(path)
    assert "Anggrek 2" in page
    assert "Kenanga 3" not in page  # of another health centre: found by searching
    answer = desk.post(path, ke=second)
    assert answer.status_code == 303
    done = desk.get(answer.location)
    assert "Sudah pindah ke Anggrek 2" in visible(done)
    assert "Kembalikan ke Melati 1" in visible(done)
    assert desk.post(answer.location, ke=first).status_code == 303
    assert "sekarang di Melati 1" in visible(desk.get(path))


def test_child_that_left_the_area_can_be_brought_back_by_who_moved_it(desk: Desk) -> None:
    child = desk.clinic.child("Anak Pindah")
    first, _, elsewhere = desk.clinic.district.posts  # type: ignore[misc]  # as above
    path = f"/anak/{child}/pindah"
    assert "Kenanga 3" in desk.get(f"{path}?cari=kenanga lain")
    answer = desk.post(path, ke=elsewhere)
    gone = desk.get(answer.location)
    assert "Anak Pindah" not in gone
    assert desk.client.get(f"/anak/{child}").status_code == 404
    form = {name: fields(gone)[name] for name in ("csrf_token", "dari", "ke")}
    assert form["ke"] == first
    assert desk.client.post(path, data=form).status_code == 303
    assert desk.client.get(f"/anak/{child}").status_code == 200


def test_second_of_two_who_move_a_child_is_told_by_whom_and_where(desk: Desk) -> None:
    child = desk.clinic.child("Anak Pindah")
    _, second, elsewhere = desk.clinic.district.posts  # type: ignore[misc]  # as above
    path = f"/anak/{child}/pindah"
    shown = fields(desk.get(path))
    assert desk.post(path, by=desk.another(), ke=second).status_code == 303
    form = {"csrf_token": shown["csrf_token"], "dari": shown["dari"], "ke": elsewhere}
    late = desk.client.post(path, data=form)
    assert late.status_code == 422
    assert "Sudah didahului: Petugas Contoh memindahkan anak ini ke Anggrek 2" in visible(late.text)


def test_move_says_when_no_post_is_chosen_or_none_is_found(small: Desk) -> None:
    child = small.clinic.child("Anak Pindah")
    path = f"/anak/{child}/pindah"
    assert small.post(path).status_code == 422
    assert "Posyandu tidak ditemukan" in visible(small.get(f"{path}?cari=tidak ada"))


def test_child_that_cannot_move_says_why(small: Desk) -> None:
    clinic = small.clinic
    unborn = small.district.new_id()
    clinic.first.measure(unborn, ON, weight_g=9000)
    clinic.first.sync_until_quiet()
    assert "Pendaftarannya masih di tablet" in visible(small.get(f"/anak/{unborn}/pindah"))
    child = clinic.child("Anak Rebutan")
    rival = small.district.tablet(0, "Tablet D")
    rival.sync_until_quiet()
    for tablet, post in ((clinic.first, small.district.posts[0]), (rival, small.district.posts[1])):
        tablet.edit_child(child, post={"post": post})
        tablet.sync_until_quiet()
    page = small.get(f"/anak/{child}/pindah")
    assert f'href="/selisih/child/{child}"' in page


# -- who may --------------------------------------------------------------------------------------

UNKNOWN = "01900000-0000-7000-8000-00000000ffff"
PAGES = (
    "/selisih",
    f"/selisih/child/{UNKNOWN}",
    "/kembar",
    f"/kembar/{UNKNOWN}/01900000-0000-7000-8000-00000000fffe",
    "/karantina",
    f"/karantina/{UNKNOWN}/1",
    f"/anak/{UNKNOWN}/pindah",
)


def test_pages_are_for_staff_and_supervisors_alone(small: Desk) -> None:
    stranger = small.app.test_client()
    post = small.district.posts[0]
    others = [small.another("administrator"), small.another("cadre", "post", post)]
    supervisor = small.another("supervisor")
    for path in PAGES:
        assert stranger.get(path).status_code == 302
        assert [client.get(path).status_code for client in others] == [403, 403]
        assert supervisor.get(path).status_code == (404 if UNKNOWN in path else 200)


def test_what_is_out_of_scope_is_not_found(small: Desk) -> None:
    child, dispute = small.disputed()
    _, case = small.set_aside()
    _, _, pair = small.twice()
    far = small.another("staff", "health_centre", small.clinic.other_centre)
    for path in (dispute, case, pair, f"/anak/{child}/pindah"):
        assert far.get(path).status_code == 404
    for path in ("/selisih", "/kembar", "/karantina"):
        assert "Anak" not in visible(small.get(path, far)).replace("Anak yang mungkin", "")


def test_every_look_is_logged_before_it_is_shown(small: Desk) -> None:
    child, dispute = small.disputed()
    _, case = small.set_aside()
    _, _, pair = small.twice()
    for path in (dispute, case, pair, f"/anak/{child}/pindah", "/selisih", "/kembar", "/karantina"):
        small.get(path)
    actions = {*small.district.actions("office"), *small.district.actions(f"post/{small.district.posts[0]}")}
    assert {
        *("conflict.viewed", "quarantine.viewed", "duplicate.viewed", "move.viewed"),
        *("conflicts.listed", "quarantine.listed", "duplicates.listed"),
    } <= actions
    assert small.district.broken_log() == []


def test_pages_run_no_inline_code_and_speak_english_too(small: Desk) -> None:
    _, dispute = small.disputed()
    _, case = small.set_aside()
    _, _, pair = small.twice()
    small.client.get("/bahasa/en")
    for path, said in ((dispute, "Unlikely"), (case, "Correct it"), (pair, "Is this one child?")):
        page = small.get(path)
        assert said in visible(page)
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=", page)
    assert "0.092 kg cannot be true. Write a number from 0.5 to 40 kg." in visible(small.get(case))


# -- fields ---------------------------------------------------------------------------------------


def test_every_register_that_can_be_corrected_has_fields() -> None:
    everything = set().union(*REGISTERS.values())
    # the first by linking, the second by the system that wrote it, doses on the tablet, which knows the schedule
    assert everything - FIELDS.keys() == {"same_as", "extra", "doses", "book_doses"}


def test_limits_beside_a_field_are_those_of_the_schema() -> None:
    from schemas.records import ChildRegisters, DeliveryRegisters, FollowUpRegisters, MeasurementRegisters

    parts = {
        name: part
        for registers in (ChildRegisters, MeasurementRegisters, FollowUpRegisters, DeliveryRegisters)
        for name, part in registers().fields.items()
    }
    for register, several in FIELDS.items():
        for field in several:
            if field.kind in (*SCALES, "whole"):
                schema = parts[register].schema  # type: ignore[attr-defined]  # a nested schema
                asked = schema.fields[field.name].validators[0]
                assert (asked.min, asked.max) == (field.low, field.high), (register, field.name)


def test_value_is_the_same_after_it_was_shown_and_sent() -> None:
    weight = FIELDS["weight"][0]
    for grams in (500, 9999, 10_000, 12_345, 40_000):
        assert desk_forms.typed(weight, f"{grams / 1000:.3f}".replace(".", ",")) == grams
