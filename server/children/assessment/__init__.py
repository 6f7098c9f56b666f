"""A child's whole timeline -> z-scores, status, weight gain and flags, saved. Import it from here.

    timeline        the measurements of some children as arrays. Pure
    candidates      combinations of values in conflict. Pure
    queries         what is read from the tables, and rows that are not written yet
    loading         builds the timelines; reads live values from the encrypted states
    scoring         z-scores and monthly weight gain of all candidates. Pure
    absence         whose flag `not_seen` the calendar has changed
    rules           flags about registration, absence and growth. Pure
    quality_rules   flags about data quality and doubtful dates. Pure
    store           compares with the stored rows and collects what differs
    derivation      all of it in order

Rules:

- The whole timeline is derived again; a single row is never patched. What is saved is written only where it differs.
- Each measurement is scored with **every candidate**: each combination of the live values of identity, weight, length, arm
  and head. Where the scores differ, the stored score is None (reason `conflict`) with the candidates beside it, and the
  child is flagged if **any** candidate is beyond a limit.
- Linked children (`same_as`) are one person: one timeline, saved under the canonical id (`person_id`).
- Every assessment carries the version of the rules and a hash of its inputs.
"""

from server.children.assessment.absence import changed_absence
from server.children.assessment.candidates import MOST_CANDIDATES
from server.children.assessment.derivation import Derived, assess, derive, derived
from server.children.assessment.loading import load
from server.children.assessment.quality_rules import oddities
from server.children.assessment.queries import PendingRows, open_pairs
from server.children.assessment.rules import findings, months_back
from server.children.assessment.scoring import Gains, gains, score
from server.children.assessment.store import ENGINE
from server.children.assessment.timeline import INDICES, POSITION, SEX, UNKNOWN, Rows, Timelines

__all__ = [
    "ENGINE",
    "INDICES",
    "MOST_CANDIDATES",
    "POSITION",
    "SEX",
    "UNKNOWN",
    "Derived",
    "Gains",
    "PendingRows",
    "Rows",
    "Timelines",
    "assess",
    "changed_absence",
    "derive",
    "derived",
    "findings",
    "gains",
    "load",
    "months_back",
    "oddities",
    "open_pairs",
    "score",
]
