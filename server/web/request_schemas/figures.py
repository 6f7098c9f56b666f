"""Figures of an area, its files, the Monev report."""

from collections.abc import Mapping
from typing import Final

from server.reports import KINDS
from server.reports.measures import CHARTED
from server.web.request_schemas.parts import WORDS, chosen, count, month, one_of
from server.web.request_schemas.schema import Fields, RequestSchema, Sent

TREND_MONTHS: Final = 24
MOST_MONTHS: Final = 120
PATHS: Final[Mapping[str, str]] = {
    "pos": "post",
    "desa": "village",
    "kecamatan": "subdistrict",
    "kabupaten": "district",
    "puskesmas": "health_centre",
}
"""Kinds of areas, as an address says them."""
FORMS: Final[Mapping[str, str]] = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""Forms of the Monev report."""
CONTENTS: Final = ("wilayah", "bulan")

_COMPARED: Final[Fields] = {"menurut": Sent(one_of(PATHS))}
"""By which kind of area the parts are compared; which fit depends on the area, so the view refuses."""
AREA: Final = RequestSchema({"bulan": month(), "ukuran": chosen(CHARTED, CHARTED[0]), **_COMPARED})
AREA_FILE: Final = RequestSchema(
    {
        "bulan": month(),
        "isi": chosen(CONTENTS, CONTENTS[0]),
        **_COMPARED,
        "jumlah": count(1, MOST_MONTHS, TREND_MONTHS),
    }
)
REPORT: Final = RequestSchema({"dari": month(), "sampai": month(), "bentuk": chosen(FORMS, "pdf")})
COUNT: Final = RequestSchema(form={"area_kind": one_of(PATHS), "area": WORDS})
FIGURES_JSON: Final = RequestSchema(
    {
        "kind": Sent(one_of(KINDS), keeps_empty=True),
        "area": Sent(WORDS, keeps_empty=True),
        "month": month(),
        "months": count(1, MOST_MONTHS, 1),
    }
)
