/** Workers that die in front of the inspector's page: one sees who it was, how it ended, and who came after it. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Page } from 'playwright-core';
import { childRow, Pages } from './pages.ts';
import { pidOf } from './story.ts';

const KILLED = { code: null, signal: 'SIGKILL' };

suite('deaths in the page', { skip: Pages.without }, () => {
  const pages = new Pages();
  const goneRow = (page: Page, text: string) => page.locator('[role=treeitem].gone', { hasText: text });
  const worker = (page: Page, age: number) =>
    page.locator(`[role=treeitem][data-machine=worker][data-pid="${pidOf(age)}"]`);
  const focused = (page: Page) => page.evaluate('document.activeElement.getAttribute("role")');

  /** Worker 1 is chosen and killed; worker 4 takes its slot. */
  async function death(page: Page): Promise<void> {
    const { story } = pages;
    await worker(page, 1).click();
    await page.locator('[data-state="worker.alive.booted.serving"].lit').waitFor();
    pages.say(story.end(1, KILLED));
    await page.locator('.ended-line', { hasText: /ended \d\d:\d\d:\d\d\.\d\d\d by SIGKILL/ }).waitFor();
    story.slots.set(4, 0);
    pages.say([...story.hire(4), ...story.boot(4)]);
  }

  test('its last picture stays, with when and how it ended, and ways to its last moment and its successor', async () => {
    const page = await pages.open();
    await death(page);
    await page.locator('[data-state="worker.alive.booted.serving"].lit').waitFor();
    const dimmed = () => page.locator('.has-ended .picture svg').count();
    assert.equal(await dimmed(), 1);
    await page.locator('#machine-title', { hasText: 'worker 1' }).waitFor();

    await page.getByRole('button', { name: 'Show its last moment' }).click();
    await page.locator('#line', { hasText: 'paused' }).waitFor();
    await page.locator('#machine-state', { hasText: 'serving' }).waitFor();
    assert.equal(await dimmed(), 0);
    assert.equal(await childRow(page, 4).count(), 0);
    await page.keyboard.press('l');
    await page.getByRole('button', { name: 'Show who took slot 0' }).click();
    await page.locator('#machine-title', { hasText: 'worker 4' }).waitFor();
    await page.locator('[data-state="worker.alive.booted.starting.loading"].lit').waitFor();
    assert.deepEqual(pages.complaints, []);
    await page.close();
  });

  test('its row stays struck through for some seconds; then the focus goes to a neighbour', async () => {
    const page = await pages.open();
    await death(page);
    await goneRow(page, 'worker 1').waitFor();
    await goneRow(page, 'child.1').filter({ hasText: 'ended by SIGKILL' }).waitFor();
    const line = await page.evaluate(
      'getComputedStyle(document.querySelector(".row.gone .title")).textDecorationLine',
    );
    assert.equal(line, 'line-through');
    assert.equal(await focused(page), 'treeitem');
    // Time is the server's: its next words are of seven seconds later.
    pages.story.at += 7000;
    pages.say([pages.story.beat(2, 1)]);
    await goneRow(page, 'worker 1').waitFor({ state: 'detached' });
    assert.equal(await focused(page), 'treeitem');
    await page.locator('.ended-line').waitFor();
    await page.keyboard.press('ArrowDown');
    assert.equal(await focused(page), 'treeitem');
    assert.equal(await page.locator('[role=treeitem][aria-selected=true]').count(), 1);
    // It died where it died: before, it lived.
    await page.locator('#scrub').focus();
    await page.keyboard.press('ArrowLeft');
    await goneRow(page, 'worker 1').waitFor();
    await page.close();
  });

  test('one that ended as it was asked is not shown as failed', async () => {
    const page = await pages.open();
    await childRow(page, 2).click();
    pages.say([...pages.story.askDrain(2), ...pages.story.end(2)]);
    await page.locator('.ended-line.tone-ended', { hasText: 'with code 0' }).waitFor();
    await page.locator('[data-state="child.reaped"].lit').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Show who took' }).count(), 0);
    await page.close();
  });
});
