"""CSR sheets of a company or an agency, from file to activities: previewed first, then imported, every row accounted for.

Rules kept here:
- A person maps the columns; the mapping is remembered for the company. The file is stored encrypted until it is imported.
  After that every row keeps what it held, encrypted, beside what was read from it and why it was refused.
- Nothing counts twice. A row that repeats another report of the same company (same place, time and menu, and the same sum or
  nearly the same words), or a delivery that is stored here, names what it repeats (`same_as`). A person may say otherwise.
- A row about one child (by NIK) becomes a delivery to the child, which its cadre sees. A name alone is never enough: then a
  person who may decide about children picks the child (`candidates`, `give`).
"""

from server.aid.sheets.beneficiaries import (
    candidates,
    deliver,
    give,
    is_undelivered,
    is_unmatched,
    name_on,
    unmatched,
)
from server.aid.sheets.duplicates import (
    DELIVERY_KNOWN,
    DELIVERY_MADE,
    REPORTED_TWICE,
    is_same,
)
from server.aid.sheets.intake import (
    Look,
    SheetReport,
    bring,
    import_file,
    look,
    mapping,
    take,
)
from server.aid.sheets.listing import (
    find,
    log_viewed,
    rows_of,
    sheets,
)
from server.aid.sheets.storage import (
    file_bound,
    raw_of,
    row_bound,
)

__all__ = [
    "DELIVERY_KNOWN",
    "DELIVERY_MADE",
    "REPORTED_TWICE",
    "Look",
    "SheetReport",
    "bring",
    "candidates",
    "deliver",
    "file_bound",
    "find",
    "give",
    "import_file",
    "is_same",
    "is_undelivered",
    "is_unmatched",
    "log_viewed",
    "look",
    "mapping",
    "name_on",
    "raw_of",
    "row_bound",
    "rows_of",
    "sheets",
    "take",
    "unmatched",
]
