"""A passkey in software: what a browser with an authenticator answers, and what an attacker would like it to answer."""

import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from server.crypto.vault import base64url, unbase64

PRESENT, VERIFIED, HAS_KEY = 0x01, 0x04, 0x40


@dataclass
class Authenticator:
    """One credential. `counts`: whether it counts its uses, as security keys do and phones do not."""

    origin: str
    counts: bool = True
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: os.urandom(20))
    handle: bytes = b""
    count: int = 0

    def create(self, options: str, **client: Any) -> str:
        """Answer `navigator.credentials.create`; `client` replaces members of what the browser says."""
        wanted = json.loads(options)
        self.handle = unbase64(wanted["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        x, y = (number.to_bytes(32, "big") for number in (numbers.x, numbers.y))
        cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})
        held = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cose
        data = self._data(wanted["rp"]["id"], PRESENT | VERIFIED | HAS_KEY) + held
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        said = self._said("webauthn.create", wanted, client)
        return self._answer({"clientDataJSON": said, "attestationObject": attestation})

    def get(self, options: str, *, verified: bool = True, rp_id: str | None = None, **client: Any) -> str:
        """Answer `navigator.credentials.get`."""
        wanted = json.loads(options)
        flags = PRESENT | (VERIFIED if verified else 0)
        data = self._data(rp_id or wanted["rpId"], flags)
        said = self._said("webauthn.get", wanted, client)
        signature = self.key.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(SHA256()))
        response = {"clientDataJSON": said, "authenticatorData": data, "signature": signature}
        return self._answer({**response, "userHandle": self.handle})

    def _said(self, kind: str, wanted: dict[str, Any], client: dict[str, Any]) -> bytes:
        told = {"type": kind, "challenge": wanted["challenge"], "origin": self.origin, "crossOrigin": False}
        return json.dumps(told | client).encode()

    def _data(self, rp_id: str, flags: int) -> bytes:
        self.count += self.counts
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _answer(self, response: dict[str, bytes]) -> str:
        sent = {name: base64url(value) for name, value in response.items()}
        named = {"id": base64url(self.id), "rawId": base64url(self.id), "type": "public-key"}
        return json.dumps({**named, "response": sent, "clientExtensionResults": {}})
