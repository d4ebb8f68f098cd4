// The pure parts of the page's numbers: what a counter shows, how it runs there, how its growth is spread, what a combo is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Combo, COMBO_MS } from '../../../web-demo/live/combo.js';
import { Durations, PerSecond } from '../../../web-demo/live/meter.js';
import { GRADES, Quality } from '../../../web-demo/live/quality.js';
import { Room } from '../../../web-demo/live/room.js';
import { ALIVE_MAX, BURST_MAX, spread } from '../../../web-demo/live/spread.js';
import { Tally } from '../../../web-demo/live/tally.js';
import { Tween } from '../../../web-demo/live/tween.js';

/** The same numbers in each run: a failure can be had again. */
function chance(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test('an own tap shows at once, and its answer changes nothing', () => {
  const tally = new Tally();
  tally.tell(10n);
  const tap = tally.tap();
  assert.equal(tally.look(), 11n);
  tally.tell(11n);
  tally.settle(tap);
  assert.equal(tally.look(), 11n);
  tally.settle(tap);
  assert.equal(tally.look(), 11n, 'settling twice takes nothing away');
});

test('a tap that failed is taken back, a reset is shown', () => {
  const tally = new Tally();
  tally.tell(10n);
  const tap = tally.tap();
  assert.equal(tally.look(), 11n);
  tally.settle(tap);
  assert.equal(tally.look(), 10n);
  tally.tell(0n);
  assert.equal(tally.look(), 0n);
});

test('taps show while the connection is away, and none shows twice when it is back', () => {
  for (const counted of [true, false]) {
    const tally = new Tally();
    tally.tell(2n);
    const taps = [tally.tap(), tally.tap()];
    tally.lose();
    assert.equal(tally.look(), 4n);
    const later = tally.tap();
    assert.equal(tally.look(), 5n);
    // Somebody else counted one meanwhile.
    tally.tell(counted ? 5n : 3n);
    assert.equal(tally.look(), counted ? 6n : 5n);
    tally.tell(5n);
    for (const tap of taps) tally.settle(tap);
    assert.equal(tally.look(), 6n);
    tally.tell(6n);
    tally.settle(later);
    assert.equal(tally.look(), 6n);
  }
});

test('taps wait up to a limit', () => {
  const tally = new Tally();
  tally.tell(0n);
  for (let taps = 0; taps < 2_000; taps += 1) assert.ok(tally.tap());
  assert.equal(tally.tap(), null);
  assert.equal(tally.look(), 2_000n);
});

test('over any number of lost connections the number never runs backwards, and ends at the truth', () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const below = chance(seed);
    const tally = new Tally();
    let truth = 5n;
    let shown = 5n;
    let up = true;
    // Taps on their way: whether the server has counted each, which the page does not know.
    let taps = [];
    tally.tell(truth);
    const look = () => {
      const now = tally.look();
      assert.ok(now >= shown, `seed ${seed}: ${now} after ${shown}`);
      shown = now;
    };
    for (let step = 0; step < 60; step += 1) {
      const what = below(6);
      if (what === 0 || what === 1) taps.push({ tap: tally.tap(), counted: false });
      else if (what === 2) truth += BigInt(below(9));
      else if (what === 3 && up) {
        // The answer to the oldest tap comes before any push that holds it.
        const oldest = taps.shift();
        if (oldest && !oldest.counted) truth += 1n;
        tally.tell(truth);
        if (oldest) tally.settle(oldest.tap);
      } else if (what === 4) {
        // The line is lost; the server may have counted what was on its way, which the next snapshot holds.
        tally.lose();
        for (const each of taps) {
          if (!each.counted && below(2) === 0) {
            each.counted = true;
            truth += 1n;
          }
        }
        up = false;
      } else if (what === 5 && !up) {
        tally.tell(truth);
        up = true;
      }
      look();
    }
    for (const each of taps) {
      if (!each.counted) truth += 1n;
      tally.tell(truth);
      tally.settle(each.tap);
      look();
    }
    tally.tell(truth);
    assert.equal(tally.look(), truth, `seed ${seed}`);
  }
});

test('a number runs to its aim without a step back, and ends on every digit', () => {
  const below = chance(3);
  const tween = new Tween();
  let aim = 9_007_199_254_740_993n;
  tween.set(aim);
  let shown = tween.at(0);
  let now = 0;
  for (let frame = 0; frame < 2_000; frame += 1) {
    now += below(40);
    if (below(5) === 0) tween.to(aim += BigInt(below(1_000_000)) ** 2n, now, 450);
    const value = tween.at(now);
    assert.ok(value >= shown && value <= aim, `${value} after ${shown}, on the way to ${aim}`);
    shown = value;
  }
  assert.equal(tween.at(now + 450), aim);
  tween.to(-3n, now + 450, 250);
  assert.ok(tween.at(now + 500) < aim, 'down, where it is told so');
  assert.equal(tween.at(now + 700), -3n);
});

test('as many rise as the number grew, over the interval, within the bounds', () => {
  assert.deepEqual(spread(1n, 9_000, 0), [0]);
  assert.deepEqual(spread(4n, 1_000, 0), [0, 250, 500, 750]);
  assert.equal(spread(10n ** 18n, 50, 0).length, BURST_MAX);
  assert.equal(spread(80n, 50, ALIVE_MAX - 3).length, 3);
  assert.deepEqual(spread(80n, 50, ALIVE_MAX + 5), []);
  assert.deepEqual(spread(0n, 50, 0), []);
  assert.deepEqual(spread(-7n, 50, 0), []);
  assert.ok(spread(80n, 1e9, 0).every((delay) => delay >= 0 && delay < 1_200));
});

test('a combo counts what follows closely, and begins anew after its end', () => {
  const combo = new Combo();
  assert.equal(combo.hit(1n, 0), 1n);
  assert.equal(combo.hit(2n, COMBO_MS - 1), 3n);
  assert.equal(combo.over(2 * COMBO_MS - 2), false);
  assert.equal(combo.over(2 * COMBO_MS - 1), true);
  assert.equal(combo.count, 3n);
  assert.equal(combo.hit(1n, 2 * COMBO_MS), 1n);
});

test('percentiles are those of the newest durations', () => {
  const durations = new Durations();
  assert.equal(durations.percentile(0.5), null);
  for (let ms = 1; ms <= 100; ms += 1) durations.add(ms);
  assert.deepEqual([0, 0.5, 0.95, 1].map((share) => durations.percentile(share)), [1, 50, 95, 100]);
  for (let more = 0; more < 256; more += 1) durations.add(7);
  assert.equal(durations.percentile(1), 7);
});

test('counts of each full second, the newest last, and no older ones', () => {
  const counts = new PerSecond(3);
  counts.add(10_100);
  counts.add(10_900, 4);
  counts.add(12_000);
  assert.deepEqual(counts.series(12_500), [0, 5, 0]);
  assert.deepEqual(counts.series(13_100), [5, 0, 1]);
  assert.deepEqual(counts.series(99_000), [0, 0, 0]);
});

test('a slow screen gets a coarser picture, a fast one keeps its own', () => {
  const quality = new Quality();
  for (let frame = 0; frame < 400; frame += 1) assert.equal(quality.frame(16.7), false);
  assert.equal(quality.grade, GRADES[0]);
  for (let frame = 0; frame < 4_000; frame += 1) quality.frame(40);
  assert.equal(quality.grade, GRADES.at(-1));
  for (let frame = 0; frame < 200_000; frame += 1) quality.frame(16.7);
  assert.equal(quality.grade, GRADES[0], 'and tries a finer one when it is fast again');
});

test('a room forgets a counter that is gone, unless an own tap is on its way', () => {
  const room = new Room({ groupID: 'r' });
  room.tell('a', 1n);
  room.tell('b', 1n);
  const settle = room.tap('b');
  assert.equal(room.waiting, 1);
  room.drop('a');
  room.drop('b');
  assert.deepEqual([...room.tallies.keys()], ['b']);
  assert.equal(room.tallies.get('b').look(), 1n);
  settle();
  assert.equal(room.tallies.get('b').look(), 0n);
});
