"""Setting up a second factor as a browser does."""

import re
from datetime import UTC, datetime

import pyotp
from flask.testing import FlaskClient

from server.accounts import Person
from tests.server.web._clinic import sign_in


def now_code(page: str) -> str:
    """Give the code that an app would show, having read the key on a page."""
    (key,) = re.findall(r'<code class="key">([A-Z2-7 ]+)</code>', page)
    return pyotp.TOTP(key.replace(" ", "")).at(datetime.now(UTC))


def pass_all(client: FlaskClient, person: Person) -> list[str]:
    """Sign in and set up the second factor; give the recovery codes."""
    sign_in(client, person)
    page = client.get("/akun/faktor-kedua").text
    return set_up(client, page)


def set_up(client: FlaskClient, page: str, **form: str) -> list[str]:
    done = client.post("/akun/faktor-kedua", data={**hidden(page), "code": now_code(page), **form})
    assert done.status_code == 200, done.text
    return re.findall(r"<li><code>([A-Z2-9-]{14})</code></li>", done.text)


def hidden(page: str) -> dict[str, str]:
    """Give the hidden fields of the form in a page's content."""
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.split("<main")[1]))
