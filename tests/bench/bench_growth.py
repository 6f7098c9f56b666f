"""How fast children are scored: ``python -m tests.bench.bench_growth [--rows N]``.

Prints one table. Everything runs in one thread (the engine uses no linear algebra, so no threaded library is
in play). The per-row loop is the same rules in plain Python (``tests/server/growth/plain_zscores.py``), run on a
subset because it is slow; its answers are asserted equal to the engine's. Compare figures of one run only.
Linux only.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from server.growth.weight_gain import weight_gain
from server.growth.zscores import INDICATORS, IndicatorName, zscores
from tests.server.growth.golden import golden
from tests.server.growth.plain_zscores import plain_zscores

FOUR: tuple[IndicatorName, ...] = ("haz", "waz", "whz", "baz")
LOOP_ROWS = 20_000

Columns = dict[str, Any]


def plausible_children(rows: int, seed: int = 1) -> Columns:
    """Draw children with replacement from the plausible golden cases: all ages and both sexes."""
    cases = golden()
    usual = np.isin(cases.case, ["grid", "random"]) & ~np.isnan(cases.inputs["age_days"])
    complete = usual & ~np.isnan(cases.inputs["weight_kg"]) & ~np.isnan(cases.inputs["lenhei_cm"])
    drawn = np.random.default_rng(seed).choice(np.flatnonzero(complete), rows)
    return {
        name: column
        for name, column in cases.rows(drawn).items()
        if name not in ("age_months", "headc_cm", "armc_cm")
    }


def best_seconds(run: Callable[[], object], times: int) -> float:
    """Return the fastest of several runs: the one least disturbed by the rest of the machine."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def bench_million(rows: int) -> str:
    children = plausible_children(rows)
    seconds = best_seconds(lambda: zscores(**children, indicators=FOUR), 5)
    return f"{rows / seconds:,.0f} children/s ({seconds:.3f} s)"


def bench_batch() -> str:
    children = plausible_children(200)
    seconds = best_seconds(lambda: zscores(**children, indicators=FOUR), 200)
    return f"{seconds * 1e3:.3f} ms"


def bench_loop() -> str:
    children = plausible_children(LOOP_ROWS)
    rows = [
        dict(zip(("sex", "age_days", "weight_kg", "lenhei_cm", "position", "oedema"), row, strict=True))
        for row in zip(
            *(
                children[name].tolist()
                for name in ("sex", "age_days", "weight_kg", "lenhei_cm", "position", "oedema")
            ),
            strict=True,
        )
    ]
    plain_zscores(**rows[0])  # reads its tables
    start = time.perf_counter()
    found = [plain_zscores(**row) for row in rows]
    seconds = time.perf_counter() - start
    scores = zscores(**children, indicators=FOUR)
    for name in FOUR:
        column = np.array([np.nan if row[name] is None else row[name] for row in found], dtype=np.float64)
        if not np.array_equal(column, getattr(scores, name).z, equal_nan=True):
            raise AssertionError(f"the loop and the engine disagree on {name}")
    return f"{LOOP_ROWS / seconds:,.0f} children/s (on {LOOP_ROWS:,}; answers equal)"


def bench_weight_gain() -> str:
    random = np.random.default_rng(1)
    child = np.repeat(np.arange(100), 24)
    born_on = (np.datetime64("2023-01-01") + random.integers(0, 365, 100)).repeat(24)
    measured_on = born_on + np.tile(np.arange(24) * 30, 100) + random.integers(0, 9, 2400)
    weight_g = np.tile(3_000 + np.arange(24) * 350, 100) + random.integers(-300, 300, 2400)
    seconds = best_seconds(lambda: weight_gain(child, born_on, 1, measured_on, weight_g), 200)
    return f"{seconds * 1e3:.3f} ms"


def bench_csv(rows: int) -> str:
    """Time the whole file in a process of its own, so that its peak memory is its own."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.csv"), Path(folder, "out.csv")
        write_children(source, rows)
        command = [sys.executable, "-m", "tests.bench.bench_growth", "--score", str(source), str(target)]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        with target.open("rb") as file:
            lines = sum(1 for _ in file)
    if lines != rows + 1:
        raise AssertionError(f"{lines} lines for {rows} rows")
    return result.stdout.strip()


def write_children(path: Path, rows: int) -> None:
    columns = ("sex", "age", "weight", "lenhei", "measure", "headc", "armc", "oedema")
    children = plausible_children(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("id", *columns))
        writer.writerows(
            zip(
                range(rows),
                children["sex"].tolist(),
                children["age_days"].astype(int).tolist(),
                children["weight_kg"].tolist(),
                children["lenhei_cm"].tolist(),
                np.array(["", "l", "h"])[children["position"]].tolist(),
                [45.5] * rows,
                [14.5] * rows,
                np.where(children["oedema"], "y", "n").tolist(),
                strict=True,
            )
        )


def score_file(source: str, target: str) -> None:
    """Score one file and print rows a second and the peak memory of this process."""
    from server.interchange.score_csv import score_csv

    start = time.perf_counter()
    with Path(source).open("rb") as reads, Path(target).open("wb") as writes:
        summary = score_csv(reads, writes, errors=print)
    seconds = time.perf_counter() - start
    # Not getrusage: its peak survives exec, and would be that of the bench that started this process.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak_mib = int(status.split("VmHWM:")[1].split()[0]) / 1024
    print(f"{summary.scored / seconds:,.0f} rows/s ({seconds:.1f} s, peak {peak_mib:.0f} MiB)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument(
        "--score", nargs=2, metavar=("IN", "OUT"), help="score one file and print its figures"
    )
    arguments = parser.parse_args()
    if arguments.score:
        score_file(*arguments.score)
        return
    rows = arguments.rows
    print(f"| z-scores, NumPy {np.__version__}, one thread | |\n|---|---|")
    for title, bench in (
        (f"{rows:,} children, 4 indicators", lambda: bench_million(rows)),
        ("batch of 200, 4 indicators", bench_batch),
        ("the same rules, one child at a time in plain Python", bench_loop),
        ("N/T/O/B of 100 children, 2,400 weighings", bench_weight_gain),
        (f"CSV of {rows:,} rows, {len(INDICATORS)} indicators, file to file", lambda: bench_csv(rows)),
    ):
        print(f"| {title} | {bench()} |", flush=True)


if __name__ == "__main__":
    main()
