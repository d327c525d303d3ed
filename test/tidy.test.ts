/** The house rules, enforced: what a linter does not know. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { AnyStateMachine } from 'xstate';
import { MACHINES as BY_NAME } from '../src/cli/diagrams/machines.ts';

const MACHINES: AnyStateMachine[] = Object.values(BY_NAME);
const FILE_LINES_MAX = 420;

const filesUnder = (folder: string, ending: string): string[] =>
  readdirSync(folder, { recursive: true })
    .map((path) => `${folder}/${path}`)
    .filter((path) => path.endsWith(ending));
const sources = filesUnder('src', '.ts');
const read = (path: string): string => readFileSync(path, 'utf8');

test('machines only say: no effects, no time, no chance, no Node', () => {
  const forbidden = [
    /from 'node:/,
    /\bDate\b/,
    /Math\.random/,
    /\bprocess\.(?!spawned|spawnFailed|silent|swelled|linkBroken|exited|signal|ts)\w/,
    /\bset(Timeout|Interval|Immediate)\b/,
    /\bsendParent\b/,
    /\bforwardTo\b/,
    /'\*'/,
    /\blog\(/,
    /console\./,
    /\.\.\/actors/,
  ];
  for (const path of sources.filter((one) => one.startsWith('src/machines/')))
    for (const pattern of forbidden)
      assert.doesNotMatch(read(path).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, ''), pattern, path);
});

test('every machine is known to these rules, and to the diagrams', () => {
  const found = sources
    .filter((path) => path.startsWith('src/machines/'))
    .flatMap((path) => [...read(path).matchAll(/^export const (\w+)Machine = /gm)].map(([, name]) => name));
  const known = Object.keys(BY_NAME).map((name) =>
    name.replace(/-./g, ([, letter]) => letter!.toUpperCase()),
  );
  assert.deepEqual(found.sort(), known.sort());
});

test('every state says what it is', () => {
  const visit = (node: { id: string; description?: string; states: Record<string, unknown> }): void => {
    assert.ok(node.description, `${node.id} has no description`);
    for (const inner of Object.values(node.states)) visit(inner as typeof node);
  };
  for (const machine of MACHINES) visit(machine.root as unknown as Parameters<typeof visit>[0]);
});

test('every name in a chart is a name in the code: nothing is inline', () => {
  const check = (value: unknown, where: string): void => {
    if (typeof value === 'function') assert.fail(`${where} is inline`);
    if (Array.isArray(value))
      for (const [index, inner] of value.entries()) check(inner, `${where}[${index}]`);
    else if (value && typeof value === 'object')
      for (const [key, inner] of Object.entries(value))
        if (key !== 'input' && key !== 'params') check(inner, `${where}.${key}`);
  };
  for (const machine of MACHINES) check(machine.config.states, machine.id);
});

test('every machine has a bound on its iterations', () => {
  for (const machine of MACHINES) assert.ok(Number(machine.options?.maxIterations) > 0, machine.id);
});

test('every source file begins with what it is, and is of one idea', () => {
  for (const path of sources) {
    const text = read(path);
    assert.match(text, /^(#!.*\n)?\/\*\*/, `${path} has no header comment`);
    const lines = text.split('\n').length;
    assert.ok(lines <= FILE_LINES_MAX, `${path} has ${lines} lines: it is more than one idea`);
  }
});

test('files are kebab-case nouns', () => {
  for (const path of [...sources, ...filesUnder('test', '.ts')])
    assert.match(path, /\/[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.ts$/, path);
});

test('the undocumented handle of node:cluster is used in one file', () => {
  const users = sources.filter((path) => /_createServerHandle\(/.test(read(path)));
  assert.equal(users.length, 1, users.join(', '));
});

test('children are signalled in one file, which knows of those that were never started', () => {
  const users = sources.filter((path) => /(child|#process)\??\.kill\([^)]/.test(read(path)));
  assert.deepEqual(
    users.filter((path) => !path.startsWith('src/cli/diagrams/')),
    ['src/actors/child-kill.ts'],
  );
});

test('the wall clock, which may be set, is for people and for files: no limit is measured by it', () => {
  const known: Record<string, string> = {
    'src/actors/clock.ts': 'notices that it was set',
    'src/actors/control/journal.ts': 'the time of a line',
    'src/actors/requests/wall-clock.ts': 'the time of a line',
    'src/actors/metrics/tally.ts': 'when a reload ended, for people',
    'src/actors/log.ts': 'the time of a line',
    'src/actors/syslog/syslog.ts': 'the time of a message',
    'src/actors/inspect/door/stately.ts': 'the time of a record',
    'src/actors/dirty/packing-read.ts': 'a date that an app sent',
    'src/actors/dirty/runtime-call.ts': 'the deadline as the app sees it',
    'src/actors/dirty/shelf-memory.ts': 'the age of a file',
    'src/actors/pidfile.ts': 'the time of a file',
    'src/actors/process-identity.ts': 'reads what ps tells',
  };
  const code = (path: string): string => read(path).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
  const users = sources.filter(
    (path) => path.startsWith('src/actors/') && /\bDate\.(now|parse)\b|\bnew Date\b/.test(code(path)),
  );
  assert.deepEqual(users.sort(), Object.keys(known).sort());
  assert.equal([...code('src/actors/dirty/runtime-call.ts').matchAll(/\bDate\b/g)].length, 1);
});

test('the heavy packages stay where they belong', () => {
  const only: [RegExp, RegExp][] = [
    [/from 'yargs/, /^src\/cli\//],
    [/from 'winston/, /^src\/actors\/(winston-pipe|log-transports\/thread)/],
    [/from '.*winston-pipe/, /^$/],
    [/from 'msgpackr'/, /^$/],
    [/from 'jiti|from '@hono/, /^$/],
  ];
  for (const path of sources)
    for (const [imported, allowed] of only)
      if (imported.test(read(path))) assert.match(path, allowed, `${path} imports ${imported.source}`);
});
