/**
 * `dirty` and `stash` as an app imports them. Runs in web workers and in dirty workers, wherever an app imports `kirin`; the
 * connection is made by the first call.
 */
import type { Buffer } from 'node:buffer';
import { appBridge } from '../app-bridge.ts';
import { currentCall } from './app-call.ts';
import { DirtyClient } from './client.ts';
import { DirtyConnectionError } from './errors.ts';
import { DIRTY_PROTOCOL } from './hello.ts';
import { createStashClient, type StashClient } from './stash-client.ts';
import type { Dirty } from './types.ts';

let client: DirtyClient | undefined;

function theClient(): DirtyClient {
  client ??= connecting();
  return client;
}

/** Where there are no dirty workers every call says so, when it is made and not when the app is loaded. */
function connecting(): DirtyClient {
  const access = appBridge.dirty;
  const none = () =>
    Promise.reject(
      new DirtyConnectionError(
        'there are no dirty workers here: start Kirin with --dirty-app MODULE:CLASS and --dirty-workers N',
      ),
    );
  return new DirtyClient({
    connect: access?.socket ?? none,
    hello: {
      role: access?.role ?? 'web',
      protocol: DIRTY_PROTOCOL,
      pid: process.pid,
      age: access?.age ?? 0,
      generation: access?.generation ?? 0,
    },
    defaultTimeoutMs: access?.timeoutMs ?? 0,
    outerSignal: () => currentCall()?.signal,
  });
}

/**
 * Calls dirty workers: long, blocking or stateful work in processes of its own.
 *
 * @example
 * const label = await dirty.execute('./ml.js:Model', 'predict', input);
 * for await (const token of dirty.stream('./ml.js:Model', 'tokens', prompt))
 *   if (!response.write(token)) await once(response, 'drain');
 */
export const dirty: Dirty = {
  execute: (app, action, ...args) => theClient().execute(app, action, ...args),
  stream: (app, action, ...args) => theClient().stream(app, action, ...args),
  with: (options) => theClient().with(options),
  app: (name) => theClient().app(name),
};

/**
 * Tables of keys and values that all workers share. They live as long as the server and survive the death of the dirty
 * arbiter; they are not kept on disk beyond that.
 *
 * @example
 * await stash.put('sessions', id, { user }, { ttlMs: 3_600_000 });
 */
export const stash: StashClient = createStashClient((payload: Buffer) => theClient().askStash(payload));
