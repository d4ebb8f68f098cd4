// No digit is lost on the way in or out, and nothing else about JSON changes.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { integer, parse, shown, write } from '../../../../web-demo/sdk/wire.js';

const GOLDEN = join(import.meta.dirname, '../../../golden');
let seed = 20_261_122;
const random = (below) => {
  seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
  return seed % below;
};
/** Any signed 64-bit integer, the small and the large ones alike. */
const anyInteger = () => {
  const bits = BigInt(1 + random(64));
  const value = Array.from({ length: 4 }).reduce((sum) => (sum << 16n) + BigInt(random(65_536)), 0n);
  return BigInt.asIntN(64, BigInt.asIntN(Number(bits), value));
};
const digits = (text) => text.replace(/"(?:[^"\\]|\\.)*"/g, '""').match(/-?\d+/g) ?? [];

test('every 64-bit integer comes in with all its digits, as a number where that is exact', () => {
  const edges = [2n ** 53n, 2n ** 53n - 1n, 2n ** 63n - 1n, 0n].flatMap((edge) => [edge - 1n, edge, -edge, -edge - 1n]).filter((edge) => BigInt.asIntN(64, edge) === edge);
  for (const value of [...edges, ...Array.from({ length: 2_000 }, anyInteger)]) {
    const { data, list } = parse(`{"event":"X","data":{"key":"${value}","value":${value}},"list":[${value}]}`);
    assert.equal(BigInt(data.value), value);
    assert.equal(typeof data.value, Number.isSafeInteger(Number(value)) ? 'number' : 'bigint');
    assert.equal(list[0], data.value);
    assert.equal(data.key, String(value));
  }
});

test('every 64-bit integer goes out with all its digits, in a form the gateway reads', () => {
  for (let turn = 0; turn < 2_000; turn += 1) {
    const value = anyInteger();
    const text = write({ value: integer(value, 'value'), small: integer(random(1_000_000), 'small') });
    assert.ok(text.startsWith(`{"value":"${value}","small":`), text);
  }
  assert.equal(write({ value: 5, none: undefined }), '{"value":5}');
});

test('an integer that a number has rounded already is refused, as is what is none', () => {
  for (const value of [2 ** 53, -(2 ** 53), 1e300, 2n ** 63n, -(2n ** 63n) - 1n, 0.5, NaN, Infinity, '5', null, undefined, true, {}]) {
    assert.throws(() => integer(value, 'value'), (fault) => fault.code === 10004 && /^value must be an integer of 64 bits/.test(fault.message), String(value));
  }
  assert.throws(() => integer(2 ** 53, 'value'), /beyond 2\^53 a bigint/);
  assert.equal(integer(-(2n ** 63n), 'value'), -(2n ** 63n));
});

test('a value is shown as the app asked, and never rounded: without end where it does not fit', () => {
  const data = (value) => [{ groupID: 'live', key: 'like', value, version: 1 }, { groupID: 'live', counters: { like: value }, version: 1 }];
  for (const each of [0, 1]) {
    for (const kind of ['auto', undefined, 'number']) assert.deepEqual(shown(data(5)[each], kind), data(5)[each]);
    assert.deepEqual(shown(data(5)[each], 'bigint'), data(5n)[each]);
    for (const kind of ['auto', 'bigint']) assert.deepEqual(shown(data(2n ** 60n)[each], kind), data(2n ** 60n)[each]);
    for (const [value, sign] of [[2n ** 60n, 1], [-(2n ** 60n), -1]]) {
      const unfit = [];
      assert.deepEqual(shown(data(value)[each], 'number', (one) => unfit.push(one)), data(sign * Infinity)[each]);
      assert.deepEqual(unfit, [value]);
    }
  }
});

test('a frame that the gateway would end the connection over is never sent', () => {
  write({ text: 'a'.repeat(32_000) });
  assert.throws(() => write({ text: 'ü'.repeat(17_000) }), { code: 10004 });
});

test('text stays text, whatever it looks like', () => {
  for (const text of ['9223372036854775807', 'i9223372036854775807', 's', 'i', '', '"', '\\', '\\"9007199254740993', '{"a":9223372036854775807}', '\u0000', 'é', '\u2028', '__proto__']) {
    const frame = { [text]: text, list: [text], n: 1 };
    const read = parse(JSON.stringify(frame).replace('"n":1', '"n":9007199254740993'));
    assert.deepEqual(read, { ...frame, n: 9_007_199_254_740_993n });
    assert.deepEqual(Object.keys(read), Object.keys(frame));
  }
});

test('any JSON beside a long integer comes back as it was', () => {
  const pieces = ['"', '\\', 's', 'i', '1234567890123456', ':', ',', '{', '}', '\n', 'ü', '-', '1e5', ' '];
  const word = () => Array.from({ length: random(6) }, () => pieces[random(pieces.length)]).join('');
  const any = (depth) => [() => word(), () => random(1e9) - 5e8, () => random(1000) / 7, () => null, () => true, () => Array.from({ length: random(4) }, () => any(depth - 1)),
    () => Object.fromEntries(Array.from({ length: random(4) }, () => [word(), any(depth - 1)]))][random(depth ? 7 : 5)]();
  for (let turn = 0; turn < 2_000; turn += 1) {
    const value = any(3);
    const space = random(3);
    assert.deepEqual(parse(`[${JSON.stringify(value, null, space)},-9223372036854775808]`), [value, -(2n ** 63n)]);
  }
});

test('fractions and exponents stay numbers, and what is not JSON is refused', () => {
  assert.deepEqual(parse('{"n":1234567890123456789,"f":0.12345678901234567,"e":1234567890123456789e2}'), { n: 1_234_567_890_123_456_789n, f: 0.12345678901234567, e: 1234567890123456789e2 });
  for (const text of ['', '{', '01234567890123456789', '-01234567890123456789', '{"a":12345678901234567890', '{"a":"1234567890123456', '-', '{a:12345678901234567890}', '[1234567890123456,]', '"1234567890123456\n"', '"a" 1234567890123456']) {
    assert.throws(() => parse(text), SyntaxError, text);
  }
});

for (const name of readdirSync(GOLDEN).filter((file) => file.endsWith('.json'))) {
  test(`${name}: the golden frames keep every digit, there and back`, () => {
    const text = readFileSync(join(GOLDEN, name), 'utf8');
    const steps = parse(text);
    const again = JSON.stringify(steps, (_, value) => (typeof value === 'bigint' ? `<${value}>` : value)).replace(/"<(-?\d+)>"/g, '$1');
    assert.ok(digits(text).length > 5);
    assert.deepEqual(digits(again), digits(text));
    for (const step of steps.filter((it) => typeof it.in === 'object')) assert.deepEqual(parse(write(step.in)), step.in);
  });
}
