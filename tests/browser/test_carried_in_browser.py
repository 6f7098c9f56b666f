"""The client code of docs/carried.md in a real Chromium: WebCrypto seals, the server opens, WebCrypto opens the receipt."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from playwright.sync_api import Browser, Page

from sync_protocol import Receipt
from tests.browser._window import served
from tests.server._district import District

pytestmark = pytest.mark.browser

DOCUMENT = Path(__file__).parents[2] / "docs" / "carried.md"
CARRY = """
async (envelope) => {
  %s
  const { sealing } = await (await fetch("/api/v1/carried")).json();
  const { letter, slip } = await sealBatch(envelope, sealing);
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ letters: [letter] });
  const { answers } = await (await fetch("/api/v1/carried", { method: "POST", headers, body })).json();
  return openReceipt(answers[0], slip);
}
"""


@pytest.fixture
def page(on_sqlite: District, browser: Browser) -> Iterator[Page]:
    """Open a page of the served district in Chromium."""
    with served(on_sqlite) as url:
        opened = browser.new_page()
        opened.goto(f"{url}/healthz")
        yield opened
        opened.close()


def documented() -> str:
    """Give the code of the page, as statements of a function."""
    (code,) = re.findall(r"```js\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    return code.replace("export async", "async")


def test_browser_seals_a_day_of_weighing_and_opens_its_receipt(on_sqlite: District, page: Page) -> None:
    on_sqlite.clock.now = datetime.now(UTC).replace(microsecond=0)
    tablet = on_sqlite.tablet()
    for _ in range(41):
        tablet.measure(tablet.register_child(), on_sqlite.clock.now.date().isoformat(), weight_g=9000)
    (batch,) = tablet.replica.carried_batches(on_sqlite.new_id, on_sqlite.clock.text())
    opened = page.evaluate(CARRY % documented(), orjson.loads(tablet.signed(batch)))
    tablet.replica.receive_carried(Receipt.from_wire(opened), on_sqlite.clock.text())
    assert tablet.outcomes() == ["applied"] * 82
