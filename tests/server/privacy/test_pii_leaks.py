"""Planted secrets: names, NIKs and phones that came in by every way are nowhere to be read afterwards.

One story for each kind of database: tablets, carried letters, an imported sheet, the desk and its forms, the office with its
JSON, each with words of its own, and every request that fails in a way in which its words might be kept. Then everything
that a thief could hold is searched for each of the words: the database's files, a dump, a backup by name and content, the
log, the metrics, and the pages of errors.
"""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from click.testing import CliRunner
from flask.testing import FlaskClient

from server.app import create_app
from server.backup import Archive, backup, vault_of
from server.cli import main
from tests._postgres import program
from tests.server._carriers import Sender, answers
from tests.server._district import District, identity, sqlite_file
from tests.server.interchange._files import row, xlsx
from tests.server.interchange._office import taken
from tests.server.privacy._planted import everything, plant, words
from tests.server.web._clinic import Clinic, csrf_token, fields, sign_in

WAYS = ("sync", "carried", "import", "desk", "office", "search", "address", "sign-in", "lines", "rights")


def planted(way: str) -> dict[str, str]:
    """Give a name, NIK and phone that are of one way in and of nothing else."""
    number = WAYS.index(way) + 1
    return {
        "name": f"Nama Tanaman {way.capitalize()}",
        "nik": f"64020650012500{number + 10}",
        "phone": f"+6281377700{number:02d}",
    }


def all_words() -> list[bytes]:
    mine = [word.encode() for way in WAYS for word in planted(way).values()]
    return [*mine, *(word.replace(b"+", b"") for word in mine if word.startswith(b"+")), b"Tanaman", *words()]


def hit(content: bytes) -> list[str]:
    """Give the planted words that stand in something, in the forms in which text is commonly kept."""
    found = []
    for word in all_words():
        plain = word.decode()
        forms = (
            word,
            plain.replace(" ", "%20").encode(),
            plain.replace(" ", "+").encode(),
            word.hex().encode(),
        )
        if any(form in content for form in (*forms, plain.encode("utf-16-le"))):
            found.append(plain)
    return found


@dataclass
class Story:
    """What was done in a district, and what of its answers must not quote anybody."""

    clinic: Clinic
    client: FlaskClient
    refusals: dict[str, bytes] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)

    @classmethod
    def begun(cls, district: District) -> "Story":
        """Open a health centre, somebody of which has signed in."""
        told = cls(Clinic.opened(district), create_app(district.hub.settings, district.hub).test_client())
        sign_in(told.client, told.clinic.person())
        return told

    @property
    def district(self) -> District:
        return self.clinic.district

    def registers(self, way: str) -> dict[str, Any]:
        """Give a child's registers with a way's words wherever text is taken."""
        mine = planted(way)
        return {
            "identity": identity(name=mine["name"]),
            "nik": {"nik": mine["nik"]},
            "parents": {"mother": mine["name"], "father": mine["name"], "phone": mine["phone"]},
            "home": {"address": f"Gang {mine['name']}", "rt": "017"},
            "consent": {"given": True, "by": mine["name"]},
        }

    def by_sync(self) -> None:
        tablet = self.clinic.first
        self.children += [plant(tablet), tablet.register_child(**self.registers("sync"))]
        tablet.sync_until_quiet()
        bad = orjson.loads(tablet.next_message())
        bad["batch"]["tablet"] = planted("sync")["name"]
        self.ask("POST", "/api/v1/sync", json=bad)
        self.ask(
            "POST", "/api/v1/enrol", json={"code": planted("sync")["nik"], "device": planted("sync")["name"]}
        )

    def by_carrier(self) -> None:
        tablet = self.clinic.second
        child = tablet.register_child(**self.registers("carried"))
        tablet.measure(child, weight_g=9000, note=planted("carried")["name"])
        assert [list(one) for one in answers(self.district, Sender(tablet).letters())] == [["sealed_receipt"]]
        self.ask("POST", "/api/v1/carried", json={"sealed": planted("carried")})

    def by_import(self) -> None:
        mine = planted("import")
        good = row(
            NIK=mine["nik"],
            Nama=mine["name"],
            Nama_Ortu=f"{mine['name']} / {mine['name']}",
            Alamat=mine["name"],
        )
        refused = row(NIK=mine["nik"], Nama=mine["name"], Berat=mine["name"], Posyandu=mine["name"])
        doubtful = row(
            NIK="", Nama=planted("sync")["name"], Tgl_Lahir="2025-01-10", Nama_Ortu=f"- / {mine['name']}"
        )
        for apply in (False, True):
            taken(self.district, xlsx([good, refused, doubtful]), apply=apply)

    def by_the_desk(self) -> None:
        """Every form of a child, well and badly filled in."""
        mine, child = planted("desk"), self.children[1]
        for form in ("plan", "pmt", "remeasure", "close", "take"):
            address = f"/anak/{child}/tindak/{form}"
            given = fields(self.client.get(address).text) | {"csrf_token": csrf_token(self.client, "/akun")}
            typed = {"note": f"{mine['name']} {mine['nik']}", "action": "home_visit", "weight": "9,1"}
            self.client.post(address, data=given | typed)
            wrong = dict.fromkeys(("assigned_to", "reason", "due_on", "weight", "outcome"), mine["name"])
            self.client.post(address, data=given | typed | wrong)
        for address in ("/selisih", "/kembar", "/karantina", "/tablet/daftar", "/orang/undang"):
            self.client.post(
                address, data={"name": mine["name"], "csrf_token": csrf_token(self.client, "/akun")}
            )

    def by_the_office(self) -> None:
        """What was set aside is corrected, put away with words for a reason, and asked for with words for names."""
        mine = planted("office")
        listed = self.client.get("/api/v1/quarantine").get_json()["cases"]
        assert len(listed) >= 5
        for case in listed:
            place = f"/api/v1/quarantine/{case['actor']}/{case['counter']}"
            self.ask("POST", f"{place}/dismiss", json={"reason": mine["name"]})
            self.ask(
                "POST", f"{place}/release", json={"set": {"identity": identity(name=mine["name"], sex="X")}}
            )
            self.ask("POST", f"{place}/release", json={"set": {"identity": identity(name=mine["name"])}})
        self.ask(
            "POST",
            f"/api/v1/children/{self.children[1]}/plan",
            json={"action": mine["name"], "note": mine["nik"]},
        )
        self.ask(
            "POST", f"/api/v1/children/{self.children[1]}/plan", json={"action": "call", "note": mine["name"]}
        )
        self.ask(
            "POST",
            f"/api/v1/children/{self.children[1]}/move",
            json={"to": mine["name"], "from": mine["nik"]},
        )

    def by_rights(self) -> None:
        """What a parent asks, well and badly filled in, and the copy that is handed over."""
        mine, child = planted("rights"), self.children[1]
        asked = {"kind": "correction", "relation": "mother", "by": mine["name"], "words": mine["nik"]}
        for form in ({**asked, "contact": mine["phone"]}, dict.fromkeys(asked, mine["name"])):
            self.client.post(
                f"/anak/{child}/hak", data={**form, "csrf_token": csrf_token(self.client, "/akun")}
            )
        for paper in ("pdf", "json"):
            assert self.client.get(f"/anak/{child}/hak/salinan.{paper}").status_code == 200

    def by_asking(self) -> None:
        """Searches, addresses and sign-ins with names in them."""
        for word in planted("search").values():
            self.client.post("/cari", data={"cari": word, "csrf_token": csrf_token(self.client, "/cari")})
            self.ask("POST", "/api/v1/search", json={"words": word})
            self.client.get("/antrean", query_string={"q": word, "post": word, "rule": word})
            self.client.post(
                "/tampilan", data={"name": word, "query": f"q={word}", "csrf_token": csrf_token(self.client)}
            )
        for word in planted("address").values():
            for place in (
                "/anak",
                "/pos",
                "/tablet",
                "/api/v1/children",
                "/undangan",
                "/static",
                "/tablet-app",
                "/x",
            ):
                self.ask("GET", f"{place}/{word}", query_string={"nik": word})
        stranger = self.client.application.test_client()
        for word in planted("sign-in").values():
            form = {"csrf_token": csrf_token(stranger), "username": word, "password": word}
            stranger.post("/masuk", data=form, headers={"Referer": f"http://localhost/masuk?{word}"})

    def by_the_command_line(self) -> None:
        mine = planted("lines")
        for arguments in (
            ["child", "move", mine["name"], "--to", mine["nik"]],
            ["quarantine", "show", mine["name"]],
            ["import", "sigizi", f"{mine['name']}.xlsx", "--apply"],
        ):
            CliRunner().invoke(main, [*arguments, "--data", str(self.district.hub.settings.data_dir)])

    @property
    def failure(self) -> str:
        """How a search fails whose table is gone: to SQLite that is an error of the whole database, which may pass."""
        return "503" if self.district.hub.database.engine.dialect.name == "sqlite" else "500"

    def by_failing(self) -> None:
        """Rows that do not open, and a table that is gone: the answer and the log tell of it without a word of a person."""
        engine = self.district.hub.database.engine
        for statement, address in (
            ("UPDATE child SET state = wrapped_key", f"/anak/{self.children[1]}"),
            ("ALTER TABLE nik_index RENAME TO nik_index_gone", "/api/v1/search"),
        ):
            with engine.connect() as connection:
                raw = connection.connection.driver_connection
                connection.rollback()
                assert raw is not None
                raw.execute(statement)
                raw.commit()
            self.ask("GET", address, failing=True)  # the search's is 405
            self.ask("POST", address, failing=True, json={"words": planted("search")["nik"]})

    def ask(self, method: str, path: str, *, failing: bool = False, **given: Any) -> None:
        """Ask for something, and keep the answer if it is a refusal; a program's answer may quote what that program sent."""
        token = {"X-CSRFToken": csrf_token(self.client, "/akun")}
        answer = self.client.open(path, method=method, headers=token, **given)
        assert answer.status_code < 500 or failing, (path, answer.text)
        if answer.status_code >= 400 and not ("json" in given and answer.status_code < 500):
            self.refusals[f"{method} {path} {answer.status_code}"] = answer.data


@pytest.fixture(autouse=True)
def fresh_log() -> Iterator[None]:
    """Let the next test's log go where that test reads it."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def held(story: Story, tmp_path: Path) -> Iterator[tuple[str, bytes]]:
    """Give everything that a thief could hold, by where it was."""
    district = story.district
    yield from everything(district.hub.database.engine)
    file = tmp_path / "cadangan.backup"
    backup(district.hub, file, force=False, now=district.clock.now, progress=lambda *_: None)
    yield "backup", file.read_bytes()
    settings = district.hub.settings
    with Archive.open(
        file, settings.key_file, vault_of(settings)
    ) as archive:  # and what is in it under the seal
        for name in archive.manifest.members:
            yield "name in the backup", name.encode()
            yield f"backup/{name}", b"".join(archive.chunks(name))
    yield "names of files", "\n".join(str(path) for path in tmp_path.rglob("*")).encode()
    if district.hub.settings.is_sqlite:
        for path in sorted(sqlite_file(district).parent.glob(f"{sqlite_file(district).name}*")):
            yield path.suffix, path.read_bytes()
    else:
        address = district.hub.settings.database_url
        for form in ("--inserts", "--format=custom"):
            dump = subprocess.run([program("pg_dump"), form, address], check=True, capture_output=True)
            yield f"pg_dump {form}", dump.stdout
    yield "metrics", story.client.get("/metrics").data


def test_no_planted_word_is_anywhere(
    installed: District, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    story = Story.begun(installed)
    story.by_sync()
    story.by_carrier()
    story.by_import()
    story.by_the_desk()
    story.by_the_office()
    story.by_rights()
    story.by_asking()
    story.by_the_command_line()
    places = list(held(story, tmp_path))
    story.by_failing()
    places += [("metrics after failures", story.client.get("/metrics").data)]
    written = capsys.readouterr()
    places += [("log", written.err.encode() + written.out.encode()), *story.refusals.items()]
    failed = [written.err.count(f'"event": "{event}"') for event in ("set aside", "unhandled")]
    assert failed == [1, 1], "the child's page says that it cannot be shown, the search fails"
    assert {place.rpartition(" ")[2] for place in story.refusals} >= {"404", "405", story.failure}
    assert {f"{place}: {word}" for place, content in places for word in hit(content)} == set()


def test_a_word_that_is_there_would_be_found(installed: District, tmp_path: Path) -> None:
    story = Story.begun(installed)
    mine = planted("sync")["name"]
    story.clinic.district.tablet(0, mine)  # the name of a tablet is no secret
    found = {place for place, content in held(story, tmp_path) if mine in hit(content)}
    files = (
        {".db-wal", "backup/posyandu.db"} if story.district.hub.settings.is_sqlite else {"pg_dump --inserts"}
    )
    assert {"tablet.name", *files} <= found
