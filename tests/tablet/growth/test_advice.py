"""What a cadre is shown and tells the mother: a sign, a colour, a headline, and a few sentences, from the assessment."""

from typing import Any

import pytest

from tests.tablet._modules import Modules
from tests.tablet.growth._timelines import random_cases

pytestmark = pytest.mark.browser

GIRL = {"sex": "F", "born_on": "2025-01-10"}
TODAY = "2026-01-10"


def visit(on: str, **measured: Any) -> dict[str, Any]:
    blank = dict.fromkeys(("weight_g", "oedema", "length_mm", "position", "muac_mm", "head_mm"))
    return {**blank, "on": on, "source": "cadre", **measured}


def advised(
    modules: Modules, *visits: dict[str, Any], child: dict[str, Any] = GIRL, today: str = TODAY
) -> dict[str, Any]:
    answer: dict[str, Any] = modules.call(
        "advice.advice(tables, given[0], assess.assess(tables, ...given), given[2])",
        [child, list(visits), today],
    )
    return answer


def told(advice: dict[str, Any]) -> str:
    return " ".join(words["id"] for words in advice["say"])


BEFORE = visit("2025-12-10", weight_g=8700, length_mm=730, position="lying")
WELL = {"length_mm": 740, "position": "lying"}


@pytest.mark.parametrize(
    ("visits", "sign", "tone", "headline"),
    [
        ([BEFORE, visit(TODAY, weight_g=8900, **WELL)], "N", "green", "Berat naik, tumbuh baik (N)"),
        (
            [BEFORE, visit(TODAY, weight_g=8899, **WELL)],
            "T",
            "yellow",
            "Berat belum naik cukup bulan ini (T)",
        ),
        (
            [
                visit("2025-11-10", weight_g=8700, length_mm=720, position="lying"),
                visit("2025-12-10", weight_g=8700, length_mm=730, position="lying"),
                visit(TODAY, weight_g=8750, **WELL),
            ],
            "2T",
            "orange",
            "Berat dua bulan tidak naik cukup (2T): rujuk ke puskesmas",
        ),
        ([visit(TODAY, weight_g=8900, **WELL)], "B", "green", "Penimbangan pertama: hasilnya baik"),
        (
            [visit("2025-10-10", weight_g=8300), visit(TODAY, weight_g=8900, **WELL)],
            "O",
            "green",
            "Hasil ukur baik; bulan lalu tidak ditimbang",
        ),
        ([BEFORE, visit(TODAY, weight_g=8900, oedema="1", **WELL)], "!", "red", "Bawa ke puskesmas hari ini"),
        (
            [BEFORE, visit(TODAY, weight_g=8900, muac_mm=114, **WELL)],
            "!",
            "red",
            "Bawa ke puskesmas hari ini",
        ),
        ([visit(TODAY, weight_g=6200, **WELL)], "!", "red", "Bawa ke puskesmas hari ini"),
        (
            [BEFORE, visit(TODAY, weight_g=8900, muac_mm=124, **WELL)],
            "N",
            "orange",
            "Rujuk ke puskesmas minggu ini",
        ),
        (
            [BEFORE, visit(TODAY, weight_g=8900, length_mm=680, position="lying")],
            "N",
            "orange",
            "Rujuk ke puskesmas minggu ini",
        ),
        (
            [BEFORE, visit(TODAY, weight_g=8900, length_mm=715, position="lying")],
            "N",
            "yellow",
            "Ukur sekali lagi",
        ),
        (
            [visit(TODAY, weight_g=10_900, length_mm=760, position="lying")],
            "B",
            "yellow",
            "Lebih berat dari seharusnya: tunjukkan kepada bidan",
        ),
        (
            [BEFORE, visit(TODAY, weight_g=8900, head_mm=480, **WELL)],
            "N",
            "yellow",
            "Tidak biasa untuk umurnya: tunjukkan kepada bidan",
        ),
        (
            [BEFORE, visit(TODAY, weight_g=8900, head_mm=500, **WELL)],
            "N",
            "orange",
            "Rujuk ke puskesmas minggu ini",
        ),
        ([visit("2025-10-10", weight_g=8300)], "B", "grey", "Bulan ini dan bulan lalu tidak diukur"),
        ([visit(TODAY, muac_mm=140)], "?", "green", "Hasil ukur baik"),
        ([], "?", "grey", "Belum dapat dinilai"),
    ],
)
def test_sign_colour_and_headline_follow_the_most_urgent_reason(
    modules: Modules, visits: list[dict[str, Any]], sign: str, tone: str, headline: str
) -> None:
    advice = advised(modules, *visits)
    assert (advice["sign"], advice["tone"], advice["headline"]["id"]) == (sign, tone, headline)


@pytest.mark.parametrize(
    ("born_on", "words"),
    [
        ("2025-07-11", "Beri ASI saja"),
        ("2025-07-10", "makanan lumat 2–3 kali"),
        ("2025-04-10", "makanan cincang 3–4 kali"),
        ("2025-01-10", "Teruskan ASI sampai 2 tahun"),
        ("2024-01-10", "makanan keluarga 3 kali sehari dan 2 kali selingan"),
    ],
)
def test_feeding_fits_the_age_when_a_child_is_well(modules: Modules, born_on: str, words: str) -> None:
    advice = advised(modules, visit(TODAY, muac_mm=140), child={"sex": "F", "born_on": born_on})
    assert words in told(advice)
    assert "Datang lagi ke posyandu bulan depan." in told(advice)


def test_mother_is_praised_and_told_how_the_child_is_when_it_gains(modules: Modules) -> None:
    said = told(advised(modules, BEFORE, visit(TODAY, weight_g=8900, **WELL)))
    assert said.startswith("Beratnya sesuai umur. Tingginya sesuai umur. Ibu sudah merawat dengan baik")


def test_reason_is_told_first_and_feeding_not_at_all_when_a_child_goes_to_the_health_centre_today(
    modules: Modules,
) -> None:
    said = told(advised(modules, visit(TODAY, weight_g=6000, muac_mm=110, **WELL)))
    assert said.startswith("Terindikasi gizi buruk (BB/TB < -3 SD).")
    assert "hari ini juga ke puskesmas" in said
    assert "selingan" not in said


def test_catching_up_is_advised_when_a_child_did_not_gain(modules: Modules) -> None:
    said = told(advised(modules, BEFORE, visit(TODAY, weight_g=8700, **WELL)))
    assert "Tambah satu kali makan" in said
    assert "Sampaikan kepada bidan" in said
    infant = {"sex": "F", "born_on": "2025-09-10"}
    visits = visit("2025-12-10", weight_g=6000), visit(TODAY, weight_g=6200)
    advice = advised(modules, *visits, child=infant)
    assert "Susui lebih sering" in told(advice)
    assert (advice["sign"], advice["headline"]["id"]) == ("!", "Bawa ke puskesmas hari ini")


def test_more_food_is_not_advised_when_a_child_is_heavy_for_its_length(modules: Modules) -> None:
    heavy = visit("2025-12-10", weight_g=11_000, length_mm=750, position="lying")
    said = told(advised(modules, heavy, visit(TODAY, weight_g=11_000, length_mm=755, position="lying")))
    assert "Tambah satu kali makan" not in said
    assert "Kurangi minuman manis" in said


def test_what_is_missing_is_asked_for_when_the_child_is_not_known(modules: Modules) -> None:
    advice = advised(modules, visit(TODAY, weight_g=9000), child={"sex": None, "born_on": None})
    assert (advice["tone"], advice["headline"]["id"]) == ("grey", "Belum dapat dinilai")
    assert "Tanyakan tanggal lahir" in told(advice)
    assert "jenis kelamin" in told(advice)


def test_sign_is_that_of_the_month_when_a_child_was_weighed_twice_on_a_day(modules: Modules) -> None:
    again = {**visit(TODAY, weight_g=9100, **WELL), "source": "staff"}
    assert advised(modules, BEFORE, visit(TODAY, weight_g=8900, **WELL), again)["sign"] == "N"


def test_colour_is_as_urgent_as_the_first_flag_when_timelines_are_random(modules: Modules) -> None:
    found = modules.call(
        """given.map(({child, measurements, today}) => {
          const assessment = assess.assess(tables, child, measurements, today);
          return [assessment.flags, advice.advice(tables, child, assessment, today)];
        })""",
        random_cases(1500, seed=11),
    )
    tones = set()
    for flags, advice in found:
        urgency = flags[0]["urgency"] if flags else 5
        assert (advice["tone"] == "red") == (urgency == 1)
        assert (advice["tone"] == "orange") == (urgency == 2)
        if advice["tone"] == "green":
            assert {flag["rule"] for flag in flags} <= {"birth_date_unknown", "sex_unknown"}
        assert 1 <= len(advice["say"]) <= 9
        assert all(words["id"] and words["en"] for words in [advice["headline"], *advice["say"]])
        tones.add(advice["tone"])
    assert tones == {"red", "orange", "yellow", "green", "grey"}
