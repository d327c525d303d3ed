/**
 * A channel over a Unix socket. Runs at every end.
 *
 * Writing: what is sent while the frames of one read are handed on leaves in one write when all have been; a frame that is
 * sent by itself is written at once, and what follows it in the same turn of the event loop leaves in one write. Small frames
 * are gathered in one slab, which is used again as soon as the system has taken everything.
 *
 * Reading: the connecting side gives the socket the memory to read into, which Node allows there alone: small frames
 * land in one buffer that is used again, and a large one is read straight into its own. An accepted socket gives new
 * memory with every read; large frames are kept in these pieces.
 *
 * What is large goes by memory that both processes share, where there is some (shelf.ts).
 */
import { Buffer } from 'node:buffer';
import { connect, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { type Channel, type ChannelHandlers, CLOSE_MS, type LaidFrame } from './channel.ts';
import { FrameReader } from './frame-reader.ts';
import {
  FRAME_BYTES_MAX,
  frameBytesOf,
  LARGE_BYTES,
  NO_MORE,
  refusalOf,
  SPOKEN_MAX,
  typeOf,
} from './frames.ts';
import { recycle } from './packing-spare.ts';
import { type Gathering, inReadTurn, isBatchTurn, waitsForRead } from './read-turn.ts';
import { ShelfPair } from './shelf-pair.ts';

const SLAB_BYTES = 128 * 1024;
const READ_BYTES = 64 * 1024;
/** Writes that follow each other so closely are joined at the end of the turn. */
const BUSY_MS = 0.04;
/** How long the other side may take to accept. */
const CONNECT_MS = 5000;

export interface SocketChannelOptions {
  /** The largest payload that is accepted, in bytes; default `FRAME_BYTES_MAX`. */
  frameBytesMax?: number | undefined;
  /** Large frames in one piece each, for who looks into them; default: for the connecting side. */
  whole?: boolean | undefined;
}

/** Connects to the socket of that path. Rejects with the error of the system, or after 5 s. */
export function connectChannel(path: string, options: SocketChannelOptions = {}): Promise<Channel> {
  return new Promise((resolve, reject) => {
    const used = Buffer.allocUnsafeSlow(READ_BYTES);
    let channel: SocketChannel | undefined;
    const socket = connect({
      path,
      onread: {
        buffer: () => channel?.target ?? used,
        callback: (bytes, buffer) => channel?.take(buffer as Buffer, bytes, buffer === used) ?? true,
      },
    });
    const failed = (error: Error): void => {
      clearTimeout(limit);
      socket.destroy();
      reject(error);
    };
    const limit = setTimeout(
      () => failed(new Error(`${path} did not accept for ${CONNECT_MS} ms`)),
      CONNECT_MS,
    );
    socket.once('error', failed);
    socket.once('connect', () => {
      clearTimeout(limit);
      socket.off('error', failed);
      channel = new SocketChannel(socket, true, options);
      resolve(channel);
    });
  });
}

/** A channel over a socket that a server accepted; best with `pauseOnConnect`. */
export const acceptedChannel = (socket: Socket, options: SocketChannelOptions = {}): Channel =>
  new SocketChannel(socket, false, options);

class SocketChannel implements Channel, Gathering {
  #socket: Socket;
  #connected: boolean;
  #reader: FrameReader;
  #shelves: ShelfPair;
  #handlers: ChannelHandlers | undefined;
  #ended = false;
  #closing: { why: string; limit: NodeJS.Timeout } | undefined;
  #broken: string | undefined;
  /** How many frames have come. */
  #frames = 0;
  /** Small frames that wait for the end of this turn: `slab` from `from` to `to`. */
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #from = 0;
  #to = 0;
  /** Whether what is gathered is going to be written in this turn. */
  #isDue = false;
  /** When what followed a read was last written. */
  #sentMs = 0;

  constructor(
    socket: Socket,
    connected: boolean,
    { frameBytesMax = FRAME_BYTES_MAX, whole = connected }: SocketChannelOptions,
  ) {
    this.#socket = socket;
    this.#connected = connected;
    const broken = (why: string, foreign = false): void => {
      this.#broken = why;
      if (!foreign) return void this.#socket.destroy();
      this.send(refusalOf(why));
      this.close(why);
    };
    const hand = (frame: Buffer, more: readonly Buffer[]): void => {
      this.#frames++;
      this.#handlers?.frame(frame, more);
    };
    this.#shelves = new ShelfPair(
      {
        send: (frame) => this.send(frame),
        sendAtOnce: (frame) => {
          this.#gather(frame);
          this.#flush();
        },
        sendLater: (frame) => this.#sendLater(frame),
        frame: (frame) => hand(frame, NO_MORE),
        broken,
      },
      frameBytesMax,
      !whole,
    );
    this.#reader = new FrameReader(
      {
        frame: (frame, more) => {
          if (typeOf(frame) > SPOKEN_MAX) this.#shelves.heard(frame);
          else hand(frame, more);
        },
        broken,
      },
      { exact: whole, frameBytesMax },
    );
    // Nothing is read before there is somebody to hear it.
    if (connected) socket.pause();
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.destroy());
    socket.on('drain', () => this.#handlers?.drained?.());
    socket.on('close', () => this.#end());
  }

  open(handlers: ChannelHandlers): void {
    this.#handlers = handlers;
    if (this.#ended) {
      queueMicrotask(() => handlers.ended('the connection was closed', false));
      return;
    }
    if (!this.#connected) this.#socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#socket.resume();
  }

  /** Where the socket may read the rest of a large frame to. */
  get target(): Buffer | undefined {
    return this.#reader.target;
  }

  /** So many bytes were read into a buffer: the one that is used again, or the target. */
  take(buffer: Buffer, bytes: number, isUsed: boolean): boolean {
    if (isUsed) this.#read(buffer.subarray(0, bytes));
    else this.#reader.advance(bytes);
    return true;
  }

  #read(bytes: Buffer): void {
    inReadTurn(() => {
      const before = this.#frames;
      this.#reader.push(bytes);
      return this.#frames - before;
    });
  }

  get ended(): boolean {
    return this.#ended || this.#closing !== undefined;
  }

  get queuedBytes(): number {
    return this.#socket.writableLength + this.#to - this.#from;
  }

  send(frame: Buffer, more: readonly Buffer[] = NO_MORE): void {
    if (this.ended) return;
    if (more.length > 0 || frame.length >= LARGE_BYTES) {
      if (this.#shelves.sent(frame, more)) return recycle(frame);
      this.#socket.cork();
      this.#flush();
      this.#socket.write(frame, () => recycle(frame));
      for (const one of more) this.#socket.write(one);
      this.#socket.uncork();
      return;
    }
    this.#gather(frame);
    if (this.#isDue) return;
    this.#isDue = true;
    if (waitsForRead(this)) return;
    if (!isBatchTurn()) this.#flush();
    process.nextTick(this.#due);
  }

  sendNow(frame: Buffer, more: readonly Buffer[]): boolean {
    return !this.ended && this.#shelves.sent(frame, more);
  }

  lay(frame: Buffer, more: readonly Buffer[], announced?: () => void): LaidFrame | undefined {
    const held = this.ended ? undefined : this.#shelves.hold(frame, more, announced);
    if (!held) return undefined;
    const bytes = frameBytesOf(frame, 0);
    return {
      isSent: held.isTold,
      send: () => !this.ended && this.#shelves.told(held, bytes),
      take: () => held.take(),
      release: () => held.release(),
    };
  }

  readEnded(): void {
    const before = this.#sentMs;
    this.#sentMs = performance.now();
    // Other connections have something for this one too, and are read in the same turn of the event loop.
    if (this.#sentMs - before < BUSY_MS) setImmediate(this.#due);
    else this.#due();
  }

  /** With what is sent next; at the end of this turn, if nothing is. */
  #sendLater(frame: Buffer): void {
    if (this.ended) return;
    this.#gather(frame);
    setImmediate(this.#due);
  }

  #due = (): void => {
    this.#isDue = false;
    this.#flush();
  };

  #gather(frame: Buffer): void {
    if (this.#to + frame.length > this.#slab.length) {
      this.#flush();
      // Where the system has not taken everything, the old slab belongs to what it still has to write.
      if (this.#socket.writableLength > 0) this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#from = this.#to = 0;
    }
    this.#slab.set(frame, this.#to);
    this.#to += frame.length;
  }

  #flush(): void {
    if (this.#to === this.#from) return;
    const gathered = this.#slab.subarray(this.#from, this.#to);
    this.#from = this.#to;
    if (this.#ended) return;
    this.#socket.write(gathered);
    if (this.#socket.writableLength === 0) this.#from = this.#to = 0;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  ref(): void {
    this.#socket.ref();
  }

  unref(): void {
    this.#socket.unref();
  }

  close(why = 'the connection was closed here'): void {
    if (this.ended) return;
    this.#flush();
    this.#closing = { why, limit: setTimeout(() => this.#socket.destroy(), CLOSE_MS) };
    this.#closing.limit.unref();
    this.#reader.stop();
    if (this.#socket.writableLength === 0) this.#socket.destroy();
    else this.#socket.end(() => this.#socket.destroy());
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#closing?.limit);
    this.#reader.stop();
    this.#shelves.close();
    const why = this.#broken ?? this.#closing?.why ?? 'the other side closed the connection';
    this.#handlers?.ended(why, this.#broken !== undefined);
  }
}
