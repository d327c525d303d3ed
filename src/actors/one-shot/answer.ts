/**
 * The process that runs somebody else's code once, tells the result and exits: whatever that code does, it does not do it
 * to the arbiter, and what it loads is not kept. The result, one JSON text, goes to descriptor 3. It ends with the
 * arbiter, also while that code computes. Both outputs are standard error. The other side is `ask.ts`.
 */
import { closeSync, writeFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { endWithOwner } from '../owner.ts';

const RESULT_FD = 3;

/** Works, tells what comes of it, and exits. `lineOf` makes one line of an error. */
export function answerOnce(
  work: (argument: string) => Promise<unknown>,
  lineOf: (error: unknown) => string,
): void {
  let told = false;
  const tell = (result: { result: unknown } | { error: string }): void => {
    if (told) return;
    told = true;
    writeFileSync(RESULT_FD, JSON.stringify(result));
    closeSync(RESULT_FD);
  };
  const fail = (error: unknown): void => {
    tell({ error: lineOf(error) });
    process.exit(1);
  };
  process.on('uncaughtException', fail);
  process.on('beforeExit', () => tell({ error: 'it waits for something that can never happen' }));
  process.on('exit', (code) => tell({ error: `it called process.exit(${code})` }));
  // A Ctrl-C reaches every process of a terminal's group, and the arbiter is the one to decide.
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  endWithOwner({ graceMs: 0 });
  work(process.argv[2]!)
    .then(async (result) => {
      // A rejection that nobody handles shows only after the turn in which it was made.
      await turn();
      tell({ result });
      process.exit(0);
    })
    .catch(fail);
}
