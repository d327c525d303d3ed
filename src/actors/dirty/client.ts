/**
 * How dirty apps are called. Runs in web workers, and in dirty workers whose actions call other apps; light, since it
 * is part of every start. One connection to the router, made by the first call; a call whose connection is lost ends
 * at once, and the next one connects again. Nothing is retried by itself; what a router that leaves hands back has not begun, and
 * is sent to the next one.
 */
import { Buffer } from 'node:buffer';
import { performance } from 'node:perf_hooks';
import { canonicalName } from './app-name.ts';
import { sendPieces } from './channel.ts';
import { nameOf, notFound, packed, timeoutOf } from './client-arguments.ts';
import { CREDIT, cancelled, type Pending, SingleCall, StreamCall } from './client-call.ts';
import { type Connect, type Line, openLine } from './client-connection.ts';
import { DirectLines, type OpenDirect } from './client-direct.ts';
import {
  type Entry,
  late,
  lostPayload,
  lostResult,
  ROUTER_GRACE_MS,
  restMs,
  takenBack,
} from './client-entry.ts';
import { appHandle } from './client-handle.ts';
import { WaitingPayload } from './client-payload.ts';
import { Signals } from './client-signals.ts';
import { DirtyConnectionError, type DirtyError, DirtyOverloadedError, DirtyPayloadError } from './errors.ts';
import {
  bareFrame,
  DIRECT_BYTES,
  FLAG_DIRECT,
  FLAG_STREAM,
  FRAME,
  flagsOf,
  HEADER_BYTES,
  idOf,
  numberOf,
  payloadBytesOf,
  setApp,
  setNumber,
  typeOf,
  UINT32_MAX,
  writeHeader,
} from './frames.ts';
import type { CallerHello } from './hello.ts';
import { joined } from './packing-pieces.ts';
import { connectChannel } from './socket-channel.ts';
import { Sweep } from './sweep.ts';
import type { AppHandle, CallOptions, Dirty } from './types.ts';

export interface DirtyClientOptions {
  connect: Connect;
  hello: CallerHello;
  /**
   * Opens the way to a worker for large payloads, by the address that the worker told the router. Default: a Unix socket where
   * `connect` is one; else everything goes through the router.
   */
  openDirect?: OpenDirect | undefined;
  /** Of a call that says nothing else, in milliseconds; 0: no limit. */
  defaultTimeoutMs: number;
  /** The signal of the call that is being answered, which ends those that its action makes. */
  outerSignal?: (() => AbortSignal | undefined) | undefined;
}

/** How long a question to the router itself may take, its grace aside. */
const REQUEST_MS = 8000;
/** Calls of one process that may be pending: far beyond what the queues of the router take. */
const PENDING_MAX = 100_000;

export class DirtyClient implements Dirty {
  readonly #options: DirtyClientOptions;
  readonly #openDirect: OpenDirect | undefined;
  #line: Line | undefined;
  /** Its router begins no call any more. */
  #isLineLeaving = false;
  /** Belongs to the line: the router that takes its place has other workers. */
  #direct: DirectLines | undefined;
  #opening: Promise<Line> | undefined;
  readonly #pending = new Map<number, Entry>();
  #id = 0;
  readonly #signals = new Signals<Entry>((entry, signal) => this.#fail(entry, cancelled(signal)));
  readonly #sweep = new Sweep(() => this.#look());
  #isClosed = false;

  constructor(options: DirtyClientOptions) {
    this.#options = options;
    this.#openDirect =
      options.openDirect ?? (typeof options.connect === 'string' ? connectChannel : undefined);
  }

  execute<R = unknown>(app: string, action: string, ...args: unknown[]): Promise<R> {
    return this.#execute({}, app, action, args) as Promise<R>;
  }

  stream<Y = unknown>(app: string, action: string, ...args: unknown[]): AsyncIterableIterator<Y> {
    return this.#stream({}, app, action, args) as AsyncIterableIterator<Y>;
  }

  with(options: CallOptions): Dirty {
    const bound: Dirty = {
      execute: (app, action, ...args) => this.#execute(options, app, action, args) as Promise<never>,
      stream: (app, action, ...args) =>
        this.#stream(options, app, action, args) as AsyncIterableIterator<never>,
      with: (more) => this.with({ ...options, ...more }),
      app: (name) => appHandle(bound, name),
    };
    return bound;
  }

  app<C extends abstract new (...args: never[]) => object>(name: string): AppHandle<C> {
    return appHandle<C>(this, name);
  }

  /** Asks the stash. The answer is a `result`'s payload; rejects with the error's. */
  askStash(payload: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
      frame.set(payload, HEADER_BYTES);
      const call = new SingleCall<Buffer>(resolve, reject, true);
      const entry = this.#enter(call, REQUEST_MS, undefined);
      if (!entry) return;
      writeHeader(frame, { type: FRAME.stash, id: entry.id });
      this.#send(entry, [frame]);
    });
  }

  /** How many calls are pending. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Ends the connection, and what is pending on it; no other is made. */
  close(): void {
    this.#isClosed = true;
    this.#sweep.stop();
    this.#line?.channel.close();
    this.#line = undefined;
    this.#direct?.close();
    this.#failAll(new DirtyConnectionError('the client was closed'));
  }

  // ── a call ────────────────────────────────────────────────────────────────────────────────────────────────────

  #execute(options: CallOptions, app: string, action: string, args: unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const call = new SingleCall(resolve, reject, false);
      this.#begin(call, 0, options, app, action, args);
    });
  }

  #stream(
    options: CallOptions,
    app: string,
    action: string,
    args: unknown[],
  ): AsyncIterableIterator<unknown> {
    let entry: Entry | undefined;
    const call: StreamCall<unknown> = new StreamCall({
      begin: () => {
        entry = this.#begin(call, FLAG_STREAM, options, app, action, args);
      },
      grant: (number, readBytes) => {
        if (entry?.isSent) this.#tell(bareFrame({ type: FRAME.credit, id: entry.id, number, readBytes }));
      },
      abandon: () => {
        if (entry) this.#abandon(entry);
      },
    });
    return call;
  }

  /** Throws where the caller's own arguments are wrong: inside a promise that is its rejection. */
  #begin(
    call: Pending,
    flags: number,
    options: CallOptions,
    app: string,
    action: string,
    args: unknown[],
  ): Entry | undefined {
    nameOf('app', app, './ml.js:Model');
    nameOf('action', action, 'predict');
    const timeoutMs = timeoutOf(options.timeoutMs ?? this.#options.defaultTimeoutMs);
    const signal = options.signal ?? this.#options.outerSignal?.();
    if (signal?.aborted) {
      call.failed(cancelled(signal));
      return undefined;
    }
    // Packed before anything waits: what is called with is what it was now.
    const pieces = packed(call, action, args);
    const entry = pieces && this.#enter(call, timeoutMs, signal);
    if (!entry) return undefined;
    const frame = pieces[0]!;
    const header = { type: FRAME.call, flags, id: entry.id, number: timeoutMs };
    writeHeader(frame, header, payloadBytesOf(frame));
    this.#send(entry, pieces, app, timeoutMs);
    return entry;
  }

  #enter(call: Pending, limitMs: number, signal: AbortSignal | undefined): Entry | undefined {
    if (this.#isClosed) {
      call.failed(new DirtyConnectionError('the client was closed'));
      return undefined;
    }
    if (this.#pending.size >= PENDING_MAX) {
      call.failed(new DirtyOverloadedError(`${PENDING_MAX} calls of this process are pending already`));
      return undefined;
    }
    do this.#id = this.#id >= UINT32_MAX ? 1 : this.#id + 1;
    while (this.#pending.has(this.#id));
    const entry: Entry = {
      id: this.#id,
      call,
      app: undefined,
      held: undefined,
      returns: 0,
      limitMs: limitMs === 0 ? Number.POSITIVE_INFINITY : performance.now() + limitMs,
      isOverdue: false,
      isSent: false,
      payload: undefined,
      from: undefined,
      signal,
    };
    if (signal) this.#signals.add(entry, signal);
    this.#pending.set(entry.id, entry);
    if (this.#pending.size === 1) this.#line?.channel.ref();
    if (limitMs !== 0) this.#sweep.arm();
    return entry;
  }

  /** What waits is kept as one frame: the pieces may change. */
  #send(entry: Entry, pieces: readonly Buffer[], app?: string, timeoutMs = 0): void {
    entry.app = app;
    if (this.#line && !(this.#isLineLeaving && app !== undefined))
      return this.#sendOn(this.#line, entry, pieces, app);
    const frame = pieces.length === 1 ? pieces[0]! : joined(pieces);
    if (this.#line) {
      entry.held = frame;
      return;
    }
    const calledMs = performance.now();
    this.#connected().then(
      (line) => {
        if (!this.#pending.has(entry.id)) return;
        // The time it took to connect was the call's.
        if (timeoutMs > 0)
          setNumber(frame, Math.max(1, Math.ceil(timeoutMs - (performance.now() - calledMs))));
        this.#sendOn(line, entry, [frame], app);
      },
      (error: DirtyError) => this.#fail(entry, error),
    );
  }

  #sendOn(line: Line, entry: Entry, pieces: readonly Buffer[], app: string | undefined): void {
    const frame = pieces[0]!;
    if (app !== undefined) {
      const number = line.apps.get(app) ?? line.apps.get(canonicalName(app));
      if (number === undefined) return this.#fail(entry, notFound(app, line.names));
      setApp(frame, number);
    }
    const bytes = payloadBytesOf(frame);
    if (bytes > line.frameBytesMax)
      return this.#fail(
        entry,
        new DirtyPayloadError(`${bytes} bytes, at most ${line.frameBytesMax} are sent`),
      );
    entry.isSent = true;
    entry.limitMs += ROUTER_GRACE_MS;
    if (bytes >= DIRECT_BYTES && this.#direct && app !== undefined) {
      const { last, isSure } = this.#direct;
      entry.payload = new WaitingPayload(pieces, last, isSure, (word) => line.channel.send(word));
    } else sendPieces(line.channel, pieces);
    if (entry.call instanceof StreamCall)
      line.channel.send(bareFrame({ type: FRAME.credit, id: entry.id, number: CREDIT }));
  }

  /** It has ended, one way or another. False when it had before. */
  #leave(entry: Entry): boolean {
    if (!this.#pending.delete(entry.id)) return false;
    entry.payload?.drop();
    entry.payload = entry.held = undefined;
    if (entry.signal) this.#signals.remove(entry, entry.signal);
    if (this.#pending.size === 0) this.#line?.channel.unref();
    return true;
  }

  /** Ends it here; the other side is told. */
  #fail(entry: Entry, error: DirtyError): void {
    this.#abandon(entry);
    entry.call.failed(error);
  }

  #abandon(entry: Entry): void {
    if (this.#leave(entry) && entry.isSent) this.#tell(bareFrame({ type: FRAME.cancel, id: entry.id }));
  }

  #tell(frame: Buffer): void {
    this.#line?.channel.send(frame);
  }

  // ── the connection ────────────────────────────────────────────────────────────────────────────────────────────

  #connected(): Promise<Line> {
    this.#opening ??= openLine(
      this.#options.connect,
      this.#options.hello,
      {
        frame: (frame, more) => this.#heard(frame, more),
        ended: (error) => {
          this.#line = undefined;
          this.#direct?.close();
          this.#direct = undefined;
          this.#isLineLeaving = false;
          for (const entry of [...this.#pending.values()])
            if (entry.held) this.#sendAgain(entry, entry.held);
            else this.#failOne(entry, error);
        },
      },
      () => this.#pending.size > 0,
    )
      .then((line) => {
        if (this.#isClosed) {
          line.channel.close();
          throw new DirtyConnectionError('the client was closed');
        }
        this.#line = line.channel.ended ? undefined : line;
        this.#direct = this.#line && this.#directLines(line.caller);
        if (this.#pending.size > 0) line.channel.ref();
        else line.channel.unref();
        return line;
      })
      .finally(() => {
        this.#opening = undefined;
      });
    return this.#opening;
  }

  #directLines(caller: number): DirectLines | undefined {
    if (!this.#openDirect || caller === 0) return undefined;
    const direct: DirectLines = new DirectLines(this.#openDirect, caller, {
      frame: (_worker, frame, more) => this.#heardDirectly(frame, more),
      ended: (worker) => {
        for (const entry of [...this.#pending.values()])
          if (entry.from === worker && direct === this.#direct) this.#fail(entry, lostResult());
      },
    });
    return direct;
  }

  /** Nothing but results comes that way: how else a call ends is the router's to say. */
  #heardDirectly(frame: Buffer, more: readonly Buffer[]): void {
    const entry = this.#pending.get(idOf(frame));
    if (entry && typeOf(frame) === FRAME.result && entry.call.heard(frame, more)) this.#leave(entry);
  }

  /** The router says where a worker is, and of a call that it waits there for its payload. */
  async #bring(frame: Buffer, more: readonly Buffer[]): Promise<void> {
    const entry = this.#pending.get(idOf(frame));
    let way = this.#direct?.to(frame, more);
    if (way instanceof Promise) way = await way;
    else if (way && entry?.payload) this.#direct?.brought(way, entry.payload.ageMs);
    const payload = entry?.payload;
    if (!payload) return;
    entry.payload = undefined;
    const to = way && !way.ended ? way : this.#line?.channel;
    if (to && !payload.bring(to)) this.#fail(entry, lostPayload());
  }

  #heard(frame: Buffer, more: readonly Buffer[]): void {
    if (typeOf(frame) === FRAME.direct) return void this.#bring(frame, more);
    const entry = this.#pending.get(idOf(frame));
    if (typeOf(frame) === FRAME.call) this.#isLineLeaving = true;
    // What comes after a cancellation crossed it on the way.
    if (!entry) return;
    if (typeOf(frame) === FRAME.call) return this.#takeBack(entry, frame, more);
    if (typeOf(frame) === FRAME.end && (flagsOf(frame) & FLAG_DIRECT) !== 0) {
      entry.from = numberOf(frame);
      if (!this.#direct?.has(entry.from)) this.#fail(entry, lostResult());
    } else if (entry.call.heard(frame, more)) this.#leave(entry);
  }

  /** It has not begun: it waits for the router to go, since the next one comes when this one has gone. */
  #takeBack(entry: Entry, frame: Buffer, more: readonly Buffer[]): void {
    const error = takenBack(entry, frame, more);
    if (error) this.#fail(entry, error);
  }

  #sendAgain(entry: Entry, frame: Buffer): void {
    entry.held = undefined;
    this.#send(entry, [frame], entry.app, restMs(entry));
  }

  #failOne(entry: Entry, error: DirtyError): void {
    if (this.#leave(entry)) entry.call.failed(error);
  }

  #failAll(error: DirtyError): void {
    for (const entry of [...this.#pending.values()]) this.#failOne(entry, error);
  }

  // ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The router ends calls in time; this is for a router that does not. */
  #look(): boolean {
    const now = performance.now();
    let isWatching = false;
    for (const entry of this.#pending.values()) {
      if (entry.limitMs === Number.POSITIVE_INFINITY) continue;
      isWatching = true;
      if (now < entry.limitMs) continue;
      if (entry.isOverdue) this.#fail(entry, late(entry));
      else entry.isOverdue = true;
    }
    return isWatching;
  }
}
