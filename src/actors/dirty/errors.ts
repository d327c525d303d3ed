/**
 * The errors of dirty calls: what a caller catches, and what stands on the wire instead. Runs at every end. Imports
 * nothing, since it is part of every app's start.
 */

export const DIRTY_CODES = [
  'DIRTY_TIMEOUT',
  'DIRTY_CANCELLED',
  'DIRTY_OVERLOADED',
  'DIRTY_APP_NOT_FOUND',
  'DIRTY_ACTION_NOT_FOUND',
  'DIRTY_UNAVAILABLE',
  'DIRTY_APP_ERROR',
  'DIRTY_WORKER_DIED',
  'DIRTY_CONNECTION',
  'DIRTY_PAYLOAD',
] as const;

export type DirtyCode = (typeof DIRTY_CODES)[number];

/** What all of them extend. `code` says which it is, also where classes were loaded twice. */
export class DirtyError extends Error {
  override readonly name: string = 'DirtyError';
  /** One of `DIRTY_CODES`, or the code of somebody else who answers over the same wire. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A class of errors that says one code, and is named as it is. */
function coded<C extends DirtyCode, N extends string>(code: C, name: N) {
  return class extends DirtyError {
    override readonly name: N = name;
    declare readonly code: C;
    constructor(message: string, options?: ErrorOptions) {
      super(code, message, options);
    }
  };
}

/** The deadline has passed, waiting or running. */
export class DirtyTimeoutError extends coded('DIRTY_TIMEOUT', 'DirtyTimeoutError') {}

/** `signal` was aborted: `cause` is its reason. Or an operator cancelled it. */
export class DirtyCancelledError extends coded('DIRTY_CANCELLED', 'DirtyCancelledError') {}

/** The queue of the app is full. */
export class DirtyOverloadedError extends coded('DIRTY_OVERLOADED', 'DirtyOverloadedError') {}

/** There is no such dirty app. */
export class DirtyAppNotFoundError extends coded('DIRTY_APP_NOT_FOUND', 'DirtyAppNotFoundError') {}

/** The app has no such action. */
export class DirtyActionError extends coded('DIRTY_ACTION_NOT_FOUND', 'DirtyActionError') {}

/** No worker that has the app, and none on its way. */
export class DirtyUnavailableError extends coded('DIRTY_UNAVAILABLE', 'DirtyUnavailableError') {}

/** The worker ended while it ran the call. */
export class DirtyWorkerDiedError extends coded('DIRTY_WORKER_DIED', 'DirtyWorkerDiedError') {}

/** There is no dirty arbiter, or it ended. */
export class DirtyConnectionError extends coded('DIRTY_CONNECTION', 'DirtyConnectionError') {}

/** A value that cannot be sent, or is too large. */
export class DirtyPayloadError extends coded('DIRTY_PAYLOAD', 'DirtyPayloadError') {}

/** The action threw. `message` is its error's. */
export class DirtyAppError extends DirtyError {
  override readonly name = 'DirtyAppError';
  /** The name of the error that was thrown in the dirty worker. */
  readonly remoteName: string;
  /** Its stack there. */
  readonly remoteStack: string | undefined;
  constructor(message: string, remoteName = 'Error', remoteStack?: string) {
    super('DIRTY_APP_ERROR', message);
    this.remoteName = remoteName;
    this.remoteStack = remoteStack;
  }
}

/** What an `error` frame holds. */
export interface ErrorPayload {
  code: string;
  message: string;
  name?: string;
  stack?: string;
}

/** How much of a stack or a message is told: an error must always fit a frame. */
const TEXT_LENGTH_MAX = 64 * 1024;
const cut = (text: string): string =>
  text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}…` : text;

/** An error as it is told over the wire. What has no code of ours was thrown by the app. Never throws. */
export function errorPayloadOf(error: unknown): ErrorPayload {
  try {
    if (error instanceof DirtyError && !(error instanceof DirtyAppError))
      return { code: error.code, message: cut(error.message) };
    if (error instanceof Error) {
      const { name, message, stack } = error instanceof DirtyAppError ? remoteOf(error) : error;
      const payload: ErrorPayload = { code: 'DIRTY_APP_ERROR', message: cut(String(message)) };
      if (typeof name === 'string') payload.name = cut(name);
      if (typeof stack === 'string') payload.stack = cut(stack);
      return payload;
    }
    return { code: 'DIRTY_APP_ERROR', message: cut(`${String(error)} was thrown`), name: typeof error };
  } catch {
    return { code: 'DIRTY_APP_ERROR', message: 'something that cannot be shown was thrown' };
  }
}

/** An app that calls another app lets its error pass: what went wrong there is worth more than where it passed. */
const remoteOf = (error: DirtyAppError) => ({
  name: error.remoteName,
  message: error.message,
  stack: error.remoteStack ?? error.stack,
});

const CLASSES: Partial<Record<string, new (message: string) => DirtyError>> = {
  DIRTY_TIMEOUT: DirtyTimeoutError,
  DIRTY_CANCELLED: DirtyCancelledError,
  DIRTY_OVERLOADED: DirtyOverloadedError,
  DIRTY_APP_NOT_FOUND: DirtyAppNotFoundError,
  DIRTY_ACTION_NOT_FOUND: DirtyActionError,
  DIRTY_UNAVAILABLE: DirtyUnavailableError,
  DIRTY_WORKER_DIED: DirtyWorkerDiedError,
  DIRTY_CONNECTION: DirtyConnectionError,
  DIRTY_PAYLOAD: DirtyPayloadError,
};

/** The error that an `error` frame's payload, already unpacked, stands for. Whatever it is, an error comes out. */
export function errorOf(payload: unknown): DirtyError {
  const { code, message, name, stack } = (payload ?? {}) as Partial<Record<keyof ErrorPayload, unknown>>;
  if (typeof code !== 'string' || typeof message !== 'string')
    return new DirtyConnectionError('the answer was an error that cannot be read');
  if (code === 'DIRTY_APP_ERROR')
    return new DirtyAppError(
      message,
      typeof name === 'string' ? name : undefined,
      typeof stack === 'string' ? stack : undefined,
    );
  const Class = Object.hasOwn(CLASSES, code) ? CLASSES[code] : undefined;
  return Class ? new Class(message) : new DirtyError(code, message);
}
