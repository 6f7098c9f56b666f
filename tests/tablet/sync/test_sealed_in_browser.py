"""Letters: what the tablet's modules seal, the server opens, and what the server seals, they open; nobody else can."""

import copy
from typing import Any

import orjson
import pytest

from schemas import parse_envelope
from server.crypto.sealed_batch import open_letter, read_letter, seal_receipt
from server.crypto.vault import Keys, Vault, signature_fits
from server.errors import Problem
from sync_protocol import Receipt, ReceiptStatus, canonical
from tests.schemas import _examples as examples
from tests.tablet._modules import Modules

pytestmark = pytest.mark.browser

VAULT = Vault(Keys({1: b"1" * 32}, b"i" * 32, "s"), "64.02")
LIMITS = {"max_bytes": 2**20, "max_depth": 16}


@pytest.fixture(scope="module")
def sealed(modules: Modules) -> list[Any]:
    """Give ten letters of one signed batch, and their slips."""
    batch = examples.tablet().carried_batches(lambda: examples.BATCH, "2026-01-06T03:00:00Z")[0]
    envelope = {"batch": batch, "signature": examples.signature(batch)}
    letters: list[Any] = modules.call(
        "Promise.all(Array.from({ length: 10 }, () => sealed.seal(given.envelope, given.key)))",
        {"envelope": envelope, "key": VAULT.sealing_key()},
    )
    return letters


def opened(letter: Any) -> Any:
    return open_letter(VAULT, read_letter(VAULT, letter), **LIMITS)


def test_server_opens_what_was_sealed_in_the_browser(sealed: list[Any]) -> None:
    for one in sealed:
        letter, slip = opened(one["letter"])
        envelope = parse_envelope(letter.message)
        public_key = examples.jwk(examples.KEY.public_key())
        assert signature_fits(public_key, canonical(envelope.batch), envelope.signature)
        assert slip.letter == one["slip"]["name"]
        assert (one["slip"]["batch"], one["slip"]["first"]) == (examples.BATCH, 1)
    assert len({one["slip"]["name"] for one in sealed}) == len({one["slip"]["reply"] for one in sealed}) == 10


def test_receipt_sealed_by_the_server_is_opened_in_the_browser(modules: Modules, sealed: list[Any]) -> None:
    receipt = Receipt(examples.BATCH, ReceiptStatus.GAP, 3).wire()
    answers = [seal_receipt(orjson.dumps(receipt), opened(one["letter"])[1]) for one in sealed]
    slips = [one["slip"] for one in sealed]
    found = modules.call(
        "Promise.all(given.answers.map((answer, at) => sealed.openReceipt(answer, given.slips[at])))",
        {"answers": answers, "slips": slips},
    )
    assert found == [receipt] * 10
    refused = modules.call(
        """Promise.all(given.answers.map((answer, at) =>
          sealed.openReceipt(answer, given.slips[(at + 1) % 10]).then(() => 'opened', (error) => error.name)))""",
        {"answers": answers, "slips": slips},
    )
    assert refused == ["OperationError"] * 10  # of another letter


def test_example_receipt_of_the_documents_is_opened(modules: Modules) -> None:
    example = orjson.loads((examples.DIRECTORY / "sealed.json").read_bytes())
    letter, answer = example["letter"], example["answer"]
    found = modules.call(
        """sealed.sealedName(given.letter).then(async (name) =>
          [name, await sealed.openReceipt(given.answer, { name, reply: given.reply })])""",
        {"letter": letter, "answer": answer, "reply": example["inside"]["reply"]},
    )
    assert found == [answer["sealed_receipt"]["letter"], example["receipt"]]


def test_letter_does_not_open_when_a_single_bit_differs(sealed: list[Any]) -> None:
    for part in ("enc", "ciphertext"):
        altered = copy.deepcopy(sealed[0]["letter"])
        text = altered["sealed"][part]
        altered["sealed"][part] = text[:40] + ("A" if text[40] != "A" else "B") + text[41:]
        with pytest.raises(Problem, match="sealed-unreadable"):
            opened(altered)


def test_letter_does_not_open_when_it_was_sealed_to_another_server(sealed: list[Any]) -> None:
    other = Vault(Keys({1: b"2" * 32}, b"i" * 32, "s"), "64.02")
    with pytest.raises(Problem, match="sealed-for-another-server"):
        read_letter(other, sealed[0]["letter"])


def test_file_of_letters_is_read_line_by_line_when_some_are_spoiled(
    modules: Modules, sealed: list[Any]
) -> None:
    lines = [orjson.dumps(one["letter"]).decode() for one in sealed[:3]]
    receipt = orjson.dumps(seal_receipt(b"{}", opened(sealed[0]["letter"])[1])).decode()
    text = "\r\n".join([*lines, "", receipt, lines[0][:50], "[]", "null", '{"sealed": {}}']) + "\n"
    read = modules.call("sealed.readFile(given)", text)
    assert read["letters"] == [one["letter"] for one in sealed[:3]]
    assert read["receipts"] == [orjson.loads(receipt)]
    assert read["spoiled"] == 4
