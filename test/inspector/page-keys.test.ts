/** The inspector's page worked by keys: none does what its reader did not mean. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Page } from 'playwright-core';
import { childRow, Pages } from './pages.ts';
import { fleet, hello } from './story.ts';

const commands = ['worker add', 'worker remove', 'worker kill', 'reload'];

suite('keys of the page', { skip: Pages.without }, () => {
  const pages = new Pages();
  const openWithControl = (): Promise<Page> =>
    pages.open(() => [hello({ control: true, commands }), ...fleet(pages.story, 3).slice(1)]);
  const isLine = (page: Page, text: string) => page.locator('#line', { hasText: text }).waitFor();
  const isHeard = async (page: Page, count: number): Promise<void> => {
    for (const until = Date.now() + 20_000; pages.server.heard.length < count && Date.now() < until; )
      await page.evaluate('new Promise(requestAnimationFrame)');
    assert.equal(pages.server.heard.length, count);
  };

  test('Space pauses and goes on, and never gives the last order again', async () => {
    const page = await openWithControl();
    pages.server.heard.length = 0;
    const add = page.getByRole('button', { name: '+ worker' });
    await add.click();
    await isHeard(page, 1);
    assert.equal(await page.locator('.controls :focus').count(), 0);
    await page.keyboard.press(' ');
    await isLine(page, 'paused');
    await page.keyboard.press(' ');
    await isLine(page, 'live');
    // On the button itself, reached by keyboard: Enter orders, Space does not.
    await add.focus();
    await page.keyboard.press(' ');
    await isLine(page, 'paused');
    await page.keyboard.press('Enter');
    await isHeard(page, 2);
    assert.equal(await page.locator('.controls :focus').count(), 1);
    await page.locator('#pause').focus();
    await page.keyboard.press(' ');
    await isLine(page, 'live');
    // In a field it is a space.
    await page.keyboard.press('/');
    await page.locator('#find:focus').waitFor();
    await page.keyboard.type('a b');
    assert.equal(await page.locator('#find').inputValue(), 'a b');
    await isLine(page, 'live');
    await isHeard(page, 2);
    await page.close();
  });

  test('under a dialog no key works but Escape and ?', async () => {
    const page = await openWithControl();
    pages.server.heard.length = 0;
    await page.keyboard.press('?');
    const dialog = page.locator('dialog[open]');
    await dialog.waitFor();
    for (const key of ['3', 't', 'l', ',', 'n']) await page.keyboard.press(key);
    assert.equal(await page.locator('.page').getAttribute('data-view'), 'tree');
    assert.equal(await page.locator('html').getAttribute('data-theme'), null);
    await isLine(page, 'live');
    await page.keyboard.press('?');
    await dialog.waitFor({ state: 'detached' });
    await childRow(page, 2).click();
    await page.getByRole('button', { name: 'Kill worker 2' }).click();
    await dialog.waitFor();
    for (const key of ['3', '?', ',']) await page.keyboard.press(key);
    assert.equal(await page.locator('dialog').count(), 1);
    await isLine(page, 'live');
    // Its own buttons are pressed as buttons are.
    await dialog.getByRole('button', { name: 'Leave it' }).focus();
    await page.keyboard.press(' ');
    await dialog.waitFor({ state: 'detached' });
    await isLine(page, 'live');
    assert.equal(pages.server.heard.length, 0);
    await page.close();
  });
});
