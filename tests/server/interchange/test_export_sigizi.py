"""What leaves in Sigizi's own columns comes back the same, names only what may be named, and runs nothing."""

import io
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from server.database.models import Assessment, Child, HealthPost, table
from server.interchange.export_rows import ExportQuery
from server.interchange.sheets import read_rows
from server.interchange.sigizi import EXPORT, IDENTITY, MEASUREMENT, MPASI, PMT
from server.interchange.sigizi.writer import SHEETS, write
from server.review import Scope
from tests.server._district import Databases, District
from tests.server.interchange._files import row, xlsx
from tests.server.interchange._office import WHOLE, taken

ALL = (date(2020, 1, 1), date(2030, 1, 1))


def left(
    district: District, sheet: str = "export", form: str = "xlsx", scope: Scope = WHOLE, **wanted: Any
) -> bytes:
    target = io.BytesIO()
    with district.hub.database.reading() as session:
        given = ExportQuery(scope, *ALL, **{"full_nik": True, **wanted})
        write(target, session, district.hub, given, sheet=sheet, form=form)
    return target.getvalue()


def lines(content: bytes) -> list[list[Any]]:
    return [list(cells) for _, cells in read_rows(content)]


def told(district: District) -> list[tuple[Any, ...]]:
    """Give everything that an export tells of children, without ids."""
    found = []
    posts = {r.id: r.name for r in district.rows(select(HealthPost.id, HealthPost.name))}
    stored = district.stored()
    for (kind, _), (_, state) in stored.items():
        values = {name: dict(value) for name in state.registers if (value := state.value(name))}
        if "post" in values:
            values["post"] = {"post": posts[values["post"]["post"]].casefold()}
        about = state.key.get("child")
        owner = stored["child", about][1].value("identity") if about else None
        found.append((kind, state.key.get("measured_on"), str(owner), str(sorted(values.items()))))
    return sorted(found, key=str)


def scores(district: District) -> list[tuple[Any, ...]]:
    c = table(Assessment).c
    names = (c.measured_on, c.waz, c.haz, c.whz, c.age_days)
    return sorted((tuple(found) for found in district.rows(select(*names))), key=str)


CHILDREN = [
    row(),
    row(
        Tanggal_Pengukuran="2026-02-05",
        Usia_Saat_Ukur="-",
        Berat="9.4",
        LiLA="-",
        Jml_Vit_A="1",
        MBG="ya",
        KPSP="S",
    ),
    row(
        NIK="", Nama='=HYPERLINK("x")', Nama_Ortu="- / @Ibu", Alamat="-1+1", JK="P", Berat="8.35", KIA="tidak"
    ),
    row(
        NIK="6471011001250001",
        Nama="Anak di Melati Lain",
        Desa_Kel="LOA IPUH",
        Posyandu="MELATI 7",
        Tinggi="-",
        Berat="11",
    ),
    row(
        NIK="",
        Nama="Anak Berdiri",
        Tgl_Lahir="2022-05-31",
        Usia_Saat_Ukur="-",
        Cara_Ukur="Berdiri",
        Tinggi="98.7",
        Berat="14.25",
        BB_Lahir="-",
    ),
]


@pytest.mark.every_case
@pytest.mark.parametrize("form", ["xlsx", "csv"])
def test_export_into_an_empty_district_is_equal(databases: Databases, form: str) -> None:
    with District.opened(databases) as one, District.opened(databases) as other:
        taken(one, xlsx(CHILDREN), add_posts=True)
        content = left(one, form=form)
        report, _ = taken(other, content, add_posts=True)
        assert report.counts["new"] == 4
        assert report.counts["added"] == 1
        assert told(other) == told(one)
        assert scores(other) == scores(one)
        assert left(other, form=form) == content
        again, _ = taken(one, content)
        assert set(again.counts) == {"unchanged"}


def test_export_has_their_headings_to_the_letter(on_sqlite: District) -> None:
    taken(on_sqlite, xlsx(CHILDREN[:1]))
    for sheet, headings in (
        ("export", EXPORT),
        ("measurement", MEASUREMENT),
        ("identity", IDENTITY),
        ("pmt", PMT),
        ("mpasi", MPASI),
    ):
        assert lines(left(on_sqlite, sheet))[0] == list(headings)
    assert "Pukesmas" in EXPORT
    assert set(SHEETS) == {"export", "measurement", "identity", "pmt", "mpasi"}


def test_export_writes_what_the_ministry_writes(on_sqlite: District) -> None:
    taken(on_sqlite, xlsx(CHILDREN[:1]))
    cells = dict(zip(EXPORT, lines(left(on_sqlite, form="csv"))[1], strict=False))
    assert cells["JK"] == "L"
    assert cells["Nama Ortu"] == "Bapak Contoh / Ibu Contoh"
    assert cells["Usia Saat Ukur"] == "1 Tahun - 1 Bulan - 23 Hari"
    assert (cells["Berat"], cells["Tinggi"], cells["Cara Ukur"]) == ("9.6", "76.5", "Terlentang")
    assert cells["BB/U"] == "Berat badan normal"
    assert float(cells["ZS BB/U"]) < 0
    assert cells["RW"] == "-"


def test_implausible_score_is_an_outlier(on_sqlite: District) -> None:
    taken(on_sqlite, xlsx([row(Tinggi="52")]))
    cells = dict(zip(EXPORT, lines(left(on_sqlite, form="csv"))[1], strict=False))
    assert cells["ZS TB/U"] == "Outlier"


def test_export_masks_nik_and_names_for_who_may_not_see_them(on_sqlite: District) -> None:
    taken(on_sqlite, xlsx(CHILDREN[:1]))
    masked = left(on_sqlite, form="csv", full_nik=False).decode("utf-8-sig")
    assert "640206**********" in masked
    assert "6402061001250001" not in masked
    blind = Scope("district", "64.02", shows_names=False)
    for sheet in SHEETS:
        nameless = left(on_sqlite, sheet, "csv", blind).decode("utf-8-sig")
        assert not any(
            text in nameless for text in ("Contoh Satu", "6402061001250001", "Ibu Contoh", "Jalan")
        )


def test_export_holds_the_children_in_scope_alone(on_sqlite: District) -> None:
    taken(on_sqlite, xlsx(CHILDREN), add_posts=True)
    village = Scope("village", "64.02.06.1002", shows_names=True)
    names = [cells[2] for cells in lines(left(on_sqlite, scope=village))[1:]]
    assert names == ["Anak di Melati Lain"]
    assert lines(left(on_sqlite, scope=Scope("none", "", shows_names=False)))[1:] == []


def test_templates_are_taken_again(databases: Databases) -> None:
    with District.opened(databases) as one, District.opened(databases) as other:
        taken(one, xlsx([*CHILDREN[:2]]))
        who, _ = taken(other, left(one, "identity"), post_id=other.posts[0])
        what, _ = taken(other, left(one, "measurement"))
        assert (who.counts["new"], what.counts["added"]) == (1, 2)
        assert scores(other) == scores(one)
        assert len(other.rows(select(Child.id))) == 1
