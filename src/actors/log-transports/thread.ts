/**
 * The thread that feeds a log transport of the user's. Runs in the arbiter's process, away from the thread that supervises: what the
 * module does there, and whatever becomes of it, holds up nothing. The other side is `transport.ts`.
 */
import { parentPort, workerData } from 'node:worker_threads';
import winston from 'winston';
import { LEVELS } from '../log-format.ts';
import type { FromThread, ThreadData, ToThread } from './words.ts';

const WHAT =
  'it must export by default a winston transport, a list of them, or a function that returns either (it may be async)';

type Transport = winston.transport;

export async function runTransportThread(): Promise<void> {
  const port = parentPort!;
  const say = (word: FromThread) => port.postMessage(word);
  const logger = await load(workerData as ThreadData).catch((error: unknown) => {
    say({ type: 'failed', why: firstLine(error) });
    return undefined;
  });
  if (!logger) return;
  // It would not be fed any more: the thread ends, and another one begins anew.
  logger.on('error', (error: unknown) => setImmediate(() => raise(error)));
  logger.once('finish', () => port.close());
  port.on('message', (word: ToThread) => {
    if (word.type === 'end') logger.end();
    else logger.write(infoOf(word.json), () => say({ type: 'taken' }));
  });
  say({ type: 'ready' });
}

async function load({ url, module, from }: ThreadData): Promise<winston.Logger> {
  // The second argument is why the thread has an option of Node.js.
  const resolve = import.meta.resolve as (name: string, from: string) => string;
  const { default: exported } = (await import(url ?? resolve(module, from))) as { default?: unknown };
  const made = typeof exported === 'function' && !isClass(exported) ? await exported() : exported;
  const transports = Array.isArray(made) ? made : [made];
  if (transports.length === 0 || !transports.every(isTransport)) throw new Error(WHAT);
  return winston.createLogger({ levels: LEVELS, level: 'debug', exitOnError: false, transports });
}

/** In the words of winston. */
function infoOf(json: string): object {
  const { time, level, msg, ...fields } = JSON.parse(json) as { time: string; level: string; msg: string };
  return { ...fields, level, message: msg, timestamp: time, [Symbol.for('level')]: level };
}

const isTransport = (value: unknown): value is Transport =>
  typeof value === 'object' &&
  value !== null &&
  'log' in value &&
  typeof value.log === 'function' &&
  'write' in value &&
  typeof value.write === 'function';

const isClass = (value: unknown): boolean => /^class\b/.test(Function.prototype.toString.call(value));

const firstLine = (error: unknown): string =>
  String(error instanceof Error ? error.message : error).split('\n', 1)[0]!;

function raise(error: unknown): never {
  throw error;
}
