/**
 * A log transport of the user's, as the log sees it. Runs in the arbiter; loaded only where a setting names one. The transport itself is
 * in a thread of its own: one that hangs, throws or is slow holds up nothing. What it has not taken yet waits within a bound, what
 * is beyond is counted and told, and a thread that has ended is followed by another one.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { FaultError } from '../fault-error.ts';
import { LogSink } from '../log-sink.ts';
import { Losses } from '../losses.ts';
import { atUsualPriority } from '../priority.ts';
import type { FromThread, ThreadData, ToThread } from './words.ts';

/** Lines that wait, those included that the thread has and did not take yet. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;
/** How long a module may take to load. */
const LOAD_MS = 10_000;
/** Until the next thread, at first and at last; one that has lived longer than the latter is forgiven. */
const AGAIN_MS = 1000;
const AGAIN_MS_MAX = 60_000;
/** One that has lines and takes none for so long is taken for dead. */
const STUCK_MS = 60_000;
/** At the end, for what is still to be taken. */
const END_MS = 1000;
const HEAP_MIB = { maxOldGenerationSizeMb: 256 };
/** Beside this file's bundle in the package, or above its chunk. */
const ENTRIES = ['./log-transport.js', '../log-transport.js'];
/** Names of packages are looked up from the user's directory. What the user has Node load into the arbiter is not for this thread. */
const EXEC_ARGV = ['--experimental-import-meta-resolve'];

export interface TransportOptions extends ThreadData {
  /** Told of a thread that has ended, and of lines that were lost. */
  notice(text: string): void;
  /** Default 60,000. */
  stuckMs?: number;
  /** What the thread runs; default: where it lies in the package. */
  entry?: URL;
}

export class LogTransport {
  readonly #options: TransportOptions;
  readonly #losses: Losses;
  #thread: Worker | undefined;
  /** Ends the thread. */
  #end: ((why: string) => void) | undefined;
  #isReady = false;
  #readyMs = 0;
  #waiting: string[] = [];
  /** The bytes of each line that the thread has and did not take yet. */
  #given: number[] = [];
  #pendingBytes = 0;
  #againMs = AGAIN_MS;
  #again: NodeJS.Timeout | undefined;
  /** Runs while the thread has lines. */
  #stuck: NodeJS.Timeout | undefined;
  #isEnding = false;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#losses = new Losses((lost) =>
      options.notice(
        `${lost} log line${lost === 1 ? '' : 's'} did not get through the log transport ${options.module}`,
      ),
    );
  }

  /** Resolves when the module is loaded. Throws FaultError `settings.invalid`. */
  open(): Promise<void> {
    return new Promise((resolve, reject) =>
      this.#start(resolve, (why) => {
        this.#isEnding = true;
        reject(new FaultError('settings.invalid', `--log-transport ${this.#options.module}: ${why}`));
      }),
    );
  }

  /** Never throws, never waits. */
  send(json: string): void {
    if (this.#isEnding) return;
    const bytes = Buffer.byteLength(json);
    if (this.#pendingBytes + bytes > WAITING_BYTES_MAX) return this.#losses.add(1);
    this.#pendingBytes += bytes;
    if (this.#isReady) this.#give(json, bytes);
    else this.#waiting.push(json);
  }

  /** Resolves when all is taken, or soon. */
  async end(): Promise<void> {
    this.#isEnding = true;
    clearTimeout(this.#again);
    this.#losses.end();
    const thread = this.#thread;
    if (!thread) return;
    if (this.#isReady)
      await new Promise<void>((resolve) => {
        const limit = setTimeout(resolve, END_MS);
        thread.once('exit', () => {
          clearTimeout(limit);
          resolve();
        });
        this.#say({ type: 'end' });
      });
    await thread.terminate();
  }

  /** Calls one of the two, once. */
  #start(ready: () => void, failed: (why: string) => void): void {
    const { module, url, from } = this.#options;
    const workerData: ThreadData = { module, url, from };
    const thread = atUsualPriority(
      () =>
        new Worker(this.#options.entry ?? entryFile(), {
          workerData,
          execArgv: EXEC_ARGV,
          resourceLimits: HEAP_MIB,
          stdout: true,
          stderr: true,
        }),
    );
    let why: string | undefined;
    const end = (reason: string) => {
      why ??= reason;
      void thread.terminate();
    };
    const late = setTimeout(() => end(`it did not load within ${LOAD_MS / 1000} s`), LOAD_MS);
    this.#thread = thread;
    this.#end = end;
    thread.unref();
    printsOf(thread);
    thread.on('message', (word: FromThread) => {
      if (word.type === 'failed') end(word.why);
      else if (word.type === 'taken') this.#taken();
      else {
        clearTimeout(late);
        this.#opened();
        ready();
      }
    });
    thread.on('error', (error: unknown) => {
      why ??= error instanceof Error ? error.message : String(error);
    });
    thread.once('exit', (code) => {
      clearTimeout(late);
      this.#unstick();
      this.#thread = undefined;
      const wasReady = this.#isReady;
      this.#isReady = false;
      if (!this.#isEnding) this.#losses.add(this.#given.length);
      this.#pendingBytes -= this.#given.reduce((sum, bytes) => sum + bytes, 0);
      this.#given = [];
      const reason = (why ?? `its thread ended with ${code}`).split('\n', 1)[0]!;
      if (!wasReady) failed(reason);
      else if (!this.#isEnding) this.#ended(reason);
    });
  }

  #opened(): void {
    this.#isReady = true;
    this.#readyMs = performance.now();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const json of waiting) this.#give(json, Buffer.byteLength(json));
  }

  #ended(why: string): void {
    if (performance.now() - this.#readyMs > AGAIN_MS_MAX) this.#againMs = AGAIN_MS;
    this.#retry(why);
  }

  #retry(why: string): void {
    const ms = this.#againMs;
    this.#againMs = Math.min(2 * ms, AGAIN_MS_MAX);
    this.#options.notice(
      `the log transport ${this.#options.module} has ended: ${why}; it is started again in ${ms / 1000} s`,
    );
    this.#again = setTimeout(
      () =>
        this.#start(
          () => {},
          (reason) => !this.#isEnding && this.#retry(reason),
        ),
      ms,
    ).unref();
  }

  #give(json: string, bytes: number): void {
    this.#given.push(bytes);
    this.#say({ type: 'line', json });
    const { stuckMs = STUCK_MS } = this.#options;
    this.#stuck ??= setTimeout(() => this.#end?.(`it took nothing for ${stuckMs / 1000} s`), stuckMs).unref();
  }

  #taken(): void {
    this.#pendingBytes -= this.#given.shift() ?? 0;
    if (this.#given.length > 0) this.#stuck?.refresh();
    else this.#unstick();
  }

  #unstick(): void {
    clearTimeout(this.#stuck);
    this.#stuck = undefined;
  }

  #say(word: ToThread): void {
    this.#thread?.postMessage(word);
  }
}

function entryFile(): URL {
  const urls = ENTRIES.map((place) => new URL(place, import.meta.url));
  return urls.find((url) => existsSync(fileURLToPath(url))) ?? urls[0]!;
}

/** What the module prints goes to standard error, in such a way that nobody who does not read it holds up the arbiter. */
function printsOf({ stdout, stderr }: Worker): void {
  let sink: LogSink | undefined;
  for (const stream of [stdout, stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      sink ??= new LogSink('-');
      sink.write(text.replace(/\n$/, ''));
    });
}
