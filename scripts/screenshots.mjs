// Makes the pictures of the inspector in docs/images, which README shows: a real server with 3 web and 2 dirty workers in the middle of
// a reload, light and dark. `node --import tsx scripts/screenshots.mjs`, by hand, where Chromium is (test/inspector/chromium.ts says where).
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { launchBrowser } from '../test/inspector/chromium.ts';

const IMAGES = 'docs/images';
const BYTES_MAX = 200 * 1024;
/** So long a request is held, and so its worker drains; long enough for both pictures. */
const HELD_MS = 6000;
const APP = `
import { setTimeout } from 'node:timers/promises';
export default async (req, res) => {
  if (req.url === '/held') await setTimeout(${HELD_MS});
  res.end('Hello');
};`;
const DIRTY = `
import { DirtyApp } from 'kirin';
export class Model extends DirtyApp {
  answer() { return 42; }
}`;

const site = mkdtempSync(join(realpathSync(tmpdir()), 'kirin-'));
mkdirSync(join(site, 'node_modules'));
symlinkSync(resolve('.'), join(site, 'node_modules/kirin'));
writeFileSync(join(site, 'app.js'), APP);
writeFileSync(join(site, 'model.js'), DIRTY);
writeFileSync(join(site, 'package.json'), '{"type":"module"}');

const args = ['-w', '3', '-b', '127.0.0.1:0', '--inspector', '127.0.0.1:0', '--inspector-control'];
const dirty = ['--dirty-workers', '2', '--dirty-app', './model.js:Model'];
const kirin = resolve('dist/kirin.js');
const server = spawn(process.execPath, [kirin, ...args, ...dirty, '--no-control-socket', 'app.js'], {
  cwd: site,
  stdio: ['ignore', 'ignore', 'pipe'],
});
let log = '';
server.stderr.setEncoding('utf8').on('data', (text) => {
  log += text;
});

async function told(pattern) {
  for (const until = Date.now() + 30_000; Date.now() < until; await sleep(20)) {
    const found = pattern.exec(log);
    if (found) return found[1];
  }
  throw new Error(`${pattern} was not told:\n${log}`);
}

/** Some requests, so that figures move, and some that are held; errors are no matter. */
const request = (address, path) =>
  get(`http://${address}${path}`, { agent: false }, (answer) => answer.resume()).on('error', () => {});

const browser = await launchBrowser();
try {
  const [address, inspector] = await Promise.all([told(/bound (\S+)/), told(/inspector at (\S+)/)]);
  await told(/(dirty workers are ready)/);
  await told(/(worker 3 \(pid \d+\) is ready)/);
  const page = await browser.newPage({ viewport: { width: 1240, height: 700 }, colorScheme: 'light' });
  await page.goto(inspector);
  await page.locator('#line', { hasText: 'live' }).waitFor();
  for (let count = 0; count < 200; count++) request(address, '/');
  for (let count = 0; count < 60; count++) request(address, '/held');
  await page.getByRole('button', { name: 'Reload' }).click();
  const draining = page.locator('[role=treeitem][data-machine=child]:not(.gone)', { hasText: 'draining' });
  await draining.first().click();
  await page.locator('[data-state="child.alive.draining"].lit').waitFor();
  await page.keyboard.press(' ');
  await page.locator('#line', { hasText: 'paused' }).waitFor();
  await page.mouse.move(700, 20);
  for (const colorScheme of ['light', 'dark']) {
    const path = join(IMAGES, `inspector-${colorScheme}.png`);
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path });
    const { size } = statSync(path);
    console.log(`${path}: ${size} bytes`);
    if (size > BYTES_MAX) throw new Error(`${path} is larger than ${BYTES_MAX} bytes`);
  }
} finally {
  await browser.close();
  server.kill('SIGQUIT');
  rmSync(site, { recursive: true, force: true });
}
