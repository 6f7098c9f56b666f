"""Fixtures of the browser tests: one Chromium for a module, and where its pictures go."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests._chromium import launch_options
from tests.browser._window import pictures_directory

expect.set_options(timeout=20_000)  # a browser among many on a small machine


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(**launch_options())
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give where pictures are kept: the directory that SCREENSHOTS names, else a temporary one."""
    return pictures_directory(tmp_path_factory.mktemp("pictures"))
