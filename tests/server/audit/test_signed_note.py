"""Signed notes, checkpoints and cosignatures: the examples of C2SP, what a foreign witness answered, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from server.audit.signed_note import (
    COSIGNATURE,
    ED25519,
    Key,
    Note,
    NoteInvalid,
    TreeHead,
    cosigned_message,
    read_size,
)
from server.crypto.vault import Keys, Vault, unbase64

# c2sp.org/signed-note, "Example"
FOO = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
# c2sp.org/tlog-checkpoint and c2sp.org/tlog-cosignature; their keys are not published
SOFA = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
SOFA_NOTE = (
    f"{SOFA}\n— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)
FOREIGN = json.loads((Path(__file__).parent / "litewitness.json").read_text(encoding="utf-8"))
"""What litewitness 0.4.3 (filippo.io/litetlog) answered to a log of ours on 1 December 2026; the last two after we had
forgotten what it had cosigned."""


def test_note_of_the_standard_is_verified_by_its_key() -> None:
    note, key = Note.read(EXAMPLE), Key.read(FOO)
    assert key.kind == ED25519
    assert key.text() == FOO
    assert [one.name for _, one in note.by([key])] == ["example.com/foo"]
    assert note.whole() == EXAMPLE


def test_checkpoint_of_the_standard_is_read_and_written() -> None:
    note = Note.read(SOFA_NOTE)
    head = TreeHead.read(note.text)
    assert (head.origin, head.size, head.text()) == ("example.com/behind-the-sofa", 20852163, SOFA)
    assert note.whole() == SOFA_NOTE
    assert int(note.signatures[1].at.timestamp()) == 1679315147
    assert cosigned_message(1679315147, SOFA).decode() == f"cosignature/v1\ntime 1679315147\n{SOFA}"
    assert TreeHead.read(f"{SOFA}more\n").more == ("more",)


def test_signature_of_a_stranger_is_ignored_and_a_wrong_one_of_a_known_key_is_not() -> None:
    note, key = Note.read(EXAMPLE), Key.read(FOO)
    assert note.by([Key("example.com/bar", ED25519, key.public)]) == []
    with pytest.raises(NoteInvalid):
        Note("This is another message.\n", note.signatures).by([key])


@pytest.mark.parametrize("exchange", FOREIGN["requests"], ids=range(len(FOREIGN["requests"])))
def test_foreign_witness_took_our_checkpoints_and_its_cosignatures_fit(exchange: dict[str, Any]) -> None:
    key, log = Key.read(FOREIGN["key"]), Key.read(FOREIGN["log"])
    note = Note.read(exchange["body"].partition("\n\n")[2])
    assert [found for found, _ in note.by([log])] == [log]
    if exchange["status"] == 409:
        assert exchange["media_type"] == "text/x.tlog.size"
        assert read_size(exchange["answer"].removesuffix("\n")) > 0
    else:
        answered = Note.read(note.text + "\n" + exchange["answer"])
        assert [found for found, _ in answered.by([key])] == [key]


def test_witness_has_another_key_than_the_log_and_signs_anew_after_a_rotation() -> None:
    one, two = (
        Vault(Keys(dict(masters), b"i" * 32, "s"), "64.02")
        for masters in ({1: b"a" * 32}.items(), {1: b"a" * 32, 2: b"b" * 32}.items())
    )
    assert not set(one.cosigning_keys().values()) & set(one.checkpoint_keys().values())
    assert list(two.cosigning_keys())[1:] == list(one.cosigning_keys())
    assert two.cosign(b"text").keys() == two.cosigning_keys().keys()
    assert len(unbase64(next(iter(one.cosigning_keys().values())))) == 32


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "a\n",
        "text\n\n",
        "text\n\n— name\n",
        "text\n\n— name QUJD\n",
        "text\n\n- name QUJDREVG\n",
        "text\n\n— na+me QUJDREVG\n",
        "text\n\n—  QUJDREVG\n",
        "text\n\n— name QUJDREVG",
        "te\txt\n\n— name QUJDREVG\n",
        "text\n\n" + "— name QUJDREVG\n" * 65,
    ],
)
def test_what_is_no_note_is_refused(wrong: str) -> None:
    with pytest.raises(NoteInvalid):
        Note.read(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "a\n1\n",
        SOFA.replace("20852163", "020852163"),
        SOFA.replace("20852163", "-1"),
        SOFA.replace("20852163", str(1 << 63)),
        SOFA.replace("q2I=", "q2I"),
        SOFA.replace("CsUY", ""),
        SOFA.removesuffix("\n"),
        f"\n{SOFA}",
        f"{SOFA}\nmore\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(wrong: str) -> None:
    with pytest.raises(NoteInvalid):
        TreeHead.read(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "name",
        FOO.replace("530d", "530e"),
        FOO.replace("+A", "+B"),
        FOO.replace("example", "exa mple"),
        f"{FOO}AAAA",
    ],
)
def test_what_is_no_key_is_refused(wrong: str) -> None:
    with pytest.raises(NoteInvalid):
        Key.read(wrong)
    assert Key.read(Key("a", COSIGNATURE, bytes(32)).text()).kind == COSIGNATURE
