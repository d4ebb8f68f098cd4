// The live room in a real browser against the real program: what a viewer sees is what the server holds.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, begin, button, figure, gateway, press, quietRoom, ready, risen, shot, shows, truth, until, visit } from './world.mjs';

begin();

test('two viewers of one room see each other, and the totals are the taps', async () => {
  const room = await quietRoom();
  const [one, two] = [await visit({ room }), await visit({ room })];
  await ready(one.page);
  await ready(two.page);
  for (let turn = 0; turn < 6; turn += 1) {
    await press(one.page, 'like', 1);
    await press(two.page, 'like', 1);
  }
  await until('a heart rises from the other’s taps', async () => (await risen(two.page)) > 0);
  await button(one.page, 'Like').click();
  for (let gifts = 0; gifts < 3; gifts += 1) await press(one.page, 'crown', 1);
  await one.page.locator('#lanes li').filter({ hasText: 'You · Crown×3' }).waitFor();
  await two.page.locator('#lanes li').filter({ hasText: 'The room · Crown' }).waitFor();
  for (const { page } of [one, two]) {
    await shows(page, 'like', 13);
    await shows(page, 'crown', 3);
    await page.locator('#viewers').filter({ hasText: /^2$/ }).waitFor();
  }
  await one.page.locator('#lanes li[data-over]').filter({ hasText: '×3 combo!' }).waitFor();
  await one.page.locator('#lanes li').waitFor({ state: 'detached' });
  await figure(one.page, 'confirmed', 10);
  await figure(one.page, 'waiting', 0);
  assert.deepEqual((await truth(room)).counters, { like: 13, crown: 3 });
  await one.leave();
  await two.leave();
});

test('a finger that is too fast: every tap counts, in few writes, and nobody is told to slow down', async () => {
  const room = await quietRoom();
  const { page, leave } = await visit({ room });
  await ready(page);
  await press(page, 'like', 150);
  await shows(page, 'like', 150);
  await figure(page, 'confirmed', 150);
  assert.equal(await page.locator('#notice').textContent(), '');
  const { counters, version } = await truth(room);
  assert.deepEqual(counters, { like: 150 });
  assert.ok(version <= 20, `${version} writes`);
  await leave();
});

test('the digits on the screen never run backwards', async () => {
  const room = await quietRoom();
  const { page, leave } = await visit({ room });
  await ready(page);
  await page.evaluate(() => {
    window.seen = [];
    const score = document.getElementById('score');
    new MutationObserver(() => window.seen.push(score.textContent.replaceAll(',', ''))).observe(score, { childList: true });
  });
  for (let turn = 0; turn < 4; turn += 1) {
    await press(page, 'like', 20);
    await ask('host', { cmd: 'joinGroup', groupID: room.groupID }, { cmd: 'increaseGroupCounter', groupID: room.groupID, key: 'like', value: 1_000 });
  }
  await page.locator('#score').filter({ hasText: /^4,080$/ }).waitFor();
  const seen = (await page.evaluate(() => window.seen)).map(BigInt);
  assert.ok(seen.length > 20, `${seen.length} steps`);
  for (const [index, value] of seen.entries()) assert.ok(index === 0 || value > seen[index - 1], `${value} after ${seen[index - 1]}`);
  await leave();
});

test('every digit of a 64-bit counter is shown, and a refused tap is taken back', async () => {
  const room = await quietRoom();
  const near = '9223372036854775806';
  await ask('host', { cmd: 'joinGroup', groupID: room.groupID },
    { cmd: 'setGroupCounters', groupID: room.groupID, counters: { like: near, '<b>low</b>': '-9223372036854775808' } });
  const { page, leave } = await visit({ room });
  await shows(page, 'like', near);
  await shows(page, '<b>low</b>', '-9223372036854775808');
  await page.locator('#others').getByText('<b>low</b>', { exact: true }).waitFor();
  await button(page, 'Like').click();
  await page.getByText('9,223,372,036,854,775,807', { exact: true }).waitFor();
  await figure(page, 'confirmed', 1);
  await shot(page, 'page-digits');
  await button(page, 'Like').click();
  await page.getByText(/would not fit into 64 bits.*\(10004\)/).waitFor();
  await shows(page, 'like', '9223372036854775807');
  await leave();
});

test('the host sets, resets and lets in', async () => {
  const room = await quietRoom('Private');
  const { page, leave } = await visit({ room });
  await page.getByText(/This room is private.*\(10007\)/).waitFor();
  assert.equal(await page.locator('#like').getAttribute('aria-disabled'), 'true');
  await shot(page, 'page-private');
  await button(page, 'Host').click();
  await page.getByText('Logged in as host').waitFor();
  await button(page, 'Let me in').click();
  await ready(page);
  await page.getByLabel('Value').fill('1234567');
  await button(page, 'Set').click();
  await shows(page, 'like', 1234567);
  await page.locator('#score').filter({ hasText: '1,234,567' }).waitFor();
  await button(page, 'Like').click();
  await shows(page, 'like', 1234568);
  await shot(page, 'page-host');
  await button(page, 'Reset likes and gifts').click();
  await page.locator('#score').filter({ hasText: /^0$/ }).waitFor();
  assert.deepEqual((await truth(room).catch(() => ask('host', { cmd: 'joinGroup', groupID: room.groupID }).then(([data]) => data))).counters,
    { like: 0, rose: 0, crown: 0, rocket: 0 });
  await leave();
});

test('a second viewer beside the first, with a connection of his own', async () => {
  const room = await quietRoom();
  const { page, leave } = await visit({ room });
  await ready(page);
  await button(page, 'Second viewer').click();
  const beside = page.frameLocator('iframe');
  await beside.locator('#like[aria-disabled="false"]').waitFor();
  await beside.locator('#like').click();
  await shows(page, 'like', 1);
  await page.locator('#like').click();
  await beside.locator('[data-key="like"][data-value="2"]').waitFor();
  await page.locator('#viewers').filter({ hasText: /^2$/ }).waitFor();
  await shot(page, 'page-beside');
  await button(page, 'Second viewer').click();
  await page.locator('#viewers').filter({ hasText: /^1$/ }).waitFor();
  assert.deepEqual((await truth(room)).counters, { like: 2 });
  await leave();
});

test('the rooms are in a sensible order, the live one first and open, and each joinable one lets a viewer in', async () => {
  const { page, leave } = await visit();
  await ready(page);
  assert.deepEqual(await page.locator('#rooms .kind').allTextContents(), ['Live', 'Meeting', 'Public', 'Private']);
  assert.match(await page.locator('#rooms [aria-current="true"]').textContent(), /Live$/);
  for (const name of ['Game lounge', 'Vote plaza', 'Live stage']) {
    await page.getByRole('navigation').getByRole('button', { name }).click();
    await page.getByRole('heading', { name }).waitFor();
    await ready(page);
    assert.equal(await page.locator('#notice').textContent(), '');
  }
  await leave();
});

test('the simulated viewers move the numbers while nobody taps', async () => {
  const { page, leave } = await visit();
  await page.locator('#score[data-value]').waitFor();
  for (let moves = 0; moves < 3; moves += 1) {
    const held = await page.locator('#score').getAttribute('data-value');
    await page.waitForFunction((held) => BigInt(document.getElementById('score').dataset.value) > BigInt(held), held);
  }
  await figure(page, 'confirmed', 0);
  await leave();
});

test('the signature is neither shown nor kept, and a reload is the same viewer', async () => {
  let sig;
  const { page, leave } = await visit({ session: (json) => {
    sig = json.userSig;
    return json;
  } });
  await button(page, 'Instruments').click();
  await ready(page);
  await page.locator('#log').filter({ hasText: '•••' }).waitFor();
  const seen = await page.evaluate(() => JSON.stringify([document.documentElement.outerHTML, location.href, { ...localStorage }, { ...sessionStorage },
    document.cookie, performance.getEntriesByType('resource').map(({ name }) => name)]));
  assert.ok(sig.length > 5 && !seen.includes(sig));
  const me = await page.locator('#me').textContent();
  await page.reload();
  await ready(page);
  assert.equal(await page.locator('#me').textContent(), me);
  await page.goto(`${gateway.base}/?user=ann&room=game-lounge`);
  await page.getByRole('heading', { name: 'Game lounge' }).waitFor();
  assert.equal(await page.locator('#me').textContent(), 'ann');
  await leave();
});

test('only the page’s own files may run, and only the page itself may frame it', async () => {
  const { page, leave } = await visit();
  const policy = (await page.request.get(gateway.base)).headers()['content-security-policy'];
  assert.match(policy, /default-src 'self';/);
  assert.match(policy, /frame-ancestors 'self'/);
  assert.doesNotMatch(policy, /unsafe|\*/);
  await leave();
});

test('the hot room is for the page alone, and bounded', async () => {
  const { page, leave } = await visit();
  const ask = (data, headers) => page.request.post(`${gateway.base}/demo/hot`, { data, headers });
  const room = { groupID: 'live-stage', viewers: 5 };
  assert.equal((await ask(room, { origin: 'http://elsewhere.example' })).status(), 403);
  for (const wrong of [{ ...room, viewers: 1_001 }, { ...room, viewers: -1 }, { ...room, groupID: '' }, { ...room, groupID: 'backstage' }, 'x']) {
    assert.equal((await ask(wrong, { origin: gateway.base })).status(), 400, JSON.stringify(wrong));
  }
  assert.equal((await (await page.request.get(`${gateway.base}/demo/hot`)).json()).viewers, 0);
  const told = await (await ask(room, { origin: gateway.base })).json();
  assert.deepEqual([told.groupID, told.viewers], ['live-stage', 5]);
  assert.ok(told.secondsLeft > 200 && told.secondsLeft <= 300, `${told.secondsLeft} s`);
  assert.equal((await (await ask({ ...room, viewers: 0 }, { origin: gateway.base })).json()).viewers, 0);
  await leave();
});

test('the REST calls are shown as their description tells them', async () => {
  const { page, leave } = await visit();
  const description = await (await page.request.get(`${gateway.base}/openapi.json`)).json();
  await page.getByRole('link', { name: 'REST calls' }).click();
  await page.locator('article').first().waitFor();
  const shown = await page.locator('article').evaluateAll((articles) => articles.map((article) => article.id));
  assert.deepEqual(shown, Object.values(description.paths).map(({ post }) => post.operationId));
  await shot(page, 'rest-wide');
  await page.setViewportSize({ width: 390, height: 844 });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390, 'nothing sticks out on a phone');
  await shot(page, 'rest-phone');
  await leave();
});
