/** The past in the inspector's page: it stands still while it is looked at, and what stands out in it is found. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Told } from '../../src/actors/inspect/records.ts';
import { childRow, Pages } from './pages.ts';

suite('the past in the page', { skip: Pages.without }, () => {
  const pages = new Pages();

  /** Records of a worker's machine that moves, in large messages; `padding` makes each heavier. */
  const storm = (messages: number, padding = 0): void => {
    const { story } = pages;
    const text = 'x'.repeat(padding);
    for (let message = 0; message < messages; message++) {
      const records: Told[] = Array.from({ length: 500 }, () =>
        story.step(
          3,
          'worker.ready',
          'alive.starting',
          { alive: { ready: 'fresh' } },
          padding ? { context: { text } } : {},
        ),
      ).flat();
      pages.say(records);
    }
  };
  const count = (page: Awaited<ReturnType<Pages['open']>>) => page.locator('.kept');

  test('a moment that is looked at does not move while a hundred thousand records come', async () => {
    const page = await pages.open();
    pages.say([...pages.story.drain(1)]);
    await childRow(page, 1).locator('text=draining').waitFor();
    await page.locator('#pause').click();
    const when = await page.locator('#when').textContent();
    pages.say([...pages.story.end(1), ...pages.story.hire(9)]);
    storm(100);
    await count(page).filter({ hasText: '100,0' }).waitFor();
    assert.equal((await page.locator('#when').textContent())!.slice(0, 12), when!.slice(0, 12));
    await childRow(page, 1).locator('text=draining').waitFor();
    assert.equal(await childRow(page, 9).count(), 0);
    assert.doesNotMatch((await count(page).textContent())!, /dropped/);
    assert.deepEqual(pages.complaints, []);
    await page.close();
  });

  test('a moment that can no longer be kept is said to be gone, and the oldest that is takes its place', async () => {
    const page = await pages.open();
    await page.locator('#pause').click();
    // In all 130 MB: more than is kept for anybody.
    storm(26, 10_000);
    await page.locator('.order', { hasText: 'no longer kept' }).waitFor();
    await page.locator('#line', { hasText: 'paused' }).waitFor();
    const scrub = page.locator('#scrub');
    assert.equal(await scrub.inputValue(), await scrub.getAttribute('min'));
    await page.close();
  });
});
