"""A process that writes and syncs until it is killed: `python -m … STORE SAVED`.

Each line on standard input starts a cadre, in a process of its own (forked: starting Python for each would take longer than
it lives); its number is the answer, and "ended" when it is gone. What a cadre was told is saved goes to the file SAVED, one
line after each `write` that returned.
"""

import os
import random
import signal
import sys

from sync_protocol.client import Client, NotReached, Pace, Refused, new_id
from tests.server._district import identity
from tests.sync_protocol.client._hall import KeysByNumber, day, weighed

PACE = Pace(tries=2, first_seconds=0.01, longest_seconds=0.05)


def work(store: str, saved: str, seed: int) -> None:
    """Register and weigh children, and sync now and then, for ever."""
    rng = random.Random(seed)
    told = os.open(saved, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with Client.open(store, keys=KeysByNumber(), pace=PACE) as client:
        while True:
            child, author = new_id(), "kader-contoh"
            written = [
                client.write(
                    client.open_child(child), {"identity": identity(born_on=day(400))}, author=author
                )
            ]
            for ago in range(rng.randint(1, 3)):
                form = client.open_measurement(child, day(ago + 1))
                written.append(client.write(form, weighed(rng.randint(7000, 9000)), author=author))
            for change in written:
                os.write(told, f"{change.dot.counter} {change.hash}\n".encode())
            if rng.random() < 0.5:
                try:
                    client.exchange(at_most=rng.choice((1, 3, 10, 200)))
                except (NotReached, Refused) as trouble:
                    os.write(2, f"{trouble}\n".encode())


def main() -> None:
    """Start a cadre for each line of input."""
    store, saved = sys.argv[1:]
    for seed, _ in enumerate(sys.stdin):
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            work(store, saved, seed)
        os.write(1, f"{pid}\n".encode())
        os.waitpid(pid, 0)
        os.write(1, b"ended\n")


if __name__ == "__main__":
    main()
