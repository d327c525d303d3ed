// Bundles `kirinc`: one file with all that a single command needs, since every further file costs a look on the disk,
// and beside it the parts that are loaded late. Those take what they share with the first from there.
import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { build } from 'esbuild';

const ENTRY = 'src/cli/kirinc.ts';
/** The module through which the late parts see the first file, and all that it hands on. */
const CORE = resolve('src/cli/kirinc/core.ts');
const SHARED = new Set([
  CORE,
  ...[...readFileSync(CORE, 'utf8').matchAll(/^export \* from '(.*)';$/gm)].map(([, path]) =>
    resolve(dirname(CORE), path),
  ),
]);

/** Takes the options that all bundles have; returns what esbuild tells of both. */
export async function buildShell(common) {
  const late = {};
  const leavesOut = {
    name: 'leave out what is loaded late',
    setup({ onResolve }) {
      onResolve({ filter: /^\.{1,2}\/.*\.ts$/ }, async ({ kind, path, resolveDir }) => {
        if (kind !== 'dynamic-import') return undefined;
        const name = `chunks/kirinc-${basename(path, '.ts')}`;
        late[name] = `${resolveDir}/${path}`;
        return { path: `./${name}.js`, external: true };
      });
    },
  };
  const first = await build({
    ...common,
    splitting: false,
    entryPoints: { kirinc: ENTRY },
    plugins: [leavesOut],
  });
  const takesFromFirst = {
    name: 'take from the first file what is shared',
    setup({ onResolve }) {
      onResolve({ filter: /^\.{1,2}\/.*\.ts$/ }, ({ path, resolveDir }) =>
        SHARED.has(resolve(resolveDir, path)) ? { path: '../kirinc.js', external: true } : undefined,
      );
    },
  };
  const second = await build({
    ...common,
    chunkNames: 'chunks/kirinc-[name]-[hash]',
    entryPoints: late,
    plugins: [takesFromFirst],
  });
  // A class that exists twice is not the same to `instanceof`.
  const twice = Object.keys(second.metafile.inputs).filter((input) => input in first.metafile.inputs);
  if (twice.length > 0)
    throw new Error(`to be imported from core.ts by what is loaded late: ${twice.join(', ')}`);
  return [first, second];
}
