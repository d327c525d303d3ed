/** Calls as their caller holds them: a promise of one answer, or a stream of chunks. Runs where calls are made. */
import { Buffer } from 'node:buffer';
import { DirtyCancelledError, DirtyConnectionError, type DirtyError, errorOf } from './errors.ts';
import { AHEAD_BYTES, FRAME, LARGE_BYTES, payloadBytesOf, payloadOf, typeOf } from './frames.ts';
import { unpack } from './packing.ts';

/** What is pending on a connection. Each ends once. */
export interface Pending {
  /** A frame that is about it; true when it has ended with it. */
  heard(frame: Buffer, more: readonly Buffer[]): boolean;
  failed(error: DirtyError): void;
}

const isLasting = (frame: Buffer, more: readonly Buffer[]): boolean =>
  more.length > 0 || frame.length >= LARGE_BYTES;

const decoded = (frame: Buffer, more: readonly Buffer[]): unknown =>
  unpack(payloadOf(frame, more), isLasting(frame, more));

/** One answer. `parse` makes an error of an error's payload. */
export class SingleCall<T> implements Pending {
  #resolve: (value: T) => void;
  #reject: (error: unknown) => void;
  #isRaw: boolean;

  /** `isRaw`: the answer is the payload itself, in memory of its own. */
  constructor(resolve: (value: T) => void, reject: (error: unknown) => void, isRaw: boolean) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.#isRaw = isRaw;
  }

  heard(frame: Buffer, more: readonly Buffer[]): boolean {
    try {
      if (typeOf(frame) === FRAME.error) this.#reject(errorOf(decoded(frame, more)));
      else if (typeOf(frame) !== FRAME.result) this.#reject(unexpected(frame));
      else if (this.#isRaw) {
        const payload = payloadOf(frame, more);
        this.#resolve((isLasting(frame, more) ? payload : Buffer.from(payload)) as T);
      } else this.#resolve(decoded(frame, more) as T);
    } catch (error) {
      this.#reject(error);
    }
    return true;
  }

  failed(error: DirtyError): void {
    this.#reject(error);
  }
}

const unexpected = (frame: Buffer): DirtyError =>
  new DirtyConnectionError(`a frame of type ${typeOf(frame)} for a call that does not take it`);

/** So many chunks the other side may be ahead of the one that reads, at first. */
export const CREDIT = 16;
/** So many while they are small: what waits is bounded in bytes more than in number. */
export const CREDIT_SMALL = 128;
const SMALL_BYTES = 4096;

export interface StreamHandlers {
  /** The first chunk is asked for: begins the call. */
  begin(): void;
  /** There is room for so many chunks more, and so many bytes were read. */
  grant(chunks: number, readBytes: number): void;
  /** Nobody reads any more: ends the call at the other side. */
  abandon(): void;
}

/** A stream. Chunks come in order, and an error after the chunks that came before it. */
export class StreamCall<T> implements Pending, AsyncIterableIterator<T> {
  #handlers: StreamHandlers;
  #state: 'new' | 'open' | 'ended' = 'new';
  /** Never more than the window, and about `AHEAD_BYTES`. */
  #chunks: { value: T; bytes: number }[] = [];
  /** How far the other side may be ahead, and what was read of that since it was last told. */
  #window = CREDIT;
  #taken = 0;
  #takenBytes = 0;
  /** The largest chunk since then, in bytes. */
  #largest = 0;
  #error: unknown;
  #hasError = false;
  #readers: { resolve(result: IteratorResult<T>): void; reject(error: unknown): void }[] = [];

  constructor(handlers: StreamHandlers) {
    this.#handlers = handlers;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#state === 'new') {
      this.#state = 'open';
      // What is wrong with the arguments is the first answer, as it is of a promise.
      try {
        this.#handlers.begin();
      } catch (error) {
        this.failed(error);
      }
    }
    if (this.#chunks.length > 0) {
      const { value, bytes } = this.#chunks.shift()!;
      this.#took(bytes);
      return Promise.resolve({ value, done: false });
    }
    if (this.#hasError) {
      this.#hasError = false;
      return Promise.reject(this.#error);
    }
    if (this.#state === 'ended') return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  /** What a loop that is left calls: the call is cancelled, and what has come is dropped. */
  return(value?: unknown): Promise<IteratorResult<T>> {
    const wasOpen = this.#state === 'open';
    this.#state = 'ended';
    this.#chunks = [];
    this.#hasError = false;
    for (const { resolve } of this.#readers.splice(0)) resolve({ value: undefined, done: true });
    if (wasOpen) this.#handlers.abandon();
    return Promise.resolve({ value: value as T, done: true });
  }

  heard(frame: Buffer, more: readonly Buffer[]): boolean {
    if (this.#state === 'ended') return true;
    try {
      switch (typeOf(frame)) {
        case FRAME.chunk:
          this.#give(decoded(frame, more) as T, payloadBytesOf(frame));
          return false;
        case FRAME.end:
          this.#end();
          return true;
        case FRAME.error:
          this.failed(errorOf(decoded(frame, more)));
          return true;
        default:
          throw unexpected(frame);
      }
    } catch (error) {
      this.failed(error);
      this.#handlers.abandon();
      return true;
    }
  }

  failed(error: unknown): void {
    if (this.#state === 'ended') return;
    const [reader, ...others] = this.#readers.splice(0);
    this.#state = 'ended';
    if (reader) reader.reject(error);
    else {
      this.#error = error;
      this.#hasError = true;
    }
    for (const { resolve } of others) resolve({ value: undefined, done: true });
  }

  #give(value: T, bytes: number): void {
    this.#largest = Math.max(this.#largest, bytes);
    const reader = this.#readers.shift();
    if (!reader) {
      this.#chunks.push({ value, bytes });
      return;
    }
    reader.resolve({ value, done: false });
    this.#took(bytes);
  }

  #took(bytes: number): void {
    this.#takenBytes += bytes;
    // In lots of half of what may be ahead, not chunk by chunk.
    const isDue = ++this.#taken >= this.#window / 2 || this.#takenBytes >= AHEAD_BYTES / 2;
    if (!isDue || this.#state !== 'open') return;
    const window = this.#largest <= SMALL_BYTES ? CREDIT_SMALL : CREDIT;
    const credit = Math.max(0, this.#taken + window - this.#window);
    this.#window += credit - this.#taken;
    const readBytes = this.#takenBytes;
    this.#taken = this.#takenBytes = this.#largest = 0;
    if (credit > 0 || readBytes > 0) this.#handlers.grant(credit, readBytes);
  }

  #end(): void {
    this.#state = 'ended';
    for (const { resolve } of this.#readers.splice(0)) resolve({ value: undefined, done: true });
  }
}

/** Of a signal that was aborted. */
export const cancelled = (signal: AbortSignal): DirtyError =>
  new DirtyCancelledError('the call was cancelled', { cause: signal.reason });
