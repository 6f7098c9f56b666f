"""A page with the sync modules loaded for each module of tests: they keep nothing, so tests may share it."""

import pytest
from playwright.sync_api import Browser

from tests.tablet._modules import Modules


@pytest.fixture(scope="module")
def modules(chromium: Browser) -> Modules:
    return Modules.opened(chromium, "sync")
