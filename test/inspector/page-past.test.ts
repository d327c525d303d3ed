/** The past in the inspector's page: it stands still while it is looked at, and what stands out in it is found. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Told } from '../../src/actors/inspect/records.ts';
import { childRow, Pages } from './pages.ts';
import { fleet, hello, pidOf } from './story.ts';

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
    const { value, min } = (await page.evaluate(
      '(({ value, min }) => ({ value, min }))(document.querySelector("#scrub"))',
    )) as Record<string, string>;
    assert.equal(value, min);
    assert.notEqual(min, '0');
    await page.close();
  });

  test('a recording of a server that was stopped stands where its arbiter still lived', async () => {
    const told = () => {
      const { story } = pages;
      const begun = fleet(story, 1);
      const end = story.records([...story.askDrain(1), ...story.end(1), ...story.stop()]);
      return [
        hello({ source: 'recording', file: 'stopped.jsonl' }),
        ...begun.slice(1, -1),
        end,
        story.live(),
      ];
    };
    const page = await pages.open(told, {}, 'recording stopped.jsonl');
    const arbiter = page.locator('[role=treeitem][data-machine=arbiter]', { hasText: 'stopping' });
    await arbiter.waitFor();
    await page.locator('#machine-title', { hasText: 'arbiter' }).waitFor();
    await page.locator('#scrub').focus();
    await page.keyboard.press('End');
    await page.locator('[role=treeitem]').first().waitFor({ state: 'detached' });
    await page.keyboard.press('l');
    await arbiter.waitFor();
    // Opened from a file in the page it is the same.
    const lines = told()
      .slice(0, -1)
      .map((message) => JSON.stringify(message));
    await page.locator('#open').setInputFiles({
      name: 'again.jsonl',
      mimeType: 'application/x-ndjson',
      buffer: Buffer.from(lines.join('\n')),
    });
    await page.locator('#line', { hasText: 'again.jsonl' }).waitFor();
    await arbiter.waitFor();
    await page.locator('#machine-title', { hasText: 'arbiter' }).waitFor();
    await page.close();
  });

  test('what went wrong is gone to, forth and back, by keys and buttons', async () => {
    const page = await pages.open();
    const { story } = pages;
    pages.say([
      ...story.end(1, { code: null, signal: 'SIGKILL' }),
      ...story.end(2),
      { t: 'log', at: story.at, level: 'info', text: 'worker 2 ended' },
      { t: 'log', at: story.at, level: 'error', text: 'app.mjs: boom' },
      { t: 'lost', at: story.at, pid: pidOf(3), records: 17 },
      ...story.step(3, 'process.silent', 'alive.ready', { alive: 'aborting' }),
      ...story.drain(3),
    ]);
    await childRow(page, 3).locator('text=draining').waitFor();
    const notice = (text: string | RegExp) => page.locator('.order', { hasText: text }).waitFor();
    await page.keyboard.press('X');
    await notice('process.silent');
    await page.locator('#line', { hasText: 'paused' }).waitFor();
    await childRow(page, 3).locator('text=ready').waitFor();
    await page.keyboard.press('X');
    await notice('17 records lost');
    await page.getByRole('button', { name: 'Previous trouble' }).click();
    await notice('app.mjs: boom');
    await page.keyboard.press('X');
    await notice(/process\.exited by SIGKILL.*child\.1/);
    await page.locator('#machine-title', { hasText: 'child.1' }).waitFor();
    await page.keyboard.press('X');
    await notice('No earlier trouble');
    await page.keyboard.press('x');
    await notice('app.mjs: boom');
    await page.getByRole('button', { name: 'Next trouble' }).click();
    await notice('17 records lost');
    await page.keyboard.press('x');
    await page.keyboard.press('x');
    await notice('No later trouble');
    assert.deepEqual(pages.complaints, []);
    await page.close();
  });
});
