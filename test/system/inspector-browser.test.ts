/** The inspector's page in a real browser on a real server: what happens to processes is seen, gone back to, exported and opened. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { after, before, suite, type TestContext, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { launchBrowser, withoutBrowser } from '../inspector/chromium.ts';
import { command, eventually, fixture, launch, Site, serve } from './harness.ts';
import { inspectorOf } from './inspected.ts';

const HERE = ['--inspector', '127.0.0.1:0'];

let browser: Browser;

/** A page, and what the browser complained about. */
async function open(t: TestContext, url: string | URL): Promise<{ page: Page; complaints: string[] }> {
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 }, acceptDownloads: true });
  t.after(() => page.close());
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  await page.goto(String(url));
  return { page, complaints };
}

const child = (page: Page, age: number) =>
  page.locator('[role=treeitem][data-machine=child]:not(.gone)', {
    hasText: new RegExp(`child\\.${age}(?!\\d)`),
  });
const line = (page: Page, text: string | RegExp) => page.locator('#line', { hasText: text }).waitFor();

/** One of Kirin's commands that serves a page by itself, and where. */
async function standAlone(
  t: TestContext,
  name: 'kirin' | 'kirinc',
  args: readonly string[],
): Promise<{ url: string; process: ChildProcess; ended: Promise<number | null> }> {
  const running = spawn(process.execPath, [command(name), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => running.kill('SIGKILL'));
  let text = '';
  for (const stream of [running.stdout, running.stderr])
    stream.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
  const ended = new Promise<number | null>((resolve) => running.once('close', resolve));
  const url = await eventually(`${name} tells where its page is: ${text}`, () => /http:\S+/.exec(text)?.[0]);
  return { url, process: running, ended };
}

suite('the page on a real server', { skip: withoutBrowser }, () => {
  before(async () => {
    browser = await launchBrowser();
  });
  after(() => browser?.close());

  test('a boot, a reload, a death and its replacement are seen; the past is gone back to, exported and opened', async (t) => {
    const site = new Site(t);
    // The second generation waits until it is told to go on, so that its boot can be looked at.
    site.deploy('one');
    const server = await serve(t, site.path('app.mjs'), [...HERE, '--inspector-control', '-w', '2']);
    const [first, second] = await server.settled(2);
    const { page, complaints } = await open(t, await inspectorOf(server));
    await line(page, 'live');
    await child(page, first!.age).locator('text=ready').waitFor();
    await child(page, second!.age).locator('text=ready').waitFor();

    site.deploy(
      'two',
      'app.mjs',
      `import { existsSync } from 'node:fs';\nwhile (!existsSync(${JSON.stringify(site.path('go'))}))\n  await new Promise((resolve) => setTimeout(resolve, 10));`,
    );
    await page.getByRole('button', { name: 'Reload' }).click();
    await child(page, 3).locator('text=starting · booting').waitFor();
    await child(page, 3).click();
    await page.locator('[data-state="child.alive.starting.booting"].lit').waitFor();
    site.write('go', '');
    await page.locator('[data-state="child.alive.ready.fresh"].lit').waitFor();
    await server.settled(2, 2);
    await child(page, first!.age).waitFor({ state: 'detached' });
    await child(page, second!.age).waitFor({ state: 'detached' });
    await page.locator('.order', { hasText: /reload.*done/i }).waitFor();
    await child(page, 4).locator('text=ready').waitFor();
    await page
      .locator('[role=treeitem][data-machine=worker]:not(.gone)', { hasText: 'g2' })
      .first()
      .waitFor();

    const victim = server.ready().find(({ age }) => age === 4)!;
    await page.locator(`[role=treeitem][data-machine=worker][data-pid="${victim.pid}"]`).click();
    await page.locator('[data-state="worker.alive.booted.serving"].lit').waitFor();
    process.kill(victim.pid, 'SIGKILL');
    await child(page, 4).waitFor({ state: 'detached' });
    await page.locator('.ended-line', { hasText: 'by SIGKILL' }).waitFor();
    await child(page, 5).locator('text=ready').waitFor();
    await page.getByRole('button', { name: /Show who took slot/ }).click();
    await page.locator('#machine-title', { hasText: 'worker 5' }).waitFor();

    // Back to the moment at which the second generation booted, while the present goes on.
    await page.keyboard.press('3');
    await page.locator('#find').fill('worker 3 (pid');
    await page.keyboard.press('Enter');
    const found = page.locator('.seq-row[aria-selected=true]', { hasText: 'worker 3 (pid' });
    await found.click();
    await line(page, 'paused');
    await child(page, first!.age).locator('text=ready').waitFor();
    await child(page, 3).locator('text=starting').waitFor();
    assert.equal(await child(page, 5).count(), 0);

    await page.keyboard.press('Escape');
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Export' }).click();
    const file = await (await download).path();
    assert.deepEqual(complaints, []);

    const { url, process: shown, ended } = await standAlone(t, 'kirin', ['inspect', '--listen', '0', file]);
    const recorded = await open(t, url);
    await line(recorded.page, 'recording');
    await child(recorded.page, 5).locator('text=ready').waitFor();
    await recorded.page.locator('#scrub').focus();
    await recorded.page.keyboard.press('Home');
    await child(recorded.page, 5).waitFor({ state: 'detached' });
    assert.deepEqual(recorded.complaints, []);
    shown.kill('SIGINT');
    assert.equal(await ended, 0);
  });

  test('a reload to an app that throws is shown as failed, with what it threw', async (t) => {
    const site = new Site(t);
    site.deploy('one');
    const server = await serve(t, site.path('app.mjs'), [...HERE, '--inspector-control', '-w', '1']);
    const [first] = await server.settled(1);
    const { page, complaints } = await open(t, await inspectorOf(server));
    await child(page, first!.age).locator('text=ready').waitFor();
    site.write('app.mjs', "throw new Error('boom on purpose');\n");
    await page.getByRole('button', { name: 'Reload' }).click();
    await page.locator('.order.tone-failed', { hasText: /reload.*boom on purpose/s }).waitFor();
    assert.equal(await page.locator('.order', { hasText: 'done' }).count(), 0);
    await child(page, first!.age).locator('text=ready').waitFor();
    assert.deepEqual(complaints, []);
  });

  test('a server without an inspector is watched through its control socket; who has no token gets nowhere', async (t) => {
    const site = new Site(t);
    const server = await serve(t, fixture('app.mjs'), ['-w', '1'], { control: true, cwd: site.directory });
    await server.told(/^control socket at /);
    const socket = ['-s', site.path('kirin.ctl')];
    const {
      url,
      process: shell,
      ended,
    } = await standAlone(t, 'kirinc', [...socket, 'inspect', '0', '--control']);
    assert.equal((await fetch(new URL('/recording.jsonl', url))).status, 401);
    const { page } = await open(t, url);
    await line(page, 'live');
    await child(page, 1).locator('text=ready').waitFor();
    await page.getByRole('button', { name: '+ worker' }).click();
    await child(page, 2).locator('text=ready').waitFor();
    await server.settled(2);
    // A second page gets the same, from the past that the first one has seen.
    const other = await open(t, url);
    await child(other.page, 2).locator('text=ready').waitFor();
    // The server goes and comes back: the page says so, and goes on.
    await server.stop();
    await line(page, /stopped|lost|Connection|again/);
    const next = launch(t, fixture('app.mjs'), ['-w', '1'], { control: true, cwd: site.directory });
    await next.told(/^control socket at /);
    await line(page, 'live');
    await child(page, 1).locator('text=ready').waitFor();
    await child(page, 2).waitFor({ state: 'detached' });
    shell.kill('SIGINT');
    assert.equal(await ended, 0);
  });

  test('what was recorded until a kill -9 is opened afterwards', async (t) => {
    const site = new Site(t);
    const file = site.path('flight.jsonl');
    const server = await serve(t, fixture('app.mjs'), ['-w', '2', '--inspector-record', file]);
    await server.told(/^recording what happens/);
    const [worker] = await server.settled(2);
    process.kill(worker!.pid, 'SIGKILL');
    await server.settled(2);
    await eventually('it is on the disk', () => site.read('flight.jsonl').includes('worker 3 (pid'));
    server.signal('SIGKILL');
    await server.exit();
    const { url } = await standAlone(t, 'kirin', ['inspect', '--listen', '0', file]);
    const { page, complaints } = await open(t, url);
    await line(page, 'recording flight.jsonl');
    await child(page, 3).waitFor();
    assert.equal(await page.locator('.controls').count(), 0);
    assert.deepEqual(complaints, []);
  });
});
