"""What the measuring form asks in a cadre's hands: swapped figures go back with one tap, no proposal is worse than what was
typed, growth that cannot be is asked about, and a severe result is measured once more with both values kept.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from sync_protocol import Json, measurement_id
from tests.browser._tablets import HAND, Site, Tablet
from tests.faults._running import wait_until
from tests.server._district import identity

pytestmark = pytest.mark.browser

CHILDREN: dict[str, tuple[int, dict[str, Any]]] = {
    "Anak Tertukar": (430, {"weight_g": 9300, "length_mm": 782}),
    "Anak Besar Tertukar": (1150, {"weight_g": 14_300, "length_mm": 965, "position": "standing"}),
    "Anak Melompat": (570, {"weight_g": 9400, "length_mm": 763}),
    "Anak Kurus": (500, {"weight_g": 9600, "length_mm": 790, "muac_mm": 131}),
}
"""By name: age in days, and what was measured last month."""


@pytest.fixture(scope="module")
def ids(site: Site) -> dict[str, str]:
    """Register the children, boys, and give their ids by name."""
    last_month = (site.today.replace(day=1) - timedelta(days=1)).isoformat()
    found = {}
    for name, (days_old, last) in CHILDREN.items():
        born_on = (site.today - timedelta(days=days_old)).isoformat()
        found[name] = site.hand.register_child(identity=identity(name=name, sex="M", born_on=born_on))
        site.hand.measure(found[name], last_month, **last)
    site.hand.sync_until_quiet()
    return found


@pytest.fixture(scope="module")
def tablet(site: Site, ids: dict[str, str]) -> Iterator[Tablet]:
    with site.tablet("questions") as opened:
        yield opened


def button(tablet: Tablet, name: str) -> Locator:
    return tablet.page.get_by_role("button", name=name, exact=True)


def figure(tablet: Tablet, field: str) -> Locator:
    return tablet.page.locator(f"input[name={field}]")


def saved(site: Site, tablet: Tablet, child: str, register: str) -> Json | None:
    """Save and send; give what the server has of the child's register today."""
    tablet.save()
    tablet.sync()
    record = measurement_id(child, site.today.isoformat(), "cadre")
    return site.district.stored()["measurement", record][1].value(register)


@pytest.mark.parametrize(
    ("name", "weight", "length", "meant"),
    [
        ("Anak Tertukar", "79,1", "9,5", {"weight_g": 9500, "length_mm": 791}),
        (
            "Anak Besar Tertukar",
            "97",
            "14,45",
            {"weight_g": 14_450, "length_mm": 970},
        ),  # once: 145 cm was proposed
    ],
)
def test_swapped_figures_are_put_back_by_one_tap(
    site: Site,
    tablet: Tablet,
    ids: dict[str, str],
    name: str,
    weight: str,
    length: str,
    meant: dict[str, int],
) -> None:
    tablet.begin(name)
    tablet.type(weight)
    expect(tablet.page.get_by_text("tidak mungkin untuk balita")).to_be_visible()
    expect(tablet.page.get_by_role("button", name="Pakai ")).to_have_count(0)
    tablet.type(weight, length)
    expect(tablet.page.get_by_role("button", name="Pakai ")).to_have_count(0)
    tablet.look(f"swapped-{meant['length_mm']}", (HAND,))
    button(tablet, "Tukar").click()
    expect(figure(tablet, "weight_g")).to_have_value(length)
    expect(figure(tablet, "length_mm")).to_have_value(weight)
    expect(tablet.page.locator(".live-feedback .notice")).to_have_count(0)
    weighed = saved(site, tablet, ids[name], "weight")
    assert weighed is not None
    assert weighed["weight_g"] == meant["weight_g"]
    record = measurement_id(ids[name], site.today.isoformat(), "cadre")
    measured = site.district.stored()["measurement", record][1].value("length")
    assert measured is not None
    assert measured["length_mm"] == meant["length_mm"]


def test_growth_that_cannot_be_is_asked_about_until_it_is_confirmed(
    site: Site, tablet: Tablet, ids: dict[str, str]
) -> None:
    tablet.begin("Anak Melompat")
    tablet.type("9,6", "95")
    told = tablet.page.get_by_text(
        "Panjang/tinggi naik 18,7 cm sejak bulan lalu (76,3 cm → 95 cm)? Ukur sekali lagi."
    )
    expect(told).to_be_visible()
    tablet.look("grown-too-much", (HAND,))
    button(tablet, "Ya, benar").click()
    expect(told).to_have_count(0)
    tablet.type("9,6", "96")  # another figure is another question
    expect(tablet.page.get_by_text("Panjang/tinggi naik 19,7 cm sejak bulan lalu")).to_be_visible()
    tablet.type("9,6", "77,1")
    expect(tablet.page.locator(".live-feedback .notice")).to_have_count(0)
    tablet.save()
    tablet.go(f"ukur/{ids['Anak Melompat']}/{(site.today.replace(day=1) - timedelta(days=1)).isoformat()}")
    tablet.type("9,4", "87")
    expect(tablet.page.get_by_text("tidak cocok dengan pengukuran berikutnya (77,1 cm)")).to_be_visible()


def test_severe_result_is_measured_once_more_and_both_values_are_kept(
    site: Site, tablet: Tablet, ids: dict[str, str]
) -> None:
    tablet.begin("Anak Kurus")
    tablet.type("9,7", "80", muac_mm="11,2")
    expect(
        tablet.page.get_by_text("Gizi buruk (LiLA 11,2 cm)? Ukur sekali lagi supaya yakin.")
    ).to_be_visible()
    tablet.look("severe", (HAND,))
    button(tablet, "Ukur sekali lagi").click()
    expect(figure(tablet, "muac_mm")).to_have_value("")
    expect(figure(tablet, "muac_mm")).to_be_focused()
    expect(tablet.page.get_by_text("Hasil pertama 11,2 cm. Ketik hasil ukur yang kedua.")).to_be_visible()
    tablet.look("second-awaited", (HAND,))
    wait_until(lambda: tablet.draft().get("first") == {"muac_mm": 112}, "the first value is on the disk")
    tablet.page.reload()
    tablet.unlock()
    tablet.begin("Anak Kurus")
    button(tablet, "Pakai 11,2 cm").click()
    expect(figure(tablet, "muac_mm")).to_have_value("11,2")
    button(tablet, "Ukur sekali lagi").click()
    tablet.type("9,7", "80", muac_mm="11,4")
    expect(tablet.page.locator(".live-feedback .notice")).to_have_count(0)
    note = saved(site, tablet, ids["Anak Kurus"], "note")
    assert note == {"text": "LiLA diukur dua kali: 11,2 cm lalu 11,4 cm."}
