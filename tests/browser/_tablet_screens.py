"""Every screen of the tablet app by its address, and a child with something on each of them."""

from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect

from tests.browser._tablets import Site, Tablet

SCREENS = {
    "hari-ini": "list",
    "anak/{child}": "child-in-dispute",
    "ubah/{child}": "edit",
    "bantuan-anak/{child}": "aid",
    "baru": "new",
    "ukur/{child}": "form",
    "pindah/{child}/{today}": "move",
    "ubah-tanggal/{today}": "wrong-day",
    "jadwal/{child}": "schedule-of-child",
    "pindai": "scan",
    "hasil/{child}/{today}": "result-of-day",
    "gambar/{child}/{today}": "picture-of-day",
    "belum-datang": "not-come",
    "kunjungan": "visits",
    "rekap": "recap-of-day",
    "pertanyaan": "all-questions",
    "kirim": "send",
    "salinan": "copies-and-letters",
    "lainnya": "more",
    "kader": "cadres",
    "bantuan": "help",
}


def busy_child(site: Site) -> str:
    """Give a child of whom two tablets wrote differently today, and of whom the health centre asks something."""
    (child,) = site.children("Anak Ramai")
    rival = site.district.tablet(0, "Tablet lain")
    rival.sync_until_quiet()
    for fake, weight_g in ((site.hand, 9100), (rival, 9700)):
        fake.measure(child, site.today.isoformat(), weight_g=weight_g)
    site.hand.set_task(child, action="pmt_week", reason="stunted", due_on=site.today.isoformat())
    site.hand.sync_until_quiet()
    rival.sync_until_quiet()
    return child


def put_aside(site: Site, tablet: Tablet, child: str) -> None:
    """Let the server set a measurement aside: the tablet's clock is ahead, and its day has not come."""
    expect(tablet.find("Anak Ramai")).to_be_visible()
    tablet.page.clock.set_fixed_time(datetime.now(UTC) + timedelta(days=2))
    tablet.go(f"ukur/{child}/{site.today + timedelta(days=2)}")
    tablet.type("9,9")
    tablet.save()
    tablet.page.clock.set_fixed_time(datetime.now(UTC))
    tablet.sync()
    expect(tablet.page.locator("nav .count")).to_have_text("3")
