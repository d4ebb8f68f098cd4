// The counters of the room on the stage: the score, the gifts, whatever else is counted. It sees to it that each growth is
// told once, with the viewer's own part in it, and holds no number that the room does not.

import { Digits } from './digits.js';
import { GIFTS, HEART, THINGS } from './things.js';

const SVG = 'http://www.w3.org/2000/svg';
const OTHERS_MAX = 20;
const RATE_EVERY_MS = 1_000;

const byID = (id) => document.getElementById(id);

function icon(path) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const shape = document.createElementNS(SVG, 'path');
  shape.setAttribute('d', path);
  shape.setAttribute('fill-rule', 'evenodd');
  svg.append(shape);
  return svg;
}

function tapButton({ key, one, path }, onTap) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = `tap ${key}`;
  button.id = key;
  button.dataset.key = key;
  button.setAttribute('aria-disabled', 'true');
  const name = document.createElement('span');
  name.className = 'name';
  name.textContent = one;
  button.append(icon(path), name);
  button.addEventListener('click', () => button.getAttribute('aria-disabled') === 'false' && onTap(key));
  return button;
}

/**
 * `onTap(key)` for a press; `onGrowth({ key, grown, own, interval, now })` for each growth that is shown: BigInts, and the
 * milliseconds since the counter last grew.
 */
export class Board {
  #faces = new Map();
  #onGrowth;
  #room = null;
  #likes = { since: 0, from: null };

  constructor({ onTap, onGrowth }) {
    this.#onGrowth = onGrowth;
    const buttons = [...GIFTS, HEART].map((thing) => tapButton(thing, onTap));
    byID('taps').append(...buttons);
    for (const button of buttons.slice(0, -1)) {
      const count = document.createElement('span');
      count.className = 'count';
      count.dataset.key = button.dataset.key;
      button.append(count);
      this.#face(button.dataset.key, count);
    }
    this.#face(HEART.key, byID('score'));
  }

  /** The point in pixels of the stage where a thing of this counter rises from. */
  origin(own, key) {
    const stage = byID('rising').getBoundingClientRect();
    const from = byID(own ? key : HEART.key).getBoundingClientRect();
    return { x: from.x + from.width / 2 - stage.x, y: from.y + from.height * 0.4 - stage.y };
  }

  /** Shows another room, beginning with the values it has. */
  turnTo(room) {
    this.#room = room;
    this.#likes.from = null;
    byID('rate').textContent = '';
    byID('others').replaceChildren();
    for (const [key, face] of this.#faces) {
      if (THINGS.some((thing) => thing.key === key)) this.#clear(face);
      else this.#faces.delete(key);
    }
  }

  /** Own presses until the next picture, which they are part of. */
  tapped(key) {
    const face = this.#faces.get(key);
    if (face) face.own += 1n;
  }

  allow(may) {
    for (const { key } of THINGS) byID(key).setAttribute('aria-disabled', String(!may));
  }

  paint(now) {
    const room = this.#room;
    if (!room) return;
    if (room.known) this.#aim(room, now);
    for (const face of this.#faces.values()) face.digits.paint(now);
  }

  #aim(room, now) {
    for (const [key, tally] of room.tallies) if (this.#faceOf(key)) this.#grow(key, tally.look(), now);
    for (const [key, face] of this.#faces) {
      if (room.tallies.has(key)) continue;
      if (THINGS.some((thing) => thing.key === key)) face.digits.to(0n, now);
      else this.#drop(key, face);
    }
  }

  #grow(key, value, now) {
    const face = this.#faces.get(key);
    const before = face.digits.aim;
    face.digits.to(value, now);
    if (before !== null && value > before) {
      const grown = value - before;
      const own = face.own < grown ? face.own : grown;
      this.#onGrowth({ key, grown, own, interval: now - face.grewAt, now });
      face.grewAt = now;
    }
    face.own = 0n;
  }

  /** Says how fast the likes grow. To be called a few times a second. */
  rate(now) {
    if (now - this.#likes.since < RATE_EVERY_MS) return;
    const value = this.#faces.get(HEART.key).digits.aim;
    const { from, since } = this.#likes;
    this.#likes = { since: now, from: value };
    if (from === null || value === null) return;
    const rate = Math.round(Number(value - from) / ((now - since) / 1000));
    byID('rate').textContent = rate > 0 ? `+${rate.toLocaleString('en-US')} a second` : '';
  }

  #face(key, element) {
    const face = { digits: new Digits(element), own: 0n, grewAt: 0 };
    this.#faces.set(key, face);
    this.#clear(face);
    return face;
  }

  #clear(face) {
    face.digits.clear();
    face.own = 0n;
  }

  #faceOf(key) {
    const face = this.#faces.get(key);
    if (face || this.#faces.size >= OTHERS_MAX + THINGS.length) return face;
    const item = document.createElement('li');
    const name = document.createElement('span');
    name.textContent = key;
    const value = document.createElement('b');
    value.dataset.key = key;
    item.append(name, ' ', value);
    byID('others').append(item);
    return Object.assign(this.#face(key, value), { item });
  }

  #drop(key, face) {
    face.item.remove();
    this.#faces.delete(key);
  }
}
