"""A child's record and everything derived from it.

    ledger            how records are stored, and how they are encrypted
    linked_records    which records are one child (`same_as`), and which id is the canonical one
    name_similarity   whether two registrations may be one child. Pure
    assessment        a child's whole timeline -> z-scores, status, weight gain, flags
    flags             every reason to look at a child again: rule, urgency, text
    review_queue      the rows of the review queue, derived from flags and follow-ups

Imports `growth`, the database, keys and the protocol. `sync` writes through it, `review` and `reports` read.
"""
