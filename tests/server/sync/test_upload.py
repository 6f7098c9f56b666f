"""One upload and pull: what design section 4 promises for each thing that can arrive, on both kinds of database."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest
from sqlalchemy import select, text

from schemas import MalformedBatch
from server import audit
from server.children import ledger
from server.crypto.vault import SigningKey, base64url
from server.database.models import (
    Assessment,
    Batch,
    ChangeRow,
    Child,
    HealthPost,
    Measurement,
    NikIndex,
    Notice,
    PostExit,
    Tablet,
)
from server.errors import Problem
from server.sync import pull
from sync_protocol import MAX_CHANGES, NewEpochRequired, Pulled
from tests.server._district import DISTRICT, District, FakeTablet, identity

NIK = "6402065001250003"


def changed_rows(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Give by how many rows each table grew."""
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def message_of(tablet: FakeTablet, /, **overrides: Any) -> bytes:
    """Give the tablet's next batch with some of its fields replaced, signed."""
    batch = tablet.replica.next_batch(tablet.district.new_id(), tablet.district.clock.text())
    return tablet.signed({**batch, **overrides})


# -- receipts ---------------------------------------------------------------------------------------


def test_receipt_is_given_again_byte_for_byte_when_the_batch_comes_again(installed: District) -> None:
    tablet = installed.tablet()
    tablet.measure(tablet.register_child(), weight_g=9)
    message = tablet.next_message()
    first = tablet.send_raw(message)
    before = installed.counts()
    again = tablet.send_raw(message)
    assert receipt_bytes(first) == receipt_bytes(again)
    assert changed_rows(before, installed.counts()) == {}


def receipt_bytes(answer: bytes) -> bytes:
    return answer[answer.index(b'"receipt"') : answer.index(b'"pull"')]


def test_batch_id_is_refused_when_it_was_used_for_other_content(installed: District) -> None:
    tablet = installed.tablet()
    tablet.register_child()
    message = tablet.next_message()
    tablet.send(message)
    before = installed.counts()
    other = tablet.signed({**orjson.loads(message)["batch"], "app": "other/1"})
    with pytest.raises(Problem, match="batch-id-reused"):
        tablet.send(other)
    assert changed_rows(before, installed.counts()) == {}


def test_changes_are_duplicates_when_they_come_in_another_batch(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=9000)
    tablet.lose_answer()
    tablet.measure(child, "2026-02-05", weight_g=8800)
    tablet.carry()  # a new batch, one change longer, in somebody's pocket
    assert tablet.outcomes() == ["duplicate", "duplicate", "applied"]
    installed.settle(tablet)


def test_refused_change_is_told_with_its_reasons_again_when_it_comes_in_another_batch(
    installed: District,
) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=9)
    tablet.lose_answer()
    tablet.measure(child, "2026-02-05", weight_g=8800)
    tablet.carry()
    assert tablet.outcomes() == ["duplicate", "quarantined", "applied"]
    assert tablet.reasons(2) == ["out-of-range"]
    installed.settle(tablet)


def test_receipt_wants_the_next_counter_when_all_of_a_batch_is_held(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=9000)
    tablet.lose_answer()
    tablet.replica.pending = None
    answer = tablet.send(tablet.next_message(max_changes=1))
    assert answer["receipt"]["wanted"] == 3


def test_receipt_tells_the_outcome_of_every_change(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=9)
    tablet.sync()
    ((counts,),) = installed.rows(select(Batch.outcomes))
    assert orjson.loads(counts) == {"applied": 1, "quarantined": 1}
    assert Counter(tablet.outcomes()) == {"applied": 1, "quarantined": 1}


# -- order and holes --------------------------------------------------------------------------------


def test_gap_stores_nothing_but_the_log_entry(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=9000)
    tablet.replica.sent_up_to = 1
    before = installed.counts()
    answer = tablet.send(tablet.next_message())
    assert answer["receipt"] == {
        "batch": answer["receipt"]["batch"], "status": "gap", "wanted": 1, "items": []
    }  # fmt: skip
    assert changed_rows(before, installed.counts()) == {"audit_entry": 1}
    assert installed.actions(audit.post_stream(installed.posts[0]))[-1] == "batch.gap"


def test_quarantined_change_counts_as_taken(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=9)
    tablet.sync_until_quiet()
    tablet.measure(child, weight_g=9000)
    tablet.sync_until_quiet()
    assert tablet.outcomes() == ["applied", "quarantined", "applied"]
    assert installed.rows(select(Tablet.last_counter)) == [(3,)]


# -- restored and cloned devices --------------------------------------------------------------------


def other_hash(tablet: FakeTablet) -> FakeTablet:
    clone = tablet.clone()
    tablet.register_child()
    tablet.sync()
    clone.register_child()
    return clone


def server_holds_more(tablet: FakeTablet) -> FakeTablet:
    clone = tablet.clone()
    tablet.register_child()
    tablet.sync()
    return clone


def wrong_previous(tablet: FakeTablet) -> FakeTablet:
    clone = tablet.clone()
    for device in (tablet, clone):
        device.register_child()
    tablet.sync()
    clone.replica.sent_up_to = 2  # goes on from its own second change, which is not the server's
    clone.register_child()
    return clone


def wrong_head(tablet: FakeTablet) -> FakeTablet:
    clone = tablet.clone()
    for device in (tablet, clone):
        device.register_child()
    tablet.sync()
    clone.replica.sent_up_to = 2  # has nothing to send, and believes that its own second change is held
    return clone


@pytest.mark.every_case
@pytest.mark.parametrize("happening", [other_hash, server_holds_more, wrong_previous, wrong_head])
def test_new_epoch_is_required_when_a_device_was_restored_or_cloned(
    installed: District, happening: Callable[[FakeTablet], FakeTablet]
) -> None:
    tablet = installed.tablet()
    tablet.register_child()
    tablet.sync()
    clone = happening(tablet)
    before = installed.counts()
    events = clone.sync()
    assert [type(event) for event in events] == [NewEpochRequired]
    assert changed_rows(before, installed.counts()) == {"audit_entry": 1, "notice": 1}
    assert installed.rows(select(Notice.kind, Notice.subject)) == [("tablet-cloned-or-restored", tablet.id)]
    assert installed.actions(audit.post_stream(installed.posts[0]))[-1] == "batch.new_epoch_required"


def test_notice_is_one_when_a_clone_keeps_asking(installed: District) -> None:
    tablet = installed.tablet()
    clone = server_holds_more(tablet)
    for _ in range(3):
        clone.sync()
    assert installed.counts()["notice"] == 1


def test_pull_starts_anew_when_the_incarnation_changed(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    installed.restore(installed.back_up())
    answer = tablet.send(tablet.next_message())
    pull = answer["pull"]
    assert (pull["children"], pull["more"]) == ([], True)  # its token could not be checked
    tablet.replica.receive(answer, installed.clock.text())
    answer = tablet.send(tablet.next_message())
    assert [row["id"] for row in answer["pull"]["children"]] == [child]


# -- what is set aside ------------------------------------------------------------------------------

ODD_CHANGES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "missing nonce": lambda wire: {name: value for name, value in wire.items() if name != "nonce"},
    "null set": lambda wire: {**wire, "set": None},
    "own names for what the chain adds": lambda wire: {**wire, "actor": "x", "content": [1], "previous": 2},
    "empty": lambda _: {},
    "fractions and great numbers": lambda wire: {**wire, "set": {"weight": {"weight_g": 1e300, "x": 2**63}}},
    "odd text": lambda wire: {**wire, "author": "\u0000\ud7ff\U0001f600", "\u00e9": "\u2028"},
    "wrong types": lambda _: {"kind": 1, "id": [], "key": "x", "context": 7, "set": [], "schema": True},
    "key not an object": lambda wire: {**wire, "key": None, "id": None},
    "newer schema": lambda wire: {**wire, "schema": 2, "novel": {"deep": [1, {"x": None}]}},
}


@pytest.mark.parametrize("oddness", ODD_CHANGES)
def test_quarantined_change_is_kept_as_it_came(installed: District, oddness: str) -> None:
    tablet = installed.tablet()
    tablet.measure(tablet.register_child(), weight_g=9000)
    batch = tablet.replica.next_batch(installed.new_id(), installed.clock.text())
    odd = ODD_CHANGES[oddness](dict(batch["changes"][1]))
    answer = tablet.send(
        tablet.signed({**batch, "changes": [batch["changes"][0], odd], "head": [2, "A" * 16]})
    )
    assert [item[:2] for item in answer["receipt"]["items"]] == [[1, "applied"], [2, "quarantined"]]
    (row,) = installed.rows(select(ChangeRow.__table__).where(ChangeRow.counter == 2))
    assert ledger.quarantined_change(DISTRICT, row, installed.hub.vault) == odd


@pytest.mark.parametrize(
    ("weight_g", "on", "code"),
    [
        (9, "2026-03-05", "out-of-range"),
        (9000, "2026-03-06", "date-in-future"),
        (9000, "2025-01-09", "before-birth"),
    ],
)
def test_measurement_is_set_aside_with_its_reason_when_it_cannot_be(
    installed: District, weight_g: int, on: str, code: str
) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, on, weight_g=weight_g)
    tablet.measure(child, "2026-02-05", weight_g=8900)
    tablet.sync()
    assert tablet.outcomes() == ["applied", "quarantined", "applied"]
    assert tablet.reasons(2) == [code]


@pytest.mark.parametrize("on", ["2026-03-06", "2025-01-09"])
def test_measurement_of_a_day_that_cannot_be_is_taken_back_by_its_removal(
    installed: District, on: str
) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, on, weight_g=9000)
    tablet.remove(child, on)
    tablet.sync()
    assert tablet.outcomes() == ["applied", "quarantined", "applied"]
    assert tablet.state(child, on).removed
    installed.check_agreement(tablet)


def test_cleared_fields_are_gone_from_the_row_and_from_the_scores(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=9000, length_mm=780, muac_mm=140)
    tablet.sync_until_quiet()
    weighed = select(Measurement.weight_g, Measurement.length_mm, Measurement.oedema)
    scored = select(Assessment.waz, Assessment.whz, Assessment.haz)
    assert [tuple(row) for row in installed.rows(weighed)] == [(9000, 780, None)]
    (row,) = installed.rows(scored)
    assert None not in tuple(row)
    form = tablet.replica.open_measurement(child, "2026-03-05", "cadre")
    tablet.write(form, {"weight": {"weight_g": None, "oedema": None}, "note": {"text": None}})
    tablet.sync_until_quiet()
    assert tablet.outcomes()[-1] == "applied"
    assert [tuple(row) for row in installed.rows(weighed)] == [(None, 780, None)]
    (row,) = installed.rows(scored)
    assert (row.waz, row.whz) == (None, None)
    assert row.haz is not None


def test_measurement_is_accepted_when_the_merged_birth_date_allows_it(installed: District) -> None:
    one, two = installed.tablet(), installed.tablet()
    child = one.register_child()
    installed.settle(one, two)
    one.edit_child(child, identity=identity(born_on="2024-01-10"))
    one.edit_child(child, identity=identity(born_on="2024-01-11"))
    one.sync()
    two.edit_child(child, identity=identity(born_on="2025-02-10"))  # concurrent: nobody knows which is right
    two.measure(child, "2025-01-20", weight_g=5000)
    two.sync()
    assert two.outcomes() == ["conflict", "applied"]


def test_child_is_set_aside_when_its_post_is_not_of_this_district(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child(None, post={"post": "01900000-0000-7000-8000-00000000ffff"})
    tablet.sync()
    assert tablet.reasons(1) == ["post-unknown"]
    assert installed.counts()["child"] == 0
    assert installed.flags(child) == {}


def test_today_is_the_districts_when_the_day_has_not_begun_in_utc(installed: District) -> None:
    installed.clock.now = installed.clock.now.replace(hour=17)  # one in the morning of the 6th in Kukar
    tablet = installed.tablet()
    tablet.measure(tablet.register_child(), "2026-03-06", weight_g=9000)
    tablet.sync()
    assert tablet.outcomes() == ["applied", "applied"]


# -- refused as a whole -----------------------------------------------------------------------------


def wrong_signature(tablet: FakeTablet) -> bytes:
    tablet.key = SigningKey()
    return tablet.next_message()


def altered_after_signing(tablet: FakeTablet) -> bytes:
    message = orjson.loads(tablet.next_message())
    message["batch"]["changes"][0]["author"] = "orang-lain"
    return orjson.dumps(message)


def unknown_tablet(tablet: FakeTablet) -> bytes:
    return message_of(tablet, tablet="01900000-0000-7000-8000-00000000ffff")


def other_district(tablet: FakeTablet) -> bytes:
    return message_of(tablet, district="64.03")


def signature_of_zeros(tablet: FakeTablet) -> bytes:
    return orjson.dumps({**orjson.loads(tablet.next_message()), "signature": base64url(bytes(64))})


@pytest.mark.parametrize(
    ("forge", "code"),
    [
        (wrong_signature, "signature-invalid"),
        (altered_after_signing, "signature-invalid"),
        (signature_of_zeros, "signature-invalid"),
        (unknown_tablet, "tablet-unknown"),
        (other_district, "tablet-unknown"),
    ],
)
def test_upload_is_refused_and_stores_nothing(
    installed: District, forge: Callable[[FakeTablet], bytes], code: str
) -> None:
    tablet = installed.tablet()
    tablet.register_child()
    before = installed.counts()
    with pytest.raises(Problem) as refused:
        tablet.send(forge(tablet))
    assert refused.value.code == code
    assert changed_rows(before, installed.counts()) == {}


def test_upload_is_refused_when_it_has_too_many_changes(installed: District) -> None:
    tablet = installed.tablet()
    for _ in range(MAX_CHANGES + 1):
        tablet.register_child()
    with pytest.raises(MalformedBatch):
        tablet.send(tablet.next_message(max_changes=MAX_CHANGES + 1))


def test_upload_is_refused_when_it_has_more_changes_than_this_server_takes(installed: District) -> None:
    object.__setattr__(installed.hub.settings, "max_changes", 1)
    tablet = installed.tablet()
    tablet.register_child()
    tablet.register_child()
    with pytest.raises(Problem, match="batch-too-large"):
        tablet.send(tablet.next_message())


def test_revoked_tablet_sees_nothing_and_leaves_no_child(installed: District) -> None:
    tablet, other = installed.tablet(), installed.tablet()
    other.register_child()
    other.sync()
    installed.revoke(tablet)
    tablet.register_child()
    answer = tablet.send(tablet.next_message())
    assert answer["pull"]["children"] == []
    assert answer["receipt"]["items"][0][1] == "quarantined"
    assert installed.counts()["child"] == 1
    assert installed.counts()["change"] == 2


# -- posts and the pull -----------------------------------------------------------------------------


def test_old_post_is_told_when_a_child_moves(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=9000)
    tablet.sync_until_quiet()
    tablet.edit_child(child, post={"post": installed.posts[1]})
    events = tablet.sync()
    assert [e.left for e in events if isinstance(e, Pulled)] == [(child,)]
    assert installed.actions(audit.post_stream(installed.posts[1]))[-1] == "batch.elsewhere"
    assert installed.rows(select(PostExit.post_id, PostExit.child_id)) == [(installed.posts[0], child)]


def test_measurement_from_the_old_post_is_told_to_the_new_one(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child(None, post={"post": installed.posts[1]})
    tablet.sync()
    before = len(installed.actions(audit.post_stream(installed.posts[1])))
    tablet.measure(child, weight_g=9000)
    tablet.sync()
    told = installed.actions(audit.post_stream(installed.posts[1]))[before:]
    assert told == ["batch.elsewhere"]


def test_pull_comes_in_pages_when_there_is_more_than_one_answer_carries(installed: District) -> None:
    writer = installed.tablet()
    for _ in range(20):
        writer.measure(writer.register_child(), weight_g=9000)
    writer.sync_until_quiet()
    pages = pulled_in_pages(installed, max_pull_bytes=2000)
    assert len(pages) >= 4
    assert all(len(orjson.dumps(page)) < 2600 for page in pages)
    assert sorted(row["id"] for page in pages for row in page["children"]) == sorted(
        ref for kind, ref in writer.shown() if kind == "child"
    )
    assert sum(len(rows) for page in pages for rows in page["measurements"].values()) == 20


def pulled_in_pages(district: District, max_pull_bytes: int) -> list[dict[str, Any]]:
    """Pull everything of the first post with a small limit."""
    object.__setattr__(district.hub.settings, "max_pull_bytes", max_pull_bytes)
    pages: list[dict[str, Any]] = [{"cursor": 0, "more": True}]
    while pages[-1]["more"]:
        with district.hub.database.reading() as session:
            page = pull.page_after(session, district.hub, district.posts[0], pages[-1]["cursor"])
        pages.append(orjson.loads(orjson.dumps(page)))
    return pages[1:]


def test_record_larger_than_an_answer_still_comes(installed: District) -> None:
    writer = installed.tablet()
    writer.measure(writer.register_child(), note="x" * 500)
    writer.sync_until_quiet()
    pages = pulled_in_pages(installed, max_pull_bytes=10)
    assert [len(page["children"]) + len(page["measurements"]) for page in pages] == [1, 1]


def test_stream_has_one_place_for_each_record_without_doubles(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    for month in (1, 2, 3):
        tablet.measure(child, f"2026-0{month}-05", weight_g=9000)
    tablet.sync()
    tablet.measure(child, "2026-01-05", weight_g=8000)
    tablet.sync()
    found = text("SELECT position FROM child UNION ALL SELECT position FROM measurement ORDER BY 1")
    positions = [row.position for row in installed.rows(found)]
    assert positions == [1, 3, 4, 5]
    assert installed.rows(select(HealthPost.head_position).where(HealthPost.id == installed.posts[0])) == [
        (5,)
    ]


# -- side by side -----------------------------------------------------------------------------------


def together(*tasks: Callable[[], Any]) -> list[Any]:
    """Run tasks at the same moment and give what they return; what one raises is raised here."""
    ready = threading.Barrier(len(tasks))

    def run(task: Callable[[], Any]) -> Any:
        ready.wait()
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return [future.result(timeout=180) for future in [pool.submit(run, task) for task in tasks]]


def test_batch_is_taken_once_when_four_carriers_bring_it_at_once(installed: District) -> None:
    tablet = installed.tablet()
    for _ in range(10):
        tablet.measure(tablet.register_child(), weight_g=9000)
    message = tablet.next_message()
    answers = together(*[lambda: tablet.send_raw(message)] * 4)
    assert len({receipt_bytes(answer) for answer in answers}) == 1
    assert installed.counts()["change"] == 20
    assert installed.counts()["batch"] == 1


def test_nothing_is_lost_when_four_tablets_write_one_record_at_once(installed: District) -> None:
    first = installed.tablet()
    child = first.register_child()
    first.sync_until_quiet()
    tablets = [installed.tablet() for _ in range(4)]
    for number, tablet in enumerate(tablets):
        tablet.sync_until_quiet()
        tablet.measure(child, weight_g=9000 + number)
        tablet.edit_child(child, parents={"mother": f"Ibu Contoh {number}"})
    together(*[tablet.sync_until_quiet for tablet in tablets])
    installed.settle(*tablets)
    state = tablets[0].state(child, "2026-03-05")
    assert sorted(s.value["weight_g"] for s in state.registers["weight"]) == [9000, 9001, 9002, 9003]


def test_nothing_is_lost_when_two_posts_bring_the_same_children_to_an_empty_server(
    installed: District,
) -> None:
    one, two, children = children_that_moved_and_a_server_that_forgot(installed, 30)
    # the first batch of each names its own post alone, so no lock of a post orders the two
    together(
        lambda: one.sync_until_quiet(max_changes=30),
        lambda: two.sync_until_quiet(max_changes=30),
    )
    installed.settle(one, two)
    for child in children:
        assert two.state(child, "2026-02-05").value("weight") == {"weight_g": 8900, "oedema": None}
        assert two.state(child, "2026-03-05").value("weight") == {"weight_g": 9000, "oedema": None}


def children_that_moved_and_a_server_that_forgot(
    district: District, count: int
) -> tuple[FakeTablet, FakeTablet, list[str]]:
    """Give tablets of two posts that both know the same children, of whom the restored server knows nothing."""
    one, two = district.tablet(0), district.tablet(1)
    backup = district.back_up()
    children = [one.register_child() for _ in range(count)]
    for child in children:
        one.measure(child, "2026-02-05", weight_g=8900)
        one.edit_child(child, post={"post": district.posts[1]})
    district.settle(one, two)
    for child in children:
        two.measure(child, "2026-03-05", weight_g=9000)
    two.sync_until_quiet()
    district.restore(backup)
    return one, two, children


def test_children_cross_between_posts_without_a_deadlock(installed: District) -> None:
    one, two = installed.tablet(0), installed.tablet(1)
    mine, theirs = [one.register_child() for _ in range(8)], [two.register_child() for _ in range(8)]
    installed.settle(one, two)
    for child in mine:
        one.edit_child(child, post={"post": installed.posts[1]})
    for child in theirs:
        two.edit_child(child, post={"post": installed.posts[0]})
    together(
        lambda: one.sync_until_quiet(max_changes=1),
        lambda: two.sync_until_quiet(max_changes=1),
    )
    installed.settle(one, two)
    assert {ref for _, ref in one.shown()} == set(theirs)


def test_child_is_measured_at_one_post_while_it_moves_to_and_fro(installed: District) -> None:
    one, two = installed.tablet(0), installed.tablet(1)
    child = one.register_child()
    installed.settle(one, two)
    for turn in range(10):
        one.edit_child(child, post={"post": installed.posts[(turn + 1) % 2]})
        two.measure(child, f"2026-02-{turn + 1:02}", weight_g=9000)
    together(
        lambda: one.sync_until_quiet(max_changes=1),
        lambda: two.sync_until_quiet(max_changes=1),
    )
    installed.settle(one, two)
    assert len(one.shown()) == 11


def test_reader_sees_every_record_while_two_tablets_upload(installed: District) -> None:
    writers = [installed.tablet(), installed.tablet()]
    for tablet in writers:
        for _ in range(12):
            tablet.measure(tablet.register_child(), weight_g=9000, length_mm=745)
    done = threading.Event()
    seen: set[str] = set()
    together(
        lambda: upload_then(done, writers),
        lambda: read_until(done, installed, seen),
    )
    children = {row.id for row in installed.rows(select(Child.id))}
    assert len(children) == 24
    assert seen == children | {f"{child}/2026-03-05" for child in children}


def upload_then(done: threading.Event, writers: Sequence[FakeTablet]) -> None:
    try:
        together(*[lambda tablet=tablet: tablet.sync_until_quiet(max_changes=2) for tablet in writers])
    finally:
        done.set()


def read_until(done: threading.Event, district: District, seen: set[str]) -> None:
    """Poll the first post's stream by cursor, once more after the last upload."""
    cursor, last = 0, False
    while True:
        with district.hub.database.reading() as session:
            page = orjson.loads(
                orjson.dumps(pull.page_after(session, district.hub, district.posts[0], cursor))
            )
        seen.update(row["id"] for row in page["children"])
        seen.update(f"{child}/{row['on']}" for child, rows in page["measurements"].items() for row in rows)
        cursor = page["cursor"]
        if last and not page["more"]:
            return
        last = done.is_set()


# -- what is kept beside ----------------------------------------------------------------------------


def test_nik_is_found_by_its_blind_index_until_it_is_taken_back(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child(None, nik={"nik": NIK})
    tablet.sync()
    assert installed.rows(select(NikIndex.blind_index, NikIndex.child_id)) == [
        (installed.hub.vault.blind_index(NIK), child)
    ]
    tablet.edit_child(child, nik={"nik": None})
    tablet.sync()
    assert installed.counts()["nik_index"] == 0


def test_wrong_tablet_clock_is_measured_and_kept(installed: District) -> None:
    tablet = installed.tablet()
    tablet.register_child()
    tablet.send(message_of(tablet, sent_at="2026-03-05T02:01:30Z"))
    assert installed.rows(select(Tablet.clock_offset_ms)) == [(90_000,)]


def test_sex_and_birth_date_are_plain_only_while_undisputed(installed: District) -> None:
    one, two = installed.tablet(), installed.tablet()
    child = one.register_child()
    installed.settle(one, two)
    one.edit_child(child, identity=identity(born_on="2025-01-11"))
    two.edit_child(child, identity=identity(born_on="2025-01-12"))
    installed.settle(one, two)
    assert installed.rows(select(Child.sex, Child.born_on, Child.conflicts)) == [("M", None, "identity")]


def test_history_is_found_when_a_change_comes_alone_later(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.sync()
    tablet.edit_child(child, birth={"weight_g": 3000})
    tablet.sync()
    assert set(tablet.state(child).registers) == {"identity", "birth"}
    installed.check_agreement(tablet)
