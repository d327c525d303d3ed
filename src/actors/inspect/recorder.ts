/**
 * Keeps what happens in a file, for the time after a crash. Runs in the inspector's thread. The file is bounded: when it is half of
 * what may be kept, it becomes FILE.1, in place of the one before, and another begins with the state of that moment. What
 * was written survives the process; whoever kills it takes the last moment at most.
 */
import { openSync, renameSync } from 'node:fs';
import type { WatchOptions } from './door/stage.ts';
import { makeRoom, ORDERLY_END, olderFile } from './recording-names.ts';
import { Tape } from './tape.ts';
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
/** What may come between the order to begin another file and its beginning: a message, nearly. */
const MARGIN_BYTES = 288 * 1024;
/** At the end, for a disk that takes its time. */
const CLOSE_MS = 2000;
const MODE = 0o600;
/** What is no part of a recording. */
const PASSING = /^\{"type":"(?:live|bye)"/;
const KIND = /^\{"type":"(?<type>\w+)"(?:,"records":(?<records>\d+))?/;
const recordsIn = (message: string): number => (JSON.parse(message) as { records: unknown[] }).records.length;

export class Recorder {
  readonly #deps: RecorderDeps;
  #tape: Tape;
  /** The file before, as long as it is not written to its end. */
  #before: Tape | undefined;
  /** Of the state that the file begins with. */
  #beginningBytes = 0;
  /** Records that found no room. */
  #dropped = 0;
  #turning: NodeJS.Immediate | undefined;
  #isOver = false;
  #stop: () => void;

  /** What an earlier server left that ended without a word, if it did. */
  readonly kept: string | undefined;

  /** Throws where the file cannot be opened, or is no recording. */
  constructor(deps: RecorderDeps) {
    this.#deps = deps;
    this.kept = makeRoom(deps.file);
    this.#tape = this.#open();
    this.#stop = () => {};
    this.#stop = deps.stage.watch(
      this.#watcher((message) => this.#keep(message)),
      { controls: false, from: 'past' },
    );
  }

  /** Resolves when everything is written, or the disk takes too long. */
  async close(): Promise<void> {
    if (!this.#isOver) {
      this.#end();
      // Nothing is missing.
      this.#tape.append(Buffer.from(`${ORDERLY_END}\n`));
    }
    let limit: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      limit = setTimeout(resolve, CLOSE_MS);
    });
    await Promise.race([Promise.all([this.#before?.finish(), this.#tape.finish()]), late]);
    clearTimeout(limit);
  }

  /** Writes what waits while nothing else goes on any more. */
  crash(): void {
    this.#isOver = true;
    this.#before?.crash();
    this.#tape.crash();
  }

  #watcher(send: (message: string) => void): Watcher {
    const unreadBytes = (): number => this.#tape.unwrittenBytes + (this.#before?.unwrittenBytes ?? 0);
    return {
      get unreadBytes() {
        return unreadBytes();
      },
      unreadBytesMax: UNWRITTEN_BYTES_MAX,
      send,
      end: (reason) => this.#fail(reason),
    };
  }

  #keep(message: string): void {
    if (this.#isOver || PASSING.test(message)) return;
    const { type, records } = KIND.exec(message)!.groups as { type: string; records?: string };
    if (type === 'hello' || type === 'state') {
      // That of a moment after records were lost stands at the beginning of the next file.
      if (this.#dropped === 0) this.#append(message);
      return;
    }
    const bytes = Buffer.byteLength(message) + 1;
    // Where everything that is takes more than half of the file, most of what is written would be that.
    const most = Math.max(this.#deps.bytesMax / 2, 2 * this.#beginningBytes + MARGIN_BYTES);
    const after = this.#tape.bytes + bytes;
    if (type === 'lost') this.#dropped += Number(records);
    else if (this.#dropped > 0 || after > most) this.#dropped += recordsIn(message);
    else this.#tape.append(Buffer.from(`${message}\n`));
    if (this.#dropped > 0 || after > most - MARGIN_BYTES) this.#turning ??= setImmediate(() => this.#turn());
  }

  /** At the beginning of a file. */
  #append(message: string): void {
    const bytes = Buffer.from(`${message}\n`);
    this.#beginningBytes += bytes.length;
    this.#tape.append(bytes);
  }

  #open(): Tape {
    return new Tape(openSync(this.#deps.file, 'w', MODE), (error) => this.#fail(error.message));
  }

  /** The next file. It begins with everything that is by now. */
  #turn(): void {
    this.#turning = undefined;
    // Two files are enough, for a disk that is slow as well.
    if (this.#before) return;
    const first: string[] = [];
    let take = (message: string): void => void first.push(message);
    const stop = this.#stop;
    // The new one first: while nobody watches, nothing is inspected. What has been gathered by then is told to the old one.
    this.#stop = this.#deps.stage.watch(
      this.#watcher((message) => take(message)),
      { controls: false, from: 'now' },
    );
    stop();
    if (this.#isOver) return this.#stop();
    const old = this.#tape;
    try {
      renameSync(this.#deps.file, olderFile(this.#deps.file));
      this.#tape = this.#open();
    } catch (error) {
      return this.#fail((error as Error).message);
    }
    this.#before = old;
    void old.finish().then(() => {
      this.#before = undefined;
    });
    const [hello, ...state] = first.filter((message) => !PASSING.test(message));
    const lost = this.#dropped > 0 ? [`{"type":"lost","records":${this.#dropped}}`] : [];
    this.#dropped = 0;
    this.#beginningBytes = 0;
    take = (message) => this.#keep(message);
    for (const message of [hello!, ...lost, ...state]) this.#append(message);
  }

  #end(): void {
    this.#isOver = true;
    clearImmediate(this.#turning);
    this.#stop();
  }

  #fail(why: string): void {
    if (this.#isOver) return;
    this.#end();
    this.#deps.warn(`recording in ${this.#deps.file} has ended: ${why}`);
  }
}
