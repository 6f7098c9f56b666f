"""Keys, seals, signatures and passwords."""

import hashlib
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from server.crypto.key_file import load_keys
from server.crypto.vault import (
    Keys,
    KeyUnusable,
    SigningKey,
    Vault,
    base64url,
    hash_password,
    password_fits,
    public_key,
    seal,
    sha256,
    signature_fits,
    unbase64,
    unseal,
)
from tests.server._district import DISTRICT

CHILD, OTHER_CHILD = "01900000-0000-7000-8000-000000000001", "01900000-0000-7000-8000-000000000002"
FIRST, SECOND = b"1" * 32, b"2" * 32


def vault(*masters: bytes, district: str = DISTRICT, index_key: bytes = b"i" * 32) -> Vault:
    """Give a vault with master keys 1, 2, …"""
    return Vault(Keys(dict(enumerate(masters or (FIRST,), 1)), index_key, "secret"), district)


# -- seals ------------------------------------------------------------------------------------------


def test_sealed_value_opens_for_its_row() -> None:
    _, _, key = vault().new_child_key(CHILD)
    assert unseal(key, seal(key, b"Anak Contoh", "child/1"), "child/1") == b"Anak Contoh"


def test_sealed_value_stays_shut_when_it_was_moved_to_another_row() -> None:
    _, _, key = vault().new_child_key(CHILD)
    with pytest.raises(KeyUnusable, match="child/2"):
        unseal(key, seal(key, b"Anak Contoh", "child/1"), "child/2")


@pytest.mark.parametrize("place", [0, 12, -1])
def test_sealed_value_stays_shut_when_one_bit_is_other(place: int) -> None:
    _, _, key = vault().new_child_key(CHILD)
    sealed = bytearray(seal(key, b"Anak Contoh", "x"))
    sealed[place] ^= 1
    with pytest.raises(KeyUnusable):
        unseal(key, bytes(sealed), "x")


def test_sealed_value_stays_shut_for_the_key_of_another_child() -> None:
    (_, _, key), (_, _, other) = vault().new_child_key(CHILD), vault().new_child_key(OTHER_CHILD)
    with pytest.raises(KeyUnusable):
        unseal(other, seal(key, b"Anak Contoh", "x"), "x")


def test_same_value_is_never_sealed_the_same() -> None:
    _, _, key = vault().new_child_key(CHILD)
    assert len({seal(key, b"Anak Contoh", "x") for _ in range(50)}) == 50


# -- keys of children and districts -----------------------------------------------------------------


def test_child_key_is_unwrapped_again() -> None:
    wrapped, version, key = vault().new_child_key(CHILD)
    again = vault().child_key(CHILD, wrapped, version)
    assert unseal(again, seal(key, b"x", "x"), "x") == b"x"


def test_keys_are_as_long_as_the_inventory_says() -> None:
    """docs/security.md: AES-256, P-256, Ed25519, each of 128 bits of strength or more."""
    wrapped, _, key = vault().new_child_key(CHILD)
    assert len(wrapped) - len(seal(key, b"", "x")) == 32
    assert SigningKey().jwk()["crv"] == "P-256"
    (public,) = vault().checkpoint_keys().values()
    assert len(unbase64(public) or b"") == 32


def test_child_key_is_of_no_use_to_another_child() -> None:
    wrapped, version, _ = vault().new_child_key(CHILD)
    with pytest.raises(KeyUnusable):
        vault().child_key(OTHER_CHILD, wrapped, version)


def test_child_key_is_of_no_use_in_another_district() -> None:
    wrapped, version, _ = vault().new_child_key(CHILD)
    with pytest.raises(KeyUnusable):
        vault(district="64.03").child_key(CHILD, wrapped, version)


def test_person_is_gone_when_the_key_was_destroyed() -> None:
    with pytest.raises(KeyUnusable, match="erased"):
        vault().child_key(CHILD, None, 1)


def test_old_keys_open_and_new_ones_seal_when_the_master_key_was_rotated() -> None:
    wrapped, version, _ = vault(FIRST).new_child_key(CHILD)
    rotated = vault(FIRST, SECOND)
    assert rotated.child_key(CHILD, wrapped, version) is not None
    assert rotated.new_child_key(CHILD)[1] == 2


def test_missing_master_key_is_named() -> None:
    wrapped, _, _ = vault().new_child_key(CHILD)
    with pytest.raises(KeyUnusable, match="master key 7"):
        vault().child_key(CHILD, wrapped, 7)


def test_district_seal_opens_after_rotation_and_only_for_its_purpose() -> None:
    sealed = vault(FIRST).seal_for_district(b"x", "change/1")
    assert vault(FIRST, SECOND).unseal_for_district(sealed, "change/1") == b"x"
    with pytest.raises(KeyUnusable):
        vault(FIRST).unseal_for_district(sealed, "change/2")
    with pytest.raises(KeyUnusable, match="master key 1"):
        Vault(Keys({2: SECOND}, b"", ""), DISTRICT).unseal_for_district(sealed, "change/1")


def test_blind_index_is_equal_for_equal_niks_in_every_district() -> None:
    nik = "6402065001250003"
    assert vault().blind_index(nik) == vault(SECOND, district="64.03").blind_index(nik)
    assert vault().blind_index(nik) != vault(index_key=b"j" * 32).blind_index(nik)
    assert vault().blind_index(nik) != vault().blind_index("6402065001250004")


# -- the key file -----------------------------------------------------------------------------------


def test_key_file_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "keys.json"
    made = load_keys(path, create=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_keys(path, create=True) == load_keys(path, create=False) == made
    assert list(path.parent.iterdir()) == [path]


def test_missing_key_file_is_not_made_by_chance(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable, match=r"keys\.json: restore it"):
        load_keys(tmp_path / "keys.json", create=False)
    assert list(tmp_path.iterdir()) == []


def key_file(**overrides: object) -> str:
    good = base64url(b"1" * 33)[:-1] + "="
    content = {"masters": {"1": good}, "index_key": good, "session_secret": "secret"}
    return json.dumps({**content, **overrides})


def test_key_file_of_this_form_is_read(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(key_file())
    assert load_keys(tmp_path / "keys.json", create=False).newest == 1


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        key_file(masters={}),
        key_file(masters=[]),
        key_file(masters={"one": "AAAA"}),
        key_file(masters={"1": "AAAA"}),
        key_file(masters={"1": 5}),
        key_file(index_key=""),
        key_file(index_key=None),
        key_file(session_secret=""),
        "\u0000" * 40,
    ],
)
def test_garbage_is_no_key_file_and_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(KeyUnusable, match="restore it from your backup"):
        load_keys(path, create=True)
    assert path.read_text() == content


def test_keys_are_the_same_for_processes_that_start_together(tmp_path: Path) -> None:
    code = (
        "import sys, hashlib; from pathlib import Path; from server.crypto.key_file import load_keys; "
        "print(hashlib.sha256(repr(load_keys(Path(sys.argv[1]), create=True)).encode()).hexdigest())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "keys.json")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    digests = {process.communicate()[0].strip() for process in started}
    kept = repr(load_keys(tmp_path / "keys.json", create=False)).encode()
    assert digests == {hashlib.sha256(kept).hexdigest().encode()}


# -- signatures -------------------------------------------------------------------------------------


def test_signature_fits_its_message_and_key_alone() -> None:
    key, other = SigningKey(), SigningKey()
    signature = key.sign(b"message")
    assert signature_fits(key.jwk(), b"message", signature)
    assert not signature_fits(key.jwk(), b"massage", signature)
    assert not signature_fits(other.jwk(), b"message", signature)


@pytest.mark.parametrize(
    "signature",
    [b"", bytes(63), bytes(64), bytes(65), b"\xff" * 64, bytes(32) + b"\x01" * 32],
    ids=["empty", "short", "zeros", "long", "beyond the order", "r is zero"],
)
def test_odd_signature_does_not_fit(signature: bytes) -> None:
    assert not signature_fits(SigningKey().jwk(), b"message", signature)


def test_signing_key_comes_back_from_its_number() -> None:
    key = SigningKey()
    assert SigningKey.from_private_number(key.private_number()).jwk() == key.jwk()


@pytest.mark.parametrize("axis", ["", "AA", "not base64!", base64url(b"\x01" * 32)])
def test_point_off_the_curve_is_no_public_key(axis: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the library's words differ from version to version
        public_key({**SigningKey().jwk(), "x": axis})


@pytest.mark.parametrize("raw", [b"", b"a", b"ab", b"abc", bytes(range(256))])
def test_base64url_comes_back(raw: bytes) -> None:
    assert unbase64(base64url(raw)) == raw
    assert "=" not in base64url(raw)


@pytest.mark.parametrize("text", ["a b", "a", "+/+/", "é", "a\n"])
def test_anything_else_is_no_base64url(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        unbase64(text)


# -- passwords and tokens ---------------------------------------------------------------------------


def test_password_fits_its_hash_alone(in_earnest: None) -> None:
    stored = hash_password("kuda-laut-hijau")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert password_fits(stored, "kuda-laut-hijau")
    assert not password_fits(stored, "Kuda-laut-hijau")


@pytest.mark.parametrize("stored", [None, "", "garbage", "$argon2id$v=19$broken"])
def test_no_password_fits_what_is_no_hash(stored: str | None) -> None:
    assert not password_fits(stored, "kuda-laut-hijau")


def test_digest_of_a_token_is_of_its_purpose_district_and_keys() -> None:
    digests = [
        vault().digest("session", "ABCD-EFGH-JK"),
        vault().digest("session", "ABCD-EFGH-JM"),
        vault().digest("invitation", "ABCD-EFGH-JK"),
        vault(district="64.03").digest("session", "ABCD-EFGH-JK"),
        vault(index_key=b"j" * 32).digest("session", "ABCD-EFGH-JK"),
        base64url(sha256(b"ABCD-EFGH-JK")),
    ]
    assert len(set(digests)) == len(digests)
    assert {len(digest) for digest in digests} == {43}


# -- MACs -------------------------------------------------------------------------------------------


def test_mac_fits_its_message_and_purpose_alone() -> None:
    mac = vault().mac("account", b"row")
    assert vault().mac_fits("account", b"row", mac)
    assert not vault().mac_fits("account", b"row ", mac)
    assert not vault().mac_fits("tablet", b"row", mac)
    assert not vault().mac_fits("account", b"row", None)
    assert not vault().mac_fits("account", b"row", b"")
    assert not vault().mac_fits("account", b"row", mac[:-1])


def test_mac_is_of_its_district_and_master_key() -> None:
    mac = vault().mac("account", b"row")
    assert not vault(district="64.03").mac_fits("account", b"row", mac)
    assert not vault(SECOND).mac_fits("account", b"row", mac)


def test_mac_fits_after_a_rotation_until_the_old_key_is_gone() -> None:
    old = vault(FIRST).mac("account", b"row")
    both = vault(FIRST, SECOND)
    assert both.mac_fits("account", b"row", old)
    assert both.mac("account", b"row")[:2] == b"\0\2"
    retired = Vault(Keys({2: SECOND}, b"i" * 32, "secret"), DISTRICT)
    assert retired.mac_fits("account", b"row", both.mac("account", b"row"))
    assert not retired.mac_fits("account", b"row", old)


def test_mac_of_one_key_is_not_that_of_another_version() -> None:
    mac = vault(FIRST, SECOND).mac("account", b"row")
    assert not vault(FIRST, SECOND).mac_fits("account", b"row", b"\0\1" + mac[2:])
