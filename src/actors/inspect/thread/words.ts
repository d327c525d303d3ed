/**
 * What the arbiter's main thread and the inspector's thread say to each other, and the counters that both see. Pure; used in
 * both.
 */
import type { WatchOptions } from '../door/stage.ts';
import type { ProcessKind } from '../records.ts';

/** Places in the memory that both threads see, which holds numbers of 32 bits. */
export const SHARED = {
  /** Bytes of parcels that the inspector's thread has received, modulo 2³². */
  received: 0,
  /** How many watch. */
  watching: 1,
  /** Whether there is a dirty arbiter: 0 or 1. */
  hasDirty: 2,
  /** 1 when what had to be written before a crash has been. */
  written: 3,
} as const;
export const SHARED_BYTES = Object.keys(SHARED).length * Int32Array.BYTES_PER_ELEMENT;

export type Counters = Int32Array<SharedArrayBuffer>;

export interface ThreadStart {
  counters: SharedArrayBuffer;
  version: string;
  app: string;
}

/** Something that happened, in the order in which it did. */
export type Letter =
  /** A frame of a process, as it came; so many bytes of its parcel. */
  | { frame: number; pid: number; process: ProcessKind }
  /** What the arbiter tells of itself and of its processes, as JSON. */
  | { record: string }
  | { log: string; level: string; at: number }
  | { alive: readonly number[] }
  | { lost: number; pid: number }
  | { failed: string };

export interface DoorAsked {
  host: string;
  port: number;
  token: string | undefined;
  controls: boolean;
}

export interface RecordingAsked {
  file: string;
  bytesMax: number;
}

/** Questions of the main thread: what is asked, and what is answered. */
export interface Questions {
  open: { asks: DoorAsked; answers: { url: string } };
  record: { asks: RecordingAsked; answers: { kept: string | undefined } };
  close: { asks: { reason: string }; answers: null };
}
export type Question = keyof Questions;

export type ToThread =
  | {
      type: 'parcel';
      /** Of the attachment that it belongs to: what is left of an earlier one is not read. */
      epoch: number;
      letters: readonly Letter[];
      /** Of all frames, one after another. */
      bytes: Uint8Array;
      /** What is counted of it. */
      weight: number;
    }
  | { type: 'secrets'; values: readonly string[] }
  | { type: 'watch'; id: number; options: WatchOptions; unreadBytesMax: number }
  | { type: 'unwatch'; id: number }
  /** So many bytes more were read by that watcher. */
  | { type: 'read'; id: number; bytes: number }
  | { type: 'carried'; id: number; data: object }
  | { type: 'refused'; id: number; error: string }
  | { type: 'crash' }
  | { [Q in Question]: { type: 'ask'; question: Q; id: number; asks: Questions[Q]['asks'] } }[Question];

export type FromThread =
  | { type: 'attach'; epoch: number }
  | { type: 'detach' }
  | { type: 'again'; pid: number }
  /** What a process said is not known. */
  | { type: 'unknown'; pid: number; what: string }
  | { type: 'carryOut'; id: number; words: readonly string[] }
  | { type: 'told'; id: number; text: string }
  | { type: 'ended'; id: number; reason: string }
  | { type: 'bug'; text: string }
  | { type: 'warning'; text: string }
  | { type: 'answer'; id: number; data: unknown }
  | { type: 'failed'; id: number; error: { message: string; code: string | undefined } };
