"""How quick the tablet app is on a slow tablet, how much room it takes, and what it costs a cadre in bytes.

A real server, a real Chromium with a profile on the disk, a post of 150 children of nearly five years who were measured
every month. Chromium's main thread is slowed down six times (what WebCrypto and the disk do is not), and not at all for
comparison.
Bytes are counted where they pass: by a relay between browser and server, heads included, before TCP and TLS.
"""

import argparse
import os
import shutil
import socket
import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from playwright.sync_api import sync_playwright

from tests.browser._tablets import Tablet, code_for
from tests.faults._running import start, wait_until
from tests.server._district import Databases, District, identity
from tests.server.web._clinic import at

CHILDREN, MONTHS, MONTHS_OF_A_NEW_TABLET, SESSION = 150, 60, 24, 60
SLOWED: Final = 6
ROUNDS: Final = 10
MONTH_DAYS: Final = 30

UNTIL: Final = """
    const until = (selector) => new Promise((resolve) => {
        const look = () => {
            const found = document.querySelector(selector);
            found ? resolve(found) : requestAnimationFrame(look);
        };
        look();
    });
    const painted = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
"""
SHOWN: Final = (
    f"""async (selector) => {{ {UNTIL} await until(selector); await painted(); return performance.now(); }}"""
)
LAST_DIGIT: Final = f"""async () => {{ {UNTIL}
    const digit = [...document.querySelectorAll(".pad button")].find((one) => one.textContent === given);
    const from = performance.now();
    digit.click();
    await until("ul.children > li a");
    await painted();
    return performance.now() - from;
}}"""
SEARCH: Final = f"""async (letter) => {{ {UNTIL}
    const box = await until("input[type=search]");
    const from = performance.now();
    box.value = letter;
    box.dispatchEvent(new Event("input"));
    await painted();
    return performance.now() - from;
}}"""
OPEN: Final = f"""async (hash) => {{ {UNTIL}
    const from = performance.now();
    location.hash = hash;
    await until("main figure svg");
    await painted();
    const took = performance.now() - from;
    location.hash = "#/hari-ini";
    await until("ul.children > li");
    await painted();
    return took;
}}"""
FORM: Final = f"""async (hash) => {{ {UNTIL}
    const from = performance.now();
    location.hash = hash;
    await until("input[name=weight_g]");
    await painted();
    return performance.now() - from;
}}"""
TYPE: Final = f"""async (figures) => {{ {UNTIL}
    const times = [];
    for (const [name, text] of Object.entries(figures)) {{
        const box = document.querySelector(`input[name=${{name}}]`);
        for (let end = 1; end <= text.length; end += 1) {{
            const from = performance.now();
            box.value = text.slice(0, end);
            box.dispatchEvent(new Event("input", {{ bubbles: true }}));
            await painted();
            times.push(performance.now() - from);
        }}
    }}
    return times;
}}"""
SAVE: Final = f"""async () => {{ {UNTIL}
    const from = performance.now();
    document.querySelector("button.save").click();
    await until(".saved");
    await painted();
    const took = performance.now() - from;
    location.hash = "#/hari-ini";
    await until("ul.children > li");
    return took;
}}"""
SCROLL: Final = f"""async () => {{ {UNTIL}
    await until("ul.children > li");
    const frames = [];
    let before = await new Promise(requestAnimationFrame);
    for (let top = 0; top < document.body.scrollHeight - innerHeight; top += 60) {{
        scrollTo(0, top);
        const now = await new Promise(requestAnimationFrame);
        frames.push(now - before);
        before = now;
    }}
    return frames;
}}"""
FRAME_MS: Final = 1000 / 60
END_OF_REQUEST_LINE: Final = b" HTTP/1.1\r\n"


class Relay:
    """Passes bytes on between browser and server, and counts them."""

    def __init__(self, server_port: int) -> None:
        self.up = self.down = self.requests = 0
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @contextmanager
    def listening(self) -> Iterator[None]:
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield
        finally:
            self._listener.close()

    def counted(self) -> str:
        """Tell what passed since the last time."""
        told = f"{self.up / 1024:7.1f} KiB up {self.down / 1024:8.1f} KiB down in {self.requests} requests"
        self.up = self.down = self.requests = 0
        return told

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                browser, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                for source, target, name in ((browser, server, "up"), (server, browser, "down")):
                    threading.Thread(target=self._pass_on, args=(source, target, name), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, name: str) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                setattr(self, name, getattr(self, name) + len(piece))
                self.requests += piece.count(END_OF_REQUEST_LINE)
                target.sendall(piece)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="bench tablet", description=__doc__)
    parser.add_argument("--children", type=int, default=CHILDREN)
    parser.add_argument("--months", type=int, default=MONTHS)
    asked = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="posyandu-bench-"))
    try:
        with District.opened(Databases(directory, None), cookie_secure=False) as district:
            _measure(district, directory, asked.children, asked.months)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _measure(district: District, directory: Path, children: int, months: int) -> None:
    district.clock.now = datetime.now(UTC) - timedelta(minutes=5)
    today = district.hub.settings.today(district.clock.now)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; times in ms")
    _fill(district, 0, children, months, today)
    _fill(district, 1, children, MONTHS_OF_A_NEW_TABLET, today)
    with _serving(district) as port, sync_playwright() as playwright:
        relay = Relay(port)
        with relay.listening():
            one = Tablet(playwright.chromium, relay.url, directory / "one", directory)
            one.switch_on()
            one.page.get_by_label("Kode pendaftaran").wait_for()
            one.page.evaluate("navigator.serviceWorker.ready.then(() => {})")
            print(f"first load of the app:                     {relay.counted()}")
            one.enrol(code_for(district))
            one.page.locator("ul.children > li").first.wait_for(timeout=120_000)
            _quiet(one)
            print(f"first sync, {children} children x {months} months:     {relay.counted()}")
            print(f"on the disk: IndexedDB {_size(one.profile / 'Default' / 'IndexedDB'):.1f} MiB,", end=" ")
            print(f"the app's files {_size(one.profile / 'Default' / 'Service Worker'):.1f} MiB")
            one.switch_off()
            relay.counted()
            for rate in (1, SLOWED):
                print(f"-- CPU slowed {rate} times" if rate > 1 else "-- CPU as it is")
                _walk(one, rate)
            one.switch_on()
            _unlocked(one)
            _quiet(one)
            relay.counted()
            written = _measure_a_session(one, SESSION, today)
            one.set_line(there=True)
            one.page.reload()
            _unlocked(one)
            _quiet(one)
            print(f"a session of {written} children, to its receipts:  {relay.counted()}")
            one.switch_off()
            other = Tablet(playwright.chromium, relay.url, directory / "other", directory)
            other.switch_on()
            other.page.evaluate("navigator.serviceWorker.ready.then(() => {})")
            relay.counted()
            other.enrol(code_for(district, "Tablet 2", post=1))
            other.page.locator("ul.children > li").first.wait_for(timeout=120_000)
            _quiet(other)
            print(f"first sync, {children} children x {MONTHS_OF_A_NEW_TABLET} months:     {relay.counted()}")
            other.switch_off()


@contextmanager
def _serving(district: District) -> Iterator[int]:
    """Run `serve`, and wait for it as long as a busy machine needs."""
    server = start(district.hub.settings)
    try:
        wait_until(lambda: any("Ready at" in line for line in server.lines), "the server is ready", 600)
        yield server.port
    finally:
        server.end()


def _fill(district: District, post: int, children: int, months: int, today: date) -> None:
    """Register children of nearly five years and measure them every month."""
    tablet = district.tablet(post)
    born = today - timedelta(days=MONTH_DAYS * MONTHS + 5)
    for number in range(children):
        sex = "MF"[number % 2]
        name = f"{NAMES[number % len(NAMES)]} {chr(65 + number // len(NAMES))}{number:03d} (contoh)"
        about = identity(name=name, sex=sex, born_on=born.isoformat())
        child = tablet.register_child(identity=about, parents={"mother": f"Ibu {number:03d} (contoh)"})
        for month in range(MONTHS - months, MONTHS):
            day = born + timedelta(days=MONTH_DAYS * month)
            age, z = (day - born).days, (number % 7 - 3) / 3
            tablet.measure(
                child,
                day.isoformat(),
                weight_g=round(at("waz", sex, age, z) * 10) * 100,
                length_mm=round(at("haz", sex, age, z) * 2) * 5,
                position="lying" if age < 730 else "standing",
                muac_mm=140 + number % 20,
            )
        tablet.sync_until_quiet()
        tablet.replica.forget("9999")  # a view looks through all that is kept


NAMES: Final = (
    "Anggrek",
    "Bintang",
    "Cempaka",
    "Dahlia",
    "Embun",
    "Fajar",
    "Gading",
    "Hujan",
    "Intan",
    "Jelita",
)


def _unlocked(tablet: Tablet) -> None:
    tablet.unlock()
    tablet.page.locator("ul.children > li").first.wait_for(timeout=60_000)


def _quiet(tablet: Tablet) -> None:
    """Wait until everything was sent and fetched."""
    tablet.sync()


def _size(directory: Path) -> float:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()) / 2**20


def _walk(tablet: Tablet, rate: int) -> None:
    """Do what a cadre does, and print how long it took."""
    tablet.switch_on(line=False)
    page = tablet.page
    cdp = tablet.context.new_cdp_session(page)
    cdp.send("Emulation.setCPUThrottlingRate", {"rate": rate})
    page.goto("/tablet-app/", wait_until="commit")
    print(f"start, to the PIN:    {page.evaluate(SHOWN, '.pad button'):6.0f}")
    for digit in tablet.pin[:-1]:
        page.locator(".pad").get_by_role("button", name=digit, exact=True).click()
    print(f"PIN to the list:      {page.evaluate(LAST_DIGIT.replace('given', repr(tablet.pin[-1]))):6.0f}")
    _tell("search by a letter", [page.evaluate(SEARCH, letter) for letter in "abcdefghij"])
    _tell("search by two", [page.evaluate(SEARCH, name[:2].lower()) for name in NAMES])
    page.evaluate(SEARCH, "")
    _tell("another list", [page.evaluate(VIEW, name) for name in ("Sudah", "Belum") * 5])
    page.evaluate(VIEW, "Belum")
    frames = page.evaluate(SCROLL)
    late = sum(frame > 1.5 * FRAME_MS for frame in frames)
    print(f"scrolling {len(frames)} frames:  {max(frames):6.0f} the longest, {late} late")
    links = page.evaluate("[...document.querySelectorAll('ul.children a.more')].map((one) => one.hash)")
    _tell("open a child", [page.evaluate(OPEN, link) for link in links[:ROUNDS]])
    first = (rate > 1) * ROUNDS
    forms, keys, saves = [], [], []
    for link in links[first : first + ROUNDS]:
        forms.append(page.evaluate(FORM, link.replace("anak", "ukur")))
        keys += page.evaluate(TYPE, {"weight_g": "16,4", "length_mm": "104,5"})
        saves.append(page.evaluate(SAVE))
    _tell("open the form", forms)
    _tell("a key in the form", keys)
    _tell("save, to 'saved'", saves)
    tablet.switch_off()


VIEW: Final = f"""async (name) => {{ {UNTIL}
    const tab = [...document.querySelectorAll(".tabs button")].find((one) => one.textContent.includes(name));
    const from = performance.now();
    tab.click();
    await painted();
    return performance.now() - from;
}}"""


def _tell(what: str, times: list[float]) -> None:
    print(
        f"{what + ':':<21} {statistics.median(times):6.0f} median, {max(times):6.0f} the longest of {len(times)}"
    )


def _measure_a_session(tablet: Tablet, count: int, today: date) -> int:
    """Write a month's measurements of so many children down, as the app would, without a line."""
    tablet.set_line(there=False)
    return int(tablet.read(WRITE_SESSION.replace("COUNT", str(count)).replace("DAY", f"{today}")))


WRITE_SESSION: Final = """async (tablet) => {
    const ids = tablet.replica.children().slice(-COUNT);
    for (const child of ids) {
        const form = await tablet.replica.open("measurement", { child, measured_on: "DAY", source: "cadre" });
        await tablet.write(form, {
            weight: { weight_g: 16400, oedema: "n" },
            length: { length_mm: 1045, position: "standing" },
            muac: { muac_mm: 152 },
        });
    }
    return ids.length;
}"""


if __name__ == "__main__":
    main()
