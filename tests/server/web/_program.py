"""What a program does that talks to the JSON interface: reads, sends with the session's token, is refused."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse


def read(client: FlaskClient, path: str) -> Any:
    """Give what is told at a path under /api/v1."""
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def send(client: FlaskClient, path: str, asked: dict[str, Any]) -> TestResponse:
    """Post to a path under /api/v1."""
    token = read(client, "session")["csrf_token"]
    return client.post(f"/api/v1/{path}", json=asked, headers={"X-CSRFToken": token})


def refusal(answer: TestResponse) -> tuple[int, str, list[str]]:
    """Give the status of a refusal, its code, and the paths of its reasons."""
    told = answer.get_json()
    return answer.status_code, told["code"], [reason["path"] for reason in told.get("reasons", [])]
