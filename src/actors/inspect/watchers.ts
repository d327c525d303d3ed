/**
 * Those who watch: each gets the recent past, then what happens, as fast as it reads and no faster. Nothing is kept for
 * one who is slow but its place in the past that is kept anyway; once that is over, it is told how much it missed and what is
 * now. Runs in the inspector's thread, and in `kirinc inspect`.
 */
import { performance } from 'node:perf_hooks';
import { nowMs } from './records.ts';
import type { Reel } from './reel.ts';

export const WATCHERS_MAX = 100;
/** How often it is looked who can read on. */
const PUMP_MS = 100;
/** One that reads nothing for so long is cut. */
const STALL_MS = 30_000;

/** One who watches. */
export interface Watcher {
  /** What it has been sent and has not read, in bytes; above `unreadBytesMax` it is sent no more. */
  readonly unreadBytes: number;
  readonly unreadBytesMax: number;
  send(message: string): void;
  /** It is watched for no longer. */
  end(reason: string): void;
}

interface Place {
  readonly watcher: Watcher;
  /** Messages that come before what happens next. */
  first: string[];
  /** Of the last record it was sent. */
  seq: number;
  isLive: boolean;
  /** When it was last able to take a message. */
  readMs: number;
}

export class Watchers {
  readonly #reel: Reel;
  readonly #counted: (count: number) => void;
  readonly #places = new Set<Place>();
  #timer: NodeJS.Timeout | undefined;

  /** `counted` is called with how many there are, whenever it changes. */
  constructor(reel: Reel, counted: (count: number) => void = () => {}) {
    this.#reel = reel;
    this.#counted = counted;
  }

  get count(): number {
    return this.#places.size;
  }

  /** Adds one; what is returned takes it away. */
  add(watcher: Watcher, hello: string, from: 'past' | 'now' = 'past'): () => void {
    const reel = this.#reel;
    const isLate = from === 'now';
    const first = [hello, ...(isLate ? reel.present() : reel.beginning())];
    const seq = isLate ? reel.seq : reel.beginningSeq;
    const place = { watcher, first, seq, isLive: false, readMs: performance.now() };
    this.#places.add(place);
    this.#counted(this.#places.size);
    this.#timer ??= setInterval(() => this.pump(), PUMP_MS).unref();
    this.#pump(place);
    return () => this.#remove(place);
  }

  /** To be called when something has happened; also called now and then. */
  pump(): void {
    for (const place of [...this.#places]) this.#pump(place);
  }

  /** The past was forgotten: everybody begins with what is now. */
  restart(): void {
    for (const place of this.#places) {
      place.first = [...this.#reel.beginning()];
      place.seq = this.#reel.beginningSeq;
    }
    this.pump();
  }

  /** Something that is said to all, and is no part of the past. */
  say(message: string): void {
    for (const { watcher } of this.#places) watcher.send(message);
  }

  end(reason: string): void {
    for (const place of [...this.#places]) {
      this.#remove(place);
      place.watcher.end(reason);
    }
  }

  #remove(place: Place): void {
    this.#places.delete(place);
    this.#counted(this.#places.size);
    if (this.#places.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #pump(place: Place): void {
    const { watcher } = place;
    const nowReadMs = performance.now();
    try {
      while (watcher.unreadBytes < watcher.unreadBytesMax) {
        place.readMs = nowReadMs;
        const message = this.#next(place);
        if (message === undefined) return;
        watcher.send(message);
      }
    } catch (error) {
      this.#remove(place);
      return watcher.end(`it could not be told: ${(error as Error).message}`);
    }
    if (nowReadMs - place.readMs < STALL_MS) return;
    this.#remove(place);
    watcher.end(`nothing was read for ${STALL_MS / 1000} s`);
  }

  #next(place: Place): string | undefined {
    const message = place.first.shift();
    if (message !== undefined) return message;
    const reel = this.#reel;
    const batch = reel.after(place.seq);
    if (batch === 'gone') {
      const missed = reel.seq - place.seq;
      place.first = [...reel.present()];
      place.seq = reel.seq;
      return `{"type":"lost","records":${missed}}`;
    }
    if (batch) {
      place.seq = batch.seq + batch.records.length - 1;
      return batch.text;
    }
    if (place.isLive) return undefined;
    place.isLive = true;
    return `{"type":"live","at":${nowMs()},"seq":${place.seq}}`;
  }
}
