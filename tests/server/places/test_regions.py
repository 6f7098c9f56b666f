"""The places of Kutai Kartanegara against the published counts, and what the reader of places refuses."""

from collections import Counter

import pytest

from server.places.regions import Region, read_regions, regions

KUKAR = "64.02"
HEADER = "code,parent_code,level,kind,name,posyandu_2024"
PROVINCE = "64,,province,provinsi,Kalimantan Timur,"

# Kepmendagri list: kecamatan -> (desa, kelurahan); posyandu of 2024 from the regency's dataset 234.
PUBLISHED = {
    "Muara Muntai": (13, 0, 31),
    "Loa Kulu": (15, 0, 50),
    "Loa Janan": (8, 0, 64),
    "Anggana": (8, 0, 26),
    "Muara Badak": (13, 0, 55),
    "Tenggarong": (2, 12, 98),
    "Sebulu": (14, 0, 45),
    "Kota Bangun": (11, 0, 28),
    "Kenohan": (9, 0, 21),
    "Kembang Janggut": (11, 0, 20),
    "Muara Kaman": (20, 0, 54),
    "Tabang": (19, 0, 19),
    "Samboja": (3, 10, 47),
    "Muara Jawa": (0, 8, 36),
    "Sanga Sanga": (0, 5, 30),
    "Tenggarong Seberang": (18, 0, 66),
    "Marang Kayu": (11, 0, 34),
    "Muara Wis": (7, 0, 16),
    "Kota Bangun Darat": (10, 0, 32),
    "Samboja Barat": (1, 9, 44),
}


def test_regions_hold_every_place_of_kukar_by_kind() -> None:
    assert Counter(place.kind for place in regions()) == {
        "provinsi": 1,
        "kabupaten": 1,
        "kecamatan": 20,
        "desa": 193,
        "kelurahan": 44,
    }


def test_villages_and_posyandu_of_each_kecamatan_equal_the_published_counts() -> None:
    kinds = Counter((place.parent_code, place.kind) for place in regions() if place.level == "village")
    found = {
        place.name: (kinds[place.code, "desa"], kinds[place.code, "kelurahan"], place.posyandu_2024)
        for place in regions()
        if place.parent_code == KUKAR
    }
    assert found == PUBLISHED


def test_posyandu_of_2024_sum_to_the_regency_and_stand_at_kecamatan_only() -> None:
    assert sum(place.posyandu_2024 or 0 for place in regions()) == 816
    assert {place.level for place in regions() if place.posyandu_2024 is not None} == {"district"}


@pytest.mark.parametrize(
    ("code", "name", "kind"),
    [
        ("64", "Kalimantan Timur", "provinsi"),
        ("64.02", "Kutai Kartanegara", "kabupaten"),
        ("64.02.06.1013", "Loa Ipuh Darat", "kelurahan"),
        ("64.02.12.2019", "Tukung Ritan", "desa"),
        ("64.02.20.2004", "Tani Bhakti", "desa"),
    ],
)
def test_a_code_names_its_place(code: str, name: str, kind: str) -> None:
    assert [(place.name, place.kind) for place in regions() if place.code == code] == [(name, kind)]


def test_codes_are_unique_sorted_and_come_after_their_parent() -> None:
    codes = [place.code for place in regions()]
    assert codes == sorted(set(codes))
    assert all(place.parent_code in codes for place in regions() if place.level != "province")


def test_regions_are_read_once() -> None:
    assert regions() is regions()


def test_read_regions_takes_a_city_and_leaves_an_unknown_count_unknown() -> None:
    city = read_regions([HEADER, PROVINCE, "64.72,64,regency,kota,Samarinda,"])[1]
    assert city == Region("64.72", "64", "regency", "kota", "Samarinda", None)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("64.2,64,regency,kabupaten,Kutai,", "row 3: code '64.2' is not of the form"),
        ("64,,province,provinsi,Kalimantan Timur,", "row 3: code 64 is there already"),
        ("64.02.06,64.02,district,kecamatan,Tenggarong,98", "row 3: parent 64.02 has not come before"),
        ("64.02,64,district,kabupaten,Kutai,", "row 3: level, kind or parent contradict the code 64.02"),
        ("64.02,64,regency,kota,Kutai,", "row 3: level, kind or parent contradict the code 64.02"),
        ("64.02,63,regency,kabupaten,Kutai,", "row 3: level, kind or parent contradict the code 64.02"),
        ("64.02.06.3001,64.02.06,village,desa,X,", "row 3: level, kind or parent contradict"),
        ("64.02,64,regency,kabupaten, ,", "row 3: 64.02 has no name"),
        ("64.02,64,regency,kabupaten,Kutai,some", "row 3: posyandu_2024 'some' is not a whole number"),
        ("64.02,64", "row 3: level, kind or parent contradict the code 64.02"),
    ],
)
def test_read_regions_names_the_row_when_it_is_wrong(row: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_regions([HEADER, PROVINCE, row])


def test_read_regions_names_the_column_when_it_is_missing() -> None:
    with pytest.raises(ValueError, match="row 1: missing column name, posyandu_2024"):
        read_regions(["code,parent_code,level,kind"])
