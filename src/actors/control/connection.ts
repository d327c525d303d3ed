/**
 * One client of a control socket: its bytes, its requests, its limits. Runs in the arbiter. Whatever it sends is
 * answered or refused here; requests that only read never reach a machine.
 *
 * Nothing a client does may hold up another: frames are worked off for a few milliseconds at a time, and not while
 * the client leaves its answers unread.
 */
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { ArbiterOrder } from '../../machines/events/arbiter.ts';
import type { ConnectionOrder, ConnectionReport } from '../../machines/events/control.ts';
import { type AnswerFrame, Call, type CallHost, type RequestId } from './call.ts';
import { FrameQueue, FrameTooLarge, frameOf } from './frames.ts';
import { type Request, readRequest } from './request.ts';

export interface ConnectionLimits {
  requestBytesMax: number;
  replyBytesMax: number;
  /** Unanswered requests at once. */
  queue: number;
  /** 0: none. */
  idleMs: number;
  /** A client that leaves its answers unread for so long is given up. Default 30 s. */
  stallMs?: number;
}

export interface ConnectionDeps {
  limits: ConnectionLimits;
  readonly: boolean;
  /** Answers a request, now or later, through its call. */
  execute(request: Request, call: Call): void;
  /** A bug in answering: logged, and no reason to end anything. */
  bug(error: unknown): void;
}

/** How long frames are worked off before others have their turn. */
const SLICE_MS = 4;
/** Unread answers above which no more requests are taken. */
const BACKLOG_BYTES_MAX = 1024 * 1024;
const STALL_MS = 30_000;
/** How often it is looked whether a client that sends no more is still there to read. */
const PROBE_MS = 1000;
const NOTHING = Buffer.alloc(0);

/** One command more than may wait for their answer at once. */
class QueueFull extends Error {}

export class Connection implements CallHost {
  readonly #socket: Socket;
  readonly #deps: ConnectionDeps;
  readonly #frames: FrameQueue;
  readonly #running = new Map<number, Call>();
  #report: (event: ConnectionReport) => void = () => {};
  #idle: NodeJS.Timeout | undefined;
  #stall: NodeJS.Timeout | undefined;
  #probe: NodeJS.Timeout | undefined;
  #opened = false;
  /** Nothing more is read: the client has finished, or was told that it has. */
  #deaf = false;
  #finished = false;
  #waiting = false;
  /** Until the rest of a frame has come. */
  #rest: NodeJS.Timeout | undefined;
  /** Bytes that the client had read when it was last looked at. */
  #takenBytes = 0;

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

  /** Whether it has a session, or had one. */
  get opened(): boolean {
    return this.#opened;
  }

  /** Starts reading; `report` goes to the session machine. */
  open(report: (event: ConnectionReport) => void): void {
    const socket = this.#socket;
    this.#report = report;
    this.#opened = true;
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

  /** A bug in it ends this connection and nothing else. */
  obey(order: ConnectionOrder): void {
    try {
      this.#obey(order);
    } catch (error) {
      this.#onBug(error);
    }
  }

  #obey(order: ConnectionOrder): void {
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
    this.#stopTimers();
  }

  send(frame: AnswerFrame): boolean {
    if (!this.#socket.writable) return true;
    const { replyBytesMax } = this.#deps.limits;
    const text = JSON.stringify(frame);
    const bytes = Buffer.byteLength(text);
    if (bytes <= replyBytesMax) return this.#write(text);
    // Only the final answer may end the request.
    if (frame.status === 'progress') return false;
    const error = `The reply of ${bytes} bytes is larger than allowed (--control-reply-max ${replyBytesMax})`;
    return this.#write(JSON.stringify(errorFrame(frame.id, error)));
  }

  sendProgress(id: RequestId, data: string): boolean {
    if (!this.#socket.writable) return true;
    const text = `{"id":${JSON.stringify(id)},"status":"progress","data":${data}}`;
    return Buffer.byteLength(text) <= this.#deps.limits.replyBytesMax && this.#write(text);
  }

  #write(text: string): true {
    this.#socket.write(frameOf(text));
    this.#idle?.refresh();
    return true;
  }

  order(ticket: number, order: ArbiterOrder): void {
    this.#report({ type: 'request.ordered', ticket, order });
  }

  began(call: Call, limited: boolean): void {
    if (this.#running.size >= this.#deps.limits.queue) throw new QueueFull();
    this.#running.set(call.ticket, call);
    this.#report({ type: 'request.began', ticket: call.ticket, limited });
  }

  ended(call: Call): void {
    this.#running.delete(call.ticket);
    this.#report({ type: 'request.ended', ticket: call.ticket });
  }

  /** Ends the request of that id, if it is under way. */
  cancel(id: string): boolean {
    const call = [...this.#running.values()].find((one) => one.id !== null && String(one.id) === id);
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
          this.#awaitRest();
          socket.resume();
          this.#onWorkedOff();
          break;
        }
        this.#stopWaitingForRest();
        this.#take(body);
        if (performance.now() > endMs) {
          this.#yield();
          break;
        }
      }
    } catch (error) {
      if (!(error instanceof FrameTooLarge)) return this.#onBug(error);
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

  /** A frame that has begun has a limit of its own: a byte now and then is no sign of life. */
  #awaitRest(): void {
    if (this.#frames.bytes === 0) return this.#stopWaitingForRest();
    this.#rest ??= setTimeout(() => {
      const seconds = this.#frameMs / 1000;
      this.#violated(null, `Incomplete message: its rest did not come within ${seconds} s`);
    }, this.#frameMs).unref();
  }

  #stopWaitingForRest(): void {
    clearTimeout(this.#rest);
    this.#rest = undefined;
  }

  get #frameMs(): number {
    const { idleMs, stallMs = STALL_MS } = this.#deps.limits;
    return idleMs > 0 ? Math.min(idleMs, stallMs) : stallMs;
  }

  /** As long as it reads at all it may take its time. */
  #awaitReader(): void {
    this.#socket.pause();
    this.#stall ??= setTimeout(() => {
      this.#stall = undefined;
      const taken = this.#socket.bytesWritten - this.#socket.writableLength;
      if (taken > this.#takenBytes) {
        this.#takenBytes = taken;
        return this.#awaitReader();
      }
      this.#deaf = true;
      this.#report({ type: 'connection.violated' });
    }, this.#deps.limits.stallMs ?? STALL_MS).unref();
  }

  #onWorkedOff(): void {
    if (!this.#finished || this.#deaf) return;
    this.#deaf = true;
    if (this.#frames.bytes > 0) this.send(errorFrame(null, 'Incomplete message'));
    this.#report({ type: 'connection.finished' });
    if (this.#running.size > 0) this.#probe = setInterval(() => this.#lookForReader(), PROBE_MS).unref();
  }

  /** One that has left altogether looks like one that only sends no more, until something is written to it. */
  #lookForReader(): void {
    if (this.#socket.writable && this.#socket.writableLength === 0) this.#socket.write(NOTHING);
  }

  #take(body: Buffer): void {
    const read = readRequest(body);
    if ('error' in read) return void this.send(errorFrame(read.id, read.error));
    const call = new Call(read.id, read.stream, this);
    try {
      this.#deps.execute(read.request, call);
    } catch (error) {
      if (error instanceof QueueFull) return this.#onQueueFull(call);
      this.#deps.bug(error);
      call.fail('Internal error: this is a bug in Kirin, its log has more');
    }
  }

  #onQueueFull(call: Call): void {
    const { queue } = this.#deps.limits;
    call.abandon();
    this.#violated(call.id, `Too many unanswered commands: the most allowed is ${queue} (--control-queue)`);
  }

  /** A bug: told, and this connection ends. */
  #onBug(error: unknown): void {
    this.#deps.bug(error);
    this.#deaf = true;
    this.#socket.destroy();
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
    this.#stopTimers();
    for (const call of [...this.#running.values()]) call.abandon();
    this.#report({ type: 'connection.closed' });
  }

  #stopTimers(): void {
    clearTimeout(this.#idle);
    clearTimeout(this.#stall);
    clearTimeout(this.#rest);
    clearInterval(this.#probe);
  }
}

const errorFrame = (id: RequestId, error: string): AnswerFrame => ({ id, status: 'error', error });
