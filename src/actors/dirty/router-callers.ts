/**
 * The router's side of a caller: a web worker, or a dirty worker whose action calls another app. Runs in the dirty
 * arbiter. Ids are the caller's own; they are unique among what is pending on its connection.
 */
import type { Channel } from './channel.ts';
import type { CallerHello } from './hello.ts';
import type { Call } from './router-calls.ts';
import type { Worker } from './router-workers.ts';

export class Caller {
  readonly channel: Channel;
  readonly pid: number;
  readonly role: CallerHello['role'];
  readonly generation: number;
  /** What workers know it by. */
  readonly number: number;
  /** Ages of workers whose door it was told of. */
  readonly introduced = new Set<number>();
  readonly pending = new Map<number, Call>();
  /** Workers that are not read because this caller does not read. */
  readonly holds = new Set<Worker>();
  /** Since when it has read nothing while too much waits for it; monotonic. */
  congestedMs: number | undefined;
  congestedBytes = 0;

  constructor(
    channel: Channel,
    number: number,
    pid: number,
    generation: number,
    role: CallerHello['role'] = 'web',
  ) {
    this.channel = channel;
    this.role = role;
    this.number = number;
    this.pid = pid;
    this.generation = generation;
  }
}
