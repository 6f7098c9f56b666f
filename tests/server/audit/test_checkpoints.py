"""Checkpoints of the log: what they say, that they only ever grow out of one another, and what somebody who kept one can
show with it, with the database, with an export and with a single proof."""

# ruff: noqa: S608 - the statements are an intruder's, and all of their parts are ours

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from sqlalchemy import select, text

from server import audit
from server.audit import checkpoints, proofs, verification
from server.audit.checkpoints import KeptCheckpoint, NotACheckpoint, read_kept
from server.audit.export import NotAnExport, lines, verify_export
from server.cli import main
from server.crypto.vault import Keys, Vault, checkpoint_signature_fits
from server.database.models import AuditCheckpoint, Notice
from server.operations import scheduler
from sync_protocol import canonical, digest
from tests.server._district import DISTRICT, District
from tests.server.audit._intruder import off, tamper

STREAM = "post/contoh"


def append(district: District, times: int = 1, stream: str = STREAM) -> None:
    for number in range(times):
        with district.hub.database.transaction() as session:
            audit.append(
                *(session, DISTRICT, stream, "test.done"),
                actor="operator",
                now=district.clock.now,
                details={"number": number},
            )


def sign(district: District) -> checkpoints.Checkpoint:
    with district.hub.database.transaction() as session:
        return checkpoints.make(session, district.hub, district.clock.now, actor="operator")


def keep(district: District, number: int | None = None) -> KeptCheckpoint:
    with district.hub.database.reading() as session:
        found = checkpoints.kept(session, district.hub, number)
    assert found is not None
    return read_kept(found.file())


def verified(district: District, kept: KeptCheckpoint | None = None) -> list[audit.Broken]:
    with district.hub.database.reading() as session:
        return audit.verify(session, DISTRICT, keys=district.hub.vault.checkpoint_keys(), kept=kept)[1]


def exported(district: District) -> list[bytes]:
    with district.hub.database.reading() as session:
        return list(lines(session, district.hub, district.clock.now))


@pytest.fixture
def signed(installed: District) -> District:
    """Give a log with three checkpoints, between which it grew, and entries after the last."""
    for _ in range(3):
        append(installed, 4)
        installed.clock.advance(hours=1)
        sign(installed)
    append(installed, 2)
    return installed


# -- what a checkpoint says -------------------------------------------------------------------------


def test_statement_tells_how_far_the_log_had_come(installed: District) -> None:
    append(installed, 3)
    made, kept = sign(installed), keep(installed)
    assert made.statement == kept.statement
    assert made.statement["number"] == 1
    assert made.statement["previous"] == ""
    assert made.statement["streams"] == len(kept.heads) == 4
    assert made.statement["entries"] == sum(head.entries for head in kept.heads) == 3 + 4
    assert {head.stream: head.entries for head in kept.heads}[STREAM] == 3
    assert installed.actions(audit.OFFICE)[-1] == "checkpoint.signed"


def test_next_checkpoint_names_the_one_before_and_only_what_moved_is_a_leaf(installed: District) -> None:
    first = sign(installed)
    append(installed, 1)
    second = sign(installed)
    assert second.statement["previous"] == digest(dict(first.statement))
    assert [leaf.stream for leaf in second.leaves] == [audit.OFFICE, STREAM]
    assert second.statement["leaves"] == first.statement["leaves"] + 2


def test_everybody_with_the_public_key_can_check_the_signature(installed: District) -> None:
    made = sign(installed)
    message = canonical(dict(made.statement))
    (id_, public), *_ = installed.hub.vault.checkpoint_keys().items()
    assert checkpoint_signature_fits(public, message, made.signatures[id_])
    assert not checkpoint_signature_fits(public, message + b" ", made.signatures[id_])
    assert not checkpoint_signature_fits("AAAA", message, made.signatures[id_])


def test_checkpoint_after_a_rotation_is_signed_with_the_older_key_too() -> None:
    one = Vault(Keys({1: b"1" * 32}, b"i" * 32, "s"), DISTRICT)
    two = Vault(Keys({1: b"1" * 32, 2: b"2" * 32}, b"i" * 32, "s"), DISTRICT)
    assert list(two.checkpoint_keys())[1:] == list(one.checkpoint_keys())
    signatures, message = two.sign_checkpoint(b"x"), b"x"
    for id_, public in {**one.checkpoint_keys(), **two.checkpoint_keys()}.items():
        assert checkpoint_signature_fits(public, message, signatures[id_])


def test_keys_of_two_districts_differ() -> None:
    keys = Keys({1: b"1" * 32}, b"i" * 32, "s")
    assert Vault(keys, "64.02").checkpoint_keys() != Vault(keys, "64.03").checkpoint_keys()


def test_nothing_is_signed_when_a_stream_was_cut_shorter_than_a_checkpoint_says(signed: District) -> None:
    tamper(
        signed,
        f"DELETE FROM audit_entry WHERE stream = '{STREAM}' AND number > 10",
        f"UPDATE audit_stream SET entries = 10, head_hash = (SELECT hash FROM audit_entry WHERE stream = '{STREAM}'"
        f" AND number = 10) WHERE stream = '{STREAM}'",
    )
    with pytest.raises(checkpoints.LogTurnedBack, match=STREAM):
        sign(signed)


def test_nothing_is_signed_when_a_stream_is_gone(signed: District) -> None:
    tamper(
        signed,
        *off(signed),
        f"DELETE FROM audit_entry WHERE stream = '{STREAM}'",
        f"DELETE FROM audit_stream WHERE stream = '{STREAM}'",
    )
    with pytest.raises(checkpoints.LogTurnedBack):
        sign(signed)


# -- the database against a checkpoint --------------------------------------------------------------


def test_honest_log_that_grew_fits_every_checkpoint_that_was_kept(signed: District) -> None:
    for number in (1, 2, 3):
        assert verified(signed, keep(signed, number)) == []


def rewrite(district: District, first: int) -> None:
    """Alter an entry and hash everything after it anew, as somebody who knows this program would."""
    with district.hub.database.reading() as session:
        rows = [row for row in verification.entries_of(session, DISTRICT) if row[0] == STREAM]
    previous, statements = "", []
    for _, number, at, actor, action, details, hash_ in rows:
        if number >= first:
            actor = "account:nobody" if number == first else actor
            moment = datetime.fromisoformat(at)
            content = (moment, actor, action, json.loads(details), previous)
            hash_ = audit.entry_hash(DISTRICT, STREAM, number, *content)
            statements.append(
                f"UPDATE audit_entry SET actor = '{actor}', hash = '{hash_}'"
                f" WHERE stream = '{STREAM}' AND number = {number}"
            )
        previous = hash_
    head = f"UPDATE audit_stream SET head_hash = '{previous}' WHERE stream = '{STREAM}'"
    tamper(district, *statements, head)


def test_rewritten_tail_is_found_between_two_checkpoints(signed: District) -> None:
    rewrite(signed, 6)
    assert verified(signed) == [audit.Broken(STREAM, 5, "rewritten", 8)]


def test_rewritten_tail_is_found_by_the_kept_checkpoint_alone_when_the_stored_ones_are_gone(
    signed: District,
) -> None:
    kept = keep(signed)
    rewrite(signed, 6)
    tamper(signed, "DELETE FROM audit_leaf", "DELETE FROM audit_checkpoint")
    assert verified(signed) == []
    assert verified(signed, kept) == [
        audit.Broken(STREAM, 1, "rewritten", 12),
        audit.Broken("checkpoint", 1, "cut off"),
    ]


def test_cut_stream_is_found_when_its_head_was_turned_back_too(signed: District) -> None:
    kept = keep(signed)
    tamper(
        signed,
        f"DELETE FROM audit_entry WHERE stream = '{STREAM}' AND number > 10",
        f"UPDATE audit_stream SET entries = 10, head_hash = (SELECT hash FROM audit_entry WHERE stream = '{STREAM}'"
        f" AND number = 10) WHERE stream = '{STREAM}'",
    )
    assert verified(signed, kept) == [audit.Broken(STREAM, 11, "cut off")]


@pytest.mark.parametrize(
    ("change", "number", "what"),
    [
        ("DELETE FROM audit_checkpoint WHERE number = 2", 2, "removed"),
        ("DELETE FROM audit_checkpoint WHERE number = 3", 3, "removed"),
        (
            "UPDATE audit_checkpoint SET statement = replace(statement, '64.02', '64.03') WHERE number = 2",
            2,
            "altered",
        ),
        ("UPDATE audit_checkpoint SET signatures = '{}' WHERE number = 1", 1, "altered"),
        ("UPDATE audit_checkpoint SET signatures = 'x' WHERE number = 1", 1, "altered"),
        ("UPDATE audit_checkpoint SET peaks = '[]' WHERE number = 3", 3, "altered"),
        ("UPDATE audit_leaf SET entries = entries + 1 WHERE checkpoint = 2", 2, "altered"),
        ("UPDATE audit_leaf SET hash = 'x' WHERE checkpoint = 3", 3, "altered"),
        (f"DELETE FROM audit_leaf WHERE checkpoint = 2 AND stream = '{STREAM}'", 2, "altered"),
    ],
)
def test_altered_checkpoint_is_named(signed: District, change: str, number: int, what: str) -> None:
    tamper(signed, *off(signed), change)
    assert verified(signed) == [audit.Broken("checkpoint", number, what)]


def test_checkpoints_cut_off_are_found_by_the_one_that_was_kept(signed: District) -> None:
    kept = keep(signed)
    tamper(
        signed, "DELETE FROM audit_leaf WHERE checkpoint = 3", "DELETE FROM audit_checkpoint WHERE number = 3"
    )
    assert verified(signed) == []
    assert verified(signed, kept) == [audit.Broken("checkpoint", 3, "cut off")]


def test_checkpoint_signed_by_a_strangers_key_is_no_checkpoint(signed: District) -> None:
    stranger = Vault(Keys({1: b"x" * 32}, b"i" * 32, "s"), DISTRICT)
    row = signed.rows(select(AuditCheckpoint.statement).where(AuditCheckpoint.number == 3))[0]
    statement = json.loads(row.statement) | {"keys": list(stranger.checkpoint_keys())}
    forged = canonical(statement).decode()
    signatures = canonical(stranger.sign_checkpoint(canonical(statement))).decode()
    tamper(
        signed,
        f"UPDATE audit_checkpoint SET statement = '{forged}', signatures = '{signatures}' WHERE number = 3",
    )
    assert verified(signed) == [audit.Broken("checkpoint", 3, "altered")]


@pytest.mark.parametrize("part", ["statement", "signatures", "public_keys", "heads", "kind"])
def test_kept_checkpoint_that_was_altered_is_refused(signed: District, part: str) -> None:
    content = json.loads(keep(signed).file())
    spoilt = {
        "statement": {**content["statement"], "entries": 1},
        "signatures": dict.fromkeys(content["signatures"], "A" * 86),
        "public_keys": dict.fromkeys(content["public_keys"], "A" * 43),
        "heads": content["heads"][1:],
        "kind": "posyandu-sync.other",
    }
    with pytest.raises(NotACheckpoint):
        read_kept(json.dumps({**content, part: spoilt[part]}).encode())


# -- what was written since -------------------------------------------------------------------------


def tail(district: District, limit: int = 1000) -> verification.Tail:
    with district.hub.database.reading() as session:
        return verification.verify_tail(session, DISTRICT, limit)


def test_tail_is_what_was_written_since_the_checkpoint(signed: District) -> None:
    assert tail(signed) == verification.Tail(2 + 1, 0, [])  # the checkpoint's own entry is the third
    sign(signed)
    assert tail(signed) == verification.Tail(1, 0, [])


def test_tail_is_bounded_and_says_what_is_left(signed: District) -> None:
    append(signed, 10)
    assert tail(signed, 4) == verification.Tail(4, 9, [])


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("UPDATE audit_entry SET actor = 'x' WHERE stream = :s AND number = 14", (14, "altered")),
        ("DELETE FROM audit_entry WHERE stream = :s AND number = 13", (13, "removed")),
        ("DELETE FROM audit_entry WHERE stream = :s AND number > 12", (13, "cut off")),
        ("UPDATE audit_stream SET entries = 12 WHERE stream = :s", (13, "inserted")),
        ("UPDATE audit_stream SET entries = 11 WHERE stream = :s", (12, "inserted")),
    ],
)
def test_altered_tail_is_named(signed: District, change: str, broken: tuple[int, str]) -> None:
    tamper(signed, change.replace(":s", f"'{STREAM}'"))
    assert tail(signed).broken == [audit.Broken(STREAM, *broken)]


# -- jobs -------------------------------------------------------------------------------------------


def test_job_signs_and_says_how_much(installed: District) -> None:
    result = scheduler.run_job(installed.hub, "sign-log", installed.clock.now)
    assert result == {"checkpoint": 1, "entries": 4, "broken": 0}
    assert scheduler.run_job(installed.hub, "sign-log", installed.clock.now)["checkpoint"] == 2
    assert verified(installed, keep(installed)) == []


def test_job_signs_nothing_of_a_broken_log_and_raises_a_notice(signed: District) -> None:
    tamper(signed, f"UPDATE audit_entry SET actor = 'x' WHERE stream = '{STREAM}' AND number = 14")
    assert scheduler.run_job(signed.hub, "sign-log", signed.clock.now) == {"broken": 1, "entries": 2}
    assert keep(signed).number == 3
    assert [(row.kind, row.subject) for row in signed.rows(select(Notice.kind, Notice.subject))] == [
        ("log-broken", STREAM)
    ]


def test_job_verifies_everything_and_takes_the_notice_down_again(signed: District) -> None:
    where = f"WHERE stream = '{STREAM}' AND number = 3"
    tamper(signed, f"UPDATE audit_entry SET actor = 'x' || actor {where}")
    assert scheduler.run_job(signed.hub, "verify-log", signed.clock.now)["broken"] == 1
    assert [row.subject for row in signed.rows(select(Notice.subject))] == [STREAM]
    tamper(signed, f"UPDATE audit_entry SET actor = substr(actor, 2) {where}")
    assert scheduler.run_job(signed.hub, "verify-log", signed.clock.now)["broken"] == 0
    assert signed.rows(select(Notice.subject)) == []


# -- exports ----------------------------------------------------------------------------------------


def test_export_of_an_honest_log_verifies_without_a_database(signed: District) -> None:
    kept = keep(signed)
    append(signed, 3)
    found = verify_export(exported(signed), kept=kept)
    assert found.broken == []
    assert found.checkpoints == 3
    assert found.entries == signed.counts()["audit_entry"]
    assert found.keys == signed.hub.vault.checkpoint_keys()


def spoilt(raw: list[bytes], how: str) -> list[bytes]:
    """Do something to an export, at the third entry of STREAM."""
    at = next(
        i
        for i, line in enumerate(raw)
        if b'"entry"' in line and (e := orjson.loads(line))["stream"] == STREAM and e["number"] == 3
    )
    return {
        "altered": lambda: [*raw[:at], raw[at].replace(b"operator", b"somebody"), *raw[at + 1 :]],
        "removed": lambda: [*raw[:at], *raw[at + 1 :]],
        "inserted": lambda: [*raw[:at], raw[at - 1], *raw[at:]],
        "reordered": lambda: [*raw[:at], raw[at + 1], raw[at], *raw[at + 2 :]],
    }[how]()


@pytest.mark.parametrize("how", ["altered", "removed", "inserted", "reordered"])
def test_entry_of_an_export_that_does_not_fit_is_named(signed: District, how: str) -> None:
    found = verify_export(spoilt(exported(signed), how), kept=keep(signed))
    assert found.broken[0] == audit.Broken(STREAM, 3, how)


def test_end_of_an_export_that_is_missing_is_noticed(signed: District) -> None:
    raw = exported(signed)
    assert verify_export(raw[:-1]).broken == [audit.Broken("export", len(raw), "cut off")]
    assert audit.Broken(STREAM, 14, "cut off") in verify_export(raw[:-2]).broken


def test_every_line_of_an_export_counts(signed: District) -> None:
    raw, kept = exported(signed), keep(signed)
    for number in range(1, len(raw)):
        assert verify_export([*raw[:number], *raw[number + 1 :]], kept=kept).broken, raw[number]
        assert verify_export([*raw[:number], b"{}\n", *raw[number + 1 :]], kept=kept).broken, raw[number]
        assert verify_export([*raw[:number], b"\xff\n", *raw[number + 1 :]], kept=kept).broken, raw[number]


def test_something_else_is_no_export() -> None:
    for raw in ([], [b"x"], [b"{}"], [b'{"kind":"posyandu-sync.log","v":2}'], [b"[]"]):
        with pytest.raises(NotAnExport):
            verify_export(raw)


def test_stored_details_that_are_no_json_are_exported_and_named(signed: District) -> None:
    tamper(signed, f"UPDATE audit_entry SET details = 'gone' WHERE stream = '{STREAM}' AND number = 3")
    assert verify_export(exported(signed)).broken == [audit.Broken(STREAM, 3, "altered")]


# -- proofs -----------------------------------------------------------------------------------------


def test_every_entry_that_a_checkpoint_covers_can_be_proven(signed: District) -> None:
    with signed.hub.database.reading() as session:
        for number in range(1, 13):
            proof = json.loads(json.dumps(proofs.prove_entry(session, signed.hub, STREAM, number)))
            assert proofs.holds(proof)
            assert len(proof["entries"]) <= 4
        with pytest.raises(proofs.NoProof):
            proofs.prove_entry(session, signed.hub, STREAM, 13)


def parts_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the way to every text and number within some JSON."""
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from parts_of(part, (*path, key))
    else:
        yield path


def test_proof_of_an_entry_holds_for_nothing_else(signed: District) -> None:
    with signed.hub.database.reading() as session:
        proof = json.loads(json.dumps(proofs.prove_entry(session, signed.hub, STREAM, 6)))
    for *way, last in parts_of(proof):
        bent = copy.deepcopy(proof)
        place = bent
        for key in way:
            place = place[key]
        place[last] = place[last] + 1 if isinstance(place[last], int) else place[last] + "x"
        assert not proofs.holds(bent), (way, last)


def test_growth_between_any_two_checkpoints_can_be_proven(signed: District) -> None:
    first, third = keep(signed, 1), keep(signed, 3)
    with signed.hub.database.reading() as session:
        proof = json.loads(json.dumps(proofs.prove_growth(session, signed.hub, 1)))
    assert proofs.holds(proof, noted=first)
    assert not proofs.holds(proof, noted=third)
    assert not proofs.holds({**proof, "path": proof["path"][1:]})
    assert not proofs.holds({})


# -- commands ---------------------------------------------------------------------------------------


def command(district: District, *arguments: Any) -> Any:
    environment = {
        "DATABASE_URL": district.hub.settings.database_url,
        "POSYANDU_KEY_FILE": str(district.hub.settings.key_file),
        "POSYANDU_DATA": str(district.hub.settings.data_dir),
    }
    return CliRunner(env=environment).invoke(main, ["audit", *map(str, arguments)])


def test_commands_sign_export_prove_and_verify(signed: District, tmp_path: Path) -> None:
    checkpoint, export, proof = tmp_path / "c.json", tmp_path / "log.jsonl", tmp_path / "proof.json"
    assert command(signed, "checkpoint", checkpoint).exit_code == 0
    assert command(signed, "export", export).exit_code == 0
    assert command(signed, "prove", STREAM, 3, "-o", proof).exit_code == 0
    assert command(signed, "verify", "--checkpoint", checkpoint).exit_code == 0
    nowhere = CliRunner(env={"POSYANDU_DATA": str(tmp_path / "none"), "DATABASE_URL": ""})
    for given in (["--export", str(export)], ["--proof", str(proof)]):
        done = nowhere.invoke(main, ["audit", "verify", *given, "--checkpoint", str(checkpoint)])
        assert done.exit_code == 0, done.output
    assert command(signed, "keys").stdout.split()[0] in signed.hub.vault.checkpoint_keys()
    rewrite(signed, 6)
    found = command(signed, "verify", "--checkpoint", checkpoint)
    assert found.exit_code == 1
    assert found.stdout == f"{STREAM}: entries 5 to 8 were rewritten\n"


def test_checkpoint_can_be_had_again_without_signing(signed: District) -> None:
    done = command(signed, "checkpoint", "--last")
    assert json.loads(done.stdout)["statement"]["number"] == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("prove",),
        ("prove", STREAM),
        ("prove", STREAM, "3", "--since", "1"),
        ("prove", STREAM, "999"),
        ("prove", "--since", "99"),
    ],
)
def test_wrong_use_is_told(signed: District, arguments: tuple[str, ...]) -> None:
    assert command(signed, *arguments).exit_code == 2


def test_file_that_is_none_is_told(on_sqlite: District, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"{}")
    for option in ("--checkpoint", "--export", "--proof"):
        assert command(on_sqlite, "verify", option, wrong).exit_code in (1, 2)
    assert command(on_sqlite, "checkpoint", "--last").exit_code == 2
    assert command(on_sqlite, "verify", "--export", wrong, "--proof", wrong).exit_code == 2


def test_checkpoint_is_not_signed_by_command_when_the_log_is_broken(signed: District) -> None:
    tamper(signed, f"UPDATE audit_entry SET actor = 'x' WHERE stream = '{STREAM}' AND number = 14")
    done = command(signed, "checkpoint")
    assert done.exit_code == 1
    assert "entry 14 was altered" in done.stderr


def test_old_checkpoint_is_told_by_doctor(signed: District) -> None:

    from server.operations.doctor import examine

    def found(hours: int) -> list[str]:
        later = datetime.now(UTC) + timedelta(hours=hours)
        told = examine(signed.hub.settings, now=later, quick=True, progress=lambda *_: None)
        return [check.name for check in told if not check.is_ok]

    assert found(1) == []
    assert "checkpoint" in found(25)


def test_newest_checkpoint_is_signed_again_after_a_restore_under_the_new_incarnation(
    signed: District,
) -> None:
    backup = signed.back_up()
    signed.restore(backup)
    made = sign(signed)
    incarnations = [
        json.loads(row.statement)["incarnation"]
        for row in signed.rows(select(AuditCheckpoint.statement).order_by(AuditCheckpoint.number))
    ]
    assert made.number == 4
    assert incarnations[3] != incarnations[2]
    assert verified(signed, keep(signed, 3)) == []
    assert signed.rows(text("SELECT count(*) FROM audit_checkpoint"))[0][0] == 4
