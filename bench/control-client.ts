/** A client of a control socket that costs as little as it can: one request repeated, answers counted by their lengths. */
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const ANSWERS_MS = 60_000;
const RETRY_MS = 20;

export class ControlClient {
  readonly #socket: net.Socket;
  readonly #request: Buffer;
  #kept: Buffer = Buffer.alloc(0);
  #answers = 0;
  #onAnswer: () => void = () => {};
  /** The body of the last answer. */
  last = '';

  private constructor(socket: net.Socket, command: string) {
    this.#socket = socket;
    const body = Buffer.from(JSON.stringify({ id: 1, command, args: [] }));
    const header = Buffer.alloc(4);
    header.writeUInt32BE(body.length);
    this.#request = Buffer.concat([header, body]);
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
  }

  static async connect(path: string, command: string): Promise<ControlClient> {
    const socket = net.connect(path);
    await once(socket, 'connect');
    return new ControlClient(socket, command);
  }

  close(): void {
    this.#socket.destroy();
  }

  /** One request after the other; how long each took, in microseconds. */
  async roundTrips(count: number): Promise<number[]> {
    const tookUs: number[] = [];
    for (let done = 0; done < count; done++) {
      const startedMs = performance.now();
      await this.pipelined(1, 1);
      tookUs.push((performance.now() - startedMs) * 1000);
    }
    return tookUs;
  }

  /** So many requests, `window` of them unanswered at a time. */
  pipelined(count: number, window: number): Promise<void> {
    this.#answers = 0;
    return new Promise((resolve, reject) => {
      let sent = 0;
      const limit =
        count > 1 ? setTimeout(() => reject(new Error('no answer in time')), ANSWERS_MS) : undefined;
      const fill = () => {
        const more = Math.min(count - sent, window - (sent - this.#answers));
        if (more > 0) this.#socket.write(Buffer.concat(Array(more).fill(this.#request)));
        sent += Math.max(0, more);
      };
      this.#onAnswer = () => {
        if (this.#answers < count) return fill();
        clearTimeout(limit);
        resolve();
      };
      fill();
    });
  }

  #read(bytes: Buffer): void {
    let unread = this.#kept.length === 0 ? bytes : Buffer.concat([this.#kept, bytes]);
    for (;;) {
      if (unread.length < 4) break;
      const end = 4 + unread.readUInt32BE(0);
      if (unread.length < end) break;
      this.#answers++;
      if (unread.length === end) this.last = unread.toString('utf8', 4, end);
      unread = unread.subarray(end);
    }
    this.#kept = unread;
    this.#onAnswer();
  }
}

/** A client of a socket that may not be there yet, or not listen yet; `check` throws when it is waited for no longer. */
export async function connected(path: string, command: string, check: () => void): Promise<ControlClient> {
  for (;;) {
    check();
    try {
      return await ControlClient.connect(path, command);
    } catch {
      await sleep(RETRY_MS);
    }
  }
}

/** Rejects where an answer does not come in time. */
export async function within<T>(answer: Promise<T>, limitMs: number): Promise<T> {
  let limit: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    limit = setTimeout(() => reject(new Error('no answer in time')), limitMs);
  });
  return await Promise.race([answer, late]).finally(() => clearTimeout(limit));
}
