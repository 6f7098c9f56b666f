"""What a client needs of the place where its keys are kept."""

from collections.abc import Mapping
from typing import Protocol


class Signer(Protocol):
    """A P-256 key pair, wherever it is kept."""

    def jwk(self) -> Mapping[str, str]:
        """Return the public key as JWK (RFC 7517): kty, crv, x, y."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Sign with ECDSA and SHA-256; r and s, 32 bytes each (not DER)."""
        ...


class Keys(Protocol):
    """A store of keys. A new enrolment needs a new key, so the client makes keys itself."""

    def make(self) -> str:
        """Make a key, stored durably, and return the name by which `find` returns it, after a restart too."""
        ...

    def find(self, name: str) -> Signer:
        """Return the key of a name."""
        ...
