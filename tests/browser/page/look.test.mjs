// The page for everybody: keyboard, screen reader, no motion, small screens, light and dark. Its pictures are taken on the way.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { begin, button, figure, press, quietRoom, ready, risen, shot, shows, until, visit } from './world.mjs';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core'), 'utf8');
const PHONE = { viewport: { width: 375, height: 812 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

begin();

/** The faults that axe-core calls serious or critical. */
async function seriousFaults(page) {
  await page.evaluate(AXE);
  const violations = await page.evaluate(async () => (await globalThis.axe.run()).violations);
  return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`);
}

/** Goes on with Tab until the focus is on what `selector` names. */
async function tabTo(page, selector) {
  for (let steps = 0; steps < 40; steps += 1) {
    await page.keyboard.press('Tab');
    if (await page.evaluate((selector) => document.activeElement.matches(selector), selector)) return;
  }
  assert.fail(`Tab never came to ${selector}`);
}

test('the keyboard alone is enough', async () => {
  const room = await quietRoom();
  const { page, leave } = await visit({ room });
  await ready(page);
  await page.keyboard.press('Tab');
  assert.match(await page.evaluate(() => document.activeElement.textContent), /Skip to the like button/);
  await page.keyboard.press('Enter');
  await page.evaluate(() => document.getElementById('like').focus());
  await page.keyboard.press('Enter');
  await page.keyboard.press('Space');
  await shows(page, 'like', 2);
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, 'solid');
  await page.evaluate(() => document.activeElement.blur());
  await tabTo(page, '#rose');
  await page.keyboard.press('Enter');
  await shows(page, 'rose', 1);
  await page.evaluate(() => document.activeElement.blur());
  await tabTo(page, '[data-panel="instruments"]');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'instruments');
  await tabTo(page, '#cut');
  await page.keyboard.press('Space');
  await page.locator('#link[data-state="waiting"]').waitFor();
  await page.keyboard.press('Space');
  await page.locator('#link[data-state="connected"]').waitFor();
  await page.locator('#summary').filter({ hasText: '2 likes, 1 rose, 1 watching' }).waitFor();
  await leave();
});

test('who asked for no motion sees none, and every number', async () => {
  const room = await quietRoom();
  const { page, leave } = await visit({ room, options: { reducedMotion: 'reduce', colorScheme: 'dark' } });
  await ready(page);
  const picture = () => page.evaluate(() => document.getElementById('picture').toDataURL());
  await until('the picture is drawn', async () => (await picture()).length > 20_000);
  const before = await picture();
  await button(page, 'Like').click();
  await press(page, 'crown', 2);
  await page.locator('#score').filter({ hasText: /^1$/ }).waitFor();
  await page.locator('#lanes li[data-over]').filter({ hasText: '×2 combo!' }).waitFor();
  assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
  assert.equal(await risen(page), 0);
  assert.ok((await picture()) === before, 'the picture stands still');
  await shot(page, 'page-still');
  await leave();
});

for (const [name, { panels = [], ...options }] of Object.entries({
  light: { colorScheme: 'light', viewport: { width: 1440, height: 900 } },
  dark: { colorScheme: 'dark', viewport: { width: 1440, height: 900 } },
  'instruments-light': { colorScheme: 'light', viewport: { width: 1440, height: 960 }, panels: ['Instruments', 'Host'] },
  'instruments-dark': { colorScheme: 'dark', viewport: { width: 1680, height: 1050 }, panels: ['Instruments', 'Second viewer'] },
  phone: { ...PHONE, colorScheme: 'light' },
  'phone-panels': { ...PHONE, colorScheme: 'dark', panels: ['Instruments', 'Host'] },
  narrow: { ...PHONE, colorScheme: 'dark', viewport: { width: 320, height: 640 } },
  across: { ...PHONE, colorScheme: 'dark', viewport: { width: 812, height: 375 } },
})) {
  test(`the page fits, is drawn and has no serious fault of access: ${name}`, async () => {
    const { page, leave } = await visit({ options });
    await ready(page);
    for (const panel of panels) await button(page, panel).click();
    for (let taps = 0; taps < 4; taps += 1) {
      await press(page, 'like', 1);
      await press(page, 'crown', 1);
    }
    await figure(page, 'confirmed', 8);
    await page.locator('#viewers').filter({ hasText: /^\d+$/ }).waitFor();
    await until('something rises', async () => (await risen(page)) > 0);
    const { wide, inner } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, inner: innerWidth }));
    assert.ok(wide <= inner, `${wide} > ${inner}`);
    await page.evaluate(() => scrollTo(0, 0));
    await shot(page, `page-${name}`);
    assert.deepEqual(await seriousFaults(page), []);
    await leave();
  });
}
