/** The pictures in the inspector's page: what is lit is in sight, at every size and on every screen. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Locator, Page } from 'playwright-core';
import { eventually } from '../system/harness.ts';
import { childRow, Pages } from './pages.ts';

type Box = { x: number; y: number; width: number; height: number };
/** The whole of it, or, where it is larger, its beginning. */
const spans = (from: number, room: number, at: number, length: number): boolean =>
  at >= from - 1 && (at + length <= from + room + 1 || (length > room - 32 && at < from + 32));
const holds = (outer: Box, inner: Box): boolean =>
  spans(outer.x, outer.width, inner.x, inner.width) && spans(outer.y, outer.height, inner.y, inner.height);

/** Of what is there by the time that it is measured: the page draws anew as things happen. */
async function boxOf(locator: Locator): Promise<Box> {
  return await eventually('it has a place', () => locator.boundingBox());
}

/** Waits until a state is lit, and then asks whether it can be seen at once. */
async function isInSight(page: Page, state: string): Promise<void> {
  const lit = page.locator(`.picture [data-state="${state}"].lit`);
  await lit.waitFor();
  const inner = await boxOf(lit);
  const outer = await boxOf(page.locator('.machine-picture'));
  assert.ok(holds(outer, inner), `${state} at ${JSON.stringify(inner)} in ${JSON.stringify(outer)}`);
}

suite('pictures of the page', { skip: Pages.without }, () => {
  const pages = new Pages();

  test('the lit state is in sight whatever machine is chosen, and is followed', async () => {
    const page = await pages.open(undefined, { viewport: { width: 1280, height: 560 } });
    pages.say(pages.story.drain(1));
    const row = (machine: string) => page.locator(`[role=treeitem][data-machine=${machine}]`).first();
    await row('worker').click();
    await isInSight(page, 'worker.alive.booted.serving');
    await childRow(page, 1).click();
    await isInSight(page, 'child.alive.draining');
    await row('arbiter').click();
    await isInSight(page, 'arbiter.alive.supervising.serving');
    await childRow(page, 2).click();
    await isInSight(page, 'child.alive.ready.fresh');
    pages.say(pages.story.step(2, 'child.kill', 'alive', { alive: 'killing' }));
    await isInSight(page, 'child.alive.killing');
    await page.close();
  });

  test('on a phone a tap on the tree opens the machine, with its lit state in sight', async () => {
    const page = await pages.open(undefined, { viewport: { width: 390, height: 844 }, hasTouch: true });
    pages.say(pages.story.step(2, 'child.kill', 'alive', { alive: 'killing' }));
    await childRow(page, 2).locator('text=killing').waitFor();
    await childRow(page, 2).tap();
    await isInSight(page, 'child.alive.killing');
    // What is needed rarely is put away: the picture has more than half of the screen.
    assert.ok((await boxOf(page.locator('.picture'))).height > 422);
    const orders = page.getByRole('button', { name: 'Export' });
    assert.equal(await orders.isVisible(), false);
    await page.getByRole('button', { name: 'Orders and tools' }).tap();
    await orders.waitFor();
    await page.getByRole('button', { name: 'Tree', exact: true }).tap();
    pages.say(pages.story.drain(3));
    await childRow(page, 3).tap();
    await isInSight(page, 'child.alive.draining');
    await page.getByRole('button', { name: 'Sequence', exact: true }).tap();
    assert.equal(await page.locator('#find').isVisible(), false);
    await page.getByRole('button', { name: 'Filter and search' }).tap();
    await page.locator('#find').waitFor();
    // The words of a row have the width of the screen, and the chosen row is in sight when the view comes back.
    const row = page.locator('.seq-row', { hasText: 'worker.ready' }).first();
    assert.ok((await boxOf(row.locator('.seq-text'))).width > 250);
    await page.keyboard.press('Escape');
    const many = Array.from({ length: 300 }, () => pages.story.drain(3)).flat();
    pages.say(many);
    await page.locator('#seq-count', { hasText: '3' }).waitFor();
    await page.locator('#find').fill('worker 2 is ready');
    await page.keyboard.press('Shift+Enter');
    const chosen = page.locator('.seq-row[aria-selected=true]', { hasText: 'worker 2 is ready' });
    await chosen.waitFor();
    await page.getByRole('button', { name: 'Fleet', exact: true }).tap();
    await page.getByRole('button', { name: 'Sequence', exact: true }).tap();
    await chosen.waitFor();
    assert.ok(holds(await boxOf(page.locator('.seq-box')), await boxOf(chosen)));
    await page.close();
  });

  test('a fleet is seen whole on a small screen, and pictures are sized by buttons, keys and wheel', async () => {
    const page = await pages.open(undefined, { viewport: { width: 1280, height: 800 } });
    await page.keyboard.press('4');
    await page.locator('.count', { hasText: '3' }).waitFor();
    const size = async () => await boxOf(page.locator('.picture svg'));
    assert.ok(holds(await boxOf(page.locator('.picture')), await size()), 'all of it is seen');
    const title = page.locator('[data-state="child.alive.draining"] > .title');
    assert.ok((await boxOf(title)).height >= 9, 'its names can be read');

    await childRow(page, 1).click();
    await page.keyboard.press('2');
    await page.locator('.picture .lit').first().waitFor();
    const natural = await size();
    const shown = (text: string) => page.locator('.zoom output', { hasText: text }).waitFor();
    await shown('100 %');
    await page.keyboard.press('+');
    await shown('125 %');
    assert.equal(Math.round((await size()).width), Math.round(natural.width * 1.25));
    await page.keyboard.press('-');
    await page.keyboard.press('-');
    await shown('80 %');
    await page.keyboard.press('0');
    await page.getByRole('button', { name: 'Fit', pressed: true }).waitFor();
    assert.ok(holds(await boxOf(page.locator('.picture')), await size()));
    await page.getByRole('button', { name: '100 %', exact: true }).click();
    await shown('100 %');
    await page.locator('.picture').hover();
    await page.keyboard.down('Control');
    await page.mouse.wheel(0, -400);
    await page.keyboard.up('Control');
    await shown('182 %');
    assert.equal(await page.evaluate('visualViewport.scale'), 1);
    await page.getByRole('button', { name: 'Smaller' }).click();
    await page.getByRole('button', { name: 'Smaller' }).click();
    await shown('117 %');
    await page.getByRole('button', { name: 'Smaller' }).click();
    await shown('100 %');
    assert.deepEqual(pages.complaints, []);
    await page.close();
  });
});
