// Whether to come back, and when.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comeback } from '../../../../web-demo/sdk/comeback.js';

test('4500 to 4999 do not come back, everything else does', () => {
  for (const code of [4500, 4501, 4503, 4504, 4999]) assert.equal(comeback(code, '', 0, () => 0.5).pause, null, code);
  for (const code of [1000, 1001, 1002, 1006, 1009, 1011, 1012, 1013, 4000, 4001, 4004, 4010, 4499]) assert.ok(comeback(code, '', 0, () => 0.5).pause >= 0, code);
});

test('full jitter: anywhere from nothing to a bound that doubles, up to 15 s', () => {
  assert.equal(comeback(1006, '', 9, () => 0).pause, 0);
  const bounds = [0, 1, 2, 5, 50, 2_000].map((attempt) => comeback(1006, '', attempt, () => 1).pause);
  assert.deepEqual(bounds, [500, 1_000, 2_000, 15_000, 15_000, 15_000]);
});

test("a restarting server's hint is followed, however often it was tried", () => {
  const hint = '{"after":1500,"spread":4000}';
  for (const attempt of [0, 7]) {
    assert.deepEqual([0, 0.5, 1].map((chance) => comeback(1012, hint, attempt, () => chance).pause), [1_500, 3_500, 5_500]);
  }
  assert.equal(comeback(1012, hint, 0, () => 0).asked, true);
});

test('a hint that is none is left aside, and one beyond reason is bounded', () => {
  for (const reason of ['', 'soon', '{}', '{"after":-5,"spread":1}', '{"after":"x","spread":1}', 'null', '{"after":1,"spread":-1}', '{"after":1}', '[]']) {
    assert.equal(comeback(1012, reason, 0, () => 1).pause, 500, reason);
  }
  assert.equal(comeback(1012, '{"after":1e12,"spread":1e12}', 0, () => 1).pause, 300_000);
  assert.equal(comeback(4000, '{"after":1500,"spread":4000}', 0, () => 1).pause, 500);
});

test('after 4010 and 1013 there is a pause first', () => {
  for (const code of [4010, 1013]) {
    const { pause, asked } = comeback(code, '', 0, () => 0);
    assert.deepEqual([pause, asked], [5_000, true]);
  }
});
