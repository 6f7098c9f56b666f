"""`make audit`, a part of `make lint`: is a weakness known in anything that we pin?

It asks the service that pip-audit asks, about every line of deploy/constraints.txt. Not having been able to ask is a
failure, as a weakness is. Where the service cannot be reached at all, deploy/unaudited.toml may say so, why and until when:
then the words NOT AUDITED are printed at every run, and after that day it fails again. Why so: docs/adr/0018.
"""

import json
import subprocess
import sys
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
PINS: Final = ROOT / "deploy" / "constraints.txt"
WAIVER: Final = ROOT / "deploy" / "unaudited.toml"
ASK: Final = (
    *("-m", "pip_audit", "--requirement", str(PINS), "--no-deps", "--disable-pip", "--strict"),
    *("--timeout", "15", "--progress-spinner", "off", "--format", "json"),
)
LONGEST_DAYS: Final = 400


def pinned(text: str) -> set[str]:
    """Give the names of what is pinned, as services write them (PEP 503)."""
    lines = (line for line in text.splitlines() if "==" in line and not line.startswith("#"))
    return {line.partition("==")[0].lower().replace("_", "-").replace(".", "-") for line in lines}


def judge(
    returned: int, told: str, names: set[str], waived_until: date | None, today: date
) -> tuple[int, str]:
    """Say with which status to end, and why.

    Parameters
    ----------
    returned, told : how pip-audit ended, and what it printed as JSON
    names : what has to have been audited
    waived_until : the last day on which not having been able to ask is let pass
    """
    try:
        found: list[dict[str, Any]] = json.loads(told)["dependencies"]
    except (json.JSONDecodeError, KeyError, TypeError):
        found = []
    weak = {f"{one['name']} {one['version']}: {weak['id']}" for one in found for weak in one.get("vulns", ())}
    if weak:
        return 1, "WEAK: " + "; ".join(sorted(weak))
    audited = {one["name"].lower().replace("_", "-").replace(".", "-") for one in found if "vulns" in one}
    missing = names - audited
    if not missing and returned == 0:
        return 0, f"audited {len(audited)} pinned distributions: no known weakness"
    why = f"NOT AUDITED: {len(missing)} of {len(names)} pinned distributions could not be asked about"
    if waived_until is not None and today <= waived_until:
        return 0, f"{why}. Let pass until {waived_until} by {WAIVER.relative_to(ROOT)}, which says why."
    return 1, f"{why}. That is no pass: run it where the service can be reached (docs/adr/0018)."


def waiver(path: Path = WAIVER) -> date | None:
    """Read the last day on which not being able to ask is let pass; None without a waiver.

    Raises
    ------
    ValueError
        where it gives no reason, or lasts longer than a year and a month
    """
    if not path.exists():
        return None
    given = tomllib.loads(path.read_text(encoding="utf-8"))
    since, until, reason = given["since"], given["until"], given["reason"]
    if not str(reason).strip() or not 0 <= (until - since).days <= LONGEST_DAYS:
        raise ValueError(f"{path.name}: give a reason, and at most {LONGEST_DAYS} days")
    last: date = until
    return last


def main() -> int:
    """Ask, and judge."""
    asked = subprocess.run([sys.executable, *ASK], capture_output=True, text=True, check=False, cwd=ROOT)
    names = pinned(PINS.read_text(encoding="utf-8"))
    status, why = judge(asked.returncode, asked.stdout, names, waiver(), datetime.now(UTC).date())
    sys.stderr.write(f"{why}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
