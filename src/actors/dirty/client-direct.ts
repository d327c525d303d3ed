/**
 * A caller's own connections to dirty workers, for payloads that are too large to pass the router. Runs in web workers, and in
 * dirty workers whose actions call other apps. The router tells of a worker's door; who runs what stays the router's to say.
 * A connection that cannot be made costs nothing but speed: the payload then goes through the router, and is kept until the worker
 * has let this caller in.
 */
import type { Buffer } from 'node:buffer';
import { performance } from 'node:perf_hooks';
import type { Channel } from './channel.ts';
import {
  appOf,
  bareFrame,
  FLAG_DIRECT,
  FRAME,
  flagsOf,
  idOf,
  numberOf,
  payloadOf,
  typeOf,
} from './frames.ts';
import { DIRTY_PROTOCOL, type DirectHello, type Offer, offerOf } from './hello.ts';
import { packFrame, unpack } from './packing.ts';

export type OpenDirect = (address: string) => Promise<Channel>;

export interface DirectHandlers {
  /** A frame that the worker of that age sent. */
  frame(worker: number, frame: Buffer, more: readonly Buffer[]): void;
  /** Nothing comes any more from that worker on this way. */
  ended(worker: number): void;
}

/** How many workers at once; beyond it payloads go through the router. */
const CONNECTIONS_MAX = 256;
/** How long a worker may take to let it in before the payload goes through the router; it may compute just now. */
const WELCOME_MS = 1000;
/** So many payloads in a row were for the same worker before the next one is said to be. */
const SURE_HITS = 2;
/** After one that waited for long, as where the worker was busy, so many are not. */
const UNSURE_HITS = -32;
const LONG_MS = 10;
/** How long a worker that did not is left alone. */
const REFUSED_MS = 5000;

interface Way {
  readonly channel: Channel;
  /** The worker has said welcome: what is sent now arrives. */
  isIn: boolean;
}

export class DirectLines {
  readonly #open: OpenDirect;
  /** As the router numbers this caller. */
  readonly #caller: number;
  readonly #handlers: DirectHandlers;
  readonly #ways = new Map<number, Way>();
  /** Workers that went or let nobody in, and until when they are not tried; monotonic. */
  readonly #shut = new Map<number, number>();
  readonly #opening = new Map<number, Promise<Channel | undefined>>();
  #last: Channel | undefined;
  /** Whom the payload before was for, and how many in a row. */
  #before: Channel | undefined;
  #hits = 0;
  #isClosed = false;

  constructor(open: OpenDirect, caller: number, handlers: DirectHandlers) {
    this.#open = open;
    this.#caller = caller;
    this.#handlers = handlers;
  }

  /** Whether something may still come from that worker. */
  has(worker: number): boolean {
    return this.#ways.has(worker);
  }

  /** The way to the worker that the router last told of; undefined before the first. */
  get last(): Channel | undefined {
    return this.#last;
  }

  /** Whether the next payload is likely to be for that one as well, and soon. */
  get isSure(): boolean {
    return this.#hits >= SURE_HITS;
  }

  /** A payload was for that way, which there was already; it had waited so long for the router's word. */
  brought(way: Channel, waitedMs: number): void {
    if (waitedMs > LONG_MS) this.#hits = UNSURE_HITS;
    else if (way === this.#before) this.#hits++;
    else this.#hits = Math.min(this.#hits, 0);
    this.#before = way;
  }

  /**
   * The way that a `direct` frame tells of: a connection that there is, or that is made now; undefined when there can be none.
   * Never rejects.
   */
  to(frame: Buffer, more: readonly Buffer[]): Channel | Promise<Channel | undefined> | undefined {
    const offer = offerIn(payloadOf(frame, more));
    if (!offer) return undefined;
    const { worker } = offer;
    const way = this.#ways.get(worker);
    if (way?.isIn) {
      this.#last = way.channel;
      return way.channel;
    }
    let opening = this.#opening.get(worker);
    if (!opening && !way) {
      opening = this.#connect(offer).finally(() => this.#opening.delete(worker));
      this.#opening.set(worker, opening);
    }
    return opening;
  }

  close(): void {
    this.#isClosed = true;
    for (const { channel } of this.#ways.values()) channel.close();
  }

  async #connect(offer: Offer): Promise<Channel | undefined> {
    const isShut = performance.now() < (this.#shut.get(offer.worker) ?? 0);
    if (this.#isClosed || isShut || this.#ways.size >= CONNECTIONS_MAX) return undefined;
    let channel: Channel;
    try {
      channel = await this.#open(offer.address);
    } catch {
      return undefined;
    }
    if (!this.#isClosed) return await this.#enter(offer, channel);
    channel.close();
    return undefined;
  }

  /** Undefined where the worker does not let it in, or not soon; one that does so later is a way for those that come then. */
  #enter({ worker, secret }: Offer, channel: Channel): Promise<Channel | undefined> {
    return new Promise((resolve) => {
      const way: Way = { channel, isIn: false };
      // From here on results may come, though the welcome before them has not been read.
      this.#ways.set(worker, way);
      const limit = setTimeout(() => resolve(undefined), WELCOME_MS).unref();
      // What keeps the process alive is the call that waits on the router's connection.
      channel.unref();
      channel.open({
        frame: (frame, more) => {
          if (way.isIn) return this.#handlers.frame(worker, frame, more);
          if (typeOf(frame) !== FRAME.welcome) return channel.close('it is no worker of this version');
          clearTimeout(limit);
          way.isIn = true;
          resolve(channel);
        },
        ended: () => {
          clearTimeout(limit);
          resolve(undefined);
          this.#ways.delete(worker);
          this.#shut.set(worker, way.isIn ? Number.POSITIVE_INFINITY : performance.now() + REFUSED_MS);
          this.#handlers.ended(worker);
        },
      });
      const hello: DirectHello = { role: 'direct', protocol: DIRTY_PROTOCOL, caller: this.#caller, secret };
      channel.send(packFrame({ type: FRAME.hello }, hello));
    });
  }
}

/** What the router needs to know of a call whose payload it does not get. */
export const wordOf = (frame: Buffer): Buffer =>
  bareFrame({
    type: FRAME.call,
    flags: flagsOf(frame) | FLAG_DIRECT,
    app: appOf(frame),
    id: idOf(frame),
    number: numberOf(frame),
  });

/** A worker without a door is told of by an empty payload. */
function offerIn(payload: Buffer): Offer | undefined {
  try {
    return payload.length > 0 ? offerOf(unpack(payload)) : undefined;
  } catch {
    return undefined;
  }
}
