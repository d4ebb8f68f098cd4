// The page of a load test in a real browser: made by the real program, it shows the numbers of its JSON, and asks nobody for anything.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { BIN, ROOT } from './gateway.mjs';

const run = promisify(execFile);
const SHOTS = join(ROOT, 'target/screenshots');
const ARGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-background-networking'];
const EVIL = `</script><script>alert(1)</script><img src=x onerror=alert(2)>&"'\u2028`;
const CHARTS = ['percentiles', 'deliveries', 'writes', 'latency', 'cpu', 'memory'];
const UNITS = { µs: 1, ms: 1e3, s: 1e6, B: 1, KiB: 1024, MiB: 2 ** 20, GiB: 2 ** 30, '%': 1 };
const SUFFIXES = ['', '_us', '_bytes', '_percent'];

let browser;
let folder;

before(async () => {
  await mkdir(SHOTS, { recursive: true });
  folder = await mkdtemp(join(tmpdir(), 'tallycast-report-'));
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ARGS });
});

after(async () => {
  await browser?.close();
  if (folder) await rm(folder, { recursive: true, force: true });
});

/** The report of one process, as it writes it. What does not matter to the page is left as it would be without load. */
function part(number, { lost = 0, target = 'ws://127.0.0.1:8080/ws' } = {}) {
  const buckets = (first) => Array.from({ length: 60 }, (_, at) => [Math.round(first * 1.12 ** at), at < 40 ? 100 : 3]);
  const seconds = Array.from({ length: 20 }, (_, at) => ({
    at_s: at, deliveries: 40_000 + 500 * ((at * 7) % 5), acknowledged: 200 + (at % 3), refused: 0,
    acknowledgement_p50_us: 900 + 20 * at, acknowledgement_p99_us: 4000 + 100 * at,
    server_cpu_percent: 80 + at / 2, server_rss_bytes: Math.round((100.1 + at / 100) * 2 ** 20),
  }));
  const acknowledged = seconds.reduce((sum, second) => sum + second.acknowledged, 0);
  const deliveries = seconds.reduce((sum, second) => sum + second.deliveries, 0);
  return {
    format: 'tallycast-bench-1',
    run: { scenario: 'storm', parameters: [{ name: 'members', value: '1,000' }], target, own_server: false,
      started_at_unix_ms: 1_795_305_600_000, duration_s: 20, version: '0.1.0', processes: 1 },
    counts: {
      writes: { sent: acknowledged, acknowledged, refused: {}, unknown_fate: 0, unsent: 0 },
      connections: { members: 1000, rooms: 1, held: 1000, refused: {}, lost: 0 },
      deliveries, pushes_expected: acknowledged * 2000, sample: { watched: 100, of: 1000 },
    },
    latencies: { acknowledgement: { buckets_us: buckets(300) }, freshness: { buckets_us: buckets(900) } },
    seconds,
    conservation: { counters: [{ name: `bench/part-${number}`, acknowledged, unknown: 0, value: acknowledged - lost }],
      members_checked: 1000, members_differing: 0, examples: [], unfinished: null },
    usage: { server: { cpu_s: 17.3, rss_before_bytes: 8 * 2 ** 20, rss_peak_bytes: 26 * 2 ** 20, rss_after_bytes: 25 * 2 ** 20 },
      tool: { cpu_s: 9.1, threads: 1, bottleneck: false } },
    outcome: { warnings: [], interrupted: false, requirements: [] },
  };
}

/** Has the program add up the parts. Resolves to the page's path, the JSON and the exit code. */
async function merged(name, parts, requirements = []) {
  const files = parts.map((_, at) => join(folder, `${name}-${at}.json`));
  await Promise.all(parts.map((json, at) => writeFile(files[at], JSON.stringify(json))));
  const [page, whole] = [join(folder, `${name}.html`), join(folder, `${name}.json`)];
  const required = requirements.flatMap((text) => ['--require', text]);
  const ended = run(BIN, ['bench', 'merge', ...files, '--output', page, '--output', whole, ...required]);
  const code = await ended.then(() => 0, (fault) => ([3, 4].includes(fault.code) ? fault.code : Promise.reject(fault)));
  return { page, json: JSON.parse(await readFile(whole, 'utf8')), code };
}

/** Opens the page; `leave` fails if it complained, asked for anything or put up a dialog. */
async function open(path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => faults.push(message.text()));
  page.on('dialog', (dialog) => faults.push(dialog.message()));
  page.on('request', (request) => /^(data|blob):/.test(request.url()) || faults.push(request.url()));
  await page.goto(`file://${path}`);
  return { page, leave: async () => {
    // The page itself is the one thing that was asked for.
    assert.deepEqual(faults, [`file://${path}`]);
    await context.close();
  } };
}

/** How many points of each chart have been painted in a colour that is no grey. */
function painted(page) {
  return page.evaluate(() => Object.fromEntries([...document.querySelectorAll('[data-chart]')].map((place) => {
    const canvas = place.querySelector('canvas');
    // From a copy, because the browser grumbles when a canvas that is drawn on is read often.
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    let points = 0;
    for (let at = 0; at < data.length; at += 4) {
      const spread = Math.max(data[at], data[at + 1], data[at + 2]) - Math.min(data[at], data[at + 1], data[at + 2]);
      if (data[at + 3] > 128 && spread > 60) points += 1;
    }
    return [place.dataset.chart, points];
  })));
}

/** `1.23 ms` and `1,234` as the number they stand for, in µs, bytes or plain. */
function meant(text) {
  const [, digits, unit] = /^(-?[\d,.]+)(?: (\S+))?$/.exec(text) ?? assert.fail(`no number: ${text}`);
  return Number(digits.replaceAll(',', '')) * (unit === undefined ? 1 : UNITS[unit]);
}

function assertSame(text, value, what) {
  assert.ok(Math.abs(meant(text) - value) <= Math.max(Math.abs(value) * 0.005, 0.5), `${what}: the page says ${text}, the JSON ${value}`);
}

/** Every figure and every latency of the page is the JSON's. Resolves to how many figures were compared. */
async function compare(page, json) {
  const rows = await page.$$eval('#latencies tbody tr', (all) => all.map((row) => [row.dataset.span, ...[...row.cells].slice(1).map((cell) => cell.textContent)]));
  const measured = Object.keys(json.latencies).filter((span) => json.latencies[span].count);
  assert.deepEqual(rows.map(([span]) => span).sort(), measured.sort());
  for (const [span, p50, p90, p99, p999, max, times] of rows) {
    const { count, percentiles } = json.latencies[span];
    assert.equal(meant(times), count);
    for (const [text, key] of [[p50, 'p50_us'], [p90, 'p90_us'], [p99, 'p99_us'], [p999, 'p99.9_us'], [max, 'max_us']]) {
      assertSame(text, percentiles[key], `${span} ${key}`);
    }
  }
  const figures = await page.$$eval('[data-figure]', (all) => all.map((row) => [row.dataset.figure, row.querySelector('td span').textContent]));
  const known = figures.flatMap(([name, text]) => SUFFIXES.filter((suffix) => name + suffix in json.figures).map((suffix) => [name + suffix, text]));
  for (const [key, text] of known) assertSame(text, json.figures[key], key);
  return known.length;
}

test('the page of a real run shows the numbers of its JSON', async () => {
  const [path, whole] = ['html', 'json'].map((ending) => join(folder, `real.${ending}`));
  const words = 'bench fan-out --members 20 --rate 50 --seconds 4 --warmup 0 --quiet --output';
  await run(BIN, [...words.split(' '), path, '--output', whole]);
  const { page, leave } = await open(path);
  const json = JSON.parse(await readFile(whole, 'utf8'));
  assert.equal(json.counts.writes.acknowledged, 200);
  assert.ok(await compare(page, json) >= 15);
  assert.match(await page.textContent('.finding.kept p'), /^200 acknowledged = 200 counted = held by all 20 members$/);
  const points = await painted(page);
  for (const chart of ['percentiles', 'deliveries', 'writes', 'latency']) assert.ok(points[chart] > 200, JSON.stringify(points));
  await leave();
});

test('a second with nothing measured beside it is drawn', async () => {
  const lonely = part(1);
  lonely.seconds.forEach((second, at) => {
    if (at % 2) second.acknowledgement_p50_us = second.acknowledgement_p99_us = null;
  });
  const { page: path } = await merged('lonely', [lonely]);
  const { page, leave } = await open(path);
  assert.ok((await painted(page)).latency > 200);
  await leave();
});

test('the page of several parts shows the numbers of their sum', async () => {
  const { page: path, json, code } = await merged('whole', [part(1), part(2)], ['freshness.p99<1s', 'push.p99<1s']);
  assert.equal(code, 4);
  const { page, leave } = await open(path);
  assert.ok(await compare(page, json) >= 15);
  const said = json.counts.writes.acknowledged.toLocaleString('en-US');
  assert.equal(await page.textContent('.finding.kept p'), `${said} acknowledged = ${said} counted = held by all 2,000 members`);
  assert.deepEqual(await page.$$eval('.requirements tr', (all) => all.map((row) => row.cells[2].textContent)), ['✓ met', '✗ missed']);
  await leave();
});

test('all charts are drawn, and drawn anew for the dark, for a phone and for paper', async () => {
  const { page: path } = await merged('charts', [part(1)]);
  const { page, leave } = await open(path);
  const drawn = async (what) => {
    const points = await painted(page);
    assert.deepEqual(Object.keys(points), CHARTS);
    for (const chart of CHARTS) assert.ok(points[chart] > 200, `${what}: ${chart} has ${points[chart]} coloured points`);
    await page.screenshot({ path: join(SHOTS, `report-${what}.png`), fullPage: true });
  };
  const colour = () => page.$eval('.u-legend .u-marker', (marker) => getComputedStyle(marker).borderTopColor);
  await drawn('light');
  const light = await colour();
  await page.emulateMedia({ colorScheme: 'dark' });
  await drawn('dark');
  assert.notEqual(await colour(), light);
  await page.emulateMedia({ media: 'print' });
  await drawn('paper');
  assert.equal(await colour(), light);
  await page.emulateMedia({ media: 'screen', colorScheme: 'light' });
  await page.setViewportSize({ width: 360, height: 740 });
  await page.waitForFunction(() => [...document.querySelectorAll('.plot')].every((place) => place.querySelector('.uplot').offsetWidth <= place.clientWidth));
  await drawn('phone');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
  await leave();
});

test('pointing at a second tells its numbers in all charts', async () => {
  const { page: path, json } = await merged('pointed', [part(1)]);
  const { page, leave } = await open(path);
  await page.hover('[data-chart="memory"] .u-over');
  const legend = (chart) => page.$$eval(`[data-chart="${chart}"] .u-value`, (values) => values.map((value) => value.textContent));
  for (const [chart, fields] of [
    ['memory', ['server_rss_bytes']], ['cpu', ['server_cpu_percent']], ['deliveries', ['deliveries']],
    ['latency', ['acknowledgement_p50_us', 'acknowledgement_p99_us']],
  ]) {
    const [at, ...values] = await legend(chart);
    const second = json.seconds.find(({ at_s: seconds }) => `${seconds} s` === at) ?? assert.fail(`${chart} points at "${at}"`);
    assert.equal(values.length, fields.length);
    fields.forEach((field, place) => assertSame(values[place], second[field], `${chart} at ${at}`));
  }
  await leave();
});

test('what was not measured has no chart and no row', async () => {
  const bare = part(1);
  for (const second of bare.seconds) Object.assign(second, { server_cpu_percent: null, server_rss_bytes: null });
  bare.usage.server = null;
  delete bare.latencies.freshness;
  const { page: path } = await merged('bare', [bare]);
  const { page, leave } = await open(path);
  assert.deepEqual(Object.keys(await painted(page)), ['percentiles', 'deliveries', 'writes', 'latency']);
  assert.equal(await page.$('[data-figure="server.cpu_time"]'), null);
  await leave();
});

test('a lost write is the first thing to be seen', async () => {
  const { page: path, code } = await merged('lost', [part(1, { lost: 3 })]);
  assert.equal(code, 3);
  const { page, leave } = await open(path);
  assert.equal(await page.textContent('.finding.broken strong'), 'NOT CONSERVED');
  assert.match(await page.textContent('.finding.broken p'), /3 lost/);
  const { bottom } = await page.$eval('.finding', (box) => box.getBoundingClientRect().toJSON());
  assert.ok(bottom < 500, `it ends ${bottom} px below the top`);
  await leave();
});

test('names from outside stay text', async () => {
  const { page: path, json } = await merged('evil', [part(1, { target: EVIL })]);
  assert.equal(json.run.target, EVIL);
  const { page, leave } = await open(path);
  assert.equal(await page.textContent('.facts dd'), EVIL);
  assert.equal(Object.keys(await painted(page)).length, CHARTS.length);
  await leave();
});

test('the page gives back the JSON it was made from', async () => {
  const { page: path, json } = await merged('saved', [part(1)]);
  const { page, leave } = await open(path);
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save')]);
  assert.equal(download.suggestedFilename(), 'tallycast-bench-storm.json');
  assert.deepEqual(JSON.parse(await readFile(await download.path(), 'utf8')), json);
  await leave();
});
