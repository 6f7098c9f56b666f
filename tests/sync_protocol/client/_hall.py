"""A client and a real server in one process: a transport that speaks to the application, and fails when a test says so."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from flask.testing import FlaskClient

from server import accounts
from server.crypto.vault import SigningKey
from sync_protocol import Json
from sync_protocol.client import Answer, Client, LineLost, Pace
from tests.server._district import District, identity

APP = "contoh/1"
URL = "http://contoh.invalid"


class KeysByNumber:
    """Keys whose name is the private number: a test has no key store."""

    def make(self) -> str:
        return str(SigningKey().private_number())

    def find(self, name: str) -> SigningKey:
        return SigningKey.from_private_number(int(name))


Trouble = Callable[["Hall", str, bytes], Answer]


@dataclass
class Hall:
    """The way to the server. `troubles` are met one after the other; then the way is clear."""

    web: FlaskClient
    troubles: list[Trouble] = field(default_factory=list)
    sent: list[tuple[str, bytes]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def post(self, path: str, body: bytes) -> Answer:
        self.sent.append((path, body))
        return self.troubles.pop(0)(self, path, body) if self.troubles else self.through(path, body)

    def through(self, path: str, body: bytes) -> Answer:
        """Let a request reach the server, and its answer come back."""
        response = self.web.post(path, data=body, content_type="application/json")
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, response.data, headers)

    def batches(self) -> list[Any]:
        """Give the batches that were sent, each as often as it was."""
        return [orjson.loads(body)["batch"] for path, body in self.sent if path.endswith("/sync")]


def lost(*, sent: bool) -> Trouble:
    """Lose the request (sent: all of it went out, and nobody knows whether it arrived; it did not)."""

    def trouble(_hall: Hall, _path: str, _body: bytes) -> Answer:
        raise LineLost("cut", sent=sent)

    return trouble


def answer_lost(hall: Hall, path: str, body: bytes) -> Answer:
    """Let the request arrive and its answer be lost."""
    hall.through(path, body)
    raise LineLost("cut", sent=True)


def killed_before(_hall: Hall, _path: str, _body: bytes) -> Answer:
    """End the process before the request is sent."""
    raise Killed


def killed_after(hall: Hall, path: str, body: bytes) -> Answer:
    """End the process after the server took the request."""
    hall.through(path, body)
    raise Killed


class Killed(BaseException):
    """The process ends here, as far as the client can tell."""


def says(status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> Trouble:
    """Answer in the server's place."""
    return lambda _hall, _path, _body: Answer(
        status, body if isinstance(body, bytes) else orjson.dumps(body), headers or {}
    )


def altered(change: Callable[[Any], object]) -> Trouble:
    """Let the server answer, and alter what it says."""

    def trouble(hall: Hall, path: str, body: bytes) -> Answer:
        answer = hall.through(path, body).json()
        change(answer)
        return Answer(200, orjson.dumps(answer))

    return trouble


def code_of(district: District) -> str:
    """Make an enrolment code as the health centre does."""
    with district.hub.database.transaction() as session:
        return accounts.make_enrolment_code(
            session, district.hub, district.posts[0], "Contoh", actor="operator", now=datetime.now(UTC)
        )


def enrolled(district: District, hall: Hall, file: Path, **others: Any) -> Client:
    """Enrol a tablet."""
    return Client.enrol(
        file, URL, code_of(district), keys=KeysByNumber(), app=APP, device="uji", **settings(hall, **others)
    )


def reopened(hall: Hall, file: Path, **others: Any) -> Client:
    """Start the app again."""
    return Client.open(file, keys=KeysByNumber(), **settings(hall, **others))


def settings(hall: Hall, **others: Any) -> dict[str, Any]:
    return {"transport": hall, "sleep": hall.pauses.append, "pace": Pace(tries=4), **others}


@contextmanager
def closing(*clients: Client) -> Iterator[None]:
    """Close clients afterwards."""
    try:
        yield
    finally:
        for client in clients:
            client.close()


def day(ago: int) -> str:
    """Give a day by the real calendar: a running server takes nothing from the future."""
    return (datetime.now(UTC).date() - timedelta(days=ago)).isoformat()


def measure(client: Client, child_id: str, ago: int, weight_g: int = 8200) -> Any:
    """Weigh a child some days ago."""
    form = client.open_measurement(child_id, day(ago))
    return client.write(form, weighed(weight_g), author="kader-contoh")


def weighed(weight_g: int) -> Mapping[str, Json]:
    return {"weight": {"weight_g": weight_g, "oedema": "n"}}


def register(client: Client, child_id: str) -> Any:
    """Register a made-up child a year old."""
    form = client.open_child(child_id)
    return client.write(form, {"identity": identity(born_on=day(400))}, author="kader-contoh")
