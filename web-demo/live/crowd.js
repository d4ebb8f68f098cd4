// Those before the stage: dark heads, raised hands, the lights of their phones. Drawn once, then only moved.

import { seeded, veil } from './palette.js';

const TURN = Math.PI * 2;
const PHONES_MAX = 40;

function row(width, size, seed, light, dark) {
  const sheet = new OffscreenCanvas(Math.ceil(width * 1.08), Math.ceil(size * 6));
  const pen = sheet.getContext('2d');
  const chance = seeded(seed);
  for (let x = -size; x < sheet.width + size; x += size * (1.25 + chance() * 0.5)) {
    const top = size * (1.45 + chance() * 0.6);
    for (const [shift, colour] of [[-size * 0.07, light], [0, dark]]) {
      pen.fillStyle = pen.strokeStyle = colour;
      person(pen, x, top + shift, size, Math.floor(x * 7919) % 5);
    }
  }
  return sheet;
}

function person(pen, x, top, size, kind) {
  pen.beginPath();
  pen.ellipse(x, top, size * 0.33, size * 0.4, 0, 0, TURN);
  pen.fill();
  pen.beginPath();
  pen.ellipse(x, top + size * 1.25, size * 0.72, size * 0.95, 0, Math.PI, TURN);
  pen.rect(x - size * 0.72, top + size * 1.2, size * 1.44, size * 4);
  pen.fill();
  if (kind !== 0 && kind !== 3) return;
  const side = kind === 0 ? 1 : -1;
  pen.lineWidth = size * 0.24;
  pen.lineCap = 'round';
  pen.beginPath();
  pen.moveTo(x + side * size * 0.55, top + size * 0.85);
  pen.lineTo(x + side * size * 0.72, top - size * 0.75);
  pen.stroke();
}

/** The crowd of a stage of this size. `draw(pen, show)` wants `show.viewers`, a number. */
export function makeCrowd(place, night) {
  const size = place.unit * 0.092;
  const far = row(place.width, size * 0.72, 11, veil(night.sun[1], 0.75), '#150a22');
  const near = row(place.width, size, 23, veil(night.sun[1], 0.55), '#08040f');
  const chance = seeded(5);
  const phones = Array.from({ length: PHONES_MAX }, () => ({ x: chance(), y: chance(), beat: chance() * TURN }));

  return {
    draw(pen, { time, pulse, viewers }) {
      const bottom = place.height;
      const hop = size * 0.16 * pulse;
      pen.drawImage(far, -place.width * 0.04 + Math.sin(time * 0.9) * size * 0.1, bottom - size * 4.1 - hop * 0.5);
      const lit = Math.min(PHONES_MAX, Math.ceil(Math.sqrt(viewers) * 2));
      for (const { x, y, beat } of phones.slice(0, lit)) {
        pen.fillStyle = `rgb(255 250 235 / ${0.45 + 0.4 * Math.sin(time * 1.3 + beat)})`;
        pen.fillRect(x * place.width, bottom - size * (2.5 + y * 1.4) - hop, size * 0.13, size * 0.2);
      }
      pen.drawImage(near, -place.width * 0.04 - Math.sin(time * 0.7) * size * 0.12, bottom - size * 3 - hop);
    },
  };
}
