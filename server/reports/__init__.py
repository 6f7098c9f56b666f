"""Figures by area and month: SKDN, N/T/O/B, prevalence, services, data quality, aid. Counted by post, added up by area.

    counting (pure)   the figures of some children by post and month, as whole numbers
    loading           the rows that they are counted from
    rollup            which posts must be counted again, their figures, and the sums of areas
    small_number_suppression   which numbers are too small to be shown outside the health service (pure)
    areas, reading    who may see which area, and what a page, a sheet or a report shows of it
    measures          the name of each number, and the shares made of them

Rules kept here:
- **A post is counted again when its stream has advanced** since the last count (`health_post.head_position`). Every write
  about a child advances the stream of its post in the same transaction, so nothing else has to be marked.
- A post is always counted as a whole, from the present records: the order of arrival does not matter, and counting again
  after edits gives the same as counting from nothing. Only rows that differ are written.
- An area's figures are the sums of its posts'. All are whole numbers; shares are made where they are shown.
- A child counts where it belongs **now**: a child that moves takes its past months along, as its measurements do.
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
