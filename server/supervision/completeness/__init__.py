"""Compares what tablets say they have sent with what the ledger and the tables hold.

    load (queries) -> counts (pure: counting and comparing) -> report_text (rows, JSON, text)

    counters   changes announced by a tablet, held here, missing; by outcome, which must add up
    days       "41 weighed, 41 stored": measurements that tablets say they made, against distinct records held and live

Rules kept here:
- Reads only, and shows no child: numbers, posts and tablets.
- Outcomes are counted in the ledger and compared, batch by batch, with those in the receipts: the two must agree.
- Two tablets that measured one child on one day made one measurement: records are counted, not what tablets say.
- An enrolment that was closed is not missing anything once its successor has synced: what the old one had not sent, the
  new one numbers again as its own.
"""

from server.supervision.completeness.counts import (
    CompletenessReport,
    Counters,
    DayCounts,
    PostLine,
    Records,
    TabletLine,
    counted,
    month_of,
    period,
)
from server.supervision.completeness.load import completeness
from server.supervision.completeness.report_text import COLUMNS, LEVELS, rows_of, text_of, wire

__all__ = [
    "COLUMNS",
    "LEVELS",
    "CompletenessReport",
    "Counters",
    "DayCounts",
    "PostLine",
    "Records",
    "TabletLine",
    "completeness",
    "counted",
    "month_of",
    "period",
    "rows_of",
    "text_of",
    "wire",
]
