/**
 * What an app prints, in such a way that nobody who reads it, or does not, can hang or end the worker. Runs in web and dirty
 * workers, installed before the app is loaded; costs nothing until the app prints.
 *
 * Left to Node, a terminal that is stopped (Ctrl-S) blocks the event loop, a pipe that is not read fills the memory without end,
 * and a reader that has gone, a terminal that has gone or a full disk is an error that nobody handles. So here the streams stay
 * Node's, but what they write goes out by writes that do not block, and what finds no room waits. Beyond a bound the app itself
 * waits, for no longer than nobody would notice, so that a reader who only is slower than a burst gets all of it; then what is
 * printed is dropped, counted, and told in the arbiter's log.
 *
 * What is written past the streams, to the descriptors themselves (`fs.writeSync(1, …)`, some loggers, children), is beyond reach.
 */
import { writeSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import type { Writable } from 'node:stream';
import type { Notice } from './supervised.ts';

/** Bytes of one stream that may wait for its reader. */
export const OUTPUT_BYTES_MAX = 1024 * 1024;
/** How long an app that prints beyond it may be held up, once a second at most, and once while nothing is read. */
const HOLD_MS = 100;
const HOLD_EVERY_MS = 1000;
/** How soon it is tried again whether there is room, at first and at last. */
const RETRY_MS = 1;
const RETRY_MS_MAX = 50;
/** A loss is told at most so often; a reader that comes and goes must not fill the log. */
const TOLD_MS = 10_000;
/** How long the end of the process may wait for a slow reader. */
const FLUSH_MS = 500;

/** Nobody wakes it: to wait on it is to pause. */
const PAUSE = new Int32Array(new SharedArrayBuffer(4));

type Name = 'stdout' | 'stderr';
const TITLES = { stdout: 'standard output', stderr: 'standard error' } as const;

/** What Node keeps in a stream of a terminal or pipe, and `fd` in one of a file. */
interface Internals {
  fd?: number;
  isTTY?: boolean;
  _handle?: { fd?: number; setBlocking?(on: boolean): number } | null;
  _write: unknown;
  _writev: unknown;
}

/** Puts itself in front of `process.stdout` and `process.stderr`. */
export function steadyOutput(notice: Notice): void {
  const open: SteadyStream[] = [];
  for (const name of ['stdout', 'stderr'] as const) {
    const native = Object.getOwnPropertyDescriptor(process, name)?.get;
    if (!native) continue;
    let stream: Writable | undefined;
    const get = (): Writable => {
      if (stream) return stream;
      stream = Reflect.apply(native, process, []) as Writable;
      const fd = descriptorOf(stream, name);
      if (fd !== undefined) open.push(new SteadyStream(stream, fd, TITLES[name], notice));
      return stream;
    };
    Object.defineProperty(process, name, { configurable: true, enumerable: true, get });
  }
  process.on('exit', () => {
    for (let waitedMs = 0; waitedMs < FLUSH_MS; waitedMs += 10) {
      for (const one of open) one.flush();
      if (!open.some(({ isWaiting }) => isWaiting)) return;
      Atomics.wait(PAUSE, 0, 0, 10);
    }
  });
}

/**
 * Where a stream can be written to without blocking; undefined: it is left as it is. Node has a description of its own of a
 * terminal, and blocks on it by choice; where it has none, others would find theirs not to block either.
 */
function descriptorOf(stream: Writable, name: Name): number | undefined {
  const { fd, isTTY, _handle } = stream as unknown as Internals;
  const inherited = name === 'stdout' ? 1 : 2;
  if (!_handle) return fd;
  if (_handle.fd === undefined || _handle.fd < 0) return undefined;
  if (!isTTY) return _handle.fd;
  if (_handle.fd === inherited || !_handle.setBlocking || _handle.setBlocking(false) !== 0) return undefined;
  return _handle.fd;
}

/** One of the two streams. Exported for tests. */
export class SteadyStream {
  readonly #stream: Writable;
  readonly #fd: number;
  readonly #title: string;
  readonly #notice: Notice;
  /** What Node's stream handed over and is not written yet; it hands over the next when this is. */
  #rest: Buffer | undefined;
  #written: () => void = () => {};
  /** Whether the last write had an effect. */
  #hasWritten = false;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = RETRY_MS;
  /** Of `HOLD_MS`, what is left, since when, and whether anything was read since. */
  #holdMs = HOLD_MS;
  #holdSinceMs = 0;
  #isRead = false;
  /** Writes that were dropped and not told of as a number yet. */
  #lost = 0;
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(stream: Writable, fd: number, title: string, notice: Notice) {
    this.#stream = stream;
    this.#fd = fd;
    this.#title = title;
    this.#notice = notice;
    const own = stream as unknown as Internals;
    const write = stream.write as (...args: unknown[]) => boolean;
    stream.write = ((...args: unknown[]) => {
      if (this.#hasRoom()) return Reflect.apply(write, stream, args);
      this.#lose('is not read');
      const callback = args.findLast((one) => typeof one === 'function') as (() => void) | undefined;
      if (callback) process.nextTick(callback);
      return false;
    }) as Writable['write'];
    own._write = (chunk: Buffer | string, encoding: BufferEncoding, written: () => void) => {
      this.#rest = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
      this.#written = written;
      this.flush();
    };
    own._writev = null;
  }

  get isWaiting(): boolean {
    return this.#rest !== undefined;
  }

  /** Writes what waits, as far as there is room. */
  flush(): void {
    clearTimeout(this.#retry);
    while (this.#rest) {
      const count = this.#tryWrite(this.#rest);
      if (count === undefined) return this.#tryLater();
      if (count < this.#rest.length) {
        this.#rest = this.#rest.subarray(count);
        continue;
      }
      this.#rest = undefined;
      this.#retryMs = RETRY_MS;
      // Node's stream hands over the next one in this very call, if there is one.
      this.#written();
    }
    if (this.#lost > 0 && this.#hasWritten && this.#stream.writableLength === 0) this.#tellLoss();
  }

  #hasRoom(): boolean {
    while (this.#stream.writableLength > OUTPUT_BYTES_MAX) {
      this.flush();
      if (this.#stream.writableLength <= OUTPUT_BYTES_MAX) return true;
      if (!this.#mayHold()) return false;
      Atomics.wait(PAUSE, 0, 0, 1);
    }
    return true;
  }

  #mayHold(): boolean {
    const now = performance.now();
    if (this.#holdMs === 0 && this.#isRead && now - this.#holdSinceMs > HOLD_EVERY_MS) {
      this.#holdMs = HOLD_MS;
      this.#isRead = false;
    }
    if (this.#holdMs === 0) return false;
    this.#holdMs--;
    this.#holdSinceMs = now;
    return true;
  }

  /** Bytes written; what cannot be written at all counts as lost, and as written. */
  #tryWrite(bytes: Buffer): number | undefined {
    try {
      const count = writeSync(this.#fd, bytes);
      this.#hasWritten = true;
      this.#isRead ||= count > 0;
      return count;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
      if (code === 'EAGAIN') return undefined;
      this.#hasWritten = false;
      this.#lose(`cannot be written (${code})`);
      return bytes.length;
    }
  }

  #tryLater(): void {
    // Holds the process, as what waits in Node's own streams does.
    this.#retry = setTimeout(() => this.flush(), this.#retryMs);
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS_MAX);
  }

  #lose(why: string): void {
    if (this.#lost++ === 0) this.#notice('warn', `${this.#title} ${why}: what the app prints is dropped`);
  }

  #tellLoss(): void {
    const now = performance.now();
    if (now - this.#toldMs < TOLD_MS) return;
    this.#toldMs = now;
    this.#notice('warn', `${this.#title} is taken again; ${this.#lost} writes of the app were dropped`);
    this.#lost = 0;
  }
}
