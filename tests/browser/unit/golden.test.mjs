// The golden frames, which the server's tests play against the real program, go through the page's own reader and writer:
// both sides read the same table.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseExact, writeExact } from '../../../web-demo/exact.js';
import { Room } from '../../../web-demo/room.js';

const FOLDER = join(import.meta.dirname, '../../golden');
const FIELDS = ['name', 'as', 'in', 'out', 'then'];
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.json')).sort();
const tables = new Map(files.map((name) => [name, readFileSync(join(FOLDER, name), 'utf8')]));

/** The integers of a JSON text, digit by digit, apart from those inside strings. */
const integers = (text) => text.replace(/"(?:[^"\\]|\\.)*"/g, '""').match(/-?\d+/g) ?? [];
const compact = (text) => text.replace(/"(?:[^"\\]|\\.)*"|\s+/g, (part) => (part[0] === '"' ? part : ''));

test('there are golden frames', () => {
  assert.deepEqual(files, ['faults.json', 'live.json', 'story.json']);
});

for (const [name, text] of tables) {
  const steps = parseExact(text);

  test(`${name}: read and written again, it is the same text`, () => {
    assert.equal(writeExact(steps), compact(text));
  });

  test(`${name}: every step is one that README.md describes`, () => {
    assert.ok(steps.length > 0);
    for (const step of steps) {
      assert.ok(step.name && Object.keys(step).every((field) => FIELDS.includes(field)), JSON.stringify(step.name));
      assert.equal('in' in step, 'out' in step, step.name);
    }
  });

  test(`${name}: answers and pushes have the shape the page reads`, () => {
    for (const { name: step, in: sent, out, then = [] } of steps) {
      if (out) answerIsSound(step, sent, out);
      for (const push of then) assert.match(push.event, /^[A-Z_]+$/, step);
    }
  });
}

function answerIsSound(step, sent, out) {
  assert.ok(Number.isInteger(out.code), step);
  assert.equal('data' in out, out.code === 0, step);
  assert.equal('message' in out, out.code !== 0, step);
  const asked = typeof sent === 'string' ? readable(sent) : sent;
  if (asked && out.id !== null && out.id !== '<any>') assert.deepEqual(out.id, asked.id, step);
}

function readable(text) {
  try {
    return parseExact(text);
  } catch {
    return null;
  }
}

test('the edges of 64 bits are among them, and keep their digits', () => {
  const text = [...tables.values()].join('\n');
  const long = integers(text).filter((digits) => digits.length > 15);
  assert.ok(long.includes('9223372036854775807'));
  const story = parseExact(tables.get('story.json'));
  const largest = story.find(({ name }) => name === 'the largest value');
  assert.equal(largest.out.data.counters.max, 9223372036854775807n);
  assert.equal(parseExact(largest.in).counters.max, 9223372036854775807n);
});

test('a room that follows the pushes of the story shows the values of its answers', () => {
  const story = parseExact(tables.get('story.json'));
  const room = new Room();
  const last = new Map();
  room.snapshot({ counters: {}, version: 0, epoch: 'a' });
  for (const { as = 'ann', then = [] } of story) {
    if (as !== 'ann') continue;
    for (const { event, data } of then) {
      if (event !== 'GROUP_COUNTER_UPDATED' || data.groupID !== 'live') continue;
      assert.equal(room.push(data), true, `${data.key} at ${data.version}`);
      last.set(data.key, data.deleted ? null : BigInt(data.value));
    }
  }
  assert.ok(last.size > 1);
  for (const [key, value] of last) assert.equal(room.value(key), value, key);
});
