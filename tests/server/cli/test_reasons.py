"""Who ran a command, and why, is in the log; what a command writes is its owner's alone."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from sqlalchemy import select

from server import audit
from server.audit import entry_hash
from server.cli import main
from server.config import operating_user
from server.database.models import AuditEntry, AuditStream
from tests.faults._running import COMMAND, ROOT, environment
from tests.server._district import DISTRICT, District, sqlite_connection
from tests.server.cli._call import call

REQUIRED = {"export sigizi", "export fhir", "rights export", "tablet whose-data", "key rotate", "key retire"}
"""Commands that are refused without a reason: names leave, or keys change."""
ASKED = {
    "flagged", "aid child", "import rows", "import cases",
    "quarantine list", "quarantine show", "conflict list", "conflict show", "duplicate list", "duplicate show",
    "user add", "user reset", "user disable", "user enable",
    "tablet enrol", "tablet pin-code", "tablet posts", "tablet revoke",
}  # fmt: skip
"""Those that show names or change access: a reason is asked for on a terminal."""
FREE = {
    "serve", "demo", "simulate", "backup", "restore", "doctor", "zscore", "completeness",
    "key list", "key wrap", "user list", "tablet list",
    "post add", "post list", "post rename", "post close", "post reopen",
    "child move", "quarantine release", "quarantine dismiss", "quarantine undo", "quarantine reopen",
    "conflict settle", "duplicate link", "duplicate unlink", "duplicate different", "duplicate reopen",
    "rights list", "import batch", "import sigizi", "import csr", "import runs", "import decide",
    "export csv", "export dhis2", "reports show", "reports refresh", "reports monev",
    "audit verify", "audit checkpoint", "audit export", "audit prove", "audit keys",
    "aid activities", "aid add-activity", "aid add-commitment", "aid add-donor", "aid assign",
    "aid change-commitment", "aid change-donor", "aid close", "aid commitments", "aid decide", "aid donors", "aid gap",
    "aid give", "aid progress", "aid proposals", "aid record", "aid sheets", "aid verify",
}  # fmt: skip
"""Those that show no name of a child and change nobody's access."""


def commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def place(district: District) -> dict[str, str]:
    settings = district.hub.settings
    where = {"POSYANDU_DATA": str(settings.data_dir), "POSYANDU_KEY_FILE": str(settings.key_file)}
    return {"DATABASE_URL": settings.database_url, **where}


def ran(district: District) -> list[tuple[str, dict[str, Any]]]:
    """Give who ran which command, as the log says."""
    found = district.rows(
        select(AuditEntry).where(AuditEntry.action == "command.run").order_by(AuditEntry.number)
    )
    return [(row.AuditEntry.actor, json.loads(row.AuditEntry.details)) for row in found]


def test_every_command_is_known_to_want_a_reason_or_not() -> None:
    """A new command is put into one of the three tables."""
    found = dict(commands(main))
    assert found.keys() == REQUIRED | ASKED | FREE
    wants = {name for name, command in found.items() if any("--reason" in one.opts for one in command.params)}
    decisions = {
        "quarantine dismiss",
        "conflict settle",
        "aid close",
    }  # whose own reason is part of the decision
    assert wants - decisions == REQUIRED | ASKED


def test_command_is_logged_with_its_user_and_reason(installed: District) -> None:
    env = place(installed)
    assert call("user", "list", env=env).exit_code == 0
    why = ("--reason", "  permintaan dinas 12/2026 ")
    assert call("tablet", "enrol", "--post", "Melati 1", "--name", "Tablet 1", *why, env=env).exit_code == 0
    who = f"operator:{operating_user({})}"
    assert ran(installed) == [
        (who, {"command": "user list"}),
        (who, {"command": "tablet enrol", "reason": "permintaan dinas 12/2026"}),
    ]
    actors = {row.actor for row in installed.rows(select(AuditEntry.actor))}
    assert "operator" not in actors
    assert not installed.broken_log()


def test_who_became_another_user_is_logged_too(on_sqlite: District) -> None:
    call("user", "list", env={**place(on_sqlite), "SUDO_USER": "budi"})
    assert ran(on_sqlite)[0][0] == f"operator:{operating_user({})}/budi"


@pytest.mark.parametrize("before", ["", "../x", "a b", "x" * 65, "Siti\nAminah"])
def test_what_is_no_user_is_not_logged_as_one(before: str) -> None:
    assert operating_user({"SUDO_USER": before}) == operating_user({})


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "sigizi"),
        ("export", "fhir"),
        ("rights", "export", "01900000-0000-7000-8000-00000000ffff"),
        ("tablet", "whose-data", "01900000-0000-7000-8000-00000000ffff"),
        ("key", "rotate"),
        ("key", "retire", "1", "--yes"),
    ],
)
def test_names_and_keys_want_a_reason(on_sqlite: District, arguments: tuple[str, ...]) -> None:
    refused = call(*arguments, env=place(on_sqlite))
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--reason TEXT" in refused.stderr
    assert ran(on_sqlite) == []


def test_export_without_names_wants_none(on_sqlite: District) -> None:
    for arguments in (("fhir", "--anonymous"), ("csv",)):
        assert call("export", *arguments, env=place(on_sqlite)).exit_code == 0


@pytest.mark.parametrize(
    "reason", ["", "  ", "x" * 201, "dua\nbaris", "NIK 6402062001260001", "0812-3456-7890"]
)
def test_reason_that_has_no_place_in_the_log_is_refused(on_sqlite: District, reason: str) -> None:
    assert call("user", "add", "x", "--reason", reason, env=place(on_sqlite)).exit_code == 2
    assert ran(on_sqlite) == []


def test_commands_that_only_examine_write_nothing(on_sqlite: District) -> None:
    before = on_sqlite.counts()
    for arguments in (("audit", "verify"), ("audit", "keys"), ("doctor", "--quick")):
        call(*arguments, env=place(on_sqlite))
    assert on_sqlite.counts() == before


def test_log_in_which_operators_have_no_name_still_verifies(on_sqlite: District) -> None:
    """As releases before this one have written it."""
    ((number, previous),) = on_sqlite.rows(
        select(AuditStream.entries, AuditStream.head_hash).where(AuditStream.stream == audit.OFFICE)
    )
    at = on_sqlite.clock.now
    hash_ = entry_hash(DISTRICT, audit.OFFICE, number + 1, at, "operator", "tablet.revoked", {}, previous)
    when = at.isoformat(timespec="microseconds")
    row = (DISTRICT, audit.OFFICE, number + 1, when, "operator", "tablet.revoked", "{}", hash_)
    with sqlite_connection(on_sqlite) as connection:
        connection.execute(
            "INSERT INTO audit_entry (district, stream, number, at, actor, action, details, hash)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        connection.execute(
            "UPDATE audit_stream SET entries = ?, head_hash = ? WHERE stream = ?",
            (number + 1, hash_, audit.OFFICE),
        )
    connection.close()
    assert call("audit", "verify", env=place(on_sqlite)).exit_code == 0
    call("user", "list", env=place(on_sqlite))
    assert not on_sqlite.broken_log()


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "sigizi", "--as", "csv", "--reason", "uji", "-o"),
        ("export", "sigizi", "--reason", "uji", "-o"),
        ("export", "fhir", "--reason", "uji", "-o"),
        ("export", "csv", "-o"),
        ("export", "dhis2", "2026-03", "-o"),
        ("audit", "export"),
        ("audit", "checkpoint"),
        ("backup",),
    ],
)
def test_written_file_is_its_owners_alone(
    on_sqlite: District, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """From its first byte on: the process creates no file that others may read."""
    file = tmp_path / "keluaran.xlsx"
    before = os.umask(0)
    try:
        done = call(*arguments, str(file), env=place(on_sqlite))
    finally:
        assert os.umask(before) == 0  # given back
    assert done.exit_code == 0, done.output
    assert file.stat().st_mode & 0o777 == 0o600


def test_reason_is_asked_for_on_a_terminal(on_sqlite: District) -> None:
    ours, theirs = os.openpty()
    command = [*COMMAND, "user", "disable", "tidak.ada"]
    told = {**environment(), **place(on_sqlite)}
    with os.fdopen(ours, "wb", buffering=0) as terminal:
        process = subprocess.Popen(
            command, stdin=theirs, stderr=theirs, env=told, cwd=ROOT
        )  # our own command
        os.close(theirs)
        terminal.write(b"pindah tugas\n")
        assert process.wait(60) == 2  # there is no such person
    assert [details for _, details in ran(on_sqlite)] == [
        {"command": "user disable", "reason": "pindah tugas"}
    ]
