"""The code on a child's sticker: short, opaque, and the same on server and tablet."""

import uuid_utils

from server.children.sticker import ALPHABET, LENGTH, spaced, sticker_code


def test_the_code_is_the_random_end_of_the_id_in_base_32() -> None:
    assert sticker_code("019bf000-0000-7000-8000-000000000000") == "000000000000"
    assert sticker_code("019bf000-0000-7000-8000-00000000001f") == "00000000000Z"
    assert sticker_code("019bf000-0000-7000-8fff-ffffffffffff") == "ZZZZZZZZZZZZ"
    assert spaced(sticker_code("019bf000-0000-7000-8000-0123456789ab")) == "0001 4D2P F2DB"


def test_the_code_does_not_tell_when_the_child_was_registered() -> None:
    early, late = "01000000-0000-7000-8abc-0123456789ab", "019bffff-ffff-7fff-8abc-0123456789ab"
    assert sticker_code(early) == sticker_code(late)


def test_codes_of_many_children_differ_and_are_easy_to_type() -> None:
    codes = {sticker_code(str(uuid_utils.uuid7())) for _ in range(5000)}
    assert len(codes) == 5000
    assert all(len(code) == LENGTH and set(code) <= set(ALPHABET) for code in codes)
