// A write goes out until it is answered or too old, always with the same operation id.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WAITING_MAX, Writes, WRITE_AGE_MS_MAX } from '../../../web-demo/writes.js';

function desk() {
  const writes = new Writes();
  const sent = [];
  return { writes, sent, flush: (now) => writes.flush(now, (frame) => sent.push(frame.opID)) };
}

test('a write goes out once on one connection', async () => {
  const { writes, sent, flush } = desk();
  const outcome = writes.add({ opID: 'a' }, 0);
  flush(0);
  flush(5);
  assert.deepEqual(sent, ['a']);
  assert.deepEqual(writes.answered('a', { code: 0 }, 7), { ms: 7, again: null });
  assert.equal((await outcome).code, 0);
  assert.equal(writes.count, 0);
});

test('what was not answered goes out again on the next connection, in order', () => {
  const { writes, sent, flush } = desk();
  for (const opID of ['a', 'b', 'c']) writes.add({ opID }, 0);
  flush(0);
  writes.answered('b', { code: 0 }, 1);
  writes.connectionLost();
  flush(2000);
  assert.deepEqual(sent, ['a', 'b', 'c', 'a', 'c']);
});

test('a throttled write waits as long as the server says, and all others with it', () => {
  const { writes, sent, flush } = desk();
  writes.add({ opID: 'a' }, 0);
  flush(0);
  assert.deepEqual(writes.answered('a', { code: 2996, retryAfter: 300 }, 10), { ms: 10, again: 300 });
  writes.add({ opID: 'b' }, 20);
  assert.equal(flush(20), 290);
  assert.equal(flush(309), 1);
  assert.deepEqual(sent, ['a']);
  assert.equal(flush(310), null);
  assert.deepEqual(sent, ['a', 'a', 'b']);
});

test('10002 leaves the fate open, so the write is sent again', () => {
  const { writes, sent, flush } = desk();
  writes.add({ opID: 'a' }, 0);
  flush(0);
  assert.equal(writes.answered('a', { code: 10002 }, 5).again, 1000);
  flush(1005);
  assert.deepEqual(sent, ['a', 'a']);
});

test('a refusal is final', async () => {
  const { writes, flush } = desk();
  const outcome = writes.add({ opID: 'a' }, 0);
  flush(0);
  writes.answered('a', { code: 10063, message: 'full' }, 5);
  assert.equal((await outcome).code, 10063);
  assert.equal(writes.answered('a', { code: 0 }, 6), null);
});

test('at 60 s a write is given up and never sent again', async () => {
  const { writes, sent, flush } = desk();
  const tried = writes.add({ opID: 'a' }, 0);
  flush(0);
  writes.connectionLost();
  const never = writes.add({ opID: 'b' }, 1);
  flush(WRITE_AGE_MS_MAX + 1);
  assert.deepEqual(sent, ['a']);
  assert.deepEqual(await tried, { code: -1, sent: true });
  assert.deepEqual(await never, { code: -1, sent: false });
});

test('the number of waiting writes has a limit', () => {
  const { writes } = desk();
  for (let n = 0; n < WAITING_MAX; n += 1) writes.add({ opID: String(n) }, 0);
  assert.equal(writes.full, true);
});
