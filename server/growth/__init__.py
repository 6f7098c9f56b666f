"""Growth of a child under five: WHO z-scores, Permenkes 2/2020 status, and N/T/O/B. PURE.

    zscores             WHO z-scores from weight, length, head and arm
    lms                 the WHO tables that they are read from
    status              the class of a score, arm circumference classes, the lines of the KMS
    weight_gain         N, T, O, B and 2T
    growth_limits       the most that a length or a head grows between two visits
    measuring_quality   how well a post measures: digits, dates, spread, copying

Imports NumPy and the standard library only: no database, no request, no clock. The only files read are the tables
beside the code. Everything is vectorised: one call scores a whole batch.
"""

from server.growth.weight_gain import KBM_VERSION

# Stored with every assessment: one made with other rules is recognised and computed again.
ENGINE_VERSION = "growth-1 who2006/2007 permenkes2-2020"

__all__ = ["ENGINE_VERSION", "KBM_VERSION"]
