"""An erasure reaches every field that a person can type in: words of every kind are planted through real requests, the child
is erased, and then nothing finds them: no column, in the clear or opened with the keys, no file, page, export or metric."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import orjson
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, text

from server.aid import register, sheets
from server.app import create_app
from server.audit.export import lines
from server.database.models import AidActivity, Batch, ChangeRow, CsrSheet, ImportRun, Measurement
from server.interchange import uploads
from server.operations import jobs
from server.review import Scope, saved_views
from tests.server._carriers import Sender, answers
from tests.server._district import DISTRICT, District, FakeTablet, identity, sqlite_file
from tests.server.aid._commitments import donor_of
from tests.server.interchange._files import row, xlsx
from tests.server.interchange._office import taken
from tests.server.privacy._planted import everything
from tests.server.privacy._requests import ailments, ask, erased
from tests.server.privacy._under_seal import opened
from tests.server.web._clinic import Clinic, csrf_token, fields, sign_in

NAME, OLD_NAME, NIK = "Kirana Wexvandar Jaya", "Kirano Wexvandar Lama", "6402065702250077"
MOTHERS, PHONE, ADDRESS = "Rini Zulmirat Sari", "+6281377700991", "Gang Zulmirat 9"
BORN, WRONG_BORN, WRONG_GRAMS, WRONG_ARM = "2025-02-17", "2052-11-29", 73219876, 98721345
NOTE: Final = "Catatan wexvandar di rumah"
OTHER: Final = "Bayu Tetap Disini"
WORDS: Final = (
    *(NAME, OLD_NAME, "Wexvandar", "wexvandar", NIK, MOTHERS, "Zulmirat", PHONE, PHONE[1:], ADDRESS, BORN),
    *(WRONG_BORN, str(WRONG_GRAMS), str(WRONG_ARM)),
)
HEAD: Final = "Kegiatan;Desa;Tanggal;Nilai;Nama penerima;NIK;Bukti\n"


class Story:
    """One child about whom words were planted everywhere, and another who stays."""

    def __init__(self, district: District, data_dir: Path) -> None:
        self.clinic, self.data_dir = Clinic.opened(district), data_dir
        self.app = create_app(district.hub.settings, district.hub)
        self.desk = self.app.test_client()
        self.staff = self.clinic.person()
        sign_in(self.desk, self.staff)
        self.child = self.by_tablet(self.clinic.first)
        self.other = self.clinic.child(OTHER, nik={"nik": "6402061001250001"})
        self.by_carrier(self.clinic.second)
        self.by_the_desk()
        self.by_files()
        self.by_aid()
        self.by_names()
        ask(district, self.child, "access")

    @property
    def district(self) -> District:
        return self.clinic.district

    def by_tablet(self, tablet: FakeTablet) -> str:
        """Write what is right, what is corrected, and what is quarantined."""
        child = tablet.register_child(
            identity=identity(name=OLD_NAME, born_on=BORN),
            nik={"nik": NIK},
            parents={"mother": MOTHERS, "father": MOTHERS, "phone": PHONE},
            home={"address": ADDRESS, "rt": "017"},
            consent={"given": True, "by": MOTHERS},
        )
        tablet.measure(child, weight_g=9000, note=NOTE)
        tablet.sync()
        tablet.edit_child(child, identity=identity(name=NAME, born_on=BORN))
        tablet.edit_child(child, identity=identity(name=NAME, born_on=WRONG_BORN))
        tablet.measure(child, "2026-02-05", weight_g=WRONG_GRAMS)
        arm = {"muac": {"muac_mm": WRONG_ARM}}
        tablet.write(tablet.replica.open_measurement(child, "2026-01-05"), arm)
        tablet.write(
            tablet.replica.open_child(child), {"nik": {"nik": f"{NIK}9"}, "parents": {"phone": PHONE}}
        )
        task = tablet.set_task(child, action="home_visit", reason=NOTE)
        tablet.write(tablet.replica.open_follow_up(child, task), {"note": {"text": NOTE}})
        tablet.remove(child, "2026-03-05", reason=NOTE)
        self.message = tablet.next_message()
        self.answer = orjson.loads(tablet.send_raw(self.message))["receipt"]
        tablet.sync_until_quiet()
        assert tablet.outcomes().count("quarantined") >= 4
        return child

    def by_carrier(self, tablet: FakeTablet) -> None:
        tablet.sync_until_quiet()
        tablet.measure(self.child, "2025-12-05", weight_g=WRONG_GRAMS, note=NOTE)
        assert answers(self.district, Sender(tablet).letters())

    def by_the_desk(self) -> None:
        for form in ("plan", "remeasure", "close", "take"):
            address = f"/anak/{self.child}/tindak/{form}"
            given = fields(self.desk.get(address).text) | {"csrf_token": csrf_token(self.desk, "/akun")}
            typed = {"note": NOTE, "action": "home_visit", "weight": "9,1"}
            for wrong in ({}, {"reason": NOTE, "assigned_to": NOTE, "due_on": NOTE}):
                self.desk.post(address, data=given | typed | wrong)
        token = {"X-CSRFToken": csrf_token(self.desk, "/akun")}
        for case in self.desk.get("/api/v1/quarantine").get_json()["cases"][:2]:
            place = f"/api/v1/quarantine/{case['actor']}/{case['counter']}"
            self.desk.post(f"{place}/dismiss", json={"reason": "wrong-child"}, headers=token)
        asked = {"kind": "correction", "relation": "mother", "by": MOTHERS, "words": NOTE, "contact": PHONE}
        self.desk.post(
            f"/anak/{self.child}/hak", data={**asked, "csrf_token": csrf_token(self.desk, "/akun")}
        )

    def by_files(self) -> None:
        """Import a file with a row that is taken and some that are refused; and let another wait for a decision."""
        good = row(NIK=NIK, Nama=NAME, Tgl_Lahir=BORN, Nama_Ortu=f"- / {MOTHERS}", Alamat=ADDRESS)
        refused = row(NIK=NIK, Nama=NAME, Tgl_Lahir=BORN, Berat="berat", Alamat=ADDRESS)
        nameless = row(NIK="", Nama=NAME, Tgl_Lahir="salah", Alamat=ADDRESS)
        stays = row(NIK="6402061001250001", Nama=OTHER, Alamat="Jalan Tetap 1")
        taken(self.district, xlsx([good, refused, nameless, stays]))
        whole = Scope("district", DISTRICT, shows_names=True)
        for rows in ([good, stays], [stays]):
            uploads.receive(
                self.district.hub, whole, xlsx(rows), actor="account:satu", now=self.district.clock.now
            )

    def by_aid(self) -> None:
        """Write activities and sheets that name the child; some are matched to it, one sheet waits."""
        hub, now, donor = self.district.hub, self.district.clock.now, donor_of(self.district)
        lines = (
            f"PMT untuk {NAME};Jahab;1/3/2026;450.000;{NAME};{NIK};{PHONE}\n"
            f"PMT;Jahab;2/3/2026;451.000;{NAME};;{ADDRESS} {NAME}\n"
            f"Sumur {OTHER};Jahab;3/3/2026;9.000.000;;;foto\n"
        )
        with hub.database.transaction() as session:
            area = register.whole_district(session, hub)
            given = {
                **{"title": f"Bantuan bagi {NAME}", "menu": "food", "funds": "csr", "value_rp": "1"},
                **{"village": "64.02.06.1001", "starts_on": "2026-03-01", "evidence": f"NIK {NIK}"},
            }
            register.add_activity(session, hub, area, given, author="operator", now=now)
            brought = {"name": f"laporan {NAME}.csv", "reported_to": "regency", "donor_id": donor}
            first_id, self.waiting = (
                sheets.bring(session, hub, content.encode(), **brought, author="operator", now=now)
                for content in (HEAD + lines, HEAD + f"{lines};;;;;;\n")
            )
            first = session.get_one(CsrSheet, (hub.district, first_id))
            sheets.take(
                session, hub, first, sheets.look(session, hub, first).mapping, author="operator", now=now
            )

    def by_names(self) -> None:
        """Give a view, a tablet and a code the child's name."""
        hub, now = self.district.hub, self.district.clock.now
        with hub.database.transaction() as session:
            for name in (f"Kasus {NAME}"[:40], "Yang tetap"):
                saved_views.keep(session, hub, self.staff.account_id, name, "petugas=saya", now)
        self.tablet = self.district.tablet(0, f"Tablet {MOTHERS}")

    def people(self) -> Iterator[tuple[str, FlaskClient]]:
        """Give somebody of each role."""
        roles = {
            **{"staff": self.clinic.centre, "supervisor": self.clinic.centre, "tpps": DISTRICT},
            **{"administrator": DISTRICT, "cadre": self.district.posts[0]},
        }
        kinds = {"tpps": "district", "administrator": "district", "cadre": "post"}
        for role, scope in roles.items():
            client = self.app.test_client()
            kind = kinds.get(role, "health_centre")
            person = self.staff if role == "staff" else self.clinic.person(role, kind, scope)
            sign_in(client, person)
            yield role, client

    def pages(self) -> Iterator[tuple[str, bytes]]:
        """Give every page, list and export that has no parameter, and some that have, as each role gets it."""
        addresses = [
            rule.rule
            for rule in self.app.url_map.iter_rules()
            if "GET" in (rule.methods or ()) and not rule.arguments
        ]
        addresses += [
            f"/anak/{self.other}",
            f"/bantuan/lembar/{self.waiting}",
            f"/api/v1/aid/sheets/{self.waiting}",
        ]
        addresses += [f"/pos/{post}" for post in self.district.posts] + ["/api/v1/aid/gap?first=2026-01-01"]
        addresses += [f"/bantuan/lembar/{one.id}" for one in self.district.rows(select(CsrSheet.id))]
        for role, client in self.people():
            for address in addresses:
                answer = client.get(address)
                assert answer.status_code < 500 or answer.status_code == 503, (role, address)
                yield f"{role} {address} {answer.status_code}", answer.data

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Give every file of the database and of the data directory."""
        if self.district.hub.settings.is_sqlite:
            file = sqlite_file(self.district)
            for path in sorted(file.parent.glob(f"{file.name}*")):
                yield path.name, path.read_bytes()
        else:
            yield from postgres_files(self.district)
        for path in sorted(self.data_dir.rglob("*")):
            if path.is_file():
                yield path.name, path.name.encode() + path.read_bytes()


def postgres_files(district: District) -> Iterator[tuple[str, bytes]]:
    """Give the files of a PostgreSQL database, once they hold what was committed; none where they are another machine's."""
    with district.hub.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CHECKPOINT"))
        directory = Path(connection.scalar(text("SHOW data_directory")))
        number = connection.scalar(text("SELECT oid FROM pg_database WHERE datname = current_database()"))
    for path in sorted((directory / "base" / str(number)).glob("*")):
        with suppress(FileNotFoundError):  # a cache that another session makes anew
            yield f"base/{path.name}", path.read_bytes()


def found(places: Iterator[tuple[str, bytes]]) -> set[str]:
    """Say where which word stands, in the forms in which text is commonly kept."""
    forms = {
        word: (word.encode(), word.encode("utf-16-le"), word.replace(" ", "%20").encode()) for word in WORDS
    }
    return {
        f"{place}: {word}"
        for place, content in places
        for word, each in forms.items()
        if any(form in content for form in each)
    }


def without_numbers(hits: set[str]) -> set[str]:
    """Leave out hits of dates and weights: their few digits stand in other numbers, and a living child's in the clear."""
    few = (BORN, WRONG_BORN, str(WRONG_GRAMS), str(WRONG_ARM))
    return {hit for hit in hits if not hit.endswith(few)}


@pytest.fixture
def story(installed: District, tmp_path: Path) -> Story:
    return Story(installed, tmp_path)


def test_nothing_typed_about_a_child_stands_in_the_clear(story: Story) -> None:
    """Before any erasure no name nor number of the child, and no value that was quarantined; only a tablet's name."""
    hits = found(everything(story.district.hub.database.engine))
    mistyped = {hit for hit in hits if hit.endswith((WRONG_BORN, str(WRONG_GRAMS), str(WRONG_ARM)))}
    assert mistyped == set()
    assert {hit.partition(":")[0] for hit in without_numbers(hits)} == {
        "tablet.name",
        "enrolment_code.tablet_name",
    }
    sealed = {hit.partition(":")[0] for hit in found(opened(story.district))}
    assert {
        "aid_activity.title_sealed",
        "csr_sheet.name_sealed",
        "saved_view.sealed",
        "change.content",
    } <= sealed


def test_a_role_without_names_reads_no_typed_text_of_aid(story: Story) -> None:
    titles = [
        (page, NAME.encode() in content)
        for page, content in story.pages()
        if page.startswith("tpps") and ("bantuan" in page or "/aid/" in page)
    ]
    assert len(titles) > 8
    assert [page for page, has in titles if has] == []


def test_nobody_finds_a_word_of_an_erased_child(story: Story) -> None:
    district = story.district
    story.clinic.first.sync_until_quiet()
    erased(district, story.child)
    if not district.hub.settings.is_sqlite:
        assert jobs.erased_remains(district.hub, district.clock.now)["busy"] == 0
    assert found(everything(district.hub.database.engine)) == set()
    assert found(opened(district)) == set()
    assert without_numbers(found(story.files())) == set()
    assert found(story.pages()) == set()
    assert found(iter([("metrics", story.desk.get("/metrics").data)])) == set()
    with district.hub.database.reading() as session:
        exported = b"".join(lines(session, district.hub, district.clock.now))
    assert found(iter([("audit export", exported)])) == set()
    assert (district.broken_log(), ailments(district)) == ([], [])


def test_what_is_not_about_the_child_stays(story: Story) -> None:
    erased(story.district, story.child)
    held = {place for place, value in opened(story.district) if OTHER.encode() in value}
    assert {
        "aid_activity.title_sealed",
        "csr_sheet.sealed",
        "import_run.sealed",
        "import_chunk.sealed",
    } <= held
    with story.district.hub.database.reading() as session:
        (view,) = saved_views.views(session, story.district.hub, story.staff.account_id)
        activities = session.scalars(select(AidActivity)).all()
    assert view.name == "Yang tetap"
    assert sorted(row.value_rp or 0 for row in activities) == [1, 450_000, 451_000, 9_000_000]
    states = [
        row.state for row in story.district.rows(select(ImportRun.state).where(ImportRun.sealed.is_not(None)))
    ]
    assert states == ["waiting"]


def test_receipt_is_given_again_byte_for_byte_until_the_erasure(story: Story) -> None:
    district, tablet = story.district, story.clinic.first
    kept = b"".join(row.receipt for row in district.rows(select(Batch.receipt)))
    assert WRONG_BORN.encode() not in kept
    assert WRONG_BORN in orjson.dumps(story.answer).decode()
    assert orjson.loads(tablet.send_raw(story.message))["receipt"] == story.answer
    erased(district, story.child)
    again = orjson.loads(tablet.send_raw(story.message))["receipt"]
    assert [item[:2] for item in again["items"]] == [item[:2] for item in story.answer["items"]]
    assert {why["code"] for item in again["items"] for why in (item[2] if len(item) > 2 else ())} == {
        "child-erased"
    }


def test_codes_of_reasons_stay_and_values_go(story: Story) -> None:
    rows = story.district.rows(select(ChangeRow.reasons).where(ChangeRow.reasons.is_not(None)))
    codes = {(why["path"], why["code"]) for row in rows for why in orjson.loads(row.reasons)}
    assert ("set.identity.born_on", "date-in-future") in codes
    assert {frozenset(why) for row in rows for why in orjson.loads(row.reasons)} == {
        frozenset({"path", "code"})
    }


def test_write_ahead_log_is_folded_at_once_or_by_the_job_when_a_reader_lets_go(
    on_sqlite: District, tmp_path: Path
) -> None:
    story = Story(on_sqlite, tmp_path)
    wal = sqlite_file(on_sqlite).with_name(f"{sqlite_file(on_sqlite).name}-wal")
    with on_sqlite.hub.database.reading() as session:
        session.execute(select(Measurement.child_id)).first()
        erased(on_sqlite, story.child)
        assert wal.stat().st_size > 0
    assert jobs.checkpoint_wal(on_sqlite.hub, on_sqlite.clock.now)["busy"] == 0
    assert wal.stat().st_size == 0
    second = on_sqlite.tablet()
    child = second.register_child(identity=identity(name="Anak Kedua"))
    second.sync_until_quiet()
    erased(on_sqlite, child)
    assert wal.stat().st_size == 0
