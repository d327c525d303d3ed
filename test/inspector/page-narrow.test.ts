/** The page on a phone: nothing of its head lies over anything else, whatever it has to say. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Page } from 'playwright-core';
import { Pages } from './pages.ts';
import { fleet, hello } from './story.ts';

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true };
const APP = 'services/storefront/dist/server/main.mjs';
const COMMANDS = ['worker add', 'worker remove', 'worker kill', 'dirty add', 'dirty remove', 'reload'];

interface Part {
  name: string;
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** What is seen of the head, each part once. */
const partsOf = (page: Page): Promise<Part[]> =>
  page.evaluate(`[...document.querySelectorAll('.brand, .what, #line, .header .hint, .header .button')]
    .map((part) => ({ part, box: part.getBoundingClientRect() }))
    .filter(({ box }) => box.width > 0)
    .map(({ part, box: { left, right, top, bottom } }) => ({ name: part.textContent, left, right, top, bottom }))`);

async function liesFreely(page: Page, when: string): Promise<void> {
  const parts = await partsOf(page);
  assert.ok(parts.length >= 3, `${when}: ${JSON.stringify(parts)}`);
  for (const [index, one] of parts.entries()) {
    assert.ok(one.left >= 0 && one.right <= PHONE.viewport.width, `${when}: ${one.name} is off the screen`);
    for (const other of parts.slice(index + 1)) {
      const isApart =
        one.right <= other.left ||
        other.right <= one.left ||
        one.bottom <= other.top ||
        other.bottom <= one.top;
      assert.ok(isApart, `${when}: ${one.name} and ${other.name} lie over each other`);
    }
  }
}

suite('the head of the page on a phone', { skip: Pages.without }, () => {
  const pages = new Pages();
  for (const colorScheme of ['light', 'dark'] as const)
    test(`${colorScheme}: title, line and menu lie freely, live, with orders, and when the server is gone`, async () => {
      const greeting = hello({ app: APP, control: true, commands: COMMANDS });
      const begin = () => fleet(pages.story, 3).map((one) => ('kirin' in one ? greeting : one));
      const page = await pages.open(begin, { ...PHONE, colorScheme });
      await liesFreely(page, 'live');
      const menu = page.getByRole('button', { name: 'Orders and tools' });
      await menu.tap();
      await page.getByRole('button', { name: 'Export' }).waitFor();
      await liesFreely(page, 'with orders');
      pages.server.say({ type: 'lost', records: 123_456 });
      await page.locator('#line', { hasText: 'lost' }).waitFor();
      await liesFreely(page, 'with what is lost');
      pages.server.say({ type: 'bye', reason: 'the server has stopped' });
      pages.server.refuses = true;
      pages.server.cut();
      await page.locator('#line', { hasText: 'reconnecting' }).waitFor();
      await liesFreely(page, 'gone, with orders');
      await menu.tap();
      await liesFreely(page, 'gone');
      pages.server.refuses = false;
      await page.close();
      assert.deepEqual(pages.complaints, []);
    });
});
