"""Witnesses: another installation over real HTTP, a directory; what they take, what they refuse, and what their memory shows
when the log of the other side was cut off, turned back or rewritten."""

# ruff: noqa: S608 - the statements are an intruder's, and all of their parts are ours

import json
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from sqlalchemy import select, text

from server import audit
from server.app import create_app
from server.audit import checkpoints, cosigning, witnesses
from server.audit.checkpoints import Checkpoint, read_kept
from server.audit.merkle import EMPTY_ROOT
from server.audit.signed_note import ED25519, Key, Note, Signature, TreeHead, write_hash
from server.cli import main
from server.crypto.vault import unbase64
from server.database.models import Cosignature, Witness
from server.operations import jobs, outside, scheduler, witnesses as client
from server.operations.doctor import examine
from server.web.api import witness as api
from tests._memory import quick_directory
from tests.browser._window import served
from tests.server._district import DISTRICT, Databases, District
from tests.server.audit._intruder import cut, off, tamper

PREFIX = "/api/v1/witness"


def sign(district: District, entries: int = 2) -> Checkpoint:
    for number in range(entries):
        with district.hub.database.transaction() as session:
            audit.append(
                *(session, DISTRICT, f"post/{number}", "test.done"), actor="operator", now=district.clock.now
            )
    district.clock.advance(hours=1)
    with district.hub.database.transaction() as session:
        return checkpoints.make(session, district.hub, district.clock.now, actor="operator")


def origin(district: District) -> str:
    found = district.rows(text("SELECT incarnation FROM installation"))[0][0]
    return witnesses.origin_of(DISTRICT, str(found))


def log_keys(district: District) -> list[Key]:
    return witnesses.log_keys(district.hub.vault, origin(district))


def watch(witness: District, log: District) -> None:
    with witness.hub.database.transaction() as session:
        cosigning.watch(session, witness.hub, log_keys(log), actor="operator", now=witness.clock.now)


def add(log: District, name: str, place: str, *keys: Key) -> witnesses.KnownWitness:
    with log.hub.database.transaction() as session:
        witnesses.add(session, log.hub, name, place, keys, actor="operator", now=log.clock.now)
    return known(log, name)


def known(log: District, name: str) -> witnesses.KnownWitness:
    with log.hub.database.reading() as session:
        return next(one for one in witnesses.known(session, DISTRICT) if one.name == name)


def ask(log: District, witness: witnesses.KnownWitness) -> str | None:
    with log.hub.database.reading() as session:
        newest = checkpoints.newest(session, DISTRICT)
    assert newest is not None
    return client.ask(log.hub, known(log, witness.name), newest, log.clock.now)


def vouch(log: District) -> witnesses.Vouch:
    with log.hub.database.reading() as session:
        (found,) = witnesses.vouches(session, DISTRICT, log.clock.now)
    return found


def verified(log: District) -> list[audit.Broken]:
    with log.hub.database.reading() as session:
        return audit.verify(session, DISTRICT, keys=log.hub.vault.checkpoint_keys())[1]


def held(log: District, kept: Any = None, *, ask: bool = True) -> outside.Outside:
    with log.hub.database.reading() as session:
        return outside.hold(session, log.hub, kept, ask=ask)


def ailments(district: District, later: timedelta = timedelta()) -> dict[str, list[str]]:
    now = datetime.now(UTC) + later
    checks = examine(district.hub.settings, now=now, quick=True, progress=lambda *_: None)
    return {check.name: list(check.found) for check in checks if check.name == "witnesses" and check.found}


@pytest.fixture(autouse=True)
def patient() -> Iterator[None]:
    """Begin without pauses, and without what other tests have spent of a rate."""
    client._pauses.clear()
    api.BUDGET.left.clear()
    yield
    client._pauses.clear()


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Databases]:
    """Give the maker of databases with keys and an incarnation of their own."""
    with quick_directory() as directory:
        yield Databases(directory, None)


@pytest.fixture
def witness(elsewhere: Databases) -> Iterator[District]:
    """Give another installation."""
    with District.opened(elsewhere) as district:
        yield district


@pytest.fixture
def log(installed: District, witness: District) -> Iterator[District]:
    """Give an installation whose first checkpoint the other one has cosigned; it goes on being served."""
    sign(installed)
    watch(witness, installed)
    with served(witness) as url:
        add(installed, "other", f"{url}{PREFIX}", *witnesses.cosigning_keys(witness.hub))
        assert ask(installed, known(installed, "other")) is None
        yield installed


# -- another installation ---------------------------------------------------------------------------


def test_two_installations_witness_each_other(log: District, witness: District) -> None:
    sign(witness)
    watch(log, witness)
    with served(log) as url:
        add(witness, "first", f"{url}{PREFIX}", *witnesses.cosigning_keys(log.hub))
        for _ in range(3):
            sign(log)
            sign(witness)
            assert client.submit(log.hub, log.clock.now) == {"took": 1, "failed": 0}
            assert client.submit(witness.hub, log.clock.now) == {"took": 1, "failed": 0}
    assert client.submit(log.hub, log.clock.now) == {"took": 0, "failed": 0}
    assert (vouch(log).checkpoint, vouch(log).size) == (
        4,
        log.rows(text("SELECT count(*) FROM audit_leaf"))[0][0],
    )
    assert verified(log) == verified(witness) == []
    assert log.actions(audit.OFFICE).count("checkpoint.vouched") == 4
    assert witness.actions(audit.OFFICE).count("checkpoint.cosigned") == 4
    assert ailments(log) == {}


def test_answer_that_was_lost_is_asked_for_again(log: District) -> None:
    for _ in range(2):
        sign(log)
        assert ask(log, known(log, "other")) is None
    tamper(log, "DELETE FROM cosignature WHERE checkpoint > 1")
    sign(log)
    assert ask(log, known(log, "other")) is None
    assert vouch(log).checkpoint == 4


def test_kept_file_names_who_vouches_and_the_note_alone_is_taken_too(log: District, tmp_path: Path) -> None:
    with log.hub.database.reading() as session:
        found = checkpoints.kept(session, log.hub)
        assert found is not None
        kept = witnesses.with_note(session, log.hub, found)
    (tmp_path / "c.json").write_bytes(kept.file())
    (tmp_path / "c.note").write_text(kept.note, encoding="utf-8")
    sign(log)
    for file in ("c.json", "c.note"):
        result = held(log, outside.read_checkpoint(tmp_path / file), ask=False)
        assert result.broken == []
        assert [name for name, _ in result.vouched[0].cosigned] == [witnesses.witness_name(DISTRICT)]
    assert read_kept(kept.file()).note == kept.note


def test_note_that_nobody_known_has_signed_is_refused(
    log: District, witness: District, tmp_path: Path
) -> None:
    made = sign(witness)
    note = witnesses.note_of(witness.hub, made.statement, made.signatures)
    assert note is not None
    with pytest.raises(checkpoints.NotACheckpoint):
        held(log, note)
    (tmp_path / "wrong").write_text("nothing\n", encoding="utf-8")
    with pytest.raises(checkpoints.NotACheckpoint):
        outside.read_checkpoint(tmp_path / "wrong")
    with pytest.raises(checkpoints.NotACheckpoint):
        outside.read_checkpoint(tmp_path)


def test_nothing_is_signed_as_a_note_that_only_stands_in_the_database(log: District) -> None:
    with log.hub.database.reading() as session:
        newest = checkpoints.newest(session, DISTRICT)
    assert newest is not None
    forged = {**newest.statement, "root": "A" * 43}
    assert witnesses.note_of(log.hub, forged, newest.signatures) is None


# -- what a witness finds ----------------------------------------------------------------------------


def test_cut_off_tail_is_found_by_asking_and_at_the_next_submission(log: District) -> None:
    for _ in range(2):
        sign(log)
        ask(log, known(log, "other"))
    seen = vouch(log).size
    cut(log, 1)
    assert verified(log) == []  # the log alone shows nothing
    assert held(log).broken == [audit.Broken("witness/other", seen, "cut off")]
    with log.hub.database.reading() as session:
        newest = checkpoints.newest(session, DISTRICT)
    assert newest is not None
    tamper(log, "DELETE FROM cosignature")  # else nothing is submitted
    assert client.submit(log.hub, log.clock.now) == {"took": 0, "failed": 1}
    assert known(log, "other").failure == witnesses.AHEAD
    assert ailments(log) == {"witnesses": ["other: ahead, nothing yet"]}


def test_log_that_was_rewritten_and_signed_again_is_a_fork(log: District, witness: District) -> None:
    sign(log)
    ask(log, known(log, "other"))
    cut(log, 1)
    sign(log, entries=1)
    sign(log, entries=3)
    assert verified(log) == []
    assert [(one.stream, one.what) for one in held(log).broken] == [("witness/other", "forked")]
    assert ask(log, known(log, "other")) in witnesses.ALARMING


def test_two_trees_of_one_size_are_kept_as_proof_that_the_log_lied(log: District, witness: District) -> None:
    head = TreeHead.read(seen(witness, log).text)
    other = TreeHead(head.origin, head.size, b"x" * 32)
    status, _ = submit(witness, log, other, old=head.size)
    assert status == 422
    with witness.hub.database.reading() as session:
        (tree,) = cosigning.watched(session, DISTRICT)[0].trees
    assert tree.conflict_at is not None
    assert ailments(witness) == {"witnesses": [f"{head.origin}: forked"]}
    assert seen(witness, log).text == head.text()


def test_altered_cosignature_and_a_witness_under_another_key_are_named(
    log: District, witness: District
) -> None:
    before = log.rows(select(Cosignature.lines))[0][0]
    sign(log)
    ask(log, known(log, "other"))
    tamper(log, f"UPDATE cosignature SET lines = '{before}' WHERE checkpoint = 2")
    assert verified(log) == [audit.Broken("witness/other", 2, "altered")]
    strange = Key(witnesses.witness_name(DISTRICT), 4, b"k" * 32).text()
    for keys in (f'["{strange}"]', "[7]", "7", "no list"):
        tamper(log, f"UPDATE witness SET public_keys = '{keys}'")
        assert verified(log) == [audit.Broken("witness/other", 1, "altered")]
    tamper(log, *off(log), "DELETE FROM witness")
    assert verified(log) == [audit.Broken("witness/other", 1, "cut off")]


def test_restored_log_begins_again_at_its_witness_which_says_so(log: District, witness: District) -> None:
    log.restore(log.back_up())
    sign(log)
    assert ask(log, known(log, "other")) is None
    with witness.hub.database.reading() as session:
        (watched,) = cosigning.watched(session, DISTRICT)
    assert [tree.origin for tree in watched.trees][1] == origin(log)
    assert len(watched.trees) == 2


# -- the protocol ------------------------------------------------------------------------------------


def note_of(log: District, head: TreeHead) -> Note:
    signed = log.hub.vault.sign_checkpoint(head.text().encode())
    keys = log.hub.vault.checkpoint_keys()
    return Note(
        head.text(),
        tuple(
            Signature(head.origin, Key(head.origin, ED25519, unbase64(keys[id_])).id, unbase64(raw))
            for id_, raw in signed.items()
        ),
    )


def submit(witness: District, log: District, head: TreeHead, old: int, proof: str = "") -> tuple[int, Any]:
    return post(witness, f"old {old}\n{proof}\n{note_of(log, head).whole()}".encode())


def post(witness: District, body: bytes) -> tuple[int, Any]:
    asking: FlaskClient = create_app(witness.hub.settings, witness.hub).test_client()
    answer = asking.post(f"{PREFIX}/add-checkpoint", data=body)
    return answer.status_code, answer


def seen(witness: District, log: District) -> Note:
    asking = create_app(witness.hub.settings, witness.hub).test_client()
    answer = asking.get(f"{PREFIX}/{sha256(origin(log).encode()).hexdigest()}/checkpoint")
    assert answer.status_code == 200
    return Note.read(answer.text)


@pytest.fixture
def other(on_sqlite: District, witness: District) -> District:
    """Give a log that is witnessed, of which nothing was seen yet."""
    watch(witness, on_sqlite)
    return on_sqlite


def test_refusals_have_the_status_of_the_standard(other: District, witness: District) -> None:
    name, root = origin(other), b"r" * 32
    for body in (
        b"",
        b"old 0",
        b"old 0\n\n",
        b"old x\n\ntext\n\n\xff",
        b"new 0\n\n" + note_of(other, TreeHead(name, 1, root)).whole().encode(),
    ):
        assert post(witness, body)[0] == 400, body
    assert submit(witness, other, TreeHead(name, 1, root), 2)[0] == 400
    assert submit(witness, other, TreeHead(name, 1, root), 0, f"{write_hash(root)}\n" * 64)[0] == 400
    assert submit(witness, other, TreeHead("example.com/unknown", 1, root), 0)[0] == 404
    assert submit(witness, other, TreeHead(name.replace("64.02", "64.03"), 1, root), 0)[0] == 404
    stranger = Note(TreeHead(name, 1, root).text(), (Signature(name, b"1234", b"s" * 64),))
    assert post(witness, f"old 0\n\n{stranger.whole()}".encode())[0] == 403
    note = note_of(other, TreeHead(name, 1, root))
    wrong = Note(note.text, tuple(one._replace(raw=b"s" * 64) for one in note.signatures))
    assert post(witness, f"old 0\n\n{wrong.whole()}".encode())[0] == 403
    assert submit(witness, other, TreeHead(name, 0, root), 0)[0] == 422
    assert submit(witness, other, TreeHead(name, 1, root), 0, f"{write_hash(root)}\n")[0] == 422


def test_size_that_differs_is_answered_with_the_one_that_was_cosigned(
    other: District, witness: District
) -> None:
    name = origin(other)
    assert submit(witness, other, TreeHead(name, 0, EMPTY_ROOT), 0)[0] == 200
    assert submit(witness, other, TreeHead(name, 4, b"r" * 32), 0)[0] == 200
    status, answer = submit(witness, other, TreeHead(name, 9, b"s" * 32), 3)
    assert (status, answer.data) == (409, b"4\n")
    assert answer.headers["Content-Type"] == "text/x.tlog.size"
    assert submit(witness, other, TreeHead(name, 9, b"s" * 32), 4)[0] == 422
    status, answer = submit(witness, other, TreeHead(name, 4, b"r" * 32), 4)
    assert (status, answer.mimetype) == (200, "text/plain")
    assert answer.text.startswith(f"— {witnesses.witness_name(DISTRICT)} ")


def test_log_that_nobody_cosigned_is_not_found(other: District, witness: District) -> None:
    asking = create_app(witness.hub.settings, witness.hub).test_client()
    assert asking.get(f"{PREFIX}/{'0' * 64}/checkpoint").status_code == 404


def test_flood_of_one_address_is_slowed_down(other: District, witness: District) -> None:
    asking = create_app(witness.hub.settings, witness.hub).test_client()
    where = f"{PREFIX}/{'0' * 64}/checkpoint"
    assert asking.get(where).status_code == 404
    for address in api.BUDGET.left:  # as if this minute's were spent
        api.BUDGET.left[address] = (0.0, time.monotonic() + 3600)
    assert asking.get(where).status_code == 429


# -- one that is down --------------------------------------------------------------------------------


def test_witness_that_is_down_delays_nothing_and_is_told_after_a_day(
    installed: District, witness: District
) -> None:
    add(installed, "down", "http://127.0.0.1:9/api/v1/witness", *witnesses.cosigning_keys(witness.hub))
    tamper(
        installed, f"UPDATE witness SET added_at = '{datetime.now(UTC).isoformat(timespec='microseconds')}'"
    )
    assert scheduler.run_job(installed.hub, "sign-log", datetime.now(UTC))["checkpoint"] == 1
    assert jobs.ask_witnesses(installed.hub, installed.clock.now) == {"took": 0, "failed": 1}
    first = installed.actions(audit.OFFICE).count("witness.failed")
    assert jobs.ask_witnesses(installed.hub, installed.clock.now) == {"took": 0, "failed": 0}  # a pause
    client._pauses.clear()
    assert jobs.ask_witnesses(installed.hub, installed.clock.now) == {"took": 0, "failed": 1}
    assert installed.actions(audit.OFFICE).count("witness.failed") == first == 1
    assert ailments(installed) == {}
    assert ailments(installed, timedelta(hours=25)) == {
        "witnesses": ["down: ConnectionRefusedError, nothing yet"]
    }
    assert [name for name, _ in held(installed).silent] == ["down"]


def test_pause_after_a_failure_doubles_up_to_an_hour(on_sqlite: District, witness: District) -> None:
    down = add(on_sqlite, "down", "http://127.0.0.1:9", *witnesses.cosigning_keys(witness.hub))
    pauses = []
    for _ in range(6):
        client._pause(on_sqlite.hub, down)
        pauses.append(client._pauses[client._key(on_sqlite.hub, down)][0])
    assert pauses == [300, 600, 1200, 2400, 3600, 3600]


# -- a directory -------------------------------------------------------------------------------------


def test_directory_gets_every_checkpoint_and_the_log_is_held_against_it(
    installed: District, tmp_path: Path
) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    add(installed, "stick", str(stick))
    for _ in range(3):
        sign(installed)
        assert client.submit(installed.hub, installed.clock.now) == {"took": 1, "failed": 0}
    assert len(list(stick.iterdir())) == 3
    newest = client.newest_file(stick)
    assert newest is not None
    kept = read_kept(newest.read_bytes())
    assert kept.number == 3
    assert outside.read_checkpoint(stick) == kept
    assert held(installed).broken == []
    size = vouch(installed).size
    cut(installed, 2)
    assert held(installed).broken == [audit.Broken("witness/stick", size, "cut off")]
    sign(installed, entries=1)
    assert ask(installed, known(installed, "stick")) == witnesses.OTHER_COPY
    shutil.rmtree(stick)
    assert ask(installed, known(installed, "stick")) == "no-directory"
    assert not stick.exists()


# -- commands ----------------------------------------------------------------------------------------


def command(district: District, *arguments: Any) -> Any:
    environment = {
        "DATABASE_URL": district.hub.settings.database_url,
        "POSYANDU_KEY_FILE": str(district.hub.settings.key_file),
        "POSYANDU_DATA": str(district.hub.settings.data_dir),
    }
    return CliRunner(env=environment).invoke(main, [*map(str, arguments)])


def test_commands_add_list_submit_and_remove(log: District, witness: District, tmp_path: Path) -> None:
    keys = dict(line.split("\t") for line in command(witness, "witness", "keys").stdout.splitlines())
    assert Key.read(keys["log"]).name == origin(witness)
    assert Key.read(keys["witness"]).kind == 4
    assert command(log, "witness", "log", "add", keys["log"]).exit_code == 0
    assert f"log\t{cosigning.base_of(origin(witness))}\t-" in command(log, "witness", "list").stdout
    assert command(log, "witness", "add", "stick", tmp_path).exit_code == 0
    sign(log)
    done = command(log, "witness", "submit")
    assert (done.exit_code, done.stdout) == (0, "other\t2\tok\nstick\t2\tok\n")
    told = command(log, "witness", "list").stdout.splitlines()
    assert [line.split("\t")[1] for line in told] == ["other", "stick", cosigning.base_of(origin(witness))]
    done = command(log, "audit", "verify", "--ask-witnesses", "--checkpoint", tmp_path)
    assert done.exit_code == 0, done.output
    assert "other vouches up to " in done.stderr
    for name in ("other", "stick"):
        assert command(log, "witness", "remove", name).exit_code == 0
    assert command(log, "witness", "log", "remove", cosigning.base_of(origin(witness))).exit_code == 0
    assert command(log, "witness", "list").stdout == ""
    assert verified(log) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "a", "http://h"),
        ("add", "a", "http://h", "no key"),
        ("add", "a", "/nowhere/at/all"),
        ("add", "a", "https://", Key("a", 4, bytes(32)).text()),
        ("add", "a", "https://h", Key("a", 1, bytes(32)).text()),
        ("remove", "a"),
        ("submit",),
        ("log", "add", Key("a", 4, bytes(32)).text()),
        ("log", "remove", "a"),
    ],
)
def test_wrong_use_is_told(on_sqlite: District, arguments: tuple[str, ...]) -> None:
    done = command(on_sqlite, "witness", *arguments)
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("posyandu-sync: ")


def test_name_of_a_directory_is_not_that_of_a_server(on_sqlite: District, tmp_path: Path) -> None:
    add(on_sqlite, "a", str(tmp_path))
    with pytest.raises(witnesses.NoWitness):
        add(on_sqlite, "a", "http://h", Key("a", 4, bytes(32)))
    rows = on_sqlite.rows(select(Witness.public_keys))
    assert json.loads(rows[0][0]) == []
