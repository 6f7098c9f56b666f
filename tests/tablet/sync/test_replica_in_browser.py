"""The tablet app's replica lives through what Python's lived through, call by call, and is the same after every one: what it
shows, chains, sends, keeps and numbers again. PROTOCOL_HISTORIES=1000 in the environment makes it as many as it says."""

import os
from collections import Counter
from typing import Any

import pytest

from tests.builders import APP, AT
from tests.sync_protocol._world import KEYS, REFS
from tests.tablet._modules import Modules
from tests.tablet.sync._lives import Step, lives

pytestmark = pytest.mark.browser
HISTORIES = int(os.environ.get("PROTOCOL_HISTORIES", "36"))
"""Each of three tablets and more, some 45 calls in a life."""
CHUNKS = 2

LIVE: Any = """(async () => {
  // The clock stands still, and a change gets the random bytes that it had in the other life.
  const Clock = Date;
  globalThis.Date = class extends Clock { constructor(...at) { at.length ? super(...at) : super(given.at); } };
  let next = null;
  const chance = crypto.getRandomValues.bind(crypto);
  crypto.getRandomValues = (room) => {
    if (next === null) return chance(room);
    room.set(next);
    next = null;
    return room;
  };
  const named = ({ batch, sent_at, ...told }) => told;
  const begun = (tablet) => replica.newFacts({
    tablet, district: '64.02', post: {}, limits: { changes: 200, bytes: 262144 }, sealing: null }, given.app);

  async function live(one, call, what) {
    if (call === 'open') return (await one.open(what.kind, what.key, what.id)).context;
    if (call === 'nextBatch') return named(one.nextBatch(what));
    if (call === 'carriedBatches') return one.carriedBatches().map(named);
    if (call === 'write') {
      next = bytes.unbase64url(what.nonce);
      one.apply(await one.write(what.form, what.set, what.author));
      return one.head();
    }
    if (call === 'receive') {
      const { delta, event } = await one.receive(what);
      one.apply(delta);
      return event;
    }
    if (call === 'receiveCarried') one.apply(one.receiveCarried(what) || {});
    if (call === 'renumbered') {
      const { tablet, district, post, limits, sealing } = begun(what.tablet);
      one.apply(await one.renumbered({ tablet, district, post, limits, sealing }, what.common));
    }
    if (call === 'forgetting') {
      const delta = one.forgetting(what) || { forget: [] };
      one.apply(delta);
      return delta.forget.length;
    }
    return null;
  }

  function seen(one) {
    const counters = (entries) => entries.map(({ counter }) => counter);
    const { first, tags } = one.kept();
    return {
      views: given.refs.map((ref) => one.view(ref)),
      waiting: counters(one.waiting()),
      in_question: counters(one.inQuestion()),
      head: one.head(),
      kept: [first, tags],
      cursor: one.facts.cursor,
      sent: one.facts.sent,
      outcomes: one.log.map(({ outcome }) => outcome || null),
      past: one.past.map(({ actor, counter, hash }) => [actor, counter, hash]),
    };
  }

  const failures = [];
  for (const [number, steps] of given.lives.entries()) {
    const one = new replica.Replica({ facts: begun(steps[0].given) });
    for (const [at, { call, given: what, answer, digest }] of steps.entries()) {
      const found = await live(one, call, what);
      const now = seen(one);
      if (!bytes.equal(found, answer) || await bytes.digest(now) !== digest) {
        failures.push({ life: number, step: at, call, answer, found, now });
        break;
      }
      // a child's page shows the records that have a view, and no others
      const shown = one.child(given.child);
      const places = [...shown.measurements, ...shown.follow_ups].length + (shown.state ? 1 : 0);
      if (places !== now.views.filter(Boolean).length) {
        failures.push({ life: number, step: at, call, answer: now.views, found: shown, now });
        break;
      }
    }
  }
  globalThis.Date = Clock;
  crypto.getRandomValues = chance;
  return failures;
})()"""


def lived(modules: Modules, all_lives: list[list[Step]]) -> list[Any]:
    refs = [{"kind": kind, "id": id_, "key": dict(KEYS[kind, id_])} for kind, id_ in REFS]
    given = {"at": AT, "app": APP, "refs": refs, "child": REFS[0][1], "lives": all_lives}
    failures: list[Any] = modules.call(LIVE, given)
    return failures


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_replica_is_the_same_when_devices_and_server_are_restored_and_cloned(
    modules: Modules, chunk: int
) -> None:
    all_lives = [life for seed in range(chunk, HISTORIES, CHUNKS) for life in lives(seed, faults=True)]
    calls = Counter(step["call"] for life in all_lives for step in life)
    events = Counter(step["answer"] for life in all_lives for step in life if step["call"] == "receive")
    assert min(calls[call] for call in ("open", "write", "carriedBatches", "renumbered", "forgetting")) > 5
    assert min(events[event] for event in ("accepted", "restored", "new_epoch_required")) > 5
    assert lived(modules, all_lives) == []


def test_replica_is_the_same_when_only_lines_fail(modules: Modules) -> None:
    all_lives = [life for seed in range(HISTORIES // 2) for life in lives(seed, faults=False)]
    assert sum(len(life) for life in all_lives) > 2000
    assert lived(modules, all_lives) == []
