"""How much one address may ask of a worker, for what anybody may ask: kept in memory, so that a flood costs no database."""

from collections import OrderedDict
from dataclasses import dataclass, field


@dataclass(slots=True)
class Budget:
    """How much each address may still ask of a worker, refilled steadily.

    Parameters
    ----------
    a_minute : how much it may ask; also the most that can be saved up
    addresses : how many are remembered; the one not heard of longest is forgotten first
    """

    a_minute: int
    addresses: int = 4096
    left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def seconds_to_wait(self, address: str, asked: int, at: float) -> int:
        """Spend a budget, or say how long it takes to have enough (whole seconds; 0 if it was spent).

        Parameters
        ----------
        at : seconds of a clock that does not go back
        """
        left, since = self.left.pop(address, (float(self.a_minute), at))
        left = min(left + (at - since) * self.a_minute / 60, self.a_minute)
        short = asked - left
        self.left[address] = (left if short > 0 else left - asked, at)
        while len(self.left) > self.addresses:
            self.left.popitem(last=False)
        return int(short * 60 / self.a_minute) + 1 if short > 0 else 0
