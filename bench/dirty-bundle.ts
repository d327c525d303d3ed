/**
 * Kirin's router, worker and client for `bench dirty`, bundled as `scripts/build.mjs` bundles what is shipped: run from the
 * sources, each call would also pay for what the loader adds to the code.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
import type { DirtyClient } from '../src/actors/dirty/client.ts';
import type { connectChannel } from '../src/actors/dirty/socket-channel.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export interface DirtyBundle {
  readonly router: string;
  readonly worker: string;
  /** Of dirty-floor.ts. */
  readonly floor: string;
  readonly DirtyClient: typeof DirtyClient;
  readonly connectChannel: typeof connectChannel;
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
        floor: here('servers/dirty-floor.mjs'),
        client: here('servers/dirty-client.mjs'),
      },
      outdir,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20.19',
      logLevel: 'warning',
    });
    const client = (await import(pathToFileURL(join(outdir, 'client.mjs')).href)) as DirtyBundle;
    const { DirtyClient, connectChannel } = client;
    return {
      router: join(outdir, 'router.mjs'),
      worker: join(outdir, 'worker.mjs'),
      floor: join(outdir, 'floor.mjs'),
      DirtyClient,
      connectChannel,
    };
  })();
  return bundle;
}
