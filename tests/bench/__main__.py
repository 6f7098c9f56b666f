"""`make bench`: every timed run, or of: growth, schemas, sync, pages, figures, audit, import, tablet, merge, noon"""

import sys

from tests.bench import (
    bench_audit,
    bench_figures,
    bench_growth,
    bench_import,
    bench_merge,
    bench_noon,
    bench_pages,
    bench_schemas,
    bench_sync,
    bench_tablet,
)

RUNS = {
    "growth": bench_growth.main,
    "schemas": bench_schemas.main,
    "sync": bench_sync.main,
    "pages": bench_pages.main,
    "figures": bench_figures.main,
    "audit": bench_audit.main,
    "import": bench_import.main,
    "tablet": bench_tablet.main,
    "merge": bench_merge.main,
    "noon": bench_noon.main,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in RUNS]
    if unknown:
        print(f"unknown: {' '.join(unknown)}; there are {' '.join(RUNS)}", file=sys.stderr)
        return 2
    for name in names or RUNS:
        print(f"\n== {name}")
        sys.argv = [name]
        RUNS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
