// What stands still on the stage: the night, the sun of light panels, the floor, the truss. Drawn once for each size and room.

import { seeded, veil } from './palette.js';

const SLITS = 7;

/** Paints the standing part of the picture. */
export function backdrop(pen, place, night) {
  sky(pen, place, night);
  wall(pen, place, night);
  sun(pen, place, night);
  floor(pen, place, night);
  truss(pen, place);
}

function sky(pen, { width, height, floor, sun }, night) {
  const fall = pen.createLinearGradient(0, 0, 0, floor);
  night.sky.forEach((colour, index) => fall.addColorStop([0, 0.55, 1][index], colour));
  pen.fillStyle = fall;
  pen.fillRect(0, 0, width, height);
  const glow = pen.createRadialGradient(sun.x, sun.y, sun.radius * 0.5, sun.x, sun.y, sun.radius * 2.4);
  glow.addColorStop(0, veil(night.sun[1], 0.55));
  glow.addColorStop(0.45, veil(night.sun[2], 0.2));
  glow.addColorStop(1, veil(night.sun[2], 0));
  pen.fillStyle = glow;
  pen.fillRect(0, 0, width, height);
  const chance = seeded(7);
  for (let star = 0; star < 130; star += 1) {
    const size = (0.4 + chance() * 1.1) * Math.max(1, height / 700);
    pen.fillStyle = `rgb(255 255 255 / ${0.15 + chance() * 0.55})`;
    pen.fillRect(chance() * width, chance() * floor * 0.75, size, size);
  }
}

// Two wings of light panels, each dot dimmer the farther from the middle.
function wall(pen, { width, floor, unit, middle, sun }, night) {
  const gap = unit * 0.035;
  for (let y = floor - unit * 0.86; y < floor - gap; y += gap) {
    for (let x = middle % gap; x < width; x += gap) {
      const away = Math.hypot(x - sun.x, y - sun.y) / sun.radius;
      if (away < 1.12) continue;
      const light = 0.3 * Math.exp(-(away - 1) * 1.5);
      if (light < 0.02) continue;
      pen.fillStyle = veil(x < middle ? night.left : night.right, light);
      pen.fillRect(x, y, gap * 0.34, gap * 0.34);
    }
  }
}

function sun(pen, { sun: { x, y, radius } }, night) {
  const shine = pen.createLinearGradient(0, y - radius, 0, y + radius);
  night.sun.forEach((colour, index) => shine.addColorStop([0, 0.5, 1][index], colour));
  pen.save();
  pen.beginPath();
  pen.rect(x - radius, y - radius, radius * 2, radius * 1.02);
  for (let slit = 0; slit < SLITS; slit += 1) {
    const part = slit / SLITS;
    const top = y + radius * (0.02 + part * 0.98) + radius * 0.02 * (slit + 1);
    pen.rect(x - radius, top, radius * 2, radius * (0.98 / SLITS) - radius * 0.016 * (slit + 1.5));
  }
  pen.clip();
  pen.beginPath();
  pen.arc(x, y, radius, 0, Math.PI * 2);
  pen.fillStyle = shine;
  pen.fill();
  pen.restore();
}

function floor(pen, { width, height, floor: top, middle, unit }, night) {
  const fall = pen.createLinearGradient(0, top, 0, height);
  fall.addColorStop(0, '#1c0d2b');
  fall.addColorStop(1, '#07030d');
  pen.fillStyle = fall;
  pen.fillRect(0, top, width, height - top);
  const pool = pen.createRadialGradient(middle, top, 0, middle, top, unit * 0.95);
  pool.addColorStop(0, veil(night.sun[1], 0.6));
  pool.addColorStop(1, veil(night.sun[1], 0));
  pen.save();
  pen.beginPath();
  pen.rect(0, top, width, height - top);
  pen.clip();
  pen.translate(0, top * 0.66);
  pen.scale(1, 0.34);
  pen.fillStyle = pool;
  pen.fillRect(0, 0, width, height * 3);
  pen.restore();
  pen.lineWidth = Math.max(1, unit * 0.003);
  for (let line = -14; line <= 14; line += 1) {
    pen.strokeStyle = veil(line < 0 ? night.left : night.right, 0.16);
    pen.beginPath();
    pen.moveTo(middle + line * unit * 0.11, top);
    pen.lineTo(middle + line * unit * 0.55, height);
    pen.stroke();
  }
  for (let row = 1; row < 7; row += 1) {
    const y = top + (height - top) * (row / 7) ** 1.8;
    pen.fillStyle = veil(night.sun[1], 0.14);
    pen.fillRect(0, y, width, Math.max(1, unit * 0.0025));
  }
  pen.fillStyle = veil(night.sun[1], 0.8);
  pen.fillRect(0, top, width, Math.max(1.5, unit * 0.005));
}

function truss(pen, { width, truss: y, unit }) {
  const deep = unit * 0.05;
  pen.strokeStyle = '#07040d';
  pen.lineWidth = unit * 0.011;
  pen.beginPath();
  pen.moveTo(0, y);
  pen.lineTo(width, y);
  pen.moveTo(0, y + deep);
  pen.lineTo(width, y + deep);
  for (let x = 0, up = true; x < width; x += deep, up = !up) {
    pen.moveTo(x, up ? y + deep : y);
    pen.lineTo(x + deep, up ? y : y + deep);
  }
  pen.stroke();
}
