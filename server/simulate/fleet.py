"""A survey's day: posts, tablets, children, and all that goes wrong between them.

The day has phases with a barrier between them, so that what two tablets do *at the same time* is planned:

    record    every tablet registers and measures its children; it syncs now and then
              (chaos) some are cloned, and both go on; some break, and are restored from an older copy
    settle    everybody syncs until nothing moves
    edit      (chaos) two tablets of a post, both offline, edit the same measurement
    settle
    decide    (chaos) a tablet that pulled both values of a conflict saves the one of the survey
    settle

Within a phase WORKERS tablets work at once, those of one post together. Whatever happened, every register ends with the
survey's value: `SurveyChild.expected` returns what the server must hold in the end.
"""

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from server import accounts
from server.context import AppContext
from server.database.ids import new_id
from server.database.models import HealthCentre
from server.places import health_posts
from server.simulate.device import APP, KeysByNumber, Luck, PromiseBroken, RefusedChange, SimulatedTablet
from server.simulate.line import Answer, CuttableLine, LineLost
from server.simulate.survey import SurveyRow, Unusable
from sync_protocol import Form, Json, ProtocolError, follow_up_id, measurement_id
from sync_protocol.client import Client, NotReached, Refused

HEALTH_CENTRE: Final = "Survei (simulasi)"
OPERATOR: Final = "operator"
SOURCE: Final = "cadre"
WORKERS: Final = 8
CODES_AT_ONCE: Final = 50
TELL_SECONDS: Final = 5.0
WRONG_CLOCKS_SECONDS: Final = (0, 90, -7_200, 3 * 86_400, -400 * 86_400)
SHARED: Final = 0.12
"""Share of children, at posts with several tablets, that two of them edit at once."""
VISITED: Final = 0.2
"""Share of children for whom a tablet writes down a visit, and another one of the post, if there is one, its result."""
COPIED: Final = 0.08
"""Share of tablets that are cloned, and share of those that are restored from an older copy; at least one of each."""

Tell = Callable[[str], None]
Step = Callable[[SimulatedTablet], None]


class Sharing(Enum):
    """How two tablets edit one measurement."""

    MERGE = "different registers"
    EQUAL = "equal values"
    BOTH = "both measure first"
    CONFLICT = "different values"


class Fate(Enum):
    """What happens to a tablet's disk while it records."""

    KEPT = "nothing"
    CLONED = "copied into a second device; both go on"
    RESTORED = "broken, and restored from an older copy"


@dataclass(slots=True)
class SurveyChild:
    """A child of the survey: who records it, with whom, its follow-up (`task`), and the result."""

    row: SurveyRow
    child_id: str
    owner: SimulatedTablet
    partner: SimulatedTablet | None = None
    sharing: Sharing | None = None
    task: str | None = None
    refusals: list[RefusedChange] = field(default_factory=list)

    @property
    def measurement_id(self) -> str:
        return measurement_id(self.child_id, self.row.measured_on, SOURCE)

    @property
    def follow_up_id(self) -> str:
        return follow_up_id(self.child_id, self.task or "")

    @property
    def visitor(self) -> SimulatedTablet:
        """The tablet that does the follow-up: the other one, if there is one."""
        return self.partner or self.owner

    def expected(self, kind: str) -> dict[str, Json]:
        """Return the registers that the server must hold of a record of this child: the file's, less what was refused."""
        registers = {
            "child": self._of_child,
            "measurement": self.row.registers,
            "follow_up": self._of_follow_up,
        }[kind]()
        for refusal in self.refusals:
            if refusal.change.kind != kind:
                continue
            for name in refusal.change.registers if refusal.left_out is None else refusal.left_out:
                if name == "identity" and refusal.left_out is not None:
                    registers[name] = {**registers[name], "born_on": None}
                else:
                    registers.pop(name, None)
        return registers

    def _of_follow_up(self) -> dict[str, Json]:
        return {"task": self.visit(), "result": self.visited()} if self.task else {}

    def visit(self) -> Json:
        """Return the follow-up to be done."""
        return {"action": "home_visit", "reason": None, "due_on": None, "assigned_to": self.visitor.author}

    def visited(self) -> Json:
        """Return the result of the follow-up."""
        return {"done_on": self.row.measured_on, "outcome": "done"}

    def _of_child(self) -> dict[str, Json]:
        return {"identity": self.row.identity(), "post": {"post": self.owner.replica.post_id}}


@dataclass(slots=True)
class Fleet:
    """Everything that took part. `disks` holds the tablets' files; `close` deletes them."""

    devices: list[SimulatedTablet]
    cases: list[SurveyChild]
    disks: "tempfile.TemporaryDirectory[str]"
    fates: dict[SimulatedTablet, Fate] = field(default_factory=dict)
    seconds: float = 0.0

    def close(self) -> None:
        """Close the tablets and delete their files."""
        for device in self.devices:
            device.close()
        self.disks.cleanup()

    def planned(self, *sharings: Sharing) -> int:
        """Count the children that two tablets were planned to edit in one of these ways."""
        return sum(case.sharing in sharings for case in self.cases)


def send_out(
    rows: Sequence[SurveyRow], server_url: str, hub: AppContext, *, chaos: bool, seed: int, tell: Tell
) -> Fleet:
    """Run the day.

    Parameters
    ----------
    hub : the server's own installation, for enrolment codes and posts; everything else goes over HTTP

    Raises
    ------
    Unusable
        The server cannot be reached, or is not the one of this installation.
    """
    started = time.monotonic()
    _knock(server_url)
    fleet = Fleet([], [], tempfile.TemporaryDirectory(prefix="posyandu-simulate-"))
    try:
        _assemble(fleet, rows, server_url, hub, chaos=chaos, seed=seed, tell=tell)
        _live(fleet, server_url, chaos=chaos, tell=tell)
    except BaseException:
        fleet.close()
        raise
    fleet.seconds = time.monotonic() - started
    return fleet


def _live(fleet: Fleet, server_url: str, *, chaos: bool, tell: Tell) -> None:
    day = _Day(server_url, fleet, tell)
    day.phase("record", day.record)
    day.settle()
    if chaos:
        day.phase("edit the same children offline", day.edit)
        day.settle()
        day.phase("decide conflicts", day.decide)
        day.settle()
    refusals: dict[str, list[RefusedChange]] = {}
    for device in fleet.devices:
        for refusal in device.notebook.refusals:
            refusals.setdefault(refusal.change.record_id, []).append(refusal)
    for case in fleet.cases:
        records = (case.child_id, case.measurement_id, case.follow_up_id)
        case.refusals = [refusal for record_id in records for refusal in refusals.get(record_id, ())]


# -- before the day ---------------------------------------------------------------------------------


def _knock(server_url: str) -> None:
    """Check that a server answers, before anything is made."""
    answer = _asked(server_url, lambda line: line.get("/readyz"))
    if answer.status == 503:
        raise Unusable(
            f"the server at {server_url} is not ready: {answer.body.decode(errors='replace')[:200]}"
        )


def _asked(server_url: str, question: Callable[[CuttableLine], Answer]) -> Answer:
    with CuttableLine(server_url, Counter()) as line:
        try:
            return question(line)
        except LineLost as error:
            raise Unusable(f"there is no server at {server_url} ({error}): start it with 'serve'") from error


def _assemble(
    fleet: Fleet,
    rows: Sequence[SurveyRow],
    server_url: str,
    hub: AppContext,
    *,
    chaos: bool,
    seed: int,
    tell: Tell,
) -> None:
    """Make posts and tablets, and distribute the children."""
    teams = sorted({(row.site, row.team) for row in rows})  # those of one post together
    devices: dict[tuple[str, str], SimulatedTablet] = {}
    # One first: if this server has other data than --data, little was made.
    starts = range(1, len(teams), CODES_AT_ONCE)
    for some in (teams[:1], *(teams[start : start + CODES_AT_ONCE] for start in starts)):
        for (site, team), code in _enrolment_codes(hub, some).items():
            luck = Luck(f"{seed}/{site}/{team}", chaos=chaos)
            file = Path(fleet.disks.name) / f"{len(devices) + 1}.tablet"
            devices[site, team] = _enrol(server_url, file, site, team, code, luck)
            fleet.devices.append(devices[site, team])
        tell(f"{len(devices)} of {len(teams)} tablets enrolled")
    fleet.cases = [SurveyChild(row, new_id(), devices[row.site, row.team]) for row in rows]
    if chaos:
        rng = random.Random(seed)  # noqa: S311  # repeatable
        _share(fleet.cases, devices, rng)
        fleet.fates = _fates(fleet, rng)
        _plan_visits(fleet.cases, random.Random(f"{seed}/visits"))  # noqa: S311  # repeatable


def _enrolment_codes(hub: AppContext, teams: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Make codes as an operator does, and missing posts."""
    now = datetime.now(UTC)
    codes = {}
    with hub.database.transaction() as session:
        for site, team in teams:
            found = health_posts.find_post(session, hub.district, site)
            post_id = found.id if found else _new_post(session, hub, site, now)
            name = f"Tablet survei {site} tim {team}"
            codes[site, team] = accounts.make_enrolment_code(
                session, hub, post_id, name, actor=OPERATOR, now=now
            )
    return codes


def _new_post(session: Session, hub: AppContext, name: str, now: datetime) -> str:
    centre_id = session.execute(
        select(HealthCentre.id)
        .where(HealthCentre.district == hub.district, HealthCentre.name == HEALTH_CENTRE)
        .limit(1)
    ).scalar()
    if centre_id is None:
        centre_id = health_posts.add_health_centre(session, hub, HEALTH_CENTRE, None, actor=OPERATOR, now=now)
    return health_posts.add_post(session, hub, name, centre_id, None, actor=OPERATOR, now=now)


def _enrol(server_url: str, file: Path, site: str, team: str, code: str, luck: Luck) -> SimulatedTablet:
    try:
        Client.enrol(
            file, server_url, code, keys=KeysByNumber(), app=APP, device=f"{site} {team}"[:80]
        ).close()
    except Refused as refused:
        raise Unusable(
            f"the server at {server_url} does not take the enrolment code just made ({refused.status} "
            f"{refused.code}): does it serve the data of --data (or DATABASE_URL)?"
        ) from refused
    except NotReached as error:
        raise Unusable(f"there is no server at {server_url} ({error.why}): start it with 'serve'") from error
    wrong_by = luck.rng.choice(WRONG_CLOCKS_SECONDS) if luck.chaos else 0
    return SimulatedTablet(
        f"{site}/{team}",
        file,
        author=f"kader-{''.join(c for c in team if c.isascii() and c.isalnum()) or 'x'}"[:64],
        luck=luck,
        clock_offset=timedelta(seconds=wrong_by),
    )


def _fates(fleet: Fleet, rng: random.Random) -> dict[SimulatedTablet, Fate]:
    """Choose whose disks are copied, of those tablets that record several children."""
    recorded = Counter(case.owner for case in fleet.cases)
    likely = [device for device in fleet.devices if recorded[device] >= 3]
    many = min(max(1, round(COPIED * len(fleet.devices))), len(likely) // 2)
    chosen = rng.sample(likely, 2 * many)
    return dict.fromkeys(chosen[:many], Fate.CLONED) | dict.fromkeys(chosen[many:], Fate.RESTORED)


def _share(
    cases: Sequence[SurveyChild], devices: Mapping[tuple[str, str], SimulatedTablet], rng: random.Random
) -> None:
    """Choose the children that two tablets of a post edit at once; values far from any limit, so that none is refused."""
    others: dict[str, list[SimulatedTablet]] = {}
    for (site, _), device in devices.items():
        others.setdefault(site, []).append(device)
    for case in cases:
        partners = [device for device in others[case.row.site] if device is not case.owner]
        row = case.row
        sound = 2_000 <= (row.weight_g or 0) <= 30_000 and 80 <= (row.muac_mm or 0) <= 250
        if partners and sound and 400 <= (row.length_mm or 0) <= 1300 and rng.random() < SHARED:
            case.partner, case.sharing = rng.choice(partners), rng.choice(list(Sharing))


def _plan_visits(cases: Sequence[SurveyChild], rng: random.Random) -> None:
    """Choose the children with a follow-up."""
    for case in cases:
        if rng.random() < VISITED:
            case.task = new_id()


# -- the day ----------------------------------------------------------------------------------------


class _Hands:
    """The tablet of a team while it records, its clone if it gets one, and the copy it may be restored from."""

    def __init__(self, device: SimulatedTablet, fate: Fate, steps: int) -> None:
        self.devices = [device]
        self._away = {device: 0}
        self._copy: Path | None = None
        first, second = (0, 0) if fate is Fate.KEPT else sorted(device.luck.rng.sample(range(1, steps), 2))
        self._clone_at = first if fate is Fate.CLONED else 0
        self._copy_at, self._restore_at = (first, second) if fate is Fate.RESTORED else (0, 0)

    def take_up(self, number: int) -> SimulatedTablet:
        """Return the tablet that does a step, after what happens to tablets before it."""
        device = self.devices[0]
        if number and number == self._clone_at:
            self.devices.append(device.clone())
            self._away[self.devices[1]] = 0
        if number and number == self._copy_at:
            self._copy = device.back_up()
        if self._copy is not None and number == self._restore_at:
            device.sync_until_quiet()  # what is not on a server is lost with a broken tablet
            device.restore(self._copy)
        return device.luck.rng.choice(self.devices) if len(self.devices) > 1 else device

    def after(self, device: SimulatedTablet) -> None:
        """Apply random events between two children."""
        luck = device.luck
        if luck.strikes(0.05):
            device.restart()
        if self._away[device]:
            self._away[device] -= 1
        elif luck.strikes(0.15):
            self._away[device] = luck.rng.randint(2, 9)
            device.notebook.traffic["offline spells"] += 1
        elif luck.strikes(0.4):
            device.sync()

    def put_down(self, device: SimulatedTablet) -> None:
        """Send what is left, unless there is no connection or the cadre forgets."""
        if not self._away[device] and not device.luck.strikes(0.2):
            while device.replica.unanswered():
                device.sync()


class _Day:
    """Runs the phases."""

    def __init__(self, server_url: str, fleet: Fleet, tell: Tell) -> None:
        self._url, self._fleet, self._tell = server_url, fleet, tell
        self._mine: dict[SimulatedTablet, list[SurveyChild]] = {device: [] for device in fleet.devices}
        self._shared: dict[SimulatedTablet, list[SurveyChild]] = {device: [] for device in fleet.devices}
        self._visits: dict[SimulatedTablet, list[SurveyChild]] = {device: [] for device in fleet.devices}
        for case in fleet.cases:
            self._mine[case.owner].append(case)
            if case.partner:
                self._shared[case.owner].append(case)
                self._shared[case.partner].append(case)
            if case.task:
                self._visits[case.visitor].append(case)

    def phase(self, name: str, work: Callable[[SimulatedTablet], int]) -> int:
        """Let every tablet do its part, WORKERS at once; one that meets a broken promise is excluded from then on."""
        devices = [device for device in self._fleet.devices if not device.notebook.broken]
        moved, last_told = 0, time.monotonic()
        with ThreadPoolExecutor(WORKERS) as pool:
            running = [pool.submit(self._part, device, work) for device in devices]
            try:
                for done, future in enumerate(as_completed(running), 1):
                    moved += future.result()
                    if time.monotonic() - last_told > TELL_SECONDS:
                        last_told = time.monotonic()
                        self._tell(f"{name}: {done} of {len(devices)} tablets")
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        self._tell(f"{name}: done")
        return moved

    def _part(self, device: SimulatedTablet, work: Callable[[SimulatedTablet], int]) -> int:
        with CuttableLine(self._url, device.notebook.traffic) as line, device.on(line):
            try:
                return work(device)
            except (PromiseBroken, ProtocolError) as broken:
                device.notebook.broken.append(str(broken))
                return 0

    def settle(self) -> None:
        """Let all tablets sync until a whole round moved nothing."""
        for _ in range(50):
            if self.phase("sync until quiet", SimulatedTablet.sync_until_quiet) == 0:
                return
        self._fleet.devices[0].notebook.broken.append("the fleet never came to rest")

    # record

    def record(self, device: SimulatedTablet) -> int:
        """Register and measure every child of the team; with chaos in any order, and connected or not."""
        steps = self._steps(device)
        hands = _Hands(device, self._fleet.fates.get(device, Fate.KEPT), len(steps))
        for number, step in enumerate(steps):
            with self._lent_line(device, hands.take_up(number)) as held:
                step(held)
                hands.after(held)
        for held in hands.devices:
            with self._lent_line(device, held):
                hands.put_down(held)
        self._fleet.devices += hands.devices[1:]
        return len(self._mine[device])

    @contextmanager
    def _lent_line(self, owner: SimulatedTablet, held: SimulatedTablet) -> Iterator[SimulatedTablet]:
        """Let a clone use its original's connection."""
        if held is owner or owner.line is None:
            yield held
        else:
            with held.on(owner.line):
                yield held

    def _steps(self, device: SimulatedTablet) -> list[Step]:
        """Return the team's steps in order: with chaos children in any order, some registered after they were measured."""
        steps: list[Step] = []
        late: list[tuple[Step, Step]] = []
        cases = list(self._mine[device])
        if device.luck.chaos:
            device.luck.rng.shuffle(cases)
        for case in cases:
            child, measurement = _registering(case), _measuring(case)
            if device.luck.strikes(0.3):
                steps.append(measurement)
                late.append((child, measurement))
            else:
                steps += [child, measurement]
            if case.task:
                steps.append(_asking_for_a_visit(case))
        for child, its_measurement in late:
            after = steps.index(its_measurement) + 1
            steps.insert(device.luck.rng.randint(after, len(steps)), child)
        return steps

    # edit and decide

    def edit(self, device: SimulatedTablet) -> int:
        """Write this tablet's part of the concurrent edits, and the results of its visits; all write before any sends."""
        for case in self._visits.get(device, ()):
            if device.replica.view(("follow_up", case.follow_up_id)) is None:
                raise PromiseBroken(f"row {case.row.label}: what is to be done did not reach {device.name}")
            device.notebook.traffic["tasks answered"] += 1
            device.write(_opened_task(device, case), {"result": case.visited()})
        for case in self._shared.get(device, ()):
            form, registers = _opened(device, case), case.row.registers()
            owner = device is case.owner
            match case.sharing:
                case Sharing.MERGE:
                    device.write(
                        form, {"weight": registers["weight"]} if owner else {"muac": registers["muac"]}
                    )
                case Sharing.EQUAL:
                    device.write(form, {"weight": registers["weight"]})
                case Sharing.BOTH:
                    rest = {"length": registers["length"]} if owner else {"muac": registers["muac"]}
                    device.write(form, {"weight": registers["weight"], **rest})
                case _:
                    wrong = (case.row.weight_g or 0) + (100 if owner else -100)
                    device.write(form, {"weight": {**registers["weight"], "weight_g": wrong}})
        return 0

    def decide(self, device: SimulatedTablet) -> int:
        """Save the survey's value over both, on the tablet that the other one's cadre asked."""
        for case in self._shared.get(device, ()):
            if case.sharing is Sharing.CONFLICT and device is case.partner:
                view = device.replica.view(("measurement", case.measurement_id))
                if view is None or len(view.registers["weight"]) != 2:
                    raise PromiseBroken(
                        f"row {case.row.label}: two tablets' weights did not both reach {device.name}"
                    )
                device.notebook.traffic["conflicts seen"] += 1
                device.write(_opened(device, case), {"weight": case.row.registers()["weight"]})
        return 0


def _opened(device: SimulatedTablet, case: SurveyChild) -> Form:
    return device.client.open_measurement(case.child_id, case.row.measured_on, SOURCE)


def _opened_task(device: SimulatedTablet, case: SurveyChild) -> Form:
    return device.client.open_follow_up(case.child_id, case.task or "")


def _asking_for_a_visit(case: SurveyChild) -> Step:
    def ask(device: SimulatedTablet) -> None:
        device.write(_opened_task(device, case), {"task": case.visit()})

    return ask


def _registering(case: SurveyChild) -> Step:
    def register(device: SimulatedTablet) -> None:
        device.write(device.client.open_child(case.child_id), case.expected("child"))

    return register


def _measuring(case: SurveyChild) -> Step:
    """Measure, except what the plan keeps for later."""

    def measure(device: SimulatedTablet) -> None:
        registers = case.row.registers()
        if case.sharing is Sharing.MERGE:
            del registers["muac"]
        if registers and case.sharing is not Sharing.BOTH:
            device.write(_opened(device, case), registers)

    return measure
