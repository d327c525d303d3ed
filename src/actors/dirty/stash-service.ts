/**
 * Answers what workers ask of the stash: a `stash` frame's payload, `[operation, ...arguments]`, gives the payload of a
 * `result` or an `error`. Runs in the dirty arbiter. Values pass as bytes: only the two workers ever read them.
 */
import { DirtyError, DirtyPayloadError, errorPayloadOf } from './errors.ts';
import { FRAME_BYTES_MAX } from './frames.ts';
import { pack, unpack } from './packing.ts';
import type { Stash } from './stash.ts';
import type { Life } from './stash-change.ts';
import { StashError } from './stash-errors.ts';
import { shown } from './stash-names.ts';

export interface StashReply {
  /** A result, else an error. */
  ok: boolean;
  payload: Buffer;
}

type Answer = (stash: Stash, ...args: never[]) => unknown;

/** Each with the most arguments it has. What they may be is checked by the stash, but for values. */
const OPERATIONS: Record<string, { argsMax: number; answer: Answer }> = {
  put: {
    argsMax: 4,
    answer: (stash, table: string, key: string, value: unknown, life?: Life) =>
      stash.put(table, key, bytesOf(value), life),
  },
  get: {
    argsMax: 2,
    answer: (stash, table: string, key: string) => {
      const entry = stash.get(table, key);
      return entry && [entry.value, entry.version];
    },
  },
  compareAndSet: {
    argsMax: 5,
    answer: (stash, table: string, key: string, version: number, value: unknown, life?: Life) =>
      stash.compareAndSet(table, key, version, bytesOf(value), life),
  },
  increment: {
    argsMax: 4,
    answer: (stash, table: string, key: string, by?: number, life?: Life) =>
      stash.increment(table, key, by, life),
  },
  delete: { argsMax: 2, answer: (stash, table: string, key: string) => stash.delete(table, key) },
  exists: { argsMax: 2, answer: (stash, table: string, key: string) => stash.exists(table, key) },
  keys: { argsMax: 2, answer: (stash, table: string, glob?: string) => stash.keys(table, glob) },
  clear: { argsMax: 1, answer: (stash, table: string) => stash.clear(table) },
  ensure: { argsMax: 1, answer: (stash, table: string) => stash.ensure(table) },
  deleteTable: { argsMax: 1, answer: (stash, table: string) => stash.deleteTable(table) },
  tables: { argsMax: 0, answer: (stash) => stash.tables() },
  info: { argsMax: 1, answer: (stash, table: string) => stash.info(table) },
};

/** Whatever a peer sent, there is an answer. Throws only what is a bug. */
export function answerStash(stash: Stash, request: Buffer, bytesMax = FRAME_BYTES_MAX): StashReply {
  try {
    return { ok: true, payload: fitting(resultOf(stash, request), bytesMax) };
  } catch (error) {
    if (!(error instanceof DirtyError)) throw error;
    return { ok: false, payload: pack(errorPayloadOf(error)) };
  }
}

function resultOf(stash: Stash, request: Buffer): unknown {
  const asked = unpack(request);
  if (!Array.isArray(asked)) throw refused('a request is a list');
  const [name, ...args] = asked;
  const operation =
    typeof name === 'string' && Object.hasOwn(OPERATIONS, name) ? OPERATIONS[name] : undefined;
  if (!operation) throw refused(`there is no operation ${shown(name)}`);
  if (args.length > operation.argsMax)
    throw refused(`${name} has at most ${operation.argsMax} arguments, not ${args.length}`);
  return operation.answer(stash, ...(args as never[]));
}

function fitting(result: unknown, bytesMax: number): Buffer {
  try {
    return pack(result, 'the answer', bytesMax);
  } catch (error) {
    if (!(error instanceof DirtyPayloadError)) throw error;
    throw new StashError('STASH_ANSWER_TOO_LARGE', `${error.message}: ask for less, by a narrower pattern`);
  }
}

function bytesOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw refused('a value comes packed');
}

const refused = (message: string): StashError => new StashError('STASH_ARGUMENT', message);
