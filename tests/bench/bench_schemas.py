"""How long it takes to check 100 valid weighings: ours, and stock marshmallow with the same schemas."""

import json
from datetime import date
from timeit import repeat
from typing import Any

from schemas import check_change
from schemas.change import SCHEMAS
from sync_protocol import measurement_id

CHANGES = 100
TODAY = date(2026, 6, 30)
TARGET_MS = 3.0


def weighings(count: int) -> list[dict[str, Any]]:
    """Make valid changes, each of another child, as a JSON parser gives them: no value shared."""
    made = []
    for number in range(count):
        child = f"019bf000-0000-7000-8000-{number:012x}"
        key = {"child": child, "measured_on": "2026-05-04", "source": "cadre"}
        made.append(
            {
                "kind": "measurement",
                "id": measurement_id(*key.values()),
                "key": key,
                "context": {"019bf000-0000-7000-8000-00000000000a": [number + 1, "A" * 16]},
                "set": {
                    "weight": {"weight_g": 9000 + number, "oedema": "n"},
                    "length": {"length_mm": 700 + number, "position": "lying"},
                    "muac": {"muac_mm": 140},
                    "services": {"vitamin_a": "blue", "exclusive_breastfeeding": None, "mbg": True},
                },
                "author": "kader.contoh",
                "recorded_at": "2026-05-04T02:15:00Z",
                "nonce": "n" * 22,
                "app": "contoh 0.1",
                "schema": 1,
            }
        )
    changes: list[dict[str, Any]] = json.loads(json.dumps(made))
    return changes


def main() -> None:
    """Print one line: milliseconds for the batch, the best of 20 runs."""
    changes, schema = weighings(CHANGES), SCHEMAS["measurement"]
    if any(check_change(change, today=TODAY) for change in changes):
        raise SystemExit("bench_schemas: the changes are not valid")
    ours = 1000 * min(repeat(lambda: [check_change(c, today=TODAY) for c in changes], number=1, repeat=20))
    stock = 1000 * min(repeat(lambda: [schema.validate(c) for c in changes], number=1, repeat=20))
    print(
        f"schemas: {CHANGES} weighings checked in {ours:.2f} ms (target {TARGET_MS} ms); "
        f"stock marshmallow {stock:.2f} ms, {stock / ours:.1f} times as long"
    )


if __name__ == "__main__":
    main()
