"""The golden messages of `schemas/examples/`, told as one story and made by the protocol's own code.

A made-up tablet registers a made-up child, weighs it, mends the weight, and slips once. The health centre
wants the child measured again, and the tablet tells what came of it. The files are the
pin: a test fails when what is made here differs from them. After a wanted change of the protocol, write them
anew with `python -m tests.schemas._examples` and read the difference.
"""

import base64
import gzip
import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas import check_change
from sync_protocol import (
    NOTHING_SEEN,
    Change,
    Dot,
    History,
    Item,
    Outcome,
    Receipt,
    ReceiptStatus,
    Replica,
    canonical,
    change_hash,
    delivery_id,
    fold,
    follow_up_id,
    hub_actor,
)
from tests import _hpke

DIRECTORY = Path(__file__).parents[2] / "schemas" / "examples"

DISTRICT = "64.02"
POST = "019bf000-0000-7000-8000-000000000001"
TABLET = "019bf000-0000-7000-8000-000000000002"
CHILD = "019bf000-0000-7000-8000-000000000003"
BATCH = "019bf000-0000-7000-8000-000000000004"
TASK = "019bf000-0000-7000-8000-000000000006"
INCARNATION = "019bf000-0000-7000-8000-000000000005"
APP = "contoh 0.1"
TODAY = date(2026, 1, 6)
PURPOSE = b"posyandu-sync/sealed-batch/1"

# Known to everyone who reads this line, so it signs examples and nothing else.
KEY = ec.derive_private_key(
    int.from_bytes(hashlib.sha256(b"posyandu-sync example tablet").digest()), ec.SECP256R1()
)


SERVER_KEY, EPHEMERAL_KEY = (
    ec.derive_private_key(int.from_bytes(hashlib.sha256(seed).digest()), ec.SECP256R1())
    for seed in (b"posyandu-sync example server", b"posyandu-sync example letter")
)
REPLY_KEY = hashlib.sha256(b"posyandu-sync example reply").digest()[:16]
NONCE = hashlib.sha256(b"posyandu-sync example nonce").digest()[:12]


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    public = key.public_numbers()
    axes = {"x": public.x, "y": public.y}
    return {"kty": "EC", "crv": "P-256"} | {name: base64url(axis.to_bytes(32)) for name, axis in axes.items()}


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    return base64url(hashlib.sha256(_hpke.point(key)).digest()[:8])


def sealed_example(receipt: dict[str, Any]) -> dict[str, Any]:
    """Give a letter with one change in it, the keys that open it, what is inside, and its sealed receipt.

    The gzip inside is not compressed, so that every release of zlib makes the same.
    """
    replica = tablet()
    batch = replica.carried_batches(lambda: BATCH, "2026-01-06T03:00:00Z", max_changes=1)[0]
    inside = {"batch": batch, "signature": signature(batch), "reply": base64url(REPLY_KEY)}
    packed = gzip.compress(json.dumps(inside, separators=(",", ":")).encode(), compresslevel=0, mtime=0)
    packed = packed[:9] + b"\xff" + packed[10:]  # the byte that names the system that packed it: unknown
    sealed = _hpke.seal(SERVER_KEY.public_key(), packed, PURPOSE, b"", EPHEMERAL_KEY)
    name = base64url(hashlib.sha256(sealed).digest())[:22]
    one = json.dumps({**receipt, "wanted": 2, "items": receipt["items"][:1]}, separators=(",", ":")).encode()
    ciphertext = AESGCM(REPLY_KEY).encrypt(NONCE, one, b"posyandu-sync/receipt/1/" + name.encode())
    return {
        "private_key": base64url(SERVER_KEY.private_numbers().private_value.to_bytes(32)),
        "ephemeral_private_key": base64url(EPHEMERAL_KEY.private_numbers().private_value.to_bytes(32)),
        "info": PURPOSE.decode(),
        "inside": inside,
        "letter": {
            "sealed": {
                "v": 1,
                "key": key_id(SERVER_KEY.public_key()),
                "enc": base64url(sealed[:65]),
                "ciphertext": base64url(sealed[65:]),
            }
        },
        "receipt": json.loads(one),
        "answer": {"sealed_receipt": {"v": 1, "letter": name, "ciphertext": base64url(NONCE + ciphertext)}},
    }


def signature(batch: dict[str, Any]) -> str:
    der = KEY.sign(canonical(batch), ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    return base64url(b"".join(number.to_bytes(32) for number in decode_dss_signature(der)))


def tablet() -> Replica:
    """A tablet that has saved four changes and sent none."""
    replica = Replica(DISTRICT, TABLET, POST, APP)

    def write(form: Any, registers: dict[str, Any], at: str) -> None:
        replica.write(
            form,
            registers,
            author="kader.contoh",
            recorded_at=at,
            nonce=base64url(hashlib.sha256(f"nonce {at}".encode()).digest()[:16]),
        )

    write(replica.open_child(CHILD), REGISTRATION, "2026-01-05T02:10:00Z")
    first_weighing = {"weight": {"weight_g": 9100, "oedema": "n"}, "length": LENGTH, "services": SERVICES}
    write(replica.open_measurement(CHILD, "2026-01-05"), first_weighing, "2026-01-05T02:15:00Z")
    mended, slip = {"weight_g": 9150, "oedema": "n"}, {"weight_g": 9, "oedema": "n"}
    write(replica.open_measurement(CHILD, "2026-01-05"), {"weight": mended}, "2026-01-05T02:16:00Z")
    write(replica.open_measurement(CHILD, "2026-01-06"), {"weight": slip}, "2026-01-06T01:30:00Z")
    return replica


def task_of_the_centre() -> Change:
    """Give what somebody at the health centre wants done: the first change of the hub to a follow-up."""
    record_id = follow_up_id(CHILD, TASK)
    wire = {
        "kind": "follow_up",
        "id": record_id,
        "key": {"child": CHILD, "task": TASK},
        "context": NOTHING_SEEN.wire(),
        "set": {
            "task": {
                "action": "remeasure",
                "reason": "length_shrank",
                "due_on": "2026-01-12",
                "assigned_to": "kader.contoh",
            }
        },
        "author": "account:019bf000-0000-7000-8000-000000000007",
        "recorded_at": "2026-01-06T02:45:00Z",
        "nonce": base64url(hashlib.sha256(b"nonce task").digest()[:16]),
        "app": "hub",
        "schema": 1,
    }
    dot = Dot(hub_actor(record_id), 1)
    return Change.from_wire(dot, wire, change_hash(dot, "", wire))


def aid_of_the_centre() -> Change:
    """Give an aid that the office has promised: the first change of the hub to a delivery."""
    record_id = delivery_id(CHILD, TASK)
    aid = {"menu": "food", "funds": "genting", "reaches": "child", "donor": POST}
    wire = {
        "kind": "delivery",
        "id": record_id,
        "key": {"child": CHILD, "delivery": TASK},
        "context": NOTHING_SEEN.wire(),
        "set": {"aid": {**aid, "starts_on": "2026-01-12", "ends_on": "2026-07-11"}},
        "author": "account:019bf000-0000-7000-8000-000000000007",
        "recorded_at": "2026-01-06T02:50:00Z",
        "nonce": base64url(hashlib.sha256(b"nonce aid").digest()[:16]),
        "app": "hub",
        "schema": 1,
    }
    dot = Dot(hub_actor(record_id), 1)
    return Change.from_wire(dot, wire, change_hash(dot, "", wire))


def aid_brought_by_the_tablet(replica: Replica) -> Change:
    """Let a tablet that has pulled the promise tell that it came."""
    delivered = {"given_on": "2026-01-12", "quantity": 30, "unit": "portion", "value_rp": 450_000}
    return replica.write(
        replica.open_delivery(CHILD, TASK),
        {"delivered": delivered, "evidence": {"what": "signature"}},
        author="kader.contoh",
        recorded_at="2026-01-12T02:30:00Z",
        nonce=base64url(hashlib.sha256(b"nonce brought").digest()[:16]),
    )


def result_of_the_tablet(replica: Replica) -> Change:
    """Let a tablet that has pulled the task tell what came of it."""
    return replica.write(
        replica.open_follow_up(CHILD, TASK),
        {"result": RESULT},
        author="kader.contoh",
        recorded_at="2026-01-09T02:30:00Z",
        nonce=base64url(hashlib.sha256(b"nonce result").digest()[:16]),
    )


RESULT = {"done_on": "2026-01-09", "outcome": "done"}
REGISTRATION = {
    "identity": {"name": "Anak Contoh 1", "sex": "F", "born_on": "2025-01-01", "birth_order": 2},
    "nik": {"nik": "9999994101259999"},
    "parents": {"mother": "Ibu Contoh 1", "father": None, "phone": "+620000000000"},
    "home": {"address": "Jalan Contoh 1", "rt": "1", "rw": "02", "village": "64.02.06.1001"},
    "post": {"post": POST},
    "birth": {"weight_g": 3050, "length_mm": 490, "gestation_weeks": 39},
    "books": {"kia": True, "kms": False},
    "family": {"krs": False, "source": None, "valid_until": None},
    "consent": {
        "given": True,
        "by": "Ibu Contoh 1",
        "relation": "ibu",
        "on": "2026-01-05",
        "method": "lisan",
    },
}
LENGTH = {"length_mm": 742, "position": "lying"}
TOKEN = "contoh-token-0001"
SERVICES = {"vitamin_a": "blue", "exclusive_breastfeeding": None, "mbg": False, "mother_class": True}


def answer(replica: Replica) -> dict[str, Any]:
    """What the server answers that takes the tablet's changes and sets the last one aside."""
    changes = [logged.change for logged in replica.log]
    reasons = [reason.wire() for reason in check_change(changes[3].wire(), today=TODAY)]
    outcomes = [Item(n, Outcome.APPLIED) for n in (1, 2, 3)] + [Item(4, Outcome.QUARANTINED, reasons)]
    receipt = Receipt(BATCH, ReceiptStatus.ACCEPTED, 5, tuple(outcomes))
    child, weighing = fold(History((changes[0],))), fold(History((changes[1], changes[2])))
    row = {"on": weighing.key["measured_on"], "source": weighing.key["source"], **weighing.wire()}
    return {
        "protocol": 1,
        "incarnation": INCARNATION,
        "token": TOKEN,
        "server_time": "2026-01-06T03:00:02Z",
        "receipt": receipt.wire(),
        "pull": {
            "cursor": 4,
            "more": False,
            "children": [{"id": CHILD, **child.wire()}],
            "measurements": {CHILD: [row]},
            "follow_ups": {CHILD: [{"task": TASK, **fold(History((task_of_the_centre(),))).wire()}]},
            "deliveries": {CHILD: [{"delivery": TASK, **fold(History((aid_of_the_centre(),))).wire()}]},
            "left": [],
        },
    }


def examples() -> dict[str, Any]:
    """Give every example by the name of its file."""
    replica = tablet()
    batch = replica.next_batch(BATCH, "2026-01-06T03:00:00Z")
    answered = answer(replica)
    refused = replica.log[3].change.wire()
    sender = tablet()
    sender.pending = batch
    sender.receive(answered, "2026-01-06T03:00:03Z")
    made = {
        "enrol.json": {
            "code": "CNTH-2026-X1",
            "public_key": jwk(KEY.public_key()),
            "app": APP,
            "device": "Tablet Contoh 1",
        },
        "enrol-answer.json": {
            "tablet": TABLET,
            "district": DISTRICT,
            "post": {"id": POST, "name": "Posyandu Contoh 1"},
            "incarnation": INCARNATION,
            "server_time": "2026-01-05T02:00:00Z",
            "limits": {"changes": 200, "bytes": 262144},
            "sealing": {"key": key_id(SERVER_KEY.public_key()), "public_key": jwk(SERVER_KEY.public_key())},
        },
        "batch.json": {"batch": batch, "signature": signature(batch)},
        "change-child.json": replica.log[0].change.wire(),
        "change-measurement.json": replica.log[1].change.wire(),
        "change-follow-up.json": result_of_the_tablet(sender).wire(),
        "change-delivery.json": aid_brought_by_the_tablet(sender).wire(),
        "refused-change.json": {
            "change": refused,
            "today": TODAY.isoformat(),
            "reasons": [reason.wire() for reason in check_change(refused, today=TODAY)],
        },
        "receipt.json": answered["receipt"],
        "sealed.json": sealed_example(answered["receipt"]),
        "answer.json": answered,
    }
    plain: dict[str, Any] = json.loads(json.dumps(made))
    return plain


def main() -> None:
    """Write the files anew."""
    for name, content in examples().items():
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (DIRECTORY / name).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
