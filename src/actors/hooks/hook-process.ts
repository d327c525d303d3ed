/**
 * The process that an arbiter keeps for hooks: it calls them one after the other, as the arbiter asks, and ends with the
 * arbiter, also while a hook blocks it. The other side is `host.ts`.
 */
import { Socket } from 'node:net';
import type { HookFile, HookName } from '../../settings/hooks-table.ts';
import { openLink } from '../link.ts';
import { endWithOwner } from '../owner.ts';
import { HookRunner, shortReason } from './run-hook.ts';
import { HOOK_LINK_FD, type HookAnswer, type HookCall, hookCalls } from './wire.ts';

export function runHookProcess(): void {
  process.title = 'kirin: hooks';
  endWithOwner({ graceMs: 0 });
  const runner = new HookRunner(JSON.parse(process.argv[2]!) as HookFile);
  const stream = new Socket({ fd: HOOK_LINK_FD, readable: true, writable: true });
  // A Ctrl-C reaches every process of a terminal's group, and the arbiter is the one to decide.
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const)
    process.on(signal, () => {});
  const link = openLink<HookCall, HookAnswer>(stream, null, hookCalls, {
    event: ({ name, subject }) => void call(name as HookName, subject),
    unknown: () => process.exit(1),
    broken: () => process.exit(1),
    ended: () => process.exit(0),
  });

  async function call(name: HookName, subject: object): Promise<void> {
    try {
      await runner.call(name, subject);
      link.send({ type: 'hook.done' });
    } catch (error) {
      link.send({ type: 'hook.failed', why: shortReason(error) });
    }
  }
  // Nobody knows what it did not finish, so the arbiter ends this process when it hears of it.
  process.on('uncaughtException', (error) => link.send({ type: 'hook.stray', why: shortReason(error) }));
}
