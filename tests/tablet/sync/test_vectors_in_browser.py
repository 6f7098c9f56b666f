"""The tablet's modules pass every test vector of the protocol that is meant for a client."""

import json
import random
from typing import Any

import pytest

from schemas import parse_envelope
from server.crypto.vault import signature_fits
from sync_protocol import (
    FIRST_PREVIOUS,
    Receipt,
    ReceiptStatus,
    Replica,
    canonical,
    chain,
    follow_up_id,
    measurement_id,
)
from tests.builders import CHILD, FOLLOW_UP_KEY, MEASUREMENT_KEY
from tests.schemas import _examples as examples
from tests.tablet._modules import Modules
from tests.vectors._make import DIRECTORY
from tests.vectors._posts import POSTS, answer, page

pytestmark = pytest.mark.browser


def vectors(name: str) -> Any:
    return json.loads((DIRECTORY / name).read_text(encoding="utf-8"))


def test_values_have_the_canonical_bytes_and_digests(modules: Modules) -> None:
    cases = vectors("canonical.json")
    found = modules.call(
        "Promise.all(given.map(async ({value}) => [bytes.canonical(value), await bytes.digest(value)]))",
        cases,
    )
    assert found == [[case["canonical"], case["digest"]] for case in cases]


def test_changes_have_their_hashes_when_they_are_chained(modules: Modules) -> None:
    cases = vectors("chains.json")
    found = modules.call(
        """Promise.all(given.map(async ({tablet, first, previous, changes}) => {
          const links = [];
          for (const [at, change] of changes.entries()) {
            const before = links.length ? links[links.length - 1].hash : previous;
            const { content, hash } = await chain.link(tablet, first + at, before, change);
            links.push({ content, hash, tag: chain.tagOf(hash) });
          }
          return links;
        }))""",
        cases,
    )
    assert found == [case["links"] for case in cases]


def test_canonical_bytes_fit_the_signatures(modules: Modules) -> None:
    """The app only signs: what it signs must be the bytes that these signatures are over."""
    held = vectors("signatures.json")
    fits = modules.call(
        """(async () => {
          const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
          const key = await crypto.subtle.importKey('jwk', given.public_key, ecdsa, false, ['verify']);
          return Promise.all(given.cases.map(({batch, signature}) => crypto.subtle.verify(
            ecdsa, key, bytes.unbase64url(signature), bytes.utf8(bytes.canonical(batch)))));
        })()""",
        held,
    )
    assert fits == [case["fits"] for case in held["cases"]]


def test_unsent_changes_are_laid_over_the_pulled_state(modules: Modules) -> None:
    cases = vectors("views.json")
    shown = modules.call(
        "given.map(({tablet, pulled, unsent}) => states.view(tablet, pulled, unsent))", cases
    )
    assert shown == [case["shown"] for case in cases]


def test_tablet_makes_of_every_receipt_what_the_vectors_say(modules: Modules) -> None:
    cases = vectors("receipts.json")
    replica = examples.tablet()
    given = {
        "cases": cases,
        "tablet": replica.tablet_id,
        "log": [
            {"counter": entry.change.dot.counter, "hash": entry.change.hash, "change": entry.change.wire()}
            for entry in replica.log
        ],
    }
    found = modules.call(
        """Promise.all(given.cases.map(async ({sent, receipt}) => {
          const { tablet, log } = given;
          const limits = { changes: 200, bytes: 262144 };
          const facts = replica.newFacts({ tablet, district: '64.02', post: {}, limits, sealing: null }, 'contoh 0.1');
          const one = new replica.Replica({ facts, log: log.map((entry) => ({ ...entry })) });
          const batch = one.nextBatch(sent.changes);
          const pull = { cursor: 0, more: false, children: [], measurements: {}, follow_ups: {}, deliveries: {}, left: [] };
          const { delta, event } = await one.receive({ incarnation: 'i', token: 't', receipt, pull });
          one.apply(delta);
          const { first, changes, token } = one.nextBatch(200);
          const counters = (entries) => entries.map(({counter}) => counter);
          return {
            sent: { first: batch.first, changes: batch.changes.length },
            event,
            waiting: counters(one.waiting()),
            in_question: counters(one.inQuestion()),
            next: { first, changes: changes.length, token },
          };
        }))""",
        given,
    )
    names = {"Answered": "accepted", "Resending": "gap", "NewEpochRequired": "new_epoch_required"}
    wanted = [
        {name: case[name] for name in ("sent", "waiting", "in_question", "next")}
        | {"event": names[case["event"]]}
        for case in cases
    ]
    assert found == wanted


def test_form_names_what_the_vectors_say(modules: Modules) -> None:
    cases = vectors("contexts.json")
    found = modules.call("given.map(({shown, most}) => states.contextOf(shown, most))", cases)
    assert found == [case["context"] for case in cases]


def test_changes_are_numbered_again_as_the_vectors_say(modules: Modules) -> None:
    cases = vectors("renumberings.json")
    found = modules.call(
        """Promise.all(given.map(async ({tablet, new: fresh, common, past, forgotten, log, pulled}) => {
          const welcome = { district: '64.02', post: {}, limits: { changes: 200, bytes: 262144 }, sealing: null };
          const [count, hash] = forgotten;
          const facts = { ...replica.newFacts({ ...welcome, tablet }, 'contoh 0.1'), forgotten: count, forgottenHash: hash };
          const held = new Map();
          const measurements = { '2026-01-05/cadre': pulled };
          if (pulled) held.set(log[0].change.key.child, { child: null, measurements, follow_ups: {}, deliveries: {} });
          const kept = log.map(({ counter, hash, change }) => ({ counter, hash, change }));
          const one = new replica.Replica({ facts, log: kept, held, past });
          const { log: again } = await one.renumbered({ ...welcome, tablet: fresh }, common);
          return again.map(({ counter, hash, change }) => ({ actor: fresh, counter, hash, change }));
        }))""",
        cases,
    )
    assert found == [case["renumbered"] for case in cases]


def test_tablet_takes_another_incarnation_as_the_vectors_say(modules: Modules) -> None:
    cases, replica = vectors("incarnations.json"), examples.tablet()
    log = [
        {
            "counter": e.change.dot.counter,
            "hash": e.change.hash,
            "change": e.change.wire(),
            "outcome": "applied",
        }
        for e in replica.log
    ]
    found = modules.call(
        """Promise.all(given.cases.map(async ({answer}) => {
          const { tablet, log } = given;
          const limits = { changes: 200, bytes: 262144 };
          const fresh = replica.newFacts({ tablet, district: '64.02', post: {}, limits, sealing: null }, 'contoh 0.1');
          const facts = { ...fresh, incarnation: 'i', token: 't', cursor: 7, more: false, sent: log.length };
          const one = new replica.Replica({ facts, log: log.map((entry) => ({ ...entry })) });
          const { delta } = await one.receive(answer);
          one.apply(delta);
          const { incarnation, token, cursor, first, changes } = one.nextBatch(200);
          return {
            waiting: one.waiting().map(({ counter }) => counter),
            next: { incarnation, token, cursor, first, changes: changes.length },
          };
        }))""",
        {"cases": cases, "tablet": replica.tablet_id, "log": log},
    )
    assert found == [{"waiting": case["waiting"], "next": case["next"]} for case in cases]


def test_records_are_named_by_their_keys(modules: Modules) -> None:
    found = modules.call(
        "Promise.all([bytes.idOf('measurement', given.m), bytes.idOf('follow_up', given.f)])",
        {"m": MEASUREMENT_KEY, "f": FOLLOW_UP_KEY},
    )
    assert found == [
        measurement_id(CHILD, MEASUREMENT_KEY["measured_on"], "cadre"),
        follow_up_id(CHILD, FOLLOW_UP_KEY["task"]),
    ]


def test_numbers_and_text_have_the_same_bytes_as_the_servers(modules: Modules) -> None:
    """Beside the vectors: names as people have them, every kind of number that a record holds."""
    texts = [
        "",
        "Nur'aini",
        "Siti \u201cAi\u201d",
        "\u00e9\u0301",
        "\U0001f476\U0001f3fd",
        "\u2028\u2029\ufeff",
        "\x00\x1f\x7f\x80",
    ]
    values = [
        {text: at for at, text in enumerate(texts)},
        texts,
        [2**53 - 1, -(2**53) + 1, 0.1, 1e21, 1e-7, -0.5, 123456.789, 5e-324, 1.7976931348623157e308],
        {"a": {"b": [{"c": None}, [], {}]}, "B": True, "_": False, "10": 1, "9": 2},
    ]
    assert modules.call("given.map(bytes.canonical)", values) == [
        canonical(value).decode() for value in values
    ]


def test_ids_are_of_version_7_and_begin_with_when_they_were_made(modules: Modules) -> None:
    found = modules.call(
        """(() => {
          const before = Date.now();
          const ids = Array.from({ length: 1000 }, bytes.newId);
          return { ids, before, after: Date.now() };
        })()"""
    )
    made = [int(id_.replace("-", "")[:12], 16) for id_ in found["ids"]]
    assert all(found["before"] <= at <= found["after"] for at in made)
    assert len(set(found["ids"])) == 1000
    assert all(id_[14] == "7" and id_[19] in "89ab" and len(id_) == 36 for id_ in found["ids"])


def test_server_verifies_chain_and_signature_of_a_batch_made_in_the_browser(modules: Modules) -> None:
    made = modules.call(
        """(async () => {
          const { child, key } = given;
          const keys = await chain.newKeys();
          const limits = { changes: 200, bytes: 262144 };
          const welcome = { tablet: bytes.newId(), district: '64.02', post: { id: bytes.newId() }, limits, sealing: null };
          const one = new replica.Replica({ facts: replica.newFacts(welcome, 'contoh 0.1') });
          const save = async (form, set) => one.apply(await one.write(form, set, 'kader.contoh'));
          const identity = { name: 'Si "A\u00e9" \ud83d\udc76', sex: 'F', born_on: '2025-01-31', birth_order: null };
          await save(await one.open('child', {}, child), { identity });
          for (const weight_g of [8100, 8200, 8300]) {
            await save(await one.open('measurement', key), { weight: { weight_g, oedema: 'n' } });
          }
          const batch = one.nextBatch(200);
          return {
            batch,
            signature: await chain.sign(keys, batch),
            public_key: await chain.publicKey(keys),
            hashes: one.log.map(({ hash }) => hash),
            exportable: keys.privateKey.extractable,
          };
        })()""",
        {"child": CHILD, "key": MEASUREMENT_KEY},
    )
    envelope = parse_envelope({"batch": made["batch"], "signature": made["signature"]})
    batch = made["batch"]
    assert made["exportable"] is False
    assert signature_fits(made["public_key"], canonical(envelope.batch), envelope.signature)
    altered = {**batch, "cursor": 1}
    assert not signature_fits(made["public_key"], canonical(altered), envelope.signature)
    links = chain(batch["tablet"], 1, FIRST_PREVIOUS, batch["changes"])
    assert [link.hash for link in links] == made["hashes"]
    assert batch["head"] == [4, made["hashes"][-1][:16]]
    # the author had her own earlier changes in view
    assert batch["changes"][3]["context"] == {batch["tablet"]: [3, made["hashes"][2][:16]]}
    assert len({change["nonce"] for change in batch["changes"]}) == 4


@pytest.mark.parametrize("far", [CHILD, "ffffffff-ffff-7fff-bfff-ffffffffffff"])
def test_since_when_a_child_is_known_is_not_read_out_of_its_id(modules: Modules, far: str) -> None:
    found = modules.call(
        """(async () => {
          const welcome = { tablet: bytes.newId(), post: { id: bytes.newId() }, limits: { changes: 200, bytes: 262144 } };
          const one = new replica.Replica({ facts: replica.newFacts(welcome, 'contoh 0.1') });
          const set = { identity: { name: 'A', sex: 'F', born_on: null, birth_order: null } };
          one.apply(await one.write(await one.open('child', {}, given), set, 'kader.contoh'));
          const other = bytes.newId();
          const state = { id: other, vector: {}, set };
          const none = { measurements: {}, follow_ups: {}, deliveries: {}, left: [] };
          const pull = { ...none, children: [state], cursor: 1, more: false };
          const receipt = { batch: 'b', status: 'accepted', wanted: 2, items: [[1, 'applied']] };
          const answer = { receipt, incarnation: 'i', token: 't', pull };
          one.apply((await one.receive(answer)).delta);
          const first = one.child(other).since;
          one.apply({ held: new Map([[other, { ...one.held.get(other), since: '2026-01-05T00:00:00Z' }]]) });
          one.facts.cursor = 0;
          one.apply((await one.receive(answer)).delta);
          return {
            own: one.child(given).since,
            written: one.log[0].change.recorded_at,
            first,
            again: one.child(other).since,
            unknown: one.child(bytes.newId()).since,
          };
        })()""",
        far,
    )
    assert found["own"] == found["written"]
    assert found["first"] >= found["written"]
    assert found["again"] == "2026-01-05T00:00:00Z"
    assert found["unknown"] is None


def test_tags_of_what_is_kept_are_numbered_from_the_first_of_them(modules: Modules) -> None:
    """The protocol takes the newest 10,000 tags; the counter beside them is that of the first."""
    found = modules.call(
        """(() => {
          const entry = (_, at) => ({ counter: at + 6, hash: `h${at + 6}`, change: { id: 'x', key: {} } });
          const log = Array.from({ length: 10003 }, entry);
          const fresh = replica.newFacts({ tablet: 't' }, 'contoh');
          const facts = { ...fresh, forgotten: 5, forgottenHash: 'h5' };
          const { first, tags } = new replica.Replica({ facts, log }).kept();
          const none = new replica.Replica({ facts, log: [] }).kept();
          return [first, tags.length, tags[0], tags[9999], none];
        })()"""
    )
    assert found == [9, 10000, "h9", "h10008", {"first": 6, "tags": []}]


TAKE_POSTS = """Promise.all(given.map(async ({ tablet, posts, answers }) => {
  const named = posts.map((id) => ({ id, name: id }));
  const limits = { changes: 200, bytes: 262144 };
  const welcome = { tablet, district: '64.02', post: named[0], posts: named, limits, sealing: null };
  const one = new replica.Replica({ facts: replica.newFacts(welcome, 'contoh 0.1') });
  const receipt = { batch: 'b', status: 'accepted', wanted: 1, items: [] };
  const steps = [];
  for (const answer of answers) {
    one.apply((await one.receive({ token: 't', receipt, ...answer })).delta);
    const held = Object.fromEntries([...one.held].map(([id, { post }]) => [id, post]));
    const measured = Object.fromEntries([...one.held].map(([id, of]) => [id, Object.keys(of.measurements).length]));
    const { cursors } = one.nextBatch(200);
    steps.push({ held, cursors, measured, more: one.facts.more });
  }
  return steps;
}))"""


def test_tablet_of_staff_holds_what_the_vectors_say(modules: Modules) -> None:
    cases = vectors("posts.json")
    found = modules.call(TAKE_POSTS, cases)
    assert [(steps[-1]["held"], steps[-1]["cursors"]) for steps in found] == [
        (case["held"], case["cursors"]) for case in cases
    ]
    assert all(count == 1 for steps in found for count in steps[-1]["measured"].values())


@pytest.mark.parametrize("seed", range(3))
def test_tablet_of_staff_holds_what_the_reference_client_holds(modules: Modules, seed: int) -> None:
    """Children move among four posts while posts are given and taken; pages come in any order, in parts, and begin again."""
    lives = [random_life(random.Random(1000 * seed + number)) for number in range(20)]
    found = modules.call(TAKE_POSTS, [life["given"] for life in lives])
    assert [[{**step, "measured": None} for step in steps] for steps in found] == [
        life["steps"] for life in lives
    ]


def random_life(rng: random.Random) -> dict[str, Any]:
    names = [*POSTS, "019bf000-0000-7000-8000-0000000000e4"]
    children = [f"019bf000-0000-7000-8000-0000000000f{number}" for number in range(6)]
    first: list[Any] = [{"id": post, "name": post} for post in names[:2]]
    replica = Replica("64.02", POSTS[0], names[0], "contoh 0.1", posts=first)
    answers, steps = [], []
    incarnation = "i"
    for number in range(15):
        incarnation = f"i{number}" if rng.random() < 0.1 else incarnation
        told = random_answer(rng, names, children, incarnation)
        batch = replica.next_batch(f"b{number}", "2026-01-06T03:00:00Z")
        receipt = Receipt(batch["batch"], ReceiptStatus.ACCEPTED, 1).wire()
        replica.receive({"token": "t", "receipt": receipt, **told}, "2026-01-06T03:00:01Z")
        answers.append(told)
        cursors = replica.next_batch("n", "2026-01-06T03:00:02Z")["cursors"]
        replica.pending = None
        restored = answers[:-1] and answers[-2]["incarnation"] != incarnation
        steps.append(
            {
                "held": dict(replica.homes),
                "cursors": cursors,
                "measured": None,
                "more": True if restored else told["pull"]["more"],
            }
        )
    return {"given": {"tablet": POSTS[0], "posts": names[:2], "answers": answers}, "steps": steps}


def random_answer(
    rng: random.Random, names: list[str], children: list[str], incarnation: str
) -> dict[str, Any]:
    if rng.random() < 0.1:
        return answer(posts=None, incarnation=incarnation)
    posts = [names[0], *rng.sample(names[1:], rng.randint(0, 3))]
    pulls = []
    for post in rng.sample(posts, rng.randint(0, len(posts))):
        brought = rng.sample(children, rng.randint(0, 3))
        left = rng.sample([child for child in children if child not in brought], rng.randint(0, 2))
        erased = {"erased": left[:1]} if left and rng.random() < 0.2 else {}
        pulls.append(page(post, rng.randint(0, 9), *brought, left=left, **erased))
    told = answer(*pulls, posts=posts, incarnation=incarnation)
    told["pull"]["more"] = rng.random() < 0.3
    return told
