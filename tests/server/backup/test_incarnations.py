"""An honest restore told apart from a log that was cut off: by the entry that the key file signed, and by nothing else."""

# ruff: noqa: S608 - the statements are an intruder's, and all of their parts are ours

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from sqlalchemy import text

from server import audit
from server.audit import checkpoints, incarnations, witnesses
from server.audit.checkpoints import Checkpoint, KeptCheckpoint, read_kept
from server.audit.export import lines
from server.audit.signed_note import TreeHead
from server.backup import mark_restored
from server.cli import main
from server.config import Settings
from server.context import AppContext
from server.crypto.vault import Keys, Vault
from server.operations import key_rotation, outside
from sync_protocol import canonical
from tests.server._district import DISTRICT, District
from tests.server.audit._intruder import cut, tamper
from tests.server.backup._restoring import back_up, put_back, silent


def sign(place: District) -> Checkpoint:
    with place.hub.database.transaction() as session:
        audit.append(session, DISTRICT, "post/one", "test.done", actor="operator", now=place.clock.now)
    place.clock.advance(hours=1)
    with place.hub.database.transaction() as session:
        return checkpoints.make(session, place.hub, place.clock.now, actor="operator")


def keep(place: District, number: int | None = None) -> KeptCheckpoint:
    with place.hub.database.reading() as session:
        found = checkpoints.kept(session, place.hub, number)
        assert found is not None
        return read_kept(witnesses.with_note(session, place.hub, found).file())


def found_in(place: District) -> list[incarnations.Incarnation]:
    with place.hub.database.reading() as session:
        return incarnations.incarnations(session, DISTRICT, place.hub.vault.checkpoint_keys())


def verified(place: District, kept: KeptCheckpoint | None = None) -> list[audit.Broken]:
    keys = place.hub.vault.checkpoint_keys()
    with place.hub.database.reading() as session:
        return audit.verify(session, DISTRICT, keys=keys, kept=kept)[1]


def held(place: District, kept: Any) -> outside.Outside:
    with place.hub.database.reading() as session:
        return outside.hold(session, place.hub, kept)


def verify(place: District, *arguments: Any) -> Result:
    environment = {
        "DATABASE_URL": place.hub.settings.database_url,
        "POSYANDU_KEY_FILE": str(place.hub.settings.key_file),
        "POSYANDU_DATA": str(place.hub.settings.data_dir),
    }
    return CliRunner(env=environment).invoke(main, ["audit", "verify", *map(str, arguments)])


def test_newer_checkpoint_of_a_past_that_a_restore_gave_up_is_told_apart(
    place: District, tmp_path: Path
) -> None:
    sign(place)
    file = back_up(place, tmp_path / "b.backup")
    middle = sign(place)
    newest = sign(place)
    kept = {number: keep(place, number) for number in (1, middle.number, newest.number)}
    (tmp_path / "c.json").write_bytes(kept[newest.number].file())
    new = put_back(place.hub.settings, file)
    (one,) = found_in(place)
    assert (one.id, one.is_signed, one.continues, one.given_up) == (new, True, 1, 2)
    assert one.statement["replaced"]["newest"]["statement"] == newest.statement
    logged = json.loads(
        place.rows(text("SELECT details FROM audit_entry WHERE action = 'database.restored'"))[0][0]
    )
    assert one.statement["backup"]["digest"] == logged["digest"]
    for number in (middle.number, newest.number):
        result = held(place, kept[number])
        assert result.given_up == [(outside.YOURS, one)]
        assert result.broken == []
    assert held(place, kept[1]).given_up == []
    assert verified(place, kept[1]) == verified(place) == []
    done = verify(place, "--checkpoint", tmp_path / "c.json")
    assert done.exit_code == 1
    assert done.stdout.startswith("your checkpoint: restored on 2026-03-09T00:00:00+00:00 from a backup of ")
    assert "entries after checkpoint 1 were given up" in done.stdout
    assert "0 streams broken" in done.stderr
    for _ in range(2):
        sign(place)
    assert verified(place, keep(place)) == []


def test_log_that_was_cut_off_without_such_an_entry_is_broken(place: District, tmp_path: Path) -> None:
    sign(place)
    sign(place)
    (tmp_path / "c.json").write_bytes(keep(place).file())
    cut(place, 1)
    assert held(place, keep(place)).given_up == []
    done = verify(place, "--checkpoint", tmp_path / "c.json")
    assert done.exit_code == 1
    assert "cut off" in done.stdout
    assert "restored" not in done.stdout


def entry(place: District, statement: Mapping[str, Any], vault: Vault | None) -> None:
    """Log a restore that never was, as somebody with the database's password would, hashed as the log itself would."""
    signatures = vault.sign_checkpoint(canonical(dict(statement))) if vault else {}
    details: dict[str, Any] = {"statement": dict(statement), "signatures": signatures, "earlier": []}
    with place.hub.database.transaction() as session:
        audit.append(
            *(session, DISTRICT, audit.OFFICE, incarnations.BEGUN),
            actor="operator",
            now=place.clock.now,
            details=details,
        )


def test_restore_that_somebody_without_the_keys_made_up_is_found(place: District, tmp_path: Path) -> None:
    sign(place)
    file = back_up(place, tmp_path / "b.backup")
    put_back(place.hub.settings, file)
    honest = dict(found_in(place)[0].statement)
    sign(place)
    sign(place)
    kept = keep(place)
    cut(place, 2)
    stranger = Vault(Keys({1: b"x" * 32}, b"i" * 32, "s"), DISTRICT)
    lie = {**honest, "before": honest["incarnation"], "replaced": None, "incarnation": place.new_id()}
    own = {**lie, "keys": sorted(stranger.checkpoint_keys())}
    for statement, vault in ((lie, None), ({**lie, "keys": []}, None), (own, stranger)):
        entry(place, statement, vault)
        tamper(place, f"UPDATE installation SET incarnation = '{lie['incarnation']}'")
        assert "forged" in {one.what for one in verified(place)}
        assert held(place, kept).given_up == []
        sign(place)  # the next checkpoint signs it unknowingly, which does not help
        assert "forged" in {one.what for one in verified(place)}
        assert held(place, kept).given_up == []


def test_key_that_only_an_entry_names_as_retired_vouches_for_nothing(place: District) -> None:
    sign(place)
    stranger = Vault(Keys({1: b"x" * 32}, b"i" * 32, "s"), DISTRICT)
    with place.hub.database.transaction() as session:
        audit.append(
            *(session, DISTRICT, audit.OFFICE, checkpoints.RETIRED),
            actor="operator",
            now=place.clock.now,
            details={"checkpoint_keys": stranger.checkpoint_keys()},
        )
    mark_restored(place.hub.settings, now=place.clock.now)
    honest = dict(found_in(place)[0].statement)
    entry(place, {**honest, "keys": sorted(stranger.checkpoint_keys())}, stranger)
    assert [one.is_signed for one in found_in(place)] == [True, None]
    assert [one.what for one in verified(place)] == ["forged"]


def test_restore_signed_before_a_key_was_retired_still_counts(place: District, tmp_path: Path) -> None:
    own = tmp_path / "own.json"  # the other key file is that of many tests
    shutil.copy(place.hub.settings.key_file, own)
    place.hub.database.dispose()
    place.hub = AppContext.open(replace(place.hub.settings, key_file=own))
    sign(place)
    file = back_up(place, tmp_path / "b.backup")
    sign(place)
    kept = keep(place)
    put_back(place.hub.settings, file)
    key_rotation.rotate(place.hub, actor="operator", now=lambda: place.clock.now, progress=silent)
    sign(place)
    key_rotation.retire(place.hub, 1, actor="operator", now=place.clock.now + timedelta(days=2))
    sign(place)
    assert [one.is_signed for one in found_in(place)] == [True]
    assert verified(place) == []
    assert len(held(place, kept).given_up) == 1


def test_second_restore_of_one_backup_remembers_what_the_first_gave_up(
    place: District, tmp_path: Path
) -> None:
    sign(place)
    file = back_up(place, tmp_path / "b.backup")
    sign(place)
    first = keep(place)
    put_back(place.hub.settings, file)
    sign(place)
    second = keep(place)
    put_back(place.hub.settings, file)
    assert [len(held(place, kept).given_up) for kept in (first, second)] == [1, 1]
    assert verified(place) == []


def test_restore_where_the_data_were_lost_says_so(
    place: District, somewhere_else: Settings, tmp_path: Path
) -> None:
    sign(place)
    file = back_up(place, tmp_path / "b.backup")
    sign(place)
    kept = keep(place)
    put_back(somewhere_else, file)
    hub = AppContext.open(somewhere_else)
    try:
        with hub.database.reading() as session:
            ((_, one),) = outside.hold(session, hub, kept).given_up
            assert one.given_up is None
            assert "had been lost" in one.words()
            older = replace(kept, statement={**kept.statement, "incarnation": place.new_id()})
            assert not one.gave_up(older)
            tree = witnesses.head_of(kept.statement)
            assert one.gave_up_tree(tree)
            assert not one.gave_up_tree(TreeHead(tree.origin, 1, tree.root))
    finally:
        hub.database.dispose()


def test_restore_without_keys_counts_once_a_signed_one_follows(place: District) -> None:
    sign(place)
    with place.hub.database.transaction() as session:
        now, backed = place.clock.now, {"by_other_means": True}
        incarnations.begin(session, None, DISTRICT, replaced=None, actor="operator", now=now, backup=backed)
    assert [one.what for one in verified(place)] == ["forged"]
    mark_restored(place.hub.settings, now=place.clock.now)
    assert [one.is_signed for one in found_in(place)] == [None, True]
    assert verified(place) == []


def test_incarnation_that_no_entry_names_is_found(place: District) -> None:
    mark_restored(place.hub.settings, now=place.clock.now)
    assert verified(place) == []
    tamper(place, f"UPDATE installation SET incarnation = '{place.new_id()}'")
    assert [(one.stream, one.what) for one in verified(place)] == [("incarnation", "altered")]


def test_export_of_a_restored_log_tells_the_same(place: District, tmp_path: Path) -> None:
    sign(place)
    file = back_up(place, tmp_path / "b.backup")
    sign(place)
    (tmp_path / "c.json").write_bytes(keep(place).file())
    put_back(place.hub.settings, file)
    place.clock.now += timedelta(days=9)
    sign(place)
    with place.hub.database.reading() as session:
        (tmp_path / "log.jsonl").write_bytes(b"".join(lines(session, place.hub, place.clock.now)))
    done = verify(place, "--export", tmp_path / "log.jsonl", "--checkpoint", tmp_path / "c.json")
    assert (done.exit_code, "given up" in done.stdout) == (1, True)
    assert "0 streams broken" in done.stderr
    assert verify(place, "--export", tmp_path / "log.jsonl").exit_code == 0
    raw = (tmp_path / "log.jsonl").read_bytes()
    (tmp_path / "log.jsonl").write_bytes(
        raw.replace(b'"actor":"operator","at":"2026-03-09', b'"actor":"operatog","at":"2026-03-09')
    )
    assert "forged" in verify(place, "--export", tmp_path / "log.jsonl").stdout


def test_damaged_entry_of_a_restore_is_left_to_its_hash(place: District) -> None:
    mark_restored(place.hub.settings, now=place.clock.now)
    tamper(place, "UPDATE audit_entry SET details = '{}' WHERE action = 'incarnation.begun'")
    assert found_in(place) == []
    assert [one.what for one in verified(place)] == ["altered"]
