/**
 * One end of a link: a duplex stream between a parent and its child, carrying frames. Runs in every process.
 * Writes are bounded: what is inspected never queues, above a bound heartbeats are dropped, and a full queue refuses the rest.
 */
import { writeSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import type { Vocabulary } from '../machines/events/link.ts';
import { encodeFrame, frameReader, type LinkEvent } from './codec.ts';

/** Bytes that may wait to be written before heartbeats are dropped, and before everything is. */
export const QUEUE_BYTES_SOFT = 64 * 1024;
export const QUEUE_BYTES_MAX = 1024 * 1024;
/** Bytes that may wait for an event to be taken, where it is not `QUEUE_BYTES_MAX`. */
const ROOM: Readonly<Record<string, number>> = { 'worker.heartbeat': QUEUE_BYTES_SOFT, 'inspect.batch': 0 };

export interface LinkHandlers<TIn> {
  event(event: TIn): void;
  unknown(what: string): void;
  /** Whether the peer may say so many bytes more. Default: it may. */
  takes?(bytes: number): boolean;
  /** Takes a frame as it is, to have it read elsewhere; false: it is read here. Default: every one is. */
  passes?(body: Buffer): boolean;
  broken(why: string): void;
  /** The peer is gone. Said once. */
  ended(): void;
}

export interface Link<TOut extends LinkEvent> {
  /** 'full': the event was refused or, for a heartbeat or what is inspected, dropped. 'ended': nobody is there to hear it. */
  send(event: TOut): 'sent' | 'full' | 'ended';
  /** Writes at once, for last words before an exit; only where nothing is queued before it. */
  sendSync(event: TOut): boolean;
  /** Resolves when everything written was handed to the system, or the peer is gone. */
  flush(): Promise<void>;
  readonly stats: Readonly<{ sent: number; received: number; unknown: number; dropped: number }>;
}

export function openLink<TIn extends LinkEvent, TOut extends LinkEvent>(
  stream: Duplex,
  fd: number | null,
  reads: Vocabulary,
  handlers: LinkHandlers<TIn>,
): Link<TOut> {
  const stats = { sent: 0, received: 0, unknown: 0, dropped: 0 };
  let ended = false;
  const end = (): void => {
    if (ended) return;
    ended = true;
    handlers.ended();
  };
  const reader = frameReader(reads, {
    event(event) {
      stats.received++;
      handlers.event(event as TIn);
    },
    unknown(what) {
      stats.unknown++;
      handlers.unknown(what);
    },
    ...(handlers.takes ? { takes: handlers.takes } : {}),
    passes(body) {
      const isPassed = handlers.passes?.(body) ?? false;
      if (isPassed) stats.received++;
      return isPassed;
    },
    broken: handlers.broken,
  });
  stream.on('data', (chunk: Buffer) => reader.push(chunk));
  // A peer that dies resets the pipe: its end is the news, not the error's text.
  stream.on('error', () => stream.destroy());
  stream.on('end', end);
  stream.on('close', end);

  return {
    stats,
    send(event) {
      const room = ROOM[event.type] ?? QUEUE_BYTES_MAX;
      if (ended || stream.writableEnded) return 'ended';
      if (stream.writableLength > room) {
        stats.dropped++;
        return 'full';
      }
      stats.sent++;
      stream.write(encodeFrame(event));
      return 'sent';
    },
    sendSync(event) {
      if (fd === null || ended || stream.writableLength > 0) return false;
      try {
        const frame = encodeFrame(event);
        return writeSync(fd, frame) === frame.length;
      } catch {
        return false;
      }
    },
    flush() {
      return new Promise((resolve) => {
        if (ended || stream.writableEnded || stream.writableLength === 0) return resolve();
        stream.once('close', resolve);
        stream.write('', () => resolve());
      });
    },
  };
}
