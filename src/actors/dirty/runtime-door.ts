/**
 * A dirty worker's door: callers bring large payloads here, and get large results, past the router. Runs in dirty workers. Who
 * comes shows what the router told it. Nothing here starts a call: a payload waits for the router's word, and the router's word
 * for its payload.
 */
import { Buffer } from 'node:buffer';
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { withUmask } from '../umask.ts';
import type { Channel } from './channel.ts';
import { bareFrame, FRAME, idOf, payloadOf, typeOf } from './frames.ts';
import { type Door, directHelloOf } from './hello.ts';
import { unpack } from './packing.ts';
import { acceptedChannel } from './socket-channel.ts';

/** Connections that have not said who they are: so many, for so long. */
const STRANGERS_MAX = 64;
const HELLO_MS = 10_000;
/** Connections of callers. */
const CALLERS_MAX = 4096;
const BACKLOG = 511;
/** How often it is looked whether callers have taken what was sent. */
const FLUSH_LOOK_MS = 5;

export interface DoorHandlers {
  /**
   * A payload of that caller's call. Its memory is the receiver's when it is large, and valid until this returns else. Where
   * enough of them wait, gives what resolves when there is room for more.
   */
  payload(
    caller: number,
    callerId: number,
    frame: Buffer,
    more: readonly Buffer[],
  ): Promise<void> | undefined;
  /** It is not to be kept any longer. */
  withdrawn(caller: number, callerId: number): void;
  /** Nothing comes any more from that caller. */
  callerGone(caller: number): void;
}

export class RuntimeDoor {
  readonly #handlers: DoorHandlers;
  readonly #secret = randomBytes(24).toString('base64url');
  readonly #channels = new Map<number, Channel>();
  readonly #strangers = new Set<Channel>();
  #server: Server | undefined;

  constructor(handlers: DoorHandlers) {
    this.#handlers = handlers;
  }

  /** Listens beside the router's socket; undefined when it cannot, which costs speed alone. */
  async open(path: string): Promise<Door | undefined> {
    const server = createServer({ pauseOnConnect: true }, (socket) =>
      this.enter(acceptedChannel(socket, { whole: true })),
    );
    this.#server = server;
    const isListening = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      withUmask(0o600, () => server.listen(path, BACKLOG, () => resolve(true)));
    });
    server.on('error', () => {});
    server.unref();
    return isListening ? { address: path, secret: this.#secret } : undefined;
  }

  /** The way to that caller; undefined when it has not come, or has gone. */
  to(caller: number): Channel | undefined {
    return this.#channels.get(caller);
  }

  /** Resolves when callers have been sent all that there is for them, or after `limitMs`. */
  async flushed(limitMs: number): Promise<void> {
    const untilMs = performance.now() + limitMs;
    const isBusy = (): boolean =>
      [...this.#channels.values()].some(({ queuedBytes, ended }) => queuedBytes > 0 && !ended);
    while (isBusy() && performance.now() < untilMs) await sleep(FLUSH_LOOK_MS);
  }

  close(): void {
    this.#server?.close();
    for (const channel of [...this.#strangers, ...this.#channels.values()]) channel.close();
  }

  /** A connection: it says itself whose it is. */
  enter(channel: Channel): void {
    if (this.#strangers.size >= STRANGERS_MAX || this.#channels.size >= CALLERS_MAX) return channel.close();
    this.#strangers.add(channel);
    const limit = setTimeout(() => channel.close('it has not said who it is'), HELLO_MS).unref();
    let caller: number | undefined;
    channel.open({
      frame: (frame, more) => {
        if (caller !== undefined) {
          if (typeOf(frame) === FRAME.cancel) return this.#handlers.withdrawn(caller, idOf(frame));
          if (typeOf(frame) !== FRAME.payload)
            return channel.close(`a frame of type ${typeOf(frame)} to a worker`);
          const room = this.#handlers.payload(caller, idOf(frame), frame, more);
          if (!room) return;
          channel.pause();
          void room.then(() => channel.resume());
          return;
        }
        caller = this.#callerIn(frame, more);
        if (caller === undefined || this.#channels.has(caller)) return channel.close('no caller');
        clearTimeout(limit);
        this.#strangers.delete(channel);
        this.#channels.set(caller, channel);
        // Until it hears this it keeps its payloads: one that is not let in goes through the router.
        channel.send(bareFrame({ type: FRAME.welcome }));
      },
      ended: () => {
        clearTimeout(limit);
        this.#strangers.delete(channel);
        if (caller === undefined || this.#channels.get(caller) !== channel) return;
        this.#channels.delete(caller);
        this.#handlers.callerGone(caller);
      },
    });
    channel.unref();
  }

  #callerIn(frame: Buffer, more: readonly Buffer[]): number | undefined {
    if (typeOf(frame) !== FRAME.hello) return undefined;
    try {
      const hello = directHelloOf(unpack(payloadOf(frame, more)));
      return hello && this.#knows(hello.secret) ? hello.caller : undefined;
    } catch {
      return undefined;
    }
  }

  #knows(secret: string): boolean {
    const [ours, theirs] = [Buffer.from(this.#secret), Buffer.from(secret)];
    return ours.length === theirs.length && timingSafeEqual(ours, theirs);
  }
}
