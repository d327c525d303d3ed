/**
 * A client of a control socket that speaks the wire by hand: what is sent may be whole frames or any bytes, and each
 * frame that comes is seen. Every wait has a deadline.
 */
import net from 'node:net';

/** Far longer than anything should take, so that a busy machine fails no test. */
const DEADLINE_MS = 30_000;

/** A frame as the server sent it. */
export interface ControlFrame {
  id: number | string | null;
  status: 'ok' | 'error' | 'progress';
  // biome-ignore lint/suspicious/noExplicitAny: each command's data is another.
  data?: any;
  error?: string;
}

/** The answer to one request, with what came before it. */
export interface ControlAnswer extends ControlFrame {
  progress: NonNullable<ControlFrame['data']>[];
}

export interface ControlAsking {
  id?: number | string;
  args?: string[];
  stream?: boolean;
  deadlineMs?: number;
}

/** Bytes as a frame. */
export function framed(body: string | Uint8Array): Buffer {
  const bytes = Buffer.from(body as string);
  const header = Buffer.alloc(4);
  header.writeUInt32BE(bytes.length);
  return Buffer.concat([header, bytes]);
}

/** A value as a frame. */
export const requestFrame = (request: unknown): Buffer => framed(JSON.stringify(request));

export class ControlClient {
  readonly socket: net.Socket;
  /** Every frame that has come, in order. */
  readonly frames: ControlFrame[] = [];
  /** The server has finished: nothing more comes. */
  ended = false;
  closed = false;
  /** Why the connection broke, if it did. */
  error: NodeJS.ErrnoException | undefined;
  /** What has come of the next frames, and how many bytes there must be to look again. */
  #pieces: Buffer[] = [];
  #unreadBytes = 0;
  #neededBytes = 4;
  #lastId = 0;
  readonly #waits = new Set<() => void>();

  private constructor(socket: net.Socket) {
    this.socket = socket;
    const note = (what: () => void) => () => {
      what();
      this.#look();
    };
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
    socket.on(
      'end',
      note(() => {
        this.ended = true;
      }),
    );
    socket.on('error', (error) => {
      this.error = error;
    });
    socket.on(
      'close',
      note(() => {
        this.closed = true;
      }),
    );
  }

  /** Resolves when the kernel has accepted the connection; the server may still refuse it. */
  static connect(path: string): Promise<ControlClient> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ path, allowHalfOpen: true });
      const client = new ControlClient(socket);
      socket.once('connect', () => resolve(client));
      socket.once('error', reject);
    });
  }

  /** Connects, asks once and leaves. */
  static async once(path: string, command: string, asking: ControlAsking = {}): Promise<ControlAnswer> {
    const client = await ControlClient.connect(path);
    try {
      return await client.ask(command, asking);
    } finally {
      client.destroy();
    }
  }

  /** Sends a command and waits for its final answer. */
  async ask(command: string, { id, args, stream, deadlineMs }: ControlAsking = {}): Promise<ControlAnswer> {
    const asked = id ?? `ask-${++this.#lastId}`;
    const from = this.frames.length;
    this.request({ id: asked, command, ...(args && { args }), ...(stream && { stream }) });
    const mine = () => this.frames.slice(from).filter((frame) => frame.id === asked);
    const final = await this.until(
      `"${command.slice(0, 60)}" is answered`,
      () => mine().find(({ status }) => status !== 'progress'),
      deadlineMs,
    );
    const progress = mine().flatMap(({ status, data }) => (status === 'progress' ? [data] : []));
    return { ...final, progress };
  }

  /** Sends a request of any shape as one frame, and waits for nothing. */
  request(request: unknown): this {
    return this.send(requestFrame(request));
  }

  /** Sends any bytes; resolves nothing, and what cannot be sent is lost. */
  send(bytes: Uint8Array): this {
    if (this.socket.writable) this.socket.write(bytes);
    return this;
  }

  /** Sends byte by byte, each in a write of its own. */
  async trickle(bytes: Uint8Array): Promise<void> {
    for (const byte of bytes)
      await new Promise<void>((resolve) =>
        this.socket.write(Uint8Array.of(byte), () => setImmediate(resolve)),
      );
  }

  /** Waits for the first frame that matches, those that have come already included. */
  async frame(what: string, matches: (frame: ControlFrame) => boolean): Promise<ControlFrame> {
    return await this.until(what, () => this.frames.find(matches));
  }

  /** Waits for the final answer to a request. */
  async answer(id: ControlFrame['id']): Promise<ControlFrame> {
    return await this.frame(`request ${id} is answered`, (one) => one.id === id && one.status !== 'progress');
  }

  /** Waits until the server has finished, or the connection is gone. */
  async end(): Promise<void> {
    await this.until('the server ends the connection', () => this.ended || this.closed);
  }

  /** The client sends no more, and still reads. */
  finish(): this {
    this.socket.end();
    return this;
  }

  /** Reads nothing from here on. */
  pause(): this {
    this.socket.pause();
    return this;
  }

  resume(): this {
    this.socket.resume();
    return this;
  }

  destroy(): void {
    this.socket.destroy();
  }

  /**
   * Waits until `condition` gives something true, looking whenever something has come; fails early when the connection
   * is gone.
   */
  until<T>(
    what: string,
    condition: () => T | undefined | false,
    deadlineMs = DEADLINE_MS,
  ): Promise<NonNullable<T>> {
    return new Promise((resolve, reject) => {
      const done = (end: () => void) => {
        clearTimeout(limit);
        this.#waits.delete(look);
        end();
      };
      const fail = (why: string) => done(() => reject(new Error(`${why} before ${what}\n${this.#tail()}`)));
      const look = () => {
        const value = condition();
        if (value) done(() => resolve(value as NonNullable<T>));
        else if (this.closed) fail(`the connection was closed (${this.error?.code ?? 'without error'})`);
      };
      const limit = setTimeout(() => fail(`${deadlineMs} ms went by`), deadlineMs);
      this.#waits.add(look);
      look();
    });
  }

  #read(bytes: Buffer): void {
    this.#pieces.push(bytes);
    this.#unreadBytes += bytes.length;
    if (this.#unreadBytes < this.#neededBytes) return;
    let unread = Buffer.concat(this.#pieces);
    const before = this.frames.length;
    for (;;) {
      this.#neededBytes = unread.length < 4 ? 4 : 4 + unread.readUInt32BE(0);
      if (unread.length < this.#neededBytes) break;
      this.frames.push(JSON.parse(unread.subarray(4, this.#neededBytes).toString()) as ControlFrame);
      unread = unread.subarray(this.#neededBytes);
    }
    this.#pieces = [unread];
    this.#unreadBytes = unread.length;
    if (this.frames.length > before) this.#look();
  }

  #look(): void {
    for (const look of [...this.#waits]) look();
  }

  #tail(): string {
    const last = this.frames.slice(-5).map((frame) => `  ${JSON.stringify(frame).slice(0, 300)}`);
    return `${this.frames.length} frames came, the last:\n${last.join('\n')}`;
  }
}
