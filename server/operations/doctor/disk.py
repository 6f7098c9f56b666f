"""The disk that the installation lies on: rights and free space."""

import os
import shutil
from pathlib import Path
from typing import Final

from server.config import Settings
from server.operations.doctor.checks import Check, Findings

LEAST_FREE_BYTES: Final = 256 << 20


def check_disk(settings: Settings) -> Check:
    findings = Findings(1)
    file = settings.sqlite_file
    for directory in {settings.data_dir, file.parent if file else settings.data_dir}:
        if not is_writable(directory):
            findings.add(f"{directory}: not writable")
        else:
            # a backup needs as much again, and so does a restore
            needed = max(LEAST_FREE_BYTES, 2 * file.stat().st_size if file and file.exists() else 0)
            free = shutil.disk_usage(directory).free
            if free < needed:
                findings.add(f"{directory}: {free >> 20} MiB free of {needed >> 20} MiB")
    if file and file.exists() and (mode := file.stat().st_mode & 0o777) & 0o077:
        findings.add(f"{file}: mode {mode:04o}")
    return findings.check("place")


def is_writable(directory: Path) -> bool:
    return os.access(directory, os.W_OK | os.X_OK)
