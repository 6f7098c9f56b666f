"""Sheets of Sigizi/e-PPGBM: `layout` finds the columns, `row_reader` reads rows. `writer` writes such sheets."""

from server.interchange.sigizi.layout import (
    EXPORT,
    IDENTITY,
    MEASUREMENT,
    MPASI,
    PMT,
    Layout,
    find_layout,
    layout_of,
    plain,
)
from server.interchange.sigizi.row_reader import SigiziReader, SigiziRow

__all__ = [
    "EXPORT",
    "IDENTITY",
    "MEASUREMENT",
    "MPASI",
    "PMT",
    "Layout",
    "SigiziReader",
    "SigiziRow",
    "find_layout",
    "layout_of",
    "plain",
]
