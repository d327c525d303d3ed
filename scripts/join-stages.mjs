// Joins the files that a stage of a start reads into one. A bundler with lazy imports makes a file for each set of places that
// share a module, and each costs a start half a millisecond of the processor; nobody reads them apart, since they are all
// imported by the same file.
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { build } from 'esbuild';

const IMPORTS = /^import (?:\{([^}]*)\} from )?"(\.[^"]+)";$/gm;

/**
 * For each of `roots`, the outputs that begin a stage, in the order of the start: joins all that it imports and that no stage before it
 * has read. What a root exports stays where it is; what else of this build imports what was joined is pointed there. Resolves with the
 * files that were joined: the build needs them no more.
 */
export async function joinStages(outdir, metafile, roots) {
  const outputs = new Map(
    Object.entries(metafile.outputs).map(([path, { imports, exports }]) => [
      relative(outdir, path),
      {
        exports,
        imports: imports
          .filter(({ kind, external }) => kind === 'import-statement' && !external)
          .map(({ path: to }) => relative(outdir, to)),
      },
    ]),
  );
  const read = new Set();
  /** Where a file's exports are now: the file, and what is put before their names. */
  const joined = new Map();
  for (const [stage, root] of roots.entries()) {
    const parts = [];
    const visit = (file) => {
      if (read.has(file)) return;
      read.add(file);
      for (const to of outputs.get(file).imports) visit(to);
      if (file !== root) parts.push(file);
    };
    visit(root);
    if (parts.length < 2) continue;
    const name = join('chunks', `${basename(root).replace(/(-\w{8})?\.js$/, '')}-stage${stage}.js`);
    for (const [at, file] of parts.entries()) joined.set(file, { name, prefix: `s${at}_` });
    await build({
      stdin: { contents: entryOf(parts, outputs, joined), resolveDir: join(outdir, 'chunks') },
      outfile: join(outdir, name),
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20.19',
      legalComments: 'none',
      logLevel: 'warning',
      plugins: [onlyThese(outdir, parts)],
    });
    // Written once more: what a joined file imports of an earlier stage was joined, too.
    rewrite(outdir, name, joined);
  }
  for (const file of outputs.keys()) if (!joined.has(file)) rewrite(outdir, file, joined);
  return [...joined.keys()];
}

/** Exports all that its parts do, each part's names apart. */
const entryOf = (parts, outputs, joined) =>
  parts
    .map((file) => {
      const { prefix } = joined.get(file);
      const names = outputs.get(file).exports.map((name) => `${name} as ${prefix}${name}`);
      return names.length > 0
        ? `export { ${names.join(', ')} } from "./${relative('chunks', file)}";`
        : `import "./${relative('chunks', file)}";`;
    })
    .join('\n');

/** What is imported lazily, or was read before, stays outside, under the name that it has. */
const onlyThese = (outdir, parts) => ({
  name: 'only-these',
  setup({ onResolve }) {
    const inside = new Set(parts.map((file) => join(process.cwd(), outdir, file)));
    onResolve({ filter: /.*/ }, ({ path, kind, resolveDir }) => {
      const file = path.startsWith('.') ? join(resolveDir, path) : path;
      return kind === 'import-statement' && inside.has(file) ? { path: file } : { path, external: true };
    });
  },
});

/** Points the imports of one file at where things are now. */
function rewrite(outdir, file, joined) {
  const path = join(outdir, file);
  const text = readFileSync(path, 'utf8').replace(IMPORTS, (whole, names, from) => {
    const to = joined.get(join(dirname(file), from));
    if (!to) return whole;
    const place = relative(dirname(file), to.name);
    const where = `"${place.startsWith('.') ? place : `./${place}`}"`;
    if (names === undefined) return `import ${where};`;
    const renamed = names.split(',').map((one) => {
      const [name, local = name] = one.trim().split(' as ');
      return `${to.prefix}${name} as ${local}`;
    });
    return `import { ${renamed.join(', ')} } from ${where};`;
  });
  writeFileSync(path, text);
}
