/**
 * Calls whose payload comes by another way than the router's word that they run. Runs in dirty workers. Whichever is there
 * first waits for the other, for a limited time and in limited number.
 */
import { Buffer } from 'node:buffer';
import { callerIdOf, callerOf, idOf, LARGE_BYTES } from './frames.ts';

/** How long the router's word waits for its payload: its caller may have much else to do. */
const PAYLOAD_MS = 30_000;
/** Payloads that wait for the router's word, which is on its way when they come. */
const EARLY_MAX = 16;
/** Calls that have ended without their payload, which may still come. */
const VOID_MAX = 1000;

export type Payload = readonly [frame: Buffer, more: readonly Buffer[]];

interface Awaiting {
  /** The router's word: a header alone. */
  readonly word: Buffer;
  readonly key: string;
  readonly limit: NodeJS.Timeout;
  /** Chunks that its caller has room for already. */
  credit: number;
}

export class AwaitingCalls {
  readonly #start: (word: Buffer, payload: Payload, credit: number) => void;
  readonly #late: (id: number) => void;
  readonly #awaiting = new Map<number, Awaiting>();
  readonly #ids = new Map<string, number>();
  readonly #early = new Map<string, Payload>();
  readonly #void = new Set<string>();

  /** `start` gets both parts of a call, once; `late` is told of one whose payload has not come. */
  constructor(start: (word: Buffer, payload: Payload, credit: number) => void, late: (id: number) => void) {
    this.#start = start;
    this.#late = late;
  }

  get size(): number {
    return this.#awaiting.size;
  }

  ids(): number[] {
    return [...this.#awaiting.keys()];
  }

  /** The router's word. */
  add(frame: Buffer): void {
    const word = Buffer.from(frame);
    const key = keyOf(callerOf(word), callerIdOf(word));
    const early = this.#early.get(key);
    if (early) {
      this.#early.delete(key);
      return this.#start(word, early, 0);
    }
    const id = idOf(word);
    const limit = setTimeout(() => {
      if (this.drop(id)) this.#late(id);
    }, PAYLOAD_MS);
    this.#awaiting.set(id, { word, key, limit, credit: 0 });
    this.#ids.set(key, id);
  }

  /** A payload that a caller brought. */
  brought(caller: number, callerId: number, frame: Buffer, more: readonly Buffer[]): void {
    const key = keyOf(caller, callerId);
    const id = this.#ids.get(key);
    if (id !== undefined) return this.came(id, frame, more);
    if (this.#void.delete(key)) return;
    // A small one lies in memory that is read into again.
    const isOurs = more.length > 0 || frame.length >= LARGE_BYTES;
    this.#early.set(key, [isOurs ? frame : Buffer.from(frame), more]);
    if (this.#early.size > EARLY_MAX) this.#early.delete(this.#early.keys().next().value!);
  }

  /** A payload that came by the router, or was brought. */
  came(id: number, frame: Buffer, more: readonly Buffer[]): void {
    const awaiting = this.#take(id);
    if (awaiting) this.#start(awaiting.word, [frame, more], awaiting.credit);
  }

  /** Its caller has room for so many chunks more. */
  addCredit(id: number, chunks: number): void {
    const awaiting = this.#awaiting.get(id);
    if (awaiting) awaiting.credit += chunks;
  }

  /** Its payload is not wanted any more; false when it has come, or was never to come. */
  drop(id: number): boolean {
    const awaiting = this.#take(id);
    if (!awaiting) return false;
    this.#void.add(awaiting.key);
    if (this.#void.size > VOID_MAX) this.#void.delete(this.#void.keys().next().value!);
    return true;
  }

  #take(id: number): Awaiting | undefined {
    const awaiting = this.#awaiting.get(id);
    if (!awaiting) return undefined;
    this.#awaiting.delete(id);
    this.#ids.delete(awaiting.key);
    clearTimeout(awaiting.limit);
    return awaiting;
  }
}

const keyOf = (caller: number, callerId: number): string => `${caller}:${callerId}`;
