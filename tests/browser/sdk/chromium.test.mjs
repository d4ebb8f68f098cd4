// The SDK as it stands, in a real browser against the real program: views, networks that come and go, pages that sleep.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { Gateway, LAUNCH, ROOT, talk } from '../gateway.mjs';

const gateway = new Gateway();
let browser;
let rooms = 0;

before(async () => {
  await gateway.start();
  browser = await chromium.launch(LAUNCH);
});

after(async () => {
  await browser?.close();
  await gateway.clear();
});

async function quietRoom() {
  rooms += 1;
  const groupID = `sdk-${rooms}`;
  const [made] = await talk(browser, gateway.base, 'sdk-host', [{ cmd: 'createGroup', type: 'AVChatRoom', name: 'Quiet', groupID }]);
  assert.equal(JSON.parse(made).code, 0, made);
  return groupID;
}

/** Somebody else's likes. */
const like = (groupID, value, as = 'sdk-other') => talk(browser, gateway.base, as, [{ cmd: 'joinGroup', groupID }, { cmd: 'increaseGroupCounter', groupID, key: 'like', value }]);

/** An empty page of the gateway's own origin, under its policy, with every socket it opens; `quiet` checks that the console stayed so. */
async function visit() {
  const context = await browser.newContext();
  const page = await context.newPage();
  const sockets = [];
  const faults = [];
  page.on('websocket', (socket) => sockets.push(socket));
  page.on('pageerror', (fault) => faults.push(String(fault)));
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && faults.push(message.text()));
  // A page handed over by the test counts as foreign, and would need a visitor's leave to talk to this machine.
  await context.grantPermissions(['local-network-access'], { origin: gateway.base });
  await page.route(`${gateway.base}/empty.html`, async (route) => {
    const policy = (await route.fetch({ url: gateway.base })).headers()['content-security-policy'];
    assert.match(policy, /default-src 'self'/);
    await route.fulfill({ contentType: 'text/html', headers: { 'content-security-policy': policy }, body: '<!doctype html><title>Empty</title><link rel="icon" href="data:,">' });
  });
  await page.goto(`${gateway.base}/empty.html`);
  return { page, context, sockets, quiet: () => assert.deepEqual(faults, []) };
}

/** Logs `userID` in on the page, with `chat` and the likes that it was told, `seen`, on its window. */
async function enter(page, userID, groupID) {
  await page.evaluate(async ({ userID, groupID }) => {
    const { create, EVENT } = await import('/sdk/index.js');
    const getUserSig = async () => (await (await fetch(`/demo/session?userID=${userID}`)).json()).userSig;
    const chat = create({ SDKAppID: 1, getUserSig });
    const seen = [];
    const states = [];
    Object.assign(window, { chat, seen, states });
    chat.on(EVENT.NET_STATE_CHANGE, ({ data }) => states.push(data.state));
    chat.on(EVENT.GROUP_COUNTER_UPDATED, ({ data }) => data.key === 'like' && seen.push(data.value));
    await chat.login({ userID });
    await chat.joinGroup({ groupID });
  }, { userID, groupID });
}

const likes = (page, groupID, value) => page.waitForFunction(({ groupID, value }) => window.chat.counters(groupID)?.like === value, { groupID, value }, { timeout: 30_000 });

test('imported from the gateway as it stands: two pages count together, and nothing is said on the console', async () => {
  const groupID = await quietRoom();
  const [one, two] = [await visit(), await visit()];
  await enter(one.page, 'page-one', groupID);
  await enter(two.page, 'page-two', groupID);
  await Promise.all([one, two].map(({ page }) => page.evaluate((id) => Promise.all(Array.from({ length: 50 }, () => window.chat.tap({ groupID: id, key: 'like' }))), groupID)));
  for (const { page, quiet, context } of [one, two]) {
    await likes(page, groupID, 100);
    const seen = await page.evaluate(() => window.seen);
    assert.deepEqual(seen, [...new Set(seen)].sort((a, b) => a - b));
    quiet();
    await context.close();
  }
});

test("the README's first lines, as they stand", async () => {
  const [, code] = /<script type="module">\n(.*?)<\/script>/s.exec(readFileSync(join(ROOT, 'web-demo/sdk/README.md'), 'utf8'));
  const { page, context, quiet } = await visit();
  const told = [];
  page.on('console', (message) => told.push(message.text()));
  await page.route('**/readme.js', (route) => route.fulfill({ contentType: 'text/javascript', body: `${code}\nwindow.chat = chat; window.done = true;` }));
  await page.addScriptTag({ url: '/readme.js', type: 'module' });
  await page.waitForFunction(() => window.done);
  const before = await page.evaluate(() => window.chat.counters('live-stage').like ?? 0);
  await page.evaluate(() => document.body.click());
  await page.waitForFunction((likes) => window.chat.counters('live-stage').like > likes, before);
  assert.ok(told.some((text) => /^live-stage like \d+$/.test(text)), told.join());
  quiet();
  await context.close();
});

test('exact digits in the browser', async () => {
  const groupID = await quietRoom();
  const { page, context, quiet } = await visit();
  await enter(page, 'page-exact', groupID);
  const value = await page.evaluate(async (id) => {
    await window.chat.setGroupCounters({ groupID: id, counters: { far: 2n ** 63n - 1n } });
    return (await window.chat.decreaseGroupCounter({ groupID: id, key: 'far', value: 9_007_199_254_740_993n })).data.value;
  }, groupID);
  assert.equal(value, 2n ** 63n - 1n - 9_007_199_254_740_993n);
  quiet();
  await context.close();
});

test('offline and online: taps made without a network count once it is back, and what was missed is told', async () => {
  const groupID = await quietRoom();
  const { page, context } = await visit();
  await enter(page, 'page-offline', groupID);
  await context.setOffline(true);
  await page.waitForFunction(() => window.states.at(-1) !== 'connected', null, { timeout: 30_000 });
  await page.evaluate((id) => {
    window.taps = Promise.all(Array.from({ length: 7 }, () => window.chat.tap({ groupID: id, key: 'like' })));
  }, groupID);
  await like(groupID, 1_000);
  await context.setOffline(false);
  await page.evaluate(() => window.taps);
  await likes(page, groupID, 1_007);
  await context.close();
});

test('a page that was frozen is current as soon as it wakes', async () => {
  const groupID = await quietRoom();
  const { page, context } = await visit();
  await enter(page, 'page-frozen', groupID);
  const control = await context.newCDPSession(page);
  await control.send('Page.setWebLifecycleState', { state: 'frozen' });
  for (const value of [1, 10, 100]) await like(groupID, value);
  await control.send('Page.setWebLifecycleState', { state: 'active' });
  await likes(page, groupID, 111);
  await context.close();
});

test('the program stops and starts again: the page is back by itself', async () => {
  const groupID = await quietRoom();
  const { page, context } = await visit();
  await enter(page, 'page-restart', groupID);
  await page.evaluate((id) => window.chat.tap({ groupID: id, key: 'like' }), groupID);
  await gateway.end('SIGTERM');
  await page.waitForFunction(() => window.states.at(-1) !== 'connected');
  await page.evaluate((id) => {
    window.tap = window.chat.tap({ groupID: id, key: 'like' }).catch(({ code }) => code);
  }, groupID);
  await gateway.start();
  await page.waitForFunction(() => window.states.at(-1) === 'connected');
  assert.equal((await page.evaluate(() => window.tap)).code, 0);
  await context.close();
});

test('React in StrictMode: the double mount leaves one connection, a quiet console, and numbers that move', async () => {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, 'views.jsx')], bundle: true, format: 'esm', jsx: 'automatic', write: false, preserveSymlinks: true, define: { 'process.env.NODE_ENV': '"development"' },
  });
  const groupID = await quietRoom();
  const { page, context, sockets, quiet } = await visit();
  await page.route('**/views.js', (route) => route.fulfill({ contentType: 'text/javascript', body: outputFiles[0].text }));
  await like(groupID, 5);
  await page.evaluate(async (id) => {
    const { sdkAppID: SDKAppID, userID, userSig } = await (await fetch('/demo/session?userID=page-react')).json();
    const { mount } = await import('/views.js');
    window.root = mount({ groupID: id, broken: 'no-such-room', SDKAppID, userID, userSig });
  }, groupID);
  await page.locator('output', { hasText: /^5$/ }).waitFor();
  await page.locator('output', { hasText: /^10010$/ }).waitFor();
  await page.getByRole('button').click();
  await page.locator('output', { hasText: /^6$/ }).waitFor();
  await like(groupID, 10);
  await page.locator('output', { hasText: /^16$/ }).waitFor();
  assert.deepEqual(sockets.map((socket) => socket.isClosed()), [false]);
  await page.evaluate(() => window.root.unmount());
  if (!sockets[0].isClosed()) await sockets[0].waitForEvent('close');
  quiet();
  await context.close();
});

test("the README's React component, as it stands, in StrictMode", async () => {
  const [, code] = /```jsx\n(.*?)```/s.exec(readFileSync(join(ROOT, 'web-demo/sdk/README.md'), 'utf8'));
  const contents = `import { StrictMode, createElement } from 'react';
    import { createRoot } from 'react-dom/client';
    const session = async (userID) => (await fetch('/demo/session?userID=' + userID)).json();
    ${code}
    const root = createRoot(document.body);
    export const show = (props) => root.render(createElement(StrictMode, null, createElement(Likes, props)));
    export const end = () => root.unmount();`;
  const { outputFiles } = await build({
    stdin: { contents, loader: 'jsx', resolveDir: import.meta.dirname }, bundle: true, format: 'esm', jsx: 'automatic', write: false, preserveSymlinks: true, define: { 'process.env.NODE_ENV': '"development"' },
  });
  const groupID = await quietRoom();
  const { page, context, sockets, quiet } = await visit();
  await page.route('**/readme-react.js', (route) => route.fulfill({ contentType: 'text/javascript', body: outputFiles[0].text }));
  await like(groupID, 5);
  await page.evaluate(async (id) => (await import('/readme-react.js')).show({ userID: 'readme-react', groupID: id }), groupID);
  await page.getByRole('button', { name: /^5$/ }).click();
  await page.getByRole('button', { name: /^6$/ }).waitFor();
  assert.deepEqual(sockets.filter((socket) => !socket.isClosed()).length, 1);
  const next = page.waitForEvent('websocket');
  await page.evaluate(async (id) => (await import('/readme-react.js')).show({ userID: 'readme-other', groupID: id }), groupID);
  await next;
  await page.getByRole('button', { name: /^6$/ }).click();
  await page.getByRole('button', { name: /^7$/ }).waitFor();
  await page.evaluate(async () => (await import('/readme-react.js')).end());
  const open = sockets.filter((socket) => !socket.isClosed());
  await Promise.all(open.map((socket) => socket.waitForEvent('close')));
  quiet();
  await context.close();
});

test('<group-counter>: shows its counter, taps, follows its attributes, and says what is wrong', async () => {
  const groupID = await quietRoom();
  const { page, context, sockets, quiet } = await visit();
  await like(groupID, 1_234_567);
  await page.evaluate(async (id) => {
    document.documentElement.lang = 'en';
    document.body.innerHTML = `<button><group-counter group="${id}" counter="like"></group-counter></button> <group-counter id="other" group="${id}" key="gift"></group-counter> <group-counter id="none" group="${id}">–</group-counter> <group-counter id="broken" group="no-such-room" counter="like">–</group-counter>`;
    const { GroupCounter } = await import('/sdk/element.js');
    const { create } = await import('/sdk/index.js');
    const { userSig } = await (await fetch('/demo/session?userID=page-element')).json();
    window.chat = create({ SDKAppID: 1 });
    window.changes = 0;
    document.querySelector('button').addEventListener('change', () => (window.changes += 1));
    document.querySelector('button group-counter').addEventListener('change', () => (window.changes += 1));
    document.querySelector('button').onclick = (event) => event.currentTarget.firstElementChild.tap();
    GroupCounter.chat = window.chat;
    await window.chat.login({ userID: 'page-element', userSig });
  }, groupID);
  await page.locator('group-counter', { hasText: /^1,234,567$/ }).waitFor();
  const text = (selector) => page.evaluate((name) => document.querySelector(name).textContent, selector);
  assert.deepEqual([await text('#other'), await text('#none'), await text('#broken')], ['', '–', '–'], 'what is not known is not 0');
  await page.locator('#broken[data-error="10010"]').waitFor({ state: 'attached' });
  await page.getByRole('button').click();
  await page.locator('button [data-value="1234568"]', { hasText: '1,234,568' }).waitFor();
  assert.equal(await page.evaluate(() => window.changes), 2);
  await page.evaluate(() => document.querySelector('#other').setAttribute('key', 'like'));
  await page.locator('#other[data-value="1234568"]').waitFor();
  await page.evaluate(() => document.querySelector('#none').setAttribute('counter', 'like'));
  await page.locator('#none[data-value="1234568"]').waitFor();
  await page.evaluate(() => document.querySelector('#none').setAttribute('counter', 'gift'));
  await page.locator('#none:not([data-value])', { hasText: /^–$/ }).waitFor();
  await page.evaluate(() => {
    window.gone = document.querySelector('#other');
    window.gone.remove();
  });
  await like(groupID, 2);
  await page.locator('button [data-value="1234570"]').waitFor();
  assert.equal(await page.evaluate(() => window.gone.dataset.value), '1234568');
  await page.evaluate(() => window.chat.logout());
  await page.locator('button group-counter:not([data-value])', { hasText: /^$/ }).waitFor({ state: 'attached' });
  assert.equal(sockets.length, 1);
  quiet();
  await context.close();
});

test('<group-counter> in React, Preact and Vue: its attributes and its chat arrive', async () => {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, 'elements.js')], bundle: true, format: 'esm', write: false, preserveSymlinks: true,
    define: { 'process.env.NODE_ENV': '"production"', __VUE_OPTIONS_API__: 'false', __VUE_PROD_DEVTOOLS__: 'false', __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false' },
  });
  const groupID = await quietRoom();
  const { page, context, sockets, quiet } = await visit();
  await page.route('**/elements.js', (route) => route.fulfill({ contentType: 'text/javascript', body: outputFiles[0].text }));
  await like(groupID, 7);
  await page.evaluate(async (id) => {
    const { mount, create } = await import('/elements.js');
    const { userSig } = await (await fetch('/demo/session?userID=page-elements')).json();
    const chat = create({ SDKAppID: 1 });
    mount({ group: id, counter: 'like', chat });
    await chat.login({ userID: 'page-elements', userSig });
  }, groupID);
  for (const name of ['react', 'preact', 'vue']) await page.locator(`#${name} group-counter`, { hasText: /^7$/ }).waitFor();
  await like(groupID, 1);
  for (const name of ['react', 'preact', 'vue']) await page.locator(`#${name} group-counter`, { hasText: /^8$/ }).waitFor();
  assert.equal(sockets.length, 1);
  quiet();
  await context.close();
});
