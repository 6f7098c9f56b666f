"""All cryptography; the only importer of the library `cryptography`.

- The key file (`key_file`) holds numbered master keys. Derived from each (HKDF), so that a rotation renews them too, while
  those of older versions stay usable:
  - a district's key (the district's code is in `info`): one master key serves any number of districts;
  - the key pair to which carried batches are sealed (HPKE): its private key is in every copy of the key file;
  - the key that signs checkpoints of the log (Ed25519), and the one that cosigns those of other installations;
  - the key of MACs, which vouch for rows that decide who may do what (`database.row_macs`);
  - the key of backups: symmetric, so that only holders of the key file can make a backup that is accepted.
- Each child has a random key, wrapped by the district's key. Once the wrapped key is destroyed, nothing that was encrypted
  under the child's key can be read here or in backups made afterwards. An earlier backup still holds the wrapped key: after
  it is restored, `backup.reapplying` destroys the key again.
- A NIK is found by a blind index: HMAC under a key of its own, which is never rotated.
- Nothing is logged here; plaintext leaves only as a return value.
"""

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NONCE_BYTES = 12
VERSION_BYTES = 2
"""Length of the master key's version, which precedes everything encrypted under the district's key."""
KEY_BYTES = 32
REPLY_KEY_BYTES = 16
TAG_BYTES = 16
"""Length that encryption adds to a chunk of a file."""
ENCAPSULATED_BYTES = 65
"""Length of HPKE's encapsulated key: an uncompressed point of P-256 (RFC 9180 section 7.1)."""
_HPKE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_128_GCM)


class KeyUnusable(Exception):
    """A key is missing, destroyed, or the wrong one. The text says which and what to do."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The content of a key file: master keys by version, the key of the blind index, and the secret of web sessions."""

    masters: Mapping[int, bytes]
    index_key: bytes
    session_secret: str

    @property
    def newest(self) -> int:
        return max(self.masters)


ChildKey = AESGCM
"""A child's unwrapped key. Other packages only pass it on."""


@dataclass(frozen=True, slots=True)
class _DerivedKeys:
    """Everything derived from one version of the key file, for one district."""

    newest: int
    wrapping: Mapping[int, AESGCM]
    sealing: Mapping[str, ec.EllipticCurvePrivateKey]
    sealing_public: ec.EllipticCurvePublicKey
    signing: Mapping[str, ed25519.Ed25519PrivateKey]
    cosigning: Mapping[str, ed25519.Ed25519PrivateKey]
    backups: Mapping[str, tuple[int, bytes]]
    macs: Mapping[int, bytes]

    @classmethod
    def of(cls, keys: Keys, district: str) -> "_DerivedKeys":
        wrapping = {
            version: AESGCM(_derive(master, f"district/{district}"))
            for version, master in keys.masters.items()
        }
        sealing = {version: _sealing_key(master, district) for version, master in keys.masters.items()}
        newest_first = [master for _, master in sorted(keys.masters.items(), reverse=True)]
        signing = [_checkpoint_key(master, district) for master in newest_first]
        cosigning = [_cosigning_key(master, district) for master in newest_first]
        return cls(
            keys.newest,
            wrapping,
            {key_id(key.public_key()): key for key in sealing.values()},
            sealing[keys.newest].public_key(),
            {checkpoint_key_id(_raw_public(key)): key for key in signing},
            {checkpoint_key_id(_raw_public(key)): key for key in cosigning},
            {
                base64url(_derive(master, "backup/id")[:8]): (version, _derive(master, "backup"))
                for version, master in sorted(keys.masters.items(), reverse=True)
            },
            {version: _derive(master, f"mac/{district}") for version, master in keys.masters.items()},
        )


class Vault:
    """Encrypts and decrypts the personal data of one district.

    Parameters
    ----------
    renewed : returns the keys if the key file has changed since the last call, else None, so that a running process follows
        a rotation. Called before anything is encrypted, and when a key is missing
    """

    def __init__(self, keys: Keys, district: str, renewed: Callable[[], Keys | None] = lambda: None) -> None:
        self._district = district
        self._index_key = keys.index_key
        self._derived = _DerivedKeys.of(keys, district)
        self._renewed = renewed

    def _latest(self) -> _DerivedKeys:
        """Return the keys as they are in the key file now."""
        keys = self._renewed()
        if keys is not None:
            self._derived = _DerivedKeys.of(keys, self._district)
        return self._derived

    def _of_version(self, version: int) -> AESGCM:
        """Return the district's key of a version.

        Raises
        ------
        KeyUnusable
            Its master key is not in the key file.
        """
        found = self._derived.wrapping.get(version) or self._latest().wrapping.get(version)
        if found is None:
            raise KeyUnusable(f"master key {version} is not in the key file: restore it from your backup")
        return found

    @property
    def versions(self) -> list[int]:
        """The versions of all master keys in the key file."""
        return sorted(self._latest().wrapping)

    @property
    def newest(self) -> int:
        """The version that new data are encrypted under."""
        return self._latest().newest

    def checkpoint_keys(self) -> dict[str, str]:
        """Return the public keys of checkpoints by id, 32 bytes in base64url each; the newest first."""
        return {id_: base64url(_raw_public(key)) for id_, key in self._latest().signing.items()}

    def sign_checkpoint(self, message: bytes) -> dict[str, str]:
        """Sign (Ed25519, RFC 8032) with the keys of all versions; return signatures in base64url by the id of the key.

        So anyone who noted an older public key can still verify what is signed after a rotation.
        """
        return {id_: base64url(key.sign(message)) for id_, key in self._latest().signing.items()}

    def cosigning_keys(self) -> dict[str, str]:
        """Return the public keys with which this installation, as a witness, cosigns; as `checkpoint_keys`."""
        return {id_: base64url(_raw_public(key)) for id_, key in self._latest().cosigning.items()}

    def cosign(self, message: bytes) -> dict[str, str]:
        """Sign as a witness, with the keys of all versions; as `sign_checkpoint`."""
        return {id_: base64url(key.sign(message)) for id_, key in self._latest().cosigning.items()}

    def backup_keys(self) -> dict[str, int]:
        """Return the version of each backup key by its id, the newest first; an id reveals nothing about its key."""
        return {id_: version for id_, (version, _) in self._latest().backups.items()}

    def backup_cipher(self, key: str, header: bytes) -> "FileCipher":
        """Return the cipher of one backup file.

        Parameters
        ----------
        key : an id of `backup_keys`
        header : the whole plain header of the file, with random bytes in it: each header gives another key

        Raises
        ------
        KeyUnusable
            The key is not in the key file.
        """
        found = self._derived.backups.get(key) or self._latest().backups.get(key)
        if found is None:
            raise KeyUnusable(
                f"backup key {key} is not in the key file: restore it from your backup of the keys"
            )
        info = b"posyandu-sync/backup-file/" + header
        return FileCipher(HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(found[1]))

    def sealing_key(self) -> dict[str, Any]:
        """Return the public key that tablets seal batches to, and its id."""
        public = self._latest().sealing_public
        return {"key": key_id(public), "public_key": jwk_of(public)}

    def holds(self, sealing_key_id: str) -> bool:
        """Say whether a sealing key is of this installation, the newest or an older one."""
        return sealing_key_id in self._derived.sealing or sealing_key_id in self._latest().sealing

    def open_sealed(self, sealing_key_id: str, sealed: bytes, purpose: str) -> bytes:
        """Decrypt what `seal_to` sealed to a key of this installation.

        Raises
        ------
        KeyUnusable
            The key is of another installation, or the content was truncated, altered or sealed for another purpose.
        """
        if not self.holds(sealing_key_id):
            raise KeyUnusable(f"sealed to key {sealing_key_id}, which is not of this installation")
        try:
            return _HPKE.decrypt(sealed, self._derived.sealing[sealing_key_id], info=purpose.encode())
        except InvalidTag as error:
            raise KeyUnusable(f"{purpose}: cut short, altered, or sealed to another key") from error

    def new_child_key(self, child_id: str) -> tuple[bytes, int, ChildKey]:
        """Make a child's key: wrapped for storing, the version of the district's key that wrapped it, and unwrapped."""
        key = secrets.token_bytes(KEY_BYTES)
        return *self._wrapped(child_id, key), AESGCM(key)

    def rewrapped(self, child_id: str, wrapped: bytes, version: int) -> tuple[bytes, int]:
        """Wrap a child's key again, under the newest version."""
        return self._wrapped(child_id, unseal(self._of_version(version), wrapped, self._bound(child_id)))

    def _wrapped(self, child_id: str, key: bytes) -> tuple[bytes, int]:
        latest = self._latest()
        return seal(latest.wrapping[latest.newest], key, self._bound(child_id)), latest.newest

    def _bound(self, child_id: str) -> str:
        return f"key/{self._district}/{child_id}"

    def child_key(self, child_id: str, wrapped: bytes | None, version: int) -> ChildKey:
        """Unwrap a child's key.

        Raises
        ------
        KeyUnusable
            It was destroyed (the person was erased), or its master key is not in the key file.
        """
        if wrapped is None:
            raise KeyUnusable(f"the key of child {child_id} was destroyed: the person was erased")
        return AESGCM(unseal(self._of_version(version), wrapped, self._bound(child_id)))

    def seal_for_district(self, plain: bytes, purpose: str) -> bytes:
        """Encrypt what belongs to no known child, such as a quarantined change; the key's version comes first."""
        latest = self._latest()
        return version_prefix(latest.newest) + seal(latest.wrapping[latest.newest], plain, purpose)

    def unseal_for_district(self, sealed: bytes, purpose: str) -> bytes:
        """Decrypt what `seal_for_district` encrypted."""
        version = int.from_bytes(sealed[:VERSION_BYTES], "big")
        return unseal(self._of_version(version), sealed[VERSION_BYTES:], purpose)

    def blind_index(self, value: str) -> bytes:
        """Return the blind index of a NIK: equal NIKs have equal ones, in every district; it reveals nothing else."""
        return hmac.digest(self._index_key, f"nik/{value}".encode(), "sha256")[:16]

    def mac(self, purpose: str, message: bytes) -> bytes:
        """Return a MAC: the newest master key's version, then HMAC-SHA-256 under a key of this district.

        Parameters
        ----------
        purpose : what the message is; a MAC made for one purpose fits no other. Without "\\0"
        """
        latest = self._latest()
        return _mac(latest.macs[latest.newest], latest.newest, purpose, message)

    def mac_fits(self, purpose: str, message: bytes, mac: bytes | None) -> bool:
        """Say whether a MAC was made here, of this purpose and message, under a master key that is in the key file."""
        if mac is None:
            return False
        version = int.from_bytes(mac[:VERSION_BYTES], "big")
        key = self._derived.macs.get(version) or self._latest().macs.get(version)
        return key is not None and hmac.compare_digest(_mac(key, version, purpose, message), mac)

    def digest(self, purpose: str, value: str) -> str:
        """Return a keyed digest of a text (an address, a code, a token) that is looked up in a table but not told by it."""
        text = f"digest/{purpose}/{self._district}/{value}"
        return base64url(hmac.digest(self._index_key, text.encode(), "sha256"))

    def row_key(self, district: str) -> bytes:
        """Return the key of a district's row digests in the log. It is never rotated: the log is for ever."""
        return hmac.digest(self._index_key, f"rows/{district}".encode(), "sha256")


class FileCipher:
    """Encrypts one file in chunks, under a key used for nothing else.

    AES-256-GCM; the nonce is the chunk's number and whether it is the last (STREAM, Hoang et al. 2015), so that a chunk that
    was moved, left out, repeated or added is detected.
    """

    def __init__(self, key: bytes) -> None:
        self._key = AESGCM(key)

    def seal(self, number: int, plain: bytes, *, is_last: bool) -> bytes:
        """Encrypt a chunk. Numbers begin at 0; each is used once."""
        return self._key.encrypt(self._nonce(number, is_last), plain, None)

    def open(self, number: int, sealed: bytes, *, is_last: bool) -> bytes:
        """Decrypt a chunk.

        Raises
        ------
        KeyUnusable
            The chunk was altered, is of another place or file, or the file was truncated.
        """
        try:
            return self._key.decrypt(self._nonce(number, is_last), sealed, None)
        except InvalidTag as error:
            raise KeyUnusable(f"chunk {number} was altered, moved or cut short") from error

    @staticmethod
    def _nonce(number: int, is_last: bool) -> bytes:
        return number.to_bytes(NONCE_BYTES - 1, "big") + bytes([is_last])


def version_prefix(version: int) -> bytes:
    """Return the first bytes of everything encrypted under the district's key of a version."""
    return version.to_bytes(VERSION_BYTES, "big")


def _derive(master: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"posyandu-sync/{purpose}".encode()).derive(master)


def _mac(key: bytes, version: int, purpose: str, message: bytes) -> bytes:
    return version_prefix(version) + hmac.digest(key, purpose.encode() + b"\0" + message, "sha256")


def _sealing_key(master: bytes, district: str) -> ec.EllipticCurvePrivateKey:
    """Derive a P-256 key pair: 384 bits reduced to 1 … n-1, so that all numbers are equally likely (FIPS 186-5 A.2.1)."""
    drawn = HKDF(SHA256(), 48, salt=None, info=f"posyandu-sync/sealing/{district}".encode()).derive(master)
    order = ec.SECP256R1().group_order
    return ec.derive_private_key(int.from_bytes(drawn, "big") % (order - 1) + 1, ec.SECP256R1())


def _checkpoint_key(master: bytes, district: str) -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(_derive(master, f"checkpoint/{district}"))


def _cosigning_key(master: bytes, district: str) -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(_derive(master, f"witness/{district}"))


def _raw_public(key: ed25519.Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def checkpoint_key_id(public: bytes) -> str:
    """Return the id of a checkpoint key (32 public bytes): 11 characters, 64 bits of its SHA-256."""
    return base64url(sha256(public)[:8])


def checkpoint_signature_fits(public: str, message: bytes, signature: str) -> bool:
    """Verify a signature of `Vault.sign_checkpoint`; False also if key or signature is malformed."""
    try:
        key = ed25519.Ed25519PublicKey.from_public_bytes(unbase64(public))
        key.verify(unbase64(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    """Return the id of a sealing key: 11 characters, 64 bits of its SHA-256."""
    return base64url(sha256(key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))[:8])


def seal_to(jwk: Mapping[str, Any], plain: bytes, purpose: str) -> bytes:
    """Encrypt to a public key, anonymously: only its owner can decrypt.

    HPKE base mode (RFC 9180), DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM; `purpose` is its `info`, no `aad`.

    Returns
    -------
    bytes : encapsulated key (ENCAPSULATED_BYTES) and ciphertext, 81 bytes longer than `plain`
    """
    return _HPKE.encrypt(plain, public_key(jwk), info=purpose.encode())


def seal(key: AESGCM, plain: bytes, bound_to: str) -> bytes:
    """Encrypt with AES-GCM, random nonce first.

    Parameters
    ----------
    bound_to : name of the row it belongs to; decryption with another name fails
    """
    nonce = os.urandom(NONCE_BYTES)
    return nonce + key.encrypt(nonce, plain, bound_to.encode())


def unseal(key: AESGCM, sealed: bytes, bound_to: str) -> bytes:
    """Decrypt what `seal` encrypted.

    Raises
    ------
    KeyUnusable
        Wrong key, wrong row, or altered bytes.
    """
    try:
        return key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to.encode())
    except InvalidTag as error:
        raise KeyUnusable(f"{bound_to}: sealed with another key, moved or altered; run doctor") from error


def new_reply_key() -> bytes:
    """Return a random key for the receipt of one carried batch (AES-128-GCM)."""
    return secrets.token_bytes(REPLY_KEY_BYTES)


def reply_cipher(reply_key: bytes) -> AESGCM:
    """Return the cipher of a reply key, for `seal` and `unseal`."""
    return AESGCM(reply_key)


def jwk_of(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """Write a P-256 public key as JWK (RFC 7517), as WebCrypto imports it."""
    numbers = key.public_numbers()
    axes = {"x": numbers.x, "y": numbers.y}
    return {"kty": "EC", "crv": "P-256"} | {k: base64url(v.to_bytes(32, "big")) for k, v in axes.items()}


def public_key(jwk: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    """Read a P-256 public key in the form WebCrypto exports (JWK); ValueError if it is malformed."""
    numbers = [int.from_bytes(unbase64(str(jwk[axis])), "big") for axis in ("x", "y")]
    return ec.EllipticCurvePublicNumbers(numbers[0], numbers[1], ec.SECP256R1()).public_key()


def signature_fits(jwk: Mapping[str, Any], message: bytes, signature: bytes) -> bool:
    """Verify an ECDSA P-256 signature (SHA-256) in the raw form r ‖ s that WebCrypto makes."""
    if len(signature) != 64:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        public_key(jwk).verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


class SigningKey:
    """A tablet's key pair, for the reference client, the simulator and tests."""

    def __init__(self, private: ec.EllipticCurvePrivateKey | None = None) -> None:
        self._private = private or ec.generate_private_key(ec.SECP256R1())

    def jwk(self) -> dict[str, str]:
        return jwk_of(self._private.public_key())

    def sign(self, message: bytes) -> bytes:
        r, s = utils.decode_dss_signature(self._private.sign(message, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def private_number(self) -> int:
        """Return the private key, to store a simulated tablet; a real tablet never exports it."""
        return self._private.private_numbers().private_value

    @classmethod
    def from_private_number(cls, number: int) -> "SigningKey":
        return cls(ec.derive_private_key(number, ec.SECP256R1()))


_HASHER = PasswordHasher()


@cache
def _dummy_hash() -> str:
    return _HASHER.hash(secrets.token_urlsafe(16))


def hash_password(password: str) -> str:
    """Hash with Argon2id, the library's defaults (RFC 9106, low memory)."""
    return _HASHER.hash(password)


def password_fits(stored: str | None, password: str) -> bool:
    """Verify a password. Without a stored hash the same work is done, so that timing reveals nothing."""
    dummy = _dummy_hash()  # for every password, as the first call in a process takes as long as another check
    try:
        _HASHER.verify(stored or dummy, password)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


def password_hash_is_old(stored: str) -> bool:
    """Say whether a hash was made with other than the present parameters."""
    return _HASHER.check_needs_rehash(stored)


def sha256(raw: bytes) -> bytes:
    """Return the SHA-256 digest."""
    return hashlib.sha256(raw).digest()


def base64url(raw: bytes) -> str:
    """Encode without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unbase64(text: str) -> bytes:
    """Decode base64url without padding; ValueError for anything else."""
    if not text.isascii() or "+" in text or "/" in text:  # b64decode would take these too
        raise ValueError("not base64url")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
