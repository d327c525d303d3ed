/**
 * One client of a control socket: its bytes, its requests, its limits. Runs in the arbiter. Whatever it sends is
 * answered or refused here; requests that only read never reach a machine.
 *
 * Nothing a client does may hold up another: frames are worked off for a few milliseconds at a time, and not while
 * the client leaves its answers unread.
 */
import { isUtf8 } from 'node:buffer';
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { ArbiterOrder } from '../../machines/events/arbiter.ts';
import type { ConnectionOrder, ConnectionReport } from '../../machines/events/control.ts';
import { Call, type CallHost, type RequestId } from './call.ts';
import { encodeFrame, FrameQueue, FrameTooLarge, frameOf } from './frames.ts';

export interface ConnectionLimits {
  requestBytesMax: number;
  replyBytesMax: number;
  /** Unanswered requests at once. */
  queue: number;
  /** 0: none. */
  idleMs: number;
}

/** A request as it was sent, its shape checked. */
export interface Request {
  command: string;
  args: string[];
}

export interface ConnectionDeps {
  limits: ConnectionLimits;
  readonly: boolean;
  /** Answers a request, now or later, through its call. */
  execute(request: Request, call: Call): void;
  /** A bug in answering: logged, and no reason to end anything. */
  bug(error: unknown): void;
  /** A frame as JSON, without secrets. */
  text(frame: object): string;
}

/** How long frames are worked off before others have their turn. */
const SLICE_MS = 4;
/** Unread answers above which no more requests are taken. */
const BACKLOG_BYTES_MAX = 1024 * 1024;
/** A client that leaves its answers unread for so long is given up. */
const STALL_MS = 30_000;
const ID_LENGTH_MAX = 256;

export class Connection implements CallHost {
  readonly #socket: Socket;
  readonly #deps: ConnectionDeps;
  readonly #frames: FrameQueue;
  readonly #running = new Map<number, Call>();
  #report: (event: ConnectionReport) => void = () => {};
  #idle: NodeJS.Timeout | undefined;
  #stall: NodeJS.Timeout | undefined;
  /** Nothing more is read: the client has finished, or was told that it has. */
  #deaf = false;
  #finished = false;
  #waiting = false;

  constructor(socket: Socket, deps: ConnectionDeps) {
    this.#socket = socket;
    this.#deps = deps;
    this.#frames = new FrameQueue(deps.limits.requestBytesMax);
  }

  get readonly(): boolean {
    return this.#deps.readonly;
  }

  get backlogBytes(): number {
    return this.#socket.writableLength;
  }

  /** Starts reading; `report` goes to the session machine. */
  open(report: (event: ConnectionReport) => void): void {
    const socket = this.#socket;
    this.#report = report;
    const { idleMs } = this.#deps.limits;
    if (idleMs > 0) this.#idle = setTimeout(() => this.#onIdle(), idleMs).unref();
    socket.on('data', (bytes: Buffer) => {
      if (this.#deaf) return;
      this.#idle?.refresh();
      this.#frames.push(bytes);
      this.#work();
    });
    socket.on('drain', () => {
      clearTimeout(this.#stall);
      this.#stall = undefined;
      this.#work();
    });
    socket.on('end', () => {
      this.#finished = true;
      this.#work();
    });
    // Followed by 'close'.
    socket.on('error', () => {});
    socket.once('close', () => this.#onClosed());
    if (socket.destroyed) this.#onClosed();
    else socket.resume();
  }

  obey(order: ConnectionOrder): void {
    switch (order.type) {
      case 'request.expire':
        return this.#running
          .get(order.ticket)
          ?.fail('Timed out: what was ordered goes on, but nobody waits for it any more');
      case 'connection.close':
        this.#deaf = true;
        for (const call of [...this.#running.values()]) call.fail('The connection is being closed');
        this.#socket.end();
        // What still comes is thrown away, so that the client's end is seen.
        this.#socket.resume();
        return;
      case 'connection.destroy':
        this.#socket.destroy();
        return;
    }
  }

  /** Its session is gone: only what is written already still goes out. */
  forget(): void {
    this.#deaf = true;
    this.#report = () => {};
    clearTimeout(this.#idle);
    clearTimeout(this.#stall);
  }

  send(frame: object): void {
    if (!this.#socket.writable) return;
    let bytes = frameOf(this.#deps.text(frame));
    if (bytes.length - 4 > this.#deps.limits.replyBytesMax) {
      const { id } = frame as { id: RequestId };
      const error = `The reply of ${bytes.length - 4} bytes is larger than allowed (--control-reply-max ${this.#deps.limits.replyBytesMax})`;
      bytes = encodeFrame(errorFrame(id, error));
    }
    this.#socket.write(bytes);
    this.#idle?.refresh();
  }

  order(ticket: number, order: ArbiterOrder): void {
    this.#report({ type: 'request.ordered', ticket, order });
  }

  began(call: Call, limited: boolean): void {
    this.#running.set(call.ticket, call);
    this.#report({ type: 'request.began', ticket: call.ticket, limited });
  }

  ended(call: Call): void {
    this.#running.delete(call.ticket);
    this.#report({ type: 'request.ended', ticket: call.ticket });
  }

  /** Ends the request of that id, if it is under way. */
  cancel(id: string): boolean {
    const call = [...this.#running.values()].find((one) => String(one.id) === id);
    call?.fail('Cancelled');
    return call !== undefined;
  }

  /** Works frames off until there are none, the client is too slow, or others should have their turn. */
  #work(): void {
    if (this.#waiting) return;
    const socket = this.#socket;
    const endMs = performance.now() + SLICE_MS;
    socket.cork();
    try {
      while (!this.#deaf) {
        if (socket.writableLength > BACKLOG_BYTES_MAX) {
          this.#awaitReader();
          break;
        }
        const body = this.#frames.next();
        if (!body) {
          socket.resume();
          this.#onWorkedOff();
          break;
        }
        this.#take(body);
        if (performance.now() > endMs) {
          this.#yield();
          break;
        }
      }
    } catch (error) {
      if (!(error instanceof FrameTooLarge)) throw error;
      const { requestBytesMax } = this.#deps.limits;
      this.#violated(
        null,
        `Message too large: ${error.bytes} bytes, the most allowed is ${requestBytesMax} (--control-request-max)`,
      );
    } finally {
      socket.uncork();
    }
  }

  #yield(): void {
    this.#socket.pause();
    this.#waiting = true;
    setImmediate(() => {
      this.#waiting = false;
      this.#work();
    });
  }

  #awaitReader(): void {
    this.#socket.pause();
    this.#stall ??= setTimeout(() => {
      this.#deaf = true;
      this.#report({ type: 'connection.violated' });
    }, STALL_MS).unref();
  }

  #onWorkedOff(): void {
    if (!this.#finished || this.#deaf) return;
    this.#deaf = true;
    if (this.#frames.bytes > 0) this.send(errorFrame(null, 'Incomplete message'));
    this.#report({ type: 'connection.finished' });
  }

  #take(body: Buffer): void {
    const read = readRequest(body);
    if ('error' in read) return this.send(errorFrame(read.id, read.error));
    const { queue } = this.#deps.limits;
    if (this.#running.size >= queue)
      return this.#violated(
        read.id,
        `Too many unanswered commands: the most allowed is ${queue} (--control-queue)`,
      );
    const call = new Call(read.id, read.stream, this);
    try {
      this.#deps.execute(read.request, call);
    } catch (error) {
      this.#deps.bug(error);
      call.fail('Internal error: this is a bug in Kirin, its log has more');
    }
  }

  #violated(id: RequestId, error: string): void {
    this.send(errorFrame(id, error));
    this.#deaf = true;
    this.#report({ type: 'connection.violated' });
  }

  #onIdle(): void {
    // Waiting for an answer, or for the client to read, is not idling; a stalled client has a limit of its own.
    if (this.#running.size > 0 || this.#stall) return void this.#idle?.refresh();
    const seconds = this.#deps.limits.idleMs / 1000;
    this.send(errorFrame(null, `Idle for ${seconds} s: the connection is closed (--control-idle-timeout)`));
    clearTimeout(this.#idle);
    this.#report({ type: 'connection.idled' });
  }

  #onClosed(): void {
    this.#deaf = true;
    clearTimeout(this.#idle);
    clearTimeout(this.#stall);
    for (const call of [...this.#running.values()]) call.abandon();
    this.#report({ type: 'connection.closed' });
  }
}

const errorFrame = (id: RequestId, error: string) => ({ id, status: 'error', error });

/** A request, or what is wrong with it; its id where that can be read. */
function readRequest(
  body: Buffer,
): { id: RequestId; request: Request; stream: boolean } | { id: RequestId; error: string } {
  if (!isUtf8(body)) return { id: null, error: 'Invalid message: not UTF-8' };
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    return { id: null, error: 'Invalid message: not JSON' };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { id: null, error: 'Invalid message: a request is an object with "id" and "command"' };
  const { id: given, command = '', args = [], stream = false } = value as Record<string, unknown>;
  const id = readId(given);
  if (typeof command !== 'string') return { id, error: 'Invalid message: "command" must be a text' };
  const isWord = (one: unknown) => typeof one === 'string' || typeof one === 'number';
  if (!Array.isArray(args ?? []) || !((args ?? []) as unknown[]).every(isWord))
    return { id, error: 'Invalid message: "args" must be a list of texts' };
  return {
    id,
    request: { command, args: ((args ?? []) as unknown[]).map(String) },
    stream: stream === true,
  };
}

function readId(given: unknown): RequestId {
  if (typeof given === 'number') return given;
  return typeof given === 'string' && given.length <= ID_LENGTH_MAX ? given : null;
}
