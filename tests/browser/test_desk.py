"""Deciding what nobody else can, in a real Chromium over each kind of database: values in conflict, changes that were set
aside, children registered twice, moves; each taken back, and with two people at once. Every page is looked at by axe at
both widths, once: it is the same page over either database.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from sync_protocol import measurement_id
from tests.browser._window import PHONE, Window, served
from tests.server._district import Databases, District, FakeTablet, identity
from tests.server.web._clinic import DAYS, Clinic

pytestmark = pytest.mark.browser

ON = DAYS[-1]
MOTHER: dict[str, object] = {"mother": "Ibu Contoh Melati", "father": "Bapak Contoh", "phone": None}


@dataclass
class Desk:
    """A served clinic, two tablets of one post, and two people at their windows."""

    clinic: Clinic
    rival: FakeTablet
    mine: Window
    other: Window

    @property
    def page(self) -> Page:
        return self.mine.page

    def look(self, name: str) -> None:
        self.mine.look(f"desk-{name}")

    def sync(self) -> None:
        for tablet in (self.clinic.first, self.rival, self.clinic.first):
            tablet.sync_until_quiet()

    def disputed(self, name: str, register: str = "weight") -> tuple[str, str]:
        """Let two tablets measure a child differently; give the child and its card's address."""
        child = self.clinic.child(name, days=DAYS[-5:-1])
        self.sync()
        values = {"weight": ("weight_g", 9950, 6900), "length": ("length_mm", 785, 745)}[register]
        for tablet, value in ((self.clinic.first, values[1]), (self.rival, values[2])):
            measured = {"weight_g": 9950, "length_mm": 785, values[0]: value}
            tablet.measure(child, ON, "cadre", **measured)
        self.sync()
        return child, f"/selisih/measurement/{measurement_id(child, ON, 'cadre')}"

    def set_aside(self, name: str) -> tuple[str, str]:
        child = self.clinic.child(name, days=DAYS[-5:-1])
        tablet = self.clinic.first
        tablet.measure(child, ON, weight_g=92, length_mm=785)
        tablet.sync_until_quiet()
        return child, f"/karantina/{tablet.id}/{tablet.replica.log[-1].change.dot.counter}"

    def twice(self, name: str) -> str:
        clinic = self.clinic
        one = clinic.child(f"{name} Satu", days=DAYS[-6:-2], parents=MOTHER, nik={"nik": "6402061001250001"})
        other = clinic.child(f"{name} Satoe", days=DAYS[-2:], parents=MOTHER, tablet=clinic.second)
        return f"/kembar/{one}/{other}"


@pytest.fixture(scope="module")
def desk(sqlite_databases: Databases, browser: Browser, pictures: Path) -> Iterator[Desk]:
    with District.opened(sqlite_databases, cookie_secure=False) as district:
        clinic = Clinic.opened(district)
        rival = district.tablet(0, "Tablet D")
        first, second = clinic.person().username, clinic.person("staff", "district", "64.02").username
        with (
            served(district) as url,
            Window.opened(browser, url, pictures) as mine,
            Window.opened(browser, url, pictures) as other,
        ):
            mine.sign_in(first)
            other.sign_in(second)
            yield Desk(clinic, rival, mine, other)


def choose(page: Page, letter: str) -> None:
    page.get_by_role("radio", name=re.compile(rf"^{letter} ")).check()


def save(page: Page, why: str = "diukur ulang") -> None:
    page.get_by_label("Dari mana Anda tahu?").select_option(label=why)
    page.get_by_role("button", name="Simpan keputusan").click()


def heading(page: Page) -> Locator:
    return page.get_by_role("heading", level=1)


# -- conflicts ------------------------------------------------------------------------------------


def test_lists_are_friendly_when_there_is_nothing_to_do(desk: Desk) -> None:
    for path, said in (
        ("/selisih", "Tidak ada nilai berbeda"),
        ("/kembar", "Tidak ada pasangan yang menunggu"),
        ("/karantina", "Tidak ada yang perlu diperbaiki"),
    ):
        desk.page.goto(path)
        expect(desk.page.get_by_role("heading", level=2)).to_have_text(said)
        desk.look(f"empty-{path[1:]}")


def test_conflict_is_settled_with_one_of_the_values(desk: Desk) -> None:
    child, _ = desk.disputed("Anak Contoh 001")
    page = desk.page
    page.goto("/selisih")
    desk.look("conflicts")
    page.get_by_role("link", name="Anak Contoh 001").click()
    expect(page.locator(".choice.doubtful")).to_have_count(1)
    expect(page.locator(".choice.doubtful")).to_contain_text("lebih dari 2 kg dalam sebulan")
    expect(page.locator("svg text.letter")).to_have_count(4)
    desk.look("conflict")
    choose(page, "A")
    save(page)
    expect(page.get_by_role("status")).to_contain_text("Tersimpan.")
    expect(page.get_by_role("row").filter(has_text="6,90 kg")).to_contain_text("diganti")
    desk.look("conflict-settled")
    desk.sync()
    assert desk.rival.state(child, ON).value("weight") == {"weight_g": 9950, "oedema": None}


def test_conflict_is_settled_with_a_new_value_after_a_slip_of_the_pen(desk: Desk) -> None:
    child, path = desk.disputed("Anak Contoh 002", "length")
    page = desk.page
    page.goto(path)
    expect(page.locator(".choice.doubtful")).to_contain_text("Anak tidak menyusut")
    page.get_by_role("radio", name="Nilai lain").check()
    page.get_by_label("Panjang/tinggi (cm)").fill("7,8")
    save(page, "ditanyakan kepada kader")
    expect(page.get_by_label("Panjang/tinggi (cm)")).to_have_value("7,8")
    expect(page.get_by_text("7,8 cm tidak mungkin benar")).to_be_visible()
    desk.mine.forgive("422")
    desk.look("conflict-refused")
    page.get_by_label("Panjang/tinggi (cm)").fill("78,0")
    page.get_by_label("Cara ukur").select_option(label="telentang")
    page.get_by_role("button", name="Simpan keputusan").click()
    expect(page.get_by_role("status")).to_contain_text("Tersimpan.")
    desk.sync()
    assert desk.rival.state(child, ON).value("length") == {"length_mm": 780, "position": "lying"}


def test_value_that_arrives_between_reading_and_settling_is_asked_about(desk: Desk) -> None:
    child, path = desk.disputed("Anak Contoh 003")
    page = desk.page
    page.goto(path)
    late = desk.clinic.district.tablet(0, "Tablet E")
    late.measure(child, ON, weight_g=9300)
    late.sync_until_quiet()
    choose(page, "A")
    save(page)
    expect(page.get_by_role("status")).to_contain_text("nilai lain tiba sementara itu")
    expect(page.get_by_text("9,30 kg").first).to_be_visible()
    desk.look("conflict-something-arrived")
    page.get_by_role("radio", name=re.compile("9,30 kg")).check()
    save(page)
    expect(page.get_by_role("status")).to_contain_text("Tersimpan.")


def test_second_of_two_who_settle_at_once_is_told_and_keeps_what_was_typed(desk: Desk) -> None:
    _, path = desk.disputed("Anak Contoh 004")
    for window in (desk.mine, desk.other):
        window.page.goto(path)
    choose(desk.other.page, "A")
    save(desk.other.page)
    desk.page.get_by_role("radio", name="Nilai lain").check()
    desk.page.get_by_label("Berat (kg)").fill("9,85")
    save(desk.page)
    expect(desk.page.get_by_role("alert")).to_contain_text("Sudah didahului: Petugas Contoh")
    expect(desk.page.get_by_text("9,85")).to_be_visible()
    desk.mine.forgive("409")
    desk.look("conflict-second")


def test_card_can_be_used_with_the_keyboard_alone(desk: Desk) -> None:
    _, path = desk.disputed("Anak Contoh 005")
    page = desk.page
    page.goto(path)
    page.locator("#content").focus()
    for _ in range(4):
        page.keyboard.press("Tab")
        if page.locator(":focus").get_attribute("type") == "radio":
            break
    page.keyboard.press("Space")
    expect(page.locator(":focus")).to_be_checked()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name=re.compile("^B "))).to_be_checked()


# -- what was set aside ---------------------------------------------------------------------------


def test_change_that_was_set_aside_is_corrected_and_taken_back(desk: Desk) -> None:
    child, _ = desk.set_aside("Anak Contoh 011")
    page = desk.page
    page.goto("/karantina")
    desk.look("cases")
    page.get_by_role("link", name="Anak Contoh 011").click()
    expect(page.get_by_label("Berat (kg)")).to_have_value("0,092")
    expect(page.get_by_text("0,092 kg tidak mungkin benar")).to_be_visible()
    desk.look("case")
    page.get_by_label("Berat (kg)").fill("9,2")
    page.get_by_role("button", name="Simpan perbaikan").click()
    expect(page.get_by_role("heading", name="Sudah diperbaiki dan disimpan")).to_be_visible()
    desk.look("case-released")
    desk.sync()
    assert desk.rival.state(child, ON).value("weight") == {"weight_g": 9200, "oedema": None}
    page.get_by_role("button", name="Batalkan").click()
    expect(page.get_by_role("status")).to_contain_text("kembali seperti semula")
    desk.look("case-undone")
    desk.sync()
    assert desk.rival.state(child, ON).removed


def test_change_that_was_put_away_is_opened_again(desk: Desk) -> None:
    _, path = desk.set_aside("Anak Contoh 012")
    page = desk.page
    page.goto(path)
    page.get_by_label("Mengapa?").select_option(label="latihan atau uji coba")
    page.get_by_role("button", name="Singkirkan").click()
    expect(page.get_by_role("heading", name="Disingkirkan")).to_be_visible()
    desk.look("case-dismissed")
    page.get_by_role("button", name="Buka kembali").click()
    expect(page.get_by_label("Berat (kg)")).to_be_visible()


def test_second_of_two_who_decide_about_a_case_keeps_what_was_typed(desk: Desk) -> None:
    _, path = desk.set_aside("Anak Contoh 013")
    for window in (desk.mine, desk.other):
        window.page.goto(path)
    desk.other.page.get_by_label("Mengapa?").select_option(label="tercatat dua kali")
    desk.other.page.get_by_role("button", name="Singkirkan").click()
    desk.page.get_by_label("Berat (kg)").fill("9,35")
    desk.page.get_by_role("button", name="Simpan perbaikan").click()
    expect(desk.page.get_by_role("alert")).to_contain_text("Sudah didahului: Petugas Contoh")
    expect(desk.page.get_by_text("9,35")).to_be_visible()
    desk.mine.forgive("409")
    desk.look("case-second")


def test_registration_with_a_wrong_nik_is_corrected(desk: Desk) -> None:
    tablet = desk.clinic.first
    child = tablet.register_child(
        identity=identity(name="Anak Contoh 014"), nik={"nik": "640206100125000"}, parents=MOTHER
    )
    tablet.sync_until_quiet()
    page = desk.page
    page.goto(f"/karantina/{tablet.id}/{tablet.replica.log[-1].change.dot.counter}")
    expect(page.get_by_text("harus tepat 16 angka")).to_be_visible()
    desk.look("case-registration")
    page.get_by_label("NIK, 16 angka").fill("6402061001250014")
    page.get_by_role("button", name="Simpan perbaikan").click()
    expect(page.get_by_role("heading", name="Sudah diperbaiki dan disimpan")).to_be_visible()
    tablet.sync_until_quiet()
    assert tablet.state(child).value("nik") == {"nik": "6402061001250014"}


# -- the same child twice -------------------------------------------------------------------------


def test_pair_is_linked_unlinked_called_different_and_looked_at_again(desk: Desk) -> None:
    desk.twice("Bunga Contoh")
    page = desk.page
    page.goto("/kembar")
    desk.look("pairs")
    page.get_by_role("link", name=re.compile("Bunga Contoh Satu")).click()
    expect(page.locator("svg .trail")).to_have_count(4)
    desk.look("pair")
    steps = (
        ("Ya, anak yang sama", "Satu anak dengan dua data", "pair-linked"),
        ("Lepaskan tautan", "Apakah ini anak yang sama?", "pair-unlinked"),
        ("Bukan, dua anak berbeda", "Dua anak berbeda", "pair-different"),
        ("Periksa lagi", "Apakah ini anak yang sama?", "pair-reopened"),
    )
    for button, said, name in steps:
        page.get_by_role("button", name=button).click()
        expect(heading(page)).to_have_text(said)
        expect(page.get_by_role("status")).to_contain_text("Tersimpan.")
        desk.look(name)


def test_second_of_two_who_decide_about_a_pair_is_told(desk: Desk) -> None:
    path = desk.twice("Kenanga Percobaan")
    for window in (desk.mine, desk.other):
        window.page.goto(path)
    desk.other.page.get_by_role("button", name="Ya, anak yang sama").click()
    desk.page.get_by_role("button", name="Bukan, dua anak berbeda").click()
    expect(desk.page.get_by_role("alert")).to_contain_text("sudah satu anak")
    expect(desk.page.get_by_text("Diputuskan oleh Petugas Contoh")).to_be_visible()
    desk.mine.forgive("409")


# -- moving ---------------------------------------------------------------------------------------


def test_child_is_moved_out_of_the_area_and_back(desk: Desk) -> None:
    child = desk.clinic.child("Anak Contoh 021", days=DAYS[-2:])
    page = desk.page
    page.goto(f"/anak/{child}/pindah")
    expect(page.get_by_role("radio")).to_have_count(1)
    desk.look("move")
    page.get_by_label("Cari posyandu, desa, atau puskesmas").fill("kenanga")
    page.get_by_role("button", name="Cari").click()
    page.get_by_role("radio", name="Kenanga 3").check()
    desk.look("move-searched")
    page.get_by_role("button", name="Pindahkan anak").click()
    expect(page.get_by_role("heading", name="Sudah pindah ke Kenanga 3")).to_be_visible()
    desk.look("moved")
    page.get_by_role("button", name="Kembalikan ke Melati 1").click()
    expect(page.get_by_text("sekarang di Melati 1")).to_be_visible()
    desk.look("moved-back")


def test_second_of_two_who_move_a_child_is_told_by_whom_and_where(desk: Desk) -> None:
    child = desk.clinic.child("Anak Contoh 022", days=DAYS[-2:])
    for window in (desk.mine, desk.other):
        window.page.goto(f"/anak/{child}/pindah?cari=puskesmas")
    desk.other.page.get_by_role("radio", name="Anggrek 2").check()
    desk.other.page.get_by_role("button", name="Pindahkan anak").click()
    desk.page.get_by_role("radio", name="Kenanga 3").check()
    desk.page.get_by_role("button", name="Pindahkan anak").click()
    expect(desk.page.get_by_role("alert")).to_contain_text("memindahkan anak ini ke Anggrek 2")
    desk.mine.forgive("422")
    desk.look("move-second")


def test_controls_are_large_enough_for_a_thumb(desk: Desk) -> None:
    _, path = desk.disputed("Anak Contoh 006")
    page = desk.page
    page.set_viewport_size({"width": PHONE, "height": 740})
    page.goto(path)
    small = page.locator(
        "main label[for], main button, main select, main input:not([type=radio])"
    ).evaluate_all(
        "es => es.filter(e => e.closest('.radio') || !e.matches('label'))"
        ".filter(e => e.offsetHeight > 0 && e.offsetHeight < 44 && e.type !== 'hidden').map(e => e.outerHTML.slice(0, 80))"
    )
    assert small == []
