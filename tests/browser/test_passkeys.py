"""Passkeys in a real Chromium with a virtual authenticator: added, used as second step, alone and as proof, and removed."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import update

from server import audit
from server.accounts import people, sessions
from server.app import create_app
from server.database.models import UserSession, table
from tests.browser._office import Office, give_password, set_up
from tests.browser._window import Window, served
from tests.faults._running import free_port
from tests.server._district import DISTRICT, Databases, District
from tests.server.web._clinic import PASSWORD, Clinic

pytestmark = pytest.mark.browser

PHONE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
"""A phone whose screen lock is opened at once."""


@pytest.fixture
def office(sqlite_databases: Databases, browser: Browser, pictures: Path) -> Iterator[Office]:
    """Give an office whose public address is known: passkeys are bound to it."""
    port = free_port()
    url = f"http://localhost:{port}"
    given: dict[str, Any] = {"cookie_secure": False, "second_factor": True, "public_url": url}
    with District.opened(sqlite_databases, **given) as district:
        app = create_app(district.hub.settings, district.hub)
        with served(district, app, port), ExitStack() as windows:
            yield Office(Clinic.opened(district), url, browser, pictures, windows)


def let_pass(clinic: Clinic) -> None:
    """Let the last proof be too old."""
    before = datetime.now(UTC) - timedelta(minutes=sessions.PROOF_MINUTES)
    with clinic.district.hub.database.transaction() as session:
        session.execute(update(table(UserSession)).values(passed_at=before))
        audit.append(session, DISTRICT, audit.OFFICE, "test.waited", actor="operator", now=datetime.now(UTC))


def sign_out(window: Window) -> None:
    window.page.get_by_role("button", name="Keluar").click()
    expect(window.page.get_by_role("heading", level=1)).to_have_text("Masuk")


def test_passkey_is_added_used_everywhere_and_removed(office: Office) -> None:
    window, person = office.window(), office.clinic.person()
    page = window.page
    phone = page.context.new_cdp_session(page)
    phone.send("WebAuthn.enable")
    phone.send("WebAuthn.addVirtualAuthenticator", {"options": PHONE})

    give_password(window, person.username, PASSWORD)
    set_up(window)
    page.get_by_role("link", name="Sudah saya simpan").click()
    page.goto("/akun")
    page.get_by_role("link", name="Kelola kunci sandi").click()
    window.look("passkeys-none")
    page.get_by_label("Nama, misalnya").fill("HP saya")
    page.get_by_role("button", name="Tambah kunci sandi").click()
    expect(page.get_by_label("Nama", exact=True)).to_have_value("HP saya")
    window.look("passkeys")

    sign_out(window)
    window.look("passkeys-sign-in")
    page.get_by_role("button", name="Masuk dengan kunci sandi").click()
    page.wait_for_url("**/antrean")

    sign_out(window)
    give_password(window, person.username, PASSWORD)
    window.look("passkeys-second-step")
    page.get_by_role("button", name="Pakai kunci sandi").click()
    page.wait_for_url("**/antrean")

    page.goto("/akun/kunci-sandi")
    page.get_by_label("Nama", exact=True).fill("HP lama")
    page.get_by_role("button", name="Ganti nama").click()
    expect(page.get_by_label("Nama", exact=True)).to_have_value("HP lama")
    let_pass(office.clinic)
    page.get_by_role("button", name="Hapus kunci sandi HP lama").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Benarkah ini Anda?")
    window.forgive("403")
    window.look("proof")
    page.get_by_role("button", name="Pakai kunci sandi").click()
    expect(page.get_by_text("Anda belum punya.")).to_be_visible()

    sign_out(window)
    page.get_by_role("button", name="Masuk dengan kunci sandi").click()
    expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("Kunci sandi tidak diterima")
    window.forgive("401")
    assert office.clinic.district.actions(audit.OFFICE).count("proof.given") == 1


def test_passkey_that_the_phone_does_not_give_is_told(office: Office) -> None:
    window = office.window()
    phone = window.page.context.new_cdp_session(window.page)
    phone.send("WebAuthn.enable")
    phone.send("WebAuthn.addVirtualAuthenticator", {"options": {**PHONE, "isUserVerified": False}})
    window.page.goto("/masuk")
    window.page.get_by_role("button", name="Masuk dengan kunci sandi").click()
    expect(window.page.get_by_role("alert").filter(visible=True)).to_contain_text("Kunci sandi tidak dipakai")
    expect(window.page.get_by_role("button", name="Masuk dengan kunci sandi")).to_be_enabled()


def test_link_of_an_invitation_opens_by_itself_and_leaves_the_address(office: Office) -> None:
    """What follows "#" is sent by our script and taken out of the address; it is in no history."""
    hub, person = office.clinic.district.hub, office.clinic.person()
    with hub.database.transaction() as session:
        account = people.managed_account(session, hub, None, person.account_id)
        token = people.make_invitation(session, hub, account, actor="operator", now=datetime.now(UTC))
    window = office.window()
    window.page.goto(f"/undangan#{token}")
    expect(window.page.get_by_label("Kata sandi baru", exact=True)).to_be_visible()
    assert token not in window.page.url
    window.page.goto("/undangan")
    window.look("invitation")
