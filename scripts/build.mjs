// Bundles one file per entry point and stage of its start (which halves it), writes the types of
// what an app may import, and gathers the licences of what was bundled. `node scripts/build.mjs [DIRECTORY]` builds
// into a directory of its own (default dist) below this one, so that `node_modules` is found from there.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { build } from 'esbuild';
import { buildInspector } from './build-inspector.mjs';
import { buildShell } from './build-shell.mjs';
import { firstStart } from './first-start.mjs';
import { joinStages } from './join-stages.mjs';

/** Left out of the bundles: loaded lazily, only by those who need them. */
const external = ['jiti', '@hono/node-server'];

const outdir = process.argv[2] ?? 'dist';
rmSync(outdir, { recursive: true, force: true });
mkdirSync(outdir, { recursive: true });

/**
 * Each group is bundled by itself: what groups have in common is in each of them, since it would be many small files else, and
 * each file that is read costs a start half a millisecond of the processor. What an app imports is in one group with the dirty
 * workers, whose errors are instances of the classes that it knows.
 */
const groups = [
  { kirin: 'src/cli/kirin.ts' },
  { worker: 'src/actors/entry/worker.ts' },
  { 'dirty-arbiter': 'src/actors/entry/dirty-arbiter.ts' },
  { 'log-transport': 'src/actors/entry/log-transport.ts' },
  { 'inspector-thread': 'src/actors/entry/inspector-thread.ts' },
  {
    index: 'src/index.ts',
    'dirty-worker': 'src/actors/entry/dirty-worker.ts',
    'dirty-inspect': 'src/actors/entry/dirty-inspect.ts',
    copies: 'src/actors/entry/copies.ts',
    hooks: 'src/actors/entry/hooks.ts',
    'hang-thread': 'src/actors/entry/hang-thread.ts',
    config: 'src/settings/config-entry.ts',
  },
];
/** Those of which what is read at the start is joined. */
const STAGED = ['kirin', 'worker'];
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const common = {
  outdir,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  external,
  metafile: true,
  legalComments: 'none',
  logLevel: 'warning',
  define: { 'process.env.NODE_ENV': '"production"', KIRIN_VERSION: JSON.stringify(version) },
  // CommonJS dependencies in an ES module bundle call require() for Node's own modules.
  banner: {
    js: "import { createRequire as kirinCreateRequire } from 'node:module'; const require = kirinCreateRequire(import.meta.url);",
  },
};
const server = await Promise.all(
  groups.map((entryPoints) => {
    const [first] = Object.keys(entryPoints);
    // What is lazy in the arbiter and in workers is theirs alone: it takes what it shares from their stages.
    const own = STAGED.includes(first) ? { chunkNames: `chunks/${first}-[name]-[hash]` } : {};
    return build({ ...common, ...own, entryPoints });
  }),
);
/** What of the table of settings is needed before all else, as data. */
async function plainOptions() {
  const { outputFiles } = await build({
    ...common,
    write: false,
    metafile: false,
    banner: {},
    splitting: false,
    entryPoints: ['src/stages/option-table.ts'],
  });
  const made = await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);
  return made.PLAIN_OPTIONS;
}
/** The output that was made of a source. */
const outputOf = (source, { outputs }) =>
  relative(
    outdir,
    Object.keys(outputs).find((path) => outputs[path].entryPoint === source),
  );
const [arbiter, worker] = server;
const staged = [
  await joinStages(outdir, arbiter.metafile, {
    kirin: 'kirin.js',
    'arbiter-process': outputOf('src/actors/arbiter-process.ts', arbiter.metafile),
  }),
  await joinStages(outdir, worker.metafile, { worker: 'worker.js' }),
];
for (const file of staged.flatMap(({ left }) => left)) rmSync(join(outdir, file), { force: true });
// What the two begin with.
await build({
  ...common,
  splitting: false,
  format: 'cjs',
  banner: {},
  outExtension: { '.js': '.cjs' },
  define: {
    ...common.define,
    // Of use only where groups are joined, and then nothing is guessed.
    'import.meta.url': 'undefined',
    KIRIN_PLAIN_OPTIONS: JSON.stringify(await plainOptions()),
    KIRIN_STAGE_FILES: JSON.stringify(Object.assign({}, ...staged.map(({ scripts }) => scripts))),
  },
  // Read and compiled at each start, before all else.
  minify: true,
  entryPoints: { kirin: 'src/stages/kirin.ts', worker: 'src/stages/worker.ts' },
});
// Under the name that one would look for; as the command itself it would begin with the loader of ES modules.
writeFileSync(join(outdir, 'kirin.js'), "#!/usr/bin/env node\nimport './kirin.cjs';\n");
// Loaded by Node.js itself before anything else, as it is.
copyFileSync('src/actors/entry/join-groups.cjs', join(outdir, 'join-groups.cjs'));
// Apart from the server: the shell must read no more code than it runs.
const shell = await buildShell(common);
const inspector = await buildInspector(outdir);
for (const command of ['kirin.cjs', 'kirin.js', 'kirinc.js']) chmodSync(join(outdir, command), 0o755);

const packages = new Set();
for (const input of [...server, ...shell, inspector].flatMap(({ metafile }) =>
  Object.keys(metafile.inputs),
)) {
  const found = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input);
  if (found) packages.add(found[1]);
}
const licences = [...packages].sort().map((folder) => {
  const about = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
  const text = file ? readFileSync(join(folder, file), 'utf8').trim() : `Licence: ${about.license}`;
  return `${about.name} ${about.version}\n\n${text}\n`;
});
writeFileSync(join(outdir, 'THIRD-PARTY-LICENSES.txt'), licences.join(`\n${'-'.repeat(80)}\n\n`));

const tsc = join(dirname(new URL(import.meta.url).pathname), '..', 'node_modules', '.bin', 'tsc');
if (existsSync(tsc)) {
  const types = spawnSync(tsc, ['-p', 'tsconfig.types.json', '--outDir', join(outdir, 'types')], {
    stdio: 'inherit',
  });
  if (types.status !== 0) process.exit(types.status ?? 1);
}
await firstStart(outdir);
