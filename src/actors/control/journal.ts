/**
 * The last lines of the log, for `show events` and those who watch. Runs in the arbiter. What is told to an operator
 * is what the log says, in the same words; debug lines are left out.
 */
import type { Log } from '../log.ts';

export interface JournalEvent {
  /** Counts all events since the start, from 1. */
  seq: number;
  /** ISO 8601, UTC. */
  time: string;
  level: string;
  text: string;
  [field: string]: unknown;
}

/** How many events are kept, and how long all their texts may be: one may have the stack of a whole app. */
const KEPT_MAX = 1000;
/** What is counted. */
const NAMES: Readonly<Record<string, string>> = { warn: 'warning', error: 'error', fatal: 'critical' };
const KEPT_LENGTH_MAX = 4 * 1024 * 1024;

export class Journal {
  readonly #kept: JournalEvent[] = [];
  readonly #watchers = new Set<(event: JournalEvent) => void>();
  /** Lines of the log by level, Gunicorn's names for them. */
  readonly levels = new Map<string, number>();
  #seq = 0;
  #length = 0;

  /** How many there were that are not kept any more. */
  get dropped(): number {
    return this.#seq - this.#kept.length;
  }

  last(count: number): JournalEvent[] {
    return this.#kept.slice(-count);
  }

  record(level: string, text: string, fields: object = {}): void {
    const own = { seq: ++this.#seq, time: new Date().toISOString(), level, text };
    const event: JournalEvent = { ...own, ...fields, ...own };
    this.#kept.push(event);
    this.#length += lengthOf(event);
    while (this.#kept.length > 1 && (this.#kept.length > KEPT_MAX || this.#length > KEPT_LENGTH_MAX))
      this.#length -= lengthOf(this.#kept.shift()!);
    for (const watcher of [...this.#watchers]) {
      try {
        watcher(event);
      } catch {
        // Who only watches stops nothing; least of all the last words of a crash.
        this.#watchers.delete(watcher);
      }
    }
  }

  /** Calls `watcher` for every event from now on, until the returned function is called. */
  watch(watcher: (event: JournalEvent) => void): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  /** A log that writes to `log` and remembers here. */
  over(log: Log): Log {
    const both = (level: 'info' | 'warn' | 'error' | 'fatal') => (msg: string, fields?: object) => {
      log[level](msg, fields);
      const name = NAMES[level];
      if (name) this.levels.set(name, (this.levels.get(name) ?? 0) + 1);
      this.record(level, msg, fields);
    };
    return {
      ...log,
      info: both('info'),
      warn: both('warn'),
      error: both('error'),
      fatal: both('fatal'),
    };
  }
}

/** Of its texts; the rest is as good as nothing. */
const lengthOf = (event: JournalEvent): number =>
  Object.values(event).reduce<number>((sum, one) => sum + (typeof one === 'string' ? one.length : 0), 0);
