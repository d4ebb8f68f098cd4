// What shines and moves on the stage: aurora, beams, the equaliser round the sun. It draws on what it is given and keeps only
// the pictures of its beams.

import { veil } from './palette.js';

const BARS = 72;
const TURN = Math.PI * 2;

/** A beam of light, drawn once and turned many times. */
function beamOf(colour, length) {
  const wide = length * 0.3;
  const sheet = new OffscreenCanvas(Math.ceil(wide), Math.ceil(length));
  const pen = sheet.getContext('2d');
  const fade = pen.createLinearGradient(0, 0, 0, length);
  fade.addColorStop(0, veil(colour, 0.55));
  fade.addColorStop(0.35, veil(colour, 0.2));
  fade.addColorStop(1, veil(colour, 0));
  pen.fillStyle = fade;
  for (const spread of [1, 0.62, 0.3]) {
    pen.globalAlpha = 0.45;
    pen.beginPath();
    pen.moveTo(wide * 0.49, 0);
    pen.lineTo(wide * 0.51, 0);
    pen.lineTo(wide * (0.5 + spread / 2), length);
    pen.lineTo(wide * (0.5 - spread / 2), length);
    pen.fill();
  }
  return sheet;
}

// A ring of bars on the rim of the sun: half of it moves by the music, half by the room.
function equaliser(pen, { x, y, radius }, night, { time, energy, pulse }) {
  pen.lineCap = 'round';
  pen.lineWidth = (radius * TURN) / BARS * 0.46;
  for (const [colour, from, to] of [[night.left, 0, BARS / 2], [night.right, BARS / 2, BARS]]) {
    pen.strokeStyle = veil(colour, 0.9);
    pen.beginPath();
    for (let bar = from; bar < to; bar += 1) {
      const angle = Math.PI / 2 + (bar / BARS) * TURN;
      const mirrored = bar < BARS / 2 ? bar : BARS - bar;
      const noise = Math.abs(Math.sin(time * 2.3 + mirrored * 0.83) * Math.sin(time * 3.7 + mirrored * 2.17));
      const high = radius * (0.02 + noise * (0.1 + 0.22 * energy) + 0.05 * pulse);
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
      pen.moveTo(x + cos * radius * 1.06, y + sin * radius * 1.06);
      pen.lineTo(x + cos * (radius * 1.06 + high), y + sin * (radius * 1.06 + high));
    }
    pen.stroke();
  }
}

/** The lights of a stage of this size. `draw(pen, show)` wants `show.time` in seconds, `energy` and `pulse` from 0 to 1. */
export function makeLights(place, night) {
  const length = place.floor * 0.98;
  const beams = [night.left, night.right].map((colour) => beamOf(colour, length));

  function aurora(pen, { time, energy }) {
    const { width, floor } = place;
    night.aurora.forEach((colour, index) => {
      const middle = floor * (0.16 + index * 0.1);
      const deep = floor * (0.16 + 0.05 * energy);
      const fade = pen.createLinearGradient(0, middle - deep, 0, middle + deep);
      fade.addColorStop(0, veil(colour, 0));
      fade.addColorStop(0.55, veil(colour, 0.13 + 0.1 * energy));
      fade.addColorStop(1, veil(colour, 0));
      pen.fillStyle = fade;
      pen.beginPath();
      const wave = (x, shift) => Math.sin(x * 4.2 + time * 0.35 + index * 2.1 + shift) * 0.5 + Math.sin(x * 9.1 - time * 0.22 + index) * 0.25;
      for (let step = 0; step <= 24; step += 1) pen.lineTo((step / 24) * width, middle + deep * (wave(step / 24, 0) - 0.8));
      for (let step = 24; step >= 0; step -= 1) pen.lineTo((step / 24) * width, middle + deep * (wave(step / 24, 0.9) + 0.8));
      pen.fill();
    });
  }

  function sweep(pen, { time, energy, pulse }) {
    const count = place.tall ? 4 : 6;
    for (let lamp = 0; lamp < count; lamp += 1) {
      const side = lamp < count / 2 ? 0 : 1;
      const x = place.width * ((lamp + 0.5) / count);
      const lean = (place.middle - x) / place.width;
      const angle = -lean * 0.9 + Math.sin(time * (0.5 + lamp * 0.07) + lamp * 1.9) * 0.34;
      const beam = beams[side];
      pen.save();
      pen.globalAlpha = 0.42 + 0.4 * energy + 0.18 * pulse;
      pen.translate(x, place.truss + place.unit * 0.05);
      pen.rotate(angle);
      pen.drawImage(beam, -beam.width / 2, 0);
      pen.restore();
      pen.fillStyle = '#fff';
      pen.beginPath();
      pen.arc(x, place.truss + place.unit * 0.05, place.unit * 0.012, 0, TURN);
      pen.fill();
    }
  }

  return {
    draw(pen, show) {
      pen.save();
      pen.globalCompositeOperation = 'lighter';
      aurora(pen, show);
      sweep(pen, show);
      pen.restore();
      equaliser(pen, place.sun, night, show);
    },
  };
}
