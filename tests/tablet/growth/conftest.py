"""One Chromium with the growth modules loaded for each module of tests: they keep nothing, so tests may share it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import sync_playwright

from tests._chromium import launch_options
from tests.tablet.growth._modules import Modules


@pytest.fixture(scope="module")
def modules() -> Iterator[Modules]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(**launch_options())
        yield Modules.opened(chromium)
        chromium.close()
