// A number never runs backwards, whatever the order in which frames come.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Room } from '../../../web-demo/room.js';

function joined(counters = { like: 5 }, version = 10, epoch = 'a') {
  const room = new Room();
  room.snapshot({ counters, version, epoch });
  return room;
}

test('before the snapshot nothing is known', () => {
  const room = new Room();
  assert.equal(room.known, false);
  assert.equal(room.push({ key: 'like', value: 1, version: 1 }), false);
  assert.deepEqual(room.counters(), []);
});

test('a newer push counts; the same or an older one does not', () => {
  const room = joined();
  assert.equal(room.push({ key: 'like', value: 7, version: 12 }), true);
  assert.equal(room.push({ key: 'like', value: 6, version: 11 }), false);
  assert.equal(room.push({ key: 'like', value: 99, version: 12 }), false);
  assert.equal(room.value('like'), 7n);
});

test('each key has its own version, and a key not held has that of the snapshot', () => {
  const room = joined();
  room.push({ key: 'like', value: 7, version: 20 });
  assert.equal(room.push({ key: 'gift', value: 10, version: 15 }), true);
  assert.equal(room.push({ key: 'votes', value: 1, version: 10 }), false);
  assert.deepEqual(room.counters(), [['like', 7n], ['gift', 10n]]);
});

test('a snapshot of the same epoch never takes back a newer push', () => {
  const room = joined();
  room.push({ key: 'like', value: 9, version: 14 });
  room.push({ key: 'gift', value: 1, version: 11 });
  room.snapshot({ counters: { like: 8, viewers: 3 }, version: 13, epoch: 'a' });
  assert.deepEqual(room.counters(), [['like', 9n], ['viewers', 3n]]);
});

test('another epoch voids what is held, also downwards', () => {
  const room = joined({ like: 500, gift: 3 }, 700, 'a');
  room.snapshot({ counters: { like: 2 }, version: 4, epoch: 'b' });
  assert.deepEqual(room.counters(), [['like', 2n]]);
  assert.equal(room.push({ key: 'like', value: 3, version: 5 }), true);
});

test('a resync voids what is held', () => {
  const room = joined({ like: 500 }, 700, 'a');
  room.resync({ counters: { like: 490 }, version: 690, epoch: 'b' });
  assert.equal(room.value('like'), 490n);
  assert.equal(room.push({ key: 'like', value: 491, version: 691 }), true);
});

test('a deleted counter stays gone until a newer write', () => {
  const room = joined();
  room.push({ key: 'like', value: 0, version: 12, deleted: true });
  assert.deepEqual(room.counters(), []);
  assert.equal(room.push({ key: 'like', value: 6, version: 11 }), false);
  assert.equal(room.push({ key: 'like', value: 1, version: 13 }), true);
  assert.equal(room.value('like'), 1n);
});

test('values at the edges of 64 bits are held exactly', () => {
  const room = joined({ up: 9223372036854775807n, down: '-9223372036854775808' });
  assert.equal(room.value('up'), 9223372036854775807n);
  assert.equal(room.value('down'), -9223372036854775808n);
});

test('odd names of counters are only names', () => {
  const room = joined(JSON.parse('{"__proto__":1,"constructor":2}'));
  assert.equal(room.value('__proto__'), 1n);
  assert.equal(room.value('toString'), null);
});
