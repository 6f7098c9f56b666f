"""Somebody who may read and change every row of a database, but has no key file: see `test_without_keys`."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from flask.testing import FlaskClient
from sqlalchemy import select

from schemas import Malformed, parse_enrolment
from server import accounts
from server.accounts import Person
from server.app import create_app
from server.crypto.vault import SigningKey
from server.database.models import table
from server.errors import Problem
from sync_protocol import Replica
from tests.server._district import DISTRICT, District, FakeTablet, behind_its_back, identity
from tests.server._people import add_person
from tests.server.accounts._people import invite, sign_in, take_up
from tests.server.web._clinic import sign_in as sign_in_browser

NAME, NIK, PHONE = "Anak Sangat Rahasia", "6402061001250007", "+6281234567890"
PLANTED: Final = (NAME, NIK, PHONE, "Ibu Rahasia")
DONOR, BOSS = "perahu-kecil-di-teluk", "kabut-pagi-di-gunung"


@dataclass
class Intruder:
    """Somebody with every right in the database and none in the product; see above."""

    district: District
    child: str
    boss: str
    donor: str
    browser: FlaskClient
    session: str
    disabled: str
    invitation: str
    enrolment: str
    used_enrolment: str
    tablets: dict[str, FakeTablet]
    haul: list[str] = field(default_factory=list)

    def change(self, *statements: Any) -> None:
        with behind_its_back(self.district) as connection:
            for statement in statements:
                assert connection.execute(statement).rowcount != 0, str(statement)

    def copy_of(self, model: Any, *where: Any, **changed: Any) -> dict[str, Any]:
        """Read a row and change some of its columns."""
        with behind_its_back(self.district) as connection:
            row = connection.execute(select(table(model)).where(*where)).mappings().one()
        return {**row, **changed}

    def walk(self, browser: FlaskClient | None = None) -> None:
        """Read every page and every answer of the API about the child, with the donor's browser or another."""
        browser = browser or self.browser
        at = {"child_id": self.child, "post_id": self.district.posts[0], "paper": "json"}
        at |= {"tablet_id": self.tablets["first"].id, "area_kind": "pos", "area": self.district.posts[0]}
        for rule in browser.application.url_map.iter_rules():
            if "GET" in (rule.methods or ()) and rule.arguments <= at.keys() and rule.endpoint != "static":
                _, path = rule.build({name: at[name] for name in rule.arguments}) or ("", "")
                self.haul.append(browser.get(str(path)).get_data().decode(errors="replace"))

    def open_with(self, token: str | None) -> None:
        """Use a session's token, as its cookie would."""
        with suppress(Problem), self.district.hub.database.reading() as session:
            who = accounts.who_is(session, self.district.hub, token or "", self.district.clock.now)
            assert who is None or (who.role, who.account_id) == ("donor", self.donor), who

    def enter(self, username: str, password: str) -> None:
        """Sign in; a session for anybody but the donor, as a donor, is a failure."""
        with suppress(Problem):
            self.open_with(sign_in(self.district, password, username))

    def take_up(self, token: str) -> None:
        """Use an invitation."""
        with suppress(Problem):
            who = take_up(self.district, token, "kata-sandi-pilihan-saya")
            assert who.account_id == self.donor
            assert who.role == "donor"

    def sync(self, tablet: FakeTablet) -> None:
        with suppress(Problem, Malformed):
            for _ in range(3):
                self.haul.append(tablet.send_raw(tablet.next_message()).decode())

    def enrol(self, code: str) -> None:
        """Enrol a device of one's own, and pull."""
        key, hub, now = SigningKey(), self.district.hub, self.district.clock.now
        asked = {"code": code, "public_key": key.jwk(), "app": "uji/1", "device": "uji"}
        with suppress(Problem, Malformed):
            with hub.database.transaction() as session:
                made = accounts.enrol(session, hub, parse_enrolment(asked), now)
                tablet_id, post_id = made.id, made.post_id
            posts = self.district.posts_of(tablet_id)
            replica = Replica(DISTRICT, tablet_id, post_id, "uji/1", posts=posts)
            self.sync(FakeTablet(self.district, key, replica))

    def as_tablet(self, tablet_id: str, post: int = 0) -> FakeTablet:
        """Give a device of one's own under the id of a tablet."""
        replica = Replica(DISTRICT, tablet_id, self.district.posts[post], "posyandu-sync/0.1.0")
        return FakeTablet(self.district, SigningKey(), replica)


def code_for(district: District, post: int) -> str:
    with district.hub.database.transaction() as session:
        given = {"actor": "operator", "now": district.clock.now}
        return accounts.make_enrolment_code(session, district.hub, district.posts[post], "Tablet", **given)  # type: ignore[arg-type]


def populated(district: District) -> Intruder:
    hub, now = district.hub, district.clock.now
    first = district.tablet(0, "Tablet Melati")
    who = identity(name=NAME)
    child = first.register_child(
        identity=who, nik={"nik": NIK}, parents={"mother": "Ibu Rahasia", "phone": PHONE}
    )
    first.sync_until_quiet()
    tablets = {"first": first, "staff": district.staff_tablet(district.posts[1])}
    for name in ("revoked", "closed", "other"):
        tablets[name] = district.tablet(0, name)
    key = SigningKey()
    scale = district.enrol(key, 0, "Timbangan", write_only=True)
    tablets["scale"] = FakeTablet(district, key, Replica(DISTRICT, scale, district.posts[0], "uji/1"))
    tablets["given-back"] = district.staff_tablet(district.posts[1], district.posts[0])
    district.give_posts(tablets["given-back"], district.posts[1])
    district.revoke(tablets["revoked"])
    with hub.database.transaction() as session:
        accounts.close_tablet(session, hub, tablets["closed"].id, actor="operator", now=now)
    boss = add_person(hub, "penyelia", "Penyelia", "staff", "district", DISTRICT, BOSS, now)
    donor = add_person(hub, "donatur", "Donatur", "donor", "none", "", DONOR, now)
    disabled = add_person(hub, "bekas", "Bekas", "staff", "district", DISTRICT, DONOR, now)
    with hub.database.transaction() as session:
        accounts.disable_account(session, hub, "bekas", actor="operator", now=now)
    invitation = invite(district, donor)
    used = code_for(district, 0)
    browser = create_app(hub.settings, hub).test_client()
    sign_in_browser(browser, Person(donor, "donatur", "Donatur", "donor", "none", ""), DONOR)
    with browser.session_transaction() as cookie:
        token = cookie["token"]
    mine = browser, token, disabled, invitation, code_for(district, 1), used, tablets
    intruder = Intruder(district, child, boss, donor, *mine)
    with hub.database.transaction() as session:
        asked = {"code": used, "public_key": SigningKey().jwk(), "app": "uji/1", "device": "uji"}
        accounts.enrol(session, hub, parse_enrolment(asked), now)
    return intruder
