/** What becomes of the recordings of earlier servers: real files. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeRoom, ORDERLY_END } from '../../src/actors/inspect/recording-names.ts';
import { temporaryDirectory } from './support.ts';

const HELLO = '{"type":"hello","protocol":1}\n';

test('what ended in good order becomes the older file', (t) => {
  const file = join(temporaryDirectory(t), 'r.jsonl');
  assert.equal(makeRoom(file), undefined);
  writeFileSync(file, `${HELLO}${ORDERLY_END}\n`);
  assert.equal(makeRoom(file), undefined);
  assert.equal(existsSync(file), false);
  assert.equal(readFileSync(`${file}.1`, 'utf8'), `${HELLO}${ORDERLY_END}\n`);
});

test('what ended without a word is kept with its older part, the last three times', (t) => {
  const directory = temporaryDirectory(t);
  const file = join(directory, 'r.jsonl');
  const kept: string[] = [];
  for (let crash = 1; crash <= 5; crash++) {
    writeFileSync(file, `${HELLO}{"type":"records","crash":${crash}`);
    writeFileSync(`${file}.1`, `older ${crash}`);
    utimesSync(file, crash * 1000, crash * 1000);
    kept.push(makeRoom(file)!);
  }
  const left = readdirSync(directory).sort();
  assert.equal(left.length, 6);
  for (const [at, name] of kept.entries()) {
    assert.match(name, /r\.jsonl\.crash-19700101T\d{6}$/);
    assert.equal(existsSync(name), at >= 2);
    if (at >= 2) assert.equal(readFileSync(`${name}.1`, 'utf8'), `older ${at + 1}`);
  }
});

test('two that ended in the same second are both kept', (t) => {
  const file = join(temporaryDirectory(t), 'r.jsonl');
  const names = [1, 2].map(() => {
    writeFileSync(file, HELLO);
    utimesSync(file, 1000, 1000);
    return makeRoom(file)!;
  });
  assert.equal(new Set(names).size, 2);
  for (const name of names) assert.equal(readFileSync(name, 'utf8'), HELLO);
});

test('a file that is no recording is left as it is', (t) => {
  const file = join(temporaryDirectory(t), 'notes.txt');
  writeFileSync(file, 'my notes');
  assert.throws(() => makeRoom(file), /it is there and is no recording/);
  assert.equal(readFileSync(file, 'utf8'), 'my notes');
});
