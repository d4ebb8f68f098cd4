// Those before the stage: dark heads, raised hands, the lights of their phones. Drawn once, then only moved.

import { seeded, veil } from './palette.js';

const TURN = Math.PI * 2;
const PHONES_MAX = 40;

function row(width, size, seed, light) {
  const sheet = new OffscreenCanvas(Math.ceil(width * 1.08), Math.ceil(size * 3.4));
  const pen = sheet.getContext('2d');
  const chance = seeded(seed);
  for (let x = -size; x < sheet.width + size; x += size * (0.95 + chance() * 0.35)) {
    const top = size * (1.75 + chance() * 0.5);
    for (const [shift, colour] of [[-size * 0.06, light], [0, '#06030b']]) {
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
  pen.rect(x - size * 0.72, top + size * 1.2, size * 1.44, size * 2);
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
  const size = place.unit * 0.085;
  const far = row(place.width, size * 0.72, 11, veil(night.sun[1], 0.35));
  const near = row(place.width, size, 23, veil(night.sun[2], 0.5));
  const chance = seeded(5);
  const phones = Array.from({ length: PHONES_MAX }, () => ({ x: chance(), y: chance(), beat: chance() * TURN }));

  return {
    draw(pen, { time, pulse, viewers }) {
      const bottom = place.height;
      const hop = size * 0.16 * pulse;
      pen.drawImage(far, -place.width * 0.04 + Math.sin(time * 0.9) * size * 0.1, bottom - far.height * 0.98 - hop * 0.5);
      const lit = Math.min(PHONES_MAX, Math.ceil(Math.sqrt(viewers) * 2));
      for (const { x, y, beat } of phones.slice(0, lit)) {
        pen.fillStyle = `rgb(255 250 235 / ${0.45 + 0.4 * Math.sin(time * 1.3 + beat)})`;
        pen.fillRect(x * place.width, bottom - far.height * (0.62 + y * 0.3) - hop, size * 0.13, size * 0.2);
      }
      pen.drawImage(near, -place.width * 0.04 - Math.sin(time * 0.7) * size * 0.12, bottom - near.height * 0.62 + size * 0.16 - hop);
    },
  };
}
