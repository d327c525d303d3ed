// Joins the files that a stage of a start reads into one. A bundler with lazy imports makes a file for each set of places that
// share a module, and each costs a start half a millisecond of the processor; nobody reads them apart, since they are all
// imported by the same file. The one file is a script, for which V8's code can be kept (`src/stages/stages.ts`). Whatever imports what
// was joined finds a module in its place, which hands on what the script exports.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { build, transform } from 'esbuild';

const IMPORTS = /^import (?:\{([^}]*)\} from )?"(\.[^"]+)";$/gm;

/**
 * For each of `roots`, the outputs that begin a stage by its name, in the order of the start: joins it with all that it imports and
 * that no stage before it has read. Resolves with the name of each stage's script, in `chunks`, and the files that were joined and
 * that nothing imports any more.
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
  const scripts = {};
  for (const [stage, root] of Object.entries(roots)) {
    const parts = [];
    const visit = (file) => {
      if (read.has(file)) return;
      read.add(file);
      for (const to of outputs.get(file).imports) visit(to);
      parts.push(file);
    };
    visit(root);
    const name = join('chunks', `${stage}.js`);
    const own = new Map(parts.map((file) => [file, { name, prefix: file === root ? '' : prefixOf(file) }]));
    const { outputFiles } = await build({
      stdin: { contents: entryOf(parts, outputs, own), resolveDir: join(outdir, 'chunks') },
      outfile: join(outdir, name),
      write: false,
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20.19',
      legalComments: 'none',
      logLevel: 'warning',
      plugins: [onlyThese(outdir, parts)],
    });
    // What it imports of an earlier stage was joined, too.
    const { code } = await transform(rewritten(outputFiles[0].text, name, joined), {
      format: 'cjs',
      platform: 'node',
      target: 'node20.19',
      define: { 'import.meta.url': 'kirinUrl', 'import.meta.resolve': 'undefined' },
      logLevel: 'warning',
    });
    const script = asScript(code, roots);
    const digest = createHash('sha256').update(script).digest('hex').slice(0, 12);
    scripts[stage] = `${stage}-${digest}.cjs`;
    writeFileSync(join(outdir, 'chunks', scripts[stage]), script);
    for (const [file, place] of own) joined.set(file, place);
    const names = [...own].flatMap(([file, { prefix }]) =>
      outputs.get(file).exports.map((one) => prefix + one),
    );
    writeFileSync(join(outdir, name), handingOn(stage, names));
    // Loaded lazily under its own name.
    if (dirname(root) === 'chunks') writeFileSync(join(outdir, root), `export * from "./${stage}.js";\n`);
  }
  for (const file of outputs.keys()) {
    if (joined.has(file)) continue;
    const path = join(outdir, file);
    writeFileSync(path, rewritten(readFileSync(path, 'utf8'), file, joined));
  }
  const lazyRoots = Object.values(roots).filter((root) => dirname(root) === 'chunks');
  return { scripts, left: [...joined.keys()].filter((file) => !lazyRoots.includes(file)) };
}

/** Code of CommonJS as one function, which `src/stages/stages.ts` calls. A stage that is imported lazily needs no loader of ES modules. */
function asScript(code, roots) {
  let body = code;
  for (const [stage, root] of Object.entries(roots))
    body = body.replaceAll(`import("./${basename(root)}")`, `(async () => require("./${stage}.js"))()`);
  body = body.replace(/(?<![.\w$])import\(/g, 'kirinImport(');
  return `(function (module, require, kirinImport, kirinUrl) { "use strict";\n${body}\n})\n`;
}

/**
 * Of the file's own name, with its hash: what imports it is then the same text as long as that is the same file, and a server whose
 * package is replaced while it runs finds nothing else under a name that it knows.
 */
const prefixOf = (file) => `${basename(file, '.js').replace(/\W/g, '_')}_`;

const handingOn = (stage, names) =>
  [
    `const stage = globalThis[Symbol.for('kirin.stages')]('${stage}');`,
    ...names.map((name) => `export const ${name} = stage.${name};`),
    '',
  ].join('\n');

/** Exports all that its parts do, each part's names apart. */
const entryOf = (parts, outputs, own) =>
  parts
    .map((file) => {
      const { prefix } = own.get(file);
      const names = outputs.get(file).exports.map((name) => `${name} as ${prefix}${name}`);
      const from = relative('chunks', file);
      const path = from.startsWith('.') ? from : `./${from}`;
      return names.length > 0 ? `export { ${names.join(', ')} } from "${path}";` : `import "${path}";`;
    })
    .join('\n');

/** What is imported lazily, or was read before, stays outside, under the name that it has as seen from `chunks`. */
const onlyThese = (outdir, parts) => ({
  name: 'only-these',
  setup({ onResolve }) {
    const inside = new Set(parts.map((file) => join(process.cwd(), outdir, file)));
    onResolve({ filter: /.*/ }, ({ path, kind, resolveDir }) => {
      if (!path.startsWith('.')) return { path, external: true };
      const file = join(resolveDir, path);
      if (kind === 'import-statement' && inside.has(file)) return { path: file };
      return { path: `./${basename(file)}`, external: true };
    });
  },
});

/** The text of one file, with its imports pointed at where things are now. */
function rewritten(text, file, joined) {
  return text.replace(IMPORTS, (whole, names, from) => {
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
}
