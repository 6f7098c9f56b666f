"""What a cadre is shown, what the mother is told and what the cadre has to do: from the assessment, each in its place."""

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


def told(advice: dict[str, Any], whom: str = "say") -> str:
    return " ".join(words["id"] for words in advice[whom])


CADRES_WORK = {
    "Ajak datang, atau kunjungi rumahnya.",
    "Lengkapi jenis kelamin anak.",
    "Periksa angka dan tanggalnya, lalu ukur ulang sebelum anak pulang.",
    "Sampaikan kepada bidan atau petugas puskesmas.",
    "Tanyakan apakah anak sakit atau susah makan.",
    "Tanyakan tanggal lahir; lihat Buku KIA atau akta.",
}
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
            "Berat naiknya kurang bulan ini (T)",
        ),
        (
            [
                visit("2025-11-10", weight_g=8700, length_mm=720, position="lying"),
                visit("2025-12-10", weight_g=8700, length_mm=730, position="lying"),
                visit(TODAY, weight_g=8750, **WELL),
            ],
            "2T",
            "orange",
            "Dua bulan berat naiknya kurang (2T): rujuk ke puskesmas",
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
    assert advice["again"] is True


def test_mother_is_praised_and_told_how_the_child_is_when_it_gains(modules: Modules) -> None:
    advice = advised(modules, BEFORE, visit(TODAY, weight_g=8900, **WELL))
    assert told(advice, "found") == "Beratnya sesuai umur. Tingginya sesuai umur."
    assert told(advice).startswith("Ibu sudah merawat dengan baik")


def test_reason_is_told_first_and_feeding_not_at_all_when_a_child_goes_to_the_health_centre_today(
    modules: Modules,
) -> None:
    advice = advised(modules, visit(TODAY, weight_g=6000, muac_mm=110, **WELL))
    assert told(advice, "found").startswith("Sangat kurus")
    assert "hari ini juga ke puskesmas" in told(advice)
    assert "selingan" not in told(advice)
    assert told(advice, "todo").startswith("Terindikasi gizi buruk (BB/TB < -3 SD).")


def test_catching_up_is_advised_when_a_child_did_not_gain(modules: Modules) -> None:
    advice = advised(modules, BEFORE, visit(TODAY, weight_g=8700, **WELL))
    assert "Tambah satu kali makan" in told(advice)
    assert "Temui bidan" in told(advice)
    assert "Sampaikan kepada bidan" in told(advice, "todo")
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
    assert "Tanyakan tanggal lahir" in told(advice, "todo")
    assert "jenis kelamin" in told(advice, "todo")


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
        assert 1 <= len(advice["say"]) + len(advice["todo"]) <= 12
        assert len(advice["found"]) + len(advice["say"]) <= 9
        texts = [advice["headline"], advice["sentence"], *advice["found"], *advice["say"], *advice["todo"]]
        assert all(words["id"] and words["en"] for words in texts)
        assert not {words["id"] for words in advice["say"]} & CADRES_WORK
        tones.add(advice["tone"])
    assert tones == {"red", "orange", "yellow", "green", "grey"}


SEPTEMBER = visit("2025-11-10", weight_g=8700)
NEWBORN = {"sex": "M", "born_on": "2025-12-20"}


@pytest.mark.parametrize(
    ("visits", "child", "sentence"),
    [
        ([BEFORE, visit(TODAY, weight_g=8870)], GIRL, "Naik 170 g bulan ini, seharusnya 200 g"),
        ([BEFORE, visit(TODAY, weight_g=9000)], GIRL, "Naik 300 g, cukup (minimal 200 g)"),
        ([BEFORE, visit(TODAY, weight_g=9900)], GIRL, "Naik 1.200 g, cukup (minimal 200 g)"),
        ([BEFORE, visit(TODAY, weight_g=8700)], GIRL, "Berat tetap sejak bulan lalu, seharusnya naik 200 g"),
        ([BEFORE, visit(TODAY, weight_g=8550)], GIRL, "Turun 150 g bulan ini, seharusnya naik 200 g"),
        (
            [SEPTEMBER, BEFORE, visit(TODAY, weight_g=8750)],
            GIRL,
            "Naik 50 g bulan ini, seharusnya 200 g. Bulan lalu juga kurang (2T)",
        ),
        ([visit(TODAY, weight_g=8900)], GIRL, "Penimbangan pertama: 8,9 kg. Bulan depan kita lihat naiknya."),
        (
            [SEPTEMBER, visit(TODAY, weight_g=8900)],
            GIRL,
            "Berat 8,9 kg, terakhir 8,7 kg. Bulan lalu tidak ditimbang, jadi naiknya belum bisa dinilai.",
        ),
        (
            [visit(TODAY, weight_g=3600)],
            NEWBORN,
            "Bayi baru lahir ditimbang pertama kali: 3,6 kg. Mulai bulan depan kita lihat naiknya.",
        ),
        (
            [visit("2025-12-21", weight_g=3100), visit(TODAY, weight_g=3600)],
            NEWBORN,
            "Berat 3,6 kg. Umurnya belum satu bulan: mulai bulan depan kita lihat naiknya.",
        ),
        (
            [BEFORE, visit(TODAY, weight_g=8900)],
            {"sex": None, "born_on": "2025-01-10"},
            "Berat 8,9 kg. Naiknya belum bisa dinilai karena tanggal lahir atau jenis kelamin belum diketahui.",
        ),
        ([BEFORE, visit(TODAY, muac_mm=140)], GIRL, "Kali ini tidak ditimbang."),
        (
            [BEFORE, visit(TODAY, weight_g=8900, oedema="2")],
            GIRL,
            "Kedua kaki bengkak, jadi beratnya tidak bisa dinilai.",
        ),
        ([], GIRL, "Belum pernah ditimbang."),
    ],
)
def test_mother_hears_the_grams_gained_and_needed(
    modules: Modules, visits: list[dict[str, Any]], child: dict[str, Any], sentence: str
) -> None:
    assert advised(modules, *visits, child=child)["sentence"]["id"] == sentence


def test_no_praise_stands_beside_a_risk_of_overweight(modules: Modules) -> None:
    plump = visit(TODAY, weight_g=10_000, length_mm=740, position="lying")
    advice = advised(modules, visit("2025-12-10", weight_g=9700), plump)
    assert (advice["sign"], advice["tone"]) == ("N", "yellow")
    assert advice["headline"]["id"] == "Berisiko gizi lebih: perhatikan lagi bulan depan"
    assert "Kurangi minuman manis" in told(advice)
    assert "merawat dengan baik" not in told(advice)
