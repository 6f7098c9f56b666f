"""A child whose data was erased at a parent's request: nothing of it stays in the tablet's replica; its chain goes on."""

from typing import Any

import pytest

from tests.tablet._modules import Modules

pytestmark = pytest.mark.browser

LIFE = """(async () => {
  const limits = { changes: 200, bytes: 262144 };
  const welcome = { tablet: given.tablet, district: '64.02', post: {}, limits, sealing: null };
  const one = new replica.Replica({ facts: replica.newFacts(welcome, 'posyandu-tablet 0.1.0') });
  const save = async (child, set) => one.apply(await one.write(await one.open('child', {}, child), set, 'kader'));
  const empty = { children: [], measurements: {}, follow_ups: {}, deliveries: {}, left: [] };
  const pull = (told) => ({ cursor: 9, more: false, ...empty, ...told });
  const answer = (items, told) => ({ incarnation: 'i', token: 't', pull: pull(told),
    receipt: { status: 'accepted', wanted: 0, items } });
  const take = async (told) => { const { delta, event } = await one.receive(told); one.apply(delta); return event; };
  const holds = () => JSON.stringify([one.log, [...one.held], one.past]).includes(given.name);

  await save(given.erased, { identity: { name: given.name } });
  await save(given.other, { identity: { name: 'Anak Lain' } });
  await take(answer([[1, 'applied', null], [2, 'applied', null]], {}));
  const before = holds();
  await save(given.erased, { identity: { name: given.name } });
  const [, head] = one.head();
  await take(answer([], { left: [given.erased], erased: [given.erased] }));
  const waits = [holds(), one.waiting().length];
  const why = [{ code: 'child-erased', path: 'id' }];
  await take(answer([[3, 'quarantined', why]], {}));
  const after = { holds: holds(), children: one.children(), question: one.inQuestion().length, sent: one.facts.sent };
  const same = one.head()[1] === head;
  const { event } = await one.receive({ ...answer([], {}), receipt: { status: 'gap', wanted: 1, items: [] } });
  one.apply(await one.renumbered({ ...welcome, tablet: given.next }, 0));
  const anew = one.log.map(({ change }) => change.id);
  return { before, waits, after, same, event, anew };
})()"""


def test_nothing_stays_but_the_chain(modules: Modules) -> None:
    ids = [f"01900000-0000-7000-8000-00000000000{number}" for number in range(1, 5)]
    given = dict(zip(("tablet", "next", "erased", "other"), ids, strict=True))
    found: dict[str, Any] = modules.call(LIFE, {**given, "name": "Putri Rahasia Contoh"})
    assert found["before"]
    assert found["waits"] == [True, 1]  # what was not sent yet goes up first, and comes back refused
    assert found["after"] == {"holds": False, "children": [], "question": 0, "sent": 3}
    assert found["same"]
    assert found["event"] == "new_epoch_required"
    assert found["anew"] == [given["other"]]
