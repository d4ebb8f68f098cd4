// Hearts and gifts that rise: one for each that was counted, within bounds, all on one canvas. With reduced motion none rises.

import { still } from './frames.js';
import { spread } from './spread.js';
import { THINGS } from './things.js';

const BOX = 24;
const SIZE_MAX = 46;
const PIXEL_RATIO_MAX = 2;
const RISES_MS = [2_200, 3_600];

function sprites() {
  const drawn = new Map();
  for (const { key, path, colours } of THINGS) {
    drawn.set(key, colours.map((colour) => {
      const sheet = new OffscreenCanvas(SIZE_MAX * 2, SIZE_MAX * 2);
      const pen = sheet.getContext('2d');
      pen.scale(sheet.width / BOX, sheet.height / BOX);
      pen.fillStyle = colour;
      pen.fill(new Path2D(path), 'evenodd');
      return sheet;
    }));
  }
  return drawn;
}

/** Draws on `canvas`; `origin(own, key)` gives the point in its pixels of the page where a thing starts. */
export function makeHearts(canvas, origin) {
  const pen = canvas.getContext('2d');
  const drawn = sprites();
  let alive = [];
  let box = { width: 0, height: 0, share: 1 };
  let dirty = false;

  const between = (low, high) => low + Math.random() * (high - low);

  new ResizeObserver(() => {
    const { width, height } = canvas.getBoundingClientRect();
    const share = Math.min(devicePixelRatio, PIXEL_RATIO_MAX);
    canvas.width = Math.max(1, Math.round(width * share));
    canvas.height = Math.max(1, Math.round(height * share));
    box = { width, height, share };
  }).observe(canvas);

  function one(thing, now) {
    const age = (now - thing.at) / thing.lasts;
    if (age < 0) return;
    const y = thing.y - thing.climb * (1 - (1 - age) ** 1.6);
    const x = thing.x + Math.sin(age * thing.swings + thing.turn) * thing.sway * age;
    const grown = Math.min(1, age * 9);
    const size = thing.size * (grown + 0.25 * Math.sin(grown * Math.PI)) * box.share;
    pen.globalAlpha = age > 0.65 ? (1 - age) / 0.35 : 0.95;
    pen.setTransform(1, 0, 0, 1, x * box.share, y * box.share);
    pen.rotate(Math.sin(age * thing.swings * 0.8 + thing.turn) * 0.28);
    pen.drawImage(thing.sprite, -size / 2, -size / 2, size, size);
  }

  return {
    /** Lets as many rise as were counted (a BigInt), spread over the interval in milliseconds. */
    rise(key, grown, { own, interval, now }) {
      if (still()) return;
      const start = origin(own, key);
      const kinds = drawn.get(key);
      for (const delay of spread(grown, interval, alive.length)) {
        alive.push({
          sprite: kinds[Math.floor(Math.random() * kinds.length)],
          at: now + delay,
          lasts: between(...RISES_MS),
          // Those of others rise from a crowd, not from a point.
          x: start.x + (own ? between(-10, 10) : between(-Math.min(210, box.width * 0.35), 24)),
          y: start.y + between(-4, 4),
          climb: box.height * between(0.55, 0.92),
          sway: between(10, 44),
          swings: between(5, 9),
          turn: between(0, 6.28),
          size: key === 'like' ? own ? between(24, 40) : between(14, 28) : between(34, SIZE_MAX),
        });
      }
    },

    paint(now) {
      if (alive.length === 0 && !dirty) return;
      alive = still() ? [] : alive.filter((thing) => now - thing.at < thing.lasts);
      pen.setTransform(1, 0, 0, 1, 0, 0);
      pen.clearRect(0, 0, canvas.width, canvas.height);
      for (const thing of alive) one(thing, now);
      dirty = alive.length > 0;
    },
  };
}
