"""One target under libFuzzer (atheris), which keeps what reaches new source: `python -m tests.fuzz._guided TARGET …`.

Needs the extra `fuzz`; `make fuzz ARGS='--bytes'` starts one of these for each target. What follows the target's name goes
to libFuzzer (`-runs`, `-max_total_time`, `-seed`, …). A defect, a case of more than SECONDS or more memory than MIB ends it
with a status that is not 0 and leaves the case in a file; given that file after the name, it takes that case alone.
"""

import atexit
import random
import sys
import tempfile
from pathlib import Path
from typing import Final

import atheris

SEEN: Final = (
    *(
        "server.decompression",
        "server.sync",
        "server.crypto.sealed_batch",
    ),
    *(
        "server.interchange.sheets",
        "server.interchange.sigizi",
        "server.interchange.cells",
        "server.aid.csr_parser",
    ),
    *("schemas.batch", "schemas.change", "schemas.fast", "schemas.strict", "sync_protocol"),
)
"""Whose branches are counted. All of our source would take minutes to prepare, and cases would take thrice as long."""
SECONDS: Final = 120
MIB: Final = 2048

with atheris.instrument_imports(include=list(SEEN)):
    from tests._memory import quick_directory
    from tests.fuzz._bytes import MOST_BYTES, PURE, another
    from tests.fuzz._served import SERVED
    from tests.server._district import Databases


def main(name: str, *arguments: str) -> None:
    """Fuzz one target until libFuzzer has had enough."""
    with quick_directory() as home, tempfile.TemporaryDirectory(prefix="posyandu-seeds-") as seeds:
        target = PURE[name]() if name in PURE else SERVED[name](Databases(home, None))
        for number, case in enumerate(target.seeds()):
            (Path(seeds) / f"{number:03}").write_bytes(case)

        def altered(case: bytes, most: int, seed: int) -> bytes:
            rng = random.Random(seed)
            if rng.random() < 0.5:
                return bytes(atheris.Mutate(case, most))
            return another(rng, bytes(case), target)[:most]

        def take(case: bytes) -> None:
            target.take(case)

        atexit.register(target.close)
        limits = [
            f"-max_len={MOST_BYTES}",
            f"-timeout={SECONDS}",
            f"-rss_limit_mb={MIB}",
            "-print_final_stats=1",
        ]
        corpus = [] if any(not one.startswith("-") for one in arguments) else [seeds]
        atheris.Setup([sys.argv[0], *limits, *arguments, *corpus], take, custom_mutator=altered)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
