"""HPKE (RFC 9180), base mode, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM: written from the RFC.

It needs ECDH, HMAC and AES-GCM, parts that WebCrypto has too. Tests hold it against the RFC's vectors and against the
library that the server uses; with a chosen ephemeral key it makes the examples, which must be the same every time.
"""

import hmac

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_KEM = b"KEM" + (0x0010).to_bytes(2)
_SUITE = b"HPKE" + b"".join(number.to_bytes(2) for number in (0x0010, 0x0001, 0x0001))


def seal(
    public: ec.EllipticCurvePublicKey,
    plain: bytes,
    info: bytes,
    aad: bytes,
    ephemeral: ec.EllipticCurvePrivateKey,
) -> bytes:
    """Give `enc` and ciphertext of the first message."""
    enc = point(ephemeral.public_key())
    secret = _shared(ephemeral.exchange(ec.ECDH(), public), enc, point(public))
    key, nonce = _schedule(secret, info)
    return enc + AESGCM(key).encrypt(nonce, plain, aad)


def unseal(private: ec.EllipticCurvePrivateKey, sealed: bytes, info: bytes, aad: bytes) -> bytes:
    """Open what `seal` gave."""
    enc, ciphertext = sealed[:65], sealed[65:]
    ephemeral = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), enc)
    secret = _shared(private.exchange(ec.ECDH(), ephemeral), enc, point(private.public_key()))
    key, nonce = _schedule(secret, info)
    return AESGCM(key).decrypt(nonce, ciphertext, aad)


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    """Write a public key as RFC 9180 does: uncompressed."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _shared(dh: bytes, enc: bytes, recipient: bytes) -> bytes:
    """RFC 9180 section 4.1, ExtractAndExpand."""
    prk = _extract(_KEM, b"", b"eae_prk", dh)
    return _expand(_KEM, prk, b"shared_secret", enc + recipient, 32)


def _schedule(secret: bytes, info: bytes) -> tuple[bytes, bytes]:
    """RFC 9180 section 5.1, KeySchedule with mode 0 and no pre-shared key."""
    context = b"\0" + _extract(_SUITE, b"", b"psk_id_hash", b"") + _extract(_SUITE, b"", b"info_hash", info)
    prk = _extract(_SUITE, secret, b"secret", b"")
    return _expand(_SUITE, prk, b"key", context, 16), _expand(_SUITE, prk, b"base_nonce", context, 12)


def _extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + material, "sha256")


def _expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    """One block of HKDF-Expand is enough: nothing here is longer than SHA-256."""
    labelled = length.to_bytes(2) + b"HPKE-v1" + suite + label + info
    return hmac.digest(prk, labelled + b"\1", "sha256")[:length]
