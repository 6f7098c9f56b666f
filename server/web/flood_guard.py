"""Rate limits per address and worker for public endpoints, kept in memory so that a flood does not reach the database."""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass, field


@dataclass(slots=True)
class Budget:
    """A token bucket for each address.

    Parameters
    ----------
    a_minute : tokens per minute; also the size of the bucket
    addresses : how many are remembered; the least recently seen is dropped first
    """

    a_minute: int
    addresses: int = 4096
    left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def seconds_to_wait(self, address: str, asked: int, at: float) -> int:
        """Take tokens, or return how long to wait for enough (whole seconds; 0 if they were taken).

        Parameters
        ----------
        at : seconds of a monotonic clock
        """
        left, since = self.left.pop(address, (float(self.a_minute), at))
        left = min(left + (at - since) * self.a_minute / 60, self.a_minute)
        short = asked - left
        self.left[address] = (left if short > 0 else left - asked, at)
        while len(self.left) > self.addresses:
            self.left.popitem(last=False)
        return int(short * 60 / self.a_minute) + 1 if short > 0 else 0


def client_network(address: str) -> str:
    """Return an address as limits count it: for IPv6 the /64 network, which one house has as a whole."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6:
        mapped = parsed.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((parsed, 64), strict=False))
    return address
