/**
 * The inspector's thread: the hub, the page's server and the recorder. Runs in the arbiter, beside its main thread, which gives
 * it what happens and carries out what pages order. The other side is `annex.ts`.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Redactor } from '../../redaction.ts';
import type { Door } from '../door/door.ts';
import { Hub } from '../hub.ts';
import type { Recorder } from '../recorder.ts';
import type { LocalRecord, ProcessKind } from '../records.ts';
import { unsealed } from './seal.ts';
import {
  type Counters,
  type FromThread,
  type Letter,
  type Questions,
  SHARED,
  type ThreadStart,
  type ToThread,
} from './words.ts';

interface Carried {
  resolve(data: object): void;
  reject(error: Error): void;
}

/** One who watches through the main thread. */
interface Far {
  unread: number;
  stop(): void;
}

export function runInspectorThread(): void {
  const port = parentPort!;
  const room = new Room(workerData as ThreadStart, (message) => port.postMessage(message));
  port.on('message', (message: ToThread) => room.take(message));
}

class Room {
  readonly #counters: Counters;
  readonly #post: (message: FromThread) => void;
  readonly #redactor = new Redactor();
  readonly #hub: Hub;
  readonly #carried = new Map<number, Carried>();
  readonly #far = new Map<number, Far>();
  #lastCarried = 0;
  #epoch = 0;
  #scope = 0;
  #door: Door | undefined;
  #recorder: Recorder | undefined;

  constructor({ counters, version, app }: ThreadStart, post: (message: FromThread) => void) {
    this.#counters = new Int32Array(counters);
    this.#post = post;
    this.#hub = new Hub({
      source: {
        start: () => post({ type: 'attach', epoch: ++this.#epoch }),
        stop: () => {
          this.#epoch++;
          post({ type: 'detach' });
        },
        again: (pid) => post({ type: 'again', pid }),
      },
      redactor: this.#redactor,
      version,
      app,
      hasDirty: () => Atomics.load(this.#counters, SHARED.hasDirty) === 1,
      counted: (watching) => void Atomics.store(this.#counters, SHARED.watching, watching),
      notice: (text) => post({ type: 'bug', text }),
      command: (words) => this.#carryOut(words),
    });
  }

  take(message: ToThread): void {
    switch (message.type) {
      case 'parcel':
        return this.#open(message);
      case 'secrets':
        return this.#learn(message.values);
      case 'watch':
        return this.#watch(message);
      case 'unwatch':
        return this.#unwatch(message.id);
      case 'read': {
        const far = this.#far.get(message.id);
        if (far) far.unread -= message.bytes;
        return this.#hub.pump();
      }
      case 'carried':
        return this.#over(message.id)?.resolve(message.data);
      case 'refused':
        return this.#over(message.id)?.reject(new Error(message.error));
      case 'crash':
        return this.#crash();
      case 'ask':
        return this.#ask(message);
    }
  }

  #open({ epoch, letters, bytes, weight }: ToThread & { type: 'parcel' }): void {
    let offset = 0;
    for (const letter of epoch === this.#epoch ? letters : []) {
      if ('frame' in letter) {
        this.#read(letter.pid, letter.process, bytes.subarray(offset, offset + letter.frame));
        offset += letter.frame;
      } else this.#hear(letter);
    }
    Atomics.add(this.#counters, SHARED.received, weight);
  }

  #read(pid: number, process: ProcessKind, body: Uint8Array): void {
    this.#hub.passLater({ pid, process }, body.length, () => {
      const report = unsealed(body);
      if (typeof report !== 'string') return report;
      this.#post({ type: 'unknown', pid, what: report });
      return undefined;
    });
  }

  #hear(letter: Exclude<Letter, { frame: number }>): void {
    if ('record' in letter) this.#hub.tell(JSON.parse(letter.record) as LocalRecord);
    else if ('log' in letter) this.#hub.log(letter.at, letter.level, letter.log);
    else if ('alive' in letter) this.#hub.alive(letter.alive);
    else if ('lost' in letter) this.#hub.lose(letter.pid, letter.lost);
    else this.#hub.failed({ stack: letter.failed });
  }

  /** What is secret no more may stand in what waits to be read. */
  #learn(values: readonly string[]): void {
    const before = this.#scope++;
    this.#redactor.adopt(this.#scope, values);
    this.#hub.afterRead(() => this.#redactor.forget(before));
  }

  #watch({ id, options, unreadBytesMax }: ToThread & { type: 'watch' }): void {
    const far: Far = { unread: 0, stop: () => {} };
    const end = (reason: string): void => {
      if (!this.#far.delete(id)) return;
      this.#post({ type: 'ended', id, reason });
      far.stop();
    };
    this.#far.set(id, far);
    if (this.#hub.isFull) return end('too many watch');
    const send = (text: string): void => {
      far.unread += text.length;
      this.#post({ type: 'told', id, text });
    };
    const watcher = {
      get unreadBytes() {
        return far.unread;
      },
      unreadBytesMax,
      send,
      end,
    };
    far.stop = this.#hub.watch(watcher, options);
    if (!this.#far.has(id)) far.stop();
  }

  #unwatch(id: number): void {
    const far = this.#far.get(id);
    this.#far.delete(id);
    far?.stop();
  }

  #carryOut(words: readonly string[]): Promise<object> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastCarried;
      this.#carried.set(id, { resolve, reject });
      this.#post({ type: 'carryOut', id, words });
    });
  }

  #over(id: number): Carried | undefined {
    const carried = this.#carried.get(id);
    this.#carried.delete(id);
    return carried;
  }

  #ask({ id, question, asks }: ToThread & { type: 'ask' }): void {
    const answered = (): Promise<unknown> => {
      switch (question) {
        case 'open':
          return this.#openDoor(asks);
        case 'record':
          return this.#record(asks);
        case 'close':
          return this.#close(asks);
      }
    };
    answered().then(
      (data) => this.#post({ type: 'answer', id, data }),
      (error: NodeJS.ErrnoException) => {
        const { message, code } = error;
        this.#post({ type: 'failed', id, error: { message, code } });
      },
    );
  }

  async #openDoor(asked: Questions['open']['asks']): Promise<Questions['open']['answers']> {
    const { openDoor } = await import('../door/door.ts');
    this.#door = await openDoor({ ...asked, stage: () => Promise.resolve(this.#hub) });
    return { url: this.#door.url };
  }

  async #record(asked: Questions['record']['asks']): Promise<Questions['record']['answers']> {
    const { Recorder: Made } = await import('../recorder.ts');
    const warn = (text: string): void => this.#post({ type: 'warning', text });
    this.#recorder = new Made({ ...asked, stage: this.#hub, warn });
    return { kept: this.#recorder.kept };
  }

  async #close({ reason }: Questions['close']['asks']): Promise<null> {
    // Whatever else ends a recording is worth a warning.
    this.#hub.flush();
    const recorded = this.#recorder?.close();
    this.#hub.end(reason);
    await Promise.all([this.#door?.close(), recorded]);
    return null;
  }

  #crash(): void {
    try {
      this.#hub.flush();
      this.#recorder?.crash();
    } finally {
      Atomics.store(this.#counters, SHARED.written, 1);
      Atomics.notify(this.#counters, SHARED.written);
    }
  }
}
