"""People in a real Chromium, over each kind of database: invite, choose a password, set up the second step, sign in with it
and without the phone, look at the own account, be shut out. Two people at once: the administrator and the invited.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser._office import Office, give_password, set_up
from tests.browser._window import served
from tests.server._district import Databases, District
from tests.server.web._clinic import PASSWORD, Clinic

pytestmark = [pytest.mark.browser, pytest.mark.postgresql]

NEW = "perahu-di-teluk-biru"


@pytest.fixture(scope="module")
def office(postgresql_databases: Databases, browser: Browser, pictures: Path) -> Iterator[Office]:
    with District.opened(postgresql_databases, cookie_secure=False, second_factor=True) as district:
        clinic = Clinic.opened(district)
        with served(district) as url, ExitStack() as windows:
            yield Office(clinic, url, browser, pictures, windows)


def test_person_is_invited_comes_in_and_is_shut_out(office: Office) -> None:
    admin, guest, phone = office.window(), office.window(), office.window()
    boss = office.clinic.person("administrator", "district", "64.02")

    give_password(admin, boss.username, PASSWORD)
    admin.look("people-set-up")
    set_up(admin)
    admin.look("people-codes")
    admin.page.get_by_role("link", name="Sudah saya simpan").click()
    expect(admin.page.get_by_role("heading", level=1)).to_have_text("Orang")
    admin.page.get_by_role("link", name="Undang orang").click()
    admin.look("people-roles")
    admin.page.get_by_role("link", name="Petugas puskesmas").click()
    admin.page.get_by_label("Nama, seperti").fill("Bidan Contoh")
    admin.page.get_by_label("Nama pengguna").fill("bidan.contoh")
    admin.page.get_by_label("Wilayah").select_option(label="Puskesmas Contoh")
    admin.look("people-invite")
    admin.page.get_by_role("button", name="Buat undangan").click()
    admin.look("people-link")
    link = admin.page.get_by_label("Tautan sekali pakai").input_value()

    guest.page.goto(link)
    guest.page.get_by_label("Kata sandi baru", exact=True).fill("passwordpassword")
    guest.page.get_by_label("Kata sandi baru sekali lagi").fill("passwordpassword")
    guest.page.get_by_role("button", name="Simpan").click()
    expect(guest.page.get_by_role("alert")).to_contain_text("mudah ditebak")
    guest.forgive("422")
    guest.look("people-invited-refused")
    guest.page.get_by_label("Kata sandi baru", exact=True).fill(NEW)
    guest.page.get_by_label("Kata sandi baru sekali lagi").fill(NEW)
    guest.page.get_by_role("button", name="Simpan").click()
    codes = set_up(guest)
    guest.page.get_by_role("link", name="Sudah saya simpan").click()
    guest.page.wait_for_url("**/antrean")

    give_password(phone, "bidan.contoh", NEW)
    phone.page.get_by_label("Kode").fill("000000")
    phone.page.get_by_role("button", name="Lanjut").click()
    expect(phone.page.get_by_role("alert")).to_contain_text("Kode tidak cocok")
    phone.forgive("401")
    phone.look("people-code-refused")
    phone.page.get_by_label("Kode").fill(codes[0].lower())
    phone.page.get_by_role("button", name="Lanjut").click()
    expect(phone.page.get_by_role("status")).to_contain_text("Sisa 9")
    phone.look("people-codes-left")

    guest.page.goto("/akun")
    expect(guest.page.get_by_text("yang ini")).to_have_count(1)
    guest.look("people-account")
    guest.page.get_by_role("button", name="Akhiri semua yang lain").click()
    phone.page.goto("/antrean")
    expect(phone.page.get_by_role("heading", level=1)).to_have_text("Masuk")

    admin.page.goto("/orang")
    admin.look("people-list")
    admin.page.get_by_role("button", name="Nonaktifkan Bidan Contoh").click()
    expect(admin.page.get_by_text("Dinonaktifkan")).to_have_count(2)  # beside the person, and in the filter
    guest.page.goto("/antrean")
    expect(guest.page.get_by_role("heading", level=1)).to_have_text("Masuk")


def test_donor_whom_nobody_has_named_yet_is_told_what_to_do(office: Office) -> None:
    window = office.window()
    give_password(window, office.clinic.donor().username, PASSWORD)
    set_up(window)
    window.page.get_by_role("link", name="Sudah saya simpan").click()
    expect(window.page.get_by_text("belum dihubungkan dengan donatur")).to_be_visible()
    window.page.goto("/beranda")
    expect(window.page.get_by_role("heading", level=1)).to_contain_text("Selamat datang")
    window.look("people-welcome")
    window.page.get_by_role("main").get_by_role("link", name="Akun saya").click()
    window.page.get_by_role("link", name="Ganti kata sandi").click()
    window.look("people-password")
