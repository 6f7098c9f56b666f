"""The repository's own files, for the tests that read them."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def ours() -> list[Path]:
    """List the files of the project: what git tracks or would; in an unpacked archive all but dot-files."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [path for name in listed.stdout.split("\0") if (path := ROOT / name).is_file()]
    kept = (path for path in ROOT.iterdir() if path.name == ".ci" or not path.name.startswith("."))
    return [path for top in kept for path in (top, *top.rglob("*")) if path.is_file()]
