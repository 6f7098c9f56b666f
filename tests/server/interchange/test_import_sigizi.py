"""A Sigizi file comes in: every row is accounted for, children are found and never doubled, nothing here is overwritten."""

import zlib
from collections import Counter
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select, text

from server.database.models import Assessment, ImportChunk, ImportRun
from server.interchange import import_chunks, import_store
from server.interchange.child_matching import derived_child_ids
from server.interchange.sheets import SheetUnreadable
from server.interchange.sigizi import EXPORT, IDENTITY, MEASUREMENT, SigiziRow
from tests.server._district import District, identity
from tests.server.interchange._files import html, row, text as csv_text, xlsx
from tests.server.interchange._office import (
    answer,
    children,
    outcomes,
    persons,
    taken,
    values,
    waiting,
    weights,
)

FIRST = 5
"""The number of the first row below three titles and the headings."""


def nik(serial: int) -> str:
    """Give the NIK of a boy born on 10 January 2025."""
    return f"640206100125{serial:04d}"


MESSY: list[tuple[dict[str, Any], str, str | None, str | None]] = [
    # row, outcome, rule of its refusal, column
    (row(), "new", None, None),
    (
        row(NIK="02022**********", Nama="Anak Contoh Dua", Nama_Ortu="Bapak Dua / Ibu Dua", Berat="9,2"),
        "new",
        None,
        None,
    ),
    (
        row(NIK="", Nama="Anak Contoh Tiga", Nama_Ortu="- / Ibu Tiga", Berat=9500.0, Tinggi="-"),
        "new",
        None,
        None,
    ),
    (
        row(NIK="", Nama="Anak Contoh Empat", Tgl_Lahir=45667.0, Berat="9.1", ZS_BB_U="Outlier"),
        "new",
        None,
        None,
    ),
    (row(NIK=6.40206100125e15, Nama="Anak Contoh Lima", Tgl_Lahir=date(2025, 10, 1)), "new", None, None),
    (row(NIK=nik(6), Nama="Anak Contoh Enam", Berat="09:30"), "refused", "excel-time", "Berat"),
    (row(NIK=nik(7), Nama="Anak Contoh Tujuh", Berat=date(2026, 5, 9)), "refused", "excel-date", "Berat"),
    (row(NIK=nik(8), Nama="Anak Contoh Delapan", Berat="95"), "refused", "out-of-range", "Berat"),
    (row(NIK=nik(9), Nama="Anak Contoh Sembilan", Tinggi="7,6"), "refused", "out-of-range", "Tinggi"),
    (
        row(NIK=nik(10), Nama="Anak Contoh Sepuluh", Tanggal_Pengukuran="2024-12-05"),
        "refused",
        "born-after",
        "Tanggal Pengukuran",
    ),
    (
        row(NIK=nik(11), Nama="Anak Contoh Sebelas", Tanggal_Pengukuran="05/03/2027"),
        "refused",
        "date-in-future",
        "Tanggal Pengukuran",
    ),
    (
        row(NIK=nik(12), Nama="Anak Contoh Duabelas", Tgl_Lahir="30/02/2025"),
        "refused",
        "not-date",
        "Tgl Lahir",
    ),
    (row(NIK=nik(13), Nama="Anak Contoh Tigabelas", JK="X"), "refused", "not-sex", "JK"),
    (row(NIK=nik(14), Nama="-"), "refused", "missing", "Nama"),
    (
        row(NIK=nik(15), Nama="Anak Contoh Limabelas", Cara_Ukur="Duduk"),
        "refused",
        "not-position",
        "Cara Ukur",
    ),
    (
        row(NIK=nik(16), Nama="Anak Contoh Enambelas", Berat="-", Tinggi="0", LiLA=""),
        "refused",
        "nothing-measured",
        "Berat",
    ),
    (
        row(NIK=nik(17), Nama="Anak Contoh Tujuhbelas", Posyandu="Posyandu Hilang"),
        "refused",
        "post-unknown",
        "Posyandu",
    ),
    (
        row(NIK=nik(18), Nama="Anak Contoh Delapanbelas", Kab_Kota="PASER"),
        "refused",
        "other-district",
        "Kab/Kota",
    ),
    (row(NIK=nik(19), Nama="Anak Kembar Utama", Nama_Ortu="Bapak Kembar / Ibu Kembar"), "ask", None, None),
    (
        row(NIK=nik(19), Nama="Anak Zulaikha Kedua", JK="P", Nama_Ortu="Bapak Kembar / Ibu Kembar"),
        "ask",
        None,
        None,
    ),
    (row(No="21"), "unchanged", None, None),
    (row(No="22", Berat="8.8"), "ask", None, None),
]


@pytest.mark.parametrize("write", [xlsx, html, csv_text])
def test_messy_file_has_every_row_accounted_for_with_row_column_and_rule(
    on_sqlite: District, write: Any
) -> None:
    content = write([cells for cells, *_ in MESSY])
    first = {xlsx: FIRST, html: 3, csv_text: 2}[write]
    report, accounts = taken(on_sqlite, content)
    assert sorted(accounts) == list(range(first, first + len(MESSY)))
    for number, (_, outcome, rule, column) in enumerate(MESSY, first):
        account = accounts[number]
        assert account["outcome"] == outcome, account
        assert [(r["rule"], r["column"]) for r in account["refusals"]] == (
            [(rule, column)] if rule else []
        ), account
        assert all(r["id"] and r["en"] for r in account["refusals"])
    assert report.counts == Counter(outcome for _, outcome, *_ in MESSY)
    assert sum(report.counts.values()) == report.rows == len(MESSY)
    assert persons(on_sqlite) == 5
    on_sqlite.check_agreement()
    assert on_sqlite.broken_log() == []


@pytest.mark.parametrize("spelled", ["Pukesmas", "Puskesmas", " PUSKESMAS "])
def test_columns_are_found_by_their_headings_whatever_the_version_of_the_file(
    on_sqlite: District, spelled: str
) -> None:
    """Older files have PMT, newer ones Kelas Ibu Balita and MBG; orders differ, and columns that nobody knows are there."""
    newer = [name for name in EXPORT if name not in ("PMT Diterima (kg)", "Detail")]
    older = [name for name in EXPORT if name not in ("Kelas Ibu Balita", "MBG")]
    for headings, child in ((newer, "Baru"), (older, "Lama")):
        shuffled = [*reversed(headings), "Kolom Lain"]
        cells = row(NIK="", Nama=f"Anak {child}", Nama_Ortu=f"- / Ibu {child}", Berat="9,25") | {
            spelled: "PUSKESMAS CONTOH",
            "Kolom Lain": "dibiarkan",
        }
        content = xlsx([cells], [spelled if name == "Pukesmas" else name for name in shuffled])
        report, accounts = taken(on_sqlite, content)
        assert report.counts == Counter(new=1), accounts
        assert weights(on_sqlite)[accounts[FIRST]["child"]] == [9250]
    kept = on_sqlite.rows(select(ImportChunk.sealed, ImportChunk.run_id, ImportChunk.number))
    for chunk in kept:
        purpose = import_store.chunk_purpose(on_sqlite.hub, chunk.run_id, chunk.number)
        assert b"dibiarkan" in zlib.decompress(on_sqlite.hub.vault.unseal_for_district(chunk.sealed, purpose))


def test_refusal_never_repeats_what_may_be_personal(on_sqlite: District) -> None:
    wrong = row(NIK=nik(1), Nama="Anak Sangat Rahasia", JK="Sangat Rahasia 6402061001250001")
    _, accounts = taken(on_sqlite, xlsx([wrong]))
    assert [r["value"] for r in accounts[FIRST]["refusals"]] == [None]
    assert "Rahasia" not in str(accounts)


def test_dry_run_says_what_would_happen_and_leaves_no_trace(installed: District) -> None:
    content = xlsx([cells for cells, *_ in MESSY])
    before = installed.counts()
    foreseen, would = taken(installed, content, apply=False)
    assert installed.counts() == before
    report, became = taken(installed, content)
    assert foreseen.counts == report.counts
    assert outcomes(would) == outcomes(became)


def test_same_file_again_changes_nothing(installed: District) -> None:
    content = xlsx([cells for cells, *_ in MESSY])
    taken(installed, content)
    before = {
        name: count
        for name, count in installed.counts().items()
        if name in ("child", "measurement", "change", "import_case", "flag", "nik_index")
    }
    again, accounts = taken(installed, content)
    assert again.counts["new"] == again.counts["added"] == again.counts["filled"] == 0
    assert {name: count for name, count in installed.counts().items() if name in before} == before
    assert outcomes(accounts)[:5] == ["unchanged"] * 5


def test_imported_child_is_an_ordinary_record_with_scores_and_flags(installed: District) -> None:
    _, accounts = taken(installed, xlsx([row(Berat="6.9")]))
    child = accounts[FIRST]["child"]
    assert child[14] == "8"
    assert values(installed, child) == {
        "identity": {"name": "Anak Contoh Satu", "sex": "M", "born_on": "2025-01-10", "birth_order": None},
        "nik": {"nik": "6402061001250001"},
        "parents": {"father": "Bapak Contoh", "mother": "Ibu Contoh"},
        "home": {"address": "Jalan Contoh 1", "rt": "03"},
        "post": {"post": installed.posts[0]},
        "birth": {"weight_g": 3100, "length_mm": 490},
        "books": {"kia": True, "kms": True},
    }
    (scored,) = installed.rows(select(Assessment.waz, Assessment.haz, Assessment.age_days))
    assert scored.age_days == 419
    assert scored.waz < -3
    assert installed.flags(child)
    tablet = installed.tablet()
    tablet.sync_until_quiet()
    installed.check_agreement(tablet)
    assert "import.applied" in installed.actions(f"post/{installed.posts[0]}")


def test_child_that_a_tablet_registered_is_found_by_nik(installed: District) -> None:
    tablet = installed.tablet()
    mine = tablet.register_child(identity=identity(name="Anak Contoh Satu"), nik={"nik": "6402061001250001"})
    tablet.measure(mine, "2026-03-05", weight_g=9600)
    tablet.sync_until_quiet()
    _, accounts = taken(installed, xlsx([row(Tanggal_Pengukuran="2026-02-05", Usia_Saat_Ukur="-"), row()]))
    assert [(accounts[n]["outcome"], accounts[n]["how"], accounts[n]["child"]) for n in (5, 6)] == [
        ("added", "nik", mine),
        ("filled", "nik", mine),
    ]
    assert weights(installed) == {mine: [9600, 9600]}
    tablet.sync_until_quiet()
    installed.check_agreement(tablet)


def test_child_is_found_by_name_birth_date_and_parent_though_the_nik_is_masked(installed: District) -> None:
    tablet = installed.tablet()
    parents = {"mother": "Ibu Contoh", "father": "Bapak Contoh"}
    mine = tablet.register_child(
        identity=identity(name="Muhammad Contoh"), parents=parents, nik={"nik": "6402061001250001"}
    )
    tablet.sync_until_quiet()
    _, accounts = taken(installed, xlsx([row(NIK="640206**********", Nama="M. CONTOH")]))
    assert (accounts[FIRST]["outcome"], accounts[FIRST]["how"], accounts[FIRST]["child"]) == (
        "added",
        "name",
        mine,
    )
    other = row(NIK="647101**********", Nama="M. CONTOH")
    _, accounts = taken(installed, xlsx([other]))
    assert accounts[FIRST]["outcome"] == "new"


def test_name_and_birth_date_without_a_parent_are_asked_about(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    mine = tablet.register_child(identity=identity(name="Anak Contoh Satu"))
    tablet.sync_until_quiet()
    _, accounts = taken(on_sqlite, xlsx([row(NIK="")]))
    assert (accounts[FIRST]["outcome"], accounts[FIRST]["question"]) == ("ask", "alike")
    (case,) = waiting(on_sqlite)
    assert [(c.child_id, c.name) for c in case.candidates] == [(mine, "Anak Contoh Satu")]
    assert answer(on_sqlite, case, "child", mine) == "added"
    assert waiting(on_sqlite) == []
    next_month = row(NIK="", Tanggal_Pengukuran="2026-02-05", Usia_Saat_Ukur="-")
    _, accounts = taken(on_sqlite, xlsx([next_month]))
    assert (accounts[FIRST]["outcome"], accounts[FIRST]["how"], accounts[FIRST]["child"]) == (
        "added",
        "decided",
        mine,
    )


def test_twins_are_two_children(on_sqlite: District) -> None:
    twins = [
        row(NIK="", Nama="Hasan Contoh"),
        row(NIK="", Nama="Husain Contoh"),
        row(NIK="", Nama="Husna Contoh", JK="P"),
    ]
    report, _ = taken(on_sqlite, xlsx(twins))
    assert report.counts["new"] == 3
    report, _ = taken(on_sqlite, xlsx(twins))
    assert report.counts["unchanged"] == 3
    assert sorted(children(on_sqlite).values()) == ["Hasan Contoh", "Husain Contoh", "Husna Contoh"]


def test_nik_that_two_children_share_is_nobodys_until_a_person_decides(on_sqlite: District) -> None:
    shared = [
        row(Nama="Anak Utama"),
        row(Nama="Zulaikha Kedua", JK="P", Nama_Ortu="Bapak Contoh / Ibu Contoh"),
    ]
    taken(on_sqlite, xlsx(shared))
    assert [case.question for case in waiting(on_sqlite)] == ["nik-shared", "nik-shared"]
    assert [answer(on_sqlite, case, "new") for case in waiting(on_sqlite)] == ["new", "new"]
    assert all("nik" not in values(on_sqlite, child) for child in children(on_sqlite))
    report, _ = taken(on_sqlite, xlsx(shared))
    assert report.counts["unchanged"] == 2


def test_nik_with_two_names_that_are_alike_is_one_child_in_one_file_as_in_two(installed: District) -> None:
    one = row(Nama="Kitata Matala", Nama_Ortu="Bapak Lagala / Ibu Radaya")
    other = row(Nama="Kitato Matalo", Nama_Ortu="Bapak Finafi / Ibu Pubasa", Tanggal_Pengukuran="2026-02-06")
    third = row(Nama="Kitata Matalu", Nama_Ortu="Bapak Finafi / Ibu Pubasa", JK="P")
    content = xlsx([one, other, third])
    dry, _ = taken(installed, content, apply=False)
    report, accounts = taken(installed, content)
    assert outcomes(accounts) == ["new", "added", "ask"]
    assert accounts[FIRST + 2]["question"] == "identity-differs"
    assert dry.counts == report.counts
    assert list(children(installed).values()) == ["Kitata Matala"]
    _, accounts = taken(installed, content)
    assert outcomes(accounts) == ["unchanged", "unchanged", "ask"]
    assert len(waiting(installed)) == 1


def test_names_of_one_villages_children_begin_alike_and_a_nik_is_one_name(on_sqlite: District) -> None:
    def said(number: int, village: str, its_nik: str = "") -> SigiziRow:
        return SigiziRow(
            number, "export", (), f"Anak {number}", its_nik, subdistrict="Tenggarong", village=village
        )

    rows = [said(1, "Jahab"), said(2, "Jahab", nik(2)), said(3, "Loa Ipuh")]
    rows.append(replace(rows[1], number=4, village="Loa Ipuh"))
    names = derived_child_ids(on_sqlite.hub, rows)
    assert names[1][:8] == names[2][:8] != names[3][:8]
    assert len({names[1], names[2], names[3]}) == 3
    assert names[4] == names[2]


def test_nik_with_another_birth_date_is_asked_about(on_sqlite: District) -> None:
    taken(on_sqlite, xlsx([row()]))
    _, accounts = taken(on_sqlite, xlsx([row(Tgl_Lahir="2024-01-10", Usia_Saat_Ukur="-")]))
    assert accounts[FIRST]["question"] == "identity-differs"
    assert persons(on_sqlite) == 1


def test_values_that_differ_are_never_written_over(installed: District) -> None:
    taken(installed, xlsx([row()]))
    _, accounts = taken(installed, xlsx([row(Berat="9.8")]))
    assert accounts[FIRST]["question"] == "values-differ"
    assert list(weights(installed).values()) == [[9600]]
    (case,) = waiting(installed)
    assert answer(installed, case, "theirs") == "filled"
    assert list(weights(installed).values()) == [[9800]]
    report, _ = taken(installed, xlsx([row(Berat="9.8")]))
    assert report.counts["unchanged"] == 1


def test_figures_of_the_health_centre_that_come_back_change_nothing(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    mine = tablet.register_child(identity=identity(name="Anak Contoh Satu"), nik={"nik": nik(1)})
    tablet.measure(mine, "2026-03-05", source="staff", weight_g=9600, length_mm=765)
    tablet.sync_until_quiet()
    report, _ = taken(
        on_sqlite,
        xlsx([row(LiLA="-", Nama_Ortu="-", Alamat="-", RT="-", BB_Lahir="-", TB_Lahir="-", KIA="-")]),
    )
    assert report.counts == Counter(unchanged=1)
    other, _ = taken(on_sqlite, xlsx([row(Berat="9.9", LiLA="-")]))
    assert other.counts["added"] == 1


def test_row_that_was_left_out_stays_left_out(on_sqlite: District) -> None:
    taken(on_sqlite, xlsx([row()]))
    other = xlsx([row(Berat="9.8")])
    taken(on_sqlite, other)
    assert answer(on_sqlite, waiting(on_sqlite)[0], "skip") == "skipped"
    report, _ = taken(on_sqlite, other)
    assert report.counts["skipped"] == 1
    assert waiting(on_sqlite) == []


def test_day_and_month_that_excel_changed_over_are_put_right_by_the_age(on_sqlite: District) -> None:
    swapped = row(Tanggal_Pengukuran=date(2026, 5, 3), NIK="")
    _, accounts = taken(on_sqlite, xlsx([swapped]))
    assert accounts[FIRST]["measured_on"] == "2026-03-05"
    assert "days-changed-over" in accounts[FIRST]["notes"]


def test_their_scores_are_held_beside_ours(on_sqlite: District) -> None:
    rows = [
        row(**{"ZS_BB_U": "-0.60", "BB_U": "Berat Badan Normal", "ZS_TB_U": "-1.30", "TB_U": "Pendek"}),
        row(NIK="", Nama="Anak Contoh Dua", **{"ZS_BB_U": "1.9", "ZS_BB_TB": "Outlier"}),
    ]
    report, accounts = taken(on_sqlite, xlsx(rows))
    waz, haz, whz = (report.scores[index] for index in ("waz", "haz", "whz"))
    assert (waz.compared, waz.far, waz.categories) == (2, 1, 0)
    assert (haz.compared, haz.categories) == (1, 1)
    assert (whz.compared, whz.outliers) == (1, 1)
    assert waz.largest[0][1] == FIRST + 1
    assert all("score-differs" in accounts[n]["notes"] for n in (FIRST, FIRST + 1))


def test_posts_that_are_missing_are_added_when_asked(installed: District) -> None:
    rows = [
        row(Posyandu="POSYANDU ANGGREK 9", Desa_Kel="LOA IPUH"),
        row(
            NIK="",
            Nama="Anak Dua",
            Kec="Marangkayu",
            Desa_Kel="Desa Kersik",
            Posyandu="Melati 1",
            Pukesmas="Puskesmas Marang Kayu",
        ),
        row(NIK="", Nama="Anak Tiga", Desa_Kel="Entah Berantah", Posyandu="Kamboja"),
    ]
    foreseen, _ = taken(installed, xlsx(rows), apply=False, add_posts=True)
    report, _ = taken(installed, xlsx(rows), add_posts=True)
    assert foreseen.counts == report.counts == Counter(new=2, refused=1)
    assert report.posts_added == 2
    again, _ = taken(installed, xlsx(rows), add_posts=True)
    assert again.posts_added == 0
    villages = installed.rows(
        text("SELECT name, village_code FROM health_post WHERE village_code <> '64.02.06.1001' ORDER BY name")
    )
    assert [tuple(found) for found in villages] == [
        ("Melati 1", "64.02.17.2005"),
        ("POSYANDU ANGGREK 9", "64.02.06.1002"),
    ]


def test_identity_and_measurement_templates_are_taken_together(installed: District) -> None:
    who = {
        "anak_ke": "2",
        "tgl_lahir": "2025-01-10",
        "jenis_kelamin": "L",
        "NIK": "6402061001250001",
        "nama_anak": "Anak Contoh",
        "usia_hamil": "39",
        "berat_lahir": "3100",
        "panjang_lahir": "49",
        "kia": "ya",
        "nama_ortu": "Bapak / Ibu",
        "hp_ortu": "0811 0000 0000",
    }
    weighed = {
        "NIK": "6402061001250001",
        "nama_anak": "Anak Contoh",
        "TANGGALUKUR": "05/03/2026",
        "BERAT": "9,6",
        "TINGGI": "76",
        "CARAUKUR": "Terlentang",
        "lingkar_kepala": "46",
        "Pitting_edema": "tidak",
        "mbg": "ya",
    }
    early, _ = taken(installed, xlsx([weighed], MEASUREMENT))
    assert early.rules == Counter({"child-unknown": 1})
    report, accounts = taken(installed, xlsx([who], IDENTITY), post_id=installed.posts[1])
    assert report.counts["new"] == 1
    child = accounts[FIRST]["child"]
    assert values(installed, child)["birth"] == {"weight_g": 3100, "length_mm": 490, "gestation_weeks": 39}
    assert values(installed, child)["parents"]["phone"] == "081100000000"
    report, accounts = taken(installed, xlsx([weighed], MEASUREMENT))
    assert (report.counts["added"], accounts[FIRST]["child"]) == (1, child)
    assert weights(installed) == {child: [9600]}


def test_killed_run_goes_on_where_it_stopped_and_doubles_nothing(
    installed: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_chunks, "CHUNK_ROWS", 2)
    monkeypatch.setattr(import_chunks, "FEW_ROWS", 2)
    content = xlsx(
        [
            row(NIK="", Nama=f"Anak {name}", Nama_Ortu=f"Bapak {name} / Ibu {name}")
            for name in ("Satu", "Dua", "Tiga", "Empat", "Lima")
        ]
    )

    class Killed(BaseException):
        pass

    def kill(done: int, _total: int) -> None:
        if done >= 2:
            raise Killed

    monkeypatch.setattr(import_chunks, "_tasks", lambda _, chunks: [*([n] for n in range(len(chunks))), []])
    with pytest.raises(Killed):
        taken(installed, content, progress=kill)
    assert persons(installed) == 2
    report, _ = taken(installed, content)
    assert report.resumed_rows == 2
    assert report.counts == Counter(new=5)
    assert persons(installed) == 5
    assert [tuple(r) for r in installed.rows(select(ImportRun.state, ImportRun.chunks))] == [("done", 3)]
    assert sorted(r.rows for r in installed.rows(select(ImportChunk.rows))) == [1, 2, 2]


def test_processes_that_share_a_file_come_to_the_same(installed: District) -> None:
    villages = ("JAHAB", "LOA IPUH", "TIMBAU")
    names = ("Satu", "Dua", "Tiga", "Empat")
    rows = [
        row(
            NIK="",
            Nama=f"Anak {name}",
            Nama_Ortu=f"Bapak {name} / Ibu {village}",
            Desa_Kel=village,
            Posyandu=f"Melati {village}",
        )
        for village in villages
        for name in names
    ] * 30
    report, _ = taken(installed, xlsx(rows), add_posts=True, workers=2)
    assert report.counts == Counter(new=12, unchanged=348)
    assert persons(installed) == 12
    installed.check_agreement()
    assert installed.broken_log() == []


def test_rows_are_kept_as_they_came_and_sealed(on_sqlite: District) -> None:
    taken(on_sqlite, xlsx([row()]))
    (chunk,) = on_sqlite.rows(select(ImportChunk.sealed, ImportChunk.run_id))
    assert b"Anak" not in chunk.sealed
    held = on_sqlite.hub.vault.unseal_for_district(
        chunk.sealed, import_store.chunk_purpose(on_sqlite.hub, chunk.run_id, 0)
    )
    assert b"Anak Contoh Satu" in zlib.decompress(held)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a;b\n1;2", "NIK column"),
        (b"NIK;Nama\n1;2", "missing columns: JK"),
        (b"nik;nama;tanggal_pemberian_pertama\n1;2;3", "PMT"),
        (xlsx([]), "no row under"),
    ],
)
def test_file_of_another_kind_is_refused_as_a_whole(on_sqlite: District, content: bytes, says: str) -> None:
    before = on_sqlite.counts()
    with pytest.raises(SheetUnreadable, match=says):
        taken(on_sqlite, content)
    assert on_sqlite.counts() == before
