"""Checks an installation and names the remedy of each problem: from the disk to every stored state.

Hides how each thing is checked, in what order, and how much of it is in memory at a time (never all children).

Rules kept here:
- Reads only. Each check reads one snapshot (the long ones one for every few hundred children), so that concurrent writes
  are never reported as damage.
- A check comes after those that it rests on; when one of these fails, the rest is not run.
- What is found is named by ids and codes, never by personal data.
"""

from server.operations.doctor.checks import Check, as_json, as_line
from server.operations.doctor.examination import examine
from server.operations.doctor.messages import WORDS
from server.operations.doctor.service import ADJTIMEX_BYTES

__all__ = ["ADJTIMEX_BYTES", "WORDS", "Check", "as_json", "as_line", "examine"]
