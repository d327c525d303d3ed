/** What a call is given, looked at before anything is sent. Runs where calls are made. */
import type { Buffer } from 'node:buffer';
import type { Pending } from './client-call.ts';
import { DirtyAppNotFoundError, type DirtyError } from './errors.ts';
import { FRAME, UINT32_MAX } from './frames.ts';
import { packCall } from './packing.ts';

/** Throws TypeError: a setting that is missing must not call something else. */
export function nameOf(what: 'app' | 'action', name: unknown, example: string): void {
  if (typeof name === 'string') return;
  const given = name === null ? 'null' : typeof name;
  throw new TypeError(`the ${what} is named by a text such as "${example}", not by ${given}`);
}

export function timeoutOf(timeoutMs: number): number {
  if (!(timeoutMs >= 0))
    throw new TypeError(`timeoutMs is a number of milliseconds, not ${String(timeoutMs)}`);
  return Math.min(Math.ceil(timeoutMs), UINT32_MAX);
}

/** Undefined when it cannot be packed: the call has failed then. */
export function packed(call: Pending, action: string, args: unknown[]): Buffer[] | undefined {
  try {
    return packCall({ type: FRAME.call }, action, args);
  } catch (error) {
    call.failed(error as DirtyError);
    return undefined;
  }
}

export function notFound(app: string, known: Iterable<string>): DirtyError {
  const others = [...known].join(', ');
  return new DirtyAppNotFoundError(
    `there is no dirty app ${app}${others ? `; there ${others.includes(',') ? 'are' : 'is'} ${others}` : ''}`,
  );
}
