"""The commands that people script against: exit codes 0, 1 and 2, data on standard output, words on standard error."""

import csv
import io
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import select

from server.database.models import Account, EnrolmentCode
from tests.faults._running import COMMAND, ROOT, environment, free_port
from tests.server._district import DISTRICT, FIRST_POST, District, sqlite_connection, sqlite_file
from tests.server.cli._call import call

HEADER = "sex,age,age_unit,weight,lenhei,measure\n"
GOOD = "1,365,d,9.6,75.7,l\n"
PASSWORD = "kata-sandi-uji-coba"


def run(*arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Call a command in a process of its own."""
    command = [*COMMAND, *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, env=environment(), cwd=ROOT, check=False)


@pytest.fixture
def place(installed: District) -> dict[str, str]:
    """Give the environment in which commands find the district."""
    settings = installed.hub.settings
    where = {"POSYANDU_DATA": str(settings.data_dir), "POSYANDU_KEY_FILE": str(settings.key_file)}
    return {"DATABASE_URL": settings.database_url, **where}


@pytest.fixture
def sqlite_place(on_sqlite: District) -> dict[str, str]:
    """Give the same for a district on SQLite."""
    settings = on_sqlite.hub.settings
    where = {"POSYANDU_DATA": str(settings.data_dir), "POSYANDU_KEY_FILE": str(settings.key_file)}
    return {"DATABASE_URL": settings.database_url, **where}


def refused(result: Result) -> str:
    """Give the one line of a wrong use: exit 2, nothing on standard output."""
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert result.stderr.startswith("posyandu-sync: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("posyandu-sync: ").strip()


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# -- zscore ---------------------------------------------------------------------------------------


def test_zscore_reads_a_file_and_writes_a_file(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(HEADER + GOOD)
    result = call("zscore", str(tmp_path / "in.csv"), "-o", str(tmp_path / "out.csv"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "1 rows, 1 scored, 0 refused\n"
    assert rows((tmp_path / "out.csv").read_text())[0]["zlen"] == "-0.02"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


@pytest.mark.parametrize("arguments", [[], ["-"], ["-", "-o", "-"]])
def test_zscore_reads_and_writes_pipes(arguments: list[str]) -> None:
    done = run("zscore", *arguments, stdin=(HEADER + GOOD).encode())
    assert done.returncode == 0
    assert rows(done.stdout.decode())[0]["fwei"] == "0"
    assert done.stderr == b"1 rows, 1 scored, 0 refused\n"


def test_zscore_exits_1_and_tells_row_column_and_reason_when_a_row_is_bad() -> None:
    result = call("zscore", stdin=(HEADER + GOOD + '1,365,d,"9,6",75.7,l\n').encode())
    assert result.exit_code == 1
    assert "baris 3, kolom weight: '9,6' [decimal-comma]" in result.stderr
    assert result.stderr.endswith("2 rows, 1 scored, 1 refused\n")
    assert [row["zwei"] != "" for row in rows(result.stdout)] == [True, False]


def test_zscore_tells_of_a_thousand_bad_rows_and_counts_the_others() -> None:
    result = call("zscore", stdin=(HEADER + "7,365,d,9.6,75.7,l\n" * 1005).encode())
    assert result.exit_code == 1
    assert result.stderr.count("[sex-code]") == 1000
    assert result.stderr.splitlines()[-2] == "... and 5 more"
    assert len(rows(result.stdout)) == 1005


@pytest.mark.parametrize("content", [b"", b"\n", b"name,weight\nx,1\n", b"sex,sex,age\n1,1,3\n"])
def test_zscore_exits_2_when_the_file_as_a_whole_cannot_be_read(content: bytes) -> None:
    assert refused(call("zscore", stdin=content)) != ""


def test_zscore_exits_2_when_there_is_no_such_file(tmp_path: Path) -> None:
    missing = tmp_path / "none.csv"
    assert refused(call("zscore", str(missing))) == f"{missing}: No such file or directory"
    assert refused(call("zscore", str(tmp_path))) == f"{tmp_path}: Is a directory"


def test_zscore_exits_2_when_it_cannot_write_there(tmp_path: Path) -> None:
    result = call("zscore", "-o", str(tmp_path / "none" / "out.csv"), stdin=(HEADER + GOOD).encode())
    assert "No such file or directory" in refused(result)


@pytest.mark.parametrize("name", ["in.csv", "./in.csv", "link.csv", "hard.csv"])
def test_zscore_refuses_to_write_over_its_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.csv").write_text(HEADER + GOOD)
    Path("link.csv").symlink_to("in.csv")
    Path("hard.csv").hardlink_to("in.csv")
    assert (
        refused(call("zscore", "in.csv", "-o", name)) == f"{name} is the input: name another file to write to"
    )
    assert Path("in.csv").read_text() == HEADER + GOOD


def test_zscore_refuses_to_write_over_its_input_when_the_shell_opened_it(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(HEADER + GOOD)
    command = [*COMMAND, "zscore", "-o", str(path)]
    with path.open("rb") as stdin:
        done = subprocess.run(
            command, stdin=stdin, capture_output=True, env=environment(), cwd=ROOT, check=False
        )
    with path.open("ab") as stdout:
        command = [*COMMAND, "zscore", str(path)]
        grown = subprocess.run(
            command, stdout=stdout, stderr=subprocess.PIPE, env=environment(), cwd=ROOT, check=False
        )
    assert (done.returncode, grown.returncode) == (2, 2)
    assert path.read_text() == HEADER + GOOD


def test_zscore_leaves_an_older_output_as_it_was_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("older")
    assert refused(call("zscore", "-o", str(path), stdin=b"")) != ""
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_zscore_writes_into_a_named_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    command = [*COMMAND, "zscore", "-o", str(tmp_path / "pipe")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(), cwd=ROOT
    ) as process:
        assert process.stdin is not None
        process.stdin.write((HEADER + GOOD).encode())
        process.stdin.close()
        assert len(rows((tmp_path / "pipe").read_text())) == 1
    assert process.returncode == 0


def test_zscore_says_nothing_when_whoever_reads_has_seen_enough(tmp_path: Path) -> None:
    path = tmp_path / "big.csv"
    path.write_text(HEADER + GOOD * 50_000)
    with subprocess.Popen(
        [*COMMAND, "zscore", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"sex,age")
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 1  # not all was written


def test_zscore_loads_no_database_and_no_web_framework() -> None:
    program = (
        "import sys\nfrom server.cli import main\n"
        "try:\n    main(['zscore'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'sqlalchemy', 'flask', 'alembic', 'cryptography', 'apscheduler'} & sys.modules.keys()),"
        " 'numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=(HEADER + GOOD).encode(),
        capture_output=True,
        env=environment(),
        cwd=ROOT,
        check=True,
    )
    assert done.stdout.decode().splitlines()[-1] == "[] True"


# -- wrong use ------------------------------------------------------------------------------------

COMMANDS = [
    ["flagged"],
    ["tablet", "list"],
    ["tablet", "enrol", "--post", FIRST_POST, "--name", "Tablet Contoh"],
    ["tablet", "revoke", "01900000-0000-7000-8000-000000000001"],
    ["quarantine", "list"],
    ["quarantine", "show", "01900000-0000-7000-8000-000000000001", "1"],
    ["quarantine", "release", "01900000-0000-7000-8000-000000000001", "1"],
    ["quarantine", "dismiss", "01900000-0000-7000-8000-000000000001", "1", "--reason", "practice"],
    ["quarantine", "reopen", "01900000-0000-7000-8000-000000000001", "1"],
    ["quarantine", "undo", "01900000-0000-7000-8000-000000000001", "1"],
    ["conflict", "list"],
    ["conflict", "show", "child", "01900000-0000-7000-8000-000000000001"],
    ["child", "move", "01900000-0000-7000-8000-000000000001", "--to", FIRST_POST],
    ["user", "list"],
    ["user", "add", "petugas", "--name", "Petugas Contoh", "--role", "staff", "--password", PASSWORD],
    ["user", "disable", "petugas"],
    ["user", "enable", "petugas"],
    ["user", "reset", "petugas"],
    ["audit", "verify"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_command_exits_2_with_the_remedy_when_there_is_no_installation(
    tmp_path: Path, command: list[str]
) -> None:
    words = refused(call(*command, "--data", str(tmp_path / "none")))
    assert words == (
        f"there is no installation in {tmp_path / 'none'}: start one with 'serve --data DIR' or 'demo'"
    )
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_command_exits_2_in_one_line_when_the_database_is_out_of_reach(
    tmp_path: Path, command: list[str]
) -> None:
    url = f"postgresql://somebody:secret@127.0.0.1:{free_port()}/posyandu"
    words = refused(call(*command, env={"DATABASE_URL": url, "POSYANDU_DATA": str(tmp_path)}))
    assert words.startswith("the database cannot be used: ")
    assert "secret" not in words


def test_serve_exits_2_in_one_line_when_the_database_is_out_of_reach(tmp_path: Path) -> None:
    url = f"postgresql://somebody:secret@127.0.0.1:{free_port()}/posyandu"
    result = call("serve", f"--port={free_port()}", env={"DATABASE_URL": url, "POSYANDU_DATA": str(tmp_path)})
    assert refused(result).startswith("the database cannot be used: ")


def test_serve_exits_2_when_its_place_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    inside = tmp_path / "file" / "place"
    assert (
        refused(call("serve", f"--port={free_port()}", "--data", str(inside))) == f"{inside}: Not a directory"
    )


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_server_exits_2_and_makes_nothing_when_its_port_is_taken(tmp_path: Path, command: str) -> None:
    place = tmp_path / "new"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = refused(call(command, f"--port={port}", "--data", str(place)))
    assert words.startswith(
        f"cannot listen on 127.0.0.1 port {port} (Address already in use): choose another"
    )
    assert not place.exists()


def test_server_exits_2_when_its_host_is_not_here(tmp_path: Path) -> None:
    result = call("serve", "--host=192.0.2.7", f"--port={free_port()}", "--data", str(tmp_path))
    assert "cannot listen on 192.0.2.7" in refused(result)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSYANDU_DISTRICT", "Kukar"),
        ("POSYANDU_TIME_ZONE", "Asia/Kukar"),
        ("POSYANDU_LOG_LEVEL", "chatty"),
        ("POSYANDU_MAX_CHANGES", "201"),
        ("POSYANDU_MAX_BODY_BYTES", "99999999999"),
        ("POSYANDU_SESSION_MINUTES", "0"),
        ("POSYANDU_TABLET_SILENT_DAYS", "9" * 5000),
        ("POSYANDU_COOKIE_SECURE", "perhaps"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "mysql://u:secret@host/db"),
        ("DATABASE_URL", "postgresql://u:secret@host:port/db"),
        ("DATABASE_URL", "sqlite:///:memory:"),
    ],
)
@pytest.mark.parametrize("command", ["serve", "flagged"])
def test_command_exits_2_naming_the_setting_when_one_is_nonsense(command: str, name: str, value: str) -> None:
    words = refused(call(command, env={name: value}))
    assert words.startswith(f"{name} is ")
    assert ": give a" in words
    assert "secret" not in words


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["flagged", "--format", "xml"],
        ["flagged", "--urgency", "5"],
        ["flagged", "--limit", "0"],
        ["serve", "--port", "0"],
        ["tablet", "enrol"],
        ["tablet", "revoke", "not-an-id"],
        ["tablet", "enrol", "--post", FIRST_POST, "--name", "two\nlines"],
        ["tablet", "enrol", "--post", FIRST_POST, "--name", "  "],
        ["user", "add", "petugas", "--name", "Petugas", "--role", "king", "--password", PASSWORD],
        ["zscore", "a", "b"],
        ["simulate", "none.csv", "--server", "http://127.0.0.1:1"],
    ],
    ids=" ".join,
)
def test_command_exits_2_when_its_arguments_are_wrong(arguments: list[str]) -> None:
    result = call(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr


def test_command_exits_2_when_the_database_is_of_another_release(
    on_sqlite: District, sqlite_place: dict[str, str]
) -> None:
    with closing(sqlite_connection(on_sqlite)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'older'")
    assert "another release" in refused(call("user", "list", env=sqlite_place))


def test_command_exits_2_when_the_file_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "posyandu.db").write_text("no database at all, but long enough to look at" * 100)
    words = refused(call("audit", "verify", "--data", str(tmp_path)))
    assert words == "the database cannot be used: file is not a database"


def test_command_exits_2_when_the_keys_are_missing(on_sqlite: District, tmp_path: Path) -> None:
    env = {"DATABASE_URL": on_sqlite.hub.settings.database_url, "POSYANDU_KEY_FILE": str(tmp_path / "none")}
    assert refused(call("user", "list", env=env)).startswith(f"there is no key file {tmp_path / 'none'}: ")


def test_command_exits_2_when_the_district_is_another(sqlite_place: dict[str, str]) -> None:
    """Else `audit verify` would find nothing, and nothing wrong with it."""
    result = call("audit", "verify", env={**sqlite_place, "POSYANDU_DISTRICT": "64.03"})
    assert refused(result) == "district 64.03 is not installed here: set POSYANDU_DISTRICT"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["tablet", "-h"], ["zscore", "--help"]])
def test_help_is_data(arguments: list[str]) -> None:
    result = call(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout


# -- the queue ------------------------------------------------------------------------------------


@pytest.fixture
def flagged_child(installed: District) -> str:
    """Give a child who is far too light."""
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, "2026-03-05", weight_g=6000, length_mm=790)
    tablet.sync_until_quiet()
    return child


def test_queue_is_listed_as_a_table(place: dict[str, str], flagged_child: str) -> None:
    result = call("flagged", env=place)
    assert (result.exit_code, result.stderr) == (0, "")
    head, row = result.stdout.splitlines()
    assert head.split()[:2] == ["urgency", "name"]
    assert row.startswith("1 ")
    assert "Anak Contoh" in row
    assert flagged_child not in row


def test_queue_is_listed_as_csv_and_as_json(place: dict[str, str], flagged_child: str) -> None:
    from_csv = list(csv.DictReader(io.StringIO(call("flagged", "--format", "csv", env=place).stdout)))
    from_json = json.loads(call("flagged", "--format", "json", env=place).stdout)
    assert [row["child_id"] for row in from_csv] == [row["child_id"] for row in from_json] == [flagged_child]
    assert from_csv[0]["urgency"] == "1"
    assert from_json[0]["urgency"] == 1


def test_queue_is_narrowed_and_its_export_is_logged(
    installed: District, place: dict[str, str], flagged_child: str
) -> None:
    def found(*arguments: str) -> list[str]:
        result = call("flagged", "--format", "json", *arguments, env=place)
        assert result.exit_code == 0
        return [row["child_id"] for row in json.loads(result.stdout)]

    assert found("--post", FIRST_POST.upper(), "--urgency", "1", "--limit", "1") == [flagged_child]
    assert found("--post", installed.posts[1]) == []
    assert found("--urgency", "4") == []
    assert installed.actions("office")[-6:] == ["command.run", "queue.exported"] * 3


@pytest.mark.parametrize("post", ["Mawar 9", "x" * 36, "01900000-0000-7000-8000-000000000001", ""])
def test_queue_of_a_post_that_is_not_there_is_refused(place: dict[str, str], post: str) -> None:
    result = call("flagged", "--post", post, env=place)
    if post:
        remedy = "'post add' makes one, 'post list' shows those that are here"
        assert refused(result) == f"there is no post {post!r}: {remedy}"
    else:
        assert result.exit_code == 0


# -- tablets --------------------------------------------------------------------------------------


def test_enrolment_code_is_printed_alone_and_stored_as_a_digest(
    installed: District, place: dict[str, str]
) -> None:
    result = call("tablet", "enrol", "--post", FIRST_POST, "--name", " Tablet Baru ", env=place)
    assert (result.exit_code, result.stderr) == (0, "")
    code = result.stdout.strip()
    assert [len(part) for part in code.split("-")] == [4, 4, 5]
    stored = installed.rows(select(EnrolmentCode.tablet_name, EnrolmentCode.code_digest))
    assert [row.tablet_name for row in stored] == ["Tablet Baru"]
    assert code not in stored[0].code_digest


def test_enrolment_code_is_marked_when_the_device_only_sends(
    installed: District, place: dict[str, str]
) -> None:
    result = call("tablet", "enrol", "--post", FIRST_POST, "--name", "Timbangan", "--write-only", env=place)
    assert (result.exit_code, result.stderr) == (0, "")
    assert [bool(row[0]) for row in installed.rows(select(EnrolmentCode.write_only))] == [True]


def test_tablets_are_listed_with_what_became_of_them(installed: District, place: dict[str, str]) -> None:
    working, revoked = installed.tablet(name="Tablet A"), installed.tablet(1, "Tablet B")
    working.register_child()
    working.sync_until_quiet()
    done = call("tablet", "revoke", revoked.id, env=place)
    assert (done.exit_code, done.output) == (0, "")
    result = call("tablet", "list", env=place)
    assert result.exit_code == 0
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert lines[0][:7] == ["tablet", "post", "name", "taken", "last_sync_at", "clock_offset_ms", "state"]
    assert {line[0]: (line[2], line[3], line[6]) for line in lines[1:]} == {
        working.id: ("Tablet A", "1", "active"),
        revoked.id: ("Tablet B", "0", "revoked"),
    }


def test_a_tablet_of_staff_is_enrolled_with_posts_and_they_are_changed(
    installed: District, place: dict[str, str]
) -> None:
    first, second = installed.posts
    made = call("tablet", "enrol", "--post", "Melati 1", "--post", second, "--name", "Bidan", env=place)
    assert (made.exit_code, len(made.stdout.strip())) == (0, 15)
    tablet = installed.staff_tablet(first)
    assert call("tablet", "posts", tablet.id, env=place).stdout == f"{first}  Melati 1\n"
    given = call("tablet", "posts", tablet.id, "--give", "Anggrek 2", env=place)
    assert given.stdout == f"{first}  Melati 1\n{second}  Anggrek 2\n"
    tablets = json.loads(call("tablet", "list", "--format", "json", env=place).stdout)
    assert [post["id"] for post in tablets[0]["posts"]] == [first, second]
    assert call("tablet", "posts", tablet.id, "--take", second, env=place).stdout == f"{first}  Melati 1\n"
    refused_home = call("tablet", "posts", tablet.id, "--take", first, env=place)
    assert refused_home.exit_code == 2
    assert "cannot be taken" in refused_home.stderr
    assert call("tablet", "posts", installed.new_id(), "--give", second, env=place).exit_code == 2
    cadres = installed.tablet()
    assert "has one post" in call("tablet", "posts", cadres.id, "--give", second, env=place).stderr
    one = call("tablet", "enrol", "--post", first, "--staff", "--name", "Bidan 2", env=place)
    assert one.exit_code == 0


def test_unknown_tablet_or_post_is_refused(place: dict[str, str]) -> None:
    unknown = "01900000-0000-7000-8000-000000000001"
    assert refused(call("tablet", "revoke", unknown, env=place)).startswith("No such record")
    assert "no post" in refused(call("tablet", "enrol", "--post", "None", "--name", "T", env=place))


# -- people ---------------------------------------------------------------------------------------


def add_user(
    place: Mapping[str, str], username: str = "petugas", *more: str, password: str = PASSWORD
) -> Result:
    """Add somebody, as an operator does."""
    told = ["--name", "Petugas Contoh", "--role", "staff", "--password", password]
    return call("user", "add", username, *told, *more, env=place)


def test_people_are_added_listed_and_disabled(installed: District, place: dict[str, str]) -> None:
    assert add_user(place).output == ""
    assert add_user(place, "bidan", "--post", FIRST_POST).output == ""
    assert call("user", "disable", "Petugas", env=place).output == ""
    assert call("user", "list", env=place).stdout.splitlines() == [
        "username\trole\tscope\tstate",
        f"bidan\tstaff\tpost {installed.posts[0]}\tactive",
        f"petugas\tstaff\tdistrict {DISTRICT}\tdisabled",
    ]
    assert PASSWORD not in str(installed.rows(select(Account.password_hash)))


def test_person_is_invited_reset_and_enabled_without_a_password(
    installed: District, place: dict[str, str]
) -> None:
    told = ["--name", "Orang Contoh", "--role", "tpps", "--village", "64.02.06.1001", "--invite"]
    invited = call("user", "add", "tpps.desa", *told, env=place)
    assert re.fullmatch(r"/undangan#[\w-]{43}\n", invited.stdout)
    donor = ["--name", "Donatur Contoh", "--role", "donor", "--invite"]
    assert call("user", "add", "donatur", *donor, env=place).exit_code == 0
    assert call("user", "reset", "TPPS.desa", env=place).stdout != invited.stdout
    for act in ("disable", "enable"):
        assert call("user", act, "donatur", env=place).output == ""
    assert call("user", "list", env=place).stdout.splitlines()[1:] == [
        "donatur\tdonor\tnone\tinvited",
        "tpps.desa\ttpps\tvillage 64.02.06.1001\tinvited",
    ]
    assert installed.actions("office").count("account.invited") == 3


def test_password_is_asked_for_twice_when_it_is_not_given(place: dict[str, str]) -> None:
    command = ["user", "add", "petugas", "--name", "Petugas Contoh", "--role", "staff"]
    assert call(*command, env=place, stdin=f"{PASSWORD}\n{PASSWORD}\n".encode()).exit_code == 0
    assert call(*command, env=place, stdin=b"one\nother\n").exit_code != 0


def test_person_is_refused_with_the_remedy(place: dict[str, str]) -> None:
    assert add_user(place).exit_code == 0
    assert refused(add_user(place)) == "user name 'petugas' is taken: choose another"
    assert "give at least 12" in refused(add_user(place, "lain", password="pendek"))
    assert "no post" in refused(add_user(place, "lain", "--post", "Mawar 9"))
    assert "no health centre" in refused(add_user(place, "lain", "--health-centre", "Puskesmas"))
    assert "not both" in refused(add_user(place, "lain", "--post", FIRST_POST, "--health-centre", "x"))
    assert "not both" in refused(add_user(place, "lain", "--invite"))
    assert "no such subdistrict" in refused(add_user(place, "lain", "--subdistrict", "64.03.01"))
    assert refused(call("user", "reset", "nobody", env=place)).startswith("No such record")
    assert refused(call("user", "disable", "nobody", env=place)).startswith("No such record")
    assert len(call("user", "list", env=place).stdout.splitlines()) == 2


# -- the log --------------------------------------------------------------------------------------


def test_log_is_verified(place: dict[str, str]) -> None:
    result = call("audit", "verify", env=place)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.endswith(" entries read, 0 streams broken\n")


def test_altered_entry_is_named_and_exits_1(on_sqlite: District, sqlite_place: dict[str, str]) -> None:
    on_sqlite.tablet()
    stream = f"post/{on_sqlite.posts[0]}"
    with closing(sqlite_connection(on_sqlite)) as connection, connection:
        connection.execute("UPDATE audit_entry SET actor = 'x' WHERE stream = ? AND number = 2", [stream])
    result = call("audit", "verify", env=sqlite_place)
    assert (result.exit_code, result.stdout) == (1, f"{stream}: entry 2 was altered\n")
    assert result.stderr.endswith(", 1 streams broken\n")


def test_change_is_refused_in_one_line_when_the_disk_is_full(on_sqlite: District) -> None:
    """The limit is on the size of files, which is what a full disk comes to; the log of SQLite lies beside its file."""
    on_sqlite.hub.database.dispose()
    code = (
        "import resource; from server.cli import main; "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({4096 * 2}, resource.RLIM_INFINITY)); main()"
    )
    command = [sys.executable, "-c", code, "tablet", "enrol", "--post", FIRST_POST, "--name", "T"]
    done = subprocess.run(
        command,
        env=environment(on_sqlite.hub.settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("posyandu-sync: the database cannot be used: ")
    assert done.stderr.count("\n") == 1
    assert sqlite_file(on_sqlite).exists()
    assert on_sqlite.rows(select(EnrolmentCode.tablet_name)) == []
