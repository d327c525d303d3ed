/** A command that comes from within the arbiter, from the inspector's page, and not through a control socket. */
import type { ArbiterOrder } from '../../machines/events/arbiter.ts';
import { Call } from './call.ts';
import type { Commands } from './commands.ts';

export interface OwnCallDeps {
  commands: Commands;
  order(order: ArbiterOrder): void;
  /** How long its answer is waited for; what was ordered goes on. */
  limitMs: number;
}

/** Resolves with the data of the answer; rejects with an error whose message is for the one who asked. */
export function ownCall(
  words: readonly string[],
  { commands, order, limitMs }: OwnCallDeps,
): Promise<object> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(
      () => call.fail('Timed out: what was ordered goes on, but nobody waits for it any more'),
      limitMs,
    ).unref();
    const call = new Call(null, false, {
      readonly: false,
      backlogBytes: 0,
      send(frame) {
        clearTimeout(limit);
        if (frame.status === 'error') reject(new Error(frame.error));
        else resolve(frame.data);
        return true;
      },
      sendProgress: () => true,
      began: () => {},
      ended: () => {},
      order: (_, given) => order(given),
      cancel: () => false,
    });
    commands.execute({ command: words[0] ?? '', args: words.slice(1) }, call);
  });
}
