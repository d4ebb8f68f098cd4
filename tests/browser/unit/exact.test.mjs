// Integers beyond 2^53 keep all their digits, and nothing else about JSON changes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { masked, parseExact, writeExact } from '../../../web-demo/exact.js';

test('a long integer keeps every digit', () => {
  const { a, b, c } = parseExact('{"a":9223372036854775807,"b":-9223372036854775808,"c":[9007199254740993]}');
  assert.equal(a, 9223372036854775807n);
  assert.equal(b, -9223372036854775808n);
  assert.deepEqual(c, [9007199254740993n]);
});

test('an integer that a number holds stays a number', () => {
  const text = '{"id":7,"max":9007199254740991,"min":-9007199254740991,"long":1000000000000000,"next":9007199254740992}';
  const { id, max, min, long, next } = parseExact(text);
  assert.deepEqual([id, max, min, long], [7, 9007199254740991, -9007199254740991, 1000000000000000]);
  assert.equal(next, 9007199254740992n);
});

test('text that looks like a number, a mark or a frame stays text', () => {
  for (const text of ['9223372036854775807', 'i9223372036854775807', 's', '', '"', '\\', '{"a":9223372036854775807}', '\u0000', 'é', '\u2028']) {
    const frame = { [text || 'empty']: text, n: 1 };
    const json = JSON.stringify(frame).replace('"n":1', '"n":9007199254740993');
    const read = parseExact(json);
    assert.equal(read[text || 'empty'], text);
    assert.equal(read.n, 9007199254740993n);
  }
});

test('fractions and exponents stay what JSON says they are', () => {
  const { n, f, e } = parseExact('{"n":1234567890123456789,"f":0.12345678901234567,"e":1234567890123456789e2}');
  assert.equal(n, 1234567890123456789n);
  assert.equal(f, 0.12345678901234567);
  assert.equal(e, 1234567890123456789e2);
});

test('what is not JSON is refused', () => {
  for (const text of ['', '{', '01234567890123456789', '{"a":12345678901234567890', '{"a":"1234567890123456', '-', '{a:12345678901234567890}', '[1234567890123456,]']) {
    assert.throws(() => parseExact(text), SyntaxError, text);
  }
});

test('any frame comes back as it was', () => {
  let seed = 7;
  const random = (n) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
  const pieces = ['"', '\\', 's', 'i', '1234567890123456', ':', ',', '{', '\n', 'ü', '-'];
  for (let turn = 0; turn < 500; turn += 1) {
    const word = () => Array.from({ length: random(6) }, () => pieces[random(pieces.length)]).join('');
    const frame = { [word()]: word(), list: [word(), random(1e6), null, true], far: 123456789012345678 };
    assert.deepEqual(parseExact(JSON.stringify(frame).replace('123456789012345680', '5')), { ...frame, far: 5 });
  }
});

test('what is written has every digit, and is else what JSON.stringify writes', () => {
  const plain = { id: 7, text: 'a "b" \\ \n ü \u2028', list: [1, null, true, { a: [] }], none: undefined, minus: -3, half: 0.5, '': {} };
  assert.equal(writeExact(plain), JSON.stringify(plain));
  const text = '{"value":9223372036854775807,"counters":{"low":-9223372036854775808,"one":1}}';
  assert.equal(writeExact(parseExact(text)), text);
});

test('a signature is never shown', () => {
  assert.equal(masked({ id: 1, cmd: 'login', userSig: 'secret' }), '{"id":1,"cmd":"login","userSig":"•••"}');
  assert.equal(masked({ id: 2, cmd: 'ping' }), '{"id":2,"cmd":"ping"}');
});
