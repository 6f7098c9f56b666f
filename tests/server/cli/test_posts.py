"""`post …`: a district gets its posyandu by commands, and each refusal names the remedy."""

import json

import pytest
from click.testing import Result

from tests.server._district import FIRST_POST, SECOND_POST, District
from tests.server.cli._call import call


@pytest.fixture
def place(installed: District) -> dict[str, str]:
    """Give the environment in which commands find the district."""
    settings = installed.hub.settings
    return {"DATABASE_URL": settings.database_url, "POSYANDU_KEY_FILE": str(settings.key_file)}


def refused(result: Result) -> str:
    """Give the one line of a wrong use: exit 2, nothing on standard output."""
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    return result.stderr.removeprefix("posyandu-sync: ").strip()


def added(place: dict[str, str], name: str, village: str, *more: str) -> str:
    result = call("post", "add", name, "--village", village, *more, env=place)
    assert result.exit_code == 0, result.stderr
    return result.stdout.strip()


def listed(place: dict[str, str], *more: str) -> dict[str, dict[str, object]]:
    result = call("post", "list", "--format", "json", *more, env=place)
    assert result.exit_code == 0, result.stderr
    return {row["name"]: row for row in json.loads(result.stdout)}


def test_post_is_made_listed_and_takes_a_tablet(place: dict[str, str]) -> None:
    post_id = added(place, "Mawar 9", "Melayu")
    row = listed(place, "--area", "64.02.06")["Mawar 9"]
    assert (row["post"], row["village"], row["children"], row["tablets"]) == (post_id, "Melayu", 0, 0)
    assert "Mawar 9" not in listed(place, "--area", "64.02.01")
    assert listed(place, "--area", "mawar 9").keys() == {"Mawar 9"}
    assert call("tablet", "enrol", "--post", "Mawar 9", "--name", "Tablet 1", env=place).exit_code == 0
    table = call("post", "list", env=place).stdout
    assert table.splitlines()[0].split()[:3] == ["post", "name", "village"]


def test_missing_post_is_told_with_the_command_that_makes_it(place: dict[str, str]) -> None:
    result = call("tablet", "enrol", "--post", "Melati", "--name", "Tablet 1", env=place)
    remedy = "'post add' makes one, 'post list' shows those that are here"
    assert refused(result) == f"there is no post 'Melati': {remedy}"


def test_name_of_several_posts_is_told_with_their_ids(place: dict[str, str]) -> None:
    ids = [added(place, "Mawar 9", village) for village in ("Melayu", "64.02.01.2001")]
    told = refused(call("tablet", "enrol", "--post", "mawar 9", "--name", "Tablet 1", env=place))
    assert all(post_id in told for post_id in ids)
    assert "64.02.01.2001" in told
    assert call("tablet", "enrol", "--post", ids[1], "--name", "Tablet 1", env=place).exit_code == 0
    assert call("post", "close", ids[0], env=place).exit_code == 0
    assert call("tablet", "enrol", "--post", "mawar 9", "--name", "Tablet 1", env=place).exit_code == 0


def test_village_that_is_unclear_is_told_with_its_candidates(place: dict[str, str]) -> None:
    told = refused(call("post", "add", "Mawar 9", "--village", "Sumber Sari", env=place))
    assert "64.02.02.2014" in told
    assert "No village here is called" in refused(call("post", "add", "Mawar 9", "--village", "X", env=place))


def test_post_is_renamed_closed_and_opened_again(installed: District, place: dict[str, str]) -> None:
    tablet = installed.tablet()
    tablet.register_child()
    tablet.sync_until_quiet()
    assert call("post", "rename", FIRST_POST, "Melati Baru", env=place).exit_code == 0
    told = refused(call("post", "close", "melati baru", env=place))
    assert "Melati Baru cannot be closed while children are there: 1." in told
    result = call("post", "close", "Melati Baru", "--into", SECOND_POST, env=place)
    assert result.exit_code == 0, result.stderr
    assert "children moved: 1" in result.stderr
    assert "Tablets still enrolled there: 1" in result.stderr
    assert listed(place)["Melati Baru"]["closed_at"]
    told = refused(call("tablet", "enrol", "--post", "Melati Baru", "--name", "Tablet 1", env=place))
    assert told.startswith("The posyandu Melati Baru is closed.")
    assert call("post", "reopen", "Melati Baru", env=place).exit_code == 0
    assert listed(place)["Melati Baru"]["closed_at"] is None
