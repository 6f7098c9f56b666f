"""A tablet in cadres' hands, for the stories of the tablet app: a Chromium with a profile of its own, so that what was saved
survives a killed browser, and a line that can be cut.

Hides how Chromium is started, killed and found among the processes, what the screens' controls are called, and how what
lies in the browser's database is read: by the app's own modules, in a second opening of it, so it is what is on the disk.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from flask import Flask
from playwright.sync_api import Browser, BrowserContext, BrowserType, ConsoleMessage, Locator, Page, expect

from server import accounts
from server.app import create_app
from tests._chromium import launch_options
from tests._time_zone import QUIET_ZONE
from tests.browser._window import look_at, served
from tests.faults._running import command_of, descendants, is_alive, kill_all, wait_until
from tests.server._district import Databases, District, FakeTablet
from tests.server.web._posts import measured

APP: Final = "/tablet-app/"
HAND, DESK = (360, 740), (1280, 800)
PATIENCE_MS: Final = 60_000
"""How long a tap may take: the machine may be slow and busy."""
CADRE, PIN = "Bu Kader Contoh", "274951"
TELL_OF_POLICY: Final = """addEventListener("securitypolicyviolation", (event) =>
    console.error("policy", event.violatedDirective, event.blockedURI, event.sample));"""
SLOW_DEVICE: Final = """const now = performance.now.bind(performance);
    performance.now = () => (new Error().stack.split("\\n")[2].includes("/vault.js") ? 100 : 1) * now();"""
"""What stretching a PIN costs, as a slow device finds it: the PIN gets the fewest rounds, and no unlocking takes half a
second. For calls from the vault itself: by this clock Playwright's own goes on."""
TICKED_SECONDS: Final = 30
SEND: Final = re.compile("Kirim sekarang|Coba sekarang")
"""The button that sends; the second while the app waits to try again."""
NO_LINE: Final = "Failed to load resource"
OPENED: Final = """
    const {{ Device }} = await import("/tablet-app/store/device.js");
    const device = await Device.open();
    const {{ author }} = device.cadres.find((one) => one.name === cadre);
    const tablet = await device.unlock(author, pin);
    try {{ return await ({})(tablet); }} finally {{ device.database.close(); }}
"""
ENROLMENT: Final = """async () => {
    const { Device } = await import("/tablet-app/store/device.js");
    const device = await Device.open();
    device.database.close();
    return device.facts.tablet?.tablet || "";
}"""
SHOWN: Final = """({ replica }) => {
    const found = {};
    for (const id of replica.children()) {
        const { state, measurements, follow_ups, deliveries } = replica.child(id);
        found[id] = { child: state, measurements, follow_ups, deliveries };
    }
    return found;
}"""
NEWEST_DRAFT: Final = """async (tablet) => {
    const names = (await tablet.device.database.all("desk")).map(([name]) => name);
    const drafts = await Promise.all(names.filter((name) => name.startsWith("draft/")).map((name) => tablet.draft(name)));
    return drafts.sort((one, other) => (one.at < other.at ? -1 : 1)).pop()?.value;
}"""
RAW: Final = """async () => {
    const text = (held) => JSON.stringify(held, (_, value) =>
        value instanceof ArrayBuffer || ArrayBuffer.isView(value) ? new TextDecoder("latin1").decode(value) : value);
    const { Database, STORES } = await import("/tablet-app/store/database.js");
    const database = await Database.open("posyandu");
    const all = async (store) => [store, (await database.all(store)).map(text)];
    const found = Object.fromEntries(await Promise.all(STORES.map(all)));
    database.close();
    return found;
}"""
CACHED: Final = """async () => Promise.all((await caches.keys()).map(async (name) => {
    const cache = await caches.open(name);
    return Promise.all((await cache.keys()).map(async (one) => [one.url, await (await cache.match(one)).text()]));
}))"""


@dataclass
class Tablet:
    """A tablet: its browser, and what is done with it. `complaints`: what its console says of errors and of policy."""

    chromium: BrowserType
    url: str
    profile: Path
    pictures: Path
    cadre: str = CADRE
    pin: str = PIN
    complaints: list[str] = field(default_factory=list)
    arguments: Sequence[str] = ()
    """Of Chromium, beside those of every browser of the tests: a camera."""

    context: BrowserContext = field(init=False)
    page: Page = field(init=False)

    @classmethod
    @contextmanager
    def opened(
        cls, chromium: BrowserType, url: str, profile: Path, pictures: Path, arguments: Sequence[str] = ()
    ) -> Iterator["Tablet"]:
        """Give a new tablet, switched on."""
        tablet = cls(chromium, url, profile, pictures, arguments=arguments)
        with tablet.on():
            yield tablet

    # -- the device -----------------------------------------------------------------------------------

    @contextmanager
    def on(self) -> Iterator[None]:
        """Switch it on, and off again; nothing but a missing line may then stand in its console."""
        self.switch_on()
        try:
            yield
        finally:
            self.context.close()
        assert self.complaints == [], self.complaints

    def switch_on(self, *, line: bool = True) -> None:
        """Start the browser with what its profile holds, with or without a line, and open the app."""
        self.start(line=line)
        self.page.goto(APP)
        self.wait_for_app()

    def start(self, *, line: bool = True) -> None:
        """Start the browser without opening anything."""
        width, height = HAND
        options = launch_options()
        options["args"] += self.arguments
        self.context = self.chromium.launch_persistent_context(
            self.profile,
            base_url=self.url,
            viewport={"width": width, "height": height},
            has_touch=True,
            offline=not line,
            timezone_id=QUIET_ZONE,
            locale="id-ID",
            **options,
        )
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.add_init_script(TELL_OF_POLICY)
        self.context.add_init_script(SLOW_DEVICE)
        self.page = self.context.pages[0]
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def wait_for_app(self) -> None:
        """Wait until the screen of the first visit has given way to the app."""
        expect(self.page.locator("#first-load")).to_have_count(0)
        self.page.wait_for_load_state()

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(NO_LINE):
            self.complaints.append(message.text)

    def switch_off(self) -> None:
        """Close the browser as one does in peace."""
        self.context.close()

    def processes(self) -> list[int]:
        """Find the browser's processes."""
        named = f"--user-data-dir={self.profile}"
        main = [pid for pid in descendants(os.getpid()) if named in command_of(pid)]
        assert main
        return sorted({one for pid in main for one in (pid, *descendants(pid))})

    def kill(self, found: list[int] | None = None) -> float:
        """Kill every process of the browser at once: a flat battery. `found` before: then it is done at once. Give when."""
        pids = found or self.processes()
        with self.context.expect_event("close"):
            kill_all(pids)
            at = time.monotonic()
        wait_until(lambda: not any(map(is_alive, pids)), "a killed browser is gone")
        return at

    def copied(self, profile: Path) -> "Tablet":
        """Give another tablet with a copy of this one's profile; this one must be switched off."""
        shutil.copytree(self.profile, profile, ignore=shutil.ignore_patterns("Singleton*"))
        return Tablet(self.chromium, self.url, profile, self.pictures, self.cadre, self.pin)

    def forget_storage(self) -> None:
        """Let the browser take everything that it keeps for the app, as it does when the device is full."""
        what = {"origin": self.url, "storageTypes": "all"}
        self.context.new_cdp_session(self.page).send("Storage.clearDataForOrigin", what)

    def set_room(self, quota_bytes: int | None) -> None:
        """Let the browser grant the app so much; None: what it usually does."""
        what = {"origin": self.url} | ({} if quota_bytes is None else {"quotaSize": quota_bytes})
        self.context.new_cdp_session(self.page).send("Storage.overrideQuotaForOrigin", what)

    def stop_clock(self) -> None:
        """Load the app anew, under a clock that `pass_time` moves, its timers too; real time still passes.

        The app does not run while the clock is put in: for a moment that shows 1970, and a contact noted then would be
        taken for one of long ago, at which a tablet wipes itself.
        """
        self.page.goto("about:blank")
        self.page.clock.install()
        self.page.goto(APP)
        self.wait_for_app()

    def pass_time(self, *, seconds: int) -> None:
        """Let time pass: at once, and the last seconds timer by timer; all of it so would take half a minute."""
        self.page.clock.fast_forward((seconds - TICKED_SECONDS) * 1000)
        self.page.clock.run_for(TICKED_SECONDS * 1000)

    def forgive(self, told: str) -> None:
        """Take back what the console said of something that was asked for."""
        self.complaints[:] = [complaint for complaint in self.complaints if told not in complaint]

    def set_line(self, *, there: bool) -> None:
        self.context.set_offline(not there)

    def make_slow(self, bytes_a_second: int, latency_ms: int) -> None:
        """Let the line be as slow as a phone's upriver, from now on until the browser is started again."""
        how = {"offline": False, "latency": latency_ms}
        rates = {"downloadThroughput": bytes_a_second, "uploadThroughput": bytes_a_second}
        self.context.new_cdp_session(self.page).send("Network.emulateNetworkConditions", {**how, **rates})

    def set_text_size(self, percent: int) -> None:
        """Show all text larger, as a reader who sets that in the browser."""
        size = "(percent) => { document.documentElement.style.fontSize = `${percent * 1.06}%`; }"
        self.page.evaluate(size, percent)

    def record_texts(self) -> None:
        """Keep every text that the screen shows from now on, however briefly, until the page is loaded again."""
        self.page.evaluate(
            """() => {
                const note = () => window.textsShown.push(document.body.innerText);
                window.textsShown = [];
                new MutationObserver(note).observe(document.body, {childList: true, characterData: true, subtree: true});
            }"""
        )

    def has_shown(self, pattern: str) -> bool:
        """Say whether a text was shown since `record_texts`."""
        return any(re.search(pattern, text) for text in self.page.evaluate("window.textsShown"))

    # -- before a PIN ---------------------------------------------------------------------------------

    def enrol(self, code: str) -> None:
        """Enrol with the health centre's code, and let the first cadre in."""
        self.page.get_by_label("Kode pendaftaran").fill(code)
        self.page.get_by_role("button", name="Daftarkan tablet ini").click()
        self.let_in_first_cadre()

    def enrol_by_link(self, code: str) -> None:
        """Do what scanning the QR code does."""
        self.page.goto(f"{APP}daftar#{code}")
        self.page.get_by_role("button", name="Daftarkan tablet ini").click()
        self.let_in_first_cadre()

    def let_in_first_cadre(self) -> None:
        self.page.get_by_label("Nama Anda").fill(self.cadre)
        self.page.get_by_label("PIN", exact=True).fill(self.pin)
        self.page.get_by_label("PIN sekali lagi").fill(self.pin)
        self.page.get_by_role("button", name="Mulai").click()
        self.expect_title("Hari ini")

    def unlock(self, cadre: str | None = None, pin: str | None = None) -> None:
        """Pick a name, where there are several, and type a PIN."""
        name = cadre or self.cadre
        who = self.page.get_by_role("button", name=name, exact=True)
        expect(who.or_(self.page.locator(".who", has_text=name))).to_be_visible()
        if who.is_visible():
            who.click()
        for digit in pin or self.pin:
            self.page.locator(".pad").get_by_role("button", name=digit, exact=True).click()

    def lock(self) -> None:
        self.go("lainnya")
        self.page.get_by_role("button", name="Kunci tablet").click()
        expect(self.page.locator(".unlock")).to_be_visible()

    # -- the screens ----------------------------------------------------------------------------------

    def go(self, screen: str) -> None:
        """Go to a screen by its address, without loading the app anew."""
        self.page.evaluate("(hash) => { location.hash = hash; }", f"#/{screen}")

    def expect_title(self, title: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(title)

    @property
    def badge(self) -> Locator:
        return self.page.locator("header .badge")

    def find(self, name: str) -> Locator:
        """Search the day's list for a child; give its row."""
        if "hari-ini" not in self.page.url:
            self.go("hari-ini")
        self.page.get_by_role("searchbox").fill(name)
        return self.page.locator("ul.children > li").filter(has=self.page.get_by_text(name, exact=True))

    def attend(self, name: str) -> None:
        """Tap the mark before a name: the child comes, or goes again."""
        self.find(name).locator(".mark").click()
        self.page.get_by_role("searchbox").fill("")

    def open(self, name: str) -> None:
        """Open a child's own page from the list."""
        self.find(name).get_by_role("link", name=f"Lihat {name}").click()
        self.expect_title(name)

    def begin(self, name: str) -> None:
        """Open a child's form for the day."""
        self.find(name).locator("a").first.click()
        self.expect_title(name)

    def correct(self, name: str) -> None:
        """Open the form of the day again, of a child that was measured."""
        self.open(name)
        self.page.get_by_role("link", name="Ukur", exact=True).click()
        expect(self.page.get_by_text("Sudah diukur pada")).to_be_visible()

    def type(self, weight: str, length: str | None = None, **others: str) -> None:
        """Type figures into the open form, as a keyboard would; `muac_mm` and `head_mm` by their names."""
        figures = {"weight_g": weight, **({"length_mm": length} if length else {}), **others}
        for name, text in figures.items():
            self.page.locator(f"input[name={name}]").fill(text)

    def tap(self, field: str, keys: str) -> None:
        """Type a figure with the number pad."""
        self.page.locator(f"input[name={field}]").focus()
        for key in keys:
            name = {",": "Koma", "⌫": "Hapus angka"}.get(key, key)
            self.page.locator(".pad").get_by_role("button", name=name, exact=True).click()

    def save(self) -> None:
        """Save the open form, and see that it says so."""
        self.page.get_by_role("button", name="Simpan", exact=True).click()
        expect(self.page.locator(".saved")).to_have_text("✓ Tersimpan di tablet ini")

    def measure(self, name: str, weight: str, length: str | None = None, **others: str) -> None:
        self.begin(name)
        self.type(weight, length, **others)
        self.save()

    def add_child(self, name: str, born_on: str, *, boy: bool, mother: str) -> None:
        """Write a new child down; leaves its form for the day open."""
        self.go("baru")
        self.page.get_by_label("Nama anak").fill(name)
        self.page.get_by_role("button", name="Laki-laki" if boy else "Perempuan").click()
        self.page.get_by_label("Tanggal lahir").fill(born_on)
        self.page.get_by_label("Nama ibu").fill(mother)
        self.page.get_by_role("button", name="Simpan, lalu ukur").click()
        self.expect_title(name)

    def add_cadre(self, name: str, pin: str) -> None:
        self.go("kader")
        self.page.get_by_label("Nama kader").fill(name)
        self.page.get_by_label("PIN", exact=True).fill(pin)
        self.page.get_by_label("PIN sekali lagi").fill(pin)
        self.page.get_by_role("button", name="Simpan", exact=True).click()
        expect(self.page.get_by_role("listitem").filter(has_text=name)).to_be_visible()

    def sync(self) -> None:
        """Tap "send now" and wait until everything was sent."""
        self.go("kirim")
        self.page.get_by_role("button", name=SEND).click()
        expect(self.page.locator(".notice.calm")).to_have_count(0)
        expect(self.badge).to_have_text("✓ Terkirim")

    def take_file(self, button: str, target: Path) -> Path:
        """Tap a button that hands a file out; keep it."""
        with self.page.expect_download() as taken:
            self.page.get_by_role("button", name=button).click()
        taken.value.save_as(target)
        return target

    def give_files(self, *paths: Path) -> None:
        """Open files with copies, letters or receipts."""
        self.page.get_by_label("Buka berkas cadangan").set_input_files(paths)

    # -- looking --------------------------------------------------------------------------------------

    def look(self, name: str, sizes: Sequence[tuple[int, int]] = (DESK, HAND)) -> None:
        """Look at the screen in the hand and on a desk: keep pictures, ask axe, see that nothing hangs over the edge."""
        look_at(self.page, self.pictures / f"tablet-{name}", sizes, full_page=False)

    def keep_picture(self, name: str) -> None:
        """Keep a picture of the screen as it is, where SCREENSHOTS says."""
        if "SCREENSHOTS" in os.environ:
            self.page.screenshot(path=self.pictures / f"tablet-{name}.png")

    def read(self, what: str) -> Any:
        """Give what a function of an unlocked tablet finds in a second opening of the database: what is on the disk."""
        return self.page.evaluate(
            f"async ([cadre, pin]) => {{ {OPENED.format(what)} }}", [self.cadre, self.pin]
        )

    @property
    def id(self) -> str:
        """Of its enrolment."""
        return str(self.page.evaluate(ENROLMENT))

    def shown(self) -> dict[str, Any]:
        """Give what the tablet shows of every record, by the record's kind, child and place."""
        found: dict[str, Any] = {}
        for child, of in self.read(SHOWN).items():
            if of["child"]:
                found[f"child {child}"] = of["child"]
            for kind in ("measurements", "follow_ups", "deliveries"):
                found |= {f"{kind} {child} {one['place']}": one["state"] for one in of[kind]}
        return {name: bare(state) for name, state in found.items()}

    def log(self) -> list[tuple[int, str]]:
        """Give the numbers of the changes that are kept, and what became of each."""
        found = self.read(
            "({ replica }) => replica.log.map(({ counter, outcome }) => [counter, outcome || 'waiting'])"
        )
        return [(counter, outcome) for counter, outcome in found]

    def draft(self) -> Any:
        """Give what was typed last and not saved, as far as it is on the disk; an empty one if nothing is."""
        return self.read(NEWEST_DRAFT) or {"text": {}}

    def raw(self) -> dict[str, list[str]]:
        """Give what lies in each store of the database, without any key, as text."""
        found: dict[str, list[str]] = self.page.evaluate(RAW)
        return found

    def cached(self) -> dict[str, str]:
        """Give everything that the caches of the app's origin hold, by address."""
        return {url: text for cache in self.page.evaluate(CACHED) for url, text in cache}


def bare(state: dict[str, Any]) -> dict[str, Any]:
    """Give a state without what names its record beside the child."""
    names = ("id", "on", "source", "task", "delivery")
    return {member: value for member, value in state.items() if member not in names}


def held(district: District, post: int = 0) -> dict[str, Any]:
    """Give what the server's tables hold of a post's records, named as `Tablet.shown` names them."""
    found = {}
    for (kind, record), (of_post, state) in district.stored().items():
        key = state.key
        if of_post != district.posts[post]:
            continue
        name = {
            "child": f"child {record}",
            "measurement": f"measurements {key.get('child')} {key.get('measured_on')}/{key.get('source')}",
            "follow_up": f"follow_ups {key.get('child')} {key.get('task')}",
            "delivery": f"deliveries {key.get('child')} {key.get('delivery')}",
        }[kind]
        found[name] = bare(json.loads(json.dumps(state.wire())))
    return found


def code_for(district: District, name: str = "Tablet 1", post: int = 0) -> str:
    """Make a code with which a tablet enrols, as the health centre does."""
    with district.hub.database.transaction() as session:
        return accounts.make_enrolment_code(
            session, district.hub, district.posts[post], name, actor="operator", now=district.clock.now
        )


@dataclass
class Site:
    """A served district of a post with children, and tablets of it. `profiles` is where these keep what they hold."""

    district: District
    app: Flask
    url: str
    chromium: BrowserType
    profiles: Path
    pictures: Path
    hand: FakeTablet
    """With which children are registered."""

    @classmethod
    @contextmanager
    def opened(
        cls, databases: Databases, browser: Browser, profiles: Path, pictures: Path
    ) -> Iterator["Site"]:
        with District.opened(databases, cookie_secure=False, time_zone=QUIET_ZONE) as district:
            district.clock.now = datetime.now(UTC) - timedelta(minutes=5)
            app = create_app(district.hub.settings, district.hub)
            with served(district, app) as url:
                yield cls(district, app, url, browser.browser_type, profiles, pictures, district.tablet())

    @property
    def today(self) -> date:
        return self.district.hub.settings.today(self.district.clock.now)

    def children(self, *names: str) -> list[str]:
        """Register made-up children of eight months and more, measured last month; give their ids."""
        days = [self.today - timedelta(days=31)]
        found = [
            measured(self.hand, number, self.today, days, name=name) for number, name in enumerate(names)
        ]
        self.hand.sync_until_quiet()
        return found

    @contextmanager
    def tablet(self, name: str, *, enrolled: bool = True, arguments: Sequence[str] = ()) -> Iterator[Tablet]:
        """Switch on a new tablet, and enrol it."""
        profile = self.profiles / name
        with Tablet.opened(self.chromium, self.url, profile, self.pictures, arguments) as tablet:
            if enrolled:
                self.enrol(tablet)
            yield tablet

    def enrol(self, tablet: Tablet) -> None:
        """Enrol a tablet with a new code, and wait until the post's children are on it."""
        tablet.enrol(code_for(self.district, tablet.profile.name))
        expect(tablet.page.locator(".tabs b", has_text=re.compile("[1-9]")).first).to_be_attached()

    def measurements(self) -> int:
        return self.district.counts()["measurement"]

    def check_agreement(self, *tablets: Tablet) -> None:
        """Check that each tablet, once it has synced, holds just what the server holds."""
        for tablet in tablets:
            tablet.sync()
        self.district.check_agreement()
        expected = held(self.district)
        for tablet in tablets:
            assert tablet.shown() == expected


def revoke(site: Site, tablet: Tablet) -> None:
    """Revoke a tablet, as the health centre does."""
    district = site.district
    with district.hub.database.transaction() as session:
        accounts.revoke_tablet(session, district.hub, tablet.id, actor="operator", now=district.clock.now)
