"""Plays a story on a real installation: every step through a `Replica`, a signed batch and `sync.exchange`, at its time.

No record is written any other way. Places, tablets and people are made as an operator makes them.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas import parse_enrolment
from server import accounts, audit
from server.children.assessment import assess
from server.context import AppContext
from server.crypto.vault import SigningKey, base64url
from server.database.ids import new_id
from server.database.models import Child
from server.demo.acts import Act, Contact
from server.demo.story import Story
from server.places import health_posts
from server.places.regions import regions
from server.sync import upload
from sync_protocol import Answered, Pulled, Replica, canonical

APP: Final = "posyandu-sync-demo/1"
Tell = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class DemoSignIn:
    """A person of the demo. The password is shown once and not stored."""

    username: str
    password: str = field(repr=False)
    about_id: str
    about_en: str


@dataclass(slots=True)
class DemoTablet:
    """One tablet of the story: its replica, its key, and its user."""

    replica: Replica
    key: SigningKey
    author: str


@dataclass(frozen=True, slots=True)
class Stage:
    """The installation on which the story is played, with the ids of its posts, puskesmas, tablets and children."""

    hub: AppContext
    posts: Sequence[str]
    health_centres: Mapping[str, str]
    devices: Mapping[tuple[int, int], DemoTablet]
    children: dict[str, str] = field(default_factory=dict)


def set_stage(hub: AppContext, story: Story) -> Stage:
    """Install the district, add puskesmas and posts, and enrol the tablets, as an operator would have two years ago."""
    now = story.opens_at
    names = {region.code: region.name for region in regions()}
    centres: dict[str, str] = {}
    posts: list[str] = []
    devices: dict[tuple[int, int], DemoTablet] = {}
    with hub.database.transaction() as session:
        health_posts.install(session, hub, now)
        for number, plan in enumerate(story.posts):
            code = plan.subdistrict
            if code not in centres:
                name = f"Puskesmas {names[code]} (contoh)"
                centres[code] = health_posts.add_health_centre(
                    session, hub, name, code, actor="operator", now=now
                )
            posts.append(
                health_posts.add_post(
                    session, hub, plan.name, centres[code], plan.village, actor="operator", now=now
                )
            )
            for tablet in range(plan.tablets):
                devices[number, tablet] = _enrol(session, hub, posts[-1], number, tablet, now)
    return Stage(hub, posts, centres, devices)


def _enrol(
    session: Session, hub: AppContext, post_id: str, post: int, tablet: int, now: datetime
) -> DemoTablet:
    letter = "AB"[tablet]
    name = f"Tablet {post + 1}{letter} (contoh)"
    key = SigningKey()
    code = accounts.make_enrolment_code(session, hub, post_id, name, actor="operator", now=now)
    request = parse_enrolment({"code": code, "public_key": key.jwk(), "app": APP, "device": name})
    enrolled = accounts.enrol(session, hub, request, now)
    return DemoTablet(
        Replica(hub.district, enrolled.id, post_id, APP), key, f"kader-contoh-{post + 1}{letter.lower()}"
    )


def add_people(stage: Stage, story: Story, donor: str) -> tuple[DemoSignIn, ...]:
    """Add a person for each role, with passwords of this demo only; the donor's account is of the register of aid."""
    hub, first = stage.hub, story.posts[0].subdistrict
    centre = stage.health_centres[first]
    names = {region.code: region.name for region in regions()}
    place, village = names[first], story.posts[0].village
    rows = (
        ("gizi.contoh", "Petugas Gizi Contoh", "staff", "health_centre", centre),
        ("dinas.contoh", "Pengawas Dinas Contoh", "supervisor", "district", hub.district),
        ("admin.contoh", "Administrator Contoh", "administrator", "district", hub.district),
        ("kader.contoh", "Kader Contoh", "cadre", "post", stage.posts[0]),
        ("tpps.contoh", "TPPS Desa Contoh", "tpps", "village", village),
        ("donatur.contoh", "Donatur Contoh", "donor", "donor", donor),
    )
    about = (
        (f"petugas gizi, Puskesmas {place} (contoh)", "nutrition officer of that health centre"),
        ("pengawas, dinas kesehatan, seluruh kabupaten", "supervisor, the whole district"),
        ("administrator, seluruh kabupaten", "administrator, the whole district"),
        (f"kader, {story.posts[0].name}", "cadre of that post"),
        (f"TPPS desa {names.get(village or '', '')}", "TPPS of that village: figures and aid, no child"),
        ("donatur PT Batu Contoh: kemajuan yang didanainya", "donor: the progress of what it funds"),
    )
    sign_ins = tuple(DemoSignIn(row[0], _password(), *words) for row, words in zip(rows, about, strict=True))
    chosen = [
        accounts.new_password(one.password, one.username, name)
        for one, (_, name, *_) in zip(sign_ins, rows, strict=True)
    ]
    with hub.database.transaction() as session:
        for row, password in zip(rows, chosen, strict=True):
            accounts.add_account(session, hub, *row, password, actor="operator", now=story.opens_at)
    return sign_ins


def _password() -> str:
    """Return three English words and five digits, 34 bits: easy to type, and wrong attempts cost ever longer waits."""
    words = "-".join(secrets.choice(_WORDS.split()) for _ in range(3))
    return f"{words}-{secrets.randbelow(90_000) + 10_000}"


_WORDS: Final = (
    "acorn amber apple arrow autumn badge basin beach birch blanket border bottle bridge bright bronze brush cabin candle "
    "canyon castle cedar chalk cherry circle cliff clover cobalt copper corner cotton crystal daisy desert dolphin eagle "
    "ember falcon feather fern finch forest fossil garden ginger glacier granite harbor hazel hollow island ivory jasper "
    "kettle ladder lantern lemon linen maple marble meadow mirror"
)


def play(stage: Stage, story: Story, tell: Tell) -> Counter[str]:
    """Carry out every step at its time."""
    outcomes: Counter[str] = Counter()
    shown = ""
    for step in story.steps:
        if isinstance(step, Act):
            _write(stage, step)
            continue
        if shown != (half := f"{step.at.year}-{'01' if step.at.month < 7 else '07'}"):
            shown = half
            tell(f"Posyandu sejak {half} … / Posyandu days from {half} …")
        _sync(stage, step, outcomes)
    return outcomes


def _write(stage: Stage, act: Act) -> None:
    """Write an act on its tablet, with what the tablet knows as its context."""
    device = stage.devices[act.post, act.tablet]
    child_id = stage.children.setdefault(act.child, new_id())
    if act.measured_on is None:
        form = device.replica.open_child(child_id)
    else:
        form = device.replica.open_measurement(child_id, act.measured_on.isoformat(), act.source)
    registers = dict(act.registers)
    if "post" in registers:
        registers["post"] = {"post": stage.posts[registers["post"]["post"]]}
    author = device.author if act.source == "cadre" else "bidan-contoh"
    nonce = base64url(secrets.token_bytes(16))
    device.replica.write(form, registers, author=author, recorded_at=_text(act.at), nonce=nonce)


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _sync(stage: Stage, contact: Contact, outcomes: Counter[str]) -> None:
    """Send and pull signed batches until nothing is left, as a tablet does when it has a signal."""
    device, at = stage.devices[contact.post, contact.tablet], contact.at
    waiting = True
    while waiting:
        batch = device.replica.next_batch(new_id(), _text(at))
        signed = {"batch": batch, "signature": base64url(device.key.sign(canonical(batch)))}
        body = orjson.dumps(signed)
        answer = upload.exchange(stage.hub, orjson.loads(body), size_bytes=len(body), now=at)
        at += timedelta(seconds=1)
        answered, pulled = device.replica.receive(orjson.loads(answer), _text(at))
        if not isinstance(answered, Answered) or not isinstance(pulled, Pulled):
            raise RuntimeError(f"a tablet of the demo was answered {answered!r}: a defect of ours")
        outcomes.update(item.outcome.value for item in answered.receipt.items)
        waiting = pulled.more or bool(device.replica.unanswered())
    device.replica.forget(_text(at - timedelta(days=90)))


def close(stage: Stage, now: datetime) -> tuple[int, str]:
    """Finish: mark who has not been seen up to now, and make a code for the visitor's own tablet.

    Returns
    -------
    (children known to the server, a one-time enrolment code for the first post)
    """
    hub = stage.hub
    with hub.database.transaction() as session:
        ids = list(session.scalars(select(Child.id).where(Child.district == hub.district)))
        assess(session, hub, ids, now)
        count = {"children": len(ids)}
        action, actor = "children.assessed", "job:absence"
        audit.append(session, hub.district, audit.OFFICE, action, actor=actor, now=now, details=count)
        first = stage.posts[0]
        code = accounts.make_enrolment_code(session, hub, first, "Tablet Anda", actor="operator", now=now)
    return len(ids), code
