// The demo page in a real browser against the real program: what a visitor sees is true, also when the program dies.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { Gateway, LAUNCH, ROOT, talk } from './gateway.mjs';

const SHOTS = join(ROOT, 'target/screenshots');
const CLICK_EVERY_MS = 280;
const POLICY = "default-src 'self'; connect-src 'self'; img-src 'self' data:";
// The browser itself reports a server that is not there; a page cannot prevent it.
const OUTAGE = /net::ERR_|WebSocket connection to|Connection closed/;

const gateway = new Gateway();
let browser;
let rooms = 0;

before(async () => {
  await mkdir(SHOTS, { recursive: true });
  await gateway.start();
  browser = await chromium.launch(LAUNCH);
});

after(async () => {
  await browser?.close();
  await gateway.clear();
});

/** A room in which nobody counts but the test. */
async function quietRoom(type = 'AVChatRoom') {
  rooms += 1;
  const room = { groupID: `quiet-${rooms}`, type, name: `Quiet room ${rooms}` };
  const [made] = await talk(browser, gateway.base, 'viewer-host', [{ cmd: 'createGroup', ...room }]);
  assert.equal(JSON.parse(made).code, 0, made);
  return room;
}

/** Opens the page as a new viewer, with `room` added to the list where one is given. `strict` adds the policy the page promises to bear. */
async function visit({ room, options = {}, outage = false, strict = false, session = (it) => it } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  if (strict) await underPolicy(context);
  await context.route('**/demo/session?*', async (route) => {
    try {
      const response = await route.fetch();
      const json = await response.json();
      if (room) json.groups.push(room);
      await route.fulfill({ response, json: session(json) });
    } catch {
      await route.abort('connectionrefused').catch(() => {});
    }
  });
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    if (!['error', 'warning'].includes(message.type())) return;
    if (outage && OUTAGE.test(message.text())) return;
    faults.push(message.text());
  });
  await page.goto(gateway.base);
  if (room) await enter(page, room.name);
  return { page, context, leave: async () => {
    assert.deepEqual(faults, []);
    await context.close();
  } };
}

async function underPolicy(context) {
  // A page handed over by the test counts as foreign, and would need a visitor's leave to talk to this machine.
  await context.grantPermissions(['local-network-access'], { origin: gateway.base });
  await context.route(`${gateway.base}/`, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, headers: { ...response.headers(), 'content-security-policy': POLICY } });
  });
}

async function enter(page, name) {
  await page.locator('#link[data-state="ready"]').waitFor();
  await page.getByRole('navigation').getByRole('button', { name }).click();
}

const button = (page, name) => page.getByRole('button', { name });
const shows = (page, key, value) => page.locator(`.tile[data-key="${key}"][data-value="${value}"]`).waitFor({ timeout: 30_000 });
const figure = (page, name, value) => page.locator(`#stat-${name}`).filter({ hasText: new RegExp(`^${value}$`) }).waitFor({ timeout: 30_000 });
const pause = (ms) => new Promise((over) => setTimeout(over, ms));

async function truth(room) {
  const [answer] = await talk(browser, gateway.base, 'viewer-judge', [{ cmd: 'joinGroup', groupID: room.groupID }]);
  return JSON.parse(answer).data;
}

test('two viewers of one room see each other, and the totals are the clicks', async () => {
  const room = await quietRoom();
  const [one, two] = [await visit({ room }), await visit({ room })];
  for (let turn = 0; turn < 6; turn += 1) {
    await button(one.page, 'Like +1').click();
    await button(two.page, 'Like +1').click();
  }
  await button(two.page, 'Unlike −1').click();
  await button(one.page, 'Gift +10').click();
  for (const { page } of [one, two]) {
    await shows(page, 'like', 11);
    await shows(page, 'gift', 10);
  }
  await figure(one.page, 'confirmed', 7);
  await figure(two.page, 'confirmed', 7);
  await figure(one.page, 'waiting', 0);
  assert.match(await one.page.locator('#stat-ack').textContent(), /^\d+(\.\d)? ms$/);
  assert.match(await one.page.locator('#stat-trip').textContent(), /^\d+(\.\d)? ms$/);
  const { counters, version } = await truth(room);
  assert.deepEqual([counters, version], [{ like: 11, gift: 10 }, 14]);
  await one.leave();
  await two.leave();
});

test('killed in the middle of the clicks and started again: nothing is lost, nothing counts twice', async () => {
  const room = await quietRoom();
  const viewers = [await visit({ room, outage: true }), await visit({ room, outage: true })];
  let likes = 0;
  const click = async (times = 1) => {
    for (const { page } of viewers) {
      // All in one go, so that several writes are on their way when the program dies.
      await page.evaluate((times) => {
        for (let n = 0; n < times; n += 1) document.querySelector('.actions .like').click();
      }, times);
      likes += times;
    }
  };
  for (let turn = 0; turn < 12; turn += 1) {
    if (turn === 4 || turn === 9) {
      await Promise.all([click(3), gateway.end('SIGKILL')]);
      await pause(CLICK_EVERY_MS);
      await click();
      await gateway.start();
    }
    await click();
    await pause(CLICK_EVERY_MS);
  }
  for (const { page } of viewers) {
    await figure(page, 'confirmed', likes / 2);
    await figure(page, 'waiting', 0);
    await shows(page, 'like', likes);
  }
  const { counters, version } = await truth(room);
  assert.deepEqual([counters, version], [{ like: likes }, likes]);
  for (const viewer of viewers) await viewer.leave();
});

test('after an orderly stop the page says so and comes back', async () => {
  const room = await quietRoom('ChatRoom');
  const { page, leave } = await visit({ room, outage: true });
  await button(page, 'Like +1').click();
  await shows(page, 'like', 1);
  await gateway.end('SIGTERM');
  await page.locator('#link:not([data-state="ready"])').waitFor();
  await button(page, 'Like +1').click();
  await figure(page, 'waiting', 1);
  await page.getByText('Kept: your clicks go out').waitFor();
  await page.screenshot({ path: join(SHOTS, 'page-away.png') });
  await gateway.start();
  await shows(page, 'like', 2);
  await figure(page, 'waiting', 0);
  assert.equal(await page.locator('#notice').textContent(), '');
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
  await pause(2_000);
  assert.equal(sessions, 1);
  await button(page, 'Connect now').click();
  await page.locator('#link[data-state="ready"]').waitFor();
  await leave();
});

test('every digit of a 64-bit counter is shown', async () => {
  const room = await quietRoom();
  const near = '9223372036854775806';
  const answers = await talk(browser, gateway.base, 'viewer-host', [
    { cmd: 'joinGroup', groupID: room.groupID },
    { cmd: 'setGroupCounters', groupID: room.groupID, counters: { like: near, low: '-9223372036854775808' } },
  ]);
  assert.equal(JSON.parse(answers[1]).code, 0, answers[1]);
  const { page, leave } = await visit({ room });
  await shows(page, 'like', near);
  await shows(page, 'low', '-9223372036854775808');
  await button(page, 'Like +1').click();
  await shows(page, 'like', '9223372036854775807');
  await page.getByText('9,223,372,036,854,775,807', { exact: true }).waitFor();
  await page.screenshot({ path: join(SHOTS, 'page-digits.png') });
  await button(page, 'Like +1').click();
  await page.getByText(/would not fit into 64 bits.*\(10004\)/).waitFor();
  await shows(page, 'like', '9223372036854775807');
  await leave();
});

test('too many clicks: the page says slow down, holds the buttons, and counts all of them in the end', async () => {
  const room = await quietRoom();
  const { page, leave } = await visit({ room });
  await page.locator('.actions .like[aria-disabled="false"]').waitFor();
  // The page itself watches for the notice and makes the clicks, because the pause may be shorter than a look from outside.
  const seen = await page.evaluate(() => new Promise((slow) => {
    const like = document.querySelector('.actions .like');
    let clicks = 0;
    new MutationObserver((_, watch) => {
      const text = document.querySelector('#notice').textContent;
      if (!text.startsWith('Slow down')) return;
      watch.disconnect();
      slow({ text, disabled: like.getAttribute('aria-disabled'), clicks });
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
    const click = () => {
      while (clicks < 22 && like.getAttribute('aria-disabled') === 'false') {
        like.click();
        clicks += 1;
      }
      if (clicks < 22) setTimeout(click, 1);
    };
    click();
  }));
  assert.match(seen.text, /^Slow down: again in [\d,]+ ms/);
  assert.equal(seen.disabled, 'true');
  assert.ok(seen.clicks > 20, `${seen.clicks} clicks`);
  await page.screenshot({ path: join(SHOTS, 'page-slow.png') });
  await shows(page, 'like', 22);
  await page.locator('.actions .like[aria-disabled="false"]').waitFor();
  assert.equal((await truth(room)).version, 22);
  await leave();
});

test('a private room says in words why it stays closed', async () => {
  const { page, leave } = await visit();
  await enter(page, /Private/);
  await page.getByText(/This room is private.*\(10007\)/).waitFor();
  await page.screenshot({ path: join(SHOTS, 'page-private.png') });
  assert.equal(await button(page, 'Like +1').getAttribute('aria-disabled'), 'true');
  await leave();
});

test('the rooms are in a sensible order, the live one first and open', async () => {
  const { page, leave } = await visit();
  await page.locator('#link[data-state="ready"]').waitFor();
  assert.deepEqual(await page.locator('#rooms .badge').allTextContents(), ['Live', 'Meeting', 'Public', 'Private']);
  assert.equal(await page.locator('#rooms [aria-current]').count(), 1);
  assert.match(await page.locator('#rooms [aria-current]').textContent(), /Live$/);
  await leave();
});

test('the simulated viewers move the numbers while nobody clicks', async () => {
  const { page, leave } = await visit();
  const likes = page.locator('.tile[data-key="like"]');
  await likes.waitFor({ timeout: 30_000 });
  let held = BigInt(await likes.getAttribute('data-value'));
  for (let moves = 0; moves < 3; moves += 1) {
    await page.waitForFunction((held) => document.querySelector('.tile[data-key="like"]').dataset.value !== held, String(held));
    const value = BigInt(await likes.getAttribute('data-value'));
    assert.ok(value > held, `${value} after ${held}`);
    held = value;
  }
  assert.equal(await page.locator('#stat-confirmed').textContent(), '0');
  await leave();
});

test('one room of each joinable type lets a viewer in', async () => {
  const { page, leave } = await visit();
  for (const badge of [/Live$/, /Meeting$/, /Public$/]) {
    await enter(page, badge);
    await page.locator('.actions .like[aria-disabled="false"]').waitFor();
    assert.equal(await page.locator('#notice').textContent(), '');
  }
  await leave();
});

test('the signature is neither shown nor kept', async () => {
  let sig;
  const { page, leave } = await visit({ session: (json) => {
    sig = json.userSig;
    return json;
  } });
  await page.locator('#link[data-state="ready"]').waitFor();
  const seen = await page.evaluate(() => JSON.stringify([document.documentElement.outerHTML, location.href, { ...localStorage }, { ...sessionStorage },
    document.cookie, performance.getEntriesByType('resource').map(({ name }) => name)]));
  assert.ok(sig.length > 5 && !seen.includes(sig));
  assert.match(seen, /•••/);
  const me = await page.locator('#me').textContent();
  await page.reload();
  assert.equal(await page.locator('#me').textContent(), me);
  await leave();
});

test('the page works where only its own files may run', async () => {
  const room = await quietRoom();
  const { page, leave } = await visit({ room, strict: true });
  await button(page, 'Like +1').click();
  await shows(page, 'like', 1);
  await leave();
});

test('the REST calls are shown as their description tells them', async () => {
  const { page, leave } = await visit();
  const description = await (await page.request.get(`${gateway.base}/openapi.json`)).json();
  await page.goto(`${gateway.base}/rest.html`);
  await page.locator('article').first().waitFor();
  const shown = await page.locator('article').evaluateAll((articles) => articles.map((article) => article.id));
  assert.deepEqual(shown, Object.values(description.paths).map(({ post }) => post.operationId));
  await page.screenshot({ path: join(SHOTS, 'rest-wide.png') });
  await page.setViewportSize({ width: 390, height: 844 });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390, 'nothing sticks out on a phone');
  await page.screenshot({ path: join(SHOTS, 'rest-phone.png') });
  await leave();
});

test('the keyboard alone is enough', async () => {
  const room = await quietRoom();
  const { page, leave } = await visit({ room });
  await page.locator('.actions .like[aria-disabled="false"]').waitFor();
  await page.locator('body').press('Home');
  for (let steps = 0; steps < 20; steps += 1) {
    await page.keyboard.press('Tab');
    if (await page.evaluate(() => document.activeElement.matches('.actions .like'))) break;
  }
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, 'solid');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Space');
  await shows(page, 'like', 2);
  await page.locator('#summary').filter({ hasText: 'Likes 2' }).waitFor();
  await leave();
});

for (const [name, options] of Object.entries({
  light: { colorScheme: 'light' },
  dark: { colorScheme: 'dark' },
  phone: { colorScheme: 'light', viewport: { width: 375, height: 812 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
  narrow: { colorScheme: 'dark', viewport: { width: 320, height: 640 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
  still: { colorScheme: 'dark', reducedMotion: 'reduce', viewport: { width: 820, height: 1000 } },
})) {
  test(`the page fits and is drawn: ${name}`, async () => {
    const { page, leave } = await visit({ options });
    await page.locator('.actions .like[aria-disabled="false"]').waitFor();
    await button(page, 'Like +1').click();
    await button(page, 'Gift +10').click();
    await figure(page, 'confirmed', 2);
    await page.locator('.tile[data-key="gift"]').waitFor();
    await page.waitForFunction(() => Number(document.querySelector('#stat-pushes').textContent) > 8);
    const { wide, inner } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, inner: innerWidth }));
    assert.ok(wide <= inner, `${wide} > ${inner}`);
    await page.screenshot({ path: join(SHOTS, `page-${name}.png`) });
    await leave();
  });
}
