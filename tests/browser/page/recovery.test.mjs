// What happens to taps when the network or the server dies under them: nothing is lost, nothing counts twice.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { begin, button, figure, gateway, press, quietRoom, ready, shot, shows, truth, until, visit } from './world.mjs';

begin();

/** Watches the score from inside the page for a step back. */
const watchScore = (page) => page.evaluate(() => {
  const score = document.getElementById('score');
  let before = null;
  window.steps = [];
  new MutationObserver(() => {
    const value = BigInt(score.textContent.replaceAll(',', ''));
    if (before !== null && value < before) window.steps.push(`${value} after ${before}`);
    before = value;
  }).observe(score, { childList: true });
});
const noStepBack = async (page) => assert.deepEqual(await page.evaluate(() => window.steps), []);

test('killed in the middle of the taps and started again: nothing is lost, nothing counts twice', async () => {
  const room = await quietRoom();
  const viewers = [await visit({ room, outage: true }), await visit({ room, outage: true })];
  for (const { page } of viewers) {
    await ready(page);
    await watchScore(page);
  }
  let likes = 0;
  const tap = async (times = 1) => {
    for (const { page } of viewers) await press(page, 'like', times);
    likes += times * viewers.length;
  };
  for (let kills = 0; kills < 2; kills += 1) {
    for (let turn = 0; turn < 4; turn += 1) {
      await tap(3);
      await shows(viewers[0].page, 'like', likes);
    }
    await Promise.all([tap(7), gateway.end('SIGKILL')]);
    for (const { page } of viewers) await page.locator('#link:not([data-state="connected"])').waitFor();
    await tap(2);
    await gateway.start();
    for (const { page } of viewers) await page.locator('#link[data-state="connected"]').waitFor({ timeout: 40_000 });
  }
  for (const { page } of viewers) {
    await figure(page, 'confirmed', likes / 2);
    await figure(page, 'waiting', 0);
    await shows(page, 'like', likes);
    await noStepBack(page);
  }
  assert.deepEqual((await truth(room)).counters, { like: likes });
  for (const viewer of viewers) await viewer.leave();
});

test('the network is cut with the switch: taps wait and show, and count once it is back', async () => {
  const room = await quietRoom();
  const { page, leave } = await visit({ room, outage: true });
  const other = await visit({ room });
  await ready(page);
  await ready(other.page);
  await watchScore(page);
  await button(page, 'Instruments').click();
  await press(page, 'like', 2);
  await shows(other.page, 'like', 2);
  const cut = page.getByRole('switch', { name: 'Cut the network' });
  // Some taps are on their way when the wire is cut: whether they counted is not known.
  await page.evaluate(() => {
    for (let taps = 0; taps < 3; taps += 1) document.getElementById('like').click();
    document.getElementById('cut').click();
  });
  await page.locator('#link[data-state="waiting"]').waitFor();
  await press(page, 'like', 4);
  await page.getByText('Kept: your taps go out when the connection is back.').waitFor();
  await shows(page, 'like', 9);
  await figure(page, 'waiting', 7);
  await press(other.page, 'like', 1);
  await shot(page, 'page-cut');
  await cut.click();
  assert.equal(await cut.getAttribute('aria-checked'), 'false');
  for (const each of [page, other.page]) await shows(each, 'like', 10);
  await figure(page, 'waiting', 0);
  await figure(page, 'confirmed', 9);
  await until('the notice is gone', async () => (await page.locator('#notice').textContent()) === '');
  await noStepBack(page);
  assert.deepEqual((await truth(room)).counters, { like: 10 });
  await leave();
  await other.leave();
});

test('after an orderly stop the page says so and comes back', async () => {
  const room = await quietRoom('ChatRoom');
  const { page, leave } = await visit({ room, outage: true });
  await ready(page);
  await button(page, 'Like').click();
  await shows(page, 'like', 1);
  await figure(page, 'confirmed', 1);
  await gateway.end('SIGTERM');
  await page.locator('#link[data-state="waiting"]').waitFor();
  assert.match(await page.locator('#link').getAttribute('title'), /restart|lost|reached/);
  await button(page, 'Like').click();
  await figure(page, 'waiting', 1);
  await gateway.start();
  await button(page, 'Connect now').click({ timeout: 2_000 }).catch(() => {});
  await figure(page, 'waiting', 0);
  await shows(page, 'like', 2);
  assert.deepEqual((await truth(room)).counters, { like: 2 });
  await leave();
});

test('a page that was opened before the server was there waits for it', async () => {
  const { page, leave } = await visit({ outage: true });
  await ready(page);
  await page.route('**/demo/session?*', (route) => route.abort('connectionrefused'));
  await page.reload();
  await page.locator('#link[data-state="waiting"]').waitFor();
  await page.unroute('**/demo/session?*');
  await ready(page);
  await leave();
});

test('a refused login is explained, and not tried again', async () => {
  let sessions = 0;
  const { page, leave } = await visit({ session: (json) => {
    sessions += 1;
    return { ...json, userSig: sessions === 1 ? `x${json.userSig}` : json.userSig };
  } });
  await page.locator('#link[data-state="stopped"]').waitFor();
  assert.match(await page.locator('#link-text').textContent(), /login was refused.*\(70\d{3}\).*Not coming back by itself/s);
  // A first pause of the SDK would be over after half a second.
  const quiet = await page.evaluate(() => new Promise((over) => setTimeout(() => over(document.getElementById('link').dataset.state), 1_500)));
  assert.deepEqual([quiet, sessions], ['stopped', 1]);
  await button(page, 'Connect now').click();
  await ready(page);
  await leave();
});
