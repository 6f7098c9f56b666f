"""Growth of a child under five: WHO z-scores, Permenkes 2/2020 status, and N/T/O/B. PURE.

Import rule: NumPy and the standard library only; nothing here knows a database, a request or a clock, and the
only files read are the tables packed beside the code. Everything is vectorised: one call scores a whole
batch.
"""

from server.growth.weight_gain import KBM_VERSION

# Kept with every assessment, so that one made by older rules is recognised and made anew.
ENGINE_VERSION = "growth-1 who2006/2007 permenkes2-2020"

__all__ = ["ENGINE_VERSION", "KBM_VERSION"]
