/**
 * A stream of frames between two processes: all that the client, the router and the runtime know of a transport. Runs
 * at every end. What a peer does wrong is told as the end of the channel, with the reason; nothing here throws.
 */
import type { Buffer } from 'node:buffer';

export interface ChannelHandlers {
  /**
   * A frame. Below `LARGE_BYTES` it is valid only until this returns; from there on it is the receiver's, and `more`
   * holds the buffers that follow the first, if it came in several.
   */
  frame(frame: Buffer, more: readonly Buffer[]): void;
  /** Nothing comes or goes any more. Said once, also after `close`. `broken`: the peer sent what is no frame. */
  ended(why: string, broken: boolean): void;
  /** Everything that was sent has been taken by the system, after it once had not. */
  drained?(): void;
}

export interface Channel {
  /** Begins to read. Until then nothing is lost. */
  open(handlers: ChannelHandlers): void;
  /**
   * Below `LARGE_BYTES` a frame is copied before this returns; from there on it is kept until it is written, and must
   * not be changed. Frames of one turn of the event loop leave together, but the first at once.
   */
  send(frame: Buffer, more?: readonly Buffer[]): void;
  /** Bytes that were sent and not yet taken by the system: what a peer that does not read costs. */
  readonly queuedBytes: number;
  readonly ended: boolean;
  /** Stops and continues reading. */
  pause(): void;
  resume(): void;
  /** Whether it keeps its process alive. */
  ref(): void;
  unref(): void;
  /** Ends it; what was sent before is still written, but for no longer than `CLOSE_MS`. */
  close(why?: string): void;
}

/** How long a peer may take to read what was sent before `close`. */
export const CLOSE_MS = 2000;
