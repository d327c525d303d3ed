// Bundles the inspector's page, which runs in browsers, and copies the pictures it shows beside it. The page's rules let in
// no style but its own, so the pictures' common style becomes part of its sheet.
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const STYLE = /<style>([\s\S]*?)<\/style>\n?/;
const DARK = /@media\s*\(prefers-color-scheme:\s*dark\)\{(?:[^{}]*\{[^{}]*\})*\}/g;

/** @returns what esbuild tells of what was bundled. */
export async function buildInspector(outdir) {
  const folder = join(outdir, 'inspector');
  const pictures = join(folder, 'diagrams');
  mkdirSync(pictures, { recursive: true });
  const bundled = await build({
    entryPoints: { inspector: 'src/inspector/main.tsx' },
    outdir: folder,
    bundle: true,
    minify: true,
    platform: 'browser',
    format: 'esm',
    target: ['es2022'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    tsconfig: 'src/inspector/tsconfig.json',
    metafile: true,
    legalComments: 'none',
    logLevel: 'warning',
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  const styles = new Set();
  for (const name of readdirSync('diagrams').filter((one) => one.endsWith('.svg'))) {
    const text = readFileSync(join('diagrams', name), 'utf8');
    styles.add(STYLE.exec(text)?.[1].replace(DARK, '') ?? '');
    writeFileSync(join(pictures, name), text.replace(STYLE, ''));
  }
  const sheet = readFileSync('src/inspector/inspector.css', 'utf8');
  writeFileSync(join(folder, 'inspector.css'), `${[...styles].join('\n')}\n${sheet}`);
  for (const name of ['index.html', 'favicon.svg']) cpSync(join('src/inspector', name), join(folder, name));
  return bundled;
}
