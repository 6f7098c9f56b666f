"""How often each last digit was written, as geometry: what a template needs to draw one small SVG of ten bars. Pure.

The dashed line is the expected tenth for each digit. All charts have the same scale until a bar is higher than `TALLEST`, so
that charts side by side can be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH, HEIGHT = 330, 168
LEFT, TOP, RIGHT, BOTTOM = 8, 22, 322, 140
GAP: Final = 6
EXPECTED: Final = 0.1
TALLEST: Final = 0.3


@dataclass(frozen=True, slots=True)
class Bar:
    """A digit's bar: its place, the whole per cent above it, and whether it is one of the round digits 0 and 5."""

    digit: int
    x: float
    y: float
    width: float
    height: float
    middle: float
    percent: int
    round: bool


@dataclass(frozen=True, slots=True)
class DigitChart:
    """Ten bars, and the height of the line for the expected tenth."""

    bars: tuple[Bar, ...]
    expected_y: float


def digit_chart(counts: Sequence[int]) -> DigitChart:
    """Draw the last digits.

    Parameters
    ----------
    counts : of the digits 0 to 9, at least one in all
    """
    n = sum(counts)
    shares = [count / n for count in counts]
    tallest = max(TALLEST, *shares)
    step = (RIGHT - LEFT) / 10

    def y(share: float) -> float:
        return round(BOTTOM - share / tallest * (BOTTOM - TOP), 1)

    bars = tuple(
        Bar(
            digit,
            round(LEFT + digit * step + GAP / 2, 1),
            y(share),
            round(step - GAP, 1),
            round(BOTTOM - y(share), 1),
            round(LEFT + (digit + 0.5) * step, 1),
            round(100 * share),
            digit in (0, 5),
        )
        for digit, share in enumerate(shares)
    )
    return DigitChart(bars, y(EXPECTED))
