/**
 * A caller's own connections to dirty workers, for payloads that are too large to pass the router. Runs in web workers, and in
 * dirty workers whose actions call other apps. The router tells of a worker's door; who runs what stays the router's to say.
 * A connection that cannot be made costs nothing but speed: the payload then goes through the router.
 */
import type { Buffer } from 'node:buffer';
import type { Channel } from './channel.ts';
import { appOf, bareFrame, FLAG_DIRECT, FRAME, flagsOf, idOf, numberOf, payloadOf } from './frames.ts';
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

export class DirectLines {
  readonly #open: OpenDirect;
  /** As the router numbers this caller. */
  readonly #caller: number;
  readonly #handlers: DirectHandlers;
  readonly #channels = new Map<number, Channel>();
  /** Workers that went: what they had sent by then has come, and nothing else will. */
  readonly #ended = new Set<number>();
  readonly #opening = new Map<number, Promise<Channel | undefined>>();
  #isClosed = false;

  constructor(open: OpenDirect, caller: number, handlers: DirectHandlers) {
    this.#open = open;
    this.#caller = caller;
    this.#handlers = handlers;
  }

  /** Whether something may still come from that worker. */
  has(worker: number): boolean {
    return this.#channels.has(worker);
  }

  /**
   * The way that a `direct` frame tells of: a connection that there is, or that is made now; undefined when there can be none.
   * Never rejects.
   */
  to(frame: Buffer, more: readonly Buffer[]): Channel | Promise<Channel | undefined> | undefined {
    const offer = offerIn(payloadOf(frame, more));
    if (!offer) return undefined;
    const { worker } = offer;
    const channel = this.#channels.get(worker);
    if (channel) return channel;
    let opening = this.#opening.get(worker);
    if (!opening) {
      opening = this.#connect(offer).finally(() => this.#opening.delete(worker));
      this.#opening.set(worker, opening);
    }
    return opening;
  }

  close(): void {
    this.#isClosed = true;
    for (const channel of this.#channels.values()) channel.close();
  }

  async #connect({ worker, address, secret }: Offer): Promise<Channel | undefined> {
    if (this.#isClosed || this.#ended.has(worker) || this.#channels.size >= CONNECTIONS_MAX) return undefined;
    let channel: Channel;
    try {
      channel = await this.#open(address);
    } catch {
      return undefined;
    }
    if (this.#isClosed) {
      channel.close();
      return undefined;
    }
    this.#channels.set(worker, channel);
    // What keeps the process alive is the call that waits on the router's connection.
    channel.unref();
    channel.open({
      frame: (frame, more) => this.#handlers.frame(worker, frame, more),
      ended: () => {
        this.#channels.delete(worker);
        this.#ended.add(worker);
        this.#handlers.ended(worker);
      },
    });
    const hello: DirectHello = { role: 'direct', protocol: DIRTY_PROTOCOL, caller: this.#caller, secret };
    channel.send(packFrame({ type: FRAME.hello }, hello));
    return channel;
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
