/**
 * Keeps what happens in a file, for the time after a crash. Runs in the arbiter. The file is bounded: when it is half of
 * what may be kept, it becomes FILE.1, in place of the one before, and another begins with the state of that moment. What
 * was written survives the process; whoever kills it takes the last moment at most.
 */
import { closeSync, openSync, renameSync, write, writeSync } from 'node:fs';
import type { WatchOptions } from './door/stage.ts';
import { makeRoom, ORDERLY_END, olderFile } from './recording-names.ts';
import type { Watcher } from './watchers.ts';

export interface RecorderDeps {
  file: string;
  /** Of both files together. */
  bytesMax: number;
  stage: { watch(watcher: Watcher, options: WatchOptions): () => void };
  /** Called once where it cannot be written any more. */
  warn(text: string): void;
}

/** Messages that wait for a slow disk. */
const UNWRITTEN_BYTES_MAX = 1024 * 1024;
/** At the end, for a disk that takes its time. */
const CLOSE_MS = 2000;
const MODE = 0o600;
/** What is no part of a recording. */
const PASSING = /^\{"type":"(?:live|bye)"/;

export class Recorder implements Watcher {
  readonly unreadBytesMax = UNWRITTEN_BYTES_MAX;
  readonly #deps: RecorderDeps;
  #descriptor: number;
  #position = 0;
  /** What waits; the first is being written where `#writing` is true. */
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #writing = false;
  #turning = false;
  #isOver = false;
  #stop: () => void;
  #onIdle: (() => void) | undefined;

  /** What an earlier server left that ended without a word, if it did. */
  readonly kept: string | undefined;

  /** Throws where the file cannot be opened, or is no recording. */
  constructor(deps: RecorderDeps) {
    this.#deps = deps;
    this.kept = makeRoom(deps.file);
    this.#descriptor = openSync(deps.file, 'w', MODE);
    this.#stop = () => {};
    this.#stop = deps.stage.watch(this, { controls: false, from: 'past' });
  }

  get unreadBytes(): number {
    return this.#queuedBytes;
  }

  send(message: string): void {
    if (this.#isOver || PASSING.test(message)) return;
    const bytes = Buffer.from(`${message}\n`);
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    if (!this.#writing) this.#write();
  }

  /** The inspection has ended. */
  end(): void {
    if (this.#writing || this.#queue.length > 0) this.#onIdle ??= () => {};
  }

  /** Resolves when everything is written. */
  async close(): Promise<void> {
    this.#stop();
    if (this.#writing && !this.#isOver)
      await new Promise<void>((resolve) => {
        const limit = setTimeout(resolve, CLOSE_MS);
        this.#onIdle = () => {
          clearTimeout(limit);
          resolve();
        };
      });
    // A write that hangs still uses the descriptor, which ends with the process.
    if (!this.#writing && !this.#isOver) this.#sign();
    this.#isOver = true;
    if (!this.#writing) closeSync(this.#descriptor);
  }

  /** Writes what waits while nothing else goes on any more; what is being written is written once more at its place. */
  crash(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    try {
      writeSync(this.#descriptor, Buffer.concat(this.#queue), 0, this.#queuedBytes, this.#position);
    } catch {
      // There is nobody left to tell.
    }
  }

  /** Says that nothing is missing. */
  #sign(): void {
    try {
      writeSync(this.#descriptor, `${ORDERLY_END}\n`, this.#position);
    } catch {
      // A full disk; it looks like a crash then.
    }
  }

  #write(): void {
    const [bytes] = this.#queue;
    if (!bytes || this.#isOver) return this.#onIdle?.();
    this.#writing = true;
    write(this.#descriptor, bytes, 0, bytes.length, this.#position, (error, written) => {
      this.#writing = false;
      if (error) return this.#fail(error);
      this.#position += written;
      this.#queuedBytes -= written;
      if (written < bytes.length) this.#queue[0] = bytes.subarray(written);
      else this.#queue.shift();
      if (this.#isOver) return this.#onIdle?.();
      if (this.#queue.length === 0 && this.#position > this.#deps.bytesMax / 2) this.#turn();
      this.#write();
    });
  }

  /** The next file. It begins with everything that is by now. */
  #turn(): void {
    if (this.#turning) return;
    this.#turning = true;
    try {
      const { file } = this.#deps;
      renameSync(file, olderFile(file));
      const next = openSync(file, 'w', MODE);
      closeSync(this.#descriptor);
      this.#descriptor = next;
      this.#position = 0;
      const stop = this.#stop;
      // The new one first: while nobody watches, nothing is inspected.
      this.#stop = this.#deps.stage.watch(this, { controls: false, from: 'now' });
      stop();
    } catch (error) {
      this.#fail(error as Error);
    } finally {
      this.#turning = false;
    }
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stop();
    this.#deps.warn(`recording in ${this.#deps.file} has ended: ${error.message}`);
    this.#onIdle?.();
  }
}
