// The instruments: figures, a chart and frames, painted a few times a second and only while they are open.

import { makeChart } from './chart.js';
import { makeInspector } from './inspector.js';
import { Readings } from './readings.js';
import { digits } from './things.js';

const PAINT_EVERY_MS = 250;
const PING_EVERY_MS = 2_000;
// Seconds over which the figures are averaged; the chart shows each.
const AVERAGED = 5;

const FIGURES = [
  ['state', 'Connection'],
  ['trip', 'Round trip'],
  ['answers', 'Answer p50/p95'],
  ['pushes', 'Push p50/p95'],
  ['writes', 'Writes a second'],
  ['pushed', 'Pushes a second'],
  ['conflation', 'Writes in a push'],
  ['waiting', 'Your taps waiting'],
  ['confirmed', 'Your taps counted'],
  ['screen', 'Frames a second'],
];

const byID = (id) => document.getElementById(id);
const ms = (value) => (value === null ? '–' : value < 10 ? value.toFixed(1) : String(Math.round(value)));
const pair = (durations) => `${ms(durations.percentile(0.5))} / ${ms(durations.percentile(0.95))} ms`;
const rounded = (value) => (value < 10 ? String(Math.round(value * 10) / 10) : digits(Math.round(value)));

/** `look()` gives `{ state, waiting, confirmed }`; `ping()` asks for a round trip. */
export function makeInstruments({ look, ping }) {
  const readings = new Readings();
  const chart = makeChart(byID('chart'));
  const inspector = makeInspector(byID('log'), byID('frames-pause'));
  const cells = new Map(FIGURES.map(([name, words]) => [name, cell(name, words)]));
  let frames = 0;
  let screen = 0;
  let tick = 0;

  function cell(name, words) {
    const row = document.createElement('div');
    const term = document.createElement('dt');
    const value = document.createElement('dd');
    term.textContent = words;
    value.id = `stat-${name}`;
    value.textContent = '–';
    row.append(term, value);
    byID('figures').append(row);
    return value;
  }

  function put(name, text) {
    const value = cells.get(name);
    if (value.textContent !== text) value.textContent = text;
  }

  function paintRates() {
    const series = readings.series(performance.now());
    const mean = (counts) => counts.slice(-AVERAGED).reduce((sum, count) => sum + count, 0) / AVERAGED;
    const [writes, pushes] = [mean(series.writes), mean(series.pushes)];
    put('writes', rounded(writes));
    put('pushed', rounded(pushes));
    put('conflation', pushes > 0 ? rounded(writes / pushes) : '–');
    put('screen', rounded(screen));
    chart.draw(series);
  }

  function paint() {
    const { state, waiting, confirmed } = look();
    put('waiting', digits(waiting));
    put('confirmed', digits(confirmed));
    tick += 1;
    if (tick % (1_000 / PAINT_EVERY_MS) === 0) {
      screen = frames;
      frames = 0;
    }
    if (byID('instruments').hidden) return;
    put('state', state);
    put('trip', `${ms(readings.trips.percentile(0.5))} ms`);
    put('answers', pair(readings.answers));
    put('pushes', pair(readings.pushes));
    if (tick % (1_000 / PAINT_EVERY_MS) === 0) paintRates();
    inspector.paint();
  }

  setInterval(paint, PAINT_EVERY_MS);
  setInterval(() => byID('instruments').hidden || ping(), PING_EVERY_MS);

  return {
    frame(direction, text) {
      readings.frame(direction, text, performance.now());
      inspector.frame(direction, text);
    },
    lose: () => readings.lose(),
    /** The screen was painted. */
    painted() {
      frames += 1;
    },
  };
}
