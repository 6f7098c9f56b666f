"""A forgotten PIN: a tablet gets its data key back for a code of the health centre and its own signature, once, and not
without both.
"""

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from server import audit
from server.accounts import recovery, revoke_tablet
from server.accounts.attempt_limits import LIMITS
from server.app import create_app
from server.crypto.vault import SigningKey, base64url, jwk_of
from server.errors import Problem
from server.review import Scope, tablets
from sync_protocol import canonical
from tests.server._district import District
from tests.server.accounts._asking import KEY, Asking, box_of, code_for


@pytest.fixture
def http(installed: District) -> FlaskClient:
    """Give a client of the server, whose clock is the district's."""
    return create_app(installed.hub.settings, installed.hub).test_client()


@pytest.fixture
def asking(installed: District) -> Asking:
    return Asking(installed, installed.tablet())


def test_tablet_gets_its_key_for_a_code_once_and_both_are_logged(installed: District, asking: Asking) -> None:
    body = asking.body(code_for(installed, asking.tablet))
    assert asking.send(body) == KEY
    log = installed.actions(audit.post_stream(installed.posts[0]))
    assert log[-2:] == ["tablet.pin-code-made", "tablet.key-returned"]
    with pytest.raises(Problem, match="pin-code-invalid"):
        asking.send(body)  # a replay


def test_code_is_for_an_hour(installed: District, asking: Asking) -> None:
    code = code_for(installed, asking.tablet)
    installed.clock.advance(minutes=recovery.CODE_MINUTES + 1)
    with pytest.raises(Problem, match="pin-code-invalid"):
        asking.send(asking.body(code))


def test_newer_code_ends_the_one_before(installed: District, asking: Asking) -> None:
    before, after = code_for(installed, asking.tablet), code_for(installed, asking.tablet)
    with pytest.raises(Problem, match="pin-code-invalid"):
        asking.send(asking.body(before))
    assert asking.send(asking.body(after)) == KEY


def test_code_of_another_tablet_opens_nothing(installed: District, asking: Asking) -> None:
    other = installed.tablet(name="Tablet lain")
    with pytest.raises(Problem, match="pin-code-invalid"):
        asking.send(asking.body(code_for(installed, other)))


def test_revoked_tablet_gets_neither_code_nor_key(installed: District, asking: Asking) -> None:
    code = code_for(installed, asking.tablet)
    with installed.hub.database.transaction() as session:
        revoke_tablet(session, installed.hub, asking.tablet.id, actor="operator", now=installed.clock.now)
    with pytest.raises(Problem, match="tablet-revoked"):
        asking.send(asking.body(code))
    with pytest.raises(Problem, match="tablet-revoked"):
        code_for(installed, asking.tablet)


def test_copy_of_the_database_without_the_tablets_key_opens_nothing(
    installed: District, asking: Asking
) -> None:
    body = asking.body(code_for(installed, asking.tablet))
    stranger = SigningKey()
    body["signature"] = base64url(stranger.sign(canonical(body["request"])))
    with pytest.raises(Problem, match="signature-invalid"):
        asking.send(body)


def test_no_tablet_has_the_box_of_another_opened(installed: District, asking: Asking) -> None:
    """Somebody with an enrolled device and a copy of another one's database."""
    stolen = box_of(installed, installed.tablet(name="Tablet hilang").id)
    with pytest.raises(Problem, match="sealed-unreadable"):
        asking.send(asking.body(code_for(installed, asking.tablet), box=stolen))


def test_letter_is_no_box_and_a_box_is_no_letter(installed: District, asking: Asking) -> None:
    code = code_for(installed, asking.tablet)
    letter = box_of(installed, asking.tablet.id, "posyandu-sync/sealed-batch/1")
    with pytest.raises(Problem, match="sealed-unreadable"):
        asking.send(asking.body(code, box=letter))
    assert asking.send(asking.body(code)) == KEY  # a refusal does not use the code up


def test_key_that_is_no_point_of_the_curve_is_refused(installed: District, asking: Asking) -> None:
    off_curve = {**jwk_of(asking.reply.public_key()), "x": base64url(b"\x01" * 32)}
    with pytest.raises(Problem, match="request-malformed"):
        asking.send(asking.body(code_for(installed, asking.tablet), public_key=off_curve))


def test_code_for_a_pin_enrols_no_device_and_is_not_listed_as_one(
    installed: District, asking: Asking
) -> None:
    code = code_for(installed, asking.tablet)
    client = create_app(installed.hub.settings, installed.hub).test_client()
    device = {"code": code, "public_key": SigningKey().jwk(), "app": "uji/1", "device": "uji"}
    assert client.post("/api/v1/enrol", json=device).get_json()["code"] == "enrolment-code-invalid"
    everywhere = Scope.whole_district(installed.hub, shows_names=True)
    with installed.hub.database.reading() as session:
        assert tablets.open_codes(session, installed.hub, everywhere, installed.clock.now) == []


def post(http: FlaskClient, body: dict[str, Any]) -> TestResponse:
    return http.post("/api/v1/tablets/key", json=body)


def test_wrong_codes_are_limited_by_tablet_and_strangers_cannot_spend_the_tries(
    http: FlaskClient, installed: District, asking: Asking
) -> None:
    unsigned = {**asking.body("AAAA-AAAA-AA"), "signature": "A" * 86}
    for _ in range(LIMITS["pin-code"].tries + 1):
        assert post(http, unsigned).get_json()["code"] == "signature-invalid"
    for _ in range(LIMITS["pin-code"].tries):
        assert post(http, asking.body("AAAA-AAAA-AA")).get_json()["code"] == "pin-code-invalid"
    refused = post(http, asking.body(code_for(installed, asking.tablet)))
    assert (refused.status_code, refused.get_json()["code"]) == (429, "too-many-tries")
    other = Asking(installed, installed.tablet(name="Tablet lain"))
    assert post(http, other.body("AAAA-AAAA-AA")).get_json()["code"] == "pin-code-invalid"


@pytest.mark.parametrize(
    "overrides", [{"code": "aaaa"}, {"novel": 1}, {"box": {"sealed": {"v": 1}}}, {"public_key": {}}]
)
def test_malformed_request_is_refused(http: FlaskClient, asking: Asking, overrides: dict[str, Any]) -> None:
    assert post(http, asking.body("AAAA-AAAA-AA", **overrides)).get_json()["code"] == "enrolment-malformed"
