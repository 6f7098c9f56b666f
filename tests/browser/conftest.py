"""Fixtures of the browser tests: where pictures go."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser._window import pictures_directory

expect.set_options(timeout=60_000)  # a browser among many on a small, busy machine


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give where pictures are kept: the directory that SCREENSHOTS names, else a temporary one."""
    return pictures_directory(tmp_path_factory.mktemp("pictures"))
