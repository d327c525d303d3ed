/** The scripts of a start: what they see, and what is kept of them for later starts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openStages } from '../../src/stages/stages.ts';
import { temporaryDirectory } from './support.ts';

const FILES = { first: 'first-1.cjs', second: 'second-1.cjs' };
const AGAIN = fileURLToPath(new URL('../fixtures/stages-again.ts', import.meta.url));
const asStage = (code: string) =>
  `(function (module, require, kirinImport, kirinUrl) { "use strict";\n${code}\n})\n`;

/** A directory as the build makes it. */
function built(t: TestContext): string {
  const place = temporaryDirectory(t);
  mkdirSync(join(place, 'chunks'));
  const chunk = (name: string, text: string) => writeFileSync(join(place, 'chunks', name), text);
  chunk(FILES.first, asStage(`module.exports = { once: {}, twice: (n) => n * 2 };`));
  chunk(
    FILES.second,
    asStage(`const { twice, once } = require('./first.js');
      module.exports = { four: twice(2), once, url: kirinUrl, base: require('node:path').basename('/a/b'), late: () => kirinImport('./late.mjs') };`),
  );
  chunk('late.mjs', 'export const late = 1;');
  return place;
}

const open = (place: string) =>
  openStages(place, FILES, createRequire(import.meta.url), (specifier) => import(specifier));

/** What is kept, by name. */
function kept(place: string): Record<string, number> {
  const cache = join(place, 'cache');
  return Object.fromEntries(readdirSync(cache).map((name) => [name, statSync(join(cache, name)).ino]));
}

/** As a disk may leave it, of the same length. */
const damaged = (bytes: Buffer): Buffer => bytes.fill(0, bytes.length - 64, bytes.length - 32);

const onlyKept = (place: string): string => {
  const [name] = readdirSync(join(place, 'cache')).filter((one) => one.startsWith(FILES.first));
  return join(place, 'cache', name!);
};

test('a stage sees those before it, Node.js, and files beside it; it is evaluated once', async (t) => {
  const place = built(t);
  const stage = open(place);
  const { four, once, url, base, late } = stage('second') as Record<string, unknown>;
  assert.deepEqual([four, base], [4, 'b']);
  assert.equal(once, stage('first')['once']);
  assert.match(String(url), /^file:\/\/.*\/stage\.js$/);
  assert.equal(((await (late as () => Promise<unknown>)()) as { late: number }).late, 1);
});

test('what V8 has made is kept, for the owner alone to write, and used: it is not made again', async (t) => {
  const place = built(t);
  const stage = open(place);
  stage('second');
  await stage.keep();
  const before = kept(place);
  assert.equal(Object.keys(before).length, 2);
  for (const name of Object.keys(before)) {
    assert.match(name, /^(first|second)-1\.cjs-v\d+\./);
    assert.equal(statSync(join(place, 'cache', name)).mode & 0o022, 0);
  }
  const again = open(place);
  assert.equal(again('second')['four'], 4);
  await again.keep();
  assert.deepEqual(kept(place), before);
});

for (const [what, spoil] of [
  ['that others may write', (path: string) => chmodSync(path, 0o666)],
  ['that was cut off', (path: string) => truncateSync(path, statSync(path).size / 2)],
  ['that is damaged', (path: string) => writeFileSync(path, damaged(readFileSync(path)))],
  ['that is empty', (path: string) => truncateSync(path, 0)],
  ['that is something else', (path: string) => writeFileSync(path, 'no code at all '.repeat(99))],
] as const)
  test(`kept code ${what} is not used, and made anew`, async (t) => {
    const place = built(t);
    const stage = open(place);
    stage('first');
    await stage.keep();
    const path = onlyKept(place);
    spoil(path);
    const { ino } = statSync(path);
    // In a process of its own: V8 remembers what it has compiled.
    const said = execFileSync(process.execPath, ['--import', 'tsx', AGAIN, place, FILES.first]);
    assert.equal(String(said), '6\n');
    assert.notEqual(statSync(path).ino, ino);
    assert.deepEqual(readdirSync(join(place, 'cache')), [path.slice(join(place, 'cache').length + 1)]);
  });

test('nothing is kept where Node.js is told so, nor where it cannot be', async (t) => {
  const place = built(t);
  process.env['NODE_DISABLE_COMPILE_CACHE'] = '1';
  t.after(() => delete process.env['NODE_DISABLE_COMPILE_CACHE']);
  const stage = open(place);
  stage('first');
  await stage.keep();
  assert.deepEqual(readdirSync(place), ['chunks']);
  delete process.env['NODE_DISABLE_COMPILE_CACHE'];
  writeFileSync(join(place, 'cache'), '');
  await stage.keep();
  assert.equal(readFileSync(join(place, 'cache'), 'utf8'), '');
});

test('what other versions left is bounded', async (t) => {
  const place = built(t);
  mkdirSync(join(place, 'cache'));
  for (let at = 0; at < 40; at++) writeFileSync(join(place, 'cache', `old-${at}`), '');
  const stage = open(place);
  stage('first');
  await stage.keep();
  assert.equal(readdirSync(join(place, 'cache')).length, 1);
});
