"""A tablet that asks for its data key because a cadre has forgotten the PIN."""

from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric import ec

from schemas import parse_recovery
from server.accounts import recovery
from server.crypto.vault import ENCAPSULATED_BYTES, base64url, jwk_of, seal_to, unbase64
from sync_protocol import canonical
from tests._hpke import unseal
from tests.server._district import District, FakeTablet

KEY = base64url(b"k" * 32)


def code_for(district: District, tablet: FakeTablet) -> str:
    with district.hub.database.transaction() as session:
        return recovery.make_pin_code(
            session, district.hub, tablet.id, actor="operator", now=district.clock.now
        )


def box_of(district: District, tablet_id: str, purpose: str = recovery.BOX) -> dict[str, Any]:
    """Seal a data key as a tablet does when the first PIN is chosen."""
    sealing = district.hub.vault.sealing_key()
    plain = orjson.dumps({"tablet": tablet_id, "key": KEY})
    sealed = seal_to(sealing["public_key"], plain, purpose)
    enc, ciphertext = base64url(sealed[:ENCAPSULATED_BYTES]), base64url(sealed[ENCAPSULATED_BYTES:])
    return {"sealed": {"v": 1, "key": sealing["key"], "enc": enc, "ciphertext": ciphertext}}


class Asking:
    """A tablet that asks for its key."""

    def __init__(self, district: District, tablet: FakeTablet) -> None:
        self.district, self.tablet = district, tablet
        self.reply = ec.generate_private_key(ec.SECP256R1())

    def body(self, code: str, /, **overrides: Any) -> dict[str, Any]:
        request = {"tablet": self.tablet.id, "code": code, "public_key": jwk_of(self.reply.public_key())}
        request |= {"box": box_of(self.district, self.tablet.id)} | overrides
        return {"request": request, "signature": base64url(self.tablet.key.sign(canonical(request)))}

    def send(self, body: dict[str, Any]) -> str:
        """Ask as the endpoint does; give the data key."""
        with self.district.hub.database.transaction() as session:
            answer = recovery.recover_key(
                session, self.district.hub, parse_recovery(body), self.district.clock.now
            )
        return self.opened(answer)

    def opened(self, answer: dict[str, str]) -> str:
        sealed = unbase64(answer["enc"]) + unbase64(answer["ciphertext"])
        found: str = orjson.loads(unseal(self.reply, sealed, recovery.ANSWER.encode(), b""))["key"]
        return found
