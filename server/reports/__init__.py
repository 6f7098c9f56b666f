"""Figures by area and month: SKDN, N/T/O/B, prevalence, services, data quality, aid. Counted by post, added up by area.

    counting (pure)   what there is of some children by post and month, in whole numbers
    loading           the rows that it is counted from
    rollup            which posts must be counted again, their figures, and the sums of areas
    small             which numbers are too small to be told outside the health service (pure)
    areas, reading    who may see which area, and what a page, a sheet or a report shows of it
    measures          what each number is called, and which shares are made of them

Rules kept here:
- **A post has to be counted again when its stream has moved on** since it was counted (`health_post.head_position`). Every
  write about a child moves the stream of its post on in its own transaction, so nothing else has to be marked.
- A post is always counted whole, from the records as they stand: no order of arrival matters, and counting again after any
  edits gives what a count from nothing gives. What is written is what differs.
- An area's figures are the sums of its posts'. Whole numbers throughout; shares are made where they are shown.
- A child counts where it belongs **now**: who moves takes its past months along, as its measurements do.
"""

from server.reports.areas import BELOW, Area, FigureReader, above, area, own_area, parts
from server.reports.reading import Numbers, State, comparison, month, months_there_are, state, total, trend
from server.reports.rollup import KINDS, Refreshed, due_posts, refresh

__all__ = [
    "BELOW",
    "KINDS",
    "Area",
    "FigureReader",
    "Numbers",
    "Refreshed",
    "State",
    "above",
    "area",
    "comparison",
    "due_posts",
    "month",
    "months_there_are",
    "own_area",
    "parts",
    "refresh",
    "state",
    "total",
    "trend",
]
