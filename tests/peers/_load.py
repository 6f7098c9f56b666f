"""What is written in the loss test, the same for every system: children and their measurements, from a seed.

A record is written once, by one writer, so that what should be there afterwards is beyond doubt: exactly what was sent.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sync_protocol import Json, measurement_id
from tests.server._district import identity, measured, random_uuid

MEASUREMENTS_PER_CHILD = 24
"""With the child itself a full batch of Kinto's: 25 is the most that its production settings allow."""
OLDEST_DAYS = 400


@dataclass(frozen=True, slots=True)
class Record:
    """One record: a child (`measured_on` None), or a child's measurement of a day. `content` is its registers."""

    id: str
    child_id: str
    measured_on: str | None
    content: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a system said of the records that it was sent, by id: those it took, and of those it refused, why."""

    taken: frozenset[str]
    refused: Mapping[str, str] = field(default_factory=dict)


def records(seed: int) -> Iterator[Record]:
    """Make records without end, each child before its measurements; the same for the same seed on the same day."""
    luck = random.Random(seed)
    today = datetime.now(UTC).date()
    while True:
        child = random_uuid(luck)
        born = today - timedelta(days=luck.randint(OLDEST_DAYS, 2 * OLDEST_DAYS))
        name = "Anak Contoh " + "".join(luck.choices("aiueoklmnrst", k=8))
        registers = {"identity": identity(name=name, sex=luck.choice("MF"), born_on=born.isoformat())}
        yield Record(child, child, None, registers)
        for age_days in luck.sample(range(1, OLDEST_DAYS), MEASUREMENTS_PER_CHILD):
            day = (today - timedelta(days=age_days)).isoformat()
            values = measured(weight_g=luck.randint(6000, 12000), length_mm=luck.randint(650, 850))
            yield Record(measurement_id(child, day, "cadre"), child, day, values)
