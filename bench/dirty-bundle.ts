/**
 * Kirin's router, worker and client for `bench dirty`, bundled as `scripts/build.mjs` bundles what is shipped: run from the
 * sources, each call would also pay for what the loader adds to the code.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export interface DirtyBundle {
  readonly router: string;
  readonly worker: string;
  readonly client: typeof import('../src/actors/dirty/client.ts');
}

let bundle: Promise<DirtyBundle> | undefined;

/** Made once, and gone with this process. */
export function dirtyBundle(): Promise<DirtyBundle> {
  bundle ??= (async () => {
    const outdir = mkdtempSync(join(tmpdir(), 'kirin-bench-bundle-'));
    process.on('exit', () => rmSync(outdir, { recursive: true, force: true }));
    buildSync({
      entryPoints: {
        router: here('servers/dirty-router.mjs'),
        worker: here('servers/dirty-worker.mjs'),
        client: here('../src/actors/dirty/client.ts'),
      },
      outdir,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20.19',
      logLevel: 'warning',
    });
    return {
      router: join(outdir, 'router.mjs'),
      worker: join(outdir, 'worker.mjs'),
      client: (await import(pathToFileURL(join(outdir, 'client.mjs')).href)) as DirtyBundle['client'],
    };
  })();
  return bundle;
}
