"""What went wrong can be set right: a measurement is taken back, removed, moved to another child or emptied; no day that has
not come is recorded, and a wrong date of a whole morning is changed at once. The server follows, to the last figure.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, expect
from sqlalchemy import select

from server.database.models import Assessment, Measurement
from server.review import Scope, quarantine
from tests.browser._tablets import Site, Tablet, held

pytestmark = pytest.mark.browser

ALONE, RIGHT, WRONG, EMPTIED = "Anak Sendiri", "Anak Benar", "Anak Keliru", "Anak Kosong"
MORNING = ("Anak Pagi 1", "Anak Pagi 2", "Anak Pagi 3", "Anak Pagi 4")
AHEAD = ("Anak Esok 1", "Anak Esok 2")
FIGURES = ("9,1", "72,4")


@pytest.fixture(scope="module")
def ids(site: Site) -> dict[str, str]:
    names = (ALONE, RIGHT, WRONG, EMPTIED, *MORNING, *AHEAD)
    return dict(zip(names, site.children(*names), strict=True))


@pytest.fixture(scope="module")
def tablet(site: Site, ids: dict[str, str]) -> Iterator[Tablet]:
    with site.tablet("corrections") as opened:
        yield opened


def rows(site: Site, child: str, on: date | None = None) -> list[tuple[Any, ...]]:
    """Give what the server holds of a child's visit: weight, length, and whether it was removed."""
    found = site.district.rows(
        select(Measurement.weight_g, Measurement.length_mm, Measurement.removed).where(
            Measurement.child_id == child, Measurement.measured_on == (on or site.today)
        )
    )
    return [(row.weight_g, row.length_mm, bool(row.removed)) for row in found]


def registers(site: Site, child: str, on: date) -> dict[str, Any]:
    """Give the live registers of a visit as the server holds them."""
    found = held(site.district).get(f"measurements {child} {on}/cadre", {"set": {}})
    return {
        name: value[0]["value"] if isinstance(value, list) else value for name, value in found["set"].items()
    }


def only(state: dict[str, Any], register: str) -> Any:
    """Give the only live value of a register."""
    found = state["set"][register]
    if not isinstance(found, list):
        return found
    (one,) = found
    return one["value"]


def undo(tablet: Tablet) -> Locator:
    return tablet.page.get_by_role("button", name="Urungkan", exact=True)


def open_form(tablet: Tablet, child: str) -> None:
    tablet.go("hari-ini")
    tablet.go(f"ukur/{child}")
    expect(tablet.page.get_by_text("Sudah diukur pada")).to_be_visible()


def test_new_measurement_is_taken_back_for_ten_seconds(
    site: Site, ids: dict[str, str], tablet: Tablet
) -> None:
    tablet.measure(ALONE, *FIGURES)
    box = undo(tablet).bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= 48
    expect(tablet.page.get_by_role("status").filter(has_text=f"Tersimpan: {ALONE}")).to_be_visible()
    tablet.go("hari-ini")  # the offer outlives its screen
    undo(tablet).click()
    expect(tablet.page.get_by_text("Diurungkan.")).to_be_visible()
    tablet.sync()
    assert rows(site, ids[ALONE]) == [(9100, 724, True)]
    site.check_agreement(tablet)


def test_correction_is_taken_back_to_the_values_before_it(
    site: Site, ids: dict[str, str], tablet: Tablet
) -> None:
    tablet.measure(ALONE, *FIGURES, muac_mm="14,2")
    tablet.correct(ALONE)
    tablet.type("9,9", muac_mm="")
    tablet.save()
    undo(tablet).click()
    expect(tablet.page.locator("input[name=weight_g]")).to_have_value("9,1")
    expect(tablet.page.locator("input[name=muac_mm]")).to_have_value("14,2")
    tablet.sync()
    assert rows(site, ids[ALONE]) == [(9100, 724, False)]
    site.check_agreement(tablet)


def test_measurement_is_removed_with_a_reason_and_can_be_put_back(
    site: Site, ids: dict[str, str], tablet: Tablet
) -> None:
    page = tablet.page
    tablet.measure(WRONG, *FIGURES)
    for is_taken_back in (True, False):
        open_form(tablet, ids[WRONG])
        page.get_by_role("button", name="Hapus pengukuran ini").click()
        page.get_by_role("button", name="Hapus", exact=True).click()
        tablet.expect_title(WRONG)
        expect(page.get_by_text("dihapus.")).to_be_visible()
        if is_taken_back:
            undo(tablet).click()
            expect(page.get_by_text("Diurungkan.")).to_be_visible()
        tablet.sync()
        assert rows(site, ids[WRONG]) == [(9100, 724, not is_taken_back)]
    tablet.measure(WRONG, "9,3")  # measured after all: nothing of what was removed comes back
    tablet.sync()
    assert rows(site, ids[WRONG]) == [(9300, None, False)]
    site.check_agreement(tablet)


def test_measurement_is_moved_to_the_child_that_it_is_of_in_one_act(
    site: Site, ids: dict[str, str], tablet: Tablet
) -> None:
    page = tablet.page
    tablet.begin(EMPTIED)
    tablet.type("8,8", "73,1")
    page.get_by_label("Catatan").fill("Rewel")
    tablet.save()
    written = len(tablet.log())
    for is_taken_back in (True, False):
        open_form(tablet, ids[EMPTIED])
        page.get_by_role("link", name="Pindahkan ke anak lain").click()
        page.get_by_role("searchbox").fill("ben")
        page.get_by_role("button", name=RIGHT).click()
        expect(page.locator(".saved")).to_be_visible()
        tablet.expect_title(RIGHT)
        written += 2
        assert len(tablet.log()) == written
        if is_taken_back:
            undo(tablet).click()
            tablet.expect_title(EMPTIED)
            expect(page.locator("input[name=weight_g]")).to_have_value("8,8")
            written += 2
    tablet.sync()
    assert rows(site, ids[EMPTIED])[0][2] is True
    assert rows(site, ids[RIGHT]) == [(8800, 731, False)]
    assert registers(site, ids[RIGHT], site.today)["note"] == {"text": "Rewel"}
    site.check_agreement(tablet)


def test_cleared_fields_are_cleared_on_the_server_and_an_emptied_record_is_asked_about(
    site: Site, ids: dict[str, str], tablet: Tablet
) -> None:
    page, child = tablet.page, ids[EMPTIED]
    tablet.begin(EMPTIED)
    tablet.type("8,8", "73,1", muac_mm="14,1")
    page.get_by_label("Catatan").fill("Rewel")
    tablet.save()
    tablet.sync()
    tablet.correct(EMPTIED)
    tablet.type("", muac_mm="")
    page.get_by_label("Catatan").fill("")
    tablet.save()
    tablet.sync()
    assert rows(site, child) == [(None, 731, False)]
    assert registers(site, child, site.today) == {
        "weight": {"weight_g": None, "oedema": None},
        "length": {"length_mm": 731, "position": "lying"},
        "muac": {"muac_mm": None},
        "note": {"text": None},
        "removed": {"reason": None},
    }
    scores = select(Assessment.waz, Assessment.haz).where(
        Assessment.child_id == child, Assessment.measured_on == site.today
    )
    ((waz, haz),) = site.district.rows(scores)
    assert waz is None
    assert haz is not None
    tablet.correct(EMPTIED)
    page.locator("input[name=length_mm]").fill("")
    page.get_by_role("button", name="Simpan", exact=True).click()
    page.locator(".dock").get_by_role("button", name="Hapus", exact=True).click()
    expect(page.get_by_text("dihapus.")).to_be_visible()
    tablet.sync()
    assert rows(site, child)[0][2] is True
    site.check_agreement(tablet)


def choose_day(tablet: Tablet, day: date) -> None:
    tablet.go("hari-ini")
    tablet.page.locator("details.day summary").click()
    tablet.page.get_by_label("Tanggal posyandu").fill(day.isoformat())


def test_day_that_has_not_come_is_refused_before_anything_is_typed(
    site: Site, ids: dict[str, str], tablet: Tablet
) -> None:
    page, tomorrow = tablet.page, site.today + timedelta(days=2)
    choose_day(tablet, tomorrow)
    expect(page.get_by_role("alert")).to_contain_text("belum tiba")
    expect(page.get_by_label("Tanggal posyandu")).to_have_value(site.today.isoformat())
    expect(page.get_by_label("Tanggal posyandu")).to_have_attribute("max", site.today.isoformat())
    tablet.go(f"ukur/{ids[ALONE]}/{tomorrow}")
    expect(page.get_by_role("alert")).to_contain_text("belum tiba")
    expect(page.locator("input[name=weight_g]")).to_have_count(0)


def test_wrong_date_of_a_morning_is_changed_for_all_its_records_at_once(
    site: Site, ids: dict[str, str], tablet: Tablet
) -> None:
    page, wrong = tablet.page, site.today - timedelta(days=3)
    site.hand.measure(ids[MORNING[3]], site.today.isoformat(), weight_g=8500)
    site.hand.sync_until_quiet()
    tablet.sync()
    choose_day(tablet, wrong)
    for number, name in enumerate(MORNING):
        tablet.begin(name)
        tablet.type(f"9,{number + 1}", f"7{number + 1},5", muac_mm="14,2")
        page.get_by_role("button", name="MBG").click()
        page.locator(".chips button").first.click()  # a dose that is due
        page.get_by_label("Catatan").fill(f"Catatan {number}")
        tablet.save()
    tablet.sync()
    before = {name: registers(site, ids[name], wrong) for name in MORNING}
    for is_taken_back in (True, False):
        change_date(tablet, wrong, site.today)
        expect(page.get_by_text("Sudah ada catatan")).to_contain_text("8,5 kg")
        page.get_by_role("button", name="Ubah tanggal 3 catatan").click()
        tablet.expect_title("Hari ini")
        if is_taken_back:
            undo(tablet).click()
            expect(page.get_by_text("Diurungkan.")).to_be_visible()
            expect(undo(tablet)).to_have_count(0)
    tablet.sync()
    for name in MORNING[:3]:
        assert rows(site, ids[name], wrong)[0][2] is True
        moved = registers(site, ids[name], site.today)
        assert {**moved, "removed": None} == {**before[name], "removed": None}
        assert moved["services"] == {"mbg": True}
        assert len(moved["doses"]["given"]) == 1
    assert rows(site, ids[MORNING[3]]) == [(8500, None, False)]  # asked about, not overwritten
    assert rows(site, ids[MORNING[3]], wrong) == [(9400, 745, False)]
    expect(page.locator("header")).not_to_contain_text("tanggal")
    site.check_agreement(tablet)


def change_date(tablet: Tablet, wrong: date, right: date) -> None:
    tablet.go("hari-ini")
    tablet.go(f"ubah-tanggal/{wrong}")
    tablet.expect_title("Ubah tanggal")
    tablet.page.get_by_label("Tanggal yang benar").fill(right.isoformat())


def test_wrong_date_is_changed_in_every_record_that_has_the_day_in_it(
    site: Site, ids: dict[str, str], tablet: Tablet
) -> None:
    page, child, wrong = tablet.page, ids[ALONE], site.today - timedelta(days=5)
    task = site.hand.set_task(child, action="counsel", due_on=site.today.isoformat())
    site.hand.sync_until_quiet()
    tablet.sync()
    choose_day(tablet, wrong)
    tablet.begin(ALONE)
    tablet.type("9,0")
    tablet.save()
    tablet.go(f"bantuan-anak/{child}")
    page.get_by_text("Catat bantuan sosial yang diberikan hari ini").click()
    for name in ("Jamban", "Dana desa"):
        page.get_by_role("button", name=name, exact=True).click()
    page.get_by_role("button", name="Simpan bantuan").click()
    expect(page.get_by_role("heading", name="Jamban · Dana desa")).to_be_visible()
    tablet.go(f"anak/{child}")
    page.get_by_role("button", name="Jawab").click()
    page.get_by_role("button", name="Simpan jawaban").click()
    page.get_by_role("button", name="Ya, simpan").click()
    expect(page.get_by_role("button", name="Jawab")).to_have_count(0)
    tablet.sync()
    right = site.today - timedelta(days=4)
    for is_taken_back in (True, False):
        change_date(tablet, wrong, right)
        for words in ("bantuan sosial", "jawaban untuk puskesmas"):
            expect(page.locator("ul.children.plain")).to_contain_text(words)
        page.get_by_role("button", name="Ubah tanggal 3 catatan").click()
        tablet.expect_title("Hari ini")
        if is_taken_back:
            undo(tablet).click()
            expect(page.get_by_text("Diurungkan.")).to_be_visible()
            expect(undo(tablet)).to_have_count(0)
    choose_day(tablet, site.today)
    site.check_agreement(tablet)
    held_now = held(site.district)
    assert only(held_now[f"follow_ups {child} {task}"], "result")["done_on"] == right.isoformat()
    (aid,) = [one for name, one in held_now.items() if name.startswith(f"deliveries {child}")]
    assert only(aid, "delivered") == {"given_on": right.isoformat()}
    assert only(aid, "aid")["starts_on"] == right.isoformat()
    assert registers(site, child, right)["weight"]["weight_g"] == 9000


def test_records_set_aside_for_their_day_are_dated_anew_together(
    site: Site, ids: dict[str, str], tablet: Tablet
) -> None:
    page = tablet.page
    wrong, right = site.today + timedelta(days=2), site.today - timedelta(days=2)
    page.clock.set_fixed_time(datetime.now(UTC) + timedelta(days=2))  # the tablet's clock is ahead
    for name in AHEAD:
        tablet.go(f"ukur/{ids[name]}/{wrong}")
        tablet.expect_title(name)
        tablet.type(*FIGURES)
        tablet.save()
    tablet.sync()
    page.clock.set_fixed_time(datetime.now(UTC))
    tablet.go("pertanyaan")
    page.get_by_role("link", name="Perbaiki", exact=True).first.click()
    tablet.expect_title("Ubah tanggal")
    page.get_by_label("Tanggal yang benar").fill(right.isoformat())
    page.get_by_role("button", name="Ubah tanggal 2 catatan").click()
    tablet.expect_title("Hari ini")
    tablet.sync()
    assert [rows(site, ids[name], right) for name in AHEAD] == [[(9100, 724, False)]] * 2
    assert all(rows(site, ids[name], wrong)[0][2] for name in AHEAD)
    with site.district.hub.database.reading() as session:
        everybody = Scope.whole_district(site.district.hub, shows_names=True)
        assert quarantine.count_open(session, site.district.hub, everybody) == 0
    assert tablet.read("({ replica }) => replica.inQuestion().length") == 0
    site.check_agreement(tablet)
