"""The Chromium that the browser tests drive: the machine's own; playwright downloads nothing.

``python -m tests._chromium`` prints its path, or says what to install and exits with 2 (the Makefile asks
this way).
"""

import os
import shutil
import sys
from collections.abc import Iterable
from typing import TypedDict

__all__ = ["LaunchOptions", "chromium_path", "launch_options", "program"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# --no-sandbox: Chromium's sandbox refuses root and many containers; the tests open only pages of our own
# server. The others keep it from talking to anyone else, and from a /dev/shm that containers make too small.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-dev-shm-usage",
)


class LaunchOptions(TypedDict):
    """What ``playwright.chromium.launch`` is given, as keywords."""

    executable_path: str
    args: list[str]


def chromium_path() -> str:
    """Give the path of the browser: the program that CHROMIUM names, else the first of NAMES on PATH.

    Raises
    ------
    RuntimeError
        when there is none, or CHROMIUM names something that cannot be run; the message says what to install
    """
    return program("CHROMIUM", NAMES, "chromium")


def program(variable: str, names: Iterable[str], package: str) -> str:
    """Give the path of the program that an environment variable names, else of the first of some names on PATH.

    Raises
    ------
    RuntimeError
        There is none, or the variable names something that cannot be run; the message says which package to install.
    """
    wanted = os.environ.get(variable)
    for name in (wanted,) if wanted else names:
        if found := shutil.which(name):
            return found
    what = f"{variable}={wanted} cannot be run" if wanted else f"no {variable.title()}"
    raise RuntimeError(f"{what}: install it (Debian: apt-get install {package}) or name it in {variable}")


def launch_options() -> LaunchOptions:
    """Give the keywords for ``playwright.chromium.launch(**launch_options())``; raises as that does."""
    return {"executable_path": chromium_path(), "args": list(ARGUMENTS)}


if __name__ == "__main__":
    try:
        print(chromium_path())
    except RuntimeError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
