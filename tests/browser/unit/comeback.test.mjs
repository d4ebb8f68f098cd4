// When the page comes back after a close, and when it does not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comeback, fullJitter } from '../../../web-demo/comeback.js';

const almostOne = () => 0.999999;

test('4500 to 4999 mean: do not come back, and the reason is said', () => {
  for (const code of [4500, 4501, 4503, 4504, 4999]) {
    const next = comeback(code, '', 0);
    assert.equal(next.again, false);
    assert.match(next.why, /\w+.*\.$/);
  }
});

test('all other closes mean: come back', () => {
  for (const code of [1000, 1001, 1006, 1011, 1012, 1013, 4000, 4001, 4004, 4010, 4499, 5000]) {
    assert.equal(comeback(code, '', 0).again, true, String(code));
  }
});

test('the pause asked for in a 1012 is kept, spread by chance', () => {
  const reason = '{"after":2000,"spread":500}';
  assert.equal(comeback(1012, reason, 9, () => 0).after, 2000);
  assert.equal(comeback(1012, reason, 9, () => 0.5).after, 2250);
  assert.equal(comeback(1012, '{"after":700}', 9, almostOne).after, 700);
});

test('a reason that makes no sense leaves the usual pause', () => {
  for (const reason of ['', 'soon', '{}', '{"after":-1}', '{"after":"5"}', '{"after":1e12,"spread":0}', '{"after":1,"spread":-2}', 'null', '[]']) {
    assert.ok(comeback(1012, reason, 0, almostOne).after <= 500, reason);
  }
  assert.ok(comeback(1006, '{"after":9000,"spread":0}', 0, almostOne).after <= 500);
});

test('after 4010 the page waits before it comes back', () => {
  assert.equal(comeback(4010, '', 0, () => 0).after, 5000);
});

test('the bound of the jitter doubles and ends', () => {
  assert.deepEqual([0, 1, 2, 3].map((attempt) => fullJitter(attempt, almostOne)), [500, 1000, 2000, 4000]);
  for (const attempt of [5, 20, 2000]) assert.equal(fullJitter(attempt, almostOne), 15000);
  assert.equal(fullJitter(6, () => 0), 0);
});
