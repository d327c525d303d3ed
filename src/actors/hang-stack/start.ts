/** Starts the thread that says where this worker hangs. Runs in web workers, in the main thread, where `--hang-stack` is given. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Beside this file's bundle in the package, or above its chunk; among the sources when they are run directly. */
const ENTRIES = import.meta.url.endsWith('.ts')
  ? ['../entry/hang-thread.ts']
  : ['./hang-thread.js', '../hang-thread.js'];
/** It holds a list of scripts and a source map or two. */
const HEAP_MIB = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 4 };

export function startHangThread(fd: number, failed: (why: string) => void): void {
  const urls = ENTRIES.map((place) => new URL(place, import.meta.url));
  const entry = urls.find((url) => existsSync(fileURLToPath(url))) ?? urls[0]!;
  // Neither what the user has Node load into each process, nor the environment, is for this thread.
  const { Worker } = process.getBuiltinModule('node:worker_threads');
  const thread = new Worker(entry, { workerData: { fd }, execArgv: [], env: {}, resourceLimits: HEAP_MIB });
  thread.on('error', (error) => failed(error.message));
  // Neither the end of the app nor the search for what is left to run is held up.
  thread.unref();
}
