// The one on the stage, behind a desk: a figure against the light, in units of its own height. It keeps nothing.

import { veil } from './palette.js';

const DARK = '#0a0512';
const TURN = Math.PI * 2;

/** Draws the performer at the place. `show.time` in seconds; `energy` and `pulse` from 0 to 1. */
export function performer(pen, { middle, floor, unit }, night, show) {
  pen.save();
  pen.translate(middle, floor);
  pen.scale(unit, unit);
  const pose = poseAt(show);
  // The light of both sides is the same figure, shifted: what it covers stays dark.
  for (const [shift, colour] of [[-0.009, night.left], [0.009, night.right], [0, DARK]]) {
    pen.save();
    pen.translate(shift, shift === 0 ? 0 : -0.005);
    pen.fillStyle = pen.strokeStyle = colour;
    figure(pen, pose);
    pen.restore();
  }
  visor(pen, pose, night);
  desk(pen, night, show);
  pen.restore();
}

function poseAt({ time, energy, pulse }) {
  const sway = Math.sin(time * 2.05);
  return {
    bob: -0.012 * pulse - 0.004 * Math.sin(time * 4.1),
    lean: sway * 0.035,
    nod: pulse * 0.10 + sway * 0.05,
    wave: Math.sin(time * 4.1) * (0.10 + 0.16 * energy),
    lift: 0.55 + 0.45 * energy,
    hair: sway * 0.03,
    reach: Math.sin(time * 3.1) * 0.02,
  };
}

function limb(pen, width, ...points) {
  const [[startX, startY], [bendX, bendY], [endX, endY]] = points;
  pen.lineWidth = width;
  pen.beginPath();
  pen.moveTo(startX, startY);
  pen.quadraticCurveTo(bendX, bendY, endX, endY);
  pen.stroke();
  pen.beginPath();
  pen.arc(endX, endY, width * 0.62, 0, TURN);
  pen.fill();
}

function figure(pen, { bob, lean, nod, wave, lift, hair, reach }) {
  pen.translate(0, bob);
  pen.transform(1, 0, -lean, 1, -lean * 0.35, 0);
  pen.lineCap = pen.lineJoin = 'round';
  pen.beginPath();
  pen.moveTo(-0.105, -0.3);
  pen.bezierCurveTo(-0.1, -0.46, -0.155, -0.5, -0.155, -0.6);
  pen.bezierCurveTo(-0.15, -0.655, -0.07, -0.66, -0.036, -0.685);
  pen.lineTo(-0.032, -0.74);
  pen.lineTo(0.032, -0.74);
  pen.lineTo(0.036, -0.685);
  pen.bezierCurveTo(0.07, -0.66, 0.15, -0.655, 0.155, -0.6);
  pen.bezierCurveTo(0.155, -0.5, 0.1, -0.46, 0.105, -0.3);
  pen.fill();
  limb(pen, 0.058, [-0.135, -0.61], [-0.29, -0.5], [-0.185 + reach, -0.375]);
  limb(pen, 0.058, [0.135, -0.61], [0.3, -0.6 - 0.06 * lift], [0.25 + wave * 0.7, -0.72 - 0.24 * lift]);
  head(pen, nod, hair);
}

function head(pen, nod, hair) {
  pen.save();
  pen.translate(0, -0.735);
  pen.rotate(nod * 0.5);
  pen.beginPath();
  pen.ellipse(0, -0.085, 0.069, 0.088, 0, 0, TURN);
  pen.fill();
  // Hair that follows the head a little late.
  pen.beginPath();
  pen.moveTo(0.03, -0.172);
  pen.bezierCurveTo(-0.1, -0.2, -0.12, -0.07, -0.1 + hair, 0.015);
  pen.bezierCurveTo(-0.08 + hair, 0.06, -0.05, 0.02, -0.045, -0.04);
  pen.lineTo(0.03, -0.172);
  pen.moveTo(-0.02, -0.17);
  pen.bezierCurveTo(0.09, -0.195, 0.105, -0.09, 0.088 + hair * 0.6, -0.03);
  pen.lineTo(0.05, -0.06);
  pen.fill();
  pen.lineWidth = 0.017;
  pen.beginPath();
  pen.arc(0, -0.09, 0.092, Math.PI * 1.08, Math.PI * 1.92);
  pen.stroke();
  for (const side of [-1, 1]) {
    pen.beginPath();
    pen.ellipse(side * 0.083, -0.075, 0.021, 0.036, 0, 0, TURN);
    pen.fill();
  }
  pen.restore();
}

function visor(pen, { bob, lean, nod }, night) {
  pen.save();
  pen.translate(lean * 0.38, bob - 0.735);
  pen.rotate(nod * 0.5);
  const glow = pen.createLinearGradient(-0.055, 0, 0.055, 0);
  glow.addColorStop(0, night.left);
  glow.addColorStop(0.5, '#ffffff');
  glow.addColorStop(1, night.right);
  pen.fillStyle = glow;
  pen.beginPath();
  pen.roundRect(-0.052, -0.108, 0.104, 0.021, 0.01);
  pen.fill();
  pen.restore();
}

function desk(pen, night, { pulse, time }) {
  const front = pen.createLinearGradient(0, -0.33, 0, 0);
  front.addColorStop(0, '#241238');
  front.addColorStop(1, '#0a0512');
  pen.fillStyle = front;
  pen.beginPath();
  pen.moveTo(-0.5, -0.33);
  pen.lineTo(0.5, -0.33);
  pen.lineTo(0.44, 0);
  pen.lineTo(-0.44, 0);
  pen.fill();
  for (const side of [-1, 1]) turntable(pen, side * 0.3, side < 0 ? night.left : night.right, time * side);
  const edge = pen.createLinearGradient(-0.5, 0, 0.5, 0);
  edge.addColorStop(0, night.left);
  edge.addColorStop(0.5, '#ffffff');
  edge.addColorStop(1, night.right);
  pen.fillStyle = edge;
  pen.globalAlpha = 0.75 + 0.25 * pulse;
  pen.fillRect(-0.5, -0.337, 1, 0.012);
  pen.globalAlpha = 1;
  tally(pen, edge, pulse);
}

function turntable(pen, x, colour, time) {
  pen.fillStyle = '#0d0716';
  pen.beginPath();
  pen.ellipse(x, -0.345, 0.13, 0.024, 0, 0, TURN);
  pen.fill();
  pen.strokeStyle = veil(colour, 0.9);
  pen.lineWidth = 0.006;
  pen.beginPath();
  pen.ellipse(x, -0.345, 0.105, 0.017, 0, time * 3, time * 3 + 2.2);
  pen.stroke();
}

// Four strokes and one across: the way to count that people have used for longest.
function tally(pen, colour, pulse) {
  pen.strokeStyle = colour;
  pen.lineWidth = 0.016;
  pen.globalAlpha = 0.7 + 0.3 * pulse;
  pen.beginPath();
  for (const x of [-0.075, -0.025, 0.025, 0.075]) {
    pen.moveTo(x, -0.245);
    pen.lineTo(x, -0.095);
  }
  pen.moveTo(-0.12, -0.125);
  pen.lineTo(0.12, -0.215);
  pen.stroke();
  pen.globalAlpha = 1;
}
