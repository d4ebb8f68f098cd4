// A minute in a hot room: the page keeps painting, its memory stays where it is, and its number is the server's.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { begin, button, quietRoom, ready, shot, truth, until, visit } from './world.mjs';

const MINUTE_MS = 60_000;
const VIEWERS_STEP = 2;
const VIEWERS = 100;
// Chromium draws in software here, and shares its processors with the program, the viewers and whatever else runs: a page that
// hangs is found out by this floor, one that costs too much by its own work. A calm machine shows 50 and more.
const FRAMES_MIN = 10;
const HEAP_GROWTH_MAX = 6e6;
const NODES_GROWTH_MAX = 400;
// At 50 frames a second there are 20 ms for each, and the browser needs its part of them.
const WORK_MS_MAX = 10;

begin();

/** Counts frames, and the time that the page itself spends in each. */
const watchFrames = () => {
  const ask = window.requestAnimationFrame.bind(window);
  window.work = { frames: 0, ms: 0 };
  window.requestAnimationFrame = (paint) => ask((now) => {
    const begun = performance.now();
    paint(now);
    window.work.frames += 1;
    window.work.ms += performance.now() - begun;
  });
};

test('a minute of a hot room', async (t) => {
  const room = await quietRoom();
  const { page, context, leave } = await visit({ room, options: { colorScheme: 'dark' } });
  await page.addInitScript(watchFrames);
  await page.reload();
  await ready(page);
  const devtools = await context.newCDPSession(page);
  await devtools.send('Performance.enable');
  const held = async () => {
    await devtools.send('HeapProfiler.collectGarbage');
    const { metrics } = await devtools.send('Performance.getMetrics');
    const metric = (name) => metrics.find((each) => each.name === name).value;
    return { heap: metric('JSHeapUsedSize'), nodes: metric('Nodes') };
  };
  const frames = () => page.evaluate(() => ({ ...window.work, at: performance.now() }));

  await button(page, 'Instruments').click();
  await page.locator('#hot-viewers').fill(String(VIEWERS_STEP));
  await button(page, 'Heat up').click();
  await page.locator('#viewers').filter({ hasText: new RegExp(`^${VIEWERS + 1}$`) }).waitFor({ timeout: 30_000 });
  await until('likes pour in', async () => Number(await page.locator('#score').getAttribute('data-value')) > 500);
  const [start, before] = [await frames(), await held()];
  await page.waitForFunction((end) => performance.now() > end, start.at + MINUTE_MS, { timeout: 2 * MINUTE_MS, polling: 500 });
  const [end, after] = [await frames(), await held()];
  await shot(page, 'page-hot');
  await button(page, 'Cool down').click();

  const rate = ((end.frames - start.frames) / (end.at - start.at)) * 1_000;
  const work = (end.ms - start.ms) / (end.frames - start.frames);
  t.diagnostic(`${rate.toFixed(1)} frames a second, ${work.toFixed(2)} ms of the page's own work in each; heap ${(before.heap / 1e6).toFixed(1)} → ${(after.heap / 1e6).toFixed(1)} MB, nodes ${before.nodes} → ${after.nodes}`);
  assert.ok(rate > FRAMES_MIN, `${rate} frames a second`);
  assert.ok(work < WORK_MS_MAX, `${work} ms of work for a frame`);
  assert.ok(after.heap - before.heap < HEAP_GROWTH_MAX, `${before.heap} → ${after.heap} bytes of heap`);
  assert.ok(after.nodes - before.nodes < NODES_GROWTH_MAX, `${before.nodes} → ${after.nodes} nodes`);

  await page.locator('#viewers').filter({ hasText: /^1$/ }).waitFor({ timeout: 30_000 });
  const { counters } = await truth(room);
  await page.locator(`#score[data-value="${counters.like}"]`).waitFor();
  assert.ok(counters.like > 3_000, `${counters.like} likes`);
  await leave();
});
