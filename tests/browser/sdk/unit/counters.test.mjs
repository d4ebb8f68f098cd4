// A number never runs backwards, whatever comes in whatever order; and a new epoch voids what is held.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeCounters } from '../../../../web-demo/sdk/counters.js';

const LIVE = 'live';
function held() {
  const told = [];
  const counters = makeCounters(({ groupID, ...change }) => told.push(change));
  return { counters, told, push: (key, value, version, more) => counters.push({ groupID: LIVE, key, value, version, ...more }) };
}

test('only what is newer than what is held is taken and told', () => {
  const { counters, told, push } = held();
  counters.open(LIVE).snapshot({ epoch: 'a', version: 10, counters: { like: 5, gift: 1 } });
  push('like', 4, 9);
  push('like', 5, 10);
  push('like', 7, 12);
  push('like', 6, 11);
  push('new', 1, 10);
  push('new', 2, 13);
  assert.deepEqual(told.map(({ key, value, version }) => [key, value, version]), [['like', 5, 10], ['gift', 1, 10], ['like', 7, 12], ['new', 2, 13]]);
  assert.deepEqual(counters.view(LIVE), { like: 7, gift: 1, new: 2 });
});

test('in any order of pushes, answers and snapshots the newest version stays, and no version is told after a newer one', () => {
  let seed = 5;
  const random = (below) => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % below;
  for (let round = 0; round < 300; round += 1) {
    const { counters, told } = held();
    const writes = Array.from({ length: 12 }, (_, n) => ({ groupID: LIVE, key: `k${random(3)}`, value: random(1000), version: n + 1 }));
    const upTo = (version) => Object.fromEntries(writes.filter((write) => write.version <= version).map(({ key, value }) => [key, value]));
    const steps = writes.flatMap((write) => [() => counters.push(write), () => counters.open(LIVE).learn(write)]);
    for (let n = 0; n < 4; n += 1) {
      const version = random(13);
      steps.push(() => counters.open(LIVE).snapshot({ epoch: 'a', version, counters: upTo(version) }));
      steps.push(() => counters.open(LIVE).snapshot({ epoch: 'a', version, counters: 'k1' in upTo(version) ? { k1: upTo(version).k1 } : {} }, ['k1']));
    }
    while (steps.length) steps.splice(random(steps.length), 1)[0]();
    assert.deepEqual({ ...counters.view(LIVE) }, upTo(12), `round ${round}`);
    for (const key of ['k0', 'k1', 'k2']) {
      const versions = told.filter((change) => change.key === key).map(({ version }) => version);
      assert.deepEqual(versions, [...new Set(versions)].sort((a, b) => a - b), `round ${round}`);
    }
  }
});

test('versions beyond 2^53 are told apart', () => {
  const { counters, push } = held();
  push('like', 1, 9_007_199_254_740_993n);
  push('like', 2, 9_007_199_254_740_992n);
  assert.deepEqual(counters.view(LIVE), { like: 1 });
  push('like', 3, 9_007_199_254_740_994n);
  assert.deepEqual(counters.view(LIVE), { like: 3 });
});

test('a deleted counter is gone, and an older push does not bring it back', () => {
  const { counters, told, push } = held();
  push('like', 5, 5);
  push('like', 0, 7, { deleted: true });
  push('like', 6, 6);
  assert.deepEqual(counters.view(LIVE), {});
  assert.deepEqual(told.at(-1), { key: 'like', value: 0, version: 7, deleted: true });
  push('like', 1, 8);
  assert.deepEqual(counters.view(LIVE), { like: 1 });
});

test('a snapshot tells what has changed and what is gone, and nothing else', () => {
  const { counters, told } = held();
  counters.open(LIVE).snapshot({ epoch: 'a', version: 5, counters: { like: 5, gift: 1, old: 3 } });
  told.length = 0;
  counters.open(LIVE).snapshot({ epoch: 'a', version: 9, counters: { like: 8, gift: 1 } });
  assert.deepEqual(told, [{ key: 'like', value: 8, version: 9 }, { key: 'old', value: 0, version: 9, deleted: true }]);
  assert.deepEqual(counters.view(LIVE), { like: 8, gift: 1 });
});

test('a new epoch, or a resync, voids what is held, however new it looked', () => {
  for (const again of [(it, data) => it.open(LIVE).snapshot({ ...data, epoch: 'b' }), (it, data) => it.open(LIVE).snapshot({ ...data, epoch: 'a' }, null, true)]) {
    const { counters, push } = held();
    counters.open(LIVE).snapshot({ epoch: 'a', version: 100, counters: { like: 100, gift: 9 } });
    again(counters, { version: 3, counters: { like: 3 } });
    assert.deepEqual(counters.view(LIVE), { like: 3 });
    push('like', 4, 4);
    assert.deepEqual(counters.view(LIVE), { like: 4 });
  }
});

test('after a connection only groups that are joined are kept, and only what a snapshot can confirm', () => {
  const { counters, push } = held();
  counters.open('read').snapshot({ epoch: 'a', version: 1, counters: { like: 1 } });
  counters.open('left').snapshot({ epoch: 'a', version: 1, counters: { like: 1 } });
  counters.leave('left');
  counters.push({ groupID: 'left', key: 'like', value: 2, version: 2 });
  counters.open('room').joined = true;
  counters.open('room').snapshot({ epoch: 'a', version: 1, counters: { like: 1 } });
  push('like', 1, 50);
  counters.disconnected();
  assert.deepEqual(counters.joined(), ['room', LIVE]);
  assert.deepEqual([counters.view('read'), counters.view('left'), counters.view(LIVE)], [undefined, undefined, undefined]);
  assert.deepEqual(counters.view('room'), { like: 1 });
  counters.open(LIVE).snapshot({ epoch: 'b', version: 2, counters: { like: 2 } });
  assert.deepEqual(counters.view(LIVE), { like: 2 });
});

test('the view is the same object until something changes', () => {
  const { counters, push } = held();
  assert.equal(counters.view(LIVE), undefined);
  counters.open(LIVE).snapshot({ epoch: 'a', version: 0, counters: {} });
  const view = counters.view(LIVE);
  assert.deepEqual(view, {});
  assert.equal(counters.view(LIVE), view);
  push('__proto__', 1, 1);
  assert.notEqual(counters.view(LIVE), view);
  assert.equal(Object.getOwnPropertyDescriptor(counters.view(LIVE), '__proto__').value, 1);
});

test('what is held has a limit', () => {
  const { counters, push } = held();
  for (let n = 0; n < 1_000; n += 1) counters.open(`g${n}`).snapshot({ epoch: 'a', version: 1, counters: { like: 1 } });
  assert.equal(counters.view('g0'), undefined);
  assert.deepEqual(counters.view('g999'), { like: 1 });
  for (let n = 0; n < 1_000; n += 1) push(`k${n}`, 0, n + 1, { deleted: true });
  push('k1', 5, 1_001);
  assert.deepEqual(counters.view(LIVE), { k1: 5 });
});
