"""What the office decides, as commands: lists in three forms, files that are printed and passed back, refusals told."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from server.cli import main
from sync_protocol import measurement_id
from tests.server._district import District, FakeTablet, identity

ON = "2026-03-05"
NAME = "=Anak Contoh"


@pytest.fixture
def place(installed: District) -> dict[str, str]:
    """Give the environment in which commands find the district."""
    settings = installed.hub.settings
    return {"DATABASE_URL": settings.database_url, "POSYANDU_KEY_FILE": str(settings.key_file)}


def call(place: dict[str, str], *arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, arguments, input=stdin, env=place, catch_exceptions=False)


def done(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def weighed_wrong(district: District) -> tuple[FakeTablet, str]:
    tablet = district.tablet()
    child = tablet.register_child(identity=identity(name=NAME))
    tablet.measure(child, weight_g=90)
    tablet.sync_until_quiet()
    return tablet, child


def weighed_twice(district: District) -> tuple[FakeTablet, FakeTablet, str]:
    one, two = district.tablet(), district.tablet()
    child = one.register_child(identity=identity(name=NAME))
    district.settle(one, two)
    one.measure(child, weight_g=9000)
    two.measure(child, weight_g=9400)
    district.settle(one, two)
    return one, two, child


def test_quarantine_is_listed_in_three_forms(installed: District, place: dict[str, str]) -> None:
    tablet, _ = weighed_wrong(installed)
    table = call(place, "quarantine", "list")
    assert (table.exit_code, table.stderr) == (0, "")
    assert table.stdout.splitlines()[0].split()[:3] == ["actor", "counter", "state"]
    assert "set.weight.weight_g out-of-range" in table.stdout
    (row,) = csv.DictReader(io.StringIO(call(place, "quarantine", "list", "--format", "csv").stdout))
    assert (row["actor"], row["counter"], row["name"]) == (tablet.id, "2", f"'{NAME}")
    (case,) = done(call(place, "quarantine", "list", "--format", "json", "--post", "Melati 1"))
    assert case["child"]["name"] == NAME
    assert done(call(place, "quarantine", "list", "--format", "json", "--post", "Anggrek 2")) == []
    assert installed.actions("office").count("quarantine.listed") == 4


def test_quarantined_change_is_shown_corrected_and_released(
    installed: District, place: dict[str, str], tmp_path: Path
) -> None:
    tablet, child = weighed_wrong(installed)
    shown = done(call(place, "quarantine", "show", tablet.id, "2"))
    file = tmp_path / "correction.json"
    file.write_text(
        json.dumps({"set": {**shown["change"]["set"], "weight": {"weight_g": 9000, "oedema": None}}})
    )
    released = done(call(place, "quarantine", "release", tablet.id, "2", "--correction", str(file)))
    assert (released["outcome"], released["context"]) == ("applied", "original")
    late = call(place, "quarantine", "dismiss", tablet.id, "2", "--reason", "practice")
    assert (late.exit_code, late.stdout) == (2, "")
    assert "decided before (released" in late.stderr
    installed.settle(tablet)
    assert tablet.state(child, ON).value("weight") == {"weight_g": 9000, "oedema": None}


def test_release_tells_field_rule_and_remedy_when_it_is_still_wrong(
    installed: District, place: dict[str, str]
) -> None:
    tablet, _ = weighed_wrong(installed)
    result = call(place, "quarantine", "release", tablet.id, "2")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(
        "set.weight.weight_g: Berat badan (tertulis 90) harus antara 500 dan 40000"
    )
    assert "must be between 500 and 40000 grams" in result.stderr


def test_quarantined_change_is_dismissed_with_one_of_the_reasons(
    installed: District, place: dict[str, str]
) -> None:
    tablet, _ = weighed_wrong(installed)
    wrong = call(place, "quarantine", "dismiss", tablet.id, "2", "--reason", "x")
    assert wrong.exit_code == 2
    assert "recorded-again, recorded-twice" in wrong.stderr
    decided = done(call(place, "quarantine", "dismiss", tablet.id, "2", "--reason", "practice"))
    assert (decided["decision"], decided["by"]) == ("dismissed", "operator")
    assert done(call(place, "quarantine", "list", "--format", "json")) == []
    assert len(done(call(place, "quarantine", "list", "--state", "decided", "--format", "json"))) == 1
    assert done(call(place, "quarantine", "reopen", tablet.id, "2"))["reason"] == "dismissed"
    assert len(done(call(place, "quarantine", "list", "--format", "json"))) == 1


def test_release_is_taken_back(installed: District, place: dict[str, str], tmp_path: Path) -> None:
    tablet, child = weighed_wrong(installed)
    file = tmp_path / "correction.json"
    file.write_text(json.dumps({"set": {"weight": {"weight_g": 9000, "oedema": None}}}))
    assert call(place, "quarantine", "undo", tablet.id, "2").exit_code == 2
    done(call(place, "quarantine", "release", tablet.id, "2", "--correction", str(file)))
    assert done(call(place, "quarantine", "undo", tablet.id, "2"))["decision"] == "reopened"
    installed.settle(tablet)
    assert tablet.state(child, ON).removed


def test_conflict_is_listed_printed_and_settled_from_the_file(
    installed: District, place: dict[str, str], tmp_path: Path
) -> None:
    one, two, child = weighed_twice(installed)
    (row,) = csv.DictReader(io.StringIO(call(place, "conflict", "list", "--format", "csv").stdout))
    assert (row["kind"], row["record"], row["registers"]) == (
        "measurement",
        measurement_id(child, ON, "cadre"),
        "weight",
    )
    assert "weight" in call(place, "conflict", "list").stdout
    printed = call(place, "conflict", "show", row["kind"], row["record"]).stdout
    heavier = 1 + [v["value"]["weight_g"] for v in json.loads(printed)["conflicts"]["weight"]].index(9400)
    file = tmp_path / "shown.json"
    file.write_text(printed)
    how = ("--choose", f"weight={heavier}", "--reason", "measured-again")
    assert done(call(place, "conflict", "settle", str(file), *how))["remaining"] == []
    installed.settle(one, two)
    assert one.state(child, ON).value("weight") == {"weight_g": 9400, "oedema": None}
    late = call(place, "conflict", "settle", str(file), *how)
    assert late.exit_code == 2
    assert "settled already" in late.stderr


def test_settling_exits_1_while_something_is_in_conflict_still(
    installed: District, place: dict[str, str]
) -> None:
    one, two, child = weighed_twice(installed)
    record = measurement_id(child, ON, "cadre")
    printed = call(place, "conflict", "show", "measurement", record).stdout
    three = installed.tablet()
    three.measure(child, weight_g=9600)
    three.sync_until_quiet()
    value = 'weight={"weight_g": 9200, "oedema": null}'
    asked = ("settle", "-", "--value", value, "--reason", "measured-again")
    assert done(call(place, "conflict", *asked, stdin=printed), 1)["remaining"] == ["weight"]
    installed.settle(one, two, three)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--choose", "weight=0"), "number of a value shown"),
        (("--choose", "weight=3"), "number of a value shown"),
        (("--choose", "berat=1"), "number of a value shown"),
        (("--value", "weight={"), "no JSON"),
        ((), "set: "),
    ],
)
def test_settling_refuses_what_was_not_shown(
    installed: District, place: dict[str, str], given: tuple[str, ...], words: str
) -> None:
    _, _, child = weighed_twice(installed)
    printed = call(place, "conflict", "show", "measurement", measurement_id(child, ON, "cadre")).stdout
    result = call(place, "conflict", "settle", "-", *given, "--reason", "measured-again", stdin=printed)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr


@pytest.mark.parametrize("content", ["", "[]", "{", "5"])
def test_settling_refuses_a_file_that_is_no_record(
    installed: District, place: dict[str, str], content: str
) -> None:
    result = call(place, "conflict", "settle", "-", "--reason", "measured-again", stdin=content)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("posyandu-sync: - ")


def test_child_is_moved_by_the_name_of_the_post(installed: District, place: dict[str, str]) -> None:
    old, new = installed.tablet(0), installed.tablet(1)
    child = old.register_child()
    old.sync_until_quiet()
    moved = done(call(place, "child", "move", child, "--to", "Anggrek 2"))
    assert (moved["from"], moved["to"]) == installed.posts
    again = call(place, "child", "move", child, "--to", "Anggrek 2")
    assert again.exit_code == 2
    assert "is the child's post already" in again.stderr
    unknown = call(place, "child", "move", "01900000-0000-7000-8000-00000000ffff", "--to", "Anggrek 2")
    assert unknown.exit_code == 2
    installed.settle(old, new)
    assert (old.shown(), len(new.shown())) == ({}, 1)


def test_tablets_are_listed_in_three_forms(installed: District, place: dict[str, str]) -> None:
    tablet, _ = weighed_wrong(installed)
    lines = [line.split("\t") for line in call(place, "tablet", "list").stdout.splitlines()]
    assert dict(zip(*lines, strict=True)) | {"last_sync_at": "", "clock_offset_ms": ""} == {
        "tablet": tablet.id,
        "post": "Melati 1",
        "name": "Tablet Contoh",
        "taken": "2",
        "last_sync_at": "",
        "clock_offset_ms": "",
        "state": "active",
        "announced": "2",
        "missing": "0",
        "quarantined": "1",
        "replaces": "-",
        "posts": "-",
    }
    (row,) = csv.DictReader(io.StringIO(call(place, "tablet", "list", "--format", "csv").stdout))
    assert (row["tablet"], row["quarantined"]) == (tablet.id, "1")
    (told,) = done(call(place, "tablet", "list", "--format", "json"))
    assert (told["id"], told["missing"], told["split_at"]) == (tablet.id, 0, None)
