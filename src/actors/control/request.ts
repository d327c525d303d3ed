/** A request as it comes in a frame: its shape is checked here, its meaning elsewhere. Pure. */
import { isUtf8 } from 'node:buffer';
import type { RequestId } from './call.ts';

/** A request as it was sent, its shape checked. */
export interface Request {
  command: string;
  args: string[];
}

export type ReadRequest =
  | { id: RequestId; request: Request; stream: boolean }
  /** What is wrong with it; its id where that can be read. */
  | { id: RequestId; error: string };

const ID_LENGTH_MAX = 256;
/**
 * Far above what a request has. Half a million lists within lists are only one megabyte, and keep JSON.parse busy for
 * a third of a second, in which nobody else is answered.
 */
const VALUES_MAX = 10_000;

export function readRequest(body: Buffer): ReadRequest {
  const invalid = (why: string, id: RequestId = null) => ({ id, error: `Invalid message: ${why}` });
  if (hasTooMany(body)) return invalid(`more than ${VALUES_MAX} values`);
  if (!isUtf8(body)) return invalid('not UTF-8');
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    return invalid('not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return invalid('a request is an object with "id" and "command"');
  const { id: given, command = '', args, stream = false } = value as Record<string, unknown>;
  const id = readId(given);
  if (id === undefined)
    return invalid(`"id" must be a number up to 2^53 or a text of at most ${ID_LENGTH_MAX} characters`);
  if (typeof command !== 'string') return invalid('"command" must be a text', id);
  const words = args ?? [];
  if (!Array.isArray(words) || !words.every(isWord)) return invalid('"args" must be a list of texts', id);
  return { id, request: { command, args: words.map(String) }, stream: stream === true };
}

/** Whether there are more beginnings of values than there may be; those in texts count too, which is no harm. */
function hasTooMany(body: Buffer): boolean {
  let values = 0;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at];
    if ((byte === 0x2c || byte === 0x5b || byte === 0x7b) && ++values > VALUES_MAX) return true;
  }
  return false;
}

const isWord = (one: unknown): boolean => typeof one === 'string' || typeof one === 'number';

/** Undefined for what could not be sent back as it came. */
function readId(given: unknown): RequestId | undefined {
  if (given === undefined || given === null) return null;
  if (typeof given === 'number') return Math.abs(given) <= Number.MAX_SAFE_INTEGER ? given : undefined;
  return typeof given === 'string' && given.length <= ID_LENGTH_MAX ? given : undefined;
}
