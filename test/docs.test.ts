/** The documents are true of what is there: their links lead somewhere, and the options they name exist. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { settingList } from '../src/settings/table.ts';
import { command } from './system/harness.ts';

const markdownIn = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name));
const PAGES = markdownIn('docs');
const DOCUMENTS = [...markdownIn('.'), ...PAGES, ...['bench', 'diagrams', 'examples'].flatMap(markdownIn)];
const read = (path: string): string => readFileSync(path, 'utf8');

const HELPS = [
  [command('kirin'), '--help'],
  [command('kirin'), 'inspect', '--help'],
  [command('kirinc'), '--help'],
];
/** `--wait` belongs to commands of kirinc, whose help a running server tells. */
const OPTIONS = new Set([
  ...settingList.flatMap(({ flag, aliases = [] }) => [flag, ...aliases]).map((name) => `--${name}`),
  ...HELPS.flatMap(flagsOfHelp),
  '--wait',
]);
/** Options of Node.js, which some settings hand on; one of V8's is in no list. */
const OF_NODE = new Set([...process.allowedNodeEnvironmentFlags, ...flagsOfHelp(['--help']), '--stack-size']);

function flagsOfHelp(args: readonly string[]): string[] {
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return flagsIn(stdout);
}

function flagsIn(text: string): string[] {
  return [...text.matchAll(/(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]/g)].map(([flag]) => flag);
}

const FENCE = /^ *```[^\n]*\n([\s\S]*?)^ *```/gm;
/** From the name of a command to the end of what is its own: the app's arguments, a comment or another command follow. */
const COMMAND = /(?:^|[\s/`"'(=])kirinc?(?=\s)((?!\s--\s|\s#|&&|\|).)*/g;

/** Options that a text takes for Kirin's and that do not exist: of a command line, or by themselves in a code span. */
function unknownFlagsIn(text: string): string[] {
  const blocks = [...text.matchAll(FENCE)].map(([, block = '']) => block.replace(/\\\n/g, ' '));
  const spans = [...text.replace(FENCE, '').matchAll(/`([^`]+)`/g)].map(([, span = '']) => span);
  const commands = [...blocks, ...spans].flatMap((code) => [...code.matchAll(COMMAND)].map(([line]) => line));
  const alone = spans.filter((span) => span.startsWith('--'));
  return [
    ...commands.flatMap(flagsIn).filter((flag) => !OPTIONS.has(flag)),
    ...alone.flatMap(flagsIn).filter((flag) => !OPTIONS.has(flag) && !OF_NODE.has(flag)),
  ];
}

/** What GitHub makes of a heading, for a link to it. */
const anchorOf = (heading: string): string =>
  heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');

const anchorsIn = (path: string): string[] =>
  [
    ...read(path)
      .replace(FENCE, '')
      .matchAll(/^#+ (.+)$/gm),
  ].map(([, heading = '']) => anchorOf(heading));

/** What is wrong with a link, if anything. */
function faultOfLink(from: string, target: string): string | undefined {
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? from : join(dirname(from), path);
  if (!existsSync(file)) return `there is no ${file}`;
  if (anchor === undefined || statSync(file).isDirectory() || !file.endsWith('.md')) return undefined;
  return anchorsIn(file).includes(anchor) ? undefined : `${file} has no heading #${anchor}`;
}

const linksIn = (text: string): string[] =>
  [...text.replace(FENCE, '').matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target));

describe('the documents', () => {
  test('have links that lead somewhere', () => {
    const faults = DOCUMENTS.flatMap((path) =>
      linksIn(read(path)).flatMap((target) => {
        const fault = faultOfLink(path, target);
        return fault === undefined ? [] : [`${path}: (${target}): ${fault}`];
      }),
    );
    assert.deepEqual(faults, []);
  });

  test('name no option that does not exist', () => {
    const faults = ['README.md', ...PAGES].flatMap((path) =>
      unknownFlagsIn(read(path)).map((flag) => `${path}: ${flag}`),
    );
    assert.deepEqual(faults, []);
  });

  test('are all reached from the README', () => {
    const reached = new Set(['README.md']);
    for (const path of reached)
      if (path.endsWith('.md'))
        for (const target of linksIn(read(path)))
          reached.add(join(dirname(path), target.split('#')[0] || '.'));
    for (const path of PAGES) assert.ok(reached.has(path), `no link leads from README.md to ${path}`);
  });
});

describe('the checks themselves', () => {
  test('find a link that leads nowhere, and a heading that is not there', () => {
    assert.deepEqual(linksIn('see [a](b.md#c), [d](https://e), [f](#g)'), ['b.md#c', '#g']);
    assert.match(faultOfLink('docs/logs.md', 'nowhere.md') ?? '', /there is no docs\/nowhere\.md/);
    assert.match(faultOfLink('docs/logs.md', 'logs.md#nowhere') ?? '', /no heading #nowhere/);
    assert.equal(faultOfLink('docs/logs.md', '../README.md#try-it'), undefined);
  });

  test('find options of commands and by themselves, and leave those of others alone', () => {
    const wrong = '`--frobnicate N`\n\n```sh\nnpx kirin --bind 80 \\\n  --wrong app.js -- --its-own\n```\n';
    assert.deepEqual(unknownFlagsIn(wrong), ['--wrong', '--frobnicate']);
    assert.deepEqual(unknownFlagsIn('`kirinc -c "reload --wiat"`, `kirin --watch app.js`'), [
      '--wiat',
      '--watch',
    ]);
    const right =
      '`--bind`, `--watch` of Node.js, `pm2 start --name x`\n\n```sh\nkirin app.js # --x\nls --all | kirinc\n```\n';
    assert.deepEqual(unknownFlagsIn(right), []);
  });
});
