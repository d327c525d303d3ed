/**
 * Calls whose payload comes by another way than the router's word that they run. Runs in dirty workers. Whichever is there
 * first waits for the other, for a limited time and in limited number.
 */
import { Buffer } from 'node:buffer';
import { callerIdOf, callerOf, idOf, LARGE_BYTES } from './frames.ts';

/** How long the router's word waits for its payload: its caller may have much else to do. */
const PAYLOAD_MS = 30_000;
/** So many payloads wait for the router's word, which is on its way when they come; more are not read until then. */
const EARLY_MAX = 16;
/** Calls that have ended without their payload, which may still come. */
const VOID_MAX = 1000;

export type Payload = readonly [frame: Buffer, more: readonly Buffer[]];

interface Early {
  readonly payload: Payload;
  readonly limit: NodeJS.Timeout;
}

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
  readonly #early = new Map<string, Early>();
  /** Who waits until fewer are early. */
  #room: Room | undefined;
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
    const early = this.#takeEarly(key);
    if (early) return this.#start(word, early, 0);
    const id = idOf(word);
    const limit = setTimeout(() => {
      if (this.drop(id)) this.#late(id);
    }, PAYLOAD_MS);
    this.#awaiting.set(id, { word, key, limit, credit: 0 });
    this.#ids.set(key, id);
  }

  /** A payload that a caller brought. None is dropped: where too many are early, gives what resolves when there is room again. */
  brought(
    caller: number,
    callerId: number,
    frame: Buffer,
    more: readonly Buffer[],
  ): Promise<void> | undefined {
    const key = keyOf(caller, callerId);
    const id = this.#ids.get(key);
    if (id !== undefined) this.came(id, frame, more);
    else if (!this.#void.delete(key)) this.#keep(key, frame, more);
    if (this.#early.size < EARLY_MAX) return undefined;
    this.#room ??= new Room();
    return this.#room.promise;
  }

  /** A payload that a caller brought was for another worker. */
  withdrawn(caller: number, callerId: number): void {
    this.#takeEarly(keyOf(caller, callerId));
  }

  #keep(key: string, frame: Buffer, more: readonly Buffer[]): void {
    this.#takeEarly(key);
    // A small one lies in memory that is read into again.
    const isOurs = more.length > 0 || frame.length >= LARGE_BYTES;
    const payload: Payload = [isOurs ? frame : Buffer.from(frame), more];
    // Of a call that nobody has, as after a thousand that ended without their payload.
    const limit = setTimeout(() => this.#takeEarly(key), PAYLOAD_MS).unref();
    this.#early.set(key, { payload, limit });
  }

  #takeEarly(key: string): Payload | undefined {
    const early = this.#early.get(key);
    if (!early) return undefined;
    clearTimeout(early.limit);
    this.#early.delete(key);
    if (this.#early.size < EARLY_MAX) {
      this.#room?.made();
      this.#room = undefined;
    }
    return early.payload;
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

class Room {
  made = (): void => {};
  readonly promise = new Promise<void>((resolve) => {
    this.made = resolve;
  });
}

const keyOf = (caller: number, callerId: number): string => `${caller}:${callerId}`;
