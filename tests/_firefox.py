"""The Firefox that a browser test drives: the machine's own.

``python -m tests._firefox`` prints its path, or says what to install and exits with 2 (the Makefile asks this way).
"""

import sys

from tests._chromium import program

__all__ = ["firefox_path"]


def firefox_path() -> str:
    """Give the path of the browser: the program that FIREFOX names, else one on PATH. Raises as `program`."""
    return program("FIREFOX", ("firefox-esr", "firefox"), "firefox-esr")


if __name__ == "__main__":
    try:
        print(firefox_path())
    except RuntimeError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
