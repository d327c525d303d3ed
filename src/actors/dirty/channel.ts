/**
 * A stream of frames between two processes: all that the client, the router and the runtime know of a transport. Runs
 * at every end. What a peer does wrong is told as the end of the channel, with the reason; nothing here throws.
 */
import type { Buffer } from 'node:buffer';
import { joined } from './packing-pieces.ts';

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
  /**
   * Sends a large frame so that all of it has been copied when this returns. False where that cannot be: nothing was sent, and the
   * frame is to be sent in memory of its own.
   */
  sendNow?(frame: Buffer, more: readonly Buffer[]): boolean;
  /**
   * Lays a large frame where the other end can read it, but does not say so yet; undefined where that cannot be. With `announced` it
   * says so at once where the other end has nothing else to take, which then reads it while it is laid; called in between.
   */
  lay?(frame: Buffer, more: readonly Buffer[], announced?: () => void): LaidFrame | undefined;
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

/** A frame that the other end could read, if it knew. One of these ends it. */
export interface LaidFrame {
  /** The other end was told when it was laid, and has it in hand: it is to be told, too, if it is not to have it. */
  readonly isSent: boolean;
  /** Sends it, if it was sent before once more; false where it lies there no more. */
  send(): boolean;
  /** In memory of its own again; undefined when it is lost. */
  take(): Buffer | undefined;
  /** The other end has it, or nobody wants it. */
  release(): void;
}

/** Sends a frame in pieces that may change after this turn. */
export function sendPieces(channel: Pick<Channel, 'send' | 'sendNow'>, pieces: readonly Buffer[]): void {
  const frame = pieces[0]!;
  if (pieces.length === 1) channel.send(frame);
  else if (!channel.sendNow?.(frame, pieces.slice(1))) channel.send(joined(pieces));
}

/** How long a peer may take to read what was sent before `close`. */
export const CLOSE_MS = 2000;
