"""Aid by its rules: sums and days as people write them, what a row is, what counts once, who lacks, what is proposed."""

import csv
import io
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, strategies as st
from sqlalchemy import select

from server.accounts import Person
from server.aid import donor_view, need, register, sheets
from server.aid.area import AidArea
from server.aid.csr_parser import guess, open_sheet, period, read, rupiah
from server.aid.need import NeedSummary
from server.aid.rules import rules
from server.cli import main
from server.database.models import Account, AidActivity, CsrSheet, Delivery, Donor
from server.errors import Problem
from server.interchange.cells import CellError
from server.privacy import restriction
from server.review import Scope
from tests.server._district import DISTRICT, District
from tests.server.aid._commitments import donor_of, promise
from tests.server.web._clinic import Clinic

VILLAGE, SUBDISTRICT = "64.02.06.1001", "64.02.06"
TODAY = date(2026, 3, 6)
UNKNOWN = "01900000-0000-7000-8000-00000000ffff"
HEAD = "Kegiatan;Desa;Tanggal;Nilai;Jumlah Penerima;NIK\n"
MAPPING = {
    **{"title": "Kegiatan", "village": "Desa", "starts": "Tanggal"},
    **{"value": "Nilai", "reached": "Jumlah Penerima", "nik": "NIK"},
}


# -- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "sum_"),
    [
        ("Rp 2.700.000,00", 2_700_000),
        ("2,700,000", 2_700_000),
        ("2,7 juta", 2_700_000),
        ("Rp. 15.000,-", 15_000),
        ("1.5 miliar", 1_500_000_000),
        (2_700_000.0, 2_700_000),
        ("", None),
        ("-", None),
    ],
)
def test_sum_is_read_as_people_write_it(written: str | float, sum_: int | None) -> None:
    assert rupiah(written) == sum_


@pytest.mark.parametrize("written", ["dua juta", "-5", "1.2.3", "1e9", float("nan"), "Rp 2.70.000"])
def test_sum_that_is_none_is_refused(written: str | float) -> None:
    with pytest.raises((CellError, ArithmeticError)):
        rupiah(written)


@given(st.integers(0, 10**12))
def test_sum_is_the_same_however_its_thousands_are_parted(value: int) -> None:
    plain = f"{value:,}"
    assert {rupiah(text) for text in (str(value), plain, plain.replace(",", "."), f"Rp {plain}")} == {value}


def test_month_with_its_year_is_the_whole_month() -> None:
    assert period("Februari 2026") == (date(2026, 2, 1), date(2026, 2, 28))
    assert period("5/3/2026") == (date(2026, 3, 5),) * 2


def test_columns_are_guessed_by_their_headers_and_what_was_chosen_goes_before() -> None:
    headers = ("No", "Nama Kegiatan", "Bidang", "Lokasi Desa", "Tgl Mulai", "Anggaran", "Nama Penerima")
    guessed = guess(headers, {})
    assert (guessed["title"], guessed["village"], guessed["value"]) == (headers[1], headers[3], headers[5])
    assert guessed["beneficiary"] == "Nama Penerima"
    assert guess(headers, {"title": "Bidang"})["title"] == "Bidang"


@pytest.mark.parametrize(
    ("title", "category", "menu"),
    [
        ("Bantuan air bersih korban banjir", "disaster", "other"),
        ("PMT PENYULUHAN balita", "specific", "food"),
        ("Pembangunan 3 unit jamban", "sensitive", "latrine"),
        ("Sumur bor", "sensitive", "water"),
        ("Iuran BPJS keluarga", "sensitive", "insurance"),
        ("Perbaikan jalan", "other", "other"),
        ("Kegiatan KBM sekolah", "other", "other"),
    ],
)
def test_rules_say_what_an_activity_is_and_by_which_word(title: str, category: str, menu: str) -> None:
    found = rules().classify(title)
    assert (found.category, found.menu) == (category, menu)
    assert (found.word == "") == (category == "other")


def test_every_row_is_accounted_for_with_its_reasons() -> None:
    text = (
        "Laporan TJSL;;\n"
        + HEAD
        + ";64.02.06.1001;5/3/2026;1;;\nPMT;X;kemarin;abc;banyak;\nPMT;X;1/3/2026;;;\n;;;9;;\n"
    )
    told = read(open_sheet(text.encode()), MAPPING)
    assert [row.reasons for row in told] == [
        ("no-title",),
        ("not-date", "not-rupiah", "not-count"),
        (),
    ]
    assert [row.number for row in told] == [3, 4, 5]


# -- what counts once -----------------------------------------------------------------------------


@pytest.fixture
def clinic(on_sqlite: District) -> Clinic:
    return Clinic.opened(on_sqlite)


def taken(district: District, rows: str, donor: str | None, to: str = "regency") -> dict[str, int]:
    now, hub = district.clock.now, district.hub
    with hub.database.transaction() as session:
        sheet_id = sheets.bring(
            *(session, hub, (HEAD + rows).encode()),
            name="csr.csv",
            reported_to=to,
            donor_id=donor,
            author="operator",
            now=now,
        )
        sheet = session.get_one(CsrSheet, (DISTRICT, sheet_id))
        return dict(sheets.take(session, hub, sheet, MAPPING, author="operator", now=now))


def data(district: District) -> dict[str, int]:
    """Count the rows of each table but the log's: it has an entry of every command."""
    return {name: count for name, count in district.counts().items() if not name.startswith("audit_")}


def activities(district: District) -> list[AidActivity]:
    with district.hub.database.reading() as session:
        return list(session.scalars(select(AidActivity).order_by(AidActivity.made_at, AidActivity.row)))


def test_the_same_activity_reported_to_two_authorities_counts_once(clinic: Clinic) -> None:
    district, donor = clinic.district, donor_of(clinic.district)
    assert taken(district, "PMT balita;Jahab;1/3/2026;9.000.000;20;\n", donor)["same"] == 0
    again = "Makanan tambahan;Kel. Jahab;Maret 2026;9,0 juta;20;\nPMT balita;Jahab;1/6/2026;9.000.000;20;\n"
    assert taken(district, again, donor, "province")["same"] == 1
    assert taken(district, again, donor, "province")["same"] == 1  # the same file is the same sheet
    rows = activities(district)
    assert len(rows) == 3
    first, second, third = rows
    assert (second.same_as, second.same_by) == (f"activity/{first.id}", sheets.REPORTED_TWICE)
    assert third.same_as is None
    with district.hub.database.transaction() as session:
        area = register.whole_district(session, district.hub)
        apart = {"apart": True, "category": "other"}
        now = district.clock.now
        register.decide(session, district.hub, area, second.id, apart, author="account:x", now=now)
    (decided,) = [row for row in activities(district) if row.id == second.id]
    assert (decided.same_as, decided.category, decided.category_by) == (None, "other", "account:x")


def test_row_with_a_nik_becomes_the_childs_delivery_and_does_not_count_beside_it(clinic: Clinic) -> None:
    district, donor = clinic.district, donor_of(clinic.district)
    child = clinic.child("Anak Contoh", nik={"nik": "6402064101250001"})
    counts = taken(district, "PMT;Jahab;1/3/2026;450.000;1;6402064101250001\n", donor)
    (row,) = activities(district)
    assert (counts["same"], row.same_by, row.child_id) == (1, sheets.DELIVERY_MADE, child)
    (kept,) = district.rows(select(Delivery.child_id, Delivery.given, Delivery.value_rp, Delivery.funds))
    assert tuple(kept) == (child, 1, 450_000, "csr")
    assert b"6402064101250001" not in (row.sealed or b"")
    clinic.first.sync_until_quiet()
    assert [ref for ref in clinic.first.replica.base if ref[0] == "delivery"]


def decided(district: District, activity_id: str, **asked: Any) -> AidActivity:
    now = district.clock.now
    with district.hub.database.transaction() as session:
        area = register.whole_district(session, district.hub)
        row = register.decide(session, district.hub, area, activity_id, asked, author="account:x", now=now)
        session.expunge(row)
        return row


def test_matched_row_becomes_the_childs_delivery_once_it_may_be_one(everywhere: Clinic) -> None:
    district, donor = everywhere.district, donor_of(everywhere.district)
    child = everywhere.child("Anak Contoh", nik={"nik": "6402064101250001"})
    rows = (
        "Banjir;Jahab;1/3/2026;450.000;1;6402064101250001\nPMT;Jahab;20/3/2026;450.000;1;6402064101250001\n"
    )
    assert taken(district, rows, donor)["same"] == 0  # relief, and what is still to come
    relief, later = activities(district)
    assert (relief.child_id, later.child_id) == (child, child)
    assert decided(district, later.id, verify=True).same_by is None
    assert decided(district, relief.id, category="specific", menu="food").same_by == sheets.DELIVERY_MADE
    assert not sheets.is_undelivered(later, date(2026, 3, 19))
    assert sheets.is_undelivered(later, date(2026, 3, 20))
    district.clock.advance(days=20)
    assert [decided(district, later.id).same_by for _ in range(2)] == [sheets.DELIVERY_MADE] * 2
    kept = district.rows(select(Delivery.child_id, Delivery.given_on).order_by(Delivery.given_on))
    assert [tuple(one) for one in kept] == [(child, date(2026, 3, 1)), (child, date(2026, 3, 20))]


def test_row_that_is_apart_from_another_is_the_childs_delivery(clinic: Clinic) -> None:
    district, donor = clinic.district, donor_of(clinic.district)
    row = "PMT;Jahab;1/3/2026;450.000;1;6402064101250001\n"
    taken(district, row, donor)
    clinic.child("Anak Contoh", nik={"nik": "6402064101250001"})
    taken(district, row, donor, "province")
    _, again = activities(district)
    assert again.same_by == sheets.REPORTED_TWICE
    assert decided(district, again.id, apart=True).same_by == sheets.DELIVERY_MADE
    assert len(district.rows(select(Delivery.delivery))) == 1


def test_nothing_is_written_of_a_restricted_child_and_its_sheet_is_taken(clinic: Clinic) -> None:
    district, donor = clinic.district, donor_of(clinic.district)
    child = clinic.child("Anak Contoh", nik={"nik": "6402064101250001"})
    with district.hub.database.transaction() as session:
        restriction.restrict(session, district.hub, child, actor="operator", now=district.clock.now)
    taken(district, "PMT;Jahab;1/3/2026;450.000;1;6402064101250001\n", donor)
    (row,) = activities(district)
    assert (row.status, row.child_id, row.same_as) == ("taken", None, None)


def test_company_that_is_not_known_and_village_that_is_not_clear_wait_for_a_person(clinic: Clinic) -> None:
    counts = taken(clinic.district, "PMT;Desa Antah;1/3/2026;;;\nBanjir;;1/3/2026;;;\n", None)
    assert counts["open"] == 2  # of both nobody knows the company
    assert [row.status for row in activities(clinic.district)] == ["open", "open"]


# -- gap, overlap, proposals ----------------------------------------------------------------------


def standing(district: District, days: int = 30) -> NeedSummary:
    with district.hub.database.reading() as session:
        area = register.whole_district(session, district.hub)
        first = TODAY - timedelta(days=days)
        return need.standing(session, district.hub, area, first, TODAY, TODAY)


def give(clinic: Clinic, child: str, **aid: Any) -> None:
    held: dict[str, Any] = {
        **{"menu": "food", "funds": "genting", "reaches": "child"},
        **{"starts_on": "2026-03-01", "ends_on": "2026-08-31", **aid},
    }
    form = clinic.first.replica.open_delivery(child, clinic.district.new_id())
    clinic.first.write(form, {"aid": held, "delivered": {"given_on": "2026-03-01"}})
    clinic.first.sync_until_quiet()


def test_who_is_in_need_and_has_nothing_lacks_and_krs_counts_while_it_holds(clinic: Clinic) -> None:
    stunted = clinic.child("Anak Pendek", haz=-2.5, waz=-1)
    clinic.child("Anak Risiko", family={"krs": True, "source": None, "valid_until": "2026-12-31"})
    clinic.child("Anak Lewat", family={"krs": True, "source": None, "valid_until": "2026-03-05"})
    clinic.child("Anak Sehat")
    assert dict(standing(clinic.district).gap) == {"stunted": 1, "krs": 1}
    give(clinic, stunted)
    found = standing(clinic.district)
    assert dict(found.gap) == {"krs": 1}
    assert [(v.code, v.helped) for v in found.villages] == [(VILLAGE, 1)]


def test_aid_that_ended_before_the_period_stands_no_more(clinic: Clinic) -> None:
    child = clinic.child("Anak Pendek", haz=-2.5, waz=-1)
    give(clinic, child, starts_on="2026-01-01", ends_on="2026-02-28")
    assert standing(clinic.district, days=30).lacking == 0
    assert standing(clinic.district, days=0).lacking == 1


def test_the_same_menu_from_two_donors_at_once_is_an_overlap_and_another_menu_is_not(clinic: Clinic) -> None:
    child = clinic.child("Anak Pendek", haz=-2.5, waz=-1)
    give(clinic, child)
    give(clinic, child, menu="latrine", funds="village")
    assert standing(clinic.district).twice == ()
    give(clinic, child, funds="apbd")
    (found,) = standing(clinic.district).twice
    assert (found.child_id, found.menu, found.sources) == (child, "food", ("genting", "state"))


def test_narrowest_place_goes_first_then_the_menu_that_helps_most(clinic: Clinic) -> None:
    district, donor = clinic.district, donor_of(clinic.district)
    clinic.child("Anak Pendek", haz=-2.5, waz=-1)
    far = promise(district, donor)
    (found,) = standing(district).proposals
    assert (found.promise.id, found.near) == (far, "district")
    near = promise(district, donor, region=VILLAGE, menu="counselling", places=1)
    (found,) = standing(district).proposals
    assert (found.promise.id, found.near) == (near, "village")
    food = promise(district, donor, region=VILLAGE, places=1)
    (found,) = standing(district).proposals
    assert found.promise.id == food
    promise(district, donor, region="64.02.01")  # of another subdistrict: never
    assert [p.promise.id for p in standing(district).proposals] == [food]


def test_a_proposal_is_assigned_once_and_not_when_the_gap_has_moved_on(clinic: Clinic) -> None:
    district, donor = clinic.district, donor_of(clinic.district)
    child = clinic.child("Anak Pendek", haz=-2.5, waz=-1)
    commitment = promise(district, donor, places=1)
    (proposal,) = standing(district).proposals
    clinic.child("Anak Lain", haz=-3.4, waz=-1)  # in greater need: the one place is theirs now

    def assign(seen: str) -> int:
        with district.hub.database.transaction() as session:
            area = register.whole_district(session, district.hub)
            told = (commitment, VILLAGE, "stunted", seen)
            now = district.clock.now
            return need.assign(session, district.hub, area, *told, author="account:x", now=now)

    with pytest.raises(Problem, match="aid-moved-on"):
        assign(proposal.seen)
    (proposal,) = standing(district).proposals
    assert child not in proposal.children
    assert assign(proposal.seen) == 1
    with pytest.raises(Problem, match="aid-moved-on"):
        assign(proposal.seen)
    assert district.counts()["delivery"] == 1
    assert standing(district).proposals == ()


def test_aid_where_nobody_needs_it_is_told(clinic: Clinic) -> None:
    district, donor = clinic.district, donor_of(clinic.district)
    taken(district, "PMT;Bukit Biru;1/3/2026;5 juta;9;\nPosko banjir;Jahab;1/3/2026;7 juta;9;\n", donor)
    found = standing(district)
    assert [(v.code, v.value_rp) for v in found.nobody_there] == [("64.02.06.1003", 5_000_000)]
    assert found.relief == (1, 7_000_000)


def test_activities_of_the_period_count_once_and_what_doubles_one_is_told(installed: District) -> None:
    donor = donor_of(installed)
    rows = "PMT balita;Jahab;1/3/2026;9.000.000;20;\nPosko banjir;Jahab;1/3/2026;7 juta;9;\n"
    earlier = "PMT;Jahab;1/1/2026;4 juta;9;\n"
    unplaced = "Posko banjir;Desa Tidak Ada;1/3/2026;2 juta;9;\n"
    taken(installed, rows + earlier + unplaced, donor)
    again = "Makanan tambahan;Kel. Jahab;Maret 2026;9,0 juta;20;\n"
    assert taken(installed, again, donor, "province")["same"] == 1
    (double,) = [a.id for a in activities(installed) if a.same_as]
    for days, counted, value_rp in ((30, 1, 9_000_000), (90, 2, 13_000_000)):
        found = standing(installed, days)
        (village,) = found.villages
        assert (village.activities, village.value_rp) == (counted, value_rp)
        assert [one.id for one in found.reported] == [double]
        assert found.relief == (2, 9_000_000)  # wherever it was


def test_companies_that_two_authorities_claim_are_told(clinic: Clinic) -> None:
    district, donor = clinic.district, donor_of(clinic.district)
    taken(district, "PMT;Jahab;1/3/2026;5 juta;9;\n", donor)
    taken(district, "Jamban;Jahab;1/3/2026;8 juta;9;\n", donor, "province")
    assert standing(district).authorities == (("PT Contoh", ("province", "regency")),)


def test_area_of_tpps_holds_its_villages_alone(clinic: Clinic) -> None:
    clinic.child("Anak Pendek", haz=-2.5, waz=-1)
    hub = clinic.district.hub
    with hub.database.reading() as session:
        for code, lacking in ((VILLAGE, 1), ("64.02.06.1003", 0)):
            person = Person("", "t", "T", "tpps", "village", code)
            area = AidArea.of(session, hub, person)
            assert area.villages == (code,)
            assert need.standing(session, hub, area, TODAY, TODAY, TODAY).lacking == lacking
        with pytest.raises(Problem, match="not-allowed"):
            AidArea.of(session, hub, Person("", "k", "K", "cadre", "post", clinic.district.posts[0]))
        none = AidArea.within(session, hub, Scope("none", "", False), sees_children=False)
        assert none.villages == ()


# -- what a donor sees ----------------------------------------------------------------------------


@pytest.mark.parametrize(("children", "reached"), [(4, None), (5, 5)])
def test_donor_sees_groups_of_five_or_more(clinic: Clinic, children: int, reached: int | None) -> None:
    district, donor = clinic.district, donor_of(clinic.district)
    commitment = promise(district, donor)
    for number in range(children):
        child = clinic.child(f"Anak {number}", days=())
        give(clinic, child, donor=donor, commitment=commitment)
    with district.hub.database.reading() as session:
        person = Person("", "d", "D", "donor", "donor", donor)
        own = donor_view.own(session, district.hub, person, TODAY)
        assert own is not None
        (shown,) = own.progress
        assert (shown.reached, shown.few) == (reached, reached is None)
        stranger = Person("", "d", "D", "donor", "none", "")
        assert donor_view.own(session, district.hub, stranger, TODAY) is None
        assert session.get(Donor, (DISTRICT, donor)) is not None


def test_growth_is_told_of_five_children_more_at_a_time_when_their_days_are_over() -> None:
    first = date(2026, 1, 1)
    people = {f"anak-{n}": first + timedelta(n) for n in range(11)}
    later = {id_: on + timedelta(90) for id_, on in people.items()}

    class Row(NamedTuple):
        measured_on: date
        haz: float

    def told(today: date, fell: str = "") -> donor_view.Growth:
        by = {
            id_: [Row(on, -2.0), Row(later[id_], -2.5 if id_ == fell else -1.5)] for id_, on in people.items()
        }
        return donor_view.growth_after(by, people, 3, *donor_view.AFTER[3], today)

    over = first + timedelta(121)
    assert [told(over + timedelta(n)).of for n in range(12)] == [0] * 4 + [5] * 5 + [10] * 3
    assert {(told(over + timedelta(n)).measured, told(over + timedelta(n)).better) for n in range(4, 9)} == {
        (5, 5)
    }
    one_fell = told(over + timedelta(20), fell="anak-3")
    assert (one_fell.measured, one_fell.better) == (10, None)
    # the eleventh, whose days are over but who makes no five, changes nothing
    assert told(over + timedelta(20), fell="anak-10") == told(over + timedelta(20))


def test_parts_and_rests_of_fewer_than_five_are_not_told() -> None:
    told = {part: donor_view._part(part, 12) for part in range(13)}
    assert {part for part, value in told.items() if value is not None} == {0, 5, 6, 7, 12}


# -- closing, and the commands --------------------------------------------------------------------


def test_closed_commitment_is_proposed_no_more_and_what_was_assigned_stands(clinic: Clinic) -> None:
    district, donor = clinic.district, donor_of(clinic.district)
    clinic.child("Anak Pendek", haz=-2.5, waz=-1)
    commitment = promise(district, donor)

    def close(why: str, area: AidArea | None = None) -> None:
        with district.hub.database.transaction() as session:
            whole = area or register.whole_district(session, district.hub)
            now = district.clock.now
            register.close(session, district.hub, whole, commitment, why, author="account:x", now=now)

    with pytest.raises(Problem, match="change-invalid"):
        close("bosan")
    scope = Scope("village", "64.02.01.2001", shows_names=False)
    elsewhere = AidArea(scope, False, ("99.01.01.2001",), sees_children=False)
    with pytest.raises(Problem, match="record-unknown"):
        close("ended", elsewhere)
    assert len(standing(district).proposals) == 1
    close("ended")
    close("withdrawn")  # changes nothing
    assert standing(district).proposals == ()
    assert district.actions("office").count("commitment.closed") == 1


@pytest.fixture
def everywhere(installed: District) -> Clinic:
    return Clinic.opened(installed)


def command(district: District, *arguments: str) -> Result:
    settings = district.hub.settings
    env = {"DATABASE_URL": settings.database_url, "POSYANDU_KEY_FILE": str(settings.key_file)}
    return CliRunner().invoke(main, list(arguments), env=env, catch_exceptions=False)


def test_commands_take_a_sheet_and_tell_of_the_gap(everywhere: Clinic, tmp_path: Path) -> None:
    district, donor = everywhere.district, donor_of(everywhere.district)
    clinic, file = everywhere, tmp_path / "csr.csv"
    clinic.child("Anak Pendek", haz=-2.5, waz=-1)
    child = clinic.child("Anak Contoh", nik={"nik": "6402064101250001"})
    file.write_text(
        "Apa;Desa;Tanggal;Nilai;NIK\n"
        "PMT balita;Jahab;1/3/2026;450.000;6402064101250001\n=PMT;Desa Antah;1/3/2026;1;\n;Jahab;x;;\n"
    )
    taking = ("import", "csr", str(file), "--donor", "pt contoh", "--map", "title=Apa", "--format", "json")
    before = data(district)
    dry = command(district, *taking)
    assert (dry.exit_code, data(district)) == (1, before)
    assert "--apply" in dry.stderr
    told = json.loads(dry.stdout)
    assert told["counts"] == {"taken": 1, "open": 1, "refused": 1, "same": 1}
    assert [row["reasons"] for row in told["rows"]] == ["", "village-unknown", "no-title not-date"]
    done, again = (json.loads(command(district, *taking, "--apply").stdout) for _ in range(2))
    assert (done["already"], again["already"]) == (False, True)
    assert done["counts"] == again["counts"] == told["counts"]
    assert [tuple(row) for row in district.rows(select(Delivery.child_id, Delivery.donor_id))] == [
        (child, donor)
    ]

    commitment = promise(district, donor)
    shown = json.loads(command(district, "aid", "gap", "--month", "2026-03", "--format", "json").stdout)
    assert (shown["lacking"], shown["by_need"]["stunted"]) == (1, 1)
    assert [(one["commitment"], one["count"]) for one in shown["proposals"]] == [(commitment, 1)]
    told_csv = command(district, "aid", "gap", "--area", VILLAGE, "--format", "csv").stdout.splitlines()
    assert [line.split(",")[0] for line in told_csv] == ["code", VILLAGE]
    assert command(district, "aid", "gap", "--area", "64.02.99").exit_code == 2
    assert command(district, "aid", "close", commitment, "--reason", "ended").exit_code == 0
    assert json.loads(command(district, "aid", "commitments", "--format", "json").stdout)[0]["closed"]
    assert "PT Contoh" in command(district, "aid", "donors").stdout


def test_everything_of_aid_is_done_by_commands(everywhere: Clinic, tmp_path: Path) -> None:
    district, clinic = everywhere.district, everywhere
    child = clinic.child("Anak Pendek", haz=-2.5, waz=-1)

    def done(*arguments: str) -> str:
        result = command(district, "aid", *arguments)
        assert result.exit_code == 0, result.output
        return result.stdout.strip()

    def listed(*arguments: str) -> Any:
        return json.loads(done(*arguments, "--format", "json"))

    donor = done("add-donor", "PT Contoh", "--kind", "business", "--phone", "0541000000")
    done("change-donor", "pt contoh", "--authority", "province", "--named")
    (told,) = listed("donors")
    assert (told["id"], told["authority"], told["named"]) == (donor, "province", True)
    with district.hub.database.reading() as session:
        assert register.contact_of(district.hub, session.get_one(Donor, (DISTRICT, donor))) == {
            "phone": "0541000000"
        }
    promised = ("--menu", "food", "--funds", "csr", "--region", SUBDISTRICT, "--places", "9")
    commitment = done("add-commitment", donor, *promised, "--starts-on", "2026-03-01", "--months", "6")
    done("change-commitment", commitment, "--places", "3", "--value-rp", "2.700.000")
    (told,) = listed("commitments")
    assert (told["places"], told["value_rp"], told["months"]) == (3, 2_700_000, 6)

    (proposal,) = listed("proposals")
    accepted = ("--village", proposal["village"], "--need", proposal["need"], "--seen", proposal["seen"])
    assert done("assign", commitment, *accepted) == "1 assigned"
    (aid,) = listed("child", child)
    came = tmp_path / "came.json"
    came.write_text('{"delivered": {"given_on": "2026-03-02", "value_rp": 450000}}')
    done("record", child, str(came), "--delivery", aid["delivery"])
    done("verify", child, aid["delivery"], "--outcome", "received", "--on", "2026-03-03")
    (row,) = list(csv.DictReader(io.StringIO(done("child", child, "--format", "csv"))))
    assert (row["given_on"], row["outcome"], row["donor"]) == ("2026-03-02", "received", "PT Contoh")
    assert json.loads(done("progress", donor))["commitments"][0]["reached"] is None  # fewer than five

    told_of = ("--menu", "water", "--funds", "csr", "--village", VILLAGE, "--starts-on", "2026-03-01")
    well = done("add-activity", "Sumur bor", "--donor", "PT Contoh", *told_of, "--value-rp", "90000000")
    done("decide", well, "--category", "other", "--action", "verify")
    (told,) = listed("activities", "--area", VILLAGE)
    assert (told["id"], told["category"], told["verified"]) == (well, "other", True)
    taken(district, f"PMT balita;{VILLAGE};1/12/2025;1;;6402064101250001\n", donor)
    (sheet,) = listed("sheets")
    (told,) = listed("activities", "--sheet", sheet["id"])
    assert (told["title"], told["reasons"]) == ("PMT balita", ["beneficiary-unknown"])
    assert done("give", told["id"], child) == "delivery-made"
    assert len(listed("child", child)) == 2


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            ("add-donor", "PT Contoh", "--kind", "toko"),
            ("sudah ada dalam daftar", "(given as toko) must be one"),
        ),
        (("change-donor", "PT Tidak Ada", "--named"), ("there is no donor 'PT Tidak Ada'",)),
        (("add-commitment", "PT Contoh", "--menu", "nasi"), ("Sumber dana belum diisi", "(tertulis nasi)")),
        (("add-commitment", "PT Contoh", "--places", "-4", "--region", "64.99"), ("64.99", "1 to 100000")),
        (("change-commitment", UNKNOWN, "--places", "3"), ("within your area",)),
        (("add-activity", "Sumur", "--starts-on", "kemarin"), ("kemarin", "2026-03-01", "Fill it in")),
        (
            ("add-activity", "X", "--starts-on", "2026-03-02", "--ends-on", "2026-03-01"),
            ("before it begins",),
        ),
        (("decide", UNKNOWN), ("nothing to decide",)),
        (("assign", UNKNOWN, "--village", VILLAGE, "--need", "stunted", "--seen", "x"), ()),
        (("verify", UNKNOWN, UNKNOWN, "--outcome", "received"), ("within your area",)),
        (("activities", "--area", "64.99"), ("within your area",)),
        (("progress", "siapa"), ("there is no donor",)),
    ],
)
def test_command_says_in_both_languages_what_is_wrong(
    clinic: Clinic, wrong: tuple[str, ...], says: tuple[str, ...]
) -> None:
    donor_of(clinic.district)
    before = data(clinic.district)
    result = command(clinic.district, "aid", *wrong)
    assert (result.exit_code, data(clinic.district)) == (2, before)
    assert all(text in result.stderr for text in says), result.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ("--donor", "PT Tidak Ada"),
        ("--map", "siapa=Apa"),
        ("--map", "title=Tidak Ada"),
    ],
)
def test_sheet_with_a_wrong_option_is_refused(clinic: Clinic, tmp_path: Path, wrong: tuple[str, str]) -> None:
    file = tmp_path / "csr.csv"
    file.write_text("Apa;Desa;Tanggal\nPMT;Jahab;1/3/2026\n")
    result = command(clinic.district, "import", "csr", str(file), *wrong, "--apply")
    assert (result.exit_code, activities(clinic.district)) == (2, [])


def test_donors_account_is_added_with_the_donors_name(clinic: Clinic) -> None:
    donor = donor_of(clinic.district)
    adding = ("user", "add", "pt.contoh", "--name", "PT Contoh", "--password", "kata-sandi-uji-coba")
    assert command(clinic.district, *adding, "--role", "donor", "--donor", "PT Contoh").exit_code == 0
    (kept,) = clinic.district.rows(select(Account.scope_kind, Account.scope))
    assert tuple(kept) == ("donor", donor)
