"""Targets that end in a database: the endpoint of tablets and carriers, and the forms that take files.

Each runs on a district of its own, which is checked (ledger, tables, log) and replaced by a new one after so many cases: a
case never meets more than a few months of a post, and what one spoils is found soon. The same numbers make the same
children in each, so ids in cases go on meaning something; for a tablet's id, which is never the same, stands OWN.
"""

import gc
import gzip
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Final

import orjson
from werkzeug.test import Client

from schemas import check_answer, check_sealed_receipt
from server.app import create_app
from server.crypto.sealed_batch import PURPOSE, seal_batch
from server.crypto.vault import ENCAPSULATED_BYTES, base64url, seal_to
from server.errors import PROBLEMS
from sync_protocol import LocalProtocolError
from tests.fuzz._batches import DAYS, REFUSED, SYNC, Stuck, registers
from tests.fuzz._bytes import Target, Wrong
from tests.fuzz._routes import JSON
from tests.server._district import DISTRICT, Databases, District, FakeTablet
from tests.server.interchange import _files
from tests.server.web._clinic import Clinic, sign_in

ROUND: Final = 1500
"""Cases of one district."""
AGE: Final = 60
"""Writings of one tablet: a longer journal takes longer to look through."""
OWN: Final = b"01900000-0000-7000-8000-0000000000ff"
"""Stands in cases for the tablet that sends them."""
CARRIED: Final = "/api/v1/carried"
KINDS: Final = ("child", "child", "measurement", "measurement", "follow_up", "delivery")
GZIP: Final = {"Content-Encoding": "gzip"}


class _Served(ABC):
    """What both have in common: a district, replaced in time."""

    def __init__(self, databases: Databases) -> None:
        self._databases, self._cases = databases, 0
        self._open()

    def _open(self) -> None:
        self._stack = ExitStack()
        self.district = self._stack.enter_context(District.opened(self._databases, log_level="CRITICAL"))
        self.app = create_app(self.district.hub.settings, self.district.hub)
        self._begin()

    @abstractmethod
    def _begin(self) -> None:
        """Set up a new district."""

    def _counted(self) -> None:
        """Go to the next district when this one has had its cases."""
        self._cases += 1
        if self._cases % ROUND == 0:
            self.close()
            self._open()

    def close(self) -> None:
        """Check that ledger, tables and log agree."""
        self.district.check_agreement()
        self._stack.close()
        gc.collect()


def refusal(status: int, body: Any) -> str:
    """Give the code of a refusal, which must be a known one with its own status."""
    code = body.get("code")
    if status not in REFUSED or code not in PROBLEMS or PROBLEMS[code].status != status:
        raise Wrong(f"answered {status}: {str(body)[:200]}")
    return str(code)


class Endpoint(_Served):
    """What tablets and carriers send: raw, packed, signed, sealed, or written by a tablet that goes on as it should."""

    name = "endpoint"
    only_json: Container[int] = frozenset(
        how for how in range(256) if how % 10 in (3, 4, 5, 9)
    )  # of _ways: our own client reads these

    def _begin(self) -> None:
        self._client = Client(self.app, use_cookies=False)
        self._tablets = [self._new(), self._new()]
        self._children = [self._tablets[0].register_child() for _ in range(3)]
        self._tablets[0].sync_until_quiet()
        self._tablets[1].sync_until_quiet()
        self.known: Sequence[str] = (*self._children, OWN.decode(), *self.district.posts, *DAYS)
        self._key = self.district.hub.vault.sealing_key()

    def _new(self) -> FakeTablet:
        return self.district.tablet(0)

    # -- cases ------------------------------------------------------------------------------------

    def seeds(self) -> list[bytes]:
        rng, tablet = random.Random(64), self.district.tablet(0)
        written = [
            [rng.choice(KINDS), rng.randrange(3), 0, registers(rng, list(self.known))] for _ in range(40)
        ]
        for child in self._children[:2]:
            tablet.measure(child, weight_g=9000, length_mm=745)
            tablet.set_task(child)
        message = orjson.loads(tablet.next_message())
        carried = tablet.replica.carried_batches(self.district.new_id, self.district.clock.text())
        letter, _ = seal_batch(orjson.loads(tablet.signed(carried[0])), self._key)
        bodies = {
            (0, 1, 2): message,
            (3,): message["batch"],
            (6,): {"letters": [letter]},
            (7,): {**message, "reply": "A" * 22},
            (9,): carried[0],
        }
        spoiled = orjson.dumps({"letters": [letter]}).replace(b'"ciphertext":"', b'"ciphertext":"AAAA')
        found = [b"\x06" + spoiled]
        found += [bytes([how]) + orjson.dumps(body) for hows, body in bodies.items() for how in hows]
        found.append(b"\x01" + gzip.compress(orjson.dumps(message), 1, mtime=0))
        found.append(b"\x08" + gzip.compress(orjson.dumps({**message, "reply": "A" * 22}), 1, mtime=0))
        found += [bytes([4 + n % 2]) + orjson.dumps(written[n : n + 3]) for n in range(len(written) - 3)]
        return [case.replace(tablet.id.encode(), OWN) for case in found]

    def take(self, case: bytes) -> str:
        self._counted()
        how, body = case[0] % len(self._ways) if case else 0, case[1:]
        try:
            return self._ways[how](self, body.replace(OWN, self._tablets[0].id.encode()))
        except Stuck:
            return "unsaid"

    def _plain(self, body: bytes) -> str:
        return self._sync(body, {})[0]

    def _gzip(self, body: bytes) -> str:
        return self._sync(body, GZIP)[0]

    def _packed(self, body: bytes) -> str:
        return self._sync(gzip.compress(body, 1), GZIP)[0]

    def _signed(self, body: bytes) -> str:
        """Sign a batch as it stands. If it is taken, the tablet's own numbers are spent."""
        word, answer = self._sync(self._signature_on(body), {})
        if answer is not None:
            self._tablets[0] = self._new()
        return word

    def _signature_on(self, body: bytes) -> bytes:
        try:
            return self._tablets[0].signed(orjson.loads(body))
        except (ValueError, TypeError, AttributeError) as error:  # our own client signs no such thing
            raise Stuck from error

    def _first(self, body: bytes) -> str:
        return self._written(0, body)

    def _second(self, body: bytes) -> str:
        return self._written(1, body)

    def _written(self, number: int, body: bytes) -> str:
        """Let a tablet write `[[kind, child, which, registers], …]` and sync, as a cadre's does."""
        try:
            asked = list(orjson.loads(body))[:5]
        except (ValueError, TypeError) as error:
            raise Stuck from error
        tablet = self._tablets[number]
        if len(tablet.replica.log) > AGE:
            tablet = self._tablets[number] = self._new()
        unanswered = len(tablet.replica.unanswered())
        for writing in asked:
            with suppress(ValueError, TypeError, LookupError, AttributeError, LocalProtocolError):
                self._write(tablet, *writing)  # unless our own client refuses
        if len(tablet.replica.unanswered()) == unanswered:
            raise Stuck
        word, answer = self._sync(tablet.next_message(), {})
        if answer is None:
            self._tablets[number] = self._new()
        else:
            tablet.replica.receive(answer, self.district.clock.text())
        return word

    def _write(self, tablet: FakeTablet, kind: Any, child: Any, which: Any, values: Any) -> None:
        replica, id_ = tablet.replica, self._children[child] if isinstance(child, int) else str(child)
        other = self.known[which % len(self.known)] if isinstance(which, int) else str(which)
        form = {
            "child": lambda: replica.open_child(id_),
            "measurement": lambda: replica.open_measurement(id_, other, "cadre"),
            "follow_up": lambda: replica.open_follow_up(id_, other),
            "delivery": lambda: replica.open_delivery(id_, other),
        }[kind]()
        tablet.write(form, values)

    # -- letters ----------------------------------------------------------------------------------

    def _letters(self, body: bytes) -> str:
        return self._carry(body)

    def _sealed(self, body: bytes) -> str:
        return self._carry(self._letter(gzip.compress(body, 1)))

    def _sealed_gzip(self, body: bytes) -> str:
        return self._carry(self._letter(body))

    def _sealed_batch(self, body: bytes) -> str:
        """Sign a batch as it stands and seal it. If it is taken, the tablet's own numbers are spent."""
        message = {**orjson.loads(self._signature_on(body)), "reply": "A" * 22}
        word = self._sealed(orjson.dumps(message))
        if word == "receipt":
            self._tablets[0] = self._new()
        return word

    def _letter(self, packed: bytes) -> bytes:
        sealed = seal_to(self._key["public_key"], packed, PURPOSE)
        enc, ciphertext = base64url(sealed[:ENCAPSULATED_BYTES]), base64url(sealed[ENCAPSULATED_BYTES:])
        letter = {"sealed": {"v": 1, "key": self._key["key"], "enc": enc, "ciphertext": ciphertext}}
        return orjson.dumps({"letters": [letter]})

    _ways: Final[Sequence[Callable[["Endpoint", bytes], str]]] = (
        *(_plain, _gzip, _packed, _signed, _first, _second),
        *(_letters, _sealed, _sealed_gzip, _sealed_batch),
    )

    # -- sending ----------------------------------------------------------------------------------

    def _sync(self, body: bytes, headers: Mapping[str, str]) -> tuple[str, Any]:
        """Send an upload; give what became of it, and the answer if it was taken."""
        status, answer = self._post(SYNC, body, headers)
        if status != 200:
            return refusal(status, answer), None
        if reasons := check_answer(answer):
            raise Wrong(f"no answer: {reasons}")
        outcomes = {item[1] for item in answer["receipt"]["items"]}
        return f"{answer['receipt']['status']} {' '.join(sorted(outcomes))}", answer

    def _carry(self, body: bytes) -> str:
        status, answer = self._post(CARRIED, body, {})
        if status not in (200, 429):
            return refusal(status, answer)
        if status == 429:
            return "too-many-tries"
        for one in answer["answers"]:
            if "problem" in one and one["problem"] not in PROBLEMS:
                raise Wrong(f"no code: {one}")
            if "problem" not in one and check_sealed_receipt(one):
                raise Wrong(f"no receipt: {one}")
        return str(answer["answers"][0].get("problem", "receipt"))

    def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, Any]:
        """Post, each time from another address: what one may ask is no matter here."""
        number = self._cases
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        with self._client.open(
            path,
            method="POST",
            data=body,
            headers={"Content-Type": JSON, **headers},
            environ_base={"REMOTE_ADDR": address},
        ) as got:
            return got.status_code, orjson.loads(got.get_data())


class Forms(_Served):
    """Files that staff upload, in forms whose very parts may be wrong."""

    name = "forms"
    only_json: Container[int] = ()
    known: Sequence[str] = ("berkas", "pos", "kepada", "regency", "tambah_pos", "ya")
    boundary: Final = "batas"
    routes: Final = ("/pertukaran/unggah", "/bantuan/lembar")

    def _begin(self) -> None:
        clinic = Clinic.opened(self.district)
        clinic.child("Anak Contoh Satu")
        self.browser = self.app.test_client()
        sign_in(self.browser, clinic.person("supervisor", "district", DISTRICT))
        self._token = self.browser.get("/api/v1/session").get_json()["csrf_token"]

    def seeds(self) -> list[bytes]:
        rows = [_files.row(), _files.row(NIK="", Nama="Anak Contoh Dua", Berat="9,5")]
        aid = b"Kegiatan;Desa;Tanggal\nPemberian makanan tambahan;64.02.06.1001;5/3/2026\n"
        files = [_files.xlsx(rows), _files.html(rows), _files.text(rows), aid]
        whole = [self._form(file) for file in files]
        return [bytes([how]) + case for how in range(2) for case in (*files, *whole)] + [
            bytes([how]) + case for how in range(2, 4) for case in whole
        ]

    def _form(self, content: bytes) -> bytes:
        """Write a form with one file, as a browser does."""
        line = f"--{self.boundary}\r\nContent-Disposition: form-data; name="
        words = f'{line}"kepada"\r\n\r\nregency\r\n'.encode()
        head = f'{line}"berkas"; filename="daftar.xlsx"\r\nContent-Type: application/octet-stream\r\n\r\n'.encode()
        return words + head + content + f"\r\n--{self.boundary}--\r\n".encode()

    def take(self, case: bytes) -> str:
        self._counted()
        how, content = case[0] % 4 if case else 0, case[1:]
        path = self.routes[how % 2]
        got = self.browser.post(
            path,
            data=content if how >= 2 else self._form(content),
            content_type=f"multipart/form-data; boundary={self.boundary}",
            headers={"X-CSRFToken": self._token},
        )
        with got:
            if got.status_code not in (200, 302, *REFUSED, 422):
                raise Wrong(f"{path} answered {got.status_code}")
            return f"{path} {got.status_code}"


SERVED: Final[Mapping[str, Callable[[Databases], Target]]] = {"endpoint": Endpoint, "forms": Forms}
