/** A pair of channels in memory, for tests: bytes are copied as a socket would, and arrive when the test says so. */
import type { Channel, ChannelHandlers } from '../../src/actors/dirty/channel.ts';
import { LARGE_BYTES } from '../../src/actors/dirty/frames.ts';

export class MemoryChannel implements Channel {
  #peer: MemoryChannel | undefined;
  #handlers: ChannelHandlers | undefined;
  /** Frames on their way to this end. */
  #arriving: Buffer[] = [];
  #paused = false;
  #deliver: (work: () => void) => void;
  #why: string | undefined;
  #told = false;
  #peerClosed = false;
  isRef = true;

  constructor(deliver: (work: () => void) => void) {
    this.#deliver = deliver;
  }

  join(peer: MemoryChannel): void {
    this.#peer = peer;
  }

  open(handlers: ChannelHandlers): void {
    this.#handlers = handlers;
    this.#pump();
  }

  send(frame: Buffer, more: readonly Buffer[] = []): void {
    if (this.ended) return;
    this.#peer!.#arriving.push(Buffer.concat([frame, ...more]));
    this.#peer!.#pump();
  }

  get queuedBytes(): number {
    return this.#peer!.#arriving.reduce((sum, frame) => sum + frame.length, 0);
  }

  get ended(): boolean {
    return this.#why !== undefined;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#pump();
  }

  ref(): void {
    this.isRef = true;
  }

  unref(): void {
    this.isRef = false;
  }

  close(why = 'the connection was closed here'): void {
    if (this.ended) return;
    this.#why = why;
    this.#deliver(() => this.#end(false));
    const peer = this.#peer!;
    this.#deliver(() => peer.#endWhenRead());
  }

  /** As when the peer sent what is no frame. */
  break(why: string): void {
    if (this.ended) return;
    this.#why = why;
    this.#deliver(() => this.#end(true));
    const peer = this.#peer!;
    this.#deliver(() => peer.#endWhenRead());
  }

  #endWhenRead(): void {
    this.#peerClosed = true;
    if (this.#paused || !this.#handlers || this.#arriving.length > 0) return;
    this.#why ??= 'the other side closed the connection';
    this.#end(false);
  }

  #end(broken: boolean): void {
    if (this.#told) return;
    this.#told = true;
    this.#arriving = [];
    this.#handlers?.ended(this.#why!, broken);
  }

  #pump(): void {
    if (this.#arriving.length > 0 && this.#handlers) this.#deliver(() => this.#one());
    else if (this.#peerClosed) this.#deliver(() => this.#endWhenRead());
  }

  #one(): void {
    if (this.#paused || this.#why !== undefined || !this.#handlers) return;
    const frame = this.#arriving.shift();
    if (!frame) return;
    // In a buffer that is used again: what keeps a small frame without copying it reads rubbish later.
    const { frame: hear } = this.#handlers;
    hear(frame, []);
    if (frame.length < LARGE_BYTES) frame.fill(0xee);
    if (this.#arriving.length === 0) this.#peer!.#handlers?.drained?.();
    this.#pump();
  }
}

/** By default everything arrives in a microtask of its own. */
export function channelPair(
  deliver: (work: () => void) => void = queueMicrotask,
): [MemoryChannel, MemoryChannel] {
  const pair: [MemoryChannel, MemoryChannel] = [new MemoryChannel(deliver), new MemoryChannel(deliver)];
  pair[0].join(pair[1]);
  pair[1].join(pair[0]);
  return pair;
}
