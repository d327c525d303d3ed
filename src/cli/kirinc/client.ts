/**
 * One connection to a control socket: requests out, answers in, each wait with a limit. It knows nothing of
 * commands; what a lost connection means to one is decided by the session.
 */
import net from 'node:net';
import { encodeFrame, FrameQueue, FrameTooLarge } from '../../actors/control/frames.ts';
import { type Data, isData } from './data.ts';
import {
  connectError,
  LostError,
  notControlSocket,
  protocolError,
  ShellError,
  timedOut,
  told,
  WireError,
} from './errors.ts';

export interface ClientLimits {
  /** How long an answer may take; one that waits on purpose has no limit as long as the server answers others. */
  answerMs: number;
  /** How often a server that lets wait is asked whether it is alive. */
  aliveMs: number;
}

export const LIMITS: ClientLimits = { answerMs: 30_000, aliveMs: 15_000 };

/** As large as a server can be told to answer (`--control-reply-max`). */
const REPLY_BYTES_MAX = 256 * 1024 * 1024;
/** A server whose backlog is full is tried again for so long. */
const BUSY_MS = 5000;
const BUSY_POLL_MS = 50;
/** Room for a path in the kernel's `sockaddr_un`, without the final zero. */
const PATH_BYTES_MAX = process.platform === 'linux' ? 107 : 103;

export interface AskOptions {
  /** Called for each frame before the final one; asks the server for them, and lifts the time limit. */
  onProgress?: (data: Data) => void;
}

export interface Asked {
  readonly id: number;
  /** The `data` of the answer. Rejects with a ShellError. */
  readonly answer: Promise<unknown>;
}

interface Pending {
  onProgress: ((data: Data) => void) | undefined;
  timer: NodeJS.Timeout;
  resolve(data: unknown): void;
  reject(error: ShellError): void;
}

export class Client {
  readonly #path: string;
  readonly #socket: net.Socket;
  readonly #limits: ClientLimits;
  readonly #frames = new FrameQueue(REPLY_BYTES_MAX);
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #understood = false;
  #fault: ShellError | undefined;

  private constructor(socket: net.Socket, path: string, limits: ClientLimits) {
    this.#socket = socket;
    this.#path = path;
    this.#limits = limits;
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
    socket.on('error', () => {}); // Followed by 'close'.
    socket.once('close', () => this.#onClosed());
  }

  /** Rejects with a ShellError that says what to check. */
  static async connect(path: string, limits = LIMITS): Promise<Client> {
    const endMs = performance.now() + Math.min(BUSY_MS, limits.answerMs);
    for (;;) {
      try {
        return new Client(await connected(path, limits), path, limits);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'EAGAIN' || performance.now() > endMs)
          throw error instanceof ShellError ? error : connectError(error as NodeJS.ErrnoException, path);
        await new Promise((resolve) => setTimeout(resolve, BUSY_POLL_MS));
      }
    }
  }

  get lost(): boolean {
    return this.#socket.destroyed || this.#socket.readableEnded;
  }

  /** Whether it has ever answered as a control socket does. */
  get understood(): boolean {
    return this.#understood;
  }

  ask(words: readonly string[], options: AskOptions = {}): Asked {
    const id = ++this.#lastId;
    const answer = new Promise<unknown>((resolve, reject) => {
      const { onProgress } = options;
      const timer = onProgress
        ? setInterval(() => this.#askWhetherAlive(), this.#limits.aliveMs)
        : setTimeout(() => this.#onLate(id), this.#limits.answerMs);
      this.#pending.set(id, { onProgress, timer, resolve, reject });
      if (this.lost) return this.#onClosed();
      this.#socket.write(encodeFrame({ id, ...wireWords(words), ...(onProgress ? { stream: true } : {}) }));
    });
    return { id, answer };
  }

  close(): void {
    this.#socket.destroy();
  }

  /** An answer of any kind will do; none at all ends the connection. */
  #askWhetherAlive(): void {
    this.ask(['show', 'version']).answer.catch(() => {});
  }

  #onLate(id: number): void {
    // A late answer to one request would be taken for nothing, but a server that hangs answers none of them.
    this.#fail(timedOut(this.#path, this.#limits.answerMs / 1000), this.#pending.get(id));
  }

  #read(bytes: Buffer): void {
    if (this.#fault) return;
    this.#frames.push(bytes);
    try {
      for (let body = this.#frames.next(); body; body = this.#frames.next()) this.#take(body);
    } catch (error) {
      if (!(error instanceof FrameTooLarge)) throw error;
      this.#violated(`a reply of ${error.bytes} bytes, the most that is read is ${REPLY_BYTES_MAX}`);
    }
  }

  #take(body: Buffer): void {
    let frame: unknown;
    try {
      frame = JSON.parse(body.toString());
    } catch {
      return this.#violated('a reply that is not JSON');
    }
    if (!isData(frame) || !['ok', 'error', 'progress'].includes(String(frame['status'])))
      return this.#violated('a reply without a status');
    this.#understood = true;
    const { id, status, data, error } = frame;
    const words = typeof error === 'string' ? error : 'the server gave no reason';
    // Without an id it is about the connection: a violated limit, or that it was idle for too long.
    if (id === null || id === undefined) {
      if (status === 'error') this.#fail(new WireError(words));
      return;
    }
    if (typeof id !== 'number' || !(id >= 1 && id <= this.#lastId))
      return this.#violated('an answer to a request that was not made');
    const pending = this.#pending.get(id);
    if (!pending) return;
    if (status === 'progress') return pending.onProgress?.(isData(data) ? data : {});
    this.#settle(id);
    if (status === 'ok') pending.resolve(data);
    else pending.reject(new WireError(words));
  }

  #violated(what: string): void {
    this.#fail(this.#understood ? protocolError(this.#path, what) : notControlSocket(this.#path));
  }

  /** Gives the connection up; `first` is told why, and so is everyone if it is not given. */
  #fail(fault: ShellError, first?: Pending): void {
    this.#fault = fault;
    const waiting = [...this.#pending.values()];
    for (const id of [...this.#pending.keys()]) this.#settle(id);
    first?.reject(fault);
    for (const one of waiting) one.reject(fault);
    this.#socket.destroy();
  }

  #settle(id: number): void {
    clearTimeout(this.#pending.get(id)?.timer);
    this.#pending.delete(id);
  }

  #onClosed(): void {
    if (this.#fault) this.#fail(this.#fault);
    else if (this.#frames.bytes > 0) this.#violated('the connection ended in the middle of a reply');
    else
      this.#fail(new LostError(told('Connection lost', this.#path, 'the server ended before it answered')));
  }
}

/** The words as they are where a shell would split them just so; else as separate texts. */
function wireWords(words: readonly string[]): { command: string; args: readonly string[] } {
  const plain = words.every((word) => /^[^\s'"\\]+$/.test(word));
  return plain ? { command: words.join(' '), args: [] } : { command: words[0] ?? '', args: words.slice(1) };
}

function connected(path: string, { answerMs }: ClientLimits): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const tooLong = Buffer.byteLength(path) > PATH_BYTES_MAX;
    if (tooLong) {
      const error = new Error('File name too long') as NodeJS.ErrnoException;
      return reject(Object.assign(error, { code: 'ENAMETOOLONG', errno: 0 }));
    }
    const socket = net.connect(path);
    const timer = setTimeout(() => {
      socket.destroy();
      reject(timedOut(path, answerMs / 1000));
    }, answerMs);
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve(socket);
    });
    socket.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
  });
}
