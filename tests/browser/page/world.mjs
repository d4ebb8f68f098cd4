// What the tests of the page share: the real program, a real Chromium, viewers in it, and the truth of the server to compare with.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';
import { Gateway, LAUNCH, ROOT, talk } from '../gateway.mjs';

// The browser itself reports a server that is not there; a page cannot prevent it.
const OUTAGE = /net::ERR_|WebSocket connection to|Connection closed/;
const SHOTS = join(ROOT, 'target/screenshots');

export const gateway = new Gateway();
export let browser;
let rooms = 0;

/** To be called once in each file of tests. */
export function begin() {
  before(async () => {
    await mkdir(SHOTS, { recursive: true });
    await gateway.start();
    browser = await chromium.launch(LAUNCH);
  });
  after(async () => {
    await browser?.close();
    await gateway.clear();
  });
}

/** Asks the gateway as `userID`, on a socket apart from the page. */
export async function ask(userID, ...frames) {
  const answers = await talk(browser, gateway.base, userID, frames);
  for (const answer of answers) assert.equal(JSON.parse(answer).code, 0, answer);
  return answers.map((answer) => JSON.parse(answer).data);
}

/** A room of the host in which nobody counts but the test. */
export async function quietRoom(type = 'AVChatRoom') {
  rooms += 1;
  const room = { groupID: `quiet-${rooms}`, type, name: `Quiet room ${rooms}` };
  await ask('host', { cmd: 'createGroup', ...room });
  return room;
}

/** What the server holds of a room. */
export async function truth({ groupID }) {
  const [data] = await ask('judge', { cmd: 'joinGroup', groupID });
  return data;
}

/**
 * Opens the page as a new viewer, with `room` added to the list and on the stage where one is given. `outage`: the server will
 * be away. `session` may change what the demo says of a viewer.
 */
export async function visit({ room, options = {}, outage = false, session = (it) => it } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
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
  await page.goto(`${gateway.base}/${room ? `?room=${room.groupID}` : ''}`);
  return { page, context, leave: async () => {
    assert.deepEqual(faults, []);
    await context.close();
  } };
}

export const button = (page, name) => page.getByRole('button', { name, exact: true });
export const ready = (page) => page.locator('#like[aria-disabled="false"]').waitFor();
export const shows = (page, key, value) => page.locator(`[data-key="${key}"][data-value="${value}"]`).waitFor({ timeout: 30_000 });
export const figure = (page, name, value) => page.locator(`#stat-${name}`).filter({ hasText: new RegExp(`^${value}$`) }).waitFor({ state: 'attached', timeout: 30_000 });
export const shot = (page, name) => page.screenshot({ path: join(SHOTS, `${name}.png`) });

/** Presses a button of the page many times in one go, so that several taps are on their way together. */
export const press = (page, key, times) => page.evaluate(({ key, times }) => {
  for (let press = 0; press < times; press += 1) document.getElementById(key).click();
}, { key, times });

/** How many pixels something has risen into. */
export const risen = (page) => page.evaluate(() => {
  const canvas = document.getElementById('rising');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let at = 3; at < data.length; at += 4) if (data[at] > 0) count += 1;
  return count;
});

/** Resolves once the condition holds; says which one did not. */
export async function until(what, holds, limit = 20_000) {
  const end = Date.now() + limit;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `never: ${what}`);
    await new Promise((next) => setTimeout(next, 30));
  }
}
