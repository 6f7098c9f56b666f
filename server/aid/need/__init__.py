"""Who needs aid and has none, where aid overlaps, and which commitment could cover which gap. A person decides.

Rules kept here:
- Aid is needed by whoever is flagged now as stunted, wasted (also by MUAC or oedema) or 2T, or whose family is at risk
  (KRS). A person counts once, under the gravest reason; linked records are one person.
- Aid counts while it lasts: until `ends_on`; without one, for 30 days from the day it was given, or without end if it was
  built (a latrine, water, a house). Aid promised but not delivered yet is shown separately. Aid found "not received" does
  not count.
- Proposals go by need, then place, then menu: those in greatest need first; for each the commitment for the smallest
  region that contains the child; of those the one whose menu helps that need best; then the one that began first. So a
  commitment for one village is not used up elsewhere. The search is greedy on purpose: each step can be explained in a
  sentence.
- A proposal is for a commitment, a village and a need, with the number of children it reaches. Assigning it writes promised
  deliveries for exactly the children it counted; only the health service and the cadres see who they are.
"""

from server.aid.need.children_in_need import (
    NEED_OF,
)
from server.aid.need.coverage import (
    BUILT,
)
from server.aid.need.model import (
    NeedSummary,
    Proposal,
    Twice,
    Village,
)
from server.aid.need.summary import (
    assign,
    log_viewed,
    months_on,
    standing,
)

__all__ = [
    "BUILT",
    "NEED_OF",
    "NeedSummary",
    "Proposal",
    "Twice",
    "Village",
    "assign",
    "log_viewed",
    "months_on",
    "standing",
]
