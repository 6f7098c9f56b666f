"""The growth card: points and lines lie where the tables say, and words are there for who cannot see it."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.growth.zscores import DAYS_PER_MONTH, curve
from tests.tablet._modules import TABLET, Modules

pytestmark = pytest.mark.browser

DRAW = """(() => {
  const { child, measurements, today, options, draw } = given;
  const assessment = assess.assess(tables, child, measurements, today);
  const { language = 'id', ...titles } = options.words || {};
  words.speak(language);
  const svg = chart[draw](tables, child, assessment.visits, { ...options, words: titles, message: words.message });
  document.body.replaceChildren(svg);
  const all = (selector) => [...svg.querySelectorAll(selector)];
  const of = (element) => Object.fromEntries([...element.attributes].map(({ name, value }) => [name, value]));
  return {
    svg: of(svg), frame: of(svg.querySelector('.kms-frame')),
    title: svg.querySelector('title').textContent, desc: svg.querySelector('desc').textContent,
    dots: all('circle.kms-dot').map(of), fresh: all('.kms-fresh').length, pinned: all('.kms-pinned').length,
    lines: all('.kms-line').map(of), zones: all('.kms-zone').map(of), gaps: all('.kms-gap').length,
    tracks: all('.kms-track').length,
    values: all('.kms-value').map((label) => [label.textContent, label.getAttribute('y')]),
    months: all('.kms-month').map((label) => [label.textContent, label.getAttribute('x')]),
    said: all('.kms-said').map((label) => label.textContent), styled: all('[style]').length,
  };
})()"""
BOY = {"sex": "M", "born_on": "2025-01-01"}
GIRL = {"sex": "F", "born_on": "2023-01-01"}


def visit(on: str, weight_g: int | None, length_mm: int | None = None) -> dict[str, Any]:
    blank = dict.fromkeys(("oedema", "muac_mm", "head_mm"))
    return {
        **blank,
        "on": on,
        "source": "cadre",
        "weight_g": weight_g,
        "length_mm": length_mm,
        "position": "lying" if length_mm else None,
    }


def drawn(
    modules: Modules,
    child: dict[str, Any],
    visits: list[dict[str, Any]],
    draw: str = "kms",
    options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    given = {
        "child": child,
        "measurements": visits,
        "today": "2026-01-10",
        "options": options or {},
        "draw": draw,
    }
    found: dict[str, Any] = modules.call(DRAW, given)
    return found


def fitted(labels: list[list[str]], offset: float = 0) -> tuple[float, float]:
    """Read the scale off the axis's own labels: pixels = slope * value + start."""
    slope, start = np.polyfit(
        [float(text) for text, _ in labels], [float(at) - offset for _, at in labels], 1
    )
    return float(slope), float(start)


BOYS_VISITS = [visit("2025-02-01", 4500), visit("2025-03-01", 5600), visit("2025-06-01", 7400)]


def test_point_lies_where_its_weight_and_age_say_when_drawn(modules: Modules) -> None:
    card = drawn(modules, BOY, BOYS_VISITS)
    across, down = fitted(card["months"]), fitted(card["values"], offset=4)
    expected = [(31, 4.5), (59, 5.6), (151, 7.4)]
    for dot, (day, kg) in zip(card["dots"], expected, strict=True):
        assert float(dot["cx"]) == pytest.approx(across[0] * day / DAYS_PER_MONTH + across[1], abs=0.01)
        assert float(dot["cy"]) == pytest.approx(down[0] * kg + down[1], abs=0.01)
    assert (card["fresh"], card["said"], card["gaps"], card["tracks"]) == (1, ["7,4 kg"], 1, 2)


@pytest.mark.parametrize(("child", "sex"), [(BOY, 1), (GIRL, 2)])
def test_lines_lie_where_the_servers_curves_are_when_drawn(
    modules: Modules, child: dict[str, Any], sex: int
) -> None:
    card = drawn(modules, child, [], options={"from": 0, "to": 60})
    across, down = fitted(card["months"]), fitted(card["values"], offset=4)
    assert [line["data-z"] for line in card["lines"]] == ["-3", "-2", "0", "1"]
    for line in card["lines"]:
        days, (kg,) = curve("waz", sex, [float(line["data-z"])])
        corners = np.array([corner.split(",") for corner in line["points"].split()], dtype=np.float64)
        at = (corners[:, 0] - across[1]) / across[0] * DAYS_PER_MONTH
        expected = down[0] * np.interp(at, days, kg) + down[1]
        assert len(corners) > 200
        assert np.abs(corners[:, 1] - expected).max() < 0.03


def test_length_curves_step_down_when_a_child_is_measured_standing(modules: Modules) -> None:
    girl = [visit("2024-11-01", None, 820), visit("2025-02-01", None, 850)]
    card = drawn(modules, GIRL, girl, "lengthChart", options={"from": 12, "to": 36})
    across, down = fitted(card["months"]), fitted(card["values"], offset=4)
    assert [line["data-z"] for line in card["lines"]] == ["-3", "-2", "0", "3"] * 2
    lying, standing = (
        float(card["lines"][at]["points"].split()[end].split(",")[1]) for at, end in ((2, -1), (6, 0))
    )
    assert (lying - standing) / down[0] == pytest.approx(86.4008 - 85.7299, abs=0.05)
    # the second was taken lying at 762 days: drawn as scored, 0.7 cm less
    assert (float(card["dots"][1]["cy"]) - down[1]) / down[0] == pytest.approx(84.3, abs=0.01)
    assert (float(card["dots"][1]["cx"]) - across[1]) / across[0] == pytest.approx(
        762 / DAYS_PER_MONTH, abs=0.01
    )
    assert card["said"] == ["84,3 cm"]


def test_zones_are_those_of_the_kms_when_drawn(modules: Modules) -> None:
    card = drawn(modules, GIRL, [])
    assert [zone["class"].split()[1] for zone in card["zones"]] == [
        "kms-below-red",
        "kms-low",
        "kms-normal",
        "kms-above-orange",
    ]
    assert card["svg"]["class"] == "kms-chart kms-girl"
    assert drawn(modules, BOY, [])["svg"]["class"] == "kms-chart kms-boy"


def test_first_two_years_or_the_next_three_are_shown_when_no_span_is_asked_for(modules: Modules) -> None:
    young, old = drawn(modules, BOY, BOYS_VISITS), drawn(modules, GIRL, [visit("2025-06-01", 11_000)])
    assert (young["months"][0][0], young["months"][-1][0]) == ("0", "24")
    assert (old["months"][0][0], old["months"][-1][0]) == ("24", "60")


def test_point_is_pinned_to_the_edge_and_marked_when_it_lies_far_outside(modules: Modules) -> None:
    card = drawn(modules, BOY, [*BOYS_VISITS[:2], visit("2025-06-01", 30_000)])
    assert card["pinned"] == 1
    assert float(card["dots"][2]["cy"]) == float(card["frame"]["y"])
    assert drawn(modules, BOY, BOYS_VISITS)["pinned"] == 0


def test_card_speaks_to_a_screen_reader_when_it_has_points(modules: Modules) -> None:
    card = drawn(modules, BOY, BOYS_VISITS)
    assert (card["svg"]["role"], card["svg"]["aria-label"]) == ("img", card["title"])
    assert card["desc"] == "Titik terbaru: 7,4 kg pada umur 4 bulan"
    words = {"title": "Growth card", "language": "en"}
    card = drawn(modules, BOY, BOYS_VISITS, options={"words": words})
    assert (card["title"], card["desc"]) == ("Growth card", "Newest point: 7.4 kg at 4 months")
    assert card["said"] == ["7.4 kg"]


def test_points_stand_without_zones_when_the_sex_is_unknown(modules: Modules) -> None:
    card = drawn(modules, {**BOY, "sex": None}, BOYS_VISITS)
    assert (len(card["dots"]), card["zones"], card["lines"]) == (3, [], [])


def test_nothing_is_styled_inline_and_every_class_has_a_look_when_drawn(modules: Modules) -> None:
    card = drawn(modules, BOY, BOYS_VISITS)
    assert card["styled"] == 0
    sheet = (TABLET / "chart.css").read_text(encoding="utf-8")
    used = modules.call(
        "[...new Set([...document.querySelectorAll('[class]')].flatMap((e) => [...e.classList]))]"
    )
    bare = {"kms-major", "kms-zone", "kms-fresh"}  # they group; what is in them has a look
    assert [name for name in used if f".{name}" not in sheet and name not in bare] == []


@pytest.mark.parametrize("zone", ["#ffe566", "#a6e3a1", "#ffd8a8", "#fff", "#fbcfe0", "#c7e0fb"])
def test_words_stand_out_in_the_sun_when_they_lie_on_a_zone(zone: str) -> None:
    sheet = (TABLET / "chart.css").read_text(encoding="utf-8")
    ink = re.search(r"--kms-ink: (#\w+)", sheet)
    assert ink
    assert zone in sheet
    assert (luminance(zone) + 0.05) / (luminance(ink[1]) + 0.05) > 10


def luminance(colour: str) -> float:
    """Give the relative luminance (WCAG 2.2)."""
    digits = colour.lstrip("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("name", "child"), [("boy", BOY), ("girl", {**GIRL, "born_on": "2025-01-01"})])
def test_card_has_its_colours_when_it_is_painted(
    modules: Modules, name: str, child: dict[str, Any], tmp_path: Path
) -> None:
    drawn(modules, child, BOYS_VISITS)
    painted = modules.call(
        "['.kms-card', '.kms-normal', '.kms-low'].map((s) => getComputedStyle(document.querySelector(s)).fill)"
    )
    paper = {"boy": "rgb(199, 224, 251)", "girl": "rgb(251, 207, 224)"}[name]
    assert painted == [paper, "rgb(166, 227, 161)", "rgb(255, 229, 102)"]
    pictures = Path(os.environ.get("SCREENSHOTS", tmp_path))
    modules.page.screenshot(path=pictures / f"kms-{name}.png")
