"""What leaves for other systems: a FHIR bundle that validates, a CSV with its codebook, a month's counts for DHIS2."""

import csv
import io
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from server import reports
from server.interchange import dhis2, fhir, measurements_csv
from server.interchange.export_rows import ExportQuery
from server.interchange.monev import text_of
from server.review import Scope
from tests.server._district import DISTRICT, District
from tests.server.interchange._files import row, xlsx
from tests.server.interchange._office import WHOLE, taken

BLIND = Scope("district", DISTRICT, shows_names=False)
CHILDREN = [
    row(),
    row(Tanggal_Pengukuran="2026-02-05", Usia_Saat_Ukur="-", Berat="9.4"),
    row(
        NIK="", Nama="Anak Berdiri", Tgl_Lahir="2022-05-31", Usia_Saat_Ukur="-", Cara_Ukur="Berdiri",
        Tinggi="90", Berat="14.25", KIA="tidak", JK="P",
    ),
    row(NIK="", Nama="Anak Jauh", Desa_Kel="LOA IPUH", Posyandu="MELATI 7", Tinggi="52", Berat="6.1"),
]  # fmt: skip


@pytest.fixture
def full(on_sqlite: District) -> District:
    """Give a district with what a file brought."""
    taken(on_sqlite, xlsx(CHILDREN), add_posts=True)
    return on_sqlite


def wanted(
    scope: Scope = WHOLE, first: date = date(2026, 1, 1), last: date = date(2026, 3, 31), **more: Any
) -> ExportQuery:
    return ExportQuery(scope, first, last, **more)


def bundle(district: District, given: ExportQuery, **options: Any) -> dict[str, Any]:
    target = io.BytesIO()
    with district.hub.database.reading() as session:
        fhir.write_bundle(target, session, district.hub, given, now=district.clock.now, **options)
    read: dict[str, Any] = json.loads(target.getvalue())
    return read


def resources(found: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [e["resource"] for e in found["entry"] if e["resource"]["resourceType"] == kind]


def test_bundle_validates_and_every_reference_is_within_it(full: District) -> None:
    found = bundle(full, wanted(full_nik=True))
    checked = Bundle.model_validate(found)
    assert len(checked.entry or ()) == len(found["entry"])
    urls = {entry["fullUrl"] for entry in found["entry"]}
    assert len(urls) == len(found["entry"])
    assert set(references(found)) <= urls
    assert {kind: len(resources(found, kind)) for kind in ("Patient", "Encounter", "Location")} == {
        "Patient": 3, "Encounter": 4, "Location": 2,
    }  # fmt: skip


def references(value: Any) -> list[str]:
    """Collect every reference, however deep."""
    if isinstance(value, dict):
        own = [value["reference"]] if isinstance(value.get("reference"), str) else []
        return own + [found for inner in value.values() for found in references(inner)]
    return [found for inner in value for found in references(inner)] if isinstance(value, list) else []


def test_measurements_have_the_ministrys_codes_and_units(full: District) -> None:
    found = resources(bundle(full, wanted()), "Observation")
    told = {(o["code"]["coding"][0]["code"], o.get("valueQuantity", {}).get("code")) for o in found}
    assert {
        ("29463-7", "kg"), ("8306-3", "cm"), ("8308-9", "cm"), ("284473002", "cm"), ("39156-5", "kg/m2"),
        ("1153593003", "{Zscore}"), ("1153590000", "{Zscore}"), ("1153604005", "{Zscore}"),
        ("1153598007", "{Zscore}"), ("1153600001", "{Zscore}"), ("1153596006", "{Zscore}"),
    } <= told  # fmt: skip
    assert {o["status"] for o in found} == {"preliminary"}
    weights = sorted(
        o["valueQuantity"]["value"] for o in found if o["code"]["coding"][0]["code"] == "29463-7"
    )
    assert weights == [6.1, 9.4, 9.6, 14.25]
    (short,) = (o for o in found if o["code"]["coding"][0]["code"] == "1153604005")
    assert short["interpretation"][0]["text"] == "Pendek"
    assert short["interpretation"][0]["coding"][0] == {
        "system": "http://snomed.info/sct",
        "code": "444000005",
    }


def test_weight_gain_is_told_as_adequate_or_not(full: District) -> None:
    found = resources(bundle(full, wanted()), "Observation")
    assert [o["valueBoolean"] for o in found if o["code"]["coding"][0]["code"] == "OC000012"] == [True]


def test_nik_and_names_are_in_the_bundle_only_for_who_may_see_them(full: District) -> None:
    whole = resources(bundle(full, wanted(full_nik=True)), "Patient")
    assert [p["identifier"][0]["value"] for p in whole if "identifier" in p] == ["6402061001250001"]
    masked = bundle(full, wanted())
    assert all("identifier" not in patient for patient in resources(masked, "Patient"))
    assert "6402061001250001" not in json.dumps(masked)
    blind = json.dumps(bundle(full, wanted(BLIND, full_nik=True)))
    Bundle.model_validate(json.loads(blind))
    assert "Anak" not in blind
    assert "6402061001250001" not in blind
    assert "Jalan" not in blind


def test_same_export_gives_the_same_bundle(full: District) -> None:
    assert bundle(full, wanted()) == bundle(full, wanted())


def test_organisation_of_ones_own_gives_identifiers(full: District, tmp_path: Path) -> None:
    own = tmp_path / "codes.toml"
    text = (Path(fhir.__file__).parent / "fhir_codes.toml").read_text("utf-8")
    own.write_text(text.replace('organization = ""', 'organization = "10000004"'), "utf-8")
    found = bundle(full, wanted(), table=fhir.codes(own))
    Bundle.model_validate(found)
    systems = {o["identifier"][0]["system"] for o in resources(found, "Observation")}
    assert systems == {"http://sys-ids.kemkes.go.id/observation/10000004"}
    own.write_text('version = "x"', "utf-8")
    fhir.codes.cache_clear()
    with pytest.raises(ValueError, match="lacks"):
        fhir.codes(own)


def test_csv_has_a_line_in_the_codebook_for_every_column(full: District) -> None:
    data, book = io.BytesIO(), io.BytesIO()
    with full.hub.database.reading() as session:
        assert measurements_csv.write_data(data, session, full.hub, wanted(BLIND)) == 4
    measurements_csv.write_codebook(book)
    lines = list(csv.DictReader(io.StringIO(data.getvalue().decode("utf-8-sig"))))
    told = list(csv.DictReader(io.StringIO(book.getvalue().decode("utf-8-sig"))))
    assert [line["name"] for line in told] == list(lines[0])
    assert all(line["meaning_id"] and line["meaning_en"] and line["source"] for line in told)
    assert sorted(line["weight_g"] for line in lines) == ["14250", "6100", "9400", "9600"]
    assert {line["born_on"] for line in lines} == {""}
    assert all(text not in data.getvalue().decode() for text in ("Anak", "6402061001250001"))
    assert len({line["child"] for line in lines}) == 3


def test_pseudonym_is_the_same_in_every_export_and_is_not_our_id(full: District) -> None:
    found = []
    for _ in range(2):
        data = io.BytesIO()
        with full.hub.database.reading() as session:
            measurements_csv.write_data(data, session, full.hub, wanted())
        found.append(
            {line["child"] for line in csv.DictReader(io.StringIO(data.getvalue().decode("utf-8-sig")))}
        )
    assert found[0] == found[1]
    assert not found[0] & {record_id for kind, record_id in full.stored() if kind == "child"}


def counts(
    district: District, month: str, by: str = "post", scope: Scope = WHOLE
) -> dict[str, dict[str, int]]:
    target = io.BytesIO()
    asked, now = ExportQuery(scope, *dhis2.month_of(month)), district.clock.now
    dhis2.write_values(target, district.hub, asked, by=by, actor="test", now=now)
    told = json.loads(target.getvalue())
    assert {value["period"] for value in told["dataValues"]} <= {month.replace("-", "")}
    found: dict[str, dict[str, int]] = {}
    for value in told["dataValues"]:
        found.setdefault(value["orgUnit"], {})[value["dataElement"].removeprefix("SKDN_")] = int(
            value["value"]
        )
    return found


def test_skdn_of_a_month_is_counted_by_village(full: District) -> None:
    assert counts(full, "2026-03", "village") == {
        "64.02.06.1001": {"S": 2, "K": 1, "D": 2, "N": 1, "T": 0, "O": 0, "B": 1},
        "64.02.06.1002": {"S": 1, "K": 1, "D": 1, "N": 0, "T": 0, "O": 0, "B": 1},
    }
    assert counts(full, "2026-02", "village")["64.02.06.1001"] == {  # who came in March was not on it yet
        "S": 1,
        "K": 1,
        "D": 1,
        "N": 0,
        "T": 0,
        "O": 0,
        "B": 1,
    }


def test_day_of_completion_is_the_districts(full: District) -> None:
    target = io.BytesIO()
    now = datetime(2026, 4, 9, 17, tzinfo=UTC)  # 10 April in Kukar, whatever this machine's zone
    dhis2.write_values(
        target, full.hub, ExportQuery(WHOLE, *dhis2.month_of("2026-03")), by="post", actor="test", now=now
    )
    assert json.loads(target.getvalue())["completeDate"] == "2026-04-10"


def test_skdn_of_a_post_is_in_scope_alone(full: District) -> None:
    only = Scope("post", full.posts[0], shows_names=False)
    assert set(counts(full, "2026-03", scope=only)) == {full.posts[0]}


def shown(district: District) -> dict[str, int]:
    """Give what `reports show` says of the whole district in March, without counting anew."""
    hub, march = district.hub, date(2026, 3, 1)
    reader = reports.FigureReader.operator(hub)
    with hub.database.reading() as session:
        whole = reports.own_area(session, hub, reader)
    (found,) = json.loads(text_of(hub, reader, whole, march, months=1, parts=False, form="json"))["rows"]
    return {name: found[name] for name in dhis2.ELEMENTS}


def test_skdn_is_what_the_figures_say_after_an_edit_too(installed: District) -> None:
    taken(installed, xlsx(CHILDREN), add_posts=True)
    before = counts(installed, "2026-03")
    assert {name: sum(count[name] for count in before.values()) for name in "SKDNTOB"} == shown(installed)
    taken(installed, xlsx([row(NIK="", Nama="Anak Baru", Tgl_Lahir="2025-06-01", Usia_Saat_Ukur="-")]))
    after = counts(installed, "2026-03")
    assert {name: sum(count[name] for count in after.values()) for name in "SKDNTOB"} == shown(installed)
    assert sum(count["D"] for count in after.values()) == sum(count["D"] for count in before.values()) + 1


@pytest.mark.parametrize("text", ["2026", "2026-13", "Maret 2026", "2026-03-05"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a month"):
        dhis2.month_of(text)
