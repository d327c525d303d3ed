/**
 * The inspector's thread, seen from the arbiter's main thread: starts it, has it told what happens, and carries out what it asks
 * for. It has a heap of its own, with a bound: what is told and who watches keeps the arbiter from nothing, and if it fails, the
 * arbiter goes on. The other side is `room.ts`.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { atUsualPriority } from '../../priority.ts';
import type { Redactor } from '../../redaction.ts';
import type { InspectedChildren } from '../children.ts';
import type { WatchOptions } from '../door/stage.ts';
import type { Source } from '../source.ts';
import { WATCHERS_MAX, type Watcher } from '../watchers.ts';
import { Courier } from './courier.ts';
import { FarWatchers } from './far-watchers.ts';
import {
  type FromThread,
  type Question,
  type Questions,
  SHARED,
  SHARED_BYTES,
  type ThreadStart,
  type ToThread,
} from './words.ts';

/** Beside this file's bundle in the package, or above its chunk; among what was built when the sources are run directly. */
const ENTRIES = import.meta.url.endsWith('.ts')
  ? ['../../../../dist/inspector-thread.js']
  : ['./inspector-thread.js', '../inspector-thread.js'];
/** Far above what the recent past and everything that is take, of servers of any size that were tried. */
const HEAP_MIB = { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 8 };
/** How long an answer is waited for. */
const ANSWER_MS = 10_000;
/** How long this process waits for what is to be written before it ends of a bug. */
const CRASH_MS = 1000;

export interface AnnexDeps {
  source: Source;
  children: InspectedChildren;
  redactor: Pick<Redactor, 'version' | 'values'>;
  version: string;
  app: string;
  command(words: readonly string[]): Promise<object>;
  bug(text: string): void;
  warn(text: string): void;
  /** The last of those who watch through this thread has left. */
  idle(): void;
  /** It has ended, and was not told to. */
  failed(why: string): void;
}

interface Asked {
  resolve(data: never): void;
  reject(error: Error): void;
  limit: NodeJS.Timeout;
}

export class Annex {
  readonly #deps: AnnexDeps;
  readonly #counters = new Int32Array(new SharedArrayBuffer(SHARED_BYTES));
  readonly #worker: Worker;
  readonly #far = new FarWatchers((message) => this.#post(message));
  readonly #asked = new Map<number, Asked>();
  #lastAsked = 0;
  #courier: Courier | undefined;
  #secretsVersion = -1;
  #isOver = false;

  /** Throws where Node's permissions forbid threads. */
  constructor(deps: AnnexDeps) {
    this.#deps = deps;
    const urls = ENTRIES.map((place) => new URL(place, import.meta.url));
    const entry = urls.find((url) => existsSync(fileURLToPath(url))) ?? urls[0]!;
    const { version, app, children } = deps;
    const workerData: ThreadStart = { counters: this.#counters.buffer, version, app };
    // Neither what the user has Node load into each process, nor the environment, is for this thread.
    this.#worker = started(entry, { workerData, execArgv: [], env: {}, resourceLimits: HEAP_MIB });
    this.#worker.on('message', (message: FromThread) => this.#heard(message));
    this.#worker.on('error', (error) => this.#failed(error.stack ?? error.message));
    this.#worker.on('exit', (code) => this.#failed(`it has ended with code ${code}`));
    this.#worker.unref();
    children.changed = () => this.#count();
    this.#count();
  }

  readonly watchersMax = WATCHERS_MAX;

  /** Whether no more may watch. */
  get isFull(): boolean {
    return Atomics.load(this.#counters, SHARED.watching) >= WATCHERS_MAX;
  }

  /** Begins to tell `watcher`, in a moment; what is returned ends it. */
  watch(watcher: Watcher, options: WatchOptions): () => void {
    if (this.#isOver) {
      watcher.end('it has ended');
      return () => {};
    }
    const stop = this.#far.add(watcher, options);
    return () => {
      stop();
      if (this.#far.count === 0) this.#deps.idle();
    };
  }

  get hasFarWatchers(): boolean {
    return this.#far.count > 0;
  }

  /** Rejects with the error of the other thread, its code included, where it cannot be done. */
  ask<Q extends Question>(question: Q, asks: Questions[Q]['asks']): Promise<Questions[Q]['answers']> {
    if (this.#isOver) return Promise.reject(new Error('the inspector has ended'));
    return new Promise((resolve, reject) => {
      const id = ++this.#lastAsked;
      const limit = setTimeout(() => {
        this.#asked.delete(id);
        reject(new Error(`the inspector's thread has not answered for ${ANSWER_MS / 1000} s`));
      }, ANSWER_MS);
      this.#asked.set(id, { resolve, reject, limit });
      this.#courier?.flush();
      this.#post({ type: 'ask', question, id, asks } as ToThread);
    });
  }

  /** Tells those who watch that it ends, and why; then the thread ends. */
  async close(reason: string): Promise<void> {
    if (this.#isOver) return;
    try {
      await this.ask('close', { reason });
    } catch (error) {
      this.#deps.warn(`the inspector has not ended in good order: ${(error as Error).message}`);
    }
    this.end();
  }

  /** The process ends at once: what is known is written down. */
  crash(): void {
    if (this.#isOver) return;
    this.#courier?.flush();
    this.#post({ type: 'crash' });
    Atomics.wait(this.#counters, SHARED.written, 0, CRASH_MS);
  }

  /** Ends the thread. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#detach();
    this.#deps.children.changed = undefined;
    for (const { limit, reject } of this.#asked.values()) {
      clearTimeout(limit);
      reject(new Error('the inspector has ended'));
    }
    this.#asked.clear();
    void this.#worker.terminate();
  }

  #failed(why: string): void {
    if (this.#isOver) return;
    this.#far.end('it failed');
    this.end();
    this.#deps.failed(why);
  }

  #heard(message: FromThread): void {
    if (this.#isOver) return;
    switch (message.type) {
      case 'attach':
        return this.#attach(message.epoch);
      case 'detach':
        return this.#detach();
      case 'again':
        return this.#deps.source.again(message.pid);
      case 'unknown':
        return this.#deps.children.unknown(message.pid, message.what);
      case 'carryOut':
        return this.#carryOut(message.id, message.words);
      case 'told':
        return this.#far.told(message.id, message.text);
      case 'ended':
        return this.#far.ended(message.id, message.reason);
      case 'bug':
        return this.#deps.bug(message.text);
      case 'warning':
        return this.#deps.warn(message.text);
      case 'answer':
        return this.#answered(message.id)?.resolve(message.data as never);
      case 'failed':
        return this.#answered(message.id)?.reject(
          Object.assign(new Error(message.error.message), { code: message.error.code }),
        );
    }
  }

  #answered(id: number): Asked | undefined {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    clearTimeout(asked?.limit);
    return asked;
  }

  #attach(epoch: number): void {
    this.#detach();
    const courier = new Courier({
      epoch,
      counters: this.#counters,
      post: (message, transfer) => this.#post(message, transfer),
      again: (pid) => this.#deps.source.again(pid),
    });
    this.#courier = courier;
    this.#deps.source.start(courier);
  }

  #detach(): void {
    this.#courier?.stop();
    this.#courier = undefined;
    this.#deps.source.stop();
  }

  #carryOut(id: number, words: readonly string[]): void {
    this.#deps
      .command(words)
      .then((data) => this.#post({ type: 'carried', id, data }))
      .catch((error: Error) => this.#post({ type: 'refused', id, error: error.message }));
  }

  /** What is secret is known there before anything that may hold it. */
  #post(message: ToThread, transfer: readonly ArrayBuffer[] = []): void {
    if (this.#isOver) return;
    const { redactor } = this.#deps;
    if (this.#secretsVersion !== redactor.version) {
      this.#secretsVersion = redactor.version;
      this.#worker.postMessage({ type: 'secrets', values: redactor.values } satisfies ToThread);
    }
    this.#worker.postMessage(message, transfer);
  }

  #count(): void {
    Atomics.store(this.#counters, SHARED.hasDirty, this.#deps.children.has('dirtyArbiter') ? 1 : 0);
  }
}

function started(entry: URL, options: WorkerOptions): Worker {
  try {
    return atUsualPriority(() => new Worker(entry, options));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_ACCESS_DENIED') throw error;
    throw new Error("it is a thread, which Node.js's permissions forbid: --allow-worker permits it");
  }
}
