/** The inspector's page in a real browser, against a small server of its protocol. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import type { Page } from 'playwright-core';
import { eventually } from '../system/harness.ts';
import { childRow, Pages } from './pages.ts';
import { child, fleet, hello, pidOf, Story } from './story.ts';

suite("the inspector's page", { skip: Pages.without }, () => {
  const pages = new Pages();
  const { server } = pages;
  const open = async (begin?: () => readonly object[]): Promise<{ page: Page; complaints: string[] }> => {
    const page = await pages.open(begin);
    return { page, complaints: pages.complaints };
  };

  test('the tree shows processes and states as they change; the picture lights them', async () => {
    const { page, complaints } = await open();
    await childRow(page, 3).locator('text=ready · fresh').waitFor();
    await page.locator(`[role=treeitem][data-machine=worker][data-pid="${pidOf(3)}"]`).waitFor();
    server.say(pages.story.records([...pages.story.hire(4), ...pages.story.boot(4)]));
    await childRow(page, 4).locator('text=starting · booting').waitFor();
    await childRow(page, 4).click();
    await page.locator('[data-state="child.alive.starting.booting"].lit').waitFor();
    server.say(pages.story.records(pages.story.ready(4)));
    await page.locator('[data-state="child.alive.ready.fresh"].lit').waitFor();
    await page.locator('.edge.flash[data-event~="worker.ready"][data-target="child.alive.ready"]').waitFor();
    assert.equal(await page.locator('[data-state="child.alive.starting.booting"].lit').count(), 0);
    await page.locator('#machine-state', { hasText: 'ready' }).waitFor();
    await page.locator('.last', { hasText: 'child.ready' }).waitFor();
    server.say(pages.story.records([...pages.story.drain(2), ...pages.story.end(2)]));
    await childRow(page, 2).waitFor({ state: 'detached' });
    assert.deepEqual(complaints, []);
    await page.close();
  });

  test('the tree is worked by keyboard', async () => {
    const { page } = await open();
    await page.locator('[role=treeitem][tabindex="0"]').focus();
    const focused = page.locator('[role=treeitem]:focus');
    await page.keyboard.press('Home');
    await page.locator('[role=treeitem]:focus', { hasText: 'arbiter' }).waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    assert.match((await focused.textContent())!, /child\.1/);
    assert.equal(await focused.getAttribute('aria-expanded'), 'true');
    await page.keyboard.press('ArrowLeft');
    assert.equal(await focused.getAttribute('aria-expanded'), 'false');
    await page.keyboard.press('ArrowLeft');
    assert.match((await focused.textContent())!, /pool/);
    assert.equal(await page.locator('[role=treeitem][tabindex="0"]').count(), 1);
    await page.keyboard.press('Enter');
    await page.locator('#machine-title', { hasText: 'pool' }).waitFor();
    await page.keyboard.press('?');
    await page.locator('dialog[open]', { hasText: 'Keys' }).waitFor();
    await page.keyboard.press('Escape');
    await page.locator('dialog[open]').waitFor({ state: 'detached' });
    await page.close();
  });

  test('the tree has machines alone until all actors are asked for, and figures in columns', async () => {
    const { page } = await open();
    await page.setViewportSize({ width: 1280, height: 800 });
    pages.story.at += 1000;
    server.say(
      pages.story.records([
        ...pages.story.dirty(),
        { ...pages.story.beat(1, 1), at: pages.story.at + 150_000 } as never,
      ]),
    );
    const deepest = page.locator('[role=treeitem][aria-level="8"]', { hasText: 'dirty worker 1' });
    await deepest.waitFor();
    // Nothing of a state is cut, eight levels deep.
    const cut =
      '[...document.querySelectorAll(".row .state")].filter((e) => e.scrollWidth > e.clientWidth).length';
    assert.equal(await page.evaluate(cut), 0);
    const edge = async (name: string, of = page.locator('.tree-head')) => {
      const box = (await of.locator(`.fact-${name}`).boundingBox())!;
      return Math.round(box.x + box.width);
    };
    for (const name of ['pid', 'age', 'since', 'generation']) {
      const heading = await edge(name);
      for (const row of [deepest, page.locator(`[data-machine=worker][data-pid="${pidOf(2)}"]`)])
        assert.equal(await edge(name, row), heading, name);
    }
    assert.match((await deepest.textContent())!, /pid 6001.*age 1.*since 2m.*generation g1/);
    // What was there when the watch began has lived longer.
    assert.match((await page.locator('[role=treeitem][data-machine=arbiter]').textContent())!, /since >2m/);

    assert.equal(await page.locator('.row.bare').count(), 0);
    await page.getByRole('button', { name: 'plain actors' }).click();
    await page.locator('.row.bare', { hasText: 'signals' }).waitFor();
    await page.keyboard.press('a');
    await page.locator('.row.bare').first().waitFor({ state: 'detached' });
    await page.close();
  });

  test('the past is shown as it was, while the present goes on, and live is the way back', async () => {
    const { page } = await open();
    server.say(pages.story.records([...pages.story.drain(1)]));
    await childRow(page, 1).locator('text=draining').waitFor();
    await page.locator('#pause').click();
    await page.locator('#line', { hasText: 'paused' }).waitFor();
    server.say(pages.story.records([...pages.story.end(1), ...pages.story.hire(9)]));
    await page.locator('#scrub').focus();
    await page.keyboard.press('Home');
    await page.locator('.tree', { hasText: 'Nothing is known yet' }).waitFor();
    assert.equal(await page.locator('[role=treeitem]').count(), 0);
    // The scrubber knows of what has come since when the page is drawn anew.
    await eventually('the end is shown', async () => {
      await page.keyboard.press('End');
      return await childRow(page, 9).count();
    });
    for (let count = 0; count < 6; count++) await page.keyboard.press('ArrowLeft');
    await childRow(page, 1).locator('text=draining').waitFor();
    assert.equal(await childRow(page, 9).count(), 0);
    await page.locator('#pause').click();
    await page.locator('#line', { hasText: 'live' }).waitFor();
    await childRow(page, 9).waitFor();
    await page.close();
  });

  test('the sequence is filtered and searched; what is chosen there is shown at its time', async () => {
    const { page } = await open();
    await page.keyboard.press('3');
    await page.locator('.seq-row', { hasText: 'child.ready' }).first().waitFor();
    await page.locator('#filter').fill('child.ready');
    await page.locator('#seq-count', { hasText: '3 shown' }).waitFor();
    await page.locator('.seq-row').nth(1).click();
    await page.locator('#line', { hasText: 'paused' }).waitFor();
    await page.locator('.detail', { hasText: 'child.ready' }).waitFor();
    await page.locator('[role=treeitem][aria-selected=true]', { hasText: 'pool' }).waitFor();
    await childRow(page, 2).locator('text=ready').waitFor();
    assert.equal(await childRow(page, 3).count(), 0);
    await page.locator('#filter').fill('');
    await page.locator('#find').fill('worker 3 is ready');
    await page.keyboard.press('Enter');
    await page.locator('.seq-row[aria-selected=true]', { hasText: 'worker 3 is ready' }).waitFor();
    await page.keyboard.press('Enter');
    await page.locator('.order', { hasText: 'No further match' }).waitFor();
    await page.close();
  });

  test('what goes from one process to another is one arrow, from lifeline to lifeline; one to itself is a loop', async () => {
    const { page, complaints } = await open();
    await page.keyboard.press('3');
    await page.locator('#filter').fill('worker.ready');
    await page.locator('#seq-count', { hasText: '3 shown' }).waitFor();
    const lane = async (name: string, process: string) => {
      const box = (await page.locator(`.lane-title[title="${process} / ${name}"]`).boundingBox())!;
      return box.x + box.width / 2;
    };
    const [from, to] = [await lane('worker', 'worker 2'), await lane('child.2', 'arbiter')];
    const arrow = (await page.locator('.arrow.across').nth(1).boundingBox())!;
    assert.ok(Math.abs(arrow.x - to) < 4 && Math.abs(arrow.x + arrow.width - from) < 4);
    assert.equal(await page.locator('.arrow').count(), 3);
    assert.equal(await page.locator('.lane-title', { hasText: /link|process/ }).count(), 0);
    await page.locator('.seq-row').nth(1).click();
    await page.locator('.detail', { hasText: 'between processes' }).waitFor();
    await page.locator('[role=treeitem][aria-selected=true]', { hasText: 'child.2' }).waitFor();
    await page.keyboard.press('l');
    await page.locator('#filter').fill('again');
    server.say(pages.story.records([pages.story.event(child(1), child(1), 'again')]));
    await page.locator('.arrow.loop .tip').waitFor();
    assert.deepEqual(complaints, []);
    await page.close();
  });

  test('tens of thousands of records leave a page of a few rows', async () => {
    const { page, complaints } = await open();
    await page.keyboard.press('3');
    for (let batch = 0; batch < 80; batch++) {
      const records = Array.from({ length: 250 }, () =>
        pages.story.step(1, 'worker.ready', 'alive.starting', { alive: { ready: 'fresh' } }),
      );
      server.say(pages.story.records(records.flat()));
    }
    await page.locator('#seq-count', { hasText: '20,0' }).waitFor();
    assert.ok((await page.locator('.seq-row').count()) < 100);
    server.say(pages.story.records(pages.story.drain(1)));
    await childRow(page, 1).locator('text=draining').waitFor();
    await page.locator('.seq-row', { hasText: 'child.drain' }).waitFor();
    assert.deepEqual(complaints, []);
    await page.close();
  });

  test('the fleet is counted in one picture, and figures are drawn', async () => {
    const { page } = await open();
    await page.keyboard.press('4');
    await page.locator('[data-state="child.alive.ready.fresh"] .count', { hasText: '3' }).waitFor();
    server.say(pages.story.records(pages.story.drain(2)));
    await page.locator('[data-state="child.alive.draining"] .count', { hasText: '1' }).waitFor();
    await page.locator('.fleet-states', { hasText: 'draining' }).waitFor();
    await page.keyboard.press('5');
    server.say(pages.story.records([pages.story.beat(3, 77), pages.story.beat(3, 80)]));
    await page
      .locator(`tr[data-pid="${pidOf(3)}"] polyline`)
      .first()
      .waitFor({ state: 'attached' });
    await page.locator(`tr[data-pid="${pidOf(3)}"]`, { hasText: '80' }).waitFor();
    await page.close();
  });

  test('orders are sent where they are taken, a kill only after a question', async () => {
    const commands = ['worker add', 'worker remove', 'worker kill', 'reload'];
    const { page } = await open(() => [
      hello({ control: true, commands }),
      ...fleet(pages.story, 3).slice(1),
    ]);
    server.heard.length = 0;
    const heard = async (words: string): Promise<number> => {
      for (const until = Date.now() + 20_000; Date.now() < until; ) {
        const found = server.heard.find((one) => one.words.join(' ') === words);
        if (found) return found.id;
        await page.evaluate('new Promise(requestAnimationFrame)');
      }
      throw new Error(`${words} was not heard`);
    };
    await page.getByRole('button', { name: '+ worker' }).click();
    const id = await heard('worker add 1 --wait');
    await page.locator('.order', { hasText: 'pending' }).waitFor();
    server.say({ type: 'answer', id, ok: false, error: 'refused: stopping' });
    await page.locator('.order', { hasText: 'refused: stopping' }).waitFor();
    // What was answered was not always done.
    const ends: [object, RegExp, string][] = [
      [{ success: false, status: 'failed', error: 'app.mjs: boom' }, /boom/, 'failed'],
      [{ status: 'superseded' }, /superseded/, 'failed'],
      [{ success: true, status: 'done', reason: 'only 1 fits' }, /only 1 fits/, 'ready'],
    ];
    for (const [data, text, tone] of ends) {
      server.heard.length = 0;
      await page.getByRole('button', { name: 'Reload' }).click();
      server.say({ type: 'answer', id: await heard('reload --wait'), ok: true, data });
      await page.locator(`.order.tone-${tone}`, { hasText: text }).waitFor();
    }
    assert.equal(await page.getByRole('button', { name: '+ dirty' }).count(), 0);
    await childRow(page, 2).click();
    await page.getByRole('button', { name: 'Kill worker 2' }).click();
    await page.locator('dialog[open]').getByRole('button', { name: 'Leave it' }).click();
    await page.getByRole('button', { name: 'Kill worker 2' }).click();
    await page.locator('dialog[open]').getByRole('button', { name: 'Cut it now' }).click();
    await heard(`worker kill ${pidOf(2)} quick`);
    assert.equal(server.heard.filter(({ words }) => words[1] === 'kill').length, 1);
    // What can no longer be answered is not left pending.
    await page.locator('#open').setInputFiles({
      name: 'saved.jsonl',
      mimeType: 'application/x-ndjson',
      buffer: Buffer.from(JSON.stringify(hello())),
    });
    await page.locator('.order', { hasText: 'The connection was lost' }).waitFor();
    await page.close();
  });

  test('who only watches is told how to get buttons', async () => {
    const { page } = await open();
    await page.locator('.hint', { hasText: '--inspector-control' }).waitFor();
    assert.equal(await page.locator('.controls').count(), 0);
    await page.close();
  });

  test('a recording stands at its end, and can be gone through', async () => {
    pages.story = new Story();
    const told = fleet(pages.story, 2).slice(1);
    server.greeting = () => [hello({ source: 'recording', file: 'crash.jsonl' }), ...told];
    const page = await pages.browser.newPage();
    await page.goto(server.url);
    await page.locator('#line', { hasText: 'recording crash.jsonl' }).waitFor();
    await childRow(page, 2).locator('text=ready').waitFor();
    assert.equal(await page.locator('#pause').isDisabled(), true);
    assert.equal(await page.locator('.controls').count(), 0);
    await page.locator('#scrub').focus();
    await page.keyboard.press('Home');
    await page.locator('.tree', { hasText: 'Nothing is known yet' }).waitFor();
    await page.keyboard.press('l');
    await childRow(page, 2).locator('text=ready').waitFor();
    await page.close();
  });

  test('a connection that is lost is tried again; what was lost and why it ended are said', async () => {
    const { page } = await open();
    server.say({ type: 'lost', records: 4312 });
    await page.locator('#line', { hasText: 'lost 4,312 records' }).waitFor();
    server.say({ type: 'bye', reason: 'the server is stopping' });
    await page.locator('#line', { hasText: 'the server is stopping' }).waitFor();
    const next = new Story();
    server.greeting = () => [hello({ pid: 4001 }), next.state(), next.records(next.arbiter()), next.live()];
    server.cut();
    await page.locator('#line', { hasText: 'live' }).waitFor();
    await childRow(page, 1).waitFor({ state: 'detached' });
    await page.close();
  });

  test('what is exported can be opened again', async () => {
    const { page, complaints } = await open();
    const download = page.waitForEvent('download');
    await page.keyboard.press('e');
    const path = await (await download).path();
    const lines = readFileSync(path, 'utf8').trim().split('\n');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).type),
      ['hello', 'state', 'records'],
    );
    await page.locator('#open').setInputFiles({
      name: 'saved.jsonl',
      mimeType: 'application/x-ndjson',
      buffer: readFileSync(path),
    });
    await page.locator('#line', { hasText: 'recording saved.jsonl' }).waitFor();
    await childRow(page, 3).locator('text=ready · fresh').waitFor();
    await page
      .locator('#open')
      .setInputFiles({ name: 'x.txt', mimeType: 'text/plain', buffer: Buffer.from('x') });
    await page.locator('.order', { hasText: 'no recording' }).waitFor();
    await page.getByRole('button', { name: 'Close the file' }).click();
    await page.locator('#line', { hasText: 'live' }).waitFor();
    assert.deepEqual(complaints, []);
    await page.close();
  });

  test("a phone's width holds the whole page, in both themes", async () => {
    const { page } = await open();
    await page.setViewportSize({ width: 360, height: 740 });
    for (const view of ['Tree', 'Machine', 'Sequence', 'Fleet', 'Figures']) {
      await page.getByRole('button', { name: view, exact: true }).click();
      assert.equal(await page.evaluate('document.querySelector(".page").scrollWidth'), 360, view);
    }
    const paper = () => page.evaluate('getComputedStyle(document.body).backgroundColor');
    const light = await paper();
    await page.getByRole('button', { name: 'Orders and tools' }).click();
    for (let count = 0; count < 2; count++) await page.locator('#theme').click();
    assert.notEqual(await paper(), light);
    await page.close();
  });

  test("a user's own machine is listed from its definition, with the line that was taken", async () => {
    const { page, complaints } = await open();
    const definition = {
      id: 'job',
      initial: 'failed',
      states: {
        failed: { id: 'first', on: { go: 'busy' } },
        busy: { after: { 50: 'over' } },
        over: { type: 'final' },
      },
    };
    const [machine] = pages.story.arbiter().filter((record) => record.t === 'actor');
    const id = `${pidOf(1)}/9`;
    const place = { id, pid: pidOf(1), parent: `${pidOf(1)}/1`, root: true };
    const own = { machine: 'job', name: 'job', value: 'failed', user: true, definition };
    server.say(pages.story.records([{ ...(machine as object), ...place, ...own } as never]));
    const worker = page.locator(`[role=treeitem][data-machine=worker][data-pid="${pidOf(1)}"]`);
    await worker.click();
    await worker.press('ArrowRight');
    const row = page.locator('[role=treeitem][data-machine=job]');
    await row.click();
    // A word that is a failure in Kirin's machines says nothing here.
    assert.equal(await row.getAttribute('data-tone'), 'own');
    const first = page.locator('.outline [data-state="first"].lit', { hasText: 'go → busy' });
    await first.waitFor();
    await first.locator('.initial').waitFor();
    assert.equal(await page.locator('.outline [data-state="job.busy"].lit').count(), 0);
    const took = [{ source: 'first', target: ['job.busy'], event: 'go' }];
    const step = {
      t: 'step',
      at: pages.story.at,
      id,
      event: { type: 'go' },
      status: 'active',
      value: 'busy',
      took,
    };
    server.say(pages.story.records([{ ...step, actions: [] } as never]));
    await page.locator('.outline [data-state="job.busy"].lit', { hasText: 'after 50 → over' }).waitFor();
    await page.locator('.outline .taken.flash', { hasText: 'go → busy' }).waitFor();
    assert.deepEqual(complaints, []);
    await page.close();
  });
});
