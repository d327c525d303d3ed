/**
 * The process that an arbiter keeps for hooks: it calls them one after the other, as the arbiter asks. It ends with the arbiter,
 * whose end of the channel closes then. The other side is `host.ts`.
 */
import type { HookFile } from '../../settings/hooks-table.ts';
import { errorLine } from '../app-errors.ts';
import type { HookAnswer, HookCall } from './host.ts';
import { HookRunner } from './run-hook.ts';

export function runHookProcess(): void {
  process.title = 'kirin: hooks';
  const runner = new HookRunner(JSON.parse(process.argv[2]!) as HookFile);
  const answer = (error?: string): void => {
    process.send?.((error === undefined ? {} : { error }) satisfies HookAnswer);
  };
  // A Ctrl-C reaches every process of a terminal's group, and the arbiter is the one to decide.
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const)
    process.on(signal, () => {});
  process.on('disconnect', () => process.exit(0));
  // What a hook has left behind fails whichever runs when it shows.
  process.on('uncaughtException', (error) => answer(errorLine(error)));
  process.on('message', ({ name, subject }: HookCall) => {
    runner.call(name, subject).then(
      () => answer(),
      (error) => answer(errorLine(error)),
    );
  });
}
