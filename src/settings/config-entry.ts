/**
 * Entry point of the process that evaluates one configuration file, tells the result and exits: whatever the file
 * does, it does not do it to the arbiter, and what it loads is not kept. The result, one JSON text, goes to
 * descriptor 3; descriptor 4 ends with the arbiter. Both outputs are standard error.
 */
import { closeSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { oneLine } from './one-line.ts';
import { plainEntries } from './plain-data.ts';

const RESULT_FD = 3;
const ARBITER_FD = 4;

let told = false;
function tell(result: { entries: unknown } | { error: string }): void {
  if (told) return;
  told = true;
  writeFileSync(RESULT_FD, JSON.stringify(result));
  closeSync(RESULT_FD);
}

function fail(error: unknown): void {
  tell({ error: oneLine(error) });
  process.exit(1);
}

async function evaluate(path: string): Promise<void> {
  const { createJiti } = await import('jiti');
  const jiti = createJiti(pathToFileURL(path).href, { fsCache: false, tryNative: false });
  const exported: unknown = await jiti.import(path, { default: true });
  const entries = plainEntries(typeof exported === 'function' ? await exported() : exported);
  // A rejection that nobody handles shows only after the turn in which it was made.
  await turn();
  tell({ entries });
  process.exit(0);
}

process.on('uncaughtException', fail);
process.on('beforeExit', () => tell({ error: 'it waits for something that can never happen' }));
process.on('exit', (code) => tell({ error: `it called process.exit(${code})` }));
// A Ctrl-C reaches every process of a terminal's group, and the arbiter is the one to decide.
for (const signal of ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
new Socket({ fd: ARBITER_FD })
  .on('error', () => {})
  .on('close', () => process.exit(1))
  .resume()
  .unref();

evaluate(process.argv[2]!).catch(fail);
