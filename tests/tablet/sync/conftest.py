"""A page with the sync modules loaded for all tests: they keep nothing, so tests may share it."""

import pytest
from playwright.sync_api import Browser

from tests.tablet._modules import Modules


@pytest.fixture(scope="session")
def modules(browser: Browser) -> Modules:
    return Modules.opened(browser, "sync")
